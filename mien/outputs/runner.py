"""Runs one output in a thread of its own: opens it, gives it messages, and opens it again after a fault.

Nothing waits for the output. The newest frame replaces the one that waits; changes wait in a short queue.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import deque
from dataclasses import replace

from mien.clock import Clock
from mien.errors import NotTakenError, OutputError, one_line
from mien.outputs.base import Output, OutputState, OutputStatus
from mien.outputs.messages import ChangeMessage, FrameMessage, Message
from mien.types import Snapshot

MAX_CHANGES = 64
"""Changes that wait; when there are more, the oldest is dropped."""

FIRST_RETRY_S = 0.5
LAST_RETRY_S = 30.0
"""The longest pause between two attempts."""
STABLE_S = 1.0
"""A connection that has lasted this long is tried again soon after it was lost, and not with the last back-off."""

STALLED_S = 2.0
"""A receiver that does not take a message for this long is reported as waiting."""

CHECK_S = 1.0

log = logging.getLogger(__name__)


class Runner:
    """Runs one output; thread-safe.

        runner = Runner(output, fps=10)
        runner.start()
        runner.offer(message)
        runner.stop(timeout_s=1)

    Args:
        output: The output.
        fps: Most frames per second that are sent; None for the default of the output.
        clock: The computer's clock by default.
    """

    def __init__(self, output: Output, *, fps: float | None = None, clock: Clock | None = None) -> None:
        self.output = output
        self._clock = clock or Clock()
        self._limit = RateLimit(fps or output.default_fps)
        self._work = threading.Condition()  # guards the next five
        self._frame: FrameMessage | None = None  # that waits
        self._changes: deque[ChangeMessage] = deque()
        self._newest: FrameMessage | None = None  # whether it was sent or not
        self._covered = False  # whether faces were covered in the newest frame to send
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name=f"output-{output.address.kind}", daemon=True)
        # The rest is written by that thread only.
        self._sent = 0
        self._state: OutputState = "connecting"
        self._error: str | None = None
        self._sending_since_s: float | None = None
        self._retry_s = FIRST_RETRY_S

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def request_stop(self) -> None:
        """Let the thread end soon."""
        with self._work:
            self.output.stopping.set()
            self._work.notify_all()

    def join(self, timeout_s: float) -> bool:
        """Wait until the thread has ended, and its output is closed; returns whether it has."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def offer(self, message: Message) -> None:
        """Take a message to send; returns at once.

        Args:
            message: A frame, which replaces the one that waits, or a change.
        """
        with self._work:
            if isinstance(message, ChangeMessage):
                if len(self._changes) >= MAX_CHANGES:
                    self._changes.popleft()
                    self._dropped += 1
                self._changes.append(message)
            elif isinstance(message, FrameMessage) and self.output.takes_frames:
                self._newest = message
                if not self._limit.admits(self._clock.monotonic()) and not self._is_urgent(message):
                    return
                self._dropped += self._frame is not None
                self._frame = message
                self._covered = message.frame is not None and message.frame.covered
            self._work.notify_all()

    def renew(self, snapshot: Snapshot | None) -> None:
        """Show another picture of the newest frame, as after privacy mode was switched, if this output shows pictures.

        Args:
            snapshot: With the picture.
        """
        with self._work:
            newest = self._newest
            if not self.output.shows_pictures or newest is None or newest.frame is None:
                return
            if snapshot is None or snapshot.frame is None or snapshot.frame is newest.frame:
                return
            self._newest = self._frame = replace(newest, frame=snapshot.frame, snapshot=snapshot)
            self._covered = snapshot.frame.covered
            self._work.notify_all()

    def status(self) -> OutputStatus:
        """Its state now."""
        state, error, since_s = self._state, self._error, self._sending_since_s
        if since_s is not None and state == "connected" and self._clock.monotonic() - since_s > STALLED_S:
            state, error = "waiting", "the receiver takes no messages"
        if state != "failed" and self._has_died():
            state, error = "failed", "its thread has ended"
        return OutputStatus(self.output.address.name, state, error, self._sent, self._dropped)

    def _has_died(self) -> bool:
        return self._thread.ident is not None and not self._thread.is_alive() and not self.output.stopping.is_set()

    def _is_urgent(self, message: FrameMessage) -> bool:
        """Whether a frame must not be left out: none will follow, or faces are covered that are still shown."""
        if message.frame is None:
            return True
        return self.output.shows_pictures and message.frame.covered and not self._covered

    # --- in its thread

    def _run(self) -> None:
        stopping = self.output.stopping
        while not stopping.is_set():
            opened_s = None
            try:
                if self.output.connects or self._error is None:
                    self._state = "connecting"
                self.output.open()
                opened_s = self._clock.monotonic()
                if self.output.connects:
                    self._connected()
                self._serve()
            except BaseException as error:  # of any kind, also SystemExit: other outputs and the picture go on
                if stopping.is_set():
                    break
                if opened_s is not None and self._clock.monotonic() - opened_s >= STABLE_S:
                    self._retry_s = FIRST_RETRY_S
                if self._give_up(error):
                    break
            finally:
                self._sending_since_s = None
                self._close()
            # Varied, so that a receiver that was restarted is not flooded.
            stopping.wait(min(LAST_RETRY_S, self._retry_s * random.uniform(0.8, 1.2)))
            self._retry_s = min(LAST_RETRY_S, 2 * self._retry_s)

    def _connected(self) -> None:
        if self._error is not None:
            log.info("output %s: connected again", self.output.address.name)
        self._state, self._error = "connected", None

    def _serve(self) -> None:
        """Send what is offered until the end or an error."""
        with self._work:
            newest, self._frame = self._newest, None
        if newest is not None:
            self._send(newest)  # so that a receiver that was away learns what is there now
        while not self.output.stopping.is_set():
            if (message := self._take()) is not None:
                self._send(message)
            elif not self.output.stopping.is_set():
                self.output.check()

    def _take(self) -> Message | None:
        """The next message; None if there is none for a while, or at the end."""
        with self._work:
            if not self._changes and self._frame is None and not self.output.stopping.is_set():
                self._work.wait(CHECK_S)
            if self._changes:
                return self._changes.popleft()
            frame, self._frame = self._frame, None
            return frame

    def _send(self, message: Message) -> None:
        self._sending_since_s = self._clock.monotonic()
        try:
            self.output.send(message)
        except NotTakenError as error:
            self._count_dropped()
            self._report(error)
        except BaseException:
            self._count_dropped()
            raise
        else:
            self._sent += 1
            self._connected()
        finally:
            self._sending_since_s = None

    def _count_dropped(self) -> None:
        with self._work:
            self._dropped += 1

    def _give_up(self, error: BaseException) -> bool:
        """Note a fault; returns whether it is permanent."""
        if not isinstance(error, OutputError | OSError) and self._error is None:
            log.error("output %s failed: %s", self.output.address.name, type(error).__name__, exc_info=error)
        self._report(error)
        if isinstance(error, OutputError) and error.permanent:
            self._state = "failed"
            return True
        return False

    def _report(self, error: BaseException) -> None:
        text = self.output.address.hide(one_line(error))
        if text != self._error:
            log.warning("output %s: %s", self.output.address.name, text)
        self._state, self._error = "waiting", text

    def _close(self) -> None:
        try:
            self.output.close()
        except BaseException as error:  # of any kind: it is opened again, or the program ends
            log.debug("output %s: %s", self.output.address.name, self.output.address.hide(one_line(error)))


class RateLimit:
    """Admits at most so many events per second, evenly spaced.

    Args:
        per_s: How many; None for all.
    """

    def __init__(self, per_s: float | None) -> None:
        self._interval_s = 1 / per_s if per_s else 0.0
        self._due_s = 0.0

    def admits(self, now_s: float) -> bool:
        """Whether an event may happen now, which then counts."""
        if now_s < self._due_s:
            return False
        late_s = now_s - self._due_s
        # Counted from when it was due, else a limit of 20 would admit 15 of 30 per second; but never several at once.
        self._due_s = (self._due_s if late_s < self._interval_s else now_s) + self._interval_s
        return True

"""Keeps a source open: reads it in a thread, and opens it again when it fails or hangs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from mien.errors import MienError, SourceEndedError, SourceError, SourceLoginError
from mien.sources import source_kind
from mien.sources.base import Source
from mien.stream.config import Services, Timeouts
from mien.types import Frame, SourceState, SourceStatus, SourceType

MAX_HUNG_THREADS = 4
"""While this many threads hang inside a driver, no further one is started."""

log = logging.getLogger(__name__)


class Receiver(Protocol):
    """What gets the frames of captures, such as a `Switcher`. Its methods return at once and raise nothing."""

    def begin(self, capture: Capture) -> int:
        """Called each time the source was opened; returns the number of the new stream, 0 if it is not wanted."""

    def deliver(self, capture: Capture, frame: Frame) -> None:
        """Called with each frame, which has the number of its stream."""


class Capture:
    """Reads one source from `start` to `stop`, with back-off and a watchdog.

    A read can block forever inside a driver. Its thread is then abandoned and another one takes over; if the first ever
    returns, it closes its device and its frame is ignored. So each thread has a number, and only the thread with the
    current number may change anything.

    While `MAX_HUNG_THREADS` hang, nothing more is tried, and the status says so. Unlike an analysis that hangs, this
    does not end the program: another source can be chosen, and jobs, uploads and sessions are still served.

        capture = Capture("0", "Webcam 0", open_source, receiver, Services(), Timeouts())
        capture.start(background=False)
        capture.watch()  # regularly

    Args:
        spec: The source to open, such as "0".
        name: Its name until it is open.
        open_source: Opens it, given the spec and a function that returns whether the source is still wanted. Called in
            the capture thread, which also reads and closes the source.
        receiver: Gets the frames.
        services: Whose `clock` and `cancelled` are used: once that returns True, `start` stops waiting.
        timeouts: How long to wait for the source.
    """

    def __init__(
        self,
        spec: str,
        name: str,
        open_source: Callable[[str, Callable[[], bool]], Source],
        receiver: Receiver,
        services: Services,
        timeouts: Timeouts,
    ) -> None:
        self._receiver = receiver
        self._spec = spec
        self._name = name
        self._open_source = open_source
        self._cancelled = services.cancelled
        self._clock = services.clock
        self._timeouts = timeouts
        self._stopping = threading.Event()
        self._change = threading.Condition()  # guards all below
        self._current = 0  # number of the current thread
        self._thread: threading.Thread | None = None
        self._hung: list[threading.Thread] = []
        self._state: SourceState = "reconnecting"
        self._reason: str | None = "opening"
        self._error: MienError | None = None
        self._opened = 0
        self._kind = _kind_of(spec)
        self._stream = 0
        self._background = False
        self._failures = 0
        self._retry_at_s: float | None = None  # None while the thread opens or reads the source
        self._reading = False
        self._heartbeat_s = 0.0

    def start(self, *, background: bool) -> None:
        """Start the thread.

        Args:
            background: Whether to return at once and keep trying, instead of waiting until the source is open.

        Raises:
            SourceError: Not in the background: what `open_source` raised, or that it took longer than `open_within_s`.
        """
        with self._change:
            self._background = background
            deadline_s = self._clock.monotonic() + self._timeouts.open_within_s
            self._start_thread()
            if background:
                return
            while not (self._opened or self._error or self._stopping.is_set() or self._cancelled()):
                if self._clock.monotonic() >= deadline_s:
                    self._error = SourceError(f"{self._name} did not open within {self._timeouts.open_within_s:g} s")
                    break
                self._change.wait(self._timeouts.tick_s)
            if self._error is not None:
                self._stopping.set()
                raise self._error

    def stop(self, timeout_s: float = 1.0) -> None:
        """End the thread, which closes the source; a thread that hangs in a driver is abandoned after `timeout_s`."""
        self._stopping.set()
        with self._change:
            thread = self._thread
            self._change.notify_all()
        if thread is not None:
            thread.join(timeout_s)
            if thread.is_alive():
                log.warning("%s did not close within %g s", self._name, timeout_s)

    @property
    def spec(self) -> str:
        """The source to open; for `auto`, once it was open, the source that was found."""
        return self._spec

    def watch(self) -> None:
        """Replace the thread if the source hangs; to be called regularly."""
        with self._change:
            self._hung = [thread for thread in self._hung if thread.is_alive()]
            if self._current == 0 or self._stopping.is_set() or self._state == "ended":
                return
            if self._thread is None:
                if not self._is_stuck:
                    self._start_thread()
                return
            if self._retry_at_s is not None:
                return
            limit_s = self._timeouts.hang_after_s if self._reading else self._timeouts.open_within_s
            if self._clock.monotonic() - self._heartbeat_s >= limit_s:
                self._hung.append(self._thread)
                self._thread = None
                what = "gave no picture" if self._reading else "did not open"
                self._fail(SourceError(f"{self._name} {what} for {limit_s:g} s"))

    def status(self) -> SourceStatus:
        """The state of the source, without a frame rate; retry_in_s is 0 during an attempt to open it.

        While no attempt follows, since too many threads hang, it is None, and the reason says what can be done.
        """
        with self._change:
            retry_in_s, reason = None, self._reason
            if self._is_stuck:
                reason = f"{self._name} hangs in {MAX_HUNG_THREADS} threads; choose another source, or start Mien again"
            elif self._state == "reconnecting":
                retry_in_s = max(0.0, (self._retry_at_s or 0.0) - self._clock.monotonic())
            return SourceStatus(
                self._name,
                self._state,
                reason,
                retry_in_s,
                kind=self._kind,
                failing="source" if self._state == "reconnecting" and self._failures else None,
                stream=self._stream,
            )

    # --- with the lock held

    @property
    def _is_stuck(self) -> bool:
        return self._thread is None and len(self._hung) >= MAX_HUNG_THREADS

    def _start_thread(self) -> None:
        self._current += 1
        self._heartbeat_s = self._clock.monotonic()
        self._reading = False
        thread = threading.Thread(target=self._run, args=(self._current,), name="capture", daemon=True)
        thread.start()
        self._thread = thread

    def _fail(self, error: MienError) -> None:
        first_s, longest_s = self._timeouts.backoff_s
        wait_s = min(first_s * 2 ** min(self._failures, 30), longest_s)
        if isinstance(error, SourceLoginError):
            wait_s = max(wait_s, self._timeouts.login_retry_s)
        self._failures += 1
        self._state, self._reason = "reconnecting", str(error)
        self._retry_at_s = self._clock.monotonic() + wait_s
        if self._is_stuck:
            log.error("%s, in %d threads by now; no further try until one of them returns", error, MAX_HUNG_THREADS)
        elif self._background or self._opened:
            log.warning("%s; next try in %g s", error, wait_s)
        else:
            self._error = error  # `start` is about to raise it
        self._change.notify_all()

    # --- in the capture thread

    def _run(self, number: int) -> None:
        while self._wait_for_retry(number):
            error = self._read_source(number)
            if error is None:
                return
            with self._change:
                if not self._is_current(number):
                    return
                self._fail(error)

    def _is_current(self, number: int) -> bool:
        # With an error set, `start` is about to raise it: no thread may open the source after that.
        cancelled = self._stopping.is_set() or self._error is not None
        return number == self._current and self._thread is not None and not cancelled

    def _wanted(self, number: int) -> bool:
        with self._change:
            return self._is_current(number)

    def _wait_for_retry(self, number: int) -> bool:
        """Wait for the end of the back-off; False if the thread has to end."""
        with self._change:
            while self._is_current(number) and self._retry_at_s is not None:
                remaining_s = self._retry_at_s - self._clock.monotonic()
                if remaining_s <= 0:
                    self._retry_at_s = None
                else:
                    self._change.wait(min(remaining_s, self._timeouts.tick_s))
            if not self._is_current(number):
                return False
            self._reading = False
            self._heartbeat_s = self._clock.monotonic()
            return True

    def _read_source(self, number: int) -> MienError | None:
        """Open and read the source; returns the error if it fails, None if it ends or is no longer wanted."""
        source: Source | None = None
        try:
            source = self._open_source(self._spec, lambda: self._wanted(number))
            stream = self._begin_stream(number, source)
            while stream and self._publish(number, replace(source.read(), stream=stream), source.state):
                pass
        except SourceEndedError as error:
            self._end(number, str(error))
        except MienError as error:
            return error
        except BaseException as error:  # a driver's or library's own error, of any kind, must not end the stream
            log.exception("%s failed unexpectedly", self._name)
            return SourceError(f"{self._name} failed: {type(error).__name__}: {error}")
        finally:
            if source is not None:
                self._close(source)
        return None

    def _close(self, source: Source) -> None:
        try:
            source.close()
        except Exception:  # nothing more can be done; the next attempt follows
            log.exception("%s could not be closed", self._name)

    def _begin_stream(self, number: int, source: Source) -> int:
        """Note that the source is open; returns the number of the stream, 0 if the thread has been abandoned."""
        with self._change:
            stream = self._receiver.begin(self) if self._is_current(number) else 0
            if stream == 0:
                return 0
            # Reopen the source that `auto` found, under the same name: the demo must not replace a lost webcam, and
            # "Demo (no webcam found)" must not be renamed, because the page would treat it as a new source.
            if source.spec != self._spec:
                self._name, self._spec = source.name, source.spec
            self._kind = _kind_of(source.spec, source)
            self._stream = stream
            self._opened += 1
            if self._opened == 1:
                self._state, self._reason = source.state, None  # later it counts as working with its first frame
            self._reading = True
            self._heartbeat_s = self._clock.monotonic()
            self._change.notify_all()
            return stream

    def _publish(self, number: int, frame: Frame, state: SourceState) -> bool:
        with self._change:
            if not self._is_current(number):
                return False
            self._heartbeat_s = self._clock.monotonic()
            self._state, self._reason = state, None
            self._failures = 0
            self._receiver.deliver(self, frame)
            return True

    def _end(self, number: int, reason: str) -> None:
        with self._change:
            if self._is_current(number):
                self._state, self._reason = "ended", reason
                self._change.notify_all()


def _kind_of(spec: str, source: Source | None = None) -> SourceType | None:
    """What a source is; of a file, and of whatever `auto` finds, that is known once it is open."""
    kind = source_kind(spec)
    if kind == "file":
        return None if source is None else "image" if source.is_image else "video"
    return None if kind == "auto" else kind

"""How the analysis is doing: its frame rate, its faults, and when viewers need a placeholder instead of frames."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from mien.clock import Clock
from mien.types import SourceState, SourceStatus

FPS_WINDOW_S = 2.0
PLACEHOLDER_EVERY_S = 0.5


class Health:
    """Frame rate and faults of the analysis: written by the inference thread, read by all.

        health = Health(Clock(), hang_after_s=5.0)
        with health.busy():
            analysis = stream.analyze(frame, time_s)
        health.succeeded()

    Args:
        clock: Where the time comes from.
        hang_after_s: An analysis of one frame that takes longer counts as a fault.
    """

    def __init__(self, clock: Clock, hang_after_s: float) -> None:
        self._clock = clock
        self._hang_after_s = hang_after_s
        self._lock = threading.Lock()  # guards all below
        self._analyzed_at_s: deque[float] = deque()
        self._busy: tuple[float] | None = None  # since when; a new tuple for each frame
        self._fault: str | None = None

    @contextmanager
    def busy(self) -> Iterator[None]:
        """A context for the analysis of one frame."""
        mine = (self._clock.monotonic(),)
        with self._lock:
            self._busy = mine
        try:
            yield
        finally:
            with self._lock:
                if self._busy is mine:  # else this thread was given up, and another one is busy
                    self._busy = None

    @property
    def busy_since_s(self) -> float | None:
        """Since when the current frame is analyzed; None between frames."""
        busy = self._busy
        return None if busy is None else busy[0]

    def forget_busy(self) -> None:
        """The thread that is busy has been given up."""
        with self._lock:
            self._busy = None

    def succeeded(self) -> bool:
        """Note that a frame was analyzed; returns whether this ends a fault."""
        now_s = self._clock.monotonic()
        with self._lock:
            recovered, self._fault = self._fault is not None, None
            self._analyzed_at_s.append(now_s)
            while self._analyzed_at_s[0] <= now_s - FPS_WINDOW_S:
                self._analyzed_at_s.popleft()
        return recovered

    def failed(self, fault: str) -> bool:
        """Note that a frame could not be analyzed; returns whether this begins a fault."""
        with self._lock:
            new, self._fault = self._fault is None, fault
        return new

    def complete(self, status: SourceStatus) -> SourceStatus:
        """Add the frame rate to the status of a source, or the fault that keeps its frames from being shown.

        Args:
            status: What the source itself reports.

        Returns:
            The status with `fps`; `reconnecting` with the fault as its reason while frames cannot be analyzed.
        """
        now_s = self._clock.monotonic()
        with self._lock:
            recent = sum(at_s > now_s - FPS_WINDOW_S for at_s in self._analyzed_at_s)
            fault, busy_since_s = self._fault, self.busy_since_s
        if busy_since_s is not None and now_s - busy_since_s >= self._hang_after_s:
            fault = f"the analysis of one frame takes longer than {self._hang_after_s:g} s"
        if fault is not None and status.reason is None:
            return replace(status, state="reconnecting", reason=fault, fps=0.0, failing="analysis")
        return replace(status, fps=recent / FPS_WINDOW_S)


class PlaceholderSchedule:
    """When to publish which placeholder: at once when frames stop, then twice a second, for the countdown to a retry.

    An idle source gets a single placeholder. A source that starts or is opened again has half a second for its first
    frame.

        schedule = PlaceholderSchedule(Clock())
        if lines := schedule.pending(status):
            publisher.publish_placeholder(lines)

    Args:
        clock: Where the time comes from.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._published_at_s: float | None = None
        self._state: SourceState | None = None

    def starting(self) -> None:
        """A source starts: no placeholder for half a second."""
        self._published_at_s = self._clock.monotonic()

    def flowing(self) -> None:
        """A frame was published: if frames stop now, a placeholder follows at once."""
        self._published_at_s = None

    def pending(self, status: SourceStatus) -> list[str] | None:
        """The lines of the placeholder to publish now; None where none is needed, or not yet."""
        before, self._state = self._state, status.state
        if status.reason is None:
            self._published_at_s = None
            return None
        if status.state == "resting":
            return None if before == "resting" else _lines(status)
        if before == "resting":
            self.starting()
        now_s = self._clock.monotonic()
        if self._published_at_s is not None and now_s - self._published_at_s < PLACEHOLDER_EVERY_S:
            return None
        self._published_at_s = now_s
        return _lines(status)


def _lines(status: SourceStatus) -> list[str]:
    if status.state == "ended":
        return [f"{status.name} has ended"]
    if status.state == "resting":
        return [f"{status.name} is idle", "it starts when somebody watches"]
    lines = [f"Waiting for {status.name}", status.reason or ""]
    if status.retry_in_s is not None:
        lines.append(f"next try in {math.ceil(status.retry_in_s)} s" if status.retry_in_s > 0 else "trying now")
    return lines

"""How the analysis goes: its rate, what is amiss, and what viewers are told while no frames flow."""

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

EVERY_S = 0.5


class Pulse:
    """Kept by the thread that analyses, read by all. hang_after_s: an analysis that takes longer is told."""

    def __init__(self, clock: Clock, hang_after_s: float) -> None:
        self._clock = clock
        self._hang_after_s = hang_after_s
        self._lock = threading.Lock()  # guards all below
        self._analysed_at_s: deque[float] = deque()
        self._busy_since_s: float | None = None
        self._trouble: str | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a frame is being analysed."""
        return self._busy_since_s is not None

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Around the analysis of one frame."""
        self._busy_since_s = self._clock.monotonic()
        try:
            yield
        finally:
            self._busy_since_s = None

    def beat(self) -> bool:
        """A frame was analysed; true where that had failed before."""
        now_s = self._clock.monotonic()
        with self._lock:
            recovered, self._trouble = self._trouble is not None, None
            self._analysed_at_s.append(now_s)
            while self._analysed_at_s[0] <= now_s - FPS_WINDOW_S:
                self._analysed_at_s.popleft()
        return recovered

    def fail(self, trouble: str) -> bool:
        """A frame could not be analysed; true where all was well before."""
        with self._lock:
            new, self._trouble = self._trouble is None, trouble
        return new

    def complete(self, status: SourceStatus) -> SourceStatus:
        """The status of a source with the rate, or with what keeps its frames from being shown."""
        now_s = self._clock.monotonic()
        with self._lock:
            recent = sum(at_s > now_s - FPS_WINDOW_S for at_s in self._analysed_at_s)
            trouble, busy_since_s = self._trouble, self._busy_since_s
        if busy_since_s is not None and now_s - busy_since_s >= self._hang_after_s:
            trouble = f"the analysis of one frame takes longer than {self._hang_after_s:g} s"
        if trouble is not None and status.reason is None:
            return replace(status, state="reconnecting", reason=trouble, fps=0.0)
        return replace(status, fps=recent / FPS_WINDOW_S)


class Notices:
    """Says when a placeholder is due: at once when frames stop, then twice a second, as it counts down to the next try.

    A source that rests is told of once. When it starts or wakes it has half a second to bring its first frame.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told_at_s: float | None = None
        self._state: SourceState | None = None

    def starting(self) -> None:
        """A source begins: it needs no placeholder for the first half second."""
        self._told_at_s = self._clock.monotonic()

    def flowing(self) -> None:
        """A frame was shown: should they stop now, viewers learn it at once."""
        self._told_at_s = None

    def due(self, status: SourceStatus) -> list[str] | None:
        """The lines to show now; None where there is nothing to tell, or it is too early."""
        before, self._state = self._state, status.state
        if status.reason is None:
            self._told_at_s = None
            return None
        if status.state == "resting":
            return None if before == "resting" else _lines(status)
        if before == "resting":
            self.starting()
        now_s = self._clock.monotonic()
        if self._told_at_s is not None and now_s - self._told_at_s < EVERY_S:
            return None
        self._told_at_s = now_s
        return _lines(status)


def _lines(status: SourceStatus) -> list[str]:
    if status.state == "ended":
        return [f"{status.name} has ended"]
    if status.state == "resting":
        return [f"{status.name} rests", "it wakes when somebody watches"]
    lines = [f"Waiting for {status.name}", status.reason or ""]
    if status.retry_in_s is not None:
        lines.append(f"next try in {math.ceil(status.retry_in_s)} s" if status.retry_in_s > 0 else "trying now")
    return lines

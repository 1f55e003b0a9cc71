"""What viewers are told while no frames flow, and when."""

from __future__ import annotations

import math

from mien.clock import Clock
from mien.types import SourceState, SourceStatus

EVERY_S = 0.5


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

"""When the thorough stage of a detector with two stages runs in a stream, in addition to the one that proposes."""

from __future__ import annotations

import math
from enum import Enum

LIVE_SHARE = 0.08
"""Largest share of the time that the thorough stage may take in a live stream, unless a face is lost."""
LOST_AT_MOST_S = 1.0
"""A lost face is searched thoroughly at least this often, on slow computers too: its track would expire."""


class Need(Enum):
    """Why the thorough stage should run; the value is the shortest pause since its last run, in seconds."""

    NEW = 0.0
    """A face was first found by it, and is reported once it is found again."""
    LOST = 0.01
    """A known face was not proposed."""
    SEARCH = 0.5
    """There is no face."""
    ROUTINE = 1.5
    """All known faces were proposed; others may have appeared."""


class ThoroughSchedule:
    """Decides when the thorough stage runs in one stream; not to be shared.

        schedule = ThoroughSchedule(share=None)
        if schedule.is_due(Need.SEARCH, time_s=12.5):
            schedule.ran(Need.SEARCH, time_s=12.5, took_s=0.02)

    Args:
        share: Largest share of the time that it may take in a live stream, 0 to 1; None where results have to be the
            same each time: then only the times of the frames decide.
    """

    def __init__(self, share: float | None) -> None:
        self._share = share
        self._ran_at_s = -math.inf
        self._took_s = 0.0
        self._last: Need | None = None

    def is_due(self, need: Need, time_s: float) -> bool:
        """Whether the thorough stage should run now.

        Args:
            need: Why.
            time_s: Time of the frame in seconds.
        """
        if need is Need.NEW and self._last is Need.NEW:
            need = Need.LOST  # one immediate confirmation: false detections that move would cause one after another
        return not 0 <= time_s - self._ran_at_s < self._pause_s(need) - 1e-6

    def ran(self, need: Need, time_s: float, took_s: float) -> None:
        """Note that it ran.

        Args:
            need: Why.
            time_s: Time of the frame in seconds.
            took_s: How long it took, in seconds.
        """
        self._took_s = took_s + (self._took_s if need is Need.NEW else 0.0)
        self._ran_at_s = time_s
        self._last = need

    def _pause_s(self, need: Need) -> float:
        if self._share is None or need is Need.NEW:
            return need.value
        affordable_s = self._took_s / self._share
        return max(need.value, min(affordable_s, LOST_AT_MOST_S) if need is Need.LOST else affordable_s)

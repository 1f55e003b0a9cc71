"""Whether landmarks are wanted in the live pictures: always, or only while somebody asks for them."""

from __future__ import annotations

import math

from mien.clock import Clock
from mien.errors import LandmarkError
from mien.landmarks.network import missing

LASTS_S = 2.0
"""How long a request lasts: a stream of pictures asks with each of them."""


class LandmarkDemand:
    """Notes requests for landmarks; thread-safe.

        demand = LandmarkDemand()
        demand.request()
        analysis = stream.analyze(frame, time_s, landmarks=demand.wanted)

    Args:
        always: Whether landmarks are wanted without requests.
        clock: Where the time comes from.

    Attributes:
        missing: What has to be installed first, in one line; None if nothing.

    Raises:
        LandmarkError: `always`, and something has to be installed first.
    """

    def __init__(self, *, always: bool = False, clock: Clock | None = None) -> None:
        self.missing = missing()
        if always and self.missing is not None:
            raise LandmarkError(self.missing)
        self._always = always
        self._clock = clock or Clock()
        self._until_s = -math.inf

    def request(self) -> None:
        """Want landmarks for the next LASTS_S."""
        self._until_s = self._clock.monotonic() + LASTS_S

    @property
    def wanted(self) -> bool:
        """Whether landmarks are wanted now, and can be found."""
        return self.missing is None and (self._always or self._clock.monotonic() < self._until_s)

"""Whether landmarks are wanted in the live pictures: always, or only while somebody asks for them."""

from __future__ import annotations

import math
from collections.abc import Callable

from mien.clock import Clock
from mien.errors import LandmarkError
from mien.landmarks.network import missing, shared_network

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
        load: Loads the networks; raises LandmarkError.

    Attributes:
        missing: Why landmarks cannot be found, such as what has to be installed first, in one line; else None.

    Raises:
        LandmarkError: `always`, and landmarks cannot be found.
    """

    def __init__(
        self, *, always: bool = False, clock: Clock | None = None, load: Callable[[], object] = shared_network
    ) -> None:
        self.missing = missing()
        self._load = load
        if always:
            self.load()
            if self.missing is not None:
                raise LandmarkError(self.missing)
        self._always = always
        self._clock = clock or Clock()
        self._until_s = -math.inf

    def load(self) -> None:
        """Load the networks if they are not loaded; if they are broken, `missing` says so from then on.

        To be called before `request`, so that the live picture neither waits for them nor fails because of them.
        """
        if self.missing is None:
            try:
                self._load()
            except LandmarkError as error:
                self.missing = str(error)

    def request(self) -> None:
        """Want landmarks for the next LASTS_S."""
        self._until_s = self._clock.monotonic() + LASTS_S

    @property
    def wanted(self) -> bool:
        """Whether landmarks are wanted now, and can be found."""
        return self.missing is None and (self._always or self._clock.monotonic() < self._until_s)

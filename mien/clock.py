"""The clocks of the computer in one object, so that tests can replace them."""

from __future__ import annotations

import time


class Clock:
    """The clocks of the computer; tests pass their own object with the same methods.

    Example:
        clock = Clock()
        start_s = clock.monotonic()
        elapsed_s = clock.monotonic() - start_s
    """

    def monotonic(self) -> float:
        """Seconds of a clock that is never adjusted, for measuring durations."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since the epoch, for saying when something happened."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait for this many seconds; zero or less returns at once."""
        if seconds > 0:
            time.sleep(seconds)

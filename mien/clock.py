"""Time as the rooms see it, in one object, so that a test can hand in its own."""

from __future__ import annotations

import time


class Clock:
    """The computer's clocks; a test replaces the whole object and turns the hands itself."""

    def monotonic(self) -> float:
        """Seconds that never jump, for measuring how long something takes."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since the epoch, for saying when something happened."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait; zero or less returns at once."""
        if seconds > 0:
            time.sleep(seconds)

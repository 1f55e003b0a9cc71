"""How long a test waits for what has to happen: as long as this computer needs, and no longer than it takes.

A wait ends with its event, so patience costs nothing where all goes well. It is scaled by how fast this computer is and
how busy; MIEN_TEST_PATIENCE=4 sets the factor.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

MOST = 30.0
"""No computer is taken to be slower than so many times the usual one."""

REFERENCE_S = 0.012
"""What the piece of work below takes on the usual computer, at rest."""


def _work_s() -> float:
    start_s = time.perf_counter()
    sum(number * number for number in range(200_000))
    return time.perf_counter() - start_s


def _busy() -> float:
    """How many processes want each core."""
    if not hasattr(os, "getloadavg"):  # Windows
        return 1.0
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


_SLOWNESS = max(1.0, min(_work_s() for _ in range(3)) / REFERENCE_S)


def factor() -> float:
    """How many times longer than on a fast computer at rest things may take now, 1 to 30."""
    chosen = os.environ.get("MIEN_TEST_PATIENCE")
    return float(chosen) if chosen else min(MOST, _SLOWNESS * _busy())


def scaled(seconds: float) -> float:
    """Seconds of a fast computer at rest in seconds of this one, as busy as it is now."""
    return seconds * factor()


PATIENCE_S = scaled(30.0)
"""A test that waits longer than this for one thing has failed."""


def wait_for(condition: Callable[[], T], what: str = "what was waited for", patience_s: float = 30.0) -> T:
    """The first true value of the condition, which is looked at again and again. For what no event announces.

    patience_s: on a fast computer at rest. Raises AssertionError where it does not come true.
    """
    begun_s = time.monotonic()
    pause, pause_s = threading.Event(), 0.002
    while not (value := condition()):
        waited_s = time.monotonic() - begun_s
        assert waited_s < scaled(patience_s), f"{what} did not come true within {waited_s:.0f} s; last: {value!r}"
        pause.wait(pause_s)
        pause_s = min(0.05, 1.5 * pause_s)
    return value


def stays(condition: Callable[[], object], seconds: float, what: str = "what should stay as it is") -> None:
    """Look again and again, for so long, that something stays true. For what must not happen."""
    pause = threading.Event()
    end_s = time.monotonic() + seconds
    while True:
        assert condition(), f"{what} changed"
        if time.monotonic() >= end_s:
            return
        pause.wait(0.02)

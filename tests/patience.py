"""How long a test waits for an event: as long as this computer needs, and no longer than it takes.

A wait ends with its event, so a long limit costs nothing in a passing test. The limit is scaled by the speed and load
of this computer; MIEN_TEST_PATIENCE=4 sets the factor.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

MOST = 30.0
"""The largest factor by which a computer is assumed to be slower than the reference."""

REFERENCE_S = 0.012
"""Duration of the work below on the reference computer when idle."""


def _work_s() -> float:
    start_s = time.perf_counter()
    sum(number * number for number in range(200_000))
    return time.perf_counter() - start_s


def _busy() -> float:
    """The number of processes per core that are ready to run."""
    if not hasattr(os, "getloadavg"):  # Windows
        return 1.0
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


_SLOWNESS = max(1.0, min(_work_s() for _ in range(3)) / REFERENCE_S)


def factor() -> float:
    """How many times longer than on a fast, idle computer a task may take now, 1 to 30."""
    chosen = os.environ.get("MIEN_TEST_PATIENCE")
    return float(chosen) if chosen else min(MOST, _SLOWNESS * _busy())


def scaled(seconds: float) -> float:
    """Convert seconds on a fast, idle computer to seconds on this one under its present load."""
    return seconds * factor()


PATIENCE_S = scaled(30.0)
"""A test that waits longer than this for one event has failed."""


def wait_for(condition: Callable[[], T], what: str = "what was waited for", patience_s: float = 30.0) -> T:
    """Poll a condition until it is true, and return its value. For changes without an event to wait for.

    patience_s: on a fast, idle computer. Raises AssertionError if the condition does not become true.
    """
    begun_s = time.monotonic()
    pause, pause_s = threading.Event(), 0.002
    while not (value := condition()):
        waited_s = time.monotonic() - begun_s
        assert waited_s < scaled(patience_s), f"{what} did not come true within {waited_s:.0f} s; last: {value!r}"
        pause.wait(pause_s)
        pause_s = min(0.05, 1.5 * pause_s)
    return value


def stays(condition: Callable[[], object], seconds: float, what: str = "the condition that should stay true") -> None:
    """Check repeatedly, for this time, that a condition stays true. For what must not happen."""
    pause = threading.Event()
    end_s = time.monotonic() + seconds
    while True:
        assert condition(), f"{what} changed"
        if time.monotonic() >= end_s:
            return
        pause.wait(0.02)

"""Memory of the process under test, judged after each fault."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

from mien.process import trim_memory

MOST_GROWTH_MB = 30.0
"""Above the start, while each kind of fault is caused for the first time: libraries and threads are used first then."""

MOST_LATER_MB = 10.0
"""Above the end of that, as the same faults come again."""


def resident_mb() -> float:
    """Memory of this process in MB, without what can be given back; 0 where the system does not tell."""
    gc.collect()
    trim_memory()
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0.0
    return pages * 4096 / 1e6


class Memory:
    """Compares memory with a level that it may exceed by some megabytes.

        memory = Memory()
        print(memory.judge())  # after each fault
        memory.warmed_up()  # after each kind of fault was caused

    Args:
        measure: Returns megabytes.
    """

    def __init__(self, measure: Callable[[], float] = resident_mb) -> None:
        self._measure = measure
        self._level_mb = self._newest_mb = self._start_mb = measure()
        self._most_mb = MOST_GROWTH_MB

    @property
    def grown_mb(self) -> float:
        """From the start to the last measurement."""
        return self._newest_mb - self._start_mb

    def warmed_up(self) -> None:
        """From now on, memory has to stay flat."""
        self._level_mb, self._most_mb = self._newest_mb, MOST_LATER_MB

    def judge(self) -> str | None:
        """Measure; returns what is wrong, once for each time that the limit is exceeded."""
        before_mb, self._newest_mb = self._newest_mb, self._measure()
        grown_mb = self._newest_mb - self._level_mb
        if grown_mb <= self._most_mb:
            return None
        self._level_mb = self._newest_mb
        return f"memory grew by {grown_mb:.1f} MB, by {self._newest_mb - before_mb:.1f} MB since the fault before"

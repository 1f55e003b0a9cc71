"""One target and its inputs in one process: counts what is wrong, and keeps the inputs that show it."""

from __future__ import annotations

import faulthandler
import gc
import hashlib
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import psutil
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from benchmarks.fuzz.target import Call, Target
from mien.process import release_memory

MOST_S = 2.0
HANG_S = float(os.environ.get("MIEN_FUZZ_HANG_S", "20"))
"""After this long an input counts as one that hangs: its process is ended."""
MOST_GROWTH_MB = 50.0
BATCH = 250
"""Inputs of one run of Hypothesis, which remembers them all until its end."""
TRIES = 3
"""A slow input is tried again: another program may have kept the memory or the disk busy."""
LEAST = 20
"""The first inputs of each run of Hypothesis are the simplest ones."""
KEPT = 3
"""Inputs of the same fault that are kept."""
MB = 2**20
_SCHEDULED = Path("/proc/thread-self/schedstat")
ROOT = Path(__file__).parents[2]


@dataclass
class Outcome:
    """What became of the inputs of one target.

    Args:
        inputs: How many were tried.
        faults: How often each fault was seen, by its description.
        slowest_s: Time that the slowest input took.
        grown_mb: Growth of memory from the end of the warm-up.
        peak_mb: The most memory above that at the beginning, as the system counts it.
        seconds: Time for all.
    """

    inputs: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    grown_mb: float = 0.0
    peak_mb: float = 0.0
    seconds: float = 0.0

    def add(self, other: Outcome) -> None:
        """Take what another process has found."""
        self.inputs += other.inputs
        self.faults += other.faults
        self.slowest_s = max(self.slowest_s, other.slowest_s)
        self.grown_mb = max(self.grown_mb, other.grown_mb)
        self.peak_mb = max(self.peak_mb, other.peak_mb)
        self.seconds += other.seconds


class Trial:
    """Tries inputs of one target in this process.

        outcome = Trial(target, work, failures).run(1000, seed=1)

    Args:
        target: The parser.
        work: An empty folder for what the target stores.
        failures: Folder for inputs that show a fault.
        before: Is called with each input before it is tried, as a note of it for the case that the process dies.
        watchdog: File for the traceback of an input that hangs, whose process then ends; None for no watchdog.
    """

    def __init__(
        self,
        target: Target,
        work: Path,
        failures: Path,
        before: Callable[[bytes], None] = lambda data: None,
        watchdog: TextIO | None = None,
    ) -> None:
        self._target = target
        self._work = work
        self._failures = failures
        self._before = before
        self._watchdog = watchdog
        self._call: Call = lambda data: None
        self.outcome = Outcome()

    def run(self, inputs: int, seed_of_run: int, first: int = 0, after: Callable[[], None] = lambda: None) -> Outcome:
        """Try inputs.

        Args:
            inputs: How many.
            seed_of_run: The same seed gives the same inputs.
            first: Number of the first batch.
            after: Is called after each batch.
        """
        with ExitStack() as cleanup:
            strategy, self._call = self._target.prepare(self._work, cleanup)
            begun_s, least_mb, warm_mb = time.perf_counter(), resident_mb(), None
            number, size = first, max(LEAST, min(BATCH, inputs // 5))
            while self.outcome.inputs < inputs:
                self._try_batch(strategy, f"{seed_of_run} {number}", min(size, inputs - self.outcome.inputs))
                number += 1
                now_mb = resident_mb()
                if warm_mb is None and self.outcome.inputs >= min(2 * BATCH, inputs / 5):
                    warm_mb = now_mb  # caches are filled
                self.outcome.seconds = time.perf_counter() - begun_s
                self.outcome.peak_mb = max(0.0, peak_mb() - least_mb)
                self.outcome.grown_mb = 0.0 if warm_mb is None else now_mb - warm_mb
                after()
        if self.outcome.grown_mb > MOST_GROWTH_MB:
            self.outcome.faults[f"memory grew by {self.outcome.grown_mb:.0f} MB"] += 1
        return self.outcome

    def _try_batch(self, strategy: SearchStrategy[bytes], seed_of_batch: str, count: int) -> None:
        left = count

        @seed(int.from_bytes(hashlib.sha256(seed_of_batch.encode()).digest()[:8], "big"))
        @settings(
            max_examples=count,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy)
        def one(data: bytes) -> None:
            nonlocal left
            if left > 0:
                left -= 1
                self.try_input(data)

        one()

    def try_input(self, data: bytes) -> None:
        """Try one input, and count what is wrong."""
        self._before(data)
        self.outcome.inputs += 1
        took_s, fault = self._time(data)
        for _ in range(TRIES - 1):
            if took_s > MOST_S:
                took_s = min(took_s, self._time(data)[0])
        self.outcome.slowest_s = max(self.outcome.slowest_s, took_s)
        if took_s > MOST_S:
            fault = fault or f"slow: {took_s:.1f} s"
        if fault is not None:
            self.outcome.faults[fault] += 1
            if self.outcome.faults[fault] <= KEPT:
                keep(self._failures, self._target.name, data)

    def _time(self, data: bytes) -> tuple[float, str | None]:
        """Seconds that an input takes, and its fault."""
        fault = None
        if self._watchdog is not None:
            faulthandler.dump_traceback_later(HANG_S, exit=True, file=self._watchdog)
        start_s, waited_s = time.perf_counter(), processor_wait_s()
        try:
            self._call(data)
        except self._target.clear:
            pass
        except BaseException as error:
            fault = describe_fault(error)
        took_s = time.perf_counter() - start_s - (processor_wait_s() - waited_s)
        if self._watchdog is not None:
            faulthandler.cancel_dump_traceback_later()
        return took_s, fault


def describe_fault(error: BaseException) -> str:
    """An exception by its type and the last line of the program that it passed: the same for the same fault."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [each for each in frames if ROOT in Path(each.filename).parents and ".venv" not in each.filename]
    last = ours[-1]
    return f"{type(error).__name__} in {Path(last.filename).relative_to(ROOT).as_posix()}:{last.lineno}"


def processor_wait_s() -> float:
    """How long this thread has waited for a processor that other programs kept busy; 0 where that is not known."""
    try:
        return int(_SCHEDULED.read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def keep(folder: Path, name: str, data: bytes) -> Path:
    """Store an input that shows a fault, so that it can be replayed."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.{hashlib.sha256(data).hexdigest()[:12]}.input"
    path.write_bytes(data)
    return path


def resident_mb() -> float:
    """Memory of this process, without what can be given back."""
    gc.collect()
    release_memory()
    return float(psutil.Process().memory_info().rss / MB)


def peak_mb() -> float:
    """The most memory that this process has had."""
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset / MB)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / MB if sys.platform == "darwin" else peak / 1024

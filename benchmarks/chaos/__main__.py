"""Faults at random: `python -m benchmarks.chaos --minutes 20 --seed 1`, all on this computer.

Camera, streams, recording, saved video and web server are those of the program; source and network are stubs, so that
they can be broken. After each fault `/healthz` is 200, every page answers, rows and video go on, each counted row is in
its file, there are no more threads and descriptors than at the start, and memory is flat.
"""

from __future__ import annotations

import argparse
import logging
import random
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.chaos.rig import Rig

MOST_GROWTH_MB = 30.0


def main(argv: Sequence[str] | None = None) -> int:
    """Cause faults in random order for some minutes; 1 if something was not as it has to be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=None, help="of the order; random by default, and printed")
    options = parser.parse_args(argv)
    seed = random.randrange(10**6) if options.seed is None else options.seed
    print(f"seed {seed}")
    logging.disable(logging.CRITICAL)  # each fault is logged many times over
    with tempfile.TemporaryDirectory() as folder:
        failures = cause_faults(Path(folder), options.minutes * 60, seed)
    for name, what in failures:
        print(f"{name}: {what}")
    return 1 if failures else 0


def cause_faults(folder: Path, seconds: float, seed: int) -> list[tuple[str, str]]:
    """Cause faults in random order, each once before any comes again, and print a table.

    Args:
        folder: For recordings; exists.
        seconds: How long.
        seed: Of the order.

    Returns:
        Each fault after which something was not as it has to be, and what.
    """
    order, failures, tried = random.Random(seed), [], Counter[str]()
    with Rig(folder) as rig:
        deadline_s, start_mb = time.monotonic() + seconds, resident_mb()
        while time.monotonic() < deadline_s:
            faults = rig.faults()
            order.shuffle(faults)
            for fault in faults:
                tried[fault.name] += 1
                if (what := rig.try_fault(fault)) is not None:
                    failures.append((fault.name, what))
                if time.monotonic() >= deadline_s:
                    break
            print(
                f"{tried.total()} faults, {len(failures)} failures, memory {resident_mb() - start_mb:+.1f} MB",
                flush=True,
            )
        grown_mb = resident_mb() - start_mb
    print(f"{len(tried)} kinds of faults")
    if grown_mb > MOST_GROWTH_MB:
        failures.append(("memory", f"grew by {grown_mb:.1f} MB"))
    return failures


def resident_mb() -> float:
    """Memory of this process in MB; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0.0
    return pages * 4096 / 1e6


if __name__ == "__main__":
    raise SystemExit(main())

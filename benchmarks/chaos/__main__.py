"""Faults at random: `python -m benchmarks.chaos --minutes 20 --seed 1`, all on this computer.

Camera, streams, recording, saved video, outputs and web server are those of the program; source, network and the
receiver of the output are stubs, so that they can be broken. After each fault `/healthz` is 200, every page answers,
rows, video and messages go on, each counted row is in its file, there are no more threads and descriptors than at the
start, and memory is flat. A fault whose place was not reached while it lasted counts as a failure too.
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

from benchmarks.chaos.memory import Memory
from benchmarks.chaos.rig import Rig
from mien.process import limit_arenas

ONCE_S = 0.1
"""How long faults last that are caused once, beyond the moment at which they reach their place."""


def main(argv: Sequence[str] | None = None) -> int:
    """Cause faults in random order for some minutes; 1 if something was not as it has to be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=None, help="of the order; random by default, and printed")
    parser.add_argument("--once", action="store_true", help="instead, each fault except hangs, once and briefly")
    options = parser.parse_args(argv)
    seed = random.randrange(10**6) if options.seed is None else options.seed
    print(f"seed {seed}")
    logging.disable(logging.CRITICAL)  # each fault is logged many times over
    limit_arenas()  # as the program does
    with tempfile.TemporaryDirectory() as folder, Rig(Path(folder)) as rig:
        failures = cause_once(rig, seed) if options.once else cause_faults(rig, options.minutes * 60, seed)
    for name, what in failures:
        print(f"{name}: {what}")
    return 1 if failures else 0


def cause_faults(rig: Rig, seconds: float, seed: int) -> list[tuple[str, str]]:
    """Cause faults in random order, each once before any comes again, and print a table.

    Args:
        rig: Started.
        seconds: How long.
        seed: Of the order.

    Returns:
        Each fault after which something was not as it has to be, and what.
    """
    order, failures, tried, memory = random.Random(seed), [], Counter[str](), Memory()
    deadline_s = time.monotonic() + seconds
    while time.monotonic() < deadline_s:
        faults = rig.faults()
        order.shuffle(faults)
        for fault in faults:
            tried[fault.name] += 1
            found = rig.try_fault(fault), memory.judge()
            failures += [(fault.name, what) for what in found if what is not None]
            if time.monotonic() >= deadline_s:
                break
        if tried.total() == len(faults):
            memory.warmed_up()
        print(f"{tried.total()} faults, {len(failures)} failures, memory {memory.grown_mb:+.1f} MB", flush=True)
    print(f"{len(tried)} kinds of faults")
    return failures


def cause_once(rig: Rig, seed: int) -> list[tuple[str, str]]:
    """Cause each fault once that does not hang, briefly, and print the name of each.

    Args:
        rig: Started.
        seed: Of the order.

    Returns:
        As `cause_faults`.
    """
    faults, failures, memory = [fault for fault in rig.faults() if not fault.hangs], [], Memory()
    random.Random(seed).shuffle(faults)
    for fault in faults:
        print(f"caused {fault.name}", flush=True)
        found = rig.try_fault(fault, most_s=ONCE_S), memory.judge()
        failures += [(fault.name, what) for what in found if what is not None]
    print(f"memory {memory.grown_mb:+.1f} MB")
    return failures


if __name__ == "__main__":
    raise SystemExit(main())

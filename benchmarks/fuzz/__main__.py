"""`python -m benchmarks.fuzz --inputs 100000 --seed 1`: mutated inputs for every parser; `--replay FILE` repeats one.

An input fails if anything but a clear error is raised, if it takes more than two seconds, or if the process dies; a
target fails, too, if its inputs let the memory of the process grow by more than 50 MB.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.fuzz.runner import run_target
from benchmarks.fuzz.targets import TARGETS


def main(argv: Sequence[str] | None = None) -> int:
    """Fuzz all targets or some, and print a table; 1 if an input showed a fault."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000, help="of all targets together (%(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="of the inputs; random by default, and printed")
    parser.add_argument("--target", action="append", choices=TARGETS, help="only this one, with its share; repeatable")
    parser.add_argument(
        "--failures", type=Path, default=Path("runs/fuzz"), help="folder for inputs that fail (%(default)s)"
    )
    parser.add_argument("--replay", type=Path, metavar="FILE", help="try one such input again, in this process")
    options = parser.parse_args(argv)
    if options.replay is not None:
        return replay(options.replay)
    seed = random.randrange(10**6) if options.seed is None else options.seed
    whole = sum(target.share for target in TARGETS.values())
    print(f"seed {seed}\n\n| target | inputs | faults | slowest, s | growth, MB | peak, MB | time, s |")
    print("|---|---|---|---|---|---|---|")
    faults: dict[str, int] = {}
    tried = 0
    for name in options.target or TARGETS:
        share = max(1, round(options.inputs * TARGETS[name].share / whole))
        found = run_target(name, share, seed, options.failures)
        tried += found.inputs
        faults |= {f"{name}: {what}": count for what, count in found.faults.items()}
        print(
            f"| {name} | {found.inputs:,} | {found.faults.total()} | {found.slowest_s:.2f} | {found.grown_mb:+.1f} "
            f"| {found.peak_mb:.0f} | {found.seconds:.0f} |",
            flush=True,
        )
    print(f"\n{tried:,} inputs, {sum(faults.values())} faults")
    for what, count in faults.items():
        print(f"  {count:6} {what}")
    return 1 if faults else 0


def replay(path: Path) -> int:
    """Try one input again, and print what it raises and how long it takes; 1 if it shows a fault.

    Args:
        path: An input that `main` has stored; its name begins with that of the target.
    """
    target = TARGETS[path.name.partition(".")[0]]
    data = path.read_bytes()
    with tempfile.TemporaryDirectory(prefix="mien-fuzz-") as folder, ExitStack() as cleanup:
        _, call = target.prepare(Path(folder), cleanup)
        start_s = time.perf_counter()
        try:
            call(data)
            print("accepted")
            status = 0
        except target.clear as error:
            print(f"refused: {error}")
            status = 0
        except BaseException:
            traceback.print_exc()
            status = 1
        print(f"{time.perf_counter() - start_s:.3f} s")
    return status


if __name__ == "__main__":
    raise SystemExit(main())

"""Runs each target in a process that may die or hang alone; the input to blame is kept."""

from __future__ import annotations

import faulthandler
import logging
import os
import pickle
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TextIO

from benchmarks.fuzz.target import Target
from benchmarks.fuzz.trial import ROOT, Outcome, Trial, keep

MOST_DEATHS = 20
"""After so many processes have died, the rest of a target's inputs is left out."""
CURRENT, FOUND, TRACEBACK = "current", "found", "traceback"


def run_target(name: str, inputs: int, seed: int, failures: Path, module: str = "benchmarks.fuzz.targets") -> Outcome:
    """Try inputs of a target, in one process after the other where they die.

    Args:
        name: Of the target.
        inputs: How many.
        seed: The same one gives the same inputs.
        failures: Folder for inputs that show a fault.
        module: Whose TARGETS has it.
    """
    whole, batch, deaths = Outcome(), 0, 0
    while whole.inputs < inputs and deaths < MOST_DEATHS:
        with tempfile.TemporaryDirectory(prefix="mien-fuzz-") as folder:
            left = inputs - whole.inputs
            words = [module, name, str(left), str(seed), str(batch), folder, str(failures.absolute())]
            status = subprocess.run([sys.executable, "-m", __name__, *words], cwd=ROOT, check=False).returncode
            outcome = _found(Path(folder))
            whole.add(outcome)
            if status == 0:
                break
            current = Path(folder, CURRENT)
            if not current.exists():
                raise RuntimeError(f"{name} cannot be prepared: {Path(folder, TRACEBACK).read_text(encoding='utf-8')}")
            data = current.read_bytes()
            count, data = int.from_bytes(data[:8], "big"), data[8:]
            whole.inputs += count - outcome.inputs
            what = _cause(Path(folder, TRACEBACK), status)
            whole.faults[what] += 1
            keep(failures, name, data)
            deaths += 1
            batch += count + 1  # more than it has begun
    return whole


def _found(folder: Path) -> Outcome:
    """What a process has reported; all of it that was complete when it died."""
    try:
        found: Outcome = pickle.loads((folder / FOUND).read_bytes())
    except FileNotFoundError:
        return Outcome()
    return found


def _cause(report: Path, status: int) -> str:
    """Why a process died, from what `faulthandler` wrote."""
    lines = report.read_text(encoding="utf-8", errors="replace").splitlines() or [f"ended with status {status}"]
    ours = [line.strip() for line in lines if str(ROOT) in line and ".venv" not in line and "benchmarks" not in line]
    where = f" in {ours[0].partition(str(ROOT))[2]}" if ours else ""
    if lines[0].startswith("Traceback"):  # of an exception outside the parser, as where inputs are made
        return f"cannot go on: {lines[-1]}"
    return f"{'hangs' if 'Timeout' in lines[0] else 'died: ' + lines[0]}{where}"


def main(argv: list[str]) -> None:
    """The process of one target; the words are those of `run_target`."""
    module, name, inputs, seed, batch, work, failures = argv
    targets: Mapping[str, Target] = import_module(module).TARGETS
    folder = Path(work)
    logging.disable(logging.CRITICAL)
    os.chdir(folder)
    for descriptor in (1, 2):  # libraries print what they think of broken inputs
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    (folder / "files").mkdir()
    with (folder / TRACEBACK).open("w", encoding="utf-8") as report:
        faulthandler.enable(report)
        try:
            _try_all(targets[name], folder, Path(failures), report, (int(inputs), int(seed), int(batch)))
        except Exception:
            traceback.print_exc(file=report)
            raise


def _try_all(target: Target, folder: Path, failures: Path, report: TextIO, run: tuple[int, int, int]) -> None:
    def note(data: bytes) -> None:
        (folder / CURRENT).write_bytes((trial.outcome.inputs + 1).to_bytes(8, "big") + data)

    def store() -> None:
        unfinished = folder / f"{FOUND}.part"
        unfinished.write_bytes(pickle.dumps(trial.outcome))
        unfinished.replace(folder / FOUND)

    trial = Trial(target, folder / "files", failures, note, report)
    trial.run(*run, store)
    store()


if __name__ == "__main__":
    main(sys.argv[1:])

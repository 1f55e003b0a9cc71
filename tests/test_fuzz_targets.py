"""Mutated inputs for every parser, in short; `make fuzz` tries 100,000."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import strategies as st

from benchmarks.fuzz import trial
from benchmarks.fuzz.__main__ import main
from benchmarks.fuzz.mutations import break_bytes, break_structure, dump
from benchmarks.fuzz.runner import run_target
from benchmarks.fuzz.target import Target
from benchmarks.fuzz.targets import TARGETS as REAL
from benchmarks.fuzz.trial import LEAST, Trial
from tests.fakes import FakeClock

SEED = 1
"""The same inputs in each run: what new ones find is for `make fuzz` to say."""


def _crash(data: bytes) -> None:
    raise KeyError


def _refuse(data: bytes) -> None:
    raise ValueError


def _grow(data: bytes, kept: list[bytes] = []) -> None:  # noqa: B006  it is to keep them
    kept.append(os.urandom(2**20))


def _prepare(call):
    return lambda folder, cleanup: (st.just(b"5"), call)


CALLS = {"hangs": lambda data: time.sleep(3600), "dies": lambda data: os.abort(), "crashes": _crash, "refuses": _refuse}
TARGETS = {name: Target(name, 1, _prepare(call), clear=(ValueError,)) for name, call in CALLS.items()}
"""Faulty parsers, which the processes of `run_target` import from here."""


LEFT_OUT = {"network-build", "network-bytes", "saved-model"}
"""Heavy targets, which are for `make fuzz`; of the heavy ones, the broken structures of HDF5 found most."""


@pytest.mark.parametrize("name", [name for name in REAL if name not in LEFT_OUT])
def test_no_input_crashes_or_hangs_a_parser(name: str, fuzz: int, tmp_path: Path, monkeypatch) -> None:
    if REAL[name].heavy:
        pytest.importorskip("tf_keras", reason="tf_keras is not installed")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "files").mkdir()
    count = LEAST if REAL[name].heavy else max(LEAST, fuzz // 6)
    outcome = Trial(REAL[name], tmp_path / "files", tmp_path / "failures").run(count, SEED)
    assert not outcome.faults
    assert outcome.inputs >= LEAST


@pytest.mark.parametrize(("name", "what"), [("dies", "died: Fatal Python error: Aborted"), ("hangs", "hangs")])
def test_a_process_that_dies_or_hangs_is_counted_and_its_input_kept(name, what, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MIEN_FUZZ_HANG_S", "0.5")
    outcome = run_target(name, 1, SEED, tmp_path, module="tests.test_fuzz_targets")
    (fault,) = outcome.faults
    assert fault.startswith(what)
    assert [path.read_bytes() for path in tmp_path.glob(f"{name}.*.input")] == [b"5"]


def test_an_exception_that_is_no_clear_error_is_counted_by_its_place(tmp_path) -> None:
    outcome = Trial(TARGETS["crashes"], tmp_path, tmp_path / "failures").run(3, SEED)
    ((fault, count),) = outcome.faults.items()
    assert fault.startswith("KeyError in tests/test_fuzz_targets.py:")
    assert count == outcome.inputs == 3
    assert not Trial(TARGETS["refuses"], tmp_path, tmp_path / "failures").run(3, SEED).faults


def test_growing_memory_is_counted(tmp_path) -> None:
    target = Target("grows", 1, lambda folder, cleanup: (st.binary(min_size=8, max_size=8), _grow))
    outcome = Trial(target, tmp_path, tmp_path / "failures").run(120, SEED)
    assert [fault for fault in outcome.faults if fault.startswith("memory grew by ")]


def test_a_slow_input_is_tried_again_before_it_counts(tmp_path, monkeypatch) -> None:
    clock, delays = FakeClock(), iter([3, 0, *[3] * 3])
    monkeypatch.setattr(trial, "time", SimpleNamespace(perf_counter=clock.monotonic))
    monkeypatch.setattr(trial, "processor_wait_s", lambda: 0.0)
    target = Target("slow", 1, lambda folder, cleanup: (st.just(b""), lambda data: clock.sleep(next(delays))))
    waits = Trial(target, tmp_path, tmp_path / "failures")
    waits.run(0, SEED)  # prepares it alone
    waits.try_input(b"once")
    assert not waits.outcome.faults
    waits.try_input(b"always")
    assert [fault for fault in waits.outcome.faults if fault.startswith("slow: ")]
    assert next(delays, None) is None


def test_a_stored_input_is_tried_again(tmp_path, capsys) -> None:
    path = tmp_path / "labels.0.input"
    path.write_bytes(b"happy,boredom")
    assert main(["--replay", str(path)]) == 0
    assert capsys.readouterr().out.startswith("refused: labels: expected angry, disgust,")


def test_mutations_are_repeated_by_their_seed_and_rarely_valid() -> None:
    import random

    seeds = [b'{"a": [1, 2]}']
    made = [break_bytes(random.Random(number), seeds) for number in range(300)]
    assert made == [break_bytes(random.Random(number), seeds) for number in range(300)]
    assert len(set(made)) > 250
    whole = {"a": [1, {"b": "text"}], "c": None}
    texts = {dump(break_structure(random.Random(number), whole)) for number in range(300)}
    assert len(texts) > 150
    assert whole == {"a": [1, {"b": "text"}], "c": None}

"""Each fault once, in short; `make chaos` causes them for 20 minutes in random order, and the hangs too."""

from __future__ import annotations

import http.client
import logging
import subprocess
import sys
import threading
import urllib.request
from contextlib import nullcontext

import numpy as np
import pytest

from benchmarks.chaos import rig as chaos_rig
from benchmarks.chaos.faults import BROKEN, Fault, Switchboard, broken_places
from benchmarks.chaos.memory import MOST_GROWTH_MB, MOST_LATER_MB, Memory
from benchmarks.chaos.rig import Rig
from mien.recording import csv_log
from mien.recording.video import VideoWriter
from tests.media import ROOT
from tests.patience import scaled

SEED = "1"
"""The same order in each run: what others show is for `make chaos` to say."""


@pytest.fixture(autouse=True)
def quiet():
    """Each fault is logged many times over."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_after_each_fault_all_works_and_nothing_is_left_behind(tmp_path) -> None:
    # In a process of its own: the other tests of this one have threads and files too.
    command = [sys.executable, "-m", "benchmarks.chaos", "--once", "--seed", SEED]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=scaled(240), check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    caused = [line.removeprefix("caused ") for line in done.stdout.splitlines() if line.startswith("caused ")]
    with Rig(tmp_path) as rig:
        faults = rig.faults()
    assert sorted(caused) == sorted(fault.name for fault in faults if not fault.hangs)
    assert {fault.place for fault in faults} >= {*BROKEN}


def test_a_fault_that_leaves_something_behind_is_noticed(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(chaos_rig, "SETTLED_WITHIN_S", 0.1)
    hang = threading.Event()

    class Leak:
        def __enter__(self):
            threading.Thread(target=hang.wait, daemon=True).start()

        def __exit__(self, *_):
            pass

    with Rig(tmp_path) as rig:
        found = rig.try_fault(Fault("a thread", Leak, seconds=0.0))
    hang.set()
    assert "threads" in found


def test_a_fault_that_never_reaches_its_place_is_noticed(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(chaos_rig, "REACHED_WITHIN_S", 0.1)
    with Rig(tmp_path) as rig:
        found = rig.try_fault(Fault("nowhere", nullcontext, seconds=0.0, place="nowhere"))
    assert found == "the fault never reached its place nowhere"


def test_a_program_that_does_not_start_is_stopped_again(tmp_path, monkeypatch) -> None:
    write_rows = csv_log._write_all
    monkeypatch.setattr(Rig, "_use_sessions", lambda _: (_ for _ in ()).throw(TimeoutError("no rows are written")))
    rig = Rig(tmp_path)
    with pytest.raises(TimeoutError, match="no rows"), rig:
        pass
    assert csv_log._write_all is write_rows
    assert not rig._video.write(np.zeros((8, 8, 3), np.uint8), 0.0)


def test_the_video_that_was_begun_anew_is_finished_at_the_end(tmp_path, monkeypatch) -> None:
    for name in ("_use_sessions", "_settled"):
        monkeypatch.setattr(Rig, name, lambda _: None)
    with Rig(tmp_path) as rig:
        rig._video.close()
        rig._video = newest = VideoWriter(tmp_path / "newest.mp4")
    assert not newest.write(np.zeros((8, 8, 3), np.uint8), 0.0)


def test_an_answer_that_breaks_off_is_none(tmp_path, monkeypatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise http.client.IncompleteRead(b"{")

    monkeypatch.setattr(urllib.request, "urlopen", broken)
    rig = Rig(tmp_path)
    assert rig._get("/healthz") == (0, b"")
    rig._video.close()


def test_memory_may_grow_at_first_and_has_to_stay_flat_afterwards() -> None:
    levels = iter([100.0, 101 + MOST_LATER_MB, 103 + MOST_LATER_MB, 104.0, 104 + MOST_LATER_MB, 106 + MOST_LATER_MB])
    memory = Memory(lambda: next(levels))
    assert memory.judge() is None
    assert memory.judge() is None
    memory.judge()
    memory.warmed_up()
    assert memory.judge() is None
    assert memory.judge() == f"memory grew by {MOST_LATER_MB + 2:.1f} MB, by 2.0 MB since the fault before"


def test_memory_that_grows_is_reported_with_the_fault_that_exceeds_the_limit() -> None:
    levels = iter([100.0, 100 + MOST_GROWTH_MB, 105 + MOST_GROWTH_MB, 106 + MOST_GROWTH_MB])
    memory = Memory(lambda: next(levels))
    found = [memory.judge() for _ in range(3)]
    assert found == [None, f"memory grew by {MOST_GROWTH_MB + 5:.1f} MB, by 5.0 MB since the fault before", None]


def test_each_place_can_be_broken_and_works_afterwards() -> None:
    board = Switchboard()
    for fault in broken_places(board):
        place = fault.name.split(":")[0]
        if fault.name.endswith("hangs"):
            continue
        with fault.cause(), pytest.raises(BaseException):  # noqa: B017, PT011  of any kind
            board.strike(place)
        board.strike(place)
        assert place in board.struck

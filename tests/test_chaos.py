"""Faults in random order, in short; `make chaos` causes them for 20 minutes."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading

import pytest

from benchmarks.chaos.faults import Fault, Switchboard, broken_places
from benchmarks.chaos.rig import Rig
from tests.media import ROOT
from tests.patience import scaled

SECONDS = 15.0


@pytest.fixture(autouse=True)
def quiet():
    """Each fault is logged many times over."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_after_faults_in_random_order_all_works_and_nothing_is_left_behind() -> None:
    # In a process of its own: the other tests of this one have threads and files too.
    command = [sys.executable, "-m", "benchmarks.chaos", "--minutes", str(SECONDS / 60)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=scaled(180), check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_fault_that_leaves_something_behind_is_noticed(tmp_path) -> None:
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

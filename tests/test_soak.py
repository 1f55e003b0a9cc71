"""What viewers do for an hour, in short; `make soak` does it for an hour."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.soak.__main__ import Outcome, Plan, judge, soak
from benchmarks.soak.program import Sample, unexpected

LATE = r".* did not (close|end) within [\d.]+ s"
"""What the program logs where threads take long to end, as on a busy computer."""

SAMPLE = Sample(500.0, 9, {"MainThread": 1, "capture": 1}, 4)


def test_after_all_that_viewers_do_no_answer_and_no_line_of_the_log_is_unexpected(tmp_path):
    outcome = soak(tmp_path, Plan(minutes=0.01, viewers=3, quiet_s=0, pause_s=0.1, heavy=False))
    assert not [each for each in outcome.wrong if not re.fullmatch(LATE, each)]
    assert outcome.start.threads["inference"] == outcome.end.threads["inference"] == 1
    assert outcome.start.objects > 0
    if Path("/proc/self/fd").is_dir():
        assert len(outcome.start.targets) > 3


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, []),
        ({"memory_mb": 519.0}, []),
        ({"memory_mb": 400.0}, []),
        ({"memory_mb": 521.0}, ["memory grew by 21.0 MB, expected at most 20"]),
        ({"descriptors": 10}, ["descriptors: 9 at the start, 10 at the end"]),
        (
            {"descriptors": 10, "targets": ("clip.mp4",)},
            ["descriptors: 9 at the start, 10 at the end", "open at the end: clip.mp4"],
        ),
        ({"native": 3}, ["threads of libraries: 4 at the start, 3 at the end"]),
        ({"threads": {"MainThread": 1}}, ["threads 'capture': 1 at the start, 0 at the end"]),
        ({"threads": {**SAMPLE.threads, "job": 2}}, ["threads 'job': 0 at the start, 2 at the end"]),
    ],
)
def test_what_is_left_behind_is_named(change, found):
    assert judge(Outcome(SAMPLE, replace(SAMPLE, **change), [])) == found


def test_unexpected_answers_are_named():
    assert judge(Outcome(SAMPLE, SAMPLE, ["GET /: 500"])) == ["GET /: 500"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Demo: open http://localhost:5000 (Ctrl-C stops)", True),
        ("no viewers: Demo is released", True),
        ("Demo gave no picture for 5 s; next try in 1 s", False),
        ("Traceback (most recent call last):", False),
        ("stopping", True),
        ("stopping the wrong thing", False),
    ],
)
def test_lines_of_the_log_that_say_that_something_is_wrong_are_found(line, expected):
    assert (unexpected([line]) == []) is expected

"""Events, summaries and their intervals."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from mien.batch.analysis import with_durations
from mien.batch.bootstrap import block_length, share_intervals
from mien.batch.events import Events
from mien.batch.frames import Reading
from mien.batch.summary import Summary
from mien.results import Result
from mien.types import EXPRESSIONS
from tests.web_fakes import face_showing


def result(time_s: float, *labels: str | None, unsure: bool = False) -> Result:
    """One face for each label, numbered from 1; None: that face is not seen."""
    faces = tuple(
        replace(face_showing(label), id=number, smoothed_label=label, unsure=unsure)
        for number, label in enumerate(labels, 1)
        if label is not None
    )
    return Result("a.mp4", 0, time_s, 64, 48, faces)


def collect(collector, results, end_s):
    for each, duration_s in with_durations(results, Reading(end_s=end_s)):
        collector.add(each, duration_s)
    return collector.rows()


def test_each_frame_lasts_until_the_next_and_the_last_until_the_end():
    timed = with_durations([result(time_s) for time_s in (0.0, 0.1, 0.5)], Reading(end_s=0.7))
    assert [duration_s for _, duration_s in timed] == pytest.approx([0.1, 0.4, 0.2])
    assert list(with_durations([], Reading())) == []


def test_events_join_frames_of_one_face_and_label():
    results = [
        result(0.0, "happy", None),
        result(0.1, "happy", "sad"),
        result(0.2, "fear", "sad"),
        result(0.4, None, "sad"),
        result(0.5, "fear", "sad"),
    ]
    rows = collect(Events("a.mp4"), results, 0.6)
    assert [(row["onset"], row["duration"], row["trial_type"], row["face"]) for row in rows] == [
        (0.0, 0.2, "happy", 1),
        (0.1, 0.5, "sad", 2),
        (0.2, 0.2, "fear", 1),
        (0.5, 0.1, "fear", 1),
    ]
    assert {row["input"] for row in rows} == {"a.mp4"}
    assert rows[0]["confidence"] == pytest.approx(result(0, "happy").faces[0].confidence)


def test_an_event_ends_where_a_gap_in_the_times_begins():
    events = Events("a.mp4")
    for time_s in (0.0, 1.0, 3600.0, 3601.0):
        events.add(result(time_s, "happy"), 1.0)
    assert [(row["onset"], row["duration"]) for row in events.rows()] == [(0.0, 2.0), (3600.0, 2.0)]


def test_a_summary_has_seven_rows_for_each_face():
    results = [result(i / 10, "happy" if i < 7 else "sad", "neutral", unsure=i < 5) for i in range(10)]
    rows = collect(Summary("a.mp4"), results, 1.0)
    assert [(row["face"], row["expression"]) for row in rows] == [(face, e) for face in (1, 2) for e in EXPRESSIONS]
    first = {row["expression"]: row for row in rows[:7]}
    assert first["happy"]["seconds"] == pytest.approx(0.7)
    assert first["sad"]["share"] == pytest.approx(0.3)
    assert first["fear"]["share"] == 0
    assert (first["happy"]["changes"], first["happy"]["frames"]) == (1, 10)
    assert first["happy"]["unsure_share"] == pytest.approx(0.5)
    assert rows[7]["changes"] == 0


def chain(random: np.random.Generator, n: int, stay: float) -> np.ndarray:
    """A sequence of 0 and 1, equally frequent, that keeps its value from one to the next with this probability."""
    return np.cumsum(random.random(n) > stay) % 2


def coverage(stay: float, n: int = 3000, trials: int = 24) -> tuple[float, float]:
    """How often the interval contains the true share, and its mean width."""
    random = np.random.default_rng(3)
    intervals = [share_intervals(chain(random, n, stay), np.ones(n), 2)[0] for _ in range(trials)]
    inside = [low <= 0.5 <= high for low, high in filter(None, intervals)]
    assert len(inside) == trials
    return float(np.mean(inside)), float(np.mean([high - low for low, high in filter(None, intervals)]))


def test_intervals_of_independent_values_are_those_of_the_binomial_distribution():
    inside, width = coverage(stay=0.5)
    assert inside > 0.85
    assert width == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 3000), rel=0.15)


def test_intervals_of_values_that_depend_on_each_other_are_wide_enough():
    inside, width = coverage(stay=0.97)
    assert inside > 0.8, "of 95 % wanted; intervals for independent values would contain it in 27 %"
    assert width > 4 * 2 * 1.96 * np.sqrt(0.25 / 3000)


def test_an_interval_is_the_same_each_time_and_left_out_where_the_series_is_too_short():
    values = chain(np.random.default_rng(5), 1000, 0.9)
    assert share_intervals(values, np.ones(1000), 3) == share_intervals(values, np.ones(1000), 3)
    assert share_intervals(values, np.ones(1000), 3)[2] is None
    assert share_intervals(np.array([0, 0, 1, 1]), np.ones(4), 2) == [None, None]
    assert share_intervals(np.array([0]), np.ones(1), 2) == [None, None]
    assert share_intervals(np.zeros(50, int), np.zeros(50), 2) == [None, None]


def test_intervals_of_long_series_need_little_memory():
    values = np.repeat(np.random.default_rng(5).integers(0, 7, 400), 50).astype(np.int8)
    weights = np.full(len(values), 0.04)
    assert all(share_intervals(values, weights, 7))
    tracemalloc.start()
    share_intervals(values, weights, 7)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak / len(values) < 90, "bytes per frame; 56 are the seven cumulative sums"


def test_a_constant_series_has_no_spread():
    assert share_intervals(np.zeros(50, int), np.ones(50), 2)[0] == (1.0, 1.0)


def test_blocks_grow_with_the_autocorrelation():
    random = np.random.default_rng(7)
    lengths = [block_length(chain(random, 5000, stay).astype(float)) for stay in (0.5, 0.9, 0.99)]
    assert lengths[0] < 4
    assert lengths[0] < lengths[1] < lengths[2]
    assert block_length(np.ones(9)) == 1

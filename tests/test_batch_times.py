"""Media times: from time stamps that rise, are missing, jump forward or go back."""

from __future__ import annotations

from fractions import Fraction

import pytest

from mien.batch.analysis import with_durations
from mien.batch.frames import Reading, Sampling, read_frames
from mien.batch.times import LONGEST_S, MediaTimes
from mien.results import Result
from tests.clips import write_video
from tests.test_batch_frames import gray


def times_of(*stamps: float | None, interval: float = 0.5) -> tuple[list[float], MediaTimes]:
    times = MediaTimes(Fraction(interval))
    return [float(times.next(None if stamp is None else Fraction(stamp))) for stamp in stamps], times


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        ([7, 7.5, 9, 9.25], [0, 0.5, 2, 2.25]),
        ([None, None, None], [0, 0.5, 1]),
        ([1, None, 3], [0, 0.5, 2]),
        ([1, 1, 1, 4], [0, 0.5, 1, 3]),
        ([3, 4, 3.5, 5], [0, 1, 1.5, 2]),
        ([90, 91, 0, 0.25, 2], [0, 1, 1.5, 1.75, 3.5]),
        ([0, 1, 3601, 3602], [0, 1, 3601, 3602]),
    ],
    ids=["rising", "missing", "some missing", "repeated", "back a little", "back to 0", "forward"],
)
def test_times_always_rise(stamps, expected):
    assert times_of(*stamps)[0] == expected


@pytest.mark.parametrize(
    ("stamps", "gap_s", "end_s"),
    [
        ([0, 1, 3601, 3602], 3600 - LONGEST_S, 3603),
        ([0, 1, 2, 90], 88 - LONGEST_S, 90 + LONGEST_S),
        ([0, 60, 120, 180], 0, 240),
        ([0, 8, 16], 0, 24),
        ([90, 91, 0, 1], 0, 4),
    ],
    ids=["forward", "forward at the end", "time lapse", "slow", "back"],
)
def test_no_frame_counts_as_shown_over_a_jump(stamps, gap_s, end_s):
    interval = 60 if stamps[1] == 60 else 1
    _, times = times_of(*stamps, interval=interval)
    assert (times.gap_s, float(times.end)) == (gap_s, end_s)


@pytest.mark.parametrize(
    ("frames", "end_s"),
    [
        ([(0, 1), (1, 49), (50, 9.96), (59.96, 0.04)], 60),
        ([(0, 0.1), (0.1, 0.1), (0.2, 5)], 5.2),
        ([(0, 0.1), (0.1, 0.1), (0.2, 50)], 0.2 + LONGEST_S),
        ([(0, 1), (1, 1), (2, None)], 3),
        ([(0, 0.04), (2, 0.04), (4, 0.04)], 6),
        ([(0, 0.04), (0.04, 0.04), (2, 0.04)], 3.96),
    ],
    ids=["short", "long", "too long", "not said", "average", "average of some"],
)
def test_the_last_frame_lasts_as_long_as_the_file_says_if_that_was_right_before(frames, end_s):
    times = MediaTimes(Fraction(1, 25))
    for stamp, lasts in frames:
        times.next(Fraction(str(stamp)), None if lasts is None else Fraction(str(lasts)))
    assert float(times.end) == pytest.approx(end_s)


def test_a_time_stamp_near_the_last_frame_has_a_time_once_there_is_a_frame():
    assert MediaTimes(Fraction(1)).of(Fraction(5000)) is None
    assert times_of(5000, 5001)[1].of(Fraction(5002)) == 2
    assert times_of(90, 91, 0, 1)[1].of(Fraction(2)) == 3.5, "0 came half a second after 91"


def test_jumps_are_counted_and_the_first_is_described():
    assert times_of(0, 1, 2)[1].described == ""
    assert times_of(0, 1, 101, 102)[1].described == "time stamps jump by +100.0 s after 1.0 s"
    assert times_of(50, 51, 0, 1, 101)[1].described == "time stamps jump by -51.0 s after 1.0 s, and 1 more time"


@pytest.mark.parametrize(("end_s", "lasts_s"), [(60, LONGEST_S), (5, 3), (3601, LONGEST_S)])
def test_an_end_within_a_gap_leaves_the_last_frame_its_duration(tmp_path, end_s, lasts_s):
    clip = write_video(tmp_path / "gap.mkv", [gray(30 * i) for i in range(5)], [0.0, 1.0, 2.0, 3600.0, 3601.0])
    reading = Reading()
    frames = read_frames(clip, Sampling(end_s=end_s), reading)
    results = (Result("gap.mkv", frame.index, frame.media_time_s, 64, 48, ()) for frame in frames)
    timed = [duration_s for _, duration_s in with_durations(results, reading)]
    assert timed[:3] == pytest.approx([1, 1, lasts_s])


def test_a_gap_is_in_the_times_but_not_in_the_durations(tmp_path):
    times_s = [0.0, 0.04, 0.08, 3600.0, 3600.04]
    clip = write_video(tmp_path / "gap.mkv", [gray(30 * i) for i in range(5)], times_s)
    reading = Reading()
    frames = ((frame.index, frame.media_time_s) for frame in read_frames(clip, reading=reading))
    results = (Result("gap.mkv", index, time_s, 64, 48, ()) for index, time_s in frames)
    timed = list(with_durations(results, reading))
    assert [result.time_s for result, _ in timed] == pytest.approx(times_s, abs=1e-3)
    assert [duration_s for _, duration_s in timed] == pytest.approx([0.04, 0.04, LONGEST_S, 0.04, 0.04], abs=2e-3)
    assert reading.faults == "time stamps jump by +3599.9 s after 0.1 s"

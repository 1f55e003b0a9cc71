import itertools

import numpy as np
import pytest

from mien.analysis.optical_flow import Motion
from mien.analysis.smoothing import OneEuroFilter
from mien.analysis.tracker import DETECT_EVERY_S, EXPIRE_AFTER_S, Tracker
from mien.types import Box, Detection

FRAME_S = 1 / 30


def follow(tracker, rows, start_s=0.0):
    """Update with one list of boxes per frame; returns the reported ids after each."""
    return [[t.id for t in tracker.update(boxes, start_s + i * FRAME_S)] for i, boxes in enumerate(rows)]


def test_without_boxes_there_are_no_faces():
    assert follow(Tracker(), [[], [], []]) == [[], [], []]


def test_a_face_is_reported_from_its_second_detection_and_keeps_its_number():
    rows = [[Box(100 + 4 * i, 80, 60, 60)] for i in range(20)]
    assert follow(Tracker(), rows) == [[]] + [[1]] * 19


def test_a_single_false_positive_is_never_reported():
    face, ghost = Box(10, 10, 60, 60), Box(300, 200, 60, 60)
    rows = [[face], [face, ghost]] + [[face]] * 40
    assert follow(Tracker(), rows)[1:] == [[1]] * 41


@pytest.mark.parametrize(("missed_s", "expected"), [(EXPIRE_AFTER_S - 0.1, [1]), (EXPIRE_AFTER_S + 0.1, [])])
def test_missed_detections_are_bridged_for_a_while(missed_s, expected):
    tracker = Tracker()
    follow(tracker, [[Box(50, 50, 80, 80)]] * 3)
    assert follow(tracker, [[], []], start_s=0.5)[-1] == [1]
    assert [t.id for t in tracker.update([], 0.5 + missed_s)] == expected


def test_without_detection_a_face_is_not_missed_but_eventually_forgotten():
    tracker = Tracker()
    follow(tracker, [[Box(50, 50, 80, 80)]] * 3)
    assert [t.id for t in tracker.update([], 1.0)] == [1]
    tracker = Tracker()
    follow(tracker, [[Box(50, 50, 80, 80)]] * 3)
    assert tracker.update([], 0.1 + DETECT_EVERY_S + EXPIRE_AFTER_S) == []


def test_a_missed_face_is_searched_again_sooner():
    tracker = Tracker()
    follow(tracker, [[Box(50, 50, 80, 80)]] * 3)
    assert not tracker.needs_detection(2 * FRAME_S + 0.3)
    tracker.update([], 0.5)
    assert not tracker.needs_detection(0.6)
    assert tracker.needs_detection(0.7)
    tracker.update([Box(50, 50, 80, 80)], 0.7)
    assert not tracker.needs_detection(1.1)
    assert tracker.needs_detection(0.7 + DETECT_EVERY_S)


@pytest.mark.parametrize("gap_s", [1.0, 1.3, 2.0, 9.0])
def test_a_face_found_by_each_detection_is_reported_at_any_interval(gap_s):
    tracker = Tracker()
    face = Box(50, 50, 80, 80)
    shown = [[t.id for t in tracker.update([face], i * gap_s)] for i in range(4)]
    assert shown == [[], [1], [1], [1]]


def test_at_long_intervals_false_positives_are_not_reported_and_lost_faces_not_bridged():
    tracker = Tracker()
    face, ghost = Box(50, 50, 80, 80), Box(300, 200, 60, 60)
    rows = [[face], [face, ghost], [face], [face, ghost], [face], [], [face], [face]]
    shown = [[t.id for t in tracker.update(boxes, i * 2.0)] for i, boxes in enumerate(rows)]
    assert shown == [[], [1], [1], [1], [1], [], [], [2]]


def test_a_clock_set_back_keeps_no_face_that_was_just_missed():
    tracker = Tracker()
    follow(tracker, [[Box(50, 50, 80, 80)]] * 3, start_s=3600)
    assert [t.id for t in tracker.update([], 3600.5)] == [1]
    assert [t.id for t in tracker.update([], 10.0)] == [1]
    assert tracker.update([], 10.0 + EXPIRE_AFTER_S + 0.1) == []


def test_a_face_continues_when_the_clock_is_set_back():
    tracker = Tracker()
    rows = [[Box(50, 50, 80, 80)]] * 3
    assert follow(tracker, rows, start_s=3600)[-1] == [1]
    assert follow(tracker, rows, start_s=10) == [[1]] * 3


def test_a_forgotten_number_is_not_used_again():
    tracker = Tracker()
    box = Box(50, 50, 80, 80)
    assert follow(tracker, [[box]] * 3)[-1] == [1]
    assert follow(tracker, [[]], start_s=5.0) == [[]]
    assert follow(tracker, [[box]] * 3, start_s=5.0)[-1] == [2]


def test_trackers_that_share_a_counter_never_repeat_a_number():
    numbers = itertools.count(1)
    rows = [[Box(50, 50, 80, 80), Box(300, 60, 90, 90)]] * 3
    assert [follow(Tracker(numbers), rows)[-1] for _ in range(3)] == [[1, 2], [3, 4], [5, 6]]


def test_two_faces_keep_their_numbers_whatever_the_order_of_boxes():
    left, right = Box(20, 50, 70, 70), Box(300, 60, 90, 90)
    tracker = Tracker()
    rows = [[left, right], [right, left], [left, right]]
    follow(tracker, rows)
    tracks = tracker.update([right, left], 1.0 * FRAME_S * 3)
    assert {t.id: t.box.x < 150 for t in tracks} in ({1: True, 2: False}, {1: False, 2: True})
    first = {t.id: t.box.x < 150 for t in tracks}
    assert {t.id: t.box.x < 150 for t in tracker.update([left, right], FRAME_S * 4)} == first


def test_a_fast_face_is_matched_by_distance():
    rows = [[Box(100, 80, 60, 60)]] * 2 + [[Box(132, 80, 60, 60)], [Box(164, 80, 60, 60)]]
    assert follow(Tracker(), rows)[-1] == [1]


def test_two_boxes_on_one_face_count_once():
    rows = [[Box(100, 80, 60, 60), Box(106, 84, 60, 60)]] * 5
    assert follow(Tracker(), rows)[-1] == [1]


@pytest.mark.parametrize("swap", [False, True])
def test_a_box_inside_a_face_is_not_a_face(swap):
    face, eye = Box(100, 80, 200, 200), Box(150, 110, 70, 70)
    assert follow(Tracker(), [[eye, face] if swap else [face, eye]] * 3)[-1] == [1]
    tracker = Tracker()
    follow(tracker, [[face]] * 3)
    assert follow(tracker, [[eye, face] if swap else [face, eye]] * 3, start_s=0.1)[-1] == [1]
    assert tracker.confirmed()[0].box.iou(face) > 0.9


def test_two_adjacent_faces_stay_two():
    assert follow(Tracker(), [[Box(100, 80, 100, 100), Box(145, 90, 90, 90)]] * 3)[-1] == [1, 2]


def test_boxes_are_steady_at_rest_and_follow_motion():
    rng = np.random.default_rng(0)
    tracker = Tracker()
    noisy = [Box(200 + int(rng.integers(-4, 5)), 150 + int(rng.integers(-4, 5)), 100, 100) for _ in range(90)]
    shown = [tracker.update([box], i * FRAME_S) for i, box in enumerate(noisy)]
    xs = [tracks[0].box.x for tracks in shown[30:]]
    assert np.std(xs) < 0.7 * np.std([box.x for box in noisy[30:]])
    moving = Tracker()
    overlaps = []
    for i in range(60):
        box = Box(100 + 6 * i, 100, 100, 100)
        tracks = moving.update([box], i * FRAME_S)
        if tracks:
            overlaps.append(tracks[0].box.iou(box))
    assert min(overlaps) > 0.6


def test_the_filter_survives_equal_timestamps():
    one_euro = OneEuroFilter(np.zeros(2), 1.0)
    assert np.isfinite(one_euro.update(np.ones(2), 1.0)).all()


def test_a_track_keeps_what_the_last_detection_said_and_moves_its_landmarks():
    points = ((120.0, 100.0), (140.0, 110.0), (130.0, 120.0), (120.0, 130.0), (140.0, 130.0))
    tracker = Tracker()
    for i in range(3):
        tracker.update([Detection(100, 80, 60, 60, "centerface", points)], i * FRAME_S)
    (track,) = tracker.confirmed()
    track.move(Motion(dx=10, dy=-5, scale=2.0))
    assert track.box == Detection(80, 45, 120, 120, "centerface", track.box.landmarks)
    assert track.box.landmarks[0] == pytest.approx((120, 85))
    assert track.box.roll_deg > 5
    tracker.update([Detection(80, 45, 120, 120, "haar")], 3 * FRAME_S)
    assert (track.box.found_by, track.box.landmarks, track.box.roll_deg) == ("haar", None, 0)
    tracker.update([Box(80, 45, 120, 120)], 4 * FRAME_S)
    assert track.box == Box(80, 45, 120, 120)

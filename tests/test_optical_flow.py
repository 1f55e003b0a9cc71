import cv2
import numpy as np
import pytest

from mien.analysis.optical_flow import Flow, OpticalFlow
from mien.analysis.scenes import Scene
from mien.analysis.tracker import DETECT_EVERY_S, SEARCH_EVERY_S, Tracker
from mien.types import Box, Frame

FRAME_S = 1 / 30


def texture(seed, width, height):
    """Smooth blobs, uint8 (height, width, 3)."""
    coarse = np.random.default_rng(seed).integers(30, 220, (height // 12, width // 12, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


BACKGROUND, FACE = texture(0, 640, 480), texture(1, 120, 120)


def scene(x, y, side=120):
    picture = BACKGROUND.copy()
    picture[y : y + side, x : x + side] = cv2.resize(FACE, (side, side), interpolation=cv2.INTER_LINEAR)
    return picture


def middle(x, y, side=120):
    return np.array([x + side / 2, y + side / 2, side, side], float)


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (5, 0), (-8, 6), (12, -12)])
def test_a_moved_face_is_followed(dx, dy):
    flow = OpticalFlow()
    assert flow.step(scene(200, 150), [middle(200, 150)]) == Flow(Scene.NEW, []), "there was no picture before"
    (motion,) = flow.step(scene(200 + dx, 150 + dy), [middle(200, 150)]).motions
    assert (motion.dx, motion.dy) == (pytest.approx(dx, abs=1), pytest.approx(dy, abs=1))
    assert motion.scale == pytest.approx(1, abs=0.02)


def test_an_approaching_face_grows():
    flow = OpticalFlow()
    flow.step(scene(200, 150, 120), [])
    (motion,) = flow.step(scene(196, 146, 128), [middle(200, 150)]).motions
    assert motion.scale == pytest.approx(128 / 120, abs=0.02)


@pytest.mark.parametrize(("x", "y"), [(0, 0), (520, 360), (0, 360)])
def test_a_face_at_the_edge_is_followed(x, y):
    flow = OpticalFlow()
    flow.step(scene(x, y), [])
    toward = 4 if x == 0 else -4
    (motion,) = flow.step(scene(x + toward, y), [middle(x, y)]).motions
    assert (motion.dx, motion.dy) == (pytest.approx(toward, abs=1), pytest.approx(0, abs=1))


@pytest.mark.parametrize("center", [(-300, 200), (900, 200), (300, -200), (300, 900), (-5000, 5000)])
def test_a_face_outside_the_picture_is_lost(center):
    flow = OpticalFlow()
    flow.step(scene(200, 150), [])
    assert flow.step(scene(200, 150), [np.array([*center, 120.0, 120.0])]).motions == [None]


def test_faces_far_from_each_other_are_each_followed():
    pixels = [BACKGROUND.copy(), BACKGROUND.copy()]
    for picture, step in zip(pixels, (0, 5), strict=True):
        for x, y in ((20 + step, 20), (480, 330 - step)):
            picture[y : y + 120, x : x + 120] = FACE
    flow = OpticalFlow()
    flow.step(pixels[0], [])
    motions = flow.step(pixels[1], [middle(20, 20), middle(480, 330)]).motions
    assert [(round(motion.dx), round(motion.dy)) for motion in motions] == [(5, 0), (0, -5)]


def test_a_face_that_disappears_is_lost():
    flow = OpticalFlow()
    flow.step(scene(200, 150), [])
    noise = scene(200, 150)
    noise[140:280, 190:330] = np.random.default_rng(3).integers(0, 255, (140, 140, 3), dtype=np.uint8)
    assert flow.step(noise, [middle(200, 150)]).motions == [None]


@pytest.mark.parametrize("after", [texture(7, 640, 480), texture(7, 320, 240)])
def test_another_scene_or_size_is_detected(after):
    flow = OpticalFlow()
    flow.step(scene(200, 150), [])
    assert flow.step(after, [middle(200, 150)]) == Flow(Scene.NEW, [])


@pytest.mark.parametrize("picture", [np.zeros((240, 320, 3), np.uint8), np.full((24, 24, 3), 90, np.uint8)])
def test_uniform_pictures_are_the_same_scene_without_motion(picture):
    flow = OpticalFlow()
    flow.step(picture, [])
    assert flow.step(picture, [np.array([12, 12, 10, 10.0])]).motions == [None]
    assert flow.step(picture, []).motions == []


class CountingDetector:
    def __init__(self):
        self.searched = []

    def run(self, tracker, frames):
        """Return the true box whenever the tracker detects; returns the tracked boxes of each frame."""
        shown = []
        for i, (pixels, box) in enumerate(frames):
            time_s = i * FRAME_S
            frame = Frame(pixels, i, time_s)
            tracker.propagate(frame.pixels_bgr)
            if tracker.needs_detection(time_s):
                self.searched.append(i)
                tracker.update([box] if box else [], time_s)
            shown.append([track.box for track in tracker.confirmed()])
        return shown


def test_detections_are_rare_and_boxes_stay_correct_in_between():
    frames = [(scene(100 + 4 * i, 100 + 2 * i), Box(100 + 4 * i, 100 + 2 * i, 120, 120)) for i in range(60)]
    detector = CountingDetector()
    shown = detector.run(Tracker(), frames)
    assert len(detector.searched) <= 2 + len(frames) * FRAME_S / DETECT_EVERY_S + 1
    overlaps = [boxes[0].iou(truth) for boxes, (_, truth) in zip(shown[1:], frames[1:], strict=True)]
    assert min(overlaps) > 0.8


def test_a_lost_face_is_searched_immediately_but_not_in_every_frame():
    detector = CountingDetector()
    lost = []
    for noise in np.random.default_rng(3).integers(0, 255, (9, 160, 160, 3), dtype=np.uint8):
        pixels = scene(100, 100)
        pixels[80:240, 80:240] = noise
        lost.append((pixels, None))
    detector.run(Tracker(), [(scene(100, 100), Box(100, 100, 120, 120))] * 4 + lost)
    searched = [i for i in detector.searched if i >= 4]
    assert searched[0] == 4
    assert len(searched) < 5


def test_without_a_face_detections_are_paced():
    detector = CountingDetector()
    detector.run(Tracker(), [(BACKGROUND, None)] * 30)
    assert len(detector.searched) == pytest.approx(30 * FRAME_S / SEARCH_EVERY_S, abs=2)


def test_a_new_scene_drops_the_old_faces_and_is_searched_immediately():
    detector = CountingDetector()
    frames = [(scene(100, 100), Box(100, 100, 120, 120))] * 8 + [(texture(9, 640, 480), None)] * 2
    shown = detector.run(Tracker(), frames)
    assert len(shown[7]) == 1
    assert shown[8] == []
    assert 8 in detector.searched

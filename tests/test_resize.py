import cv2
import numpy as np
import pytest

from mien.images.resize import crop_faces, fit_within, letterbox, reduced_gray, roll_deg
from mien.types import Box, Detection
from tests.test_pipeline import LEFT, RIGHT, picture


def blobs(width, height):
    coarse = np.random.default_rng(0).integers(0, 255, (height // 20 + 2, width // 20 + 2, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize(
    ("width", "height", "shape"),
    [
        (1280, 720, (180, 320)),
        (1920, 1080, (180, 320)),
        (720, 1280, (320, 180)),
        (641, 359, (179, 320)),
        (400, 300, (240, 320)),
        (320, 240, (240, 320)),
        (100, 50, (50, 100)),
        (4000, 4, (1, 320)),
        (1, 1, (1, 1)),
    ],
)
def test_size_and_reduction(width, height, shape):
    gray, reduction = reduced_gray(blobs(width, height), 320)
    assert (gray.shape, gray.dtype) == (shape, np.uint8)
    assert reduction == pytest.approx(min(1, 320 / max(width, height)))


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1920, 1080), (854, 480), (640, 480), (400, 300)])
def test_the_result_is_close_to_averaging_every_pixel(width, height):
    pixels = blobs(width, height)
    gray, _ = reduced_gray(pixels, 320)
    average = cv2.cvtColor(cv2.resize(pixels, gray.shape[::-1], interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    difference = np.abs(gray.astype(int) - average)
    assert difference.mean() < 1
    assert difference.max() <= 12


@pytest.mark.parametrize(
    ("size", "expected"),
    [((100, 50), (100, 50)), ((200, 100), (100, 50)), ((50, 1000), (5, 100)), ((1, 1000), (1, 100))],
)
def test_fit_within_only_ever_shrinks(size, expected):
    found = fit_within(np.zeros((size[1], size[0], 3), np.uint8), 100)
    assert (found.shape[1], found.shape[0]) == expected


@pytest.mark.parametrize(
    ("size", "bright"),
    [((64, 48), (0, 48, 0, 64)), ((128, 96), (0, 48, 0, 64)), ((64, 24), (12, 36, 0, 64)), ((24, 48), (0, 48, 20, 44))],
)
def test_letterbox_scales_and_adds_black_bars(size, bright):
    found = letterbox(np.full((size[1], size[0], 3), 200, np.uint8), (64, 48))
    expected = np.zeros((48, 64, 3), np.uint8)
    top, bottom, left, right = bright
    expected[top:bottom, left:right] = 200
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    "box",
    [Box(-30, -30, 60, 60), Box(300, 220, 60, 60), Box(0, 0, 320, 240), Box(10, 10, 1, 1), Box(500, 500, 20, 20)],
)
def test_boxes_beyond_the_edge_can_be_cropped(box):
    crops = crop_faces(picture(), [box], (48, 64))
    assert crops.shape == (1, 48, 64)
    assert crops.dtype == np.uint8


def test_crops_show_the_content_of_the_box():
    pixels = picture(RIGHT)
    crops = crop_faces(pixels, [LEFT, RIGHT], (48, 48))
    assert crops[0].max() == 0
    assert crops[1].min() == 255
    assert crop_faces(pixels, [], (48, 48)).shape == (0, 48, 48)


def landmarks_at(angle_deg, center=(160.0, 120.0), distance=40.0):
    """Five landmarks of a face turned clockwise by an angle."""
    angle = np.deg2rad(angle_deg)
    along = np.array([np.cos(angle), np.sin(angle)]) * distance / 2
    down = np.array([-along[1], along[0]])
    points = (-along - down, along - down, 0 * down, -along + down, along + down)
    return tuple(tuple(center + point) for point in points)


@pytest.mark.parametrize(("landmarks_deg", "expected"), [(0, 0), (20, 20), (-30, -30), (44, 44), (60, 0), (180, 0)])
def test_a_face_is_turned_by_the_angle_of_its_landmarks_unless_they_are_implausible(landmarks_deg, expected):
    assert roll_deg(Detection(100, 60, 120, 120, "yunet", landmarks_at(landmarks_deg))) == pytest.approx(expected)


def test_a_face_without_landmarks_is_not_turned():
    assert roll_deg(Box(100, 60, 120, 120)) == 0
    assert roll_deg(Detection(100, 60, 120, 120, "haar")) == 0
    pixels = blobs(320, 240)
    plain, detected = crop_faces(pixels, [Box(100, 60, 120, 120), Detection(100, 60, 120, 120, "haar")], (48, 48))
    np.testing.assert_array_equal(plain, detected)


@pytest.mark.parametrize("angle_deg", [-20, 20])
@pytest.mark.parametrize("side", [40, 120])
def test_a_turned_face_is_cropped_upright(angle_deg, side):
    pixels = blobs(320, 240)
    box = Box(160 - side // 2, 120 - side // 2, side, side)
    center = (159.5, 119.5)
    turned = cv2.warpAffine(pixels, cv2.getRotationMatrix2D(center, -angle_deg, 1), (320, 240))  # clockwise
    face = Detection(box.x, box.y, box.w, box.h, "yunet", landmarks_at(angle_deg))
    (upright,) = crop_faces(pixels, [box], (48, 48)).astype(int)
    (aligned,) = crop_faces(turned, [face], (48, 48)).astype(int)
    (ignored,) = crop_faces(turned, [box], (48, 48)).astype(int)
    assert abs(aligned - upright).mean() < 4
    assert abs(ignored - upright).mean() > 8


def test_a_turned_face_at_the_edge_can_be_cropped():
    face = Detection(300, 220, 60, 60, "yunet", landmarks_at(30))
    assert crop_faces(np.full((240, 320, 3), 90, np.uint8), [face], (48, 48)).min() == 90


def test_eyes_that_coincide_do_not_turn_a_face():
    landmarks = ((100, 100), (101, 103), (90, 120), (95, 150), (98, 150))
    assert abs(roll_deg(Detection(60, 60, 120, 120, "yunet", landmarks))) < 10

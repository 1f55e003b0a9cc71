import cv2
import numpy as np
import pytest

from mien.reduced import reduced_gray


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
def test_it_looks_as_if_every_pixel_was_averaged(width, height):
    pixels = blobs(width, height)
    gray, _ = reduced_gray(pixels, 320)
    average = cv2.cvtColor(cv2.resize(pixels, gray.shape[::-1], interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    difference = np.abs(gray.astype(int) - average)
    assert difference.mean() < 1
    assert difference.max() <= 12

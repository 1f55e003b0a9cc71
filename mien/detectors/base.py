"""What all detectors share: the interface, the scale of the picture they search, and clipped boxes."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from typing import Protocol

import numpy as np

from mien.errors import DetectorError
from mien.types import Box, clip_box


class Detector(Protocol):
    """Anything that finds faces; thread-safe.

    Example:
        detector = create_detector("haar")
        for box in detector.detect(cv2.imread("photo.jpg")):
            print(box.x, box.y, box.w, box.h)
    """

    name: str

    def detect(self, pixels_bgr: np.ndarray) -> list[Box]:
        """Find faces.

        Args:
            pixels_bgr: uint8 (height, width, 3), blue-green-red.

        Returns:
            Bounding boxes in pixels of the picture, clipped to it, from left to right.
        """
        ...


def search_scale(pixels_bgr: np.ndarray, window_px: int, search_side_px: int, min_face_px: int | None) -> float:
    """Scale at which a picture is searched, so that the smallest face wanted is as large as the detector's window.

    Args:
        pixels_bgr: uint8 (height, width, 3).
        window_px: Smallest face that the detector finds.
        search_side_px: Without `min_face_px`, the longer side is reduced to this: the smallest face is then a fixed
            share of the picture, and the time does not grow with the picture.
        min_face_px: Smallest face wanted, in pixels of the picture.

    Returns:
        At most 1.
    """
    if min_face_px is not None:
        return min(1.0, window_px / min_face_px)
    return min(1.0, search_side_px / max(pixels_bgr.shape[:2]))


def as_square(x: float, y: float, w: float, h: float, *, margin: float = 1.0) -> tuple[float, float, float, float]:
    """The square (x, y, w, h) with the same area and center: some detectors give tall boxes, the network takes squares.

    Args:
        x, y, w, h: The box.
        margin: The side is multiplied by it.
    """
    side = margin * (w * h) ** 0.5
    return x + (w - side) / 2, y + (h - side) / 2, side, side


def boxes_inside(found: Iterable[tuple[float, float, float, float]], pixels_bgr: np.ndarray) -> list[Box]:
    """Clip boxes to the picture and sort them from left to right.

    Args:
        found: Boxes (x, y, w, h) in pixels of the picture.
        pixels_bgr: The picture, uint8 (height, width, 3).
    """
    height, width = pixels_bgr.shape[:2]
    clipped = (clip_box(x, y, w, h, width, height) for x, y, w, h in found)
    return sorted((box for box in clipped if box is not None), key=lambda box: (box.x, box.y, box.w))


def require_package(module: str, detector: str, package: str) -> None:
    """Check that the optional package of a detector is installed.

    Args:
        module: The module to import, such as "dlib".
        detector: Name of the detector, as `--detector` takes it.
        package: Name of the package, as pip takes it.

    Raises:
        DetectorError: It is not installed.
    """
    if importlib.util.find_spec(module) is None:
        raise DetectorError(
            f"--detector {detector}: expected the package {package}, which is not installed; "
            "pip install -r requirements-detectors.txt installs it"
        )

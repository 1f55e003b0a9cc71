"""What all detectors share: the interface, the scale of the picture they search, and clipped boxes."""

from __future__ import annotations

import importlib.util
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Protocol

import numpy as np

from mien.errors import DetectorError
from mien.images.resize import scaled
from mien.types import Box, clip_box

BoxPx = tuple[float, float, float, float]


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


class ScaledDetector(ABC):
    """A detector that searches a reduced picture; one at a time: shared by two threads, some silently give wrong boxes.

        class WholePicture(ScaledDetector):
            name, window_px = "whole", 1

            def _search(self, pixels_bgr: np.ndarray) -> list[BoxPx]:
                return [(0, 0, pixels_bgr.shape[1], pixels_bgr.shape[0])]

    Args:
        min_face_px: Smallest face wanted, in pixels of the original frame.
        search_side_px: Without it, longer side of the reduced picture that is searched.
    """

    name: str
    window_px: int
    """Smallest face that it finds."""

    def __init__(self, min_face_px: int | None, search_side_px: int) -> None:
        self.min_face_px = min_face_px
        self.search_side_px = search_side_px
        self._lock = threading.Lock()

    def detect(self, pixels_bgr: np.ndarray) -> list[Box]:
        """Find faces, see `mien.detectors.base.Detector.detect`."""
        scale = search_scale(pixels_bgr, self.window_px, self.search_side_px, self.min_face_px)
        small = scaled(pixels_bgr, scale)
        if min(small.shape[:2]) < self.window_px:
            return []
        with self._lock:
            found = self._search(small)
        return boxes_inside(((x / scale, y / scale, w / scale, h / scale) for x, y, w, h in found), pixels_bgr)

    @abstractmethod
    def _search(self, pixels_bgr: np.ndarray) -> Iterable[BoxPx]:
        """Faces as (x, y, w, h) in a picture that is large enough: uint8 (height, width, 3)."""


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


def as_square(x: float, y: float, w: float, h: float, *, margin: float = 1.0) -> BoxPx:
    """The square (x, y, w, h) with the same area and center: some detectors give tall boxes, the network takes squares.

    Args:
        x, y, w, h: The box.
        margin: The side is multiplied by it.
    """
    side = margin * (w * h) ** 0.5
    return x + (w - side) / 2, y + (h - side) / 2, side, side


def boxes_inside(found: Iterable[BoxPx], pixels_bgr: np.ndarray) -> list[Box]:
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

"""Where the faces of a frame are: detectors behind one verb, `detect`."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from mien.expressions import Box, DetectorError
from mien.reduced import reduced_gray


class Detector(Protocol):
    """Anything that finds faces; safe to call from several threads."""

    name: str

    def detect(self, pixels_bgr: np.ndarray) -> list[Box]:
        """Boxes of the faces in uint8 (height, width, 3), in its pixels, from left to right, inside the picture."""
        ...


class HaarDetector:
    """OpenCV's frontal-face Haar cascade on a reduced picture.

    Viola and Jones, "Rapid object detection using a boosted cascade of simple features" (2001).
    The cascade sees faces from 24 px upwards, so a picture whose longer side is reduced to
    `search_side_px` = 320 shows it every face that is at least 7.5 % of that side (48 px in 640x480),
    at a cost that does not grow with the picture. scale_step and min_neighbors: see `python -m benchmarks.faces`.
    Raises DetectorError where the cascade file is missing or broken.
    """

    name = "haar"
    smallest_window_px = 24

    def __init__(
        self,
        cascade_file: str | Path | None = None,
        *,
        search_side_px: int = 320,
        scale_step: float = 1.1,
        min_neighbors: int = 4,
    ) -> None:
        path = Path(cascade_file or Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml")
        if not path.is_file():
            raise DetectorError(f"{path}: expected the Haar cascade that OpenCV 4 brings along, found no such file")
        self._cascade = cv2.CascadeClassifier()
        with suppress(cv2.error, SystemError):  # not XML at all; which of the two depends on how OpenCV was built
            self._cascade.load(str(path))
        if self._cascade.empty():
            raise DetectorError(f"{path}: expected a Haar cascade in OpenCV's XML format, found something else")
        self._lock = threading.Lock()  # a cascade shared by two threads gives wrong boxes silently
        self.search_side_px = search_side_px
        self.scale_step = scale_step
        self.min_neighbors = min_neighbors

    def detect(self, pixels_bgr: np.ndarray) -> list[Box]:
        """Boxes of the faces, from left to right."""
        height, width = pixels_bgr.shape[:2]
        gray, reduction = reduced_gray(pixels_bgr, self.search_side_px)
        if min(gray.shape) < self.smallest_window_px:
            return []
        smallest = (self.smallest_window_px, self.smallest_window_px)
        with self._lock:
            found = self._cascade.detectMultiScale(gray, self.scale_step, self.min_neighbors, minSize=smallest)
        scaled = (np.asarray(box, float) / reduction for box in found)
        boxes = [clip_box(x, y, w, h, width, height) for x, y, w, h in scaled]
        return sorted((box for box in boxes if box is not None), key=lambda box: box.x)


def clip_box(x: float, y: float, w: float, h: float, width: int, height: int) -> Box | None:
    """The part of a box that lies inside a picture of width x height pixels, rounded; None where nothing does."""
    left, top = max(0, round(x)), max(0, round(y))
    right, bottom = min(width, round(x + w)), min(height, round(y + h))
    if right <= left or bottom <= top:
        return None
    return Box(left, top, right - left, bottom - top)


DETECTORS = {"haar": HaarDetector}
"""Every detector by the name used on the command line."""


def create_detector(name: str = "haar") -> Detector:
    """The detector of this name. Raises DetectorError for a name that is not known."""
    if name not in DETECTORS:
        raise DetectorError(f"expected a detector named {' or '.join(DETECTORS)}; found {name!r}")
    return DETECTORS[name]()

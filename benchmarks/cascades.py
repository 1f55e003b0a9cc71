"""Other settings of the Haar detector, and one cascade as most programs use it, to compare with `benchmarks.faces`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from mien.detectors import Detector, HaarDetector
from mien.detectors.base import RawFace, detections_inside
from mien.detectors.haar import load_cascade
from mien.images.resize import scaled
from mien.types import Detection


class OneCascade:
    """A cascade alone.

    Args:
        cascade: The last word of its file's name, such as "default".
        side_px: Longer side of the reduced picture that is searched.
        scale_step: Ratio of the sizes of successive windows.
        min_neighbors: Number of windows that must agree on a face.

    Example:
        boxes = OneCascade("alt2", 320, 1.1, 3).detect(pixels_bgr)
    """

    name = "one cascade"

    def __init__(self, cascade: str, side_px: int, scale_step: float, min_neighbors: int) -> None:
        self._cascade = load_cascade(Path(cv2.__file__).parent / "data" / f"haarcascade_frontalface_{cascade}.xml")
        self._settings = scale_step, min_neighbors
        self._side_px = side_px

    def detect(self, pixels_bgr: np.ndarray) -> list[Detection]:
        """Return the boxes of the faces in pixels_bgr, uint8 (height, width, 3), from left to right."""
        scale = self._side_px / max(pixels_bgr.shape)
        gray = cv2.cvtColor(scaled(pixels_bgr, scale), cv2.COLOR_BGR2GRAY)
        found = self._cascade.detectMultiScale(gray, *self._settings, minSize=(24, 24))
        faces = (RawFace((x, y, w, h)).enlarged(1 / scale) for x, y, w, h in found)
        return detections_inside(faces, pixels_bgr, self.name)


VARIANTS: dict[str, Callable[[], Detector]] = {
    "default cascade, full size, 1.3, 5 (seed programs)": lambda: OneCascade("default", 640, 1.3, 5),
    "default cascade, 320 px, 1.1, 4": lambda: OneCascade("default", 320, 1.1, 4),
    "alt2 cascade, 320 px, 1.1, 3": lambda: OneCascade("alt2", 320, 1.1, 3),
    "alt2 cascade, 320 px, 1.1, 5": lambda: OneCascade("alt2", 320, 1.1, 5),
    "Mien, looser": lambda: HaarDetector(threshold=0.0),
    "Mien": HaarDetector,
    "Mien, stricter": lambda: HaarDetector(threshold=1.6),
}
"""What makes each, by name."""

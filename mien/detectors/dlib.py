"""dlib's frontal face detector (optional: package dlib-bin)."""

from __future__ import annotations

import threading

import cv2
import numpy as np

from mien.detectors.base import boxes_inside, require_package, search_scale
from mien.images.resize import scaled
from mien.types import Box


class DlibDetector:
    """Histograms of oriented gradients and a linear classifier, from dlib.

    Dalal and Triggs, "Histograms of oriented gradients for human detection" (2005); King, "Max-margin object
    detection" (2015). It sees faces from 80 px upwards: an eighth of a picture's longer side reduced to 640 px.
    min_face_px: the smallest face wanted, pixels of the original frame. threshold: 0 is dlib's own; higher finds less.
    Raises DetectorError where the package is missing.
    """

    name = "dlib"
    window_px = 80

    def __init__(self, *, min_face_px: int | None = None, search_side_px: int = 640, threshold: float = 0.0) -> None:
        require_package("dlib", "dlib", "dlib-bin")
        import dlib

        self._detector = dlib.get_frontal_face_detector()
        self._lock = threading.Lock()
        self.min_face_px = min_face_px
        self.search_side_px = search_side_px
        self.threshold = threshold

    def detect(self, pixels_bgr: np.ndarray) -> list[Box]:
        """Boxes of the faces, from left to right."""
        scale = search_scale(pixels_bgr, self.window_px, self.search_side_px, self.min_face_px)
        gray = cv2.cvtColor(scaled(pixels_bgr, scale), cv2.COLOR_BGR2GRAY)
        with self._lock:
            found, _, _ = self._detector.run(gray, 0, self.threshold)
        boxes = ((r.left() / scale, r.top() / scale, r.width() / scale, r.height() / scale) for r in found)
        return boxes_inside(boxes, pixels_bgr)

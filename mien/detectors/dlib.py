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
    detection" (2015). It finds faces from 80 px upward.

    Args:
        min_face_px: Smallest face wanted, in pixels of the original frame; by default an eighth of its longer side.
        search_side_px: Longer side of the reduced picture that is searched.
        threshold: Of the score; 0 is dlib's default, higher finds fewer faces.

    Raises:
        DetectorError: The package is missing.

    Example:
        detector = DlibDetector()
        boxes = detector.detect(pixels_bgr)
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
        """Find faces, see `mien.detectors.base.Detector.detect`."""
        scale = search_scale(pixels_bgr, self.window_px, self.search_side_px, self.min_face_px)
        gray = cv2.cvtColor(scaled(pixels_bgr, scale), cv2.COLOR_BGR2GRAY)
        with self._lock:
            found, _, _ = self._detector.run(gray, 0, self.threshold)
        boxes = ((r.left() / scale, r.top() / scale, r.width() / scale, r.height() / scale) for r in found)
        return boxes_inside(boxes, pixels_bgr)

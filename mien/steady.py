"""The expression of one face over time: probabilities smoothed, and a label that does not flicker."""

from __future__ import annotations

import math

import numpy as np

from mien.expressions import EXPRESSIONS

TIME_CONSTANT_S = 0.25
LEAD_S = 0.35
"""How long another expression must have been ahead of the label."""
BEHIND = 2.0
"""How much more the time counts that it was behind."""
MAX_SHARE_OF_A_FRAME = 0.6
"""Of LEAD_S: no single frame is enough, however long after the one before."""
FORGET_AFTER_S = 1.0


class SteadyExpression:
    """Takes what the network says frame by frame; keeps smoothed probabilities and a steady label.

    Probabilities pass an exponential low-pass of TIME_CONSTANT_S. Another expression becomes the label when the network
    has held it for more probable than the label for LEAD_S, less BEHIND times as long as it was behind, but never less
    than nothing. So a change shows after a third of a second, and two that are equally likely seldom alternate. A
    cumulative sum as in Page, "Continuous inspection schemes" (1954), of signs: on video, by how much one is ahead
    wanders far more than which. All in seconds, whatever the frame rate.
    """

    def __init__(self) -> None:
        self.probabilities: np.ndarray | None = None
        self._label = 0
        self._time_s = 0.0
        self._lead_s = np.zeros(len(EXPRESSIONS))

    @property
    def label(self) -> str:
        """One of EXPRESSIONS; meaningless before the first update."""
        return EXPRESSIONS[self._label]

    def update(self, raw: np.ndarray, time_s: float) -> np.ndarray:
        """The smoothed probabilities, float32 (7,), after the network said `raw` of the frame at time_s.

        After FORGET_AFTER_S without a frame the face is seen anew.
        """
        elapsed_s = max(0.0, time_s - self._time_s)
        self._time_s = time_s
        if self.probabilities is None or elapsed_s > FORGET_AFTER_S:
            self.probabilities = raw.copy()
            self._take(int(raw.argmax()))
        else:
            share = 1 - math.exp(-elapsed_s / TIME_CONSTANT_S)
            self.probabilities = self.probabilities + np.float32(share) * (raw - self.probabilities)
            self._compare(raw, elapsed_s)
        return self.probabilities

    def _compare(self, raw: np.ndarray, elapsed_s: float) -> None:
        step_s = min(elapsed_s, MAX_SHARE_OF_A_FRAME * LEAD_S)
        ahead = np.where(raw > raw[self._label], 1.0, -BEHIND)
        self._lead_s = np.maximum(0.0, self._lead_s + step_s * ahead)
        enough = self._lead_s >= LEAD_S
        if enough.any():
            assert self.probabilities is not None
            self._take(int(np.where(enough, self.probabilities, 0).argmax()))

    def _take(self, label: int) -> None:
        self._label = label
        self._lead_s = np.zeros(len(EXPRESSIONS))

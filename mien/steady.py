"""The expression of one face over time: probabilities smoothed, and a label that does not flicker."""

from __future__ import annotations

import math

import numpy as np

from mien.expressions import EXPRESSIONS

TIME_CONSTANT_S = 0.25
LEAD = 0.12
LEAD_FOR_S = 1.0


class SteadyExpression:
    """Takes what the network says frame by frame; keeps smoothed probabilities and a steady label.

    Probabilities pass an exponential low-pass of TIME_CONSTANT_S, in seconds whatever the frame rate. Another
    expression becomes the label when it leads by LEAD, or has led, by however little, for LEAD_FOR_S without a
    break: a clear change shows some 0.2 s after its first frame, while two that are equally likely do not alternate.
    """

    def __init__(self) -> None:
        self.probabilities: np.ndarray | None = None
        self._label = 0
        self._time_s = 0.0
        self._leader = 0
        self._leads_since_s = 0.0

    @property
    def label(self) -> str:
        """One of EXPRESSIONS; meaningless before the first update."""
        return EXPRESSIONS[self._label]

    def update(self, raw: np.ndarray, time_s: float) -> np.ndarray:
        """The smoothed probabilities, float32 (7,), after the network said `raw` of the frame at time_s."""
        if self.probabilities is None:
            self.probabilities = raw.copy()
            self._label = int(raw.argmax())
        else:
            elapsed_s = max(0.0, time_s - self._time_s)
            share = 1 - math.exp(-elapsed_s / TIME_CONSTANT_S)
            self.probabilities = self.probabilities + np.float32(share) * (raw - self.probabilities)
        self._time_s = time_s
        self._choose(self.probabilities)
        return self.probabilities

    def _choose(self, probabilities: np.ndarray) -> None:
        leader = int(probabilities.argmax())
        if leader != self._leader:
            self._leader, self._leads_since_s = leader, self._time_s
        lead = probabilities[leader] - probabilities[self._label]
        if lead >= LEAD or self._time_s - self._leads_since_s >= LEAD_FOR_S - 1e-6:
            self._label = leader

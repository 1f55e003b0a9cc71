"""The expression of one face over time: probabilities smoothed, and a label that does not flicker."""

from __future__ import annotations

import math

import numpy as np

from mien.expressions import EXPRESSIONS

TIME_CONSTANT_S = 0.25
EVIDENCE = 0.4
"""How much must speak for another label: log-odds times seconds."""
MAX_LOG_ODDS = 3.0
MIN_PROBABILITY = 0.01
"""Below it probabilities are not told apart."""
MAX_SHARE_OF_A_FRAME = 0.6
"""Of EVIDENCE: no single frame is enough, however long after the one before."""
FORGET_AFTER_S = 1.0


class SteadyExpression:
    """Takes what the network says frame by frame; keeps smoothed probabilities and a steady label.

    Probabilities pass an exponential low-pass of TIME_CONSTANT_S. Another expression becomes the label when enough
    speaks for it: its log-odds against the label are summed over time, never below zero, until they reach EVIDENCE.
    So an expression 12 times as probable as the label takes over in 0.2 s, one twice as probable in 0.6 s, and two
    that are equally likely seldom alternate. Page, "Continuous inspection schemes" (1954): for a given rate of false
    alarms no other rule notices a change sooner. All in seconds, whatever the frame rate.
    """

    def __init__(self) -> None:
        self.probabilities: np.ndarray | None = None
        self._label = 0
        self._time_s = 0.0
        self._evidence = np.zeros(len(EXPRESSIONS))

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
            self._weigh(raw, elapsed_s)
        return self.probabilities

    def _weigh(self, raw: np.ndarray, elapsed_s: float) -> None:
        logarithms = np.log(np.maximum(raw, MIN_PROBABILITY))
        log_odds = np.clip(logarithms - logarithms[self._label], -MAX_LOG_ODDS, MAX_LOG_ODDS)
        said = np.minimum(log_odds * elapsed_s, MAX_SHARE_OF_A_FRAME * EVIDENCE)
        self._evidence = np.maximum(0.0, self._evidence + said)
        strongest = int(self._evidence.argmax())
        if self._evidence[strongest] >= EVIDENCE:
            self._take(strongest)

    def _take(self, label: int) -> None:
        self._label = label
        self._evidence = np.zeros(len(EXPRESSIONS))

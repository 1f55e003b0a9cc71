"""The expression of one face over time: probabilities smoothed, and a label that does not flicker."""

from __future__ import annotations

import math

import numpy as np

from mien.types import EXPRESSIONS

TIME_CONSTANT_S = 0.25
LEAD_S = 0.42
"""How long another expression must have been ahead of the label: seconds, which count for more where it is clear."""
BEHIND = 2.0
"""How much more the seconds count in which it was behind."""
MAX_LOG_ODDS = 3.0
MIN_PROBABILITY = 0.01
"""Below it probabilities are not told apart."""
MAX_SHARE_OF_A_FRAME = 0.6
"""Of LEAD_S: no single frame is enough, however long after the one before."""
FORGET_AFTER_S = 1.0


class SteadyExpression:
    """Takes what the network says frame by frame; keeps smoothed probabilities and a steady label.

    Probabilities pass an exponential low-pass of TIME_CONSTANT_S. Another expression becomes the label when it has been
    ahead of it for LEAD_S: seconds in which the network held it for more probable than the label add up, those in
    which it did not take away BEHIND times as much, but never below zero. Half the log-odds is added to what a second
    counts. So an expression 12 times as probable takes over in 0.2 s, any other that stays ahead within 0.4 s, and two
    that are equally likely seldom alternate. A cumulative sum as in Page, "Continuous inspection schemes" (1954), but
    chiefly of signs: on video, by how much one is ahead wanders more than which. In seconds, whatever the frame rate.
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
        logarithms = np.log(np.maximum(raw, MIN_PROBABILITY))
        log_odds = np.clip(logarithms - logarithms[self._label], -MAX_LOG_ODDS, MAX_LOG_ODDS)
        counts = np.where(log_odds > 0, 1.0, -BEHIND) + log_odds / 2
        gained_s = np.minimum(counts * elapsed_s, MAX_SHARE_OF_A_FRAME * LEAD_S)
        self._lead_s = np.maximum(0.0, self._lead_s + gained_s)
        enough = self._lead_s >= LEAD_S
        if enough.any():
            assert self.probabilities is not None
            self._take(int(np.where(enough, self.probabilities, 0).argmax()))

    def _take(self, label: int) -> None:
        self._label = label
        self._lead_s = np.zeros(len(EXPRESSIONS))


class OneEuroFilter:
    """Steadies a vector that changes over time: calm when it rests, quick when it moves.

    Casiez, Roussel and Vogel, "1 euro filter: a simple speed-based low-pass filter for noisy input in
    interactive systems" (2012). min_cutoff_hz: smoothing at rest. beta: how fast it gives way to movement,
    in Hz per unit a second.
    """

    def __init__(self, value: np.ndarray, time_s: float, *, min_cutoff_hz: float = 2.0, beta: float = 8.0) -> None:
        self.value = np.asarray(value, float)
        self._speed = np.zeros_like(self.value)
        self._time_s = time_s
        self._min_cutoff_hz = min_cutoff_hz
        self._beta = beta

    def update(self, value: np.ndarray, time_s: float, unit: float = 1.0) -> np.ndarray:
        """The filtered value at time_s; `unit` is the length that movement is measured by."""
        elapsed_s = max(1e-3, time_s - self._time_s)
        self._time_s = time_s
        speed = (value - self.value) / elapsed_s
        self._speed += _share(1.0, elapsed_s) * (speed - self._speed)
        cutoff_hz = self._min_cutoff_hz + self._beta * float(np.abs(self._speed).max()) / unit
        self.value = self.value + _share(cutoff_hz, elapsed_s) * (value - self.value)
        return self.value


def _share(cutoff_hz: float, elapsed_s: float) -> float:
    """How much of the way to a new value a first-order low-pass goes in elapsed_s."""
    return 1 / (1 + 1 / (2 * math.pi * cutoff_hz * elapsed_s))

"""Smoothing over time: probabilities and labels of one face, and the place of its box."""

from __future__ import annotations

import math

import numpy as np

from mien.types import EXPRESSIONS

TIME_CONSTANT_S = 0.25
"""Of the exponential low-pass filter on the probabilities."""
SWITCH_THRESHOLD_S = 0.42
"""Evidence another expression needs to become the label: seconds ahead, which count for more where it is clear."""
DECAY = 2.0
"""How many seconds ahead a second behind takes away."""
MAX_LOG_ODDS = 3.0
MIN_PROBABILITY = 0.01
"""Smaller probabilities are treated as equal."""
MAX_INCREMENT_SHARE = 0.6
"""Of SWITCH_THRESHOLD_S: no single frame switches the label, however long after the frame before."""
EXPIRE_AFTER_S = 1.0
"""After such a gap the filter starts anew."""


class ExpressionSmoother:
    """Smoothed probabilities and a stable label for one face.

    The probabilities pass an exponential low-pass filter. The label switches by a cumulative sum for each expression,
    as in CUSUM (Page, "Continuous inspection schemes", 1954): a second in which the network finds an expression more
    probable than the label adds 1 and half the log-odds, a second in which it does not takes away DECAY, and the sum
    never falls below zero. At SWITCH_THRESHOLD_S the expression becomes the label. So one that is 12 times as probable
    takes over in 0.2 s, any other that stays ahead within 0.4 s, and two equally probable ones seldom alternate. It is
    chiefly a sum of signs because on video the log-odds fluctuate more than their sign. Independent of the frame rate.

        smoother = ExpressionSmoother()
        probabilities = smoother.update(raw, time_s)
        print(smoother.label)
    """

    def __init__(self) -> None:
        self.probabilities: np.ndarray | None = None
        self._label = 0
        self._time_s = 0.0
        self._evidence_s = np.zeros(len(EXPRESSIONS))

    @property
    def label(self) -> str:
        """One of EXPRESSIONS; undefined before the first update."""
        return EXPRESSIONS[self._label]

    def update(self, raw: np.ndarray, time_s: float) -> np.ndarray:
        """Take the probabilities of the next frame.

        Args:
            raw: Softmax probabilities, float32 (7,).
            time_s: Time of the frame in seconds.

        Returns:
            The smoothed probabilities, float32 (7,).
        """
        elapsed_s = max(0.0, time_s - self._time_s)
        self._time_s = time_s
        if self.probabilities is None or elapsed_s > EXPIRE_AFTER_S:
            self.probabilities = raw.copy()
            self._switch_to(int(raw.argmax()))
        else:
            weight = 1 - math.exp(-elapsed_s / TIME_CONSTANT_S)
            self.probabilities = self.probabilities + np.float32(weight) * (raw - self.probabilities)
            self._accumulate(raw, elapsed_s)
        return self.probabilities

    def _accumulate(self, raw: np.ndarray, elapsed_s: float) -> None:
        logarithms = np.log(np.maximum(raw, MIN_PROBABILITY))
        log_odds = np.clip(logarithms - logarithms[self._label], -MAX_LOG_ODDS, MAX_LOG_ODDS)
        rates = np.where(log_odds > 0, 1.0, -DECAY) + log_odds / 2
        increments_s = np.minimum(rates * elapsed_s, MAX_INCREMENT_SHARE * SWITCH_THRESHOLD_S)
        self._evidence_s = np.maximum(0.0, self._evidence_s + increments_s)
        enough = self._evidence_s >= SWITCH_THRESHOLD_S
        if enough.any():
            assert self.probabilities is not None
            self._switch_to(int(np.where(enough, self.probabilities, 0).argmax()))

    def _switch_to(self, label: int) -> None:
        self._label = label
        self._evidence_s = np.zeros(len(EXPRESSIONS))


class OneEuroFilter:
    """Smooths a vector that changes over time: strongly while it is still, little while it moves.

    Casiez, Roussel and Vogel, "1 euro filter: a simple speed-based low-pass filter for noisy input in
    interactive systems" (2012).

        place = OneEuroFilter(np.array([320.0, 240.0]), time_s=0.0)
        smoothed = place.update(np.array([322.0, 240.0]), time_s=0.04, unit=80)

    Args:
        value: The first value.
        time_s: Its time in seconds.
        min_cutoff_hz: Cutoff frequency at zero speed.
        beta: By how much the cutoff rises, in Hz, for a speed of one unit per second.
    """

    def __init__(self, value: np.ndarray, time_s: float, *, min_cutoff_hz: float = 2.0, beta: float = 8.0) -> None:
        self.value = np.asarray(value, float)
        self._speed = np.zeros_like(self.value)
        self._time_s = time_s
        self._min_cutoff_hz = min_cutoff_hz
        self._beta = beta

    def update(self, value: np.ndarray, time_s: float, unit: float = 1.0) -> np.ndarray:
        """The filtered value at time_s; speed is measured in `unit` per second."""
        elapsed_s = max(1e-3, time_s - self._time_s)
        self._time_s = time_s
        speed = (value - self.value) / elapsed_s
        self._speed += _weight(1.0, elapsed_s) * (speed - self._speed)
        cutoff_hz = self._min_cutoff_hz + self._beta * float(np.abs(self._speed).max()) / unit
        self.value = self.value + _weight(cutoff_hz, elapsed_s) * (value - self.value)
        return self.value


def _weight(cutoff_hz: float, elapsed_s: float) -> float:
    """Weight of a new value in a first-order low-pass filter."""
    return 1 / (1 + 1 / (2 * math.pi * cutoff_hz * elapsed_s))

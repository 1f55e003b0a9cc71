"""Smoothing over time: probabilities and labels of one face, and the place of its box."""

from __future__ import annotations

import math

import numpy as np

from mien.types import EXPRESSIONS

TIME_CONSTANT_S = 0.25
"""Time constant of the exponential low-pass filter on the probabilities."""
MAX_WEIGHT = 0.6
"""Largest weight of a single frame in the smoothed probabilities, however long ago the previous frame was."""
CLEAR_RATIO = 1.2
"""Another expression leads clearly when it is this many times as probable as the label."""
SWITCH_THRESHOLD_S = 0.4
"""How long another expression has to lead clearly to become the label, in seconds."""
MAX_INCREMENT_S = SWITCH_THRESHOLD_S / 2
"""The most that a single frame adds to the lead: at low frame rates, two frames switch the label."""
DECAY = 2.0
"""How many seconds of a lead are lost per second without a clear lead."""
MAX_RATIO = 2.0
"""The label switches at once when another expression is this many times as probable."""
EXPIRE_AFTER_S = 1.0
"""After a gap of this length the filter starts again."""


class ExpressionSmoother:
    """Smoothed probabilities and a stable label for one face, both of the same numbers.

    The probabilities pass an exponential low-pass filter. Another expression becomes the label when its smoothed
    probability is CLEAR_RATIO times that of the label for SWITCH_THRESHOLD_S, or for two frames at low frame rates,
    and at once when it is MAX_RATIO times that of the label. So the label never has less than half of the largest
    probability, and two expressions about equally probable seldom alternate. How long it leads is a cumulative sum that
    decays, as in CUSUM (Page, "Continuous inspection schemes", 1954). Independent of the frame rate.

        smoother = ExpressionSmoother()
        probabilities = smoother.update(raw, time_s)
        print(smoother.label)
    """

    def __init__(self) -> None:
        self.probabilities: np.ndarray | None = None
        self._label = 0
        self._time_s = 0.0
        self._lead_s = np.zeros(len(EXPRESSIONS))

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
            weight = min(MAX_WEIGHT, 1 - math.exp(-elapsed_s / TIME_CONSTANT_S))
            self.probabilities = self.probabilities + np.float32(weight) * (raw - self.probabilities)
            self._compare(self.probabilities, elapsed_s)
        return self.probabilities

    def _compare(self, probabilities: np.ndarray, elapsed_s: float) -> None:
        ratios = probabilities / max(float(probabilities[self._label]), 1e-9)
        increments_s = np.where(ratios > CLEAR_RATIO, min(elapsed_s, MAX_INCREMENT_S), -DECAY * elapsed_s)
        self._lead_s = np.maximum(0.0, self._lead_s + increments_s)
        if ratios.max() > MAX_RATIO or self._lead_s.max() > SWITCH_THRESHOLD_S - 1e-6:
            self._switch_to(int(probabilities.argmax()))

    def _switch_to(self, label: int) -> None:
        self._label = label
        self._lead_s = np.zeros(len(EXPRESSIONS))


class OneEuroFilter:
    """Smooths a vector that changes over time: strongly while it is at rest, little while it moves.

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
        """Take the next value.

        Args:
            value: float, of the same shape as the first value.
            time_s: Its time in seconds.
            unit: Speed is measured in this unit per second, such as the size of the face in pixels.

        Returns:
            The filtered value.
        """
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

"""How far eyes and mouth are open, and blinks."""

from __future__ import annotations

import math

import numpy as np

from mien.landmarks.points import LEFT_LIP, LOWER_LID, LOWER_LIP, RIGHT_LIP, UPPER_LID, UPPER_LIP

TYPICAL_OPENING = 0.27
"""Opening of an eye of a face that is looking at the camera."""

CLOSED_SHARE, OPEN_SHARE = 0.6, 0.75
"""Eyes count as closed below the first and as open again above the second share of how far they usually are open."""

MAX_BLINK_S = 0.5
"""Eyes that stay closed for longer do not blink."""

MAX_GAP_S = 0.5
RISE_S, FALL_S = 0.5, 5.0
"""Time constants with which the usual opening follows wider and narrower eyes."""


def eye_opening(region: np.ndarray) -> float:
    """Mean distance between the lids, in widths of the eye: the eye aspect ratio of Soukupová and Čech (2016).

    Args:
        region: float64 (71, 2), an eye as `network.LandmarkNetwork.eyes` returns it.

    Returns:
        About 0.27 for an open eye, below 0.1 for a closed one.
    """
    heights = np.linalg.norm(region[UPPER_LID] - region[LOWER_LID], axis=1)
    return float(heights.mean() / max(float(np.linalg.norm(region[8] - region[0])), 1e-9))


def mouth_opening(points: np.ndarray) -> float:
    """Distance between the lips in widths of the mouth, both on the inner edge; 0 for a closed mouth.

    Args:
        points: float64 (468, 2 or 3).
    """
    height = np.linalg.norm(points[UPPER_LIP, :2] - points[LOWER_LIP, :2])
    return float(height / max(float(np.linalg.norm(points[LEFT_LIP, :2] - points[RIGHT_LIP, :2])), 1e-9))


class BlinkDetector:
    """Notices when both eyes of a face close and open again within MAX_BLINK_S.

    Closed and open are shares of how far this person's eyes usually are open.

        blinks = BlinkDetector()
        for time_s, left, right in openings:
            if blinks.update(left, right, time_s):
                print("blinked, at", time_s)
    """

    def __init__(self) -> None:
        self._usual = TYPICAL_OPENING
        self._time_s = -math.inf
        self._closed_at_s: float | None = None

    def update(self, left: float, right: float, time_s: float) -> bool:
        """Take the openings of the next frame, as `eye_opening` measures them.

        Args:
            left: Of the left eye.
            right: Of the right eye.
            time_s: Time of the frame in seconds.

        Returns:
            Whether a blink has ended with this frame.
        """
        elapsed_s, self._time_s = time_s - self._time_s, time_s
        if not 0 <= elapsed_s <= MAX_GAP_S:
            self._closed_at_s = None
        wider, blinked = max(left, right), False
        if wider < CLOSED_SHARE * self._usual and self._closed_at_s is None:
            self._closed_at_s = time_s
        elif wider > OPEN_SHARE * self._usual and self._closed_at_s is not None:
            blinked = time_s - self._closed_at_s <= MAX_BLINK_S
            self._closed_at_s = None
        if self._closed_at_s is None or time_s - self._closed_at_s > MAX_BLINK_S:
            self._adapt(wider, elapsed_s)
        return blinked

    def _adapt(self, opening: float, elapsed_s: float) -> None:
        """Follow the usual opening: also of eyes that have long seemed closed, which may be narrow by nature."""
        constant_s = RISE_S if opening > self._usual else FALL_S
        weight = 1 - math.exp(-min(max(elapsed_s, 0.0), MAX_GAP_S) / constant_s)
        self._usual += weight * (opening - self._usual)

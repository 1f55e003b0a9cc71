"""How long each recorded frame lasts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LONGEST_INTERVALS = 3
LONGEST_S = 0.2
"""A frame lasts until the next one, but at most three median intervals or this long: frames without a face are not
recorded, so that a longer time says nothing about a face."""


def durations(clock_s: Sequence[float] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """When the frames of a recording were, and how long each is taken to last.

    Args:
        clock_s: When each was captured, in seconds since the epoch, by a clock that may be set back; at least one.

    Returns:
        float64 (n,) each: seconds from the first frame, and seconds that each lasts.
    """
    clock_s = np.asarray(clock_s, np.float64)
    steps_s = np.diff(clock_s)
    usual_s = float(np.median(steps_s[steps_s > 0])) if (steps_s > 0).any() else LONGEST_S
    steps_s = np.where(steps_s > 0, steps_s, usual_s)
    lasts_s = np.minimum([*steps_s, usual_s], max(LONGEST_INTERVALS * usual_s, LONGEST_S))
    return np.round(np.concatenate([[0.0], np.cumsum(steps_s)]), 6), np.round(lasts_s, 6)

"""Confidence intervals of shares of time, for series whose values depend on their predecessors."""

from __future__ import annotations

import math

import numpy as np

REPLICATES = 1000
LEVEL = 0.95
SEED = 1994
FEWEST_BLOCKS = 5
"""A series of fewer mean block lengths says too little about how much another one would differ."""


def share_intervals(values: np.ndarray, weights: np.ndarray, count: int) -> list[tuple[float, float] | None]:
    """95 % intervals of the share of weight of each value, by the stationary bootstrap.

    Politis and Romano, "The stationary bootstrap", Journal of the American Statistical Association 89 (1994): series
    of the same length are made from blocks of random lengths that begin at random places of the series, which goes
    around in a circle. Neighboring frames of a video are almost equal, so intervals that take them as independent would
    be far too narrow. The mean length of the blocks is estimated from the series: `block_length`. The seed is fixed.

    Args:
        values: Integers 0 to `count` - 1, (n,), in order of time.
        weights: Of each value, such as the seconds that it lasts, (n,).
        count: Number of different values.

    Returns:
        For each value, the lower and the upper end; None where the series is too short to tell.
    """
    present = [value for value in range(count) if np.any(values == value)]
    intervals: list[tuple[float, float] | None] = [None] * count
    if len(values) < 2 or weights.sum() <= 0:
        return intervals
    length = max(block_length((values == value).astype(float)) for value in present)
    if len(values) < FEWEST_BLOCKS * length:
        return intervals
    totals = np.zeros((len(values) + 1, len(present)))  # the only large array: a long video has many frames
    for column, value in enumerate(present):
        np.cumsum((values == value) * weights, out=totals[1:, column])
    sums = _replicates(totals, length)
    shares = sums / sums.sum(axis=1, keepdims=True)
    for value, low, high in zip(present, *np.quantile(shares, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0), strict=True):
        intervals[value] = round(float(low), 5), round(float(high), 5)
    return intervals


def block_length(series: np.ndarray) -> float:
    """Mean length of the blocks that suits the autocorrelation of a series.

    Politis and White, "Automatic block-length selection for the dependent bootstrap", Econometric Reviews 23 (2004),
    with the correction of Patton, Politis and White, Econometric Reviews 28 (2009).

    Args:
        series: (n,), n at least 2.

    Returns:
        At least 1; 1 for a constant series.
    """
    n = len(series)
    centered = series - series.mean()
    if not centered.any():
        return 1.0
    flat_lags = max(5, math.ceil(math.log10(n)))
    most = min(n - 1, math.ceil(math.sqrt(n)) + flat_lags)
    covariances = np.array([centered[: n - lag] @ centered[lag:] for lag in range(most + 1)]) / n
    small = np.abs(covariances / covariances[0]) < 2 * math.sqrt(math.log10(n) / n)
    # The first lag after which several autocorrelations in a row are negligible.
    ends = (lag for lag in range(1, most - flat_lags + 2) if small[lag : lag + flat_lags].all())
    window = min(2 * max(1, next(ends, most) - 1), most)
    lags = np.arange(-window, window + 1)
    taper = np.clip(2 * (1 - np.abs(lags) / max(1, window)), 0, 1)  # trapezoid, 1 up to half of the window
    around = covariances[np.abs(lags)]
    slope = float((taper * np.abs(lags) * around).sum())
    variance = float((taper * around).sum())
    longest = math.ceil(min(3 * math.sqrt(n), n / 3))
    if variance <= 0:
        return float(longest)
    return float(np.clip((slope**2 / variance**2 * n) ** (1 / 3), 1, longest))


def _replicates(totals: np.ndarray, length: float) -> np.ndarray:
    """Column sums of REPLICATES resampled series, (REPLICATES, columns); totals: the cumulative sums of the series."""
    n = len(totals) - 1
    random = np.random.default_rng(SEED)
    sums = np.empty((REPLICATES, totals.shape[1]))
    for i in range(REPLICATES):
        lengths = np.empty(0, int)
        while lengths.sum() < n:
            lengths = np.append(lengths, random.geometric(1 / length, size=math.ceil(1.5 * n / length) + 10))
        ends = np.minimum(np.cumsum(lengths), n)
        lengths = np.diff(ends, prepend=0)
        lengths = lengths[lengths > 0]
        starts = random.integers(0, n, size=len(lengths))
        rounds, stops = np.divmod(starts + lengths, n)  # a block that passes the end goes on at the start
        sums[i] = (totals[stops] + rounds[:, np.newaxis] * totals[n] - totals[starts]).sum(axis=0)
    return sums

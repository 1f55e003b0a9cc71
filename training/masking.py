"""Does Grad-CAM point at what matters? Hide what it rates highest, and see whether the label loses its probability.

After the deletion test of Petsiuk, Das and Saenko, "RISE: randomized input sampling for explanation of black-box
models" (2018).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

SHARE = 0.2
WAYS = ("rated highest", "at random", "the same shape, elsewhere")


def masking_drops(
    predict: Callable[[np.ndarray], np.ndarray],
    explain: Callable[[np.ndarray, np.ndarray], np.ndarray],
    images: np.ndarray,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """By how much the given label's probability falls for each image: a float (n,) for each of WAYS.

    Hidden pixels, a fifth of the image, take the image's mean: those that `explain` rates highest, random ones, or
    the first, moved round the image by a random distance. predict: uint8 (n, h, w, 1) -> probabilities (n, 7).
    explain: images and labels -> heat (n, h, w), as `mien.explain.GradCam`.
    """
    rng = np.random.default_rng(seed)
    n, height, width = images.shape[:3]
    before = predict(images)
    labels = before.argmax(axis=1)
    heat = explain(images, labels)
    hottest = np.stack([highest(one) for one in heat]) if n else np.zeros((0, height, width), bool)
    masks = {
        WAYS[0]: hottest,
        WAYS[1]: np.array([highest(rng.random((height, width))) for _ in range(n)]).reshape(hottest.shape),
        WAYS[2]: np.array(
            [np.roll(one, (rng.integers(height), rng.integers(width)), axis=(0, 1)) for one in hottest]
        ).reshape(hottest.shape),
    }
    means = images.mean(axis=(1, 2, 3), keepdims=True)
    rows = np.arange(n)
    drops = {}
    for way, mask in masks.items():
        hidden = np.where(mask[..., np.newaxis], means, images).astype(np.uint8)
        drops[way] = (before - predict(hidden))[rows, labels]
    return drops


def highest(heat: np.ndarray, share: float = SHARE) -> np.ndarray:
    """Where the highest values are: bool like `heat`, true for `share` of it; equal values in order of position."""
    count = round(share * heat.size)
    mask = np.zeros(heat.size, bool)
    mask[np.argsort(-heat.ravel(), kind="stable")[:count]] = True
    return mask.reshape(heat.shape)


def mean_with_interval(values: np.ndarray) -> tuple[float, float]:
    """(mean, half of its 95 % interval) for at least two values, by the normal approximation."""
    return float(values.mean()), float(1.96 * values.std(ddof=1) / np.sqrt(len(values)))


def as_text(drops: dict[str, np.ndarray]) -> str:
    """The mean fall of each way, and how much more hiding what is rated highest costs than each other way."""
    first = drops[WAYS[0]]
    lines = [f"{len(first)} images, {SHARE:.0%} of the pixels hidden; fall of the label's probability (95 % interval):"]
    lines += [f"  {way}: {_of(values)}" for way, values in drops.items()]
    lines += [f"  {WAYS[0]} more than {way}: {_of(first - drops[way])}" for way in WAYS[1:]]
    return "\n".join(lines)


def _of(values: np.ndarray) -> str:
    mean, half = mean_with_interval(values)
    return f"{mean:.3f} ({mean - half:.3f} to {mean + half:.3f})"

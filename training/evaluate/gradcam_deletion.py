"""Test Grad-CAM by deletion: hide the pixels that it rates highest, and measure how far the probability falls.

After Petsiuk, Das and Saenko, "RISE: randomized input sampling for explanation of black-box models" (2018). All
selections of pixels hide the same number and are compared with the same two fills:

- "mean": the image's mean, as there. Single pixels scattered at random are noise that a network has never seen, and
  disturb it more than one hole of the same size, so this comparison is the hardest.
- "blur": a blurred copy of the image, which removes detail but adds hardly any edges.

Method and feature maps were chosen on Training images (see `mien.cnn.gradcam.MIN_SIDE_SHARE`); PublicTest reports.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

from mien.cnn.gradcam import GradCam
from training.inputs import read_data, square_model
from training.recipe import RunError

SELECTIONS = ("rated highest", "at random", "the same shape, elsewhere", "a disc, anywhere")
PLAIN = "rated highest by Grad-CAM as first published"
FILLS = ("mean", "blur")
_SHARE = 0.2
_BLUR = 1 / 12
"""Standard deviation of the blur as a share of the image's side: 4 pixels of 48."""

Drops = dict[str, dict[str, np.ndarray]]
"""By fill and selection, how far the probability of each image's label falls, float (n,)."""

Explain = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Images and labels -> relevance, float (n, h, w), as `mien.cnn.gradcam.GradCam`."""


def masking_drops(
    predict: Callable[[np.ndarray], np.ndarray], explain: Explain, images: np.ndarray, plain: Explain | None = None
) -> Drops:
    """Measure how far the probability of the predicted label falls when a fifth of the pixels is hidden.

    The selections: the pixels that `explain` rates highest; random ones; the first, shifted by a random distance with
    wrap-around; a disc around a random place; and the pixels that `plain` rates highest. The random ones are seeded.

    Args:
        predict: Images uint8 (n, h, w, 1) -> probabilities (n, 7).
        explain: The method.
        images: uint8 (n, h, w, 1).
        plain: Another method to compare with.
    """
    rng = np.random.default_rng(0)
    n, height, width = images.shape[:3]
    before = predict(images)
    labels = before.argmax(axis=1)

    def each(mask_of: Callable[[int], np.ndarray]) -> np.ndarray:
        return np.array([mask_of(i) for i in range(n)], bool).reshape(n, height, width)

    heat = explain(images, labels)
    hottest = each(lambda i: highest(heat[i]))
    masks = {
        SELECTIONS[0]: hottest,
        SELECTIONS[1]: each(lambda _: highest(rng.random((height, width)))),
        SELECTIONS[2]: each(lambda i: np.roll(hottest[i], (rng.integers(height), rng.integers(width)), axis=(0, 1))),
        SELECTIONS[3]: each(lambda _: highest(_nearness(height, width, rng))),
    }
    if plain is not None:
        other = plain(images, labels)
        masks[PLAIN] = each(lambda i: highest(other[i]))

    def drop(mask: np.ndarray, filling: np.ndarray) -> np.ndarray:
        hidden = np.where(mask[..., np.newaxis], filling, images).round().astype(np.uint8)
        return (before - predict(hidden))[np.arange(n), labels]

    fillings = {fill: _filling(images, fill) for fill in FILLS}
    return {fill: {name: drop(mask, filling) for name, mask in masks.items()} for fill, filling in fillings.items()}


def highest(heat: np.ndarray) -> np.ndarray:
    """Return a bool mask of the highest fifth of the values; of equal values, the first ones."""
    mask = np.zeros(heat.size, bool)
    mask[np.argsort(-heat.ravel(), kind="stable")[: round(_SHARE * heat.size)]] = True
    return mask.reshape(heat.shape)


def _nearness(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Return values (h, w) that are higher the nearer to a random place."""
    y, x = rng.integers(height), rng.integers(width)
    rows, columns = np.mgrid[:height, :width]
    return -np.hypot(rows - y, columns - x)


def _filling(images: np.ndarray, fill: str) -> np.ndarray:
    """Return the pixels (n, h, w, 1) that replace hidden ones."""
    if fill == "mean":
        return images.mean(axis=(1, 2, 3), keepdims=True)
    sigma_px = _BLUR * images.shape[2]
    blurred = [cv2.GaussianBlur(image[..., 0], (0, 0), sigma_px) for image in images]
    return np.array(blurred).reshape(images.shape)


def mean_with_interval(values: np.ndarray) -> tuple[float, float]:
    """Return (mean, half of its 95 % interval) of at least two values, by the normal approximation."""
    return float(values.mean()), float(1.96 * values.std(ddof=1) / np.sqrt(len(values)))


def as_text(drops: Drops) -> str:
    """Return the mean fall of each selection and, paired by image, how much larger that of the first is."""
    lines = []
    for fill, selections in drops.items():
        first, *others = selections.items()
        filled = "the image's mean" if fill == "mean" else "the image, blurred"
        lines.append(
            f"{len(first[1])} images, {_SHARE:.0%} of the pixels hidden, filled with {filled}; "
            "fall of the label's probability (95 % interval):"
        )
        lines += [f"  {name}: {_of(values)}" for name, values in selections.items()]
        lines += [f"  {first[0]} more than {name}: {_of(first[1] - values)}" for name, values in others]
    return "\n".join(lines)


def _of(values: np.ndarray) -> str:
    mean, half = mean_with_interval(values)
    return f"{mean:.3f} ({mean - half:.3f} to {mean + half:.3f})"


def run(options: argparse.Namespace) -> None:
    """Test Grad-CAM by deletion on validation images, and print the result. Raise RunError for too few."""
    if options.images < 2:
        raise RunError(f"--images: expected 2 or more, for a mean with an interval; found {options.images}")
    model, side_px = square_model(options)
    validation = read_data(options, side_px).validation
    chosen = np.random.default_rng(0).permutation(len(validation))[: options.images]

    def explain(cam: GradCam, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return cam(model.as_input(images[..., 0]), np.take(model.output_order, labels))

    cam, plain = (partial(explain, GradCam(model.network, plain=plain)) for plain in (False, True))
    print(as_text(masking_drops(model.predict, cam, validation.images[chosen], plain)))

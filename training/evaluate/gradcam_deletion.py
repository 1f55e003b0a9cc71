"""Does Grad-CAM point at what matters? Hide what it rates highest, and see whether the label loses its probability.

After the deletion test of Petsiuk, Das and Saenko, "RISE: randomized input sampling for explanation of black-box
models" (2018). What takes the place of hidden pixels decides how hard the test is, so all ways are given the same
fills and the same number of pixels, and every figure is printed:

- "mean": the image's mean, as there. Single pixels of it, scattered at random, are noise that a network has never
  seen, and disturb it more than one hole as large: against them the highest fifth has the hardest stand.
- "blur": a blurred copy of the image: fine detail goes, and hardly any new edges come.

Method and feature maps were chosen on Training images (see `mien.cnn.gradcam.FINE`); PublicTest reports.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

from mien.cnn.gradcam import GradCam
from training.data.dataset import load_dataset
from training.options import add_data, add_network, report_skipped, square_model
from training.recipe import RunError

SHARE = 0.2
WAYS = ("rated highest", "at random", "the same shape, elsewhere", "a disc, anywhere")
PLAIN = "rated highest by Grad-CAM as first published"
FILLS = ("mean", "blur")
BLUR = 1 / 12
"""Standard deviation of the blur as a share of the image's side: 4 pixels of 48."""

Explain = Callable[[np.ndarray, np.ndarray], np.ndarray]


def masking_drops(
    predict: Callable[[np.ndarray], np.ndarray],
    explain: Explain,
    images: np.ndarray,
    seed: int = 0,
    *,
    plain: Explain | None = None,
    fills: tuple[str, ...] = FILLS,
) -> dict[str, dict[str, np.ndarray]]:
    """By how much the most probable label's probability falls for each image: by fill and way, a float (n,).

    Hidden pixels, a fifth of the image: those that `explain` rates highest, random ones, the first moved round the
    image by a random distance, a disc around a random place, and where given those that `plain` rates highest.
    predict: uint8 (n, h, w, 1) -> probabilities (n, 7). explain, plain: images and labels -> heat (n, h, w), as
    `mien.cnn.gradcam.GradCam`.
    """
    rng = np.random.default_rng(seed)
    n, height, width = images.shape[:3]
    before = predict(images)
    labels = before.argmax(axis=1)

    def each(mask_of: Callable[[int], np.ndarray]) -> np.ndarray:
        return np.array([mask_of(i) for i in range(n)], bool).reshape(n, height, width)

    heat = explain(images, labels)
    hottest = each(lambda i: highest(heat[i]))
    masks = {
        WAYS[0]: hottest,
        WAYS[1]: each(lambda _: highest(rng.random((height, width)))),
        WAYS[2]: each(lambda i: np.roll(hottest[i], (rng.integers(height), rng.integers(width)), axis=(0, 1))),
        WAYS[3]: each(lambda _: highest(_nearness(height, width, rng))),
    }
    if plain is not None:
        other = plain(images, labels)
        masks[PLAIN] = each(lambda i: highest(other[i]))
    rows = np.arange(n)
    drops: dict[str, dict[str, np.ndarray]] = {}
    for fill in fills:
        filling = _filling(images, fill)
        for way, mask in masks.items():
            hidden = np.where(mask[..., np.newaxis], filling, images).round().astype(np.uint8)
            drops.setdefault(fill, {})[way] = (before - predict(hidden))[rows, labels]
    return drops


def highest(heat: np.ndarray, share: float = SHARE) -> np.ndarray:
    """Where the highest values are: bool like `heat`, true for `share` of it; equal values in order of position."""
    count = round(share * heat.size)
    mask = np.zeros(heat.size, bool)
    mask[np.argsort(-heat.ravel(), kind="stable")[:count]] = True
    return mask.reshape(heat.shape)


def _nearness(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """(h, w): the higher, the nearer to a random place."""
    y, x = rng.integers(height), rng.integers(width)
    rows, columns = np.mgrid[:height, :width]
    return -np.hypot(rows - y, columns - x)


def _filling(images: np.ndarray, fill: str) -> np.ndarray:
    """What hidden pixels (n, h, w, 1) become."""
    if fill == "mean":
        return images.mean(axis=(1, 2, 3), keepdims=True)
    sigma_px = BLUR * images.shape[2]
    blurred = [cv2.GaussianBlur(image[..., 0], (0, 0), sigma_px) for image in images]
    return np.array(blurred).reshape(images.shape)


def mean_with_interval(values: np.ndarray) -> tuple[float, float]:
    """(mean, half of its 95 % interval) for at least two values, by the normal approximation."""
    return float(values.mean()), float(1.96 * values.std(ddof=1) / np.sqrt(len(values)))


def as_text(drops: dict[str, dict[str, np.ndarray]]) -> str:
    """For each fill the mean fall of each way, and how much more hiding what is rated highest costs than the others."""
    lines = []
    for fill, ways in drops.items():
        first = ways[WAYS[0]]
        lines.append(
            f"{len(first)} images, {SHARE:.0%} of the pixels hidden, filled with {_named(fill)}; "
            "fall of the label's probability (95 % interval):"
        )
        lines += [f"  {way}: {_of(values)}" for way, values in ways.items()]
        lines += [f"  {WAYS[0]} more than {way}: {_of(first - values)}" for way, values in list(ways.items())[1:]]
    return "\n".join(lines)


def _named(fill: str) -> str:
    return "the image's mean" if fill == "mean" else "the image, blurred"


def _of(values: np.ndarray) -> str:
    mean, half = mean_with_interval(values)
    return f"{mean:.3f} ({mean - half:.3f} to {mean + half:.3f})"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Data, network, and how many images."""
    add_data(parser)
    add_network(parser)
    parser.add_argument("--images", type=int, default=1500, help="how many validation images (%(default)s)")


def run(options: argparse.Namespace) -> None:
    """test Grad-CAM: hide the pixels it rates highest, or others, and print what the label loses"""
    if options.images < 2:
        raise RunError(f"--images: expected 2 or more, for a mean with an interval; found {options.images}")
    model, side_px = square_model(options)
    dataset = load_dataset(options.data, side_px=side_px)
    report_skipped(dataset.skipped)
    validation = dataset.validation
    chosen = np.random.default_rng(0).permutation(len(validation))[: options.images]

    def explain(cam: GradCam, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return cam(model.as_input(images[..., 0]), np.take(model.output_order, labels))

    cam, plain = (partial(explain, GradCam(model.network, plain=plain)) for plain in (False, True))
    print(as_text(masking_drops(model.predict, cam, validation.images[chosen], plain=plain)))

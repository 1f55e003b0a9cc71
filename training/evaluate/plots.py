"""Plots of data, training and results, as matplotlib figures without pyplot, which would keep and show them.

The colors are those of Okabe and Ito ("Color universal design", 2008) and cividis (Nuñez, Anderton and Renslow, 2018),
which people with any color vision can distinguish.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mien.types import EXPRESSIONS
from training.data.splits import Dataset, Split
from training.evaluate.metrics import Scores

BLUE, ORANGE, _GRAY = "#0072B2", "#D55E00", "#999999"
_COLORS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "black")


def figure(width: float, height: float) -> Figure:
    """Return an empty figure of this width and height in inches."""
    return Figure(figsize=(width, height), dpi=110, layout="constrained")


def plain(axes: Axes) -> Axes:
    """Remove the upper and right side of the frame; return the axes."""
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def confusion(counts: np.ndarray, title: str = "", *, rows: str = "true", columns: str = "predicted") -> Figure:
    """Draw a confusion matrix: the share of the row in percent, and the number of images.

    Args:
        counts: Int (7, 7).
        title: Above the matrix.
        rows: What the rows are.
        columns: What the columns are.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    drawing = figure(7, 6)
    axes = drawing.subplots()
    picture = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        color = "white" if share < 0.5 else "black"
        text = f"{share:.0%}\n{counts[row, column]}"
        axes.text(column, row, text, ha="center", va="center", color=color, fontsize=8)
    axes.set_xticks(range(len(EXPRESSIONS)), EXPRESSIONS, rotation=30, ha="right")
    axes.set_yticks(range(len(EXPRESSIONS)), EXPRESSIONS)
    axes.set(xlabel=columns, ylabel=rows, title=title)
    axes.spines[:].set_visible(False)
    drawing.colorbar(picture, ax=axes, label="share of the row", shrink=0.8)
    return drawing


def reliability(scores: Scores, title: str = "") -> Figure:
    """Draw the reliability diagram of scores, below a title: accuracy by bin of confidence, and images in each bin."""
    drawing = figure(5.5, 6)
    upper, lower = drawing.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    width = 1 / len(scores.bins)
    centers = (np.arange(len(scores.bins)) + 0.5) * width
    counts, confidences, accuracies = (np.array(column, float) for column in zip(*scores.bins, strict=True))
    filled = counts > 0
    plain(upper).bar(centers[filled], accuracies[filled], width * 0.92, color=BLUE, label="accuracy")
    upper.scatter(confidences[filled], confidences[filled], color=ORANGE, zorder=3, s=18, label="mean confidence")
    upper.plot((0, 1), (0, 1), color=_GRAY, linestyle="--", linewidth=1)
    upper.set(ylim=(0, 1), ylabel="accuracy", title=f"{title}: ECE {scores.ece:.3f}".lstrip(": "))
    upper.legend(loc="upper left", framealpha=0.9, edgecolor="none")
    plain(lower).bar(centers, counts, width * 0.92, color=_GRAY)
    lower.set(xlim=(0, 1), xlabel="confidence", ylabel="images")
    return drawing


def class_counts(dataset: Dataset) -> Figure:
    """Draw the share of each expression in each split, with the number of images."""
    drawing = figure(8, 3.5)
    axes = plain(drawing.subplots())
    splits = {"Training": dataset.train, dataset.named[0]: dataset.validation, dataset.named[1]: dataset.test}
    splits = {name: split for name, split in splits.items() if len(split)}
    for i, (name, split) in enumerate(splits.items()):
        counts = np.array(list(split.counts().values()))
        positions = np.arange(len(EXPRESSIONS)) + (i - (len(splits) - 1) / 2) * 0.27
        bars = axes.bar(positions, counts / len(split), 0.25, color=_COLORS[i], label=f"{name}: {len(split):,} images")
        axes.bar_label(bars, [str(n) for n in counts], fontsize=6)
    axes.set_xticks(range(len(EXPRESSIONS)), EXPRESSIONS)
    axes.set(ylabel="share of the split")
    axes.legend(frameon=False, ncols=len(splits), loc="lower left", bbox_to_anchor=(0, 1.02))
    return drawing


def samples(split: Split, *, each: int = 8, seed: int = 0) -> Figure:
    """Draw random images of each expression in a split, one row for each; seed: of the choice."""
    rng = np.random.default_rng(seed)
    members = [rng.permutation(np.flatnonzero(split.labels == label))[:each] for label in range(len(EXPRESSIONS))]
    return _in_rows({name: split.images[m] for name, m in zip(EXPRESSIONS, members, strict=True)}, each)


def before_after(before: np.ndarray, after: np.ndarray) -> Figure:
    """Draw images `before` (n, h, w, 1) in the upper row, and augmented, `after`, in the lower."""
    return _in_rows({"before": before, "after": after}, max(len(before), len(after)))


def _in_rows(rows: dict[str, np.ndarray], columns: int) -> Figure:
    """Draw rows of images, each below its name."""
    drawing = figure(columns, 1.2 * len(rows))
    grid = drawing.subplots(len(rows), columns, squeeze=False)
    for (name, images), row in zip(rows.items(), grid, strict=True):
        for axes, image in itertools.zip_longest(row, images):
            _show(axes, image)
        row[0].set_title(name, fontsize=8, loc="left")
    return drawing


def curves(histories: dict[str, Sequence[dict[str, float]]]) -> Figure:
    """Draw loss and accuracy over the epochs of several runs: training dashed, validation solid.

    histories: from `training.run_folder.read_history`, by name.
    """
    drawing = figure(10, 3.8)
    grid = drawing.subplots(1, 2)
    for axes, quantity in zip(grid, ("loss", "accuracy"), strict=True):
        for i, (name, rows) in enumerate(histories.items()):
            epochs = [row["epoch"] + 1 for row in rows]
            color = _COLORS[i % len(_COLORS)]
            axes.plot(epochs, [row[quantity] for row in rows], color=color, linestyle="--", alpha=0.6)
            axes.plot(epochs, [row[f"val_{quantity}"] for row in rows], color=color, label=name)
        plain(axes).set(xlabel="epoch", ylabel=f"{quantity} (dashed: training)")
        axes.legend(frameon=False, loc="upper right" if quantity == "loss" else "lower right")
    return drawing


def mistakes(split: Split, probabilities: np.ndarray, count: int = 12) -> Figure:
    """Draw the errors of highest probability, each with the true label and the predicted one.

    Args:
        split: The n images.
        probabilities: (n, 7).
        count: At most this many errors.
    """
    wrong = surest(split.labels, probabilities, right=False)[:count]
    truths = [EXPRESSIONS[label] for label in split.labels[wrong]]
    predicted = [f"{EXPRESSIONS[row.argmax()]} {row.max():.0%}" for row in probabilities[wrong]]
    captions = [f"{truth}, predicted\n{found}" for truth, found in zip(truths, predicted, strict=True)]
    return captioned(split.images[wrong], captions)


def captioned(images: np.ndarray, captions: Sequence[str], columns: int = 6) -> Figure:
    """Draw images (n, h, w, 1) or (n, h, w, 3) in columns, each above one of the captions of one or two lines."""
    rows = max(1, -(-len(images) // columns))
    drawing = figure(1.5 * columns, 1.8 * rows)
    grid = drawing.subplots(rows, columns, squeeze=False).ravel()
    for axes, image, caption in itertools.zip_longest(grid, images, captions):
        _show(axes, image)
        axes.set_title(caption or "", fontsize=7, y=0, pad=-4, va="top")  # below the image
    return drawing


def surest(labels: np.ndarray, probabilities: np.ndarray, *, right: bool) -> np.ndarray:
    """Return the positions of right (or wrong) predictions, those with the highest probability first: int (m,).

    Args:
        labels: Int (n,), the true ones.
        probabilities: (n, 7).
        right: Whether right or wrong ones are wanted.
    """
    chosen = np.flatnonzero((probabilities.argmax(axis=1) == labels) == right)
    return chosen[np.argsort(-probabilities[chosen].max(axis=1), kind="stable")]


def feature_maps(face: np.ndarray, blocks: dict[str, np.ndarray], count: int = 10) -> Figure:
    """Draw a face (h, w, 1) and, row by row, the `count` feature maps of blocks, (1, h', w', c), that vary most."""
    drawing = figure(count, 1.15 * (len(blocks) + 1))
    grid = drawing.subplots(len(blocks) + 1, count, squeeze=False)
    for axes, image in itertools.zip_longest(grid[0], [face]):
        _show(axes, image)
    for (name, maps), row in zip(blocks.items(), grid[1:], strict=True):
        strongest = np.argsort(-maps[0].std(axis=(0, 1)))[:count]
        for axes, channel in itertools.zip_longest(row, strongest):
            _show(axes, None if channel is None else maps[0, :, :, channel], cmap="cividis", limits=(None, None))
        row[0].set_title(f"{name}: {maps.shape[1]}x{maps.shape[2]}, {maps.shape[3]} channels", fontsize=7, loc="left")
    return drawing


def filters(kernels: np.ndarray) -> Figure:
    """Draw kernels (height, width, n) side by side on one scale; gray is zero."""
    rows = -(-kernels.shape[2] // 16)
    drawing = figure(8, rows * 0.5)
    limit = float(np.abs(kernels).max()) or 1.0
    for axes, kernel in itertools.zip_longest(
        drawing.subplots(rows, 16, squeeze=False).ravel(), np.moveaxis(kernels, 2, 0)
    ):
        _show(axes, kernel, limits=(-limit, limit))
    return drawing


def _show(axes: Axes, image: np.ndarray | None, *, cmap: str = "gray", limits: tuple[Any, Any] = (0, 255)) -> None:
    """Draw an image without axes: gray (h, w) or (h, w, 1), or RGB (h, w, 3); limits: black and white, None its own."""
    axes.axis("off")
    if image is not None:
        axes.imshow(image, cmap=cmap, vmin=limits[0], vmax=limits[1])

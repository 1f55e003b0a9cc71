"""Plots of results, as matplotlib figures without pyplot: nothing is shown or kept unless the caller does so.

Colours are those of Okabe and Ito ("Color universal design", 2008) and cividis (Nuñez, Anderton and Renslow, 2018),
which people with any colour vision can tell apart.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mien.expressions import EXPRESSIONS
from training.evaluate.metrics import Scores

BLUE, ORANGE, GREEN, PINK, GRAY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#999999"
DPI = 110


def figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches."""
    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def plain(axes: Axes) -> Axes:
    """The axes without the frame's upper and right side."""
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def confusion(counts: np.ndarray, title: str = "") -> Figure:
    """How often each expression was taken for which: share of the row in percent, and the number of images.

    counts: int (7, 7), rows true, columns predicted.
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
    axes.set(xlabel="predicted", ylabel="true", title=title)
    axes.spines[:].set_visible(False)
    drawing.colorbar(picture, ax=axes, label="share of the true expression", shrink=0.8)
    return drawing


def reliability(scores: Scores, title: str = "") -> Figure:
    """Accuracy in each bin of confidence against the diagonal of an honest network, above how many images it holds."""
    drawing = figure(5.5, 6)
    upper, lower = drawing.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    width = 1 / len(scores.bins)
    centers = (np.arange(len(scores.bins)) + 0.5) * width
    counts, confidences, accuracies = (np.array(column, float) for column in zip(*scores.bins, strict=True))
    filled = counts > 0
    plain(upper).bar(centers[filled], accuracies[filled], width * 0.92, color=BLUE, label="accuracy")
    upper.scatter(confidences[filled], confidences[filled], color=ORANGE, zorder=3, s=18, label="mean confidence")
    upper.plot((0, 1), (0, 1), color=GRAY, linestyle="--", linewidth=1)
    upper.set(ylim=(0, 1), ylabel="accuracy", title=f"{title}: ECE {scores.ece:.3f}".lstrip(": "))
    upper.legend(loc="upper left", framealpha=0.9, edgecolor="none")
    plain(lower).bar(centers, counts, width * 0.92, color=GRAY)
    lower.set(xlim=(0, 1), xlabel="confidence", ylabel="images")
    return drawing

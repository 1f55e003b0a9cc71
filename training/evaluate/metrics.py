"""Accuracy, macro-F1, calibration and confusion of a network, and their comparison with recorded figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mien.types import EXPRESSIONS
from training.data.dataset import Dataset, Split, not_in

CALIBRATION_BINS = 15


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Scores of one network on one set.

    Attributes:
        n: Number of images.
        accuracy: Share of correct labels.
        interval: 95 % interval of the accuracy (Wilson, 1927).
        macro_f1: Mean of the seven F1 scores.
        ece: Expected calibration error in 15 bins (Guo et al., "On calibration of modern neural networks", 2017).
        nll: Mean negative log-likelihood of the true label.
        precision: Of each expression, as recall and f1.
        confusion: Int (7, 7), rows true, columns predicted.
        bins: (images, mean confidence, accuracy) of each bin of confidence; 0, 0, 0 where empty.
    """

    n: int
    accuracy: float
    interval: tuple[float, float]
    macro_f1: float
    ece: float
    nll: float
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    f1: tuple[float, ...]
    confusion: np.ndarray
    bins: tuple[tuple[int, float, float], ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain numbers, lists and names, for JSON."""
        return {
            "n": self.n,
            "accuracy": self.accuracy,
            "interval": list(self.interval),
            "macro_f1": self.macro_f1,
            "ece": self.ece,
            "nll": self.nll,
            "classes": {
                expression: {"precision": self.precision[i], "recall": self.recall[i], "f1": self.f1[i]}
                for i, expression in enumerate(EXPRESSIONS)
            },
            "confusion": self.confusion.tolist(),
            "bins": [list(row) for row in self.bins],
        }

    @classmethod
    def from_dict(cls, figures: dict[str, Any]) -> Scores:
        """Build from the result of `as_dict`. Raise KeyError or TypeError for anything else."""
        by_class = [figures["classes"][expression] for expression in EXPRESSIONS]
        low, high = figures["interval"]
        return cls(
            **{name: figures[name] for name in ("n", "accuracy", "macro_f1", "ece", "nll")},
            interval=(low, high),
            precision=tuple(row["precision"] for row in by_class),
            recall=tuple(row["recall"] for row in by_class),
            f1=tuple(row["f1"] for row in by_class),
            confusion=np.array(figures["confusion"], int),
            bins=tuple((n, confidence, accuracy) for n, confidence, accuracy in figures["bins"]),
        )


def score(probabilities: np.ndarray, labels: np.ndarray) -> Scores:
    """Score probabilities against labels.

    Args:
        probabilities: (n, 7), in the order of EXPRESSIONS.
        labels: Int (n,), indices into EXPRESSIONS.

    Raises:
        ValueError: N is 0, or the shapes differ.
    """
    n = len(labels)
    if n == 0 or probabilities.shape != (n, len(EXPRESSIONS)):
        raise ValueError(f"expected probabilities (n, 7) for n > 0 labels, found {probabilities.shape} for {n}")
    predicted = probabilities.argmax(axis=1)
    confusion = np.zeros((len(EXPRESSIONS), len(EXPRESSIONS)), int)
    np.add.at(confusion, (labels, predicted), 1)
    right = np.diag(confusion)
    precision = right / np.maximum(confusion.sum(axis=0), 1)
    recall = right / np.maximum(confusion.sum(axis=1), 1)
    f1 = 2 * right / np.maximum(confusion.sum(axis=0) + confusion.sum(axis=1), 1)
    correct = int(right.sum())
    true_probability = np.clip(probabilities[np.arange(n), labels], 1e-12, 1)
    return Scores(
        n=n,
        accuracy=correct / n,
        interval=wilson_interval(correct, n),
        macro_f1=float(f1.mean()),
        ece=calibration_error(probabilities, labels),
        nll=float(-np.log(true_probability).mean()),
        precision=tuple(map(float, precision)),
        recall=tuple(map(float, recall)),
        f1=tuple(map(float, f1)),
        confusion=confusion,
        bins=calibration_bins(probabilities, labels),
    )


def wilson_interval(successes: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Return the interval of a share (Wilson, 1927).

    Args:
        successes: Number of successes.
        n: Number of trials.
        z: Quantile of the normal distribution; 1.96 for 95 %.

    Returns:
        Lower and upper end, 0 to 1.
    """
    share = successes / n
    center = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return (center - half) / scale, (center + half) / scale


def calibration_bins(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = CALIBRATION_BINS
) -> tuple[tuple[int, float, float], ...]:
    """Return the bins of a reliability diagram.

    Args:
        probabilities: (n, 7).
        labels: Int (n,).
        bins: Number of equal bins of confidence.

    Returns:
        (images, mean confidence, accuracy) of each bin; 0, 0, 0 where it is empty.
    """
    confidence = probabilities.max(axis=1)
    hit = probabilities.argmax(axis=1) == labels
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    inside = [index == b for b in range(bins)]
    return tuple(
        (int(i.sum()), float(confidence[i].mean()), float(hit[i].mean())) if i.any() else (0, 0.0, 0.0) for i in inside
    )


def calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = CALIBRATION_BINS) -> float:
    """Return the expected calibration error: the mean gap between confidence and accuracy, weighted by images.

    Args:
        probabilities: (n, 7).
        labels: Int (n,).
        bins: Number of equal bins of confidence.
    """
    rows = calibration_bins(probabilities, labels, bins)
    return sum(n * abs(confidence - accuracy) for n, confidence, accuracy in rows) / len(labels)


FLIPPED = ", flip averaged"
CLEAN = " clean"


def evaluate(predict: Callable[[np.ndarray], np.ndarray], dataset: Dataset, *, flip: bool = False) -> dict[str, Scores]:
    """Score a network on PublicTest, PrivateTest, and PrivateTest without the images that are in Training as well.

    Args:
        predict: Faces uint8 (n, side, side, 1) -> probabilities (n, 7).
        dataset: Its validation and test splits are used, see `training.data.dataset.Dataset.named`.
        flip: Also score each set with the probabilities averaged over each image and its mirror image, as in
            Krizhevsky, Sutskever and Hinton (2012).

    Returns:
        The scores by name, with CLEAN and FLIPPED as suffixes.
    """
    sets: dict[str, Split] = dict(zip(dataset.named, (dataset.validation, dataset.test), strict=True))
    scores: dict[str, Scores] = {}
    averaged: dict[str, Scores] = {}
    for name, split in sets.items():
        if not len(split):
            continue
        probabilities = predict(split.images)
        others = dataset.train if split is dataset.test else None
        scores.update(with_clean(name, split, probabilities, others))
        if flip:
            mirrored = predict(np.ascontiguousarray(split.images[:, :, ::-1]))
            found = with_clean(name, split, (probabilities + mirrored) / 2, others)
            averaged.update({f"{set_name}{FLIPPED}": s for set_name, s in found.items()})
    return scores | averaged


def with_clean(name: str, split: Split, probabilities: np.ndarray, train: Split | None) -> dict[str, Scores]:
    """Score one set, and the part of it that is not in the training images.

    Args:
        name: Name of the set.
        split: Its images.
        probabilities: Of the network, (n, 7).
        train: The training images; None leaves the second part out.

    Returns:
        Scores by name, those of the second part with the suffix CLEAN.
    """
    scores = {name: score(probabilities, split.labels)}
    if train is not None:
        clean = set(not_in(split, train).names)
        kept = [i for i, image_name in enumerate(split.names) if image_name in clean]
        if kept:
            scores[f"{name}{CLEAN}"] = score(probabilities[kept], split.labels[kept])
    return scores


ACCURACY_TOLERANCE = 0.002
ECE_TOLERANCE = 0.005
"""Seven images of 3,589; rounding differences of other processors and backends are far smaller."""


def compared(found: Mapping[str, Scores], recorded: Mapping[str, Scores]) -> str:
    """Return "PublicTest 67.29% (recorded 67.29%), ..." for the sets that both have."""
    pairs = [
        f"{name} {found[name].accuracy:.2%} (recorded {recorded[name].accuracy:.2%})" for name in _both(found, recorded)
    ]
    return ", ".join(pairs) or "no set in common"


def same_sets(found: Mapping[str, Scores], recorded: Mapping[str, Scores]) -> bool:
    """Return whether both were measured on the same number of images, so that they can be compared."""
    return {name: s.n for name, s in found.items()} == {name: s.n for name, s in recorded.items()}


def regressions(found: Mapping[str, Scores], recorded: Mapping[str, Scores]) -> list[str]:
    """Return a line for each figure that is worse than recorded by more than noise, and for sets that differ."""
    worse = [f"{name}: not measured" for name in recorded if name not in found]
    for name in _both(found, recorded):
        new, old = found[name], recorded[name]
        if new.n != old.n:
            worse.append(f"{name}: {new.n} images, recorded {old.n}")
        if new.accuracy < old.accuracy - ACCURACY_TOLERANCE:
            worse.append(f"{name}: accuracy {new.accuracy:.2%}, recorded {old.accuracy:.2%}")
        if new.ece > old.ece + ECE_TOLERANCE:
            worse.append(f"{name}: ECE {new.ece:.3f}, recorded {old.ece:.3f}")
    return worse


def _both(found: Mapping[str, Scores], recorded: Mapping[str, Scores]) -> list[str]:
    return [name for name in recorded if name in found]

"""Accuracy, macro-F1, calibration and confusion of a network, and their comparison with recorded figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mien.types import EXPRESSIONS
from training.data.splits import Dataset, Split, not_in

FLIPPED = ", flip averaged"
CLEAN = " clean"
"""Suffixes of sets: averaged over each image and its mirror image; without the images that are in Training as well."""

_ACCURACY_TOLERANCE = 0.002
_ECE_TOLERANCE = 0.005
"""Seven images of 3,589; rounding differences of other processors and backends are far smaller."""

Bins = tuple[tuple[int, float, float], ...]
"""(images, mean confidence, mean agreement) of each bin of confidence; 0, 0, 0 where empty."""


class Counted:
    """What follows from a confusion matrix, rows true and columns predicted, and the number of images.

    Example:
        s = score(probabilities, labels)
        print(f"{s.accuracy:.1%} of {s.n} images")
        print(dict(zip(EXPRESSIONS, s.recall)))
    """

    __slots__ = ()
    n: int
    confusion: Any

    @property
    def right(self) -> int:
        """Number of images that are labeled correctly."""
        return int(np.trace(np.asarray(self.confusion)))

    @property
    def accuracy(self) -> float:
        """Share of images that are labeled correctly."""
        return self.right / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the accuracy (Wilson, 1927)."""
        return wilson_interval(self.right, self.n)

    @property
    def precision(self) -> tuple[float, ...]:
        """Precision of each expression; 0 where it is never predicted."""
        return self._shares(np.sum(self.confusion, axis=0))

    @property
    def recall(self) -> tuple[float, ...]:
        """Recall of each expression; 0 where it has no image."""
        return self._shares(np.sum(self.confusion, axis=1))

    @property
    def f1(self) -> tuple[float, ...]:
        """F1 of each expression: the harmonic mean of precision and recall."""
        return self._shares((np.sum(self.confusion, axis=0) + np.sum(self.confusion, axis=1)) / 2)

    def _shares(self, of: np.ndarray) -> tuple[float, ...]:
        return tuple(map(float, np.diag(self.confusion) / np.where(of == 0, 1, of)))


@dataclass(frozen=True, slots=True, eq=False)
class Scores(Counted):
    """Scores of one network on one set; the example is that of `Counted`.

    Attributes:
        n: Number of images.
        confusion: Int (7, 7), rows true, columns predicted.
        nll: Mean negative log-likelihood of the true label.
        bins: Of confidence and accuracy.
    """

    n: int
    confusion: np.ndarray
    nll: float
    bins: Bins

    @property
    def macro_f1(self) -> float:
        """Mean of the seven F1 scores."""
        return float(np.mean(self.f1))

    @property
    def ece(self) -> float:
        """Expected calibration error in 15 bins (Guo et al., "On calibration of modern neural networks", 2017)."""
        return calibration_error(self.bins)

    def as_dict(self) -> dict[str, Any]:
        """Return all figures as plain numbers, lists and names, for JSON."""
        rows = zip(EXPRESSIONS, self.precision, self.recall, self.f1, strict=True)
        return {
            **{name: getattr(self, name) for name in ("n", "accuracy", "interval", "macro_f1", "ece", "nll")},
            "classes": {name: {"precision": p, "recall": r, "f1": f1} for name, p, r, f1 in rows},
            "confusion": self.confusion.tolist(),
            "bins": self.bins,
        }

    @classmethod
    def from_dict(cls, figures: dict[str, Any]) -> Scores:
        """Build from the result of `as_dict`. Raise KeyError or TypeError for anything else."""
        bins = tuple((n, confidence, accuracy) for n, confidence, accuracy in figures["bins"])
        return cls(figures["n"], np.array(figures["confusion"], int), figures["nll"], bins)


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
    likelihood = np.clip(probabilities[np.arange(n), labels], 1e-12, 1)
    bins = calibration_bins(probabilities.max(axis=1), predicted == labels)
    return Scores(n, confusion_of(labels, predicted), float(-np.log(likelihood).mean()), bins)


def confusion_of(labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Count predictions: int (7, 7), rows true and columns predicted, of two arrays of labels, int (n,)."""
    confusion = np.zeros((len(EXPRESSIONS), len(EXPRESSIONS)), int)
    np.add.at(confusion, (labels, predicted), 1)
    return confusion


def wilson_interval(successes: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of the share of successes in n trials (Wilson, 1927), its ends from 0 to 1."""
    z = 1.96  # quantile of the normal distribution
    share = successes / n
    center = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return (center - half) / scale, (center + half) / scale


def calibration_bins(confidence: np.ndarray, agreement: np.ndarray, bins: int = 15) -> Bins:
    """Return the bins of a reliability diagram.

    Args:
        confidence: (n,), the highest probability of each image.
        agreement: (n,), whether its label is right, or the share of the votes that agree with it.
        bins: Number of equal bins of confidence.
    """
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    inside = [index == b for b in range(bins)]
    return tuple(
        (int(i.sum()), float(confidence[i].mean()), float(agreement[i].mean())) if i.any() else (0, 0.0, 0.0)
        for i in inside
    )


def calibration_error(bins: Bins) -> float:
    """Return the expected calibration error: the mean gap of confidence and agreement, weighted by images."""
    gaps = sum(n * abs(confidence - agreement) for n, confidence, agreement in bins)
    return gaps / max(sum(n for n, _, _ in bins), 1)


def evaluate(predict: Callable[[np.ndarray], np.ndarray], dataset: Dataset, *, flip: bool = False) -> dict[str, Scores]:
    """Score a network on PublicTest, PrivateTest, and PrivateTest without the images that are in Training as well.

    Args:
        predict: Faces uint8 (n, side, side, 1) -> probabilities (n, 7).
        dataset: Its validation and test splits are used, see `training.data.splits.Dataset.named`.
        flip: Also score each set with the probabilities averaged over each image and its mirror image, as in
            Krizhevsky, Sutskever and Hinton (2012).

    Returns:
        The scores by name, with CLEAN and FLIPPED as suffixes.
    """
    scores: dict[str, Scores] = {}
    averaged: dict[str, Scores] = {}
    for name, split in zip(dataset.named, (dataset.validation, dataset.test), strict=True):
        if not len(split):
            continue
        probabilities = predict(split.images)
        others = dataset.train if split is dataset.test else None
        scores |= with_clean(name, split, probabilities, others)
        if flip:
            mirrored = predict(np.ascontiguousarray(split.images[:, :, ::-1]))
            found = with_clean(name, split, (probabilities + mirrored) / 2, others)
            averaged |= {f"{set_name}{FLIPPED}": s for set_name, s in found.items()}
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


def compared(found: Mapping[str, Scores], recorded: Mapping[str, Scores]) -> str:
    """Return "PublicTest 67.29% (recorded 67.29%), ..." for the sets that both `found` and `recorded` have."""
    both = [(name, found[name].accuracy, old.accuracy) for name, old in recorded.items() if name in found]
    return ", ".join(f"{name} {new:.2%} (recorded {old:.2%})" for name, new, old in both) or "no set in common"


def same_sets(found: Mapping[str, Scores], recorded: Mapping[str, Scores]) -> bool:
    """Return whether `found` and `recorded` are of the same numbers of images, so that they can be compared."""
    return {name: s.n for name, s in found.items()} == {name: s.n for name, s in recorded.items()}


def regressions(found: Mapping[str, Scores], recorded: Mapping[str, Scores]) -> list[str]:
    """Return a line for each figure in `found` that is worse than recorded by more than noise, or of other sets."""
    worse = [f"{name}: not measured" for name in recorded if name not in found]
    for name, old in recorded.items():
        if (new := found.get(name)) is None:
            continue
        if new.n != old.n:
            worse.append(f"{name}: {new.n} images, recorded {old.n}")
        if new.accuracy < old.accuracy - _ACCURACY_TOLERANCE:
            worse.append(f"{name}: accuracy {new.accuracy:.2%}, recorded {old.accuracy:.2%}")
        if new.ece > old.ece + _ECE_TOLERANCE:
            worse.append(f"{name}: ECE {new.ece:.3f}, recorded {old.ece:.3f}")
    return worse

"""Score a network's probabilities against the votes of several people."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mien.types import EXPRESSIONS
from training.data.dataset import Split
from training.data.votes import SEVEN, ambiguous, clear_majority, shares
from training.evaluate.metrics import CALIBRATION_BINS, wilson_interval


@dataclass(frozen=True, slots=True)
class VoteScores:
    """Scores of one head on one set.

    Attributes:
        n: Images with a clear majority by the protocol of the FER+ paper, see `training.data.votes.clear_majority`.
        accuracy: Share of them that are labeled as most people do; contempt always counts as wrong.
        interval: 95 % interval of the accuracy (Wilson, 1927).
        balanced_recall: Mean recall of the expressions on the same images without contempt.
        confusion: Int (7, 7), rows what most people see, columns predicted.
        shown: Images that are not ambiguous, on which share_error and ece are measured.
        share_error: Mean absolute difference between the shares of votes and the probabilities.
        ece: Mean gap, in 15 bins of confidence, between confidence and share of votes for the predicted label.
    """

    n: int
    accuracy: float
    interval: tuple[float, float]
    balanced_recall: float
    confusion: tuple[tuple[int, ...], ...]
    shown: int
    share_error: float
    ece: float

    @property
    def recall(self) -> tuple[float, ...]:
        """Recall of each expression; 0 where it has no image."""
        counts = np.array(self.confusion)
        return tuple(map(float, np.diag(counts) / np.maximum(counts.sum(axis=1), 1)))

    @property
    def precision(self) -> tuple[float, ...]:
        """Precision of each expression; 0 where it is never predicted."""
        counts = np.array(self.confusion)
        return tuple(map(float, np.diag(counts) / np.maximum(counts.sum(axis=0), 1)))

    @classmethod
    def from_dict(cls, figures: Mapping[str, Any]) -> VoteScores:
        """Build from the result of `dataclasses.asdict`. Raise KeyError or TypeError for anything else."""
        known = {field.name: figures[field.name] for field in dataclasses.fields(cls)}
        low, high = known.pop("interval")
        confusion = tuple(tuple(map(int, row)) for row in known.pop("confusion"))
        return cls(**known, interval=(low, high), confusion=confusion)


def score_votes(probabilities: np.ndarray, split: Split) -> VoteScores | None:
    """Score probabilities against votes.

    Args:
        probabilities: (n, 7), in the order of EXPRESSIONS.
        split: The n images, with votes.

    Returns:
        None where no image has a clear majority.
    """
    predicted = probabilities.argmax(axis=1)
    majority = clear_majority(split)
    counted = int((majority >= 0).sum())
    if not counted:
        return None
    seven = (majority >= 0) & (majority < SEVEN)
    confusion = np.zeros((SEVEN, SEVEN), int)
    np.add.at(confusion, (majority[seven], predicted[seven]), 1)
    right = int(np.diag(confusion).sum())
    kept = ~ambiguous(split)
    target = shares(split)[kept]
    return VoteScores(
        n=counted,
        accuracy=right / counted,
        interval=wilson_interval(right, counted),
        balanced_recall=_balanced_recall(confusion),
        confusion=tuple(tuple(map(int, row)) for row in confusion),
        shown=int(kept.sum()),
        share_error=float(np.abs(probabilities[kept] - target).mean()),
        ece=vote_calibration_error(probabilities[kept], target),
    )


def _balanced_recall(confusion: np.ndarray) -> float:
    """Return the mean recall of the expressions that have images."""
    images = confusion.sum(axis=1)
    return float((np.diag(confusion)[images > 0] / images[images > 0]).mean())


def agreement(probabilities: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the share of the votes that agree with the predicted label.

    Args:
        probabilities: (n, 7).
        target: Shares of the votes, (n, 7).

    Returns:
        (n,), 0 to 1.
    """
    return np.asarray(np.take_along_axis(target, probabilities.argmax(axis=1)[:, None], axis=1)[:, 0])


def vote_calibration_error(probabilities: np.ndarray, target: np.ndarray, bins: int = CALIBRATION_BINS) -> float:
    """Return the expected calibration error against votes: of confidence against `agreement`.

    Args:
        probabilities: (n, 7).
        target: Shares of the votes, (n, 7).
        bins: Number of equal bins of confidence.
    """
    confidence = probabilities.max(axis=1)
    gap = confidence - agreement(probabilities, target)
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    return float(np.abs(np.bincount(index, weights=gap, minlength=bins)).sum() / max(len(gap), 1))


def as_markdown(rows: Mapping[str, Mapping[str, VoteScores]], detailed: str) -> str:
    """Return Markdown tables: one with a row for each head and set, and one by expression for each head.

    Args:
        rows: Scores by head and set.
        detailed: The set of the tables by expression.
    """
    lines = [
        "| head | set | images | accuracy | 95 % interval | balanced recall | neutral recall | ECE | share error |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for head, sets in rows.items():
        for name, s in sets.items():
            low, high = s.interval
            lines.append(
                f"| {head} | {name} | {s.n} | {s.accuracy:.2%} | {low:.1%} to {high:.1%} | {s.balanced_recall:.3f} "
                f"| {s.recall[EXPRESSIONS.index('neutral')]:.3f} | {s.ece:.3f} | {s.share_error:.3f} |"
            )
    for head, sets in list(rows.items())[:2]:  # as shipped, and the head that learned votes
        if detailed in sets:
            lines += ["", f"{detailed}, {head}; rows are what most people see:", "", *_by_expression(sets[detailed])]
    return "\n".join(lines) + "\n"


def _by_expression(s: VoteScores) -> list[str]:
    lines = [
        "| expression | precision | recall | " + " | ".join(EXPRESSIONS) + " |",
        "|---|---|---|" + "---|" * len(EXPRESSIONS),
    ]
    for i, expression in enumerate(EXPRESSIONS):
        counts = " | ".join(map(str, s.confusion[i]))
        lines.append(f"| {expression} | {s.precision[i]:.3f} | {s.recall[i]:.3f} | {counts} |")
    return lines

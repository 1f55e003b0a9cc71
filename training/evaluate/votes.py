"""Score a network's probabilities against the votes of several people."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mien.types import EXPRESSIONS
from training.data.splits import Split
from training.data.votes import SEVEN, ambiguous, clear_majority, shares
from training.evaluate.metrics import Counted, calibration_bins, calibration_error, confusion_of
from training.evaluate.tables import accuracy_cells, by_expression, markdown_table


@dataclass(frozen=True, slots=True)
class VoteScores(Counted):
    """Scores of one head on one set; the example is that of `training.evaluate.metrics.Counted`.

    Attributes:
        n: Images with a clear majority by the protocol of the FER+ paper, see `training.data.votes.clear_majority`. The
            accuracy is the share of them that are labeled as most people do; contempt always counts as wrong.
        confusion: Int (7, 7), rows what most people see, columns predicted.
        shown: Images that are not ambiguous, on which share_error and ece are measured.
        share_error: Mean absolute difference between the shares of votes and the probabilities.
        ece: Mean gap, in 15 bins of confidence, between confidence and share of votes for the predicted label.
    """

    n: int
    confusion: tuple[tuple[int, ...], ...]
    shown: int
    share_error: float
    ece: float

    @property
    def balanced_recall(self) -> float:
        """Mean recall of the expressions that have images."""
        return float(np.array(self.recall)[np.sum(self.confusion, axis=1) > 0].mean())

    def as_dict(self) -> dict[str, Any]:
        """Return all figures as plain numbers, lists and names, for JSON."""
        names = ("n", "accuracy", "interval", "balanced_recall", "confusion", "shown", "share_error", "ece")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_dict(cls, figures: Mapping[str, Any]) -> VoteScores:
        """Build from the result of `as_dict`. Raise KeyError or TypeError for anything else."""
        known = {field.name: figures[field.name] for field in dataclasses.fields(cls)}
        return cls(**known | {"confusion": tuple(tuple(map(int, row)) for row in known["confusion"])})


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
    confusion = confusion_of(majority[seven], predicted[seven])
    kept = ~ambiguous(split)
    clear, target = probabilities[kept], shares(split)[kept]
    return VoteScores(
        n=counted,
        confusion=tuple(tuple(map(int, row)) for row in confusion),
        shown=int(kept.sum()),
        share_error=float(np.abs(clear - target).mean()),
        ece=calibration_error(calibration_bins(clear.max(axis=1), agreement(clear, target))),
    )


def agreement(probabilities: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the share of the votes that agree with the predicted label.

    Args:
        probabilities: (n, 7).
        target: Shares of the votes, (n, 7).

    Returns:
        (n,), 0 to 1.
    """
    return np.asarray(np.take_along_axis(target, probabilities.argmax(axis=1)[:, None], axis=1)[:, 0])


def as_markdown(rows: Mapping[str, Mapping[str, VoteScores]], detailed: str) -> str:
    """Return Markdown tables: one with a row for each head and set, and one by expression for each head.

    Args:
        rows: Scores by head and set.
        detailed: The set of the tables by expression.
    """
    neutral = EXPRESSIONS.index("neutral")
    columns = ["head", "set", "images", "accuracy", "95 % interval", "balanced recall", "neutral recall", "ECE"]
    cells = [
        [head, name, str(s.n), *accuracy_cells(s)]
        + [f"{value:.3f}" for value in (s.balanced_recall, s.recall[neutral], s.ece, s.share_error)]
        for head, sets in rows.items()
        for name, s in sets.items()
    ]
    text = markdown_table([*columns, "share error"], cells)
    for head, sets in list(rows.items())[:2]:  # as shipped, and the head that learned votes
        if s := sets.get(detailed):
            details = by_expression(s, {"precision": s.precision, "recall": s.recall})
            text += f"\n{detailed}, {head}; rows are what most people see:\n\n{details}"
    return text

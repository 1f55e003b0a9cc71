"""Test against people's votes what the page says: which faces are unsure, and how many of ten people would agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.data.splits import Split
from training.data.votes import ambiguous, shares
from training.evaluate.tables import markdown_table
from training.evaluate.votes import agreement

THRESHOLDS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)
HALF = 0.5
"""People disagree about a face if a smaller share of them agrees with its label."""


@dataclass(frozen=True, slots=True)
class Unsure:
    """What one value of `--unsure` does.

    Attributes:
        below: The value; faces with a lower confidence are unsure.
        share: Share of the faces that are unsure.
        disputed: Share of the unsure faces that people disagree about; 0 where there are none.
        settled: Share of the other faces that people do not disagree about; 0 where there are none.

    Example:
        for row in doubt.unsure:
            print(f"--unsure {row.below}: {row.share:.0%} of the faces, {row.disputed:.0%} of them disputed")
    """

    below: float
    share: float
    disputed: float
    settled: float


@dataclass(frozen=True, slots=True)
class Tenth:
    """The faces for which the page gives the same number of people out of ten.

    Attributes:
        of_ten: What the page says, 0 to 10.
        n: Number of faces.
        agreed: Mean share of people who do agree, 0..1.

    Example:
        for row in doubt.tenths:
            print(f"{row.of_ten} of 10 said, {10 * row.agreed:.1f} agree with {row.n} faces")
    """

    of_ten: int
    n: int
    agreed: float


@dataclass(frozen=True, slots=True)
class Doubt:
    """How well `unsure` and the number of people match the votes of one set, on the images that are not ambiguous.

    Attributes:
        unsure: A row for each of THRESHOLDS.
        tenths: A row for each number of people that occurs.
        error: Mean absolute difference between the share of people as estimated and the share that does agree.

    Example:
        doubt = measure_doubt(model.predict(split.images), people_shares, split)
        print(doubt.highest, f"{doubt.error:.2f}")
    """

    unsure: tuple[Unsure, ...]
    tenths: tuple[Tenth, ...]
    error: float

    @classmethod
    def from_dict(cls, figures: Mapping[str, Any]) -> Doubt:
        """Build from the result of `dataclasses.asdict`. Raise KeyError or TypeError for anything else."""
        unsure = tuple(Unsure(**row) for row in figures["unsure"])
        return cls(unsure, tuple(Tenth(**row) for row in figures["tenths"]), figures["error"])

    @property
    def highest(self) -> Unsure | None:
        """The highest threshold at which most of the unsure faces are disputed; None where there is none."""
        return max((row for row in self.unsure if row.disputed > HALF), key=lambda row: row.below, default=None)


def measure_doubt(probabilities: np.ndarray, people_shares: np.ndarray, split: Split) -> Doubt:
    """Compare what the page would say of each image with the votes for it.

    Args:
        probabilities: Of the network as shipped, (n, 7).
        people_shares: The shares of people that it estimates, (n, 7).
        split: The n images, with votes.
    """
    kept = ~ambiguous(split)
    probabilities, people_shares = probabilities[kept], people_shares[kept]
    agreed = agreement(probabilities, shares(split)[kept])
    confidence = probabilities.max(axis=1)
    said = np.take_along_axis(people_shares, probabilities.argmax(axis=1)[:, None], axis=1)[:, 0]
    of_ten = np.rint(10 * said).astype(int)
    return Doubt(
        tuple(_unsure(below, confidence < below, agreed < HALF) for below in THRESHOLDS),
        tuple(Tenth(int(n), int((of_ten == n).sum()), float(agreed[of_ten == n].mean())) for n in np.unique(of_ten)),
        float(np.abs(said - agreed).mean()),
    )


def _unsure(below: float, unsure: np.ndarray, disputed: np.ndarray) -> Unsure:
    return Unsure(below, _mean(unsure), _mean(disputed[unsure]), _mean(~disputed[~unsure]))


def _mean(flags: np.ndarray) -> float:
    return float(flags.mean()) if len(flags) else 0.0


def as_markdown(sets: Mapping[str, Doubt], chosen_on: str, tested_on: str) -> str:
    """Return both tables as Markdown.

    Args:
        sets: Doubt by the name of the set.
        chosen_on: The set for the table of thresholds, one of which is to be chosen.
        tested_on: The set for the number of people, which nothing was fitted on.
    """
    return f"{_thresholds(chosen_on, sets[chosen_on])}\n{_tenths(tested_on, sets[tested_on])}"


def _thresholds(name: str, doubt: Doubt) -> str:
    highest = doubt.highest
    found = "for none of these values" if highest is None else f"up to a value of {highest.below:g}"
    text = (
        f"Unsure faces, {name}. People disagree about a face if fewer than half of them choose its label; most unsure "
        f"faces are such faces {found}:\n\n"
    )
    columns = ["`--unsure`", "faces that are unsure", "of these, people disagree", "of the others, they agree"]
    rows = [[f"{row.below:.2f}", *(f"{x:.0%}" for x in (row.share, row.disputed, row.settled))] for row in doubt.unsure]
    return text + markdown_table(columns, rows)


def _tenths(name: str, doubt: Doubt) -> str:
    tenths = doubt.tenths
    text = (
        f"What the page says of a face, {name}, and how many people do agree with its label; for a single face, the "
        f"share is {doubt.error:.2f} off on average:\n\n"
    )
    faces = ["faces", *(str(row.n) for row in tenths)]
    agree = ["of 10 people agree", *(f"{10 * row.agreed:.1f}" for row in tenths)]
    return text + markdown_table(["about ... of 10 people", *(str(row.of_ten) for row in tenths)], [faces, agree])

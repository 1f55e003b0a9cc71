"""What the quality of a face is worth: how often the label is what people see, by quality, on degraded faces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mien.analysis.face_measures import FaceReader, measure
from mien.analysis.pipeline import Classifier
from mien.analysis.quality import QualityModel
from mien.images.resize import crop_faces
from mien.types import QUALITY_REASONS
from training.data.degrade import degraded_faces
from training.data.splits import Split
from training.data.votes import SEVEN, clear_majority
from training.evaluate.tables import markdown_table

SEED = 0
FIFTHS = 5
THRESHOLDS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
HALF, BAND = 0.5, 0.1


@dataclass(frozen=True, slots=True)
class Bin:
    """Faces of similar quality, or with the same reason.

    Attributes:
        name: What they have in common.
        n: Number of faces.
        value: Their mean quality, 0..1.
        accuracy: Share of them whose label is what most people see.

    Example:
        for each in quality.fifths:
            print(f"{each.value:.2f}: {each.accuracy:.0%} of {each.n}")
    """

    name: str
    n: int
    value: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Threshold:
    """What one value of `--min-quality` does.

    Attributes:
        below: The value; faces with a lower quality are unsure.
        share: Share of the faces that are unsure.
        wrong: Share of the unsure faces whose label is not what most people see; 0 where there are none.
        just_below: The same of the faces whose quality is less than BAND below the value.
        right: Share of the other faces whose label is what most people see; 0 where there are none.

    Example:
        for row in quality.thresholds:
            print(f"--min-quality {row.below}: {row.share:.0%} of the faces, {row.wrong:.0%} of them wrong")
    """

    below: float
    share: float
    wrong: float
    just_below: float
    right: float


@dataclass(frozen=True, slots=True)
class QualityScores:
    """How well the quality predicts whether the label is what most people see.

    Attributes:
        name: Of the set.
        fifths: From the worst to the best fifth of the faces.
        reasons: By the main reason, and "none".
        thresholds: A row for each of THRESHOLDS.

    Example:
        scores = score_quality(measure_degraded(model, dataset.validation, reader), "PublicTest")
        print(f"{scores.gap:.1%}")
    """

    name: str
    fifths: tuple[Bin, ...]
    reasons: tuple[Bin, ...]
    thresholds: tuple[Threshold, ...]

    @property
    def gap(self) -> float:
        """Accuracy in the best fifth less that in the worst."""
        return self.fifths[-1].accuracy - self.fifths[0].accuracy

    @property
    def highest(self) -> float:
        """The highest threshold just below which most faces are labeled wrongly; 0 where there is none."""
        return max((row.below for row in self.thresholds if row.just_below > HALF), default=0.0)

    @classmethod
    def from_dict(cls, figures: Mapping[str, Any]) -> QualityScores:
        """Build from the result of `dataclasses.asdict`. Raise KeyError or TypeError for anything else."""
        bins = {key: tuple(Bin(**row) for row in figures[key]) for key in ("fifths", "reasons")}
        return cls(figures["name"], **bins, thresholds=tuple(Threshold(**row) for row in figures["thresholds"]))


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Degraded faces with a clear majority for one of the seven expressions.

    Attributes:
        measures: float64 (n, 7), see `mien.analysis.face_measures.measure`.
        right: Whether the network's label is what most people see, bool (n,).
        causes: What was done to each face, the main cause first.

    Example:
        measured = measure_degraded(model, dataset.validation, QualityModel.stored().reader)
        print(measured.right.mean())
    """

    measures: np.ndarray
    right: np.ndarray
    causes: tuple[tuple[str, ...], ...]


def with_majority(split: Split) -> Split:
    """Return the images of a split with votes that have a clear majority for one of the seven expressions."""
    majority = clear_majority(split)
    return split.take((majority >= 0) & (majority < SEVEN))


def measure_degraded(classifier: Classifier, split: Split, reader: FaceReader, seed: int = SEED) -> Measured:
    """Degrade each face of a split once, crop it as the program does, measure and classify it.

    Args:
        classifier: The network.
        split: Images with a clear majority for one of the seven expressions, see `with_majority`.
        reader: Estimates pose and cover.
        seed: Of the degradations.
    """
    measures, crops, causes = [], [], []
    for face, why in degraded_faces(split, np.random.default_rng(seed)):
        measures.append(measure(face.pixels_bgr, face.box, reader))
        crops.append(crop_faces(face.pixels_bgr, [face.box], classifier.input_size_px)[0])
        causes.append(why)
    right = classifier.predict(np.stack(crops)).argmax(axis=1) == clear_majority(split)
    return Measured(np.stack(measures), right, tuple(causes))


def score_quality(measured: Measured, name: str, model: QualityModel | None = None) -> QualityScores:
    """Score the quality of degraded faces.

    Args:
        measured: The faces.
        name: Of their set.
        model: By default that of the program.
    """
    model = model or QualityModel.stored()
    found = [model.quality(costs) for costs in model.costs(measured.measures)]
    values, reasons = np.array([each.value for each in found]), np.array([each.reason or "none" for each in found])
    names = ("worst fifth", "second", "third", "fourth", "best fifth")
    order = np.array_split(np.argsort(values, kind="stable"), FIFTHS)
    by_reason = {reason: np.flatnonzero(reasons == reason) for reason in (*QUALITY_REASONS, "none")}

    def bin_of(label: str, chosen: np.ndarray) -> Bin:
        return Bin(label, len(chosen), float(values[chosen].mean()), float(measured.right[chosen].mean()))

    return QualityScores(
        name,
        tuple(bin_of(label, chosen) for label, chosen in zip(names, order, strict=True)),
        tuple(bin_of(label, chosen) for label, chosen in by_reason.items() if len(chosen)),
        tuple(_threshold(below, values, measured.right) for below in THRESHOLDS),
    )


def _threshold(below: float, values: np.ndarray, right: np.ndarray) -> Threshold:
    unsure, near = values < below, (values < below) & (values >= below - BAND)
    return Threshold(below, _mean(unsure), _mean(~right[unsure]), _mean(~right[near]), _mean(right[~unsure]))


def _mean(flags: np.ndarray) -> float:
    return float(flags.mean()) if len(flags) else 0.0


def as_markdown(scores: QualityScores) -> str:
    """Return three tables as Markdown: by fifths, by reason, and by threshold."""
    columns = ["faces", "number", "mean quality", "labels that are what people see"]
    rows = [
        [[b.name, str(b.n), f"{b.value:.2f}", f"{b.accuracy:.1%}"] for b in bins]
        for bins in (scores.fifths, scores.reasons)
    ]
    highest = f"up to a value of {scores.highest:g}" if scores.highest else "for none of these values"
    return (
        f"Quality of degraded faces, {scores.name}: a quarter as they are, the others small, blurred, dark, "
        f"overexposed, tilted, cut off or covered. Accuracy in the best fifth is {100 * scores.gap:.1f} points above "
        f"that in the worst:\n\n{markdown_table(columns, rows[0])}\nBy the main reason:\n\n"
        f"{markdown_table(['reason', *columns[1:]], rows[1])}\nFaces that are unsure because of their quality; most "
        f"of those just below are labeled wrongly {highest}:\n\n"
        + markdown_table(
            [
                *("`--min-quality`", "faces that are unsure", "of these, labeled wrongly"),
                *(f"of those at most {BAND:g} below", "of the others, labeled as people see them"),
            ],
            [
                [f"{r.below:.2f}", *(f"{x:.0%}" for x in (r.share, r.wrong, r.just_below, r.right))]
                for r in scores.thresholds
            ],
        )
    )


def reasons_by_cause(measured: Measured, model: QualityModel) -> str:
    """Return a Markdown table: for each main cause how often each reason is given."""
    found = [model.quality(costs).reason or "none" for costs in model.costs(measured.measures)]
    names = (*QUALITY_REASONS, "none")
    counts = {name: np.zeros(len(names), int) for name in names}
    for causes, reason in zip(measured.causes, found, strict=True):
        counts[causes[0] if causes else "none"][names.index(reason)] += 1
    rows = [[name, *(f"{share:.0%}" for share in row / max(row.sum(), 1))] for name, row in counts.items()]
    return markdown_table(["done", *names], rows)

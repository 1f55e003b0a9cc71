"""End-to-end accuracy: faces of a data set shown in synthetic frames, then detected, cropped and classified as live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mien.analysis.pipeline import Classifier, Pipeline
from mien.detectors import Detector
from mien.types import Analysis, Frame
from training.data.splits import Split
from training.data.votes import clear_majority
from training.evaluate.frames import SIZES_PX, PlacedFace, Shown, frames_of
from training.evaluate.tables import markdown_table

SEED = 0
FOUND_IOU = 0.4


By = Literal["people", "folders"]


@dataclass(frozen=True, slots=True)
class EndToEnd:
    """The results for faces of one size, each in a frame of 640x480.

    Attributes:
        detector: Its name.
        face_px: Side of the faces, in pixels.
        faces: Number of faces shown.
        found: Faces that the detector found, with an IoU of FOUND_IOU or more.
        right: Found faces that were classified correctly.
        direct_right: Found faces that the network classifies correctly when it is given the image itself.
        direct_of_all: The same, of all faces shown.
        by: What is correct: "folders", the label of the image's folder; "people", what most people see, see
            `training.data.votes.clear_majority`, and then only faces with such a majority count.

    Example:
        for result in end_to_end(HaarDetector(), FacialExpressionModel(), dataset.test, faces=600):
            print(result.by, result.face_px, result.found / result.faces, result.right / result.faces)
    """

    detector: str
    face_px: int
    faces: int
    found: int
    right: int
    direct_right: int
    direct_of_all: int
    by: By = "folders"


def end_to_end(
    detector: Detector, classifier: Classifier, split: Split, *, sizes_px: Sequence[int] = SIZES_PX, faces: int
) -> list[EndToEnd]:
    """Measure faces of each size, with fixed seeds: one result by people's votes, if there are any, one by folders.

    Args:
        detector: Finds the faces.
        classifier: Takes images of the size of those in `split`.
        split: The faces with their labels, and perhaps votes.
        sizes_px: Sides of the faces in the frames.
        faces: At most this many of each size.
    """
    pipeline = Pipeline(detector, classifier)
    return [result for face_px in sizes_px for result in _at_size(pipeline, split, face_px, faces)]


def _at_size(pipeline: Pipeline, split: Split, face_px: int, faces: int) -> list[EndToEnd]:
    indices, found_labels = [], []
    for placed in frames_of(split, faces, np.random.default_rng((SEED, face_px)), Shown(face_px)):
        indices.append(placed.index)
        found_labels.append(_label_of(placed, pipeline.analyze(Frame(placed.pixels_bgr))))
    shown, predicted = split.take(np.array(indices)), np.array(found_labels)
    direct = pipeline.classifier.predict(shown.images[..., 0]).argmax(axis=1)
    truths: dict[By, np.ndarray] = {} if shown.votes is None else {"people": clear_majority(shown)}
    truths["folders"] = shown.labels
    return [
        EndToEnd(
            detector=pipeline.detector.name,
            face_px=face_px,
            faces=int((truth >= 0).sum()),
            found=int(((predicted >= 0) & (truth >= 0)).sum()),
            right=int(((predicted == truth) & (truth >= 0)).sum()),
            direct_right=int(((direct == truth) & (predicted >= 0)).sum()),
            direct_of_all=int((direct == truth).sum()),
            by=by,
        )
        for by, truth in truths.items()
    ]


def _label_of(placed: PlacedFace, analysis: Analysis) -> int:
    """Return the label predicted for the box that overlaps the face most; -1 where the face was not found."""
    best = max(analysis.faces, key=lambda face: face.box.iou(placed.box), default=None)
    if best is None or best.box.iou(placed.box) < FOUND_IOU:
        return -1
    return int(best.raw.argmax())


def as_markdown(results: Sequence[EndToEnd]) -> str:
    """Return a Markdown table with a row for each detector and size."""
    columns = ["detector", "face", "found", "found and right", "accuracy of the found"]
    columns += ["the same images, directly", "difference in points", "all images, directly"]
    rows = []
    for r in results:
        found = max(r.found, 1)
        cells = [f"{r.found / max(r.faces, 1):.1%} (of {r.faces})", f"{r.right / max(r.faces, 1):.1%}"]
        cells += [f"{r.right / found:.1%}", f"{r.direct_right / found:.1%}"]
        cells += [f"{100 * (r.right - r.direct_right) / found:+.1f}", f"{r.direct_of_all / max(r.faces, 1):.1%}"]
        rows.append([r.detector, f"{r.face_px} px", *cells])
    return markdown_table(columns, rows)

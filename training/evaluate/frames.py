"""The whole way of a face through the program: found in a frame, cropped, classified, as the live picture does it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mien.detector import Detector
from mien.expressions import Analysis, Frame
from mien.pipeline import Classifier, Pipeline
from training.data.dataset import Split
from training.placed_faces import PlacedFace, frames_of

SIZES_PX = (80, 160, 240)
FACES = 600
SEED = 0
RIGHT_IOU = 0.4


@dataclass(frozen=True, slots=True)
class EndToEnd:
    """What became of `faces` faces of a data set, each shown face_px wide in a frame of 640x480 of its own.

    found: how many the detector found (its box overlaps the face with IoU 0.4 or more). right: how many of the found
    were labelled right. direct_right: how many of the found are right when the network is given the image itself.
    direct_of_all: the same of all faces, those that were not found too.
    """

    detector: str
    face_px: int
    faces: int
    found: int
    right: int
    direct_right: int
    direct_of_all: int

    def as_dict(self) -> dict[str, Any]:
        """The same as plain numbers and names, for JSON."""
        return dataclasses.asdict(self)


def end_to_end(
    detector: Detector,
    classifier: Classifier,
    split: Split,
    *,
    sizes_px: Sequence[int] = SIZES_PX,
    faces: int = FACES,
) -> list[EndToEnd]:
    """One result for each size. The choice of the faces and their places have a fixed seed.

    split: images as large as the classifier takes them.
    """
    pipeline = Pipeline(detector, classifier)
    return [_at_size(pipeline, split, face_px, faces) for face_px in sizes_px]


def _at_size(pipeline: Pipeline, split: Split, face_px: int, faces: int) -> EndToEnd:
    shown, said = [], []
    for placed in frames_of(split, faces, np.random.default_rng((SEED, face_px)), face_px):
        shown.append((placed.face, placed.label))
        said.append(_label_of(placed, pipeline.analyze(Frame(placed.pixels_bgr))))
    labels, answers = np.array([label for _, label in shown]), np.array(said)
    direct = pipeline.classifier.predict(np.stack([face for face, _ in shown])).argmax(axis=1) == labels
    found = answers >= 0
    return EndToEnd(
        detector=pipeline.detector.name,
        face_px=face_px,
        faces=len(labels),
        found=int(found.sum()),
        right=int((answers == labels).sum()),
        direct_right=int(direct[found].sum()),
        direct_of_all=int(direct.sum()),
    )


def _label_of(placed: PlacedFace, analysis: Analysis) -> int:
    """What the box that fits the face best was taken for; -1 where no box fits it."""
    best = max(analysis.faces, key=lambda face: face.box.iou(placed.box), default=None)
    if best is None or best.box.iou(placed.box) < RIGHT_IOU:
        return -1
    return int(best.raw.argmax())


def as_markdown(results: Sequence[EndToEnd]) -> str:
    """A table with a row for each detector and size."""
    lines = [
        "| detector | face | found | accuracy of the found | found and right | the same images, directly "
        "| all images, directly |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in results:
        found = max(r.found, 1)
        lines.append(
            f"| {r.detector} | {r.face_px} px | {r.found / r.faces:.1%} (of {r.faces}) | {r.right / found:.1%} "
            f"| {r.right / r.faces:.1%} | {r.direct_right / found:.1%} | {r.direct_of_all / r.faces:.1%} |"
        )
    return "\n".join(lines) + "\n"

"""End-to-end accuracy: faces of a data set shown in synthetic frames, then detected, cropped and classified as live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mien.analysis.pipeline import Classifier, Pipeline
from mien.detectors import Detector
from mien.types import Analysis, Frame
from training.data.splits import Split
from training.evaluate.frames import SIZES_PX, PlacedFace, Shown, frames_of
from training.evaluate.tables import markdown_table

SEED = 0
_FOUND_IOU = 0.4


@dataclass(frozen=True, slots=True)
class EndToEnd:
    """The results for faces of one size, each in a frame of 640x480.

    Attributes:
        detector: Its name.
        face_px: Side of the faces, in pixels.
        faces: Number of faces shown.
        found: Faces that the detector found, with an IoU of _FOUND_IOU or more.
        right: Found faces that were classified correctly.
        direct_right: Found faces that the network classifies correctly when it is given the image itself.
        direct_of_all: The same, of all faces shown.

    Example:
        for result in end_to_end(HaarDetector(), FacialExpressionModel(), dataset.test, faces=600):
            print(result.face_px, result.found / result.faces, result.right / result.faces)
    """

    detector: str
    face_px: int
    faces: int
    found: int
    right: int
    direct_right: int
    direct_of_all: int


def end_to_end(
    detector: Detector, classifier: Classifier, split: Split, *, sizes_px: Sequence[int] = SIZES_PX, faces: int
) -> list[EndToEnd]:
    """Measure one result for each size of faces, with fixed seeds.

    Args:
        detector: Finds the faces.
        classifier: Takes images of the size of those in `split`.
        split: The faces and their labels.
        sizes_px: Sides of the faces in the frames.
        faces: At most this many of each size.
    """
    pipeline = Pipeline(detector, classifier)
    return [_at_size(pipeline, split, face_px, faces) for face_px in sizes_px]


def _at_size(pipeline: Pipeline, split: Split, face_px: int, faces: int) -> EndToEnd:
    shown, found_labels = [], []
    for placed in frames_of(split, faces, np.random.default_rng((SEED, face_px)), Shown(face_px)):
        shown.append((placed.face, placed.label))
        found_labels.append(_label_of(placed, pipeline.analyze(Frame(placed.pixels_bgr))))
    labels, predicted = np.array([label for _, label in shown]), np.array(found_labels)
    direct = pipeline.classifier.predict(np.stack([face for face, _ in shown])).argmax(axis=1) == labels
    found = predicted >= 0
    return EndToEnd(
        detector=pipeline.detector.name,
        face_px=face_px,
        faces=len(labels),
        found=int(found.sum()),
        right=int((predicted == labels).sum()),
        direct_right=int(direct[found].sum()),
        direct_of_all=int(direct.sum()),
    )


def _label_of(placed: PlacedFace, analysis: Analysis) -> int:
    """Return the label predicted for the box that overlaps the face most; -1 where the face was not found."""
    best = max(analysis.faces, key=lambda face: face.box.iou(placed.box), default=None)
    if best is None or best.box.iou(placed.box) < _FOUND_IOU:
        return -1
    return int(best.raw.argmax())


def as_markdown(results: Sequence[EndToEnd]) -> str:
    """Return a Markdown table with a row for each detector and size."""
    columns = ["detector", "face", "found", "accuracy of the found", "found and right"]
    columns += ["the same images, directly", "all images, directly"]
    rows = []
    for r in results:
        found = max(r.found, 1)
        cells = [f"{r.found / r.faces:.1%} (of {r.faces})", f"{r.right / found:.1%}", f"{r.right / r.faces:.1%}"]
        cells += [f"{r.direct_right / found:.1%}", f"{r.direct_of_all / r.faces:.1%}"]
        rows.append([r.detector, f"{r.face_px} px", *cells])
    return markdown_table(columns, rows)

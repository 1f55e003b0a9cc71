"""`python -m training framing`: how detectors frame faces, and which crop about their boxes is classified best.

The box of a face is to frame it as the images of FER-2013 do, on which the network was trained. How much the boxes of a
detector would have to be scaled and shifted is fitted on Training faces in synthetic frames; what that, and turning
faces upright by their landmarks, does to the accuracy is measured on PublicTest faces by what most people see.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from mien.analysis.pipeline import Classifier
from mien.detectors import Detector, create_detector
from mien.detectors.framing import CropRule
from mien.errors import ModelError
from mien.images.resize import crop_faces
from mien.types import Box, Detection
from model import FacialExpressionModel
from training.data.splits import Split
from training.data.votes import clear_majority
from training.evaluate.end_to_end import FOUND_IOU, SEED
from training.evaluate.frames import SIZES_PX, PlacedFace, Shown, frames_of
from training.evaluate.tables import markdown_table
from training.inputs import read_data

CONDITIONS = {f"{side} px": Shown(side) for side in SIZES_PX} | {
    f"160 px, turned by {angle}°": Shown(160, turned_deg=angle) for angle in (10, 20)
}
"""How PublicTest faces are shown, by column."""

UPRIGHT = "box, turned upright"
"""The crop that the program uses: turned where the detector gives landmarks."""

_STEP = 0.05
"""Crops larger and smaller by this share are also measured."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How the boxes of a detector would have to be changed to frame faces as FER-2013's images do.

    Attributes:
        rule: The least-squares fit of the edges, in sides of the box.
        spread: Standard deviations of margin, shift_x and shift_y.
        found: Number of faces found.
        faces: Number of faces shown.

    Example:
        found = fit(HaarDetector(), dataset.train, faces=600)
        print(found.rule.margin, found.spread[0])
    """

    rule: CropRule
    spread: tuple[float, float, float]
    found: int
    faces: int


@dataclass(frozen=True, slots=True)
class Loss:
    """What a crop loses against the image itself.

    Attributes:
        points: Accuracy of the found faces less that of the same images given directly, in percentage points.
        error: Its standard error.

    Example:
        loss = measure(HaarDetector(), model, split, Shown(160), {"box": Box})["box"]
        print(loss)  # -1.2 ± 0.8
    """

    points: float
    error: float

    def __str__(self) -> str:
        return f"{self.points:+.1f} ± {self.error:.1f}"


Crop = Callable[[Box], Box]
"""From the box of a detector, perhaps with landmarks, to what is cropped."""


def run(options: argparse.Namespace) -> None:
    """Fit and measure the crops of each detector, and print two tables.

    Raises:
        ModelError: There are no votes, or too few images.
    """
    if options.faces < 1:
        raise ModelError(f"--faces: expected 1 or more, found {options.faces}")
    if options.votes_file is None:
        raise ModelError("framing: expected --votes FILE, found none")
    model = FacialExpressionModel(options.model, options.weights)
    dataset = read_data(options, model.input_size_px[0])
    public = dataset.validation.take(clear_majority(dataset.validation) >= 0)
    if not len(dataset.train) or not len(public):
        raise ModelError("framing: expected images to train, and others that people agree on; found none")
    detectors = [_make(name, options) for name in options.detector]
    fits = {detector.name: fit(detector, dataset.train, options.faces) for detector in detectors}
    print(f"\nTraining faces in frames: what would make boxes frame them as the images do\n\n{fits_table(fits)}")
    print(f"{dataset.named[0]} faces: accuracy of the found, less that of the same images directly, in points\n")
    print(markdown_table(["detector", "crop", *CONDITIONS], []), end="")
    best = []
    for detector in detectors:
        found = {
            column: measure(detector, model, public, options.faces, shown, crops(fits[detector.name].rule))
            for column, shown in CONDITIONS.items()
        }
        for row in _rows(detector.name, found):
            print(f"| {' | '.join(row)} |", flush=True)
        best.append(f"{detector.name}: {chosen(found)}")
    print(f"\nBest by more than a standard error, without turning: {', '.join(best)}")


def _make(name: str, options: argparse.Namespace) -> Detector:
    return create_detector(name, model_file=options.detector_model if name == "yunet" else None)


def crops(fitted: CropRule) -> dict[str, Crop]:
    """Return the crops to compare, by name; fitted: see `Fit`."""
    larger, smaller = CropRule(1 + _STEP), CropRule(1 - _STEP)
    return {
        "box": lambda box: _apply(CropRule(), box),
        "fitted": lambda box: _apply(fitted, box),
        f"{_STEP:.0%} larger": lambda box: _apply(larger, box),
        f"{_STEP:.0%} smaller": lambda box: _apply(smaller, box),
        UPRIGHT: lambda box: box,
    }


def _apply(rule: CropRule, box: Box) -> Box:
    """Return the square of a rule about a box, in whole pixels and without landmarks, so that it is not turned."""
    x, y, w, h = rule.square(box.x, box.y, box.w, box.h)
    return Box(round(x), round(y), max(1, round(w)), max(1, round(h)))


def fit(detector: Detector, split: Split, faces: int) -> Fit:
    """Fit how a detector frames faces.

    Args:
        detector: Finds the faces.
        split: The faces.
        faces: Number of faces, in equal parts of SIZES_PX.
    """
    pairs: list[tuple[Box, Box]] = []
    shown = math.ceil(faces / len(SIZES_PX))
    for side in SIZES_PX:
        pairs += [(placed.box, box) for placed, box in found_faces(detector, split, shown, Shown(side)) if box]
    if not pairs:
        raise ModelError(f"framing: expected {detector.name} to find some faces, found none")
    # For squares, the least squares of the four edges, in sides of the box, are the means of these three.
    changes = np.array([_change(face, box) for face, box in pairs])
    margin, shift_x, shift_y = map(float, changes.mean(axis=0))
    spread_margin, spread_x, spread_y = map(float, changes.std(axis=0))
    total = len(SIZES_PX) * min(shown, len(split))
    return Fit(CropRule(margin, shift_x, shift_y), (spread_margin, spread_x, spread_y), len(pairs), total)


def _change(face: Box, box: Box) -> tuple[float, float, float]:
    """Return margin, shift_x and shift_y that would make a box the face's."""
    side = (box.w * box.h) ** 0.5
    shift_x, shift_y = face.x + face.w / 2 - box.x - box.w / 2, face.y + face.h / 2 - box.y - box.h / 2
    return face.w / side, shift_x / side, shift_y / side


def found_faces(detector: Detector, split: Split, faces: int, shown: Shown) -> Iterator[tuple[PlacedFace, Box | None]]:
    """Yield each face in its frame with the box that the detector found for it, or None.

    Args:
        detector: Finds the faces.
        split: The faces.
        faces: At most this many.
        shown: How they are shown.
    """
    for placed in frames_of(split, faces, np.random.default_rng((SEED, shown.face_px)), shown):
        best = max(detector.detect(placed.pixels_bgr), key=placed.box.iou, default=None)
        yield placed, best if best is not None and best.iou(placed.box) >= FOUND_IOU else None


def measure(
    detector: Detector, model: Classifier, split: Split, faces: int, shown: Shown, compared: Mapping[str, Crop]
) -> dict[str, Loss]:
    """Measure crops of the same faces.

    Args:
        detector: Finds the faces.
        model: Classifies the crops.
        split: The faces, with votes; all have a clear majority.
        faces: At most this many.
        shown: How they are shown.
        compared: The crops by name.

    Returns:
        The loss of each crop by name; those that need landmarks are left out where the detector gives none.
    """
    indices: list[int] = []
    cut: dict[str, list[np.ndarray]] = {name: [] for name in compared}
    turns = False
    for placed, box in found_faces(detector, split, faces, shown):
        if box is None:
            continue
        indices.append(placed.index)
        turns |= isinstance(box, Detection) and box.landmarks is not None
        for name, crop in compared.items():
            cut[name].append(crop_faces(placed.pixels_bgr, [crop(box)], model.input_size_px)[0])
    if not indices:
        return {}
    shown_faces = split.take(np.array(indices))
    truth = clear_majority(shown_faces)
    direct = model.predict(shown_faces.images[..., 0]).argmax(axis=1) == truth
    losses = {
        name: _loss(model.predict(np.stack(pixels)).argmax(axis=1) == truth, direct) for name, pixels in cut.items()
    }
    return {name: loss for name, loss in losses.items() if turns or "upright" not in name}


def _loss(right: np.ndarray, direct: np.ndarray) -> Loss:
    difference = right.astype(float) - direct
    return Loss(100 * float(difference.mean()), 100 * float(difference.std() / math.sqrt(len(difference))))


def fits_table(fits: Mapping[str, Fit]) -> str:
    """Return a Markdown table with a row for each detector."""
    rows = [
        [name, f"{found.found} of {found.faces}"]
        + [f"{value:+.3f} ({spread:.3f})" for value, spread in zip(_changes(found.rule), found.spread, strict=True)]
        for name, found in fits.items()
    ]
    columns = ["detector", "found", "larger by (standard deviation)", "to the right by", "down by"]
    return markdown_table(columns, rows)


def _changes(rule: CropRule) -> tuple[float, float, float]:
    return rule.margin - 1, rule.shift_x, rule.shift_y


def _rows(detector: str, found: Mapping[str, Mapping[str, Loss]]) -> list[list[str]]:
    names = dict.fromkeys(name for losses in found.values() for name in losses)
    return [[detector, name, *(str(losses.get(name, "")) for losses in found.values())] for name in names]


def chosen(found: Mapping[str, Mapping[str, Loss]]) -> str:
    """Return the name of the best crop by the mean over SIZES_PX, "box" unless another gains a standard error.

    Args:
        found: Losses by condition and name of the crop; turned crops do not count.
    """
    upright = [losses for name, losses in found.items() if not CONDITIONS[name].turned_deg and losses]
    points = {name: float(np.mean([losses[name].points for losses in upright])) for name in upright[0]}
    error = float(np.sqrt(sum(losses["box"].error ** 2 for losses in upright))) / len(upright)
    best = max((name for name in points if name != UPRIGHT), key=lambda name: points[name])
    return best if points[best] > points["box"] + error else "box"

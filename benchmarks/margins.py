"""What a margin about a detector's box does to the answers: `python -m benchmarks.margins --data data/fer2013`.

PublicTest faces (never PrivateTest: this is for choosing), each shown 80, 160 and 240 px wide in a 640x480 frame. The
box of each face found is made larger or smaller about its center before the program's own cropping. Printed is the
accuracy of the found less that of the network given the same images directly, in points: 0 is the best to expect.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.faces import MODEL, RIGHT_IOU
from mien.analysis.pipeline import Classifier
from mien.detectors import Detector, create_detector
from mien.errors import MienError
from mien.images.resize import crop_faces
from mien.types import Box
from model import FacialExpressionModel
from training.data.dataset import load_dataset
from training.data.splits import Split
from training.evaluate.frames import SIZES_PX, Shown, frames_of

_MARGINS = (-0.1, -0.05, 0.0, 0.05, 0.1, 0.2)


def main() -> None:
    """Print one row for each detector and size.

    Raises:
        SystemExit: The images or a detector are missing.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.margins", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data/fer2013"))
    parser.add_argument("--faces", type=int, default=400, help="of each size (%(default)s)")
    parser.add_argument("--detectors", nargs="+", default=["haar", "yunet", "dlib"])
    parser.add_argument("--detector-model", type=Path, default=MODEL, help="the file of yunet")
    options = parser.parse_args()
    model = FacialExpressionModel()
    print("| detector | face | found | " + " | ".join(f"{margin:+.0%}" for margin in _MARGINS) + " |")
    print("|---" * (3 + len(_MARGINS)) + "|")
    try:
        faces = load_dataset(options.data, side_px=model.input_size_px[0]).validation
        for name in options.detectors:
            detector = create_detector(name, model_file=options.detector_model if name == "yunet" else None)
            for face_px in SIZES_PX:
                found, lost = measure(detector, model, faces, face_px, options.faces)
                points = " | ".join(f"{100 * value:+.1f}" for value in lost)
                print(f"| {name} | {face_px} px | {found} of {options.faces} | {points} |", flush=True)
    except MienError as error:
        raise SystemExit(str(error)) from None


def measure(
    detector: Detector, model: Classifier, faces: Split, face_px: int, count: int, margins: Sequence[float] = _MARGINS
) -> tuple[int, list[float]]:
    """Measure one detector on faces of one size.

    Args:
        detector: Finds the faces.
        model: Classifies the crops.
        faces: The images and their labels.
        face_px: Side of the faces in the frames.
        count: Number of frames.
        margins: Shares by which the boxes are made larger.

    Returns:
        The number of faces found, and for each margin the accuracy of the found less that of the same images given
        directly; NaN where none was found.
    """
    images, labels = [], []
    crops: list[list[np.ndarray]] = [[] for _ in margins]
    for placed in frames_of(faces, count, np.random.default_rng(face_px), Shown(face_px)):
        best = max(detector.detect(placed.pixels_bgr), key=placed.box.iou, default=None)
        if best is None or best.iou(placed.box) < RIGHT_IOU:
            continue
        images.append(placed.face)
        labels.append(placed.label)
        for cut, margin in zip(crops, margins, strict=True):
            cut.append(crop_faces(placed.pixels_bgr, [larger(best, margin)], model.input_size_px)[0])
    if not labels:
        return 0, [float("nan")] * len(margins)

    def accuracy(pixels: list[np.ndarray]) -> float:
        return float((model.predict(np.stack(pixels)).argmax(axis=1) == labels).mean())

    direct = accuracy(images)
    return len(labels), [accuracy(cut) - direct for cut in crops]


def larger(box: Box, margin: float) -> Box:
    """Return the box about the same center, its sides longer by the share `margin`."""
    width, height = round(box.w * (1 + margin)), round(box.h * (1 + margin))
    return Box(box.x + (box.w - width) // 2, box.y + (box.h - height) // 2, width, height)


if __name__ == "__main__":
    main()

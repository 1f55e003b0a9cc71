"""How many faces each detector finds, invents, and what it costs: `python -m benchmarks.faces --data data/fer2013`.

600 PrivateTest faces, each at a random place of a 640x480 frame (plain gray, soft blobs, noise), 80, 160 and 240 px
wide, and at 160 px also turned by 20 degrees in the plane, and half as bright; a box is right where it overlaps the
face with IoU >= 0.4. 400 frames without a face (the same backgrounds, and faces cut into 64 shuffled squares) count
false boxes. Seeds are fixed. Settings are chosen on other images: `--images 'train/*/*'` or 'test/*/PublicTest_*'.
Detectors whose package or file is missing are left out. The cost is measured by `benchmarks.detector_cost`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from benchmarks import detector_cost
from benchmarks.cascades import VARIANTS
from benchmarks.loops import GROUP
from mien.detectors import DETECTORS, Detector, create_detector
from mien.errors import DetectorError, MienError
from mien.types import Box
from training.evaluate.frames import Shown, face_paths, frames_with_faces, frames_without_faces
from training.evaluate.tables import markdown_table

CONDITIONS = {
    "80 px": Shown(80),
    "160 px": Shown(160),
    "240 px": Shown(240),
    "turned by 20°": Shown(160, turned_deg=20),
    "half as bright": Shown(160, brightness=0.5),
}
"""How the faces are shown, by column."""

IN_GROUP = (
    Box(204, 62, 114, 113),
    Box(301, 237, 121, 121),
    Box(426, 217, 97, 98),
    Box(517, 306, 129, 129),
    Box(671, 290, 132, 132),
)
"""The five faces of the photo `GROUP`."""

RIGHT_IOU = 0.4
SEED = 0
MODEL = Path(__file__).parents[2] / "shared" / "models" / "face_detection_yunet_2023mar.onnx"

_FACES, _EMPTY = 600, 400
_SLOW = {"mtcnn": 150}
"""Detectors so slow that they are tried on fewer frames."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a detector found.

    Attributes:
        shares: Share of the faces found, by condition.
        false: False boxes in 100 frames without a face.
        group: The faces found in the photo of five people and the other boxes, None where there is no such photo.
        median_ms: Of a frame with a face of 160 px.

    Example:
        found = measure(HaarDetector(), face_paths("data/fer2013"), faces=600, empty=400)
        print(found.shares["160 px"], found.false)
    """

    shares: dict[str, float]
    false: float
    group: tuple[int, int] | None
    median_ms: float

    def cells(self) -> list[str]:
        """Return the cells of a row of the table."""
        group = "no photo" if self.group is None else f"{self.group[0]} of {len(IN_GROUP)}, {self.group[1]} extra"
        shares = [f"{share:.1%}" for share in self.shares.values()]
        return [*shares, f"{self.false:.2f}", group, f"{self.median_ms:.1f}"]


def main() -> None:
    """Print one row for each detector, then what the default costs beside haar alone.

    Raises:
        SystemExit: The images are missing.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faces", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data/fer2013"), help="FER-2013 as image folders")
    parser.add_argument("--faces", type=int, default=_FACES, help="of each column (%(default)s)")
    parser.add_argument("--empty", type=int, default=_EMPTY, help="frames without a face (%(default)s)")
    parser.add_argument("--images", default="test/*/PrivateTest_*", help="which images, train/*/* to choose settings")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--detector-model", type=Path, default=MODEL, help="the file of yunet")
    parser.add_argument("--detectors", nargs="+", default=DETECTORS, metavar="NAME", help=", ".join(DETECTORS))
    parser.add_argument("--variants", action="store_true", help="print other settings of the Haar detector instead")
    parser.add_argument("--no-cost", dest="cost", action="store_false", help="leave out the second table")
    options = parser.parse_args()
    try:
        paths = face_paths(options.data, options.images)
    except MienError as error:
        raise SystemExit(str(error)) from None
    makers = VARIANTS if options.variants else {name: _maker(name, options) for name in options.detectors}
    _print_table(makers, paths, options)
    if options.cost and not options.variants:
        print(f"\n{detector_cost.report()}", end="")


def _print_table(makers: dict[str, Callable[[], Detector]], paths: Sequence[Path], options: argparse.Namespace) -> None:
    """Print each row when it has been measured, which takes minutes."""
    columns = ["detector", *CONDITIONS, "false boxes in 100 frames", GROUP.name, "median ms a frame"]
    print(markdown_table(columns, []), end="")
    for name, make in makers.items():
        faces, empty = (min(count, _SLOW.get(name, count)) for count in (options.faces, options.empty))
        of = f" (of {faces})" if faces < options.faces else ""
        try:
            cells = measure(make(), paths, faces, empty, options.seed).cells()
        except DetectorError as error:
            cells = [str(error), *[""] * (len(columns) - 2)]
        print(f"| {' | '.join([name + of, *cells])} |", flush=True)


def _maker(name: str, options: argparse.Namespace) -> Callable[[], Detector]:
    return lambda: create_detector(name, model_file=options.detector_model if name == "yunet" else None)


def measure(detector: Detector, paths: Sequence[Path], faces: int, empty: int, seed: int = SEED) -> Found:
    """Measure one detector.

    Args:
        detector: Finds the faces.
        paths: Images of faces, in folders by expression.
        faces: Number of frames with a face for each of CONDITIONS, the same faces each time.
        empty: Number of frames without a face.
        seed: Of the frames.
    """
    shares, spent_s = {}, []
    for name, shown in CONDITIONS.items():
        found = 0
        for placed in frames_with_faces(paths, faces, np.random.default_rng(seed), shown):
            start_s = time.perf_counter()
            boxes = detector.detect(placed.pixels_bgr)
            if shown == Shown():
                spent_s.append(time.perf_counter() - start_s)
            found += any(box.iou(placed.box) >= RIGHT_IOU for box in boxes)
        shares[name] = found / faces
    empty_frames = frames_without_faces(paths, empty, np.random.default_rng((seed, empty)))
    false = sum(len(detector.detect(pixels)) for pixels in empty_frames)
    photo = cv2.imread(str(GROUP)) if GROUP.is_file() else None
    group = None if photo is None else in_group(detector.detect(photo))
    return Found(shares, 100 * false / empty, group, 1e3 * median(spent_s))


def in_group(boxes: Sequence[Box]) -> tuple[int, int]:
    """Return how many of IN_GROUP the boxes have, and how many boxes are left over."""
    left = list(boxes)
    for face in IN_GROUP:
        best = max(left, key=face.iou, default=None)
        if best is not None and best.iou(face) >= RIGHT_IOU:
            left.remove(best)
    return len(boxes) - len(left), len(left)


if __name__ == "__main__":
    main()

"""How many faces each detector finds, invents, and what it costs: `python -m benchmarks.faces --data data/fer2013`.

600 PrivateTest faces, each shown 160 px wide at a random place of a 640x480 frame (plain gray, soft blobs, noise); a
box is right where it overlaps the face with IoU >= 0.4. 200 frames without a face (the same backgrounds, and faces
cut into 64 shuffled squares) count false boxes. The seed is fixed. Detectors whose package or file is missing are
left out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from mien.detectors import Detector, HaarDetector, create_detector
from mien.detectors.base import boxes_inside
from mien.detectors.haar import load_cascade
from mien.errors import DetectorError, MienError
from mien.images.resize import scaled
from mien.types import Box
from training.evaluate.frames import face_paths, frames_with_faces, frames_without_faces

_FACES, _EMPTY = 600, 200
_SLOW = {"mtcnn": 150}
"""Detectors so slow that they are tried on fewer faces."""

RIGHT_IOU = 0.4
SEED = 0
MODEL = Path(__file__).parents[2] / "shared" / "models" / "face_detection_yunet_2023mar.onnx"


class _OneCascade:
    """A cascade alone, as most programs use it: this many windows must agree on a face."""

    name = "one cascade"

    def __init__(self, cascade: str, side_px: int, scale_step: float, min_neighbors: int) -> None:
        self._cascade = load_cascade(Path(cv2.__file__).parent / "data" / f"haarcascade_frontalface_{cascade}.xml")
        self._settings = scale_step, min_neighbors
        self._side_px = side_px

    def detect(self, pixels_bgr: np.ndarray) -> list[Box]:
        """Return the boxes of the faces, from left to right."""
        scale = self._side_px / max(pixels_bgr.shape)
        gray = cv2.cvtColor(scaled(pixels_bgr, scale), cv2.COLOR_BGR2GRAY)
        found = self._cascade.detectMultiScale(gray, *self._settings, minSize=(24, 24))
        return boxes_inside(((x / scale, y / scale, w / scale, h / scale) for x, y, w, h in found), pixels_bgr)


_VARIANTS: dict[str, Callable[[], Detector]] = {
    "default cascade, full size, 1.3, 5 (seed programs)": lambda: _OneCascade("default", 640, 1.3, 5),
    "default cascade, 320 px, 1.1, 4": lambda: _OneCascade("default", 320, 1.1, 4),
    "alt2 cascade, 320 px, 1.1, 3": lambda: _OneCascade("alt2", 320, 1.1, 3),
    "alt2 cascade, 320 px, 1.1, 5": lambda: _OneCascade("alt2", 320, 1.1, 5),
    "Mien, looser": lambda: HaarDetector(threshold=0.0),
    "Mien": HaarDetector,
    "Mien, stricter": lambda: HaarDetector(threshold=1.6),
}


def main() -> None:
    """Print one row for each detector.

    Raises:
        SystemExit: The images are missing.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faces", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data/fer2013"), help="FER-2013 as image folders")
    parser.add_argument("--faces", type=int, default=_FACES)
    parser.add_argument("--images", default="test/*/PrivateTest_*", help="which images, train/*/* to choose settings")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--detector-model", type=Path, default=MODEL, help="the file of yunet")
    parser.add_argument("--detectors", nargs="+", default=["haar", "dlib", "yunet", "mtcnn"])
    parser.add_argument("--variants", action="store_true", help="print other settings of the Haar detector instead")
    options = parser.parse_args()
    try:
        paths = face_paths(options.data, options.images)
    except MienError as error:
        raise SystemExit(str(error)) from None
    print("| detector | found | false boxes in 100 frames | median ms a frame |\n|---|---|---|---|")
    makers = _VARIANTS if options.variants else {name: _maker(name, options) for name in options.detectors}
    for name, make in makers.items():
        try:
            detector = make()
        except DetectorError as error:
            print(f"| {name} | {error} | | |")
            continue
        faces = min(options.faces, _SLOW.get(name, options.faces))
        found, false, spent_ms = _measure(detector, paths, faces, options.seed)
        of = f" (of {faces})" if faces < options.faces else ""
        print(f"| {name} | {found:.1%}{of} | {false:.1f} | {spent_ms:.1f} |", flush=True)


def _maker(name: str, options: argparse.Namespace) -> Callable[[], Detector]:
    return lambda: create_detector(name, model_file=options.detector_model if name == "yunet" else None)


def _measure(detector: Detector, paths: Sequence[Path], faces: int, seed: int = SEED) -> tuple[float, float, float]:
    """Return (share of faces found, false boxes in 100 frames without a face, median milliseconds a frame)."""
    rng = np.random.default_rng(seed)
    found, spent_s = 0, []
    for placed in frames_with_faces(paths, faces, rng):
        start_s = time.perf_counter()
        boxes = detector.detect(placed.pixels_bgr)
        spent_s.append(time.perf_counter() - start_s)
        found += any(box.iou(placed.box) >= RIGHT_IOU for box in boxes)
    false = sum(len(detector.detect(pixels)) for pixels in frames_without_faces(paths, _EMPTY, rng))
    return found / len(spent_s), 100 * false / _EMPTY, 1e3 * median(spent_s)


if __name__ == "__main__":
    main()

"""How many faces a detector finds, and how many it invents: `python -m benchmarks.faces --data data/fer2013`.

600 PrivateTest faces, each shown 160 px wide at a random place of a 640x480 frame (plain gray, soft blobs, noise); a
box is right where it overlaps the face with IoU >= 0.4. 200 frames without a face (the same backgrounds, and faces
cut into 64 shuffled squares) count false boxes. The seed is fixed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from mien.detector import Detector, HaarDetector
from mien.expressions import Box

WIDTH_PX, HEIGHT_PX, FACE_PX = 640, 480, 160
FACES, EMPTY = 600, 200
RIGHT_IOU = 0.4
SEED = 0

VARIANTS: dict[str, dict[str, float]] = {
    "seed programs (full size, 1.3, 5)": {"search_side_px": 640, "scale_step": 1.3, "min_neighbors": 5},
    "full size, 1.1, 5": {"search_side_px": 640, "scale_step": 1.1, "min_neighbors": 5},
    "320 px, 1.1, 3": {"search_side_px": 320, "scale_step": 1.1, "min_neighbors": 3},
    "320 px, 1.1, 4 (Mien)": {"search_side_px": 320, "scale_step": 1.1, "min_neighbors": 4},
    "320 px, 1.1, 5": {"search_side_px": 320, "scale_step": 1.1, "min_neighbors": 5},
    "320 px, 1.05, 4": {"search_side_px": 320, "scale_step": 1.05, "min_neighbors": 4},
}


def main() -> None:
    """Print one row for each variant of the Haar detector."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faces", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data/fer2013"), help="FER-2013 as image folders")
    parser.add_argument("--faces", type=int, default=FACES)
    options = parser.parse_args()
    paths = sorted(options.data.glob("test/*/PrivateTest_*.jpg"))
    if not paths:
        raise SystemExit(f"{options.data}: expected test/<expression>/PrivateTest_*.jpg, found none")
    print("| detector | found | false boxes in 100 frames | ms a frame |\n|---|---|---|---|")
    for name, parameters in VARIANTS.items():
        detector = HaarDetector(**parameters)  # type: ignore[arg-type]
        found, false, spent_ms = measure(detector, paths, options.faces)
        print(f"| {name} | {found:.1%} | {false:.1f} | {spent_ms:.1f} |", flush=True)


def measure(detector: Detector, paths: list[Path], faces: int) -> tuple[float, float, float]:
    """(share of faces found, false boxes in 100 frames without a face, milliseconds a frame)."""
    rng = np.random.default_rng(SEED)
    found, spent_s = 0, 0.0
    for pixels, truth in frames_with_faces(paths, faces, rng):
        start_s = time.perf_counter()
        boxes = detector.detect(pixels)
        spent_s += time.perf_counter() - start_s
        found += any(box.iou(truth) >= RIGHT_IOU for box in boxes)
    false = sum(len(detector.detect(pixels)) for pixels in frames_without_faces(paths, EMPTY, rng))
    return found / faces, 100 * false / EMPTY, 1e3 * spent_s / faces


def frames_with_faces(paths: list[Path], count: int, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, Box]]:
    """So many frames, uint8 (480, 640, 3), with where the face is."""
    for i, chosen in enumerate(rng.permutation(len(paths))[:count]):
        pixels = _background(i % 3, rng)
        face = cv2.resize(_gray(paths[chosen]), (FACE_PX, FACE_PX), interpolation=cv2.INTER_CUBIC)
        x, y = int(rng.integers(0, WIDTH_PX - FACE_PX)), int(rng.integers(0, HEIGHT_PX - FACE_PX))
        pixels[y : y + FACE_PX, x : x + FACE_PX] = face[..., np.newaxis]
        yield pixels, Box(x, y, FACE_PX, FACE_PX)


def frames_without_faces(paths: list[Path], count: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """So many frames, uint8 (480, 640, 3), of backgrounds and of faces whose parts are shuffled."""
    for i in range(count):
        pixels = _background(i % 4, rng)
        if i % 4 == 3:
            face = cv2.resize(_gray(paths[rng.integers(len(paths))]), (480, 480), interpolation=cv2.INTER_CUBIC)
            parts = face.reshape(8, 60, 8, 60).swapaxes(1, 2).reshape(64, 60, 60)[rng.permutation(64)]
            pixels[:, 80:560, :] = parts.reshape(8, 8, 60, 60).swapaxes(1, 2).reshape(480, 480, 1)
        yield pixels


def _gray(path: Path) -> np.ndarray:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))


def _background(kind: int, rng: np.random.Generator) -> np.ndarray:
    """Plain gray, soft blobs, or noise; any other kind is plain."""
    if kind == 1:
        coarse = rng.integers(60, 200, (12, 16, 3), dtype=np.uint8)
        return np.asarray(cv2.resize(coarse, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_CUBIC))
    if kind == 2:
        return np.clip(rng.normal(120, 25, (HEIGHT_PX, WIDTH_PX, 3)), 0, 255).astype(np.uint8)
    return np.full((HEIGHT_PX, WIDTH_PX, 3), 128, np.uint8)


if __name__ == "__main__":
    main()

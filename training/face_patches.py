"""Squares with a face and squares without one, to teach `mien.detector.face_check` the difference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from mien.detector import HaarDetector
from mien.detector.face_check import SCALES, FaceCheck
from mien.expressions import Box
from training.placed_faces import read_gray, shuffled

FACE_IOU, NO_FACE_IOU = 0.5, 0.33
"""A square shows the face from the first on, and does not up to the second; what lies between is left out."""

Square = tuple[float, float, float]


def placed_squares(
    paths: Sequence[Path], check: FaceCheck, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, int]]:
    """(features, 1 with a face or 0) of squares on and beside each face, on its parts shuffled, elsewhere."""
    for path in paths:
        image = read_gray(path)
        side = int(rng.integers(28, 90))
        scene = _texture(3 * side, rng)
        shrinks = side < image.shape[0]
        face = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
        scene[side : 2 * side, side : 2 * side] = face
        if rng.random() < 0.3:
            scene = _bytes(scene + rng.normal(0, rng.uniform(1, 6), scene.shape))
        if rng.random() < 0.5:
            scene = np.ascontiguousarray(scene[:, ::-1])
        on = [_square(side, rng.uniform(0.88, 1.1), rng.uniform(-0.07, 0.07, 2)) for _ in range(2)]
        beside = [_square_beside(side, rng) for _ in range(3)]
        squares = check.features(scene, on + beside)
        parts = shuffled(image, int(rng.integers(2, 9)), rng)
        part_side = rng.uniform(0.4, 1) * len(parts)
        left, top = rng.uniform(0, len(parts) - part_side, 2)
        elsewhere = check.features(_texture(64, rng), [(0, 0, 64)])
        no_face = check.features(parts, [(float(left), float(top), float(part_side))])
        yield from zip([*squares, *no_face, *elsewhere], [1, 1, 0, 0, 0, 0, 0], strict=True)


def proposed_squares(
    gray: np.ndarray, face: Box | None, detector: HaarDetector, check: FaceCheck
) -> Iterator[tuple[np.ndarray, int]]:
    """(features, 1 with a face or 0) of all that the cascades propose in gray uint8 (height, width)."""
    for (x, y, w, h), _ in detector.propose(gray):
        squares = [(x + (w - scale * w) / 2, y + (h - scale * w) / 2, scale * w) for scale in SCALES]
        boxes = [Box(*map(round, (*square, square[2]))) for square in squares]
        overlaps = [0.0 if face is None else face.iou(box) for box in boxes]
        for features, overlap in zip(check.features(gray, squares), overlaps, strict=True):
            if overlap >= FACE_IOU or overlap <= NO_FACE_IOU:
                yield features, int(overlap >= FACE_IOU)


def scenes_without_faces(paths: Sequence[Path], count: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """So many gray pictures, uint8 (240, 320): textures, and on every other one a face cut into shuffled squares."""
    for i in range(count):
        scene = _texture(320, rng)[:240]
        if i % 2:
            side = int(rng.integers(100, 240))
            parts = shuffled(read_gray(paths[int(rng.integers(len(paths)))]), int(rng.integers(2, 9)), rng)
            left, top = int(rng.integers(320 - side)), int(rng.integers(240 - side))
            large = cv2.resize(parts, (side, side), interpolation=cv2.INTER_CUBIC)
            scene[top : top + side, left : left + side] = large
        yield np.ascontiguousarray(scene)


def _square(side: int, scale: float, shift: np.ndarray) -> Square:
    """A square about the middle of 3 * side pixels, shifted by shares of side."""
    left, top = side * (1.5 - scale / 2 + shift)
    return float(left), float(top), side * scale


def _square_beside(side: int, rng: np.random.Generator) -> Square:
    face = Box(side, side, side, side)
    while True:
        square = _square(side, float(np.exp(rng.uniform(np.log(0.3), np.log(2.2)))), rng.uniform(-1, 1, 2))
        if face.iou(Box(*(round(v) for v in (*square, square[2])))) < NO_FACE_IOU:
            return square


def _texture(side: int, rng: np.random.Generator) -> np.ndarray:
    """Plain gray, soft blobs, noise, clouds or shapes: uint8 (side, side)."""
    kind = rng.integers(5)
    if kind == 0:
        return np.full((side, side), rng.integers(20, 236), np.uint8)
    if kind == 1:
        coarse = rng.integers(30, 226, 2 * (int(rng.integers(3, 20)),), dtype=np.uint8)
        return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC))
    if kind == 2:
        return _bytes(rng.normal(rng.integers(60, 196), rng.uniform(3, 40), (side, side)))
    if kind == 3:
        layers = [rng.uniform(10, 40) * rng.normal(0, 1, (size, size)) for size in (3, 6, 12, 24)]
        return _bytes(128 + sum(cv2.resize(layer, (side, side), interpolation=cv2.INTER_CUBIC) for layer in layers))
    return _shapes(side, rng)


def _shapes(side: int, rng: np.random.Generator) -> np.ndarray:
    scene = np.full((side, side), rng.integers(256), np.uint8)
    for i in range(12):
        (a, b), shade = rng.integers(0, side, (2, 2)).tolist(), int(rng.integers(256))
        if i % 3 == 0:
            cv2.rectangle(scene, a, b, shade, -1)
        elif i % 3 == 1:
            cv2.circle(scene, a, int(rng.integers(3, side // 4)), shade, -1)
        else:
            cv2.line(scene, a, b, shade, int(rng.integers(1, 12)))
    return scene


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0, 255).astype(np.uint8)

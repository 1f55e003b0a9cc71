"""Fits the small network by which the Haar detector tells faces.

Run it by `python -m training.assets.face_filter --data data/fer2013`.

Nine tenths of FER-2013's Training images teach it, the last tenth fits how much its word counts beside that of the
cascades, and from which score on a face counts. About ten minutes; the seed is fixed.

Squares with a face and squares without one, to teach `mien.detector.face_check` the difference.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mien.detector import HaarDetector
from mien.detector.face_check import FILE, SCALES, SIDE_PX, FaceCheck
from mien.expressions import Box, MienError
from mien.reduced import reduced_gray
from training.evaluate.frames import face_paths, frames_with_faces, frames_without_faces, read_gray, shuffled

SEARCH_SIDE_PX = 320
FACE_SIDES_PX = (90, 120, 160, 220)
RIGHT_IOU, WRONG_IOU = 0.4, 0.25
FALSE_IN_100 = 0.5
SEED = 5


def main() -> None:
    """Fit, measure on the last tenth, write face_check.npz."""
    parser = argparse.ArgumentParser(prog="python -m training.assets.face_filter", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data/fer2013"), help="FER-2013 as image folders")
    parser.add_argument("--faces", type=int, default=14000, help="how many images teach the network")
    parser.add_argument("--frames", type=int, default=1200, help="how many pictures the cascades propose faces in")
    parser.add_argument("--hidden", type=int, default=24, help="neurons")
    parser.add_argument("--out", type=Path, default=FILE)
    options = parser.parse_args()
    rng = np.random.default_rng(SEED)
    try:
        paths = face_paths(options.data, "train/*/*")
    except MienError as error:
        raise SystemExit(str(error)) from None
    kept_back = paths[::10]
    paths = [path for i, path in enumerate(paths) if i % 10]
    blank = FaceCheck(blank_weights(options.hidden, rng))
    features, labels = squares(paths, options.faces, options.frames, blank, rng)
    print(f"{len(labels)} squares, {labels.mean():.1%} with a face", flush=True)
    weights = fit(features, labels, options.hidden, rng)
    del features
    weights["score"], threshold = fit_score(kept_back, options.frames // 2, FaceCheck(weights), rng)
    weights["score"][-1] -= threshold
    small: dict[str, Any] = {name: value.astype(np.float16) for name, value in weights.items()}
    np.savez_compressed(options.out, **small)
    print(f"{options.out}: {options.out.stat().st_size / 1e3:.0f} kB")


def blank_weights(hidden: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Where the fit starts: Glorot-like random weights, float32; the network's word alone counts."""
    cells = SIDE_PX // 8 - 1
    inputs = 36 * cells * cells
    return {
        "hidden": (rng.normal(0, 1, (inputs, hidden)) * np.sqrt(2 / inputs)).astype(np.float32),
        "hidden_bias": np.zeros(hidden, np.float32),
        "out": (rng.normal(0, 1, hidden) / np.sqrt(hidden)).astype(np.float32),
        "out_bias": np.zeros(1, np.float32),
        "score": np.array([1, 0, 0, 0], np.float32),
    }


def squares(
    paths: Sequence[Path], faces: int, frames: int, check: FaceCheck, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(features float32 (n, inputs), labels float32 (n,)) of faces placed by hand and of what the cascades propose."""
    chosen = [paths[i] for i in rng.permutation(len(paths))[:faces]]
    found = list(placed_squares(chosen, check, rng))
    detector = HaarDetector(check=check)
    for gray, face in scenes(paths, frames // 4, rng):
        found += proposed_squares(gray, face, detector, check)
    for gray in scenes_without_faces(paths, frames - frames // 4, rng):
        found += proposed_squares(gray, None, detector, check)
    return np.array([features for features, _ in found]), np.array([label for _, label in found], np.float32)


def scenes(paths: Sequence[Path], count: int, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, Box]]:
    """(gray uint8 (240, 320), where its face is): so many faces of all sizes."""
    for face_px in FACE_SIDES_PX:
        for placed in frames_with_faces(paths, count // len(FACE_SIDES_PX), rng, face_px=face_px):
            gray, scale = reduced_gray(placed.pixels_bgr, SEARCH_SIDE_PX)
            box = placed.box
            yield gray, Box(*(round(v * scale) for v in (box.x, box.y, box.w, box.h)))


def fit(
    features: np.ndarray,
    labels: np.ndarray,
    hidden: int,
    rng: np.random.Generator,
    *,
    epochs: int = 25,
    batch: int = 256,
    learning_rate: float = 2e-3,
    weight_decay: float = 1e-4,
) -> dict[str, np.ndarray]:
    """The network's weights: logistic loss, AdamW, cosine schedule."""
    weights = blank_weights(hidden, rng)
    names = ("hidden", "hidden_bias", "out", "out_bias")
    first = {name: np.zeros_like(weights[name]) for name in names}
    second = {name: np.zeros_like(weights[name]) for name in names}
    steps = epochs * (len(labels) // batch)
    order = np.concatenate([rng.permutation(len(labels))[: len(labels) // batch * batch] for _ in range(epochs)])
    for step in range(1, steps + 1):
        own = order[(step - 1) * batch : step * batch]
        gradients = _gradients(weights, features[own], labels[own])
        rate = learning_rate * 0.5 * (1 + np.cos(np.pi * step / steps))
        for name in names:
            first[name] = 0.9 * first[name] + 0.1 * gradients[name]
            second[name] = 0.999 * second[name] + 0.001 * gradients[name] ** 2
            update = first[name] / (1 - 0.9**step) / (np.sqrt(second[name] / (1 - 0.999**step)) + 1e-8)
            decay = weight_decay * weights[name] if name == "hidden" else 0.0
            weights[name] = (weights[name] - rate * update - decay).astype(np.float32)
    return weights


def _gradients(weights: dict[str, np.ndarray], x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """Of the mean logistic loss, by the name of the weight."""
    hidden = np.maximum(x @ weights["hidden"] + weights["hidden_bias"], 0)
    error = (sigmoid(hidden @ weights["out"] + weights["out_bias"]) - y) / len(y)
    back = error[:, np.newaxis] * weights["out"] * (hidden > 0)
    return {
        "hidden": x.T @ back,
        "hidden_bias": back.sum(axis=0),
        "out": hidden.T @ error,
        "out_bias": error.sum(keepdims=True),
    }


def fit_score(
    paths: Sequence[Path], frames: int, check: FaceCheck, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """(weights of logit, log counts and 1; the score above which FALSE_IN_100 false boxes are found in 100 frames)."""
    detector = HaarDetector(check=check)
    faces = [(*_stated(gray, face, detector, check), True) for gray, face in scenes(paths, frames, rng)]
    empty = [
        (*_stated(reduced_gray(pixels, SEARCH_SIDE_PX)[0], None, detector, check), False)
        for pixels in frames_without_faces(paths, frames, rng)
    ]
    said = np.concatenate([says for says, _, _ in faces + empty])
    overlap = np.concatenate([overlaps for _, overlaps, _ in faces + empty])
    clear = (overlap >= RIGHT_IOU) | (overlap <= WRONG_IOU)
    weights = logistic_regression(said[clear], overlap[clear] >= RIGHT_IOU)
    false = np.sort(np.concatenate([says @ weights for says, _, _ in empty]))[::-1]
    threshold = float(false[int(FALSE_IN_100 * len(empty) / 100)])
    right = [bool(((says @ weights > threshold) & (overlaps >= RIGHT_IOU)).any()) for says, overlaps, _ in faces]
    print(f"weights {weights.round(2)}, threshold {threshold:.2f}, found of the last tenth {np.mean(right):.1%}")
    return weights.astype(np.float32), threshold


def _stated(
    gray: np.ndarray, face: Box | None, detector: HaarDetector, check: FaceCheck
) -> tuple[np.ndarray, np.ndarray]:
    """(what is said of each proposal: logit, log counts, 1; its overlap with the face, IoU)."""
    said, overlaps = [], []
    for proposed, counts in detector.propose(gray):
        (x, y, side, _), logit = check.frame(gray, proposed)
        said.append([logit, *np.log1p(counts), 1.0])
        overlaps.append(0.0 if face is None else face.iou(Box(*(round(v) for v in (x, y, side, side)))))
    return np.reshape(said, (-1, 4)), np.array(overlaps)


def logistic_regression(x: np.ndarray, y: np.ndarray, *, ridge: float = 1e-4, steps: int = 30) -> np.ndarray:
    """Weights (d,) for x (n, d) and truth y (n,), by Newton's method."""
    weights = np.zeros(x.shape[1])
    for _ in range(steps):
        p = sigmoid(x @ weights)
        slope = x.T @ (p - y) + ridge * len(y) * weights
        curve = (x * (p * (1 - p))[:, np.newaxis]).T @ x + ridge * len(y) * np.eye(x.shape[1])
        weights = weights - np.linalg.solve(curve, slope)
    return weights


def sigmoid(x: np.ndarray) -> np.ndarray:
    """The probability of log odds."""
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -60, 60))))


if __name__ == "__main__":
    main()


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

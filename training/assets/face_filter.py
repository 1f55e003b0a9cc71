"""Fit the face filter: the small network that confirms or rejects what the Haar cascades propose.

`python -m training face-filter --data data/fer2013` takes about ten minutes; its seed is fixed. Nine tenths of
FER-2013's Training images train the network. The last tenth fits how its logit and the numbers of agreeing cascade
windows are combined into one score, and the score above which a proposal is a face.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np

from mien.detectors import HaarDetector
from mien.detectors.face_filter import SCALES, FaceFilter
from mien.images.resize import reduced_gray
from mien.types import Box
from training.evaluate.frames import Shown, face_paths, frames_with_faces, frames_without_faces, read_gray, shuffled
from training.inputs import writable

_SEARCH_SIDE_PX = 320
_FACE_SIDES_PX = (90, 120, 160, 220)
_FACE_IOU, _NO_FACE_IOU = 0.5, 0.33
"""A square from the first IoU on shows the face, one up to the second does not; those in between are not used."""

_FOUND_IOU, _MISSED_IOU = 0.4, 0.25
"""The same for the scores, as in the measurements of `training.evaluate.frames`."""

_FALSE_BOXES_PER_FRAME = 0.005
_SEED = 5

Square = tuple[float, float, float]
"""Left, top and side, in pixels."""

Example = tuple[np.ndarray, int]
"""HOG features, float32 (576,), and 1 for a face or 0 for none."""


def run(options: argparse.Namespace) -> None:
    """Fit the face filter, and write its file."""
    rng = np.random.default_rng(_SEED)
    paths = face_paths(options.data, "train/*/*")
    held_out, paths = paths[::10], [path for i, path in enumerate(paths) if i % 10]
    features, labels = _training_squares(paths, options.faces, options.frames, rng)
    print(f"{len(labels)} squares, {labels.mean():.1%} of them with a face", flush=True)
    weights = fit_network(features, labels, options.hidden)
    weights["score"] = _fit_score(held_out, options.frames // 2, FaceFilter(weights), rng)
    small: dict[str, Any] = {name: value.astype(np.float16) for name, value in weights.items()}
    np.savez_compressed(writable(options.out), **small)
    print(f"wrote {options.out}, {options.out.stat().st_size / 1e3:.0f} kB")


def fit_network(
    features: np.ndarray,
    labels: np.ndarray,
    hidden: int,
    *,
    epochs: int = 25,
    batch_size: int = 256,
    learning_rate: float = 2e-3,
) -> dict[str, np.ndarray]:
    """Fit one hidden layer with ReLU to the logistic loss, by AdamW with a cosine schedule.

    Args:
        features: float32 (n, inputs).
        labels: float32 (n,), 1 for a face and 0 for none.
        hidden: Units of the hidden layer.
        epochs: Passes over all squares.
        batch_size: Squares per step.
        learning_rate: Of the first step; it falls to 0.

    Returns:
        float32 arrays as `mien.detectors.face_filter.FaceFilter` takes them: hidden (inputs, hidden), hidden_bias
        (hidden,), out (hidden,), out_bias (1,).
    """
    keras.utils.set_random_seed(_SEED)
    hidden_layer = keras.layers.Dense(hidden, activation="relu", kernel_initializer="he_normal")
    output_layer = keras.layers.Dense(1)
    network = keras.Sequential([keras.Input(features.shape[1:]), hidden_layer, output_layer])
    rate = keras.optimizers.schedules.CosineDecay(learning_rate, epochs * -(-len(labels) // batch_size))
    optimizer = keras.optimizers.AdamW(rate, weight_decay=0.01)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    network.compile(optimizer, keras.losses.BinaryCrossentropy(from_logits=True), jit_compile=False)
    network.fit(features, labels, batch_size=batch_size, epochs=epochs, verbose=0)
    (kernel, bias), (out, out_bias) = hidden_layer.get_weights(), output_layer.get_weights()
    return {"hidden": kernel, "hidden_bias": bias, "out": out[:, 0], "out_bias": out_bias}


def _fit_score(paths: Sequence[Path], frames: int, filter_: FaceFilter, rng: np.random.Generator) -> np.ndarray:
    """Fit the weights of a proposal's score, float32 (4,), by logistic regression over frames with and without faces.

    They are the weights of the logit, of the logarithms of both cascades' counts, and a constant that gives score 0 to
    the threshold at which _FALSE_BOXES_PER_FRAME are found in frames without faces.
    """
    detector = HaarDetector(face_filter=filter_)
    faces = [_describe(gray, face, detector, filter_) for gray, face in _search_frames(paths, frames, rng)]
    empty_frames = frames_without_faces(paths, frames, rng)
    empty = [_describe(reduced_gray(f, _SEARCH_SIDE_PX)[0], None, detector, filter_) for f in empty_frames]
    inputs, overlaps = (np.concatenate(column) for column in zip(*faces, *empty, strict=True))
    clear = (overlaps >= _FOUND_IOU) | (overlaps <= _MISSED_IOU)
    weights = logistic_regression(inputs[clear], overlaps[clear] >= _FOUND_IOU)
    false = np.sort(np.concatenate([inputs @ weights for inputs, _ in empty]))[::-1]
    accepted = int(_FALSE_BOXES_PER_FRAME * len(empty))
    threshold = float(false[accepted]) if accepted < len(false) else 0.0
    found = [((inputs @ weights > threshold) & (overlaps >= _FOUND_IOU)).any() for inputs, overlaps in faces]
    print(f"weights {weights.round(2)}, threshold {threshold:.2f}, {np.mean(found):.1%} of the held-out faces found")
    weights[-1] -= threshold
    return weights.astype(np.float32)


def _describe(
    gray: np.ndarray, face: Box | None, detector: HaarDetector, filter_: FaceFilter
) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each proposal, the inputs of its score (logit, log counts, 1) and its IoU with the face."""
    inputs, overlaps = [], []
    for proposed, counts in detector.propose(gray):
        (x, y, side, _), logit = filter_.refine(gray, proposed)
        inputs.append([logit, *np.log1p(counts), 1.0])
        overlaps.append(_overlap(face, (x, y, side)))
    return np.reshape(inputs, (-1, 4)), np.array(overlaps)


def logistic_regression(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Fit the weights (d,) of inputs x (n, d) to truth y (n,) by Newton's method, with a small ridge penalty."""
    ridge = 1e-4 * len(y)
    weights = np.zeros(x.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-np.clip(x @ weights, -60, 60)))
        gradient = x.T @ (p - y) + ridge * weights
        hessian = (x * (p * (1 - p))[:, np.newaxis]).T @ x + ridge * np.eye(x.shape[1])
        weights = weights - np.linalg.solve(hessian, gradient)
    return weights


# ---- what the network is trained on


def _training_squares(
    paths: Sequence[Path], faces: int, frames: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return features, float32 (n, 576), and labels, float32 (n,), of placed faces and of the cascades' proposals."""
    filter_ = FaceFilter({})  # features and proposals need no weights
    detector = HaarDetector(face_filter=filter_)
    chosen = [paths[i] for i in rng.permutation(len(paths))[:faces]]
    examples = list(_placed_squares(chosen, filter_, rng))
    for gray, face in _search_frames(paths, frames // 4, rng):
        examples += _proposed_squares(gray, face, detector, filter_)
    for gray in scenes_without_faces(paths, frames - frames // 4, rng):
        examples += _proposed_squares(gray, None, detector, filter_)
    features, labels = zip(*examples, strict=True)
    return np.array(features), np.array(labels, np.float32)


def _search_frames(paths: Sequence[Path], count: int, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, Box]]:
    """Yield frames as the detector searches them, gray uint8 (240, 320), each with the box of its face; all sizes."""
    for face_px in _FACE_SIDES_PX:
        for placed in frames_with_faces(paths, count // len(_FACE_SIDES_PX), rng, Shown(face_px)):
            gray, scale = reduced_gray(placed.pixels_bgr, _SEARCH_SIDE_PX)
            box = placed.box
            yield gray, Box(*(round(v * scale) for v in (box.x, box.y, box.w, box.h)))


def _proposed_squares(
    gray: np.ndarray, face: Box | None, detector: HaarDetector, filter_: FaceFilter
) -> Iterator[Example]:
    """Yield examples from all that the cascades propose in gray uint8 (height, width)."""
    for (x, y, w, h), _ in detector.propose(gray):
        squares = [(x + (w - scale * w) / 2, y + (h - scale * w) / 2, scale * w) for scale in SCALES]
        overlaps = [_overlap(face, square) for square in squares]
        for features, overlap in zip(filter_.features(gray, squares), overlaps, strict=True):
            if overlap >= _FACE_IOU or overlap <= _NO_FACE_IOU:
                yield features, int(overlap >= _FACE_IOU)


def _placed_squares(paths: Sequence[Path], filter_: FaceFilter, rng: np.random.Generator) -> Iterator[Example]:
    """Yield two examples on each face, three beside it, one of its shuffled parts and one of a texture."""
    for path in paths:
        image = read_gray(path)
        side = int(rng.integers(28, 90))
        scene = _texture(3 * side, rng)
        interpolation = cv2.INTER_AREA if side < image.shape[0] else cv2.INTER_CUBIC
        scene[side : 2 * side, side : 2 * side] = cv2.resize(image, (side, side), interpolation=interpolation)
        if rng.random() < 0.3:
            scene = _as_uint8(scene + rng.normal(0, rng.uniform(1, 6), scene.shape))
        if rng.random() < 0.5:
            scene = np.ascontiguousarray(scene[:, ::-1])
        on = [_square(side, rng.uniform(0.88, 1.1), rng.uniform(-0.07, 0.07, 2)) for _ in range(2)]
        beside = [_square_beside(side, rng) for _ in range(3)]
        parts = shuffled(image, int(rng.integers(2, 9)), rng)
        part_side = rng.uniform(0.4, 1) * len(parts)
        left, top = rng.uniform(0, len(parts) - part_side, 2)
        squares = filter_.features(scene, on + beside)
        texture = filter_.features(_texture(64, rng), [(0, 0, 64)])
        no_face = filter_.features(parts, [(float(left), float(top), float(part_side))])
        yield from zip([*squares, *no_face, *texture], [1, 1, 0, 0, 0, 0, 0], strict=True)


def _square(side: int, scale: float, shift: np.ndarray) -> Square:
    """Return a square around the center of a scene 3 * side wide; shift: (x, y) as shares of side."""
    left, top = side * (1.5 - scale / 2 + shift)
    return float(left), float(top), side * scale


def _square_beside(side: int, rng: np.random.Generator) -> Square:
    face = Box(side, side, side, side)
    while True:
        square = _square(side, float(np.exp(rng.uniform(np.log(0.3), np.log(2.2)))), rng.uniform(-1, 1, 2))
        if _overlap(face, square) < _NO_FACE_IOU:
            return square


def _overlap(face: Box | None, square: Square) -> float:
    x, y, side = map(round, square)
    return 0.0 if face is None else face.iou(Box(x, y, side, side))


def scenes_without_faces(paths: Sequence[Path], count: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield `count` gray pictures by `rng`, uint8 (240, 320): textures, every other with shuffled parts of a face.

    paths: the images of faces.
    """
    for i in range(count):
        scene = _texture(320, rng)[:240]
        if i % 2:
            side = int(rng.integers(100, 240))
            parts = shuffled(read_gray(paths[int(rng.integers(len(paths)))]), int(rng.integers(2, 9)), rng)
            left, top = int(rng.integers(320 - side)), int(rng.integers(240 - side))
            enlarged = cv2.resize(parts, (side, side), interpolation=cv2.INTER_CUBIC)
            scene[top : top + side, left : left + side] = enlarged
        yield np.ascontiguousarray(scene)


def _texture(side: int, rng: np.random.Generator) -> np.ndarray:
    """Return plain gray, soft blobs, noise, clouds or shapes: uint8 (side, side)."""
    kind = rng.integers(5)
    if kind == 0:
        return np.full((side, side), rng.integers(20, 236), np.uint8)
    if kind == 1:
        coarse = rng.integers(30, 226, 2 * (int(rng.integers(3, 20)),), dtype=np.uint8)
        return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC))
    if kind == 2:
        return _as_uint8(rng.normal(rng.integers(60, 196), rng.uniform(3, 40), (side, side)))
    if kind == 3:
        layers = [rng.uniform(10, 40) * rng.normal(0, 1, (size, size)) for size in (3, 6, 12, 24)]
        return _as_uint8(128 + sum(cv2.resize(layer, (side, side), interpolation=cv2.INTER_CUBIC) for layer in layers))
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


def _as_uint8(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0, 255).astype(np.uint8)

"""The demo's faces: for each expression the average of training images that look alike.

Nobody's face: each is the mean of dozens of aligned images and of their mirror images, after Galton's
"Composite portraits" (1878). The network chooses the images and how strongly an expression is drawn, so that it
reads these faces well says that the program works, and nothing of how good the network is.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from mien.detectors import Detector, HaarDetector
from mien.images.resize import crop_faces
from mien.sources.demo import FACES_FILE, DemoSource
from mien.types import EXPRESSIONS
from training.data.dataset import DataError, Split, load_dataset
from training.options import add_data, add_network, add_out, square_model, writable

SIDE_PX = 96
CANDIDATES = 1000
AVERAGED = 36
SHORT_LIST = 6
NEARLY_ALIKE = 0.8
STRENGTHS = (0.3, 0.5, 0.7, 0.9, 1.2)
TIMES_S = (0.5, 4.0, 7.5)  # of the demo: three places and sizes
READ_AT = 0.6  # probability of the expression at which a face is read well enough

Predict = Callable[[np.ndarray], np.ndarray]
"""Faces uint8 (n, side, side, 1) -> probabilities (n, 7)."""


def composite_sheet(split: Split, predict: Predict) -> np.ndarray:
    """The seven composites side by side in the order of EXPRESSIONS: uint8 (96, 7 * 96), gray.

    There are many ways to be afraid, and the mean of all is a blur. So around each candidate those that look
    alike are averaged, and of these averages that can be read the one whose faces agree best is taken.
    Raises DataError where an expression has too few different images for a face that is nobody's.
    """
    anybody = _symmetric(_enlarge(split.images.mean(axis=0)[:, :, 0]))
    side_px = split.images.shape[1]
    typical = [
        split.images[np.flatnonzero(split.labels == label)[_most_typical(split, label, predict)], :, :, 0]
        for label in range(len(EXPRESSIONS))
    ]
    aligned = [_aligned(anybody, [_enlarge(face) for face in np.unique(faces, axis=0)]) for faces in typical]
    middle = np.mean([_symmetric(faces.mean(axis=0)) for faces in aligned], axis=0)
    drawn = []
    for label, faces in enumerate(aligned):
        averages = _averages(faces)
        clear = _read(_drawn(averages, middle, STRENGTHS[-1]), side_px, predict)[:, label]
        best = np.lexsort((-clear, -_agreement(averages), clear < READ_AT))[:SHORT_LIST]
        sharper = np.stack([_sharper(averages[i], faces, anybody) for i in best])
        drawn.append(_least_drawn(np.concatenate([averages[best], sharper]), middle, label, side_px, predict))
    return np.concatenate(drawn, axis=1)


def _most_typical(split: Split, label: int, predict: Predict) -> np.ndarray:
    """Places among the images of this label of those that the network gives it the highest probability."""
    return np.argsort(-predict(split.images[split.labels == label])[:, label])[:CANDIDATES]


def _aligned(target: np.ndarray, faces: list[np.ndarray]) -> np.ndarray:
    """Those faces that can be brought onto the target, there: float32 (n, 96, 96)."""
    moved = [face for face in (_onto(target, face) for face in faces) if face is not None]
    return np.stack(moved or faces)


def _averages(faces: np.ndarray) -> np.ndarray:
    """Around each face the mean of those most like it and of their mirror images."""
    alike = _correlations(faces)
    chosen = [_different(alike, order) for order in np.argsort(-alike, axis=1)]
    averages = [_symmetric(faces[one].mean(axis=0)) for one in chosen if len(one) == AVERAGED]
    if not averages:
        found = max(map(len, chosen))
        raise DataError(f"expected {AVERAGED} different images of each expression that can be aligned, found {found}")
    return np.stack(averages)


def _sharper(average: np.ndarray, faces: np.ndarray, anybody: np.ndarray) -> np.ndarray:
    """The average, made anew of faces that were brought onto it; as it is where those are too few."""
    moved = _aligned(average + anybody, list(faces))  # with the eyes where everybody's are
    alike = _correlations(np.concatenate([moved, average[np.newaxis]]))
    chosen = _different(alike[:-1, :-1], np.argsort(-alike[-1, :-1]))
    return _symmetric(moved[chosen].mean(axis=0)) if len(chosen) == AVERAGED else average


def _different(alike: np.ndarray, order: np.ndarray) -> list[int]:
    """The first AVERAGED in this order, fewer if there are no more, and one alone of those nearly alike.

    So that their mean is nobody's face. alike: their correlations (n, n).
    """
    chosen: list[int] = []
    for i in order:
        if (alike[i, chosen] < NEARLY_ALIKE).all():
            chosen.append(i)
        if len(chosen) == AVERAGED:
            break
    return chosen


def _least_drawn(averages: np.ndarray, middle: np.ndarray, label: int, side_px: int, predict: Predict) -> np.ndarray:
    """uint8 (96, 96): the sharpest average that can be read, with what sets it apart drawn stronger: a caricature.

    Averaging weakens an expression (Brennan, "Caricature generator", 1985); it is drawn no stronger than the network
    needs to read it.
    """
    detector = HaarDetector()
    for strength in STRENGTHS:
        drawn = _drawn(averages, middle, strength)
        clear = _read_live(drawn, side_px, predict, detector)[:, label]
        if clear.max() >= READ_AT:
            return np.asarray(drawn[np.where(clear >= READ_AT, _agreement(averages), 0).argmax()])
    return np.asarray(drawn[clear.argmax()])


def _agreement(averages: np.ndarray) -> np.ndarray:
    """How far the faces of each average agree, (n,): all have the same contrast, and what differs is averaged away."""
    return np.asarray((averages**2 * _WINDOW).sum(axis=(1, 2)))


def _drawn(averages: np.ndarray, middle: np.ndarray, strength: float) -> np.ndarray:
    return np.stack([_as_pixels(face + strength * (face - middle)) for face in averages])


def _read(drawn: np.ndarray, side_px: int, predict: Predict) -> np.ndarray:
    """Probabilities (n, 7)."""
    size = (side_px, side_px)
    small = np.stack([cv2.resize(face, size, interpolation=cv2.INTER_AREA) for face in drawn])
    return predict(small[..., np.newaxis])


def _read_live(drawn: np.ndarray, side_px: int, predict: Predict, detector: Detector) -> np.ndarray:
    """Probabilities (n, 7) of the faces as the demo shows them and the program cuts them out; 0 where it finds none."""
    found = np.zeros((len(drawn), len(TIMES_S), len(EXPRESSIONS)))
    for i, face in enumerate(drawn):
        demo = DemoSource(np.repeat(face[np.newaxis], len(EXPRESSIONS), axis=0))
        for j, time_s in enumerate(TIMES_S):
            pixels_bgr, _ = demo.render(time_s)
            box = max(detector.detect(pixels_bgr), key=lambda box: box.area, default=None)
            if box is not None:
                found[i, j] = predict(crop_faces(pixels_bgr, [box], (side_px, side_px))[..., np.newaxis])[0]
    return np.asarray(found.mean(axis=1))


def write_sheet(sheet: np.ndarray, path: Path) -> None:
    """Write the composites as a PNG file."""
    writable(path).write_bytes(cv2.imencode(".png", sheet)[1].tobytes())


def _as_pixels(face: np.ndarray) -> np.ndarray:
    low, high = np.percentile(face, (1, 99))
    return np.clip(40 + (face - low) / (high - low) * 180, 0, 255).astype(np.uint8)


def _enlarge(face: np.ndarray) -> np.ndarray:
    """A face as float32 (96, 96) with mean 0 and deviation 1."""
    face = cv2.resize(face.astype(np.float32), (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC)
    return (face - face.mean()) / (face.std() + 1)


def _symmetric(face: np.ndarray) -> np.ndarray:
    return ((face + face[:, ::-1]) / 2).astype(np.float32)


def _correlations(faces: np.ndarray) -> np.ndarray:
    """Of each face with each other, float32 (n, n), -1..1, where the window (weights 0..1) looks."""
    weighted = faces - (faces * _WINDOW).sum(axis=(1, 2), keepdims=True) / _WINDOW.sum()
    rows = (weighted * np.sqrt(_WINDOW)).reshape(len(faces), -1)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9
    return np.asarray(rows @ rows.T)


def _onto(target: np.ndarray, face: np.ndarray) -> np.ndarray | None:
    """The face moved, turned and scaled onto the target; None where only a far-fetched map would do.

    By the enhanced correlation coefficient: Evangelidis and Psarakis (2008).
    """
    warp = np.eye(2, 3, dtype=np.float32)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-4)
    try:
        _, warp = cv2.findTransformECC(target, face, warp, cv2.MOTION_AFFINE, criteria, _MASK, 5)
    except cv2.error:
        return None
    center = SIDE_PX / 2
    moved_px = np.abs(warp @ (center, center, 1) - center).max()
    if moved_px > 0.12 * SIDE_PX or np.abs(warp[:, :2] - np.eye(2)).max() > 0.25:
        return None
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(face, warp, (SIDE_PX, SIDE_PX), flags=flags, borderMode=cv2.BORDER_REPLICATE)


_ACROSS = np.linspace(-1, 1, SIDE_PX, dtype=np.float32)
_WINDOW = np.exp(-2 * (_ACROSS[:, None] ** 2 + _ACROSS[None, :] ** 2))
_MASK = (_WINDOW > 0.15).astype(np.uint8)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Data, network, and the file to write."""
    add_data(parser)
    add_network(parser)
    add_out(parser, Path("runs/composites/demo_faces.png"), FACES_FILE)


def run(options: argparse.Namespace) -> None:
    """compute the seven average faces of the built-in demo from the training images"""
    model, side_px = square_model(options)
    dataset = load_dataset(options.data, side_px=side_px)
    write_sheet(composite_sheet(dataset.train, model.predict), options.out)
    print(f"wrote {options.out}")

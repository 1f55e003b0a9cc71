"""Compute the demo's faces: for each expression the average of training images that look alike.

They are nobody's faces: each is the mean of dozens of aligned images and of their mirror images, after Galton's
"Composite portraits" (1878). The network itself selects the images and the strength of the expression, so its
predictions on them show that the program works, but not how accurate the network is.
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
from training.data.dataset import DataError, Split
from training.options import add_data, add_network, add_out, read_data, square_model, writable

SIDE_PX = 96
CANDIDATES = 1000
AVERAGED = 36
SHORTLIST = 6
NEARLY_ALIKE = 0.8
STRENGTHS = (0.3, 0.5, 0.7, 0.9, 1.2)
TIMES_S = (0.5, 4.0, 7.5)  # of the demo: three places and sizes
CLEAR = 0.6  # probability from which an expression is clear enough

Predict = Callable[[np.ndarray], np.ndarray]
"""Faces uint8 (n, side, side, 1) -> probabilities (n, 7)."""


def composite_sheet(split: Split, predict: Predict) -> np.ndarray:
    """Compute the seven composites side by side in the order of EXPRESSIONS: gray uint8 (96, 7 * 96).

    The mean of all faces of an expression is blurred, because they differ. So the faces most similar to each candidate
    are averaged, and of the averages with a clear expression the one whose faces agree best is chosen.

    Args:
        split: the training images.
        predict: of the network.

    Raises:
        DataError: an expression has too few different images for a face that is nobody's.
    """
    average_face = _symmetric(_enlarge(split.images.mean(axis=0)[:, :, 0]))
    side_px = split.images.shape[1]
    typical = [
        split.images[np.flatnonzero(split.labels == label)[_most_typical(split, label, predict)], :, :, 0]
        for label in range(len(EXPRESSIONS))
    ]
    aligned = [_aligned(average_face, [_enlarge(face) for face in np.unique(faces, axis=0)]) for faces in typical]
    middle = np.mean([_symmetric(faces.mean(axis=0)) for faces in aligned], axis=0)
    drawn = []
    for label, faces in enumerate(aligned):
        averages = _averages(faces)
        clear = _predict(_exaggerated(averages, middle, STRENGTHS[-1]), side_px, predict)[:, label]
        best = np.lexsort((-clear, -_agreement(averages), clear < CLEAR))[:SHORTLIST]
        sharper = np.stack([_sharper(averages[i], faces, average_face) for i in best])
        drawn.append(_least_exaggerated(np.concatenate([averages[best], sharper]), middle, label, side_px, predict))
    return np.concatenate(drawn, axis=1)


def _most_typical(split: Split, label: int, predict: Predict) -> np.ndarray:
    """Return positions among the images of a label, those with the highest probability of it first."""
    return np.argsort(-predict(split.images[split.labels == label])[:, label])[:CANDIDATES]


def _aligned(target: np.ndarray, faces: list[np.ndarray]) -> np.ndarray:
    """Return the faces that can be aligned with the target, aligned: float32 (n, 96, 96)."""
    moved = [face for face in (_align(target, face) for face in faces) if face is not None]
    return np.stack(moved or faces)


def _averages(faces: np.ndarray) -> np.ndarray:
    """Return, for each face, the mean of those most similar to it and of their mirror images."""
    alike = _correlations(faces)
    chosen = [_without_duplicates(alike, order) for order in np.argsort(-alike, axis=1)]
    averages = [_symmetric(faces[one].mean(axis=0)) for one in chosen if len(one) == AVERAGED]
    if not averages:
        found = max(map(len, chosen))
        raise DataError(f"expected {AVERAGED} different images of each expression that can be aligned, found {found}")
    return np.stack(averages)


def _sharper(average: np.ndarray, faces: np.ndarray, average_face: np.ndarray) -> np.ndarray:
    """Average again the faces that are most similar once aligned with the average; keep it where those are too few."""
    moved = _aligned(average + average_face, list(faces))
    alike = _correlations(np.concatenate([moved, average[np.newaxis]]))
    chosen = _without_duplicates(alike[:-1, :-1], np.argsort(-alike[-1, :-1]))
    return _symmetric(moved[chosen].mean(axis=0)) if len(chosen) == AVERAGED else average


def _without_duplicates(alike: np.ndarray, order: np.ndarray) -> list[int]:
    """Return the first AVERAGED positions in this order, skipping near duplicates: their mean must be nobody's face.

    alike: correlations (n, n).
    """
    chosen: list[int] = []
    for i in order:
        if (alike[i, chosen] < NEARLY_ALIKE).all():
            chosen.append(i)
        if len(chosen) == AVERAGED:
            break
    return chosen


def _least_exaggerated(
    averages: np.ndarray, middle: np.ndarray, label: int, side_px: int, predict: Predict
) -> np.ndarray:
    """Return the sharpest average with a clear expression, exaggerated as little as possible: uint8 (96, 96).

    Averaging weakens an expression; exaggerating its difference from the mean face restores it (Brennan, "Caricature
    generator", 1985).
    """
    detector = HaarDetector()
    for strength in STRENGTHS:
        drawn = _exaggerated(averages, middle, strength)
        clear = _predict_live(drawn, side_px, predict, detector)[:, label]
        if clear.max() >= CLEAR:
            return np.asarray(drawn[np.where(clear >= CLEAR, _agreement(averages), 0).argmax()])
    return np.asarray(drawn[clear.argmax()])


def _agreement(averages: np.ndarray) -> np.ndarray:
    """Return how far the faces of each average agree, (n,): its contrast, which differing faces average out."""
    return np.asarray((averages**2 * _WINDOW).sum(axis=(1, 2)))


def _exaggerated(averages: np.ndarray, middle: np.ndarray, strength: float) -> np.ndarray:
    return np.stack([_as_pixels(face + strength * (face - middle)) for face in averages])


def _predict(drawn: np.ndarray, side_px: int, predict: Predict) -> np.ndarray:
    """Return probabilities (n, 7)."""
    size = (side_px, side_px)
    small = np.stack([cv2.resize(face, size, interpolation=cv2.INTER_AREA) for face in drawn])
    return predict(small[..., np.newaxis])


def _predict_live(drawn: np.ndarray, side_px: int, predict: Predict, detector: Detector) -> np.ndarray:
    """Return probabilities (n, 7) of the faces as the demo shows and the program crops them; 0 if not detected."""
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
    """Write the composites as a PNG file, into a folder that is created if missing."""
    writable(path).write_bytes(cv2.imencode(".png", sheet)[1].tobytes())


def _as_pixels(face: np.ndarray) -> np.ndarray:
    low, high = np.percentile(face, (1, 99))
    return np.clip(40 + (face - low) / (high - low) * 180, 0, 255).astype(np.uint8)


def _enlarge(face: np.ndarray) -> np.ndarray:
    """Resize a face to float32 (96, 96) with mean 0 and standard deviation 1."""
    face = cv2.resize(face.astype(np.float32), (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC)
    return (face - face.mean()) / (face.std() + 1)


def _symmetric(face: np.ndarray) -> np.ndarray:
    return ((face + face[:, ::-1]) / 2).astype(np.float32)


def _correlations(faces: np.ndarray) -> np.ndarray:
    """Return the correlations of all pairs of faces within the window, float32 (n, n), -1 to 1."""
    weighted = faces - (faces * _WINDOW).sum(axis=(1, 2), keepdims=True) / _WINDOW.sum()
    rows = (weighted * np.sqrt(_WINDOW)).reshape(len(faces), -1)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9
    return np.asarray(rows @ rows.T)


def _align(target: np.ndarray, face: np.ndarray) -> np.ndarray | None:
    """Align a face with the target by an affine transform; return None where it would have to be large.

    By the enhanced correlation coefficient: Evangelidis and Psarakis, "Parametric image alignment using enhanced
    correlation coefficient maximization" (2008).
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
    """Add the options of the command to its parser."""
    add_data(parser)
    add_network(parser)
    add_out(parser, Path("runs/composites/demo_faces.png"), FACES_FILE)


def run(options: argparse.Namespace) -> None:
    """compute the seven average faces of the demo from the training images"""
    model, side_px = square_model(options)
    write_sheet(composite_sheet(read_data(options, side_px).train, model.predict), options.out)
    print(f"wrote {options.out}")

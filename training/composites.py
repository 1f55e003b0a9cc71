"""The demo's faces: for each expression the average of the training images most typical of it.

Nobody's face: each is the mean of dozens of aligned images and of their mirror images, after Galton's
"Composite portraits" (1878). The network chooses the images and how strongly an expression is drawn, so that it
reads these faces well says that the program works, and nothing of how good the network is.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from mien.expressions import EXPRESSIONS
from training.dataset import Split

SIDE_PX = 96
TYPICAL_SHARE = 0.15
CANDIDATES = 400
AVERAGED = 50
ROUNDS = 2
NEARLY_ALIKE = 0.9
STRENGTHS = (0.3, 0.5, 0.7, 0.9)
READ_AT = 0.6


def composite_sheet(split: Split, predict: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The seven composites side by side in the order of EXPRESSIONS: uint8 (96, 7 * 96), gray.

    predict: faces uint8 (n, side, side, 1) -> probabilities (n, 7).
    """
    anybody = _enlarge(split.images.mean(axis=0)[:, :, 0])
    faces = []
    for label in range(len(EXPRESSIONS)):
        members = split.take(np.flatnonzero(split.labels == label))
        faces.append(composite(members.images, predict(members.images)[:, label], anybody))
    drawn = [_drawn_stronger(faces, label, predict, split.images.shape[1]) for label in range(len(EXPRESSIONS))]
    return np.concatenate(drawn, axis=1)


def _drawn_stronger(
    faces: list[np.ndarray], label: int, predict: Callable[[np.ndarray], np.ndarray], side_px: int
) -> np.ndarray:
    """One composite as uint8 (96, 96), what sets it apart from the mean of all seven drawn stronger: a caricature.

    Averaging weakens an expression (Brennan, "Caricature generator", 1985); it is drawn no stronger than the network
    needs to read it.
    """
    middle = np.mean(faces, axis=0)
    for strength in STRENGTHS:
        drawn = _as_pixels(faces[label] + strength * (faces[label] - middle))
        small = cv2.resize(drawn, (side_px, side_px), interpolation=cv2.INTER_AREA)
        if predict(small[np.newaxis, :, :, np.newaxis])[0, label] >= READ_AT:
            break
    return drawn


def composite(images: np.ndarray, typicality: np.ndarray, anybody: np.ndarray) -> np.ndarray:
    """One face, float32 (96, 96), from images uint8 (n, side, side, 1) and how typical each is, (n,).

    The most typical images are moved, turned and scaled onto the mean of all faces, `anybody` (enhanced
    correlation coefficient: Evangelidis and Psarakis, 2008); those that then come nearest to it are averaged, and
    aligned once more with that average. Of images that are nearly alike only one counts, so that the result is
    nobody's face.
    """
    typical = np.argsort(-typicality)[: max(AVERAGED, round(TYPICAL_SHARE * len(images)))]
    candidates = typical[:: max(1, len(typical) // CANDIDATES)]  # not the most extreme alone
    chosen = np.unique(images[candidates, :, :, 0], axis=0)
    faces = [_enlarge(face) for face in chosen]
    target = _symmetric(anybody)
    for _ in range(ROUNDS):
        moved = [face for face in (_onto(target, face) for face in faces) if face is not None]
        mean = _symmetric(np.mean(_different(target, moved), axis=0))
        target = mean + _symmetric(anybody)  # keeps the eyes where everybody's are
    return mean


def write_sheet(sheet: np.ndarray, path: Path) -> None:
    """Write the composites as a PNG file."""
    path.write_bytes(cv2.imencode(".png", sheet)[1].tobytes())


def _as_pixels(face: np.ndarray) -> np.ndarray:
    low, high = np.percentile(face, (1, 99))
    return np.clip(40 + (face - low) / (high - low) * 180, 0, 255).astype(np.uint8)


def _enlarge(face: np.ndarray) -> np.ndarray:
    """A face as float32 (96, 96) with mean 0 and deviation 1."""
    face = cv2.resize(face.astype(np.float32), (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC)
    return (face - face.mean()) / (face.std() + 1)


def _symmetric(face: np.ndarray) -> np.ndarray:
    return ((face + face[:, ::-1]) / 2).astype(np.float32)


def _different(target: np.ndarray, faces: list[np.ndarray]) -> list[np.ndarray]:
    """The faces that fit the target best, up to AVERAGED, no two of them nearly alike."""
    best = np.argsort([-_correlation(target, face, _WINDOW) for face in faces])
    chosen: list[np.ndarray] = []
    for face in (faces[i] for i in best):
        if all(_correlation(face, other, _WINDOW) < NEARLY_ALIKE for other in chosen):
            chosen.append(face)
        if len(chosen) == AVERAGED:
            break
    return chosen


def _correlation(one: np.ndarray, other: np.ndarray, window: np.ndarray) -> float:
    """Correlation of two faces, -1..1, where the window (weights 0..1) looks."""
    total = window.sum()
    a, b = (face - (face * window).sum() / total for face in (one, other))
    return float((a * b * window).sum() / np.sqrt((a * a * window).sum() * (b * b * window).sum()))


def _onto(target: np.ndarray, face: np.ndarray) -> np.ndarray | None:
    """The face moved, turned and scaled onto the target; None where only a far-fetched map would do."""
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

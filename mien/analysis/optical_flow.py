"""Faces carried from one picture to the next by how the points inside them move: far cheaper than detection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np

from mien.images.resize import reduced_gray

PICTURE_SIDE_PX = 320
GRID = 6
INNER_SHARE = 0.7
MAX_RETURN_ERROR_PX = 1.5
MIN_POINTS = 8
THUMBNAIL_PX = (32, 18)
SAME_SCENE_CORRELATION = 0.5
SAME_SCENE_DIFFERENCE = 12.0
WINDOW_PX = (13, 13)
PYRAMID_LEVELS = 2
REACH_PX = 32
"""How far around a face the picture is looked at; more than a window can follow on the smallest level."""

_STEPS = np.linspace(-0.5, 0.5, GRID, dtype=np.float32) * np.float32(INNER_SHARE)
_GRID = np.stack(np.meshgrid(_STEPS, _STEPS), axis=-1).reshape(-1, 2)
"""GRID x GRID points (x, y) over the inner part of a face whose center is (0, 0), in its widths and heights."""


@dataclass(frozen=True, slots=True)
class Motion:
    """How one face moved since the picture before: by (dx, dy) pixels of the original frame, grown by `scale`."""

    dx: float
    dy: float
    scale: float


class Follower:
    """Remembers the last picture of one stream and says how faces moved since.

    A grid of points in each face is followed with pyramidal Lucas-Kanade optical flow (Bouguet, 2001); points that do
    not find their way back are left out, the median of the rest moves the face: Kalal, Mikolajczyk and Matas,
    "Forward-backward error: automatic detection of tracking failures" (2010).
    """

    def __init__(self) -> None:
        self._gray: np.ndarray | None = None
        self._thumbnail: np.ndarray | None = None

    def step(self, pixels_bgr: np.ndarray, centers_and_sizes: Sequence[np.ndarray]) -> list[Motion | None] | None:
        """The motion of each face (center x, center y, width, height; pixels of the frame before) into this frame.

        None in place of a motion: this face was lost. None altogether: the scene changed, or there was none before.
        """
        gray, reduction = reduced_gray(pixels_bgr, PICTURE_SIDE_PX)
        thumbnail = cv2.resize(gray, THUMBNAIL_PX, interpolation=cv2.INTER_AREA).astype(np.float32)
        before, known = self._gray, self._thumbnail
        self._gray, self._thumbnail = gray, thumbnail
        if before is None or known is None or before.shape != gray.shape or _scene_changed(known, thumbnail):
            return None
        if not centers_and_sizes:
            return []
        faces = np.asarray(centers_and_sizes, np.float32) * reduction
        points = (faces[:, np.newaxis, :2] + _GRID * faces[:, np.newaxis, 2:]).reshape(-1, 2)
        left, top, right, bottom = _around(faces, gray.shape)
        corner = np.array([left, top], np.float32)
        view = slice(top, bottom), slice(left, right)
        moved, error_px = _flow(before[view], gray[view], points - corner)
        moved += corner
        count = len(_GRID)
        return [
            _motion(points[i : i + count], moved[i : i + count], error_px[i : i + count], reduction)
            for i in range(0, len(points), count)
        ]


def _flow(before: np.ndarray, after: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(where the points went, how far from their start they come back); both in pixels of the reduced picture."""
    options: dict[str, Any] = {"winSize": WINDOW_PX, "maxLevel": PYRAMID_LEVELS}
    moved, found, _ = cv2.calcOpticalFlowPyrLK(before, after, points, cast(Any, None), **options)
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(after, before, moved, cast(Any, None), **options)
    error_px = _lengths(back - points)
    error_px[(found[:, 0] == 0) | (found_back[:, 0] == 0)] = np.inf
    return moved, error_px


def _motion(points: np.ndarray, moved: np.ndarray, error_px: np.ndarray, reduction: float) -> Motion | None:
    """What the points that found their way back say together; None where too few did."""
    good = error_px <= MAX_RETURN_ERROR_PX
    if good.sum() < MIN_POINTS:
        return None
    start, end = points[good], moved[good]
    dx, dy = _median(end - start) / reduction
    spread_before, spread_after = _lengths(start - _median(start)), _lengths(end - _median(end))
    far = spread_before > _median(spread_before) * 0.5
    scale = float(_median(spread_after[far] / spread_before[far])) if far.any() else 1.0
    return Motion(float(dx), float(dy), min(1.1, max(0.9, scale)))


def _median(values: np.ndarray) -> np.ndarray:
    """The median down the columns; for so few values np.median spends five times as long, most of it on checks."""
    return np.asarray(np.sort(values, axis=0)[len(values) // 2])


def _lengths(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(np.hypot(vectors[:, 0], vectors[:, 1]))


def _around(faces: np.ndarray, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of the part to look at, as optical flow prepares all it is given.

    faces: rows of (center x, center y, width, height) in a picture of shape (height, width).
    """
    reach = faces[:, 2:] / 2 + REACH_PX
    low, high = (faces[:, :2] - reach).min(axis=0), (faces[:, :2] + reach).max(axis=0)
    height, width = shape
    left, top = min(max(0, int(low[0])), width - 1), min(max(0, int(low[1])), height - 1)
    return left, top, max(left + 1, min(width, int(high[0]))), max(top + 1, min(height, int(high[1])))


def _scene_changed(before: np.ndarray, now: np.ndarray) -> bool:
    """Whether two thumbnails differ in brightness and in what is where."""
    if np.abs(now - before).mean() < SAME_SCENE_DIFFERENCE:
        return False
    a, b = (picture - picture.mean() for picture in (before, now))
    return float((a * b).mean()) < SAME_SCENE_CORRELATION * float(a.std() * b.std() + 1)

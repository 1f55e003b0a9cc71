"""Faces carried from one picture to the next by how the points inside them move: far cheaper than detection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np

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
        height, width = pixels_bgr.shape[:2]
        reduction = min(1.0, PICTURE_SIDE_PX / max(height, width))
        size = max(1, round(width * reduction)), max(1, round(height * reduction))
        small = cv2.resize(pixels_bgr, size, interpolation=cv2.INTER_AREA) if reduction < 1 else pixels_bgr
        gray = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
        thumbnail = cv2.resize(gray, THUMBNAIL_PX, interpolation=cv2.INTER_AREA).astype(np.float32)
        before, known = self._gray, self._thumbnail
        self._gray, self._thumbnail = gray, thumbnail
        if before is None or known is None or before.shape != gray.shape or _scene_changed(known, thumbnail):
            return None
        if not centers_and_sizes:
            return []
        points = np.concatenate([_grid(face * reduction) for face in centers_and_sizes]).astype(np.float32)
        moved, error_px = _flow(before, gray, points)
        count = GRID * GRID
        return [
            _motion(points[i : i + count], moved[i : i + count], error_px[i : i + count], reduction)
            for i in range(0, len(points), count)
        ]


def _flow(before: np.ndarray, after: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(where the points went, how far from their start they come back); both in pixels of the reduced picture."""
    options: dict[str, Any] = {"winSize": WINDOW_PX, "maxLevel": PYRAMID_LEVELS}
    moved, found, _ = cv2.calcOpticalFlowPyrLK(before, after, points, cast(Any, None), **options)
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(after, before, moved, cast(Any, None), **options)
    error_px = np.linalg.norm(back - points, axis=1)
    error_px[(found[:, 0] == 0) | (found_back[:, 0] == 0)] = np.inf
    return moved, error_px


def _motion(points: np.ndarray, moved: np.ndarray, error_px: np.ndarray, reduction: float) -> Motion | None:
    """What the points that found their way back say together; None where too few did."""
    good = error_px <= MAX_RETURN_ERROR_PX
    if good.sum() < MIN_POINTS:
        return None
    start, end = points[good], moved[good]
    dx, dy = np.median(end - start, axis=0) / reduction
    spread_before = np.linalg.norm(start - np.median(start, axis=0), axis=1)
    spread_after = np.linalg.norm(end - np.median(end, axis=0), axis=1)
    far = spread_before > np.median(spread_before) * 0.5
    scale = float(np.median(spread_after[far] / spread_before[far])) if far.any() else 1.0
    return Motion(float(dx), float(dy), min(1.1, max(0.9, scale)))


def _grid(face: np.ndarray) -> np.ndarray:
    """GRID x GRID points (x, y) over the inner part of a face given as (center x, center y, width, height)."""
    x, y, w, h = face
    steps = np.linspace(-0.5, 0.5, GRID) * INNER_SHARE
    return np.stack(np.meshgrid(x + steps * w, y + steps * h), axis=-1).reshape(-1, 2)


def _scene_changed(before: np.ndarray, now: np.ndarray) -> bool:
    """Whether two thumbnails differ in brightness and in what is where."""
    if np.abs(now - before).mean() < SAME_SCENE_DIFFERENCE:
        return False
    a, b = (picture - picture.mean() for picture in (before, now))
    return float((a * b).mean()) < SAME_SCENE_CORRELATION * float(a.std() * b.std() + 1)

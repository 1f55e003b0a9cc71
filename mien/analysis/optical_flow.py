"""Faces moved from one frame to the next by optical flow: far cheaper than a detection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np

from mien.analysis.scenes import Scene, SceneDetector
from mien.images.resize import reduced_gray

LONGER_SIDE_PX = 320
"""Frames are reduced to this size: 2 ms less for each, and precise enough for a box."""
GRID = 6
INNER_SHARE = 0.7
MAX_RETURN_ERROR_PX = 1.5
MIN_POINTS = 8
WINDOW_PX = (13, 13)
PYRAMID_LEVELS = 2
MARGIN_PX = 32
"""How far beyond a face the frame is searched; more than a window reaches on the smallest pyramid level."""

_STEPS = np.linspace(-0.5, 0.5, GRID, dtype=np.float32) * np.float32(INNER_SHARE)
_GRID = np.stack(np.meshgrid(_STEPS, _STEPS), axis=-1).reshape(-1, 2)
"""GRID x GRID points (x, y) over the inner part of a face with its center at (0, 0), in its widths and heights."""


@dataclass(frozen=True, slots=True)
class Motion:
    """How one face moved since the previous frame.

        motion = Motion(dx=2.0, dy=0.0, scale=1.05)  # to the right, and nearer
        track.move(motion)

    Args:
        dx: To the right, in pixels of the original frame.
        dy: Downward, in pixels of the original frame.
        scale: Its size now relative to its size before.
    """

    dx: float
    dy: float
    scale: float


@dataclass(frozen=True, slots=True)
class Flow:
    """What happened from one frame to the next.

        flow = OpticalFlow().step(pixels_bgr, [])
        print(flow.scene, flow.motions)  # Scene.NEW []

    Args:
        scene: Whether the scene is the same.
        motions: For each face its motion, or None where the face was lost; empty for a new scene.
    """

    scene: Scene
    motions: list[Motion | None]


class OpticalFlow:
    """Pyramidal Lucas-Kanade optical flow on a grid of points in each face (Bouguet, 2001).

    Points whose backward flow does not return to where they started are dropped; the median of the others moves the
    face: Kalal, Mikolajczyk and Matas, "Forward-backward error: automatic detection of tracking failures" (2010).
    Keeps the last frame of one stream; not thread-safe.

        flow = OpticalFlow()
        flow.step(first_bgr, [])
        (motion,) = flow.step(second_bgr, [np.array([320, 240, 80, 80])]).motions
    """

    def __init__(self) -> None:
        self._scenes = SceneDetector()
        self._gray: np.ndarray | None = None

    def step(self, pixels_bgr: np.ndarray, centers_and_sizes: Sequence[np.ndarray]) -> Flow:
        """Take the next frame.

        Args:
            pixels_bgr: uint8 (height, width, 3).
            centers_and_sizes: For each face (center x, center y, width, height) in pixels of the previous frame.

        Returns:
            Whether the scene is the same, and how each face moved.
        """
        gray, reduction = reduced_gray(pixels_bgr, LONGER_SIDE_PX)
        before, self._gray = self._gray, gray
        scene = self._scenes.step(gray)
        if before is None or scene is Scene.NEW or not centers_and_sizes:
            return Flow(scene, [])
        faces = np.asarray(centers_and_sizes, np.float32) * reduction
        points = (faces[:, np.newaxis, :2] + _GRID * faces[:, np.newaxis, 2:]).reshape(-1, 2)
        left, top, right, bottom = _region(faces, gray.shape)
        corner = np.array([left, top], np.float32)
        roi = slice(top, bottom), slice(left, right)
        moved, error_px = _forward_backward(before[roi], gray[roi], points - corner)
        moved += corner
        count = len(_GRID)
        motions = [
            _motion(points[i : i + count], moved[i : i + count], error_px[i : i + count], reduction)
            for i in range(0, len(points), count)
        ]
        return Flow(scene, motions)


def _forward_backward(before: np.ndarray, after: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(where the points moved, how far from their start they return); both in pixels of the reduced frame."""
    options: dict[str, Any] = {"winSize": WINDOW_PX, "maxLevel": PYRAMID_LEVELS}
    moved, found, _ = cv2.calcOpticalFlowPyrLK(before, after, points, cast(Any, None), **options)
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(after, before, moved, cast(Any, None), **options)
    error_px = _lengths(back - points)
    error_px[(found[:, 0] == 0) | (found_back[:, 0] == 0)] = np.inf
    return moved, error_px


def _motion(points: np.ndarray, moved: np.ndarray, error_px: np.ndarray, reduction: float) -> Motion | None:
    """The median motion of the points with a small error; None where too few have one."""
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
    """The median along the first axis; np.median takes five times as long for so few values, mostly for checks."""
    return np.asarray(np.sort(values, axis=0)[len(values) // 2])


def _lengths(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(np.hypot(vectors[:, 0], vectors[:, 1]))


def _region(faces: np.ndarray, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) around all faces: OpenCV builds pyramids of the whole picture it is given.

    faces: rows of (center x, center y, width, height) in a picture of shape (height, width).
    """
    reach = faces[:, 2:] / 2 + MARGIN_PX
    low, high = (faces[:, :2] - reach).min(axis=0), (faces[:, :2] + reach).max(axis=0)
    height, width = shape
    left, top = min(max(0, int(low[0])), width - 1), min(max(0, int(low[1])), height - 1)
    return left, top, max(left + 1, min(width, int(high[0]))), max(top + 1, min(height, int(high[1])))

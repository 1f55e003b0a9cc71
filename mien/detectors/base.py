"""What all detectors share: the verb, the reduced picture they search, and boxes that stay inside the picture."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from typing import Protocol

import numpy as np

from mien.errors import DetectorError
from mien.types import Box, clip_box


class Detector(Protocol):
    """Anything that finds faces; safe to call from several threads."""

    name: str

    def detect(self, pixels_bgr: np.ndarray) -> list[Box]:
        """Boxes of the faces in uint8 (height, width, 3), in its pixels, from left to right, inside the picture."""
        ...


def search_scale(pixels_bgr: np.ndarray, window_px: int, search_side_px: int, min_face_px: int | None) -> float:
    """By what a picture is scaled so that its smallest face wanted is as large as the smallest a detector sees.

    window_px: that smallest. Without min_face_px the longer side becomes search_side_px at most: then the smallest
    face is a fixed share of the picture, and the cost does not grow with the picture. Never above 1.
    """
    if min_face_px is not None:
        return min(1.0, window_px / min_face_px)
    return min(1.0, search_side_px / max(pixels_bgr.shape[:2]))


def as_square(x: float, y: float, w: float, h: float, *, margin: float = 1.0) -> tuple[float, float, float, float]:
    """The square of the same area about the same centre: some detectors draw tall boxes, the network knows squares.

    margin: by how much its side is longer than that.
    """
    side = margin * (w * h) ** 0.5
    return x + (w - side) / 2, y + (h - side) / 2, side, side


def boxes_inside(found: Iterable[tuple[float, float, float, float]], pixels_bgr: np.ndarray) -> list[Box]:
    """(x, y, w, h) in pixels of the picture as boxes inside it, from left to right."""
    height, width = pixels_bgr.shape[:2]
    clipped = (clip_box(x, y, w, h, width, height) for x, y, w, h in found)
    return sorted((box for box in clipped if box is not None), key=lambda box: (box.x, box.y, box.w))


def require_package(module: str, detector: str, package: str) -> None:
    """Raises DetectorError where the optional package of a detector is not installed."""
    if importlib.util.find_spec(module) is None:
        raise DetectorError(
            f"--detector {detector}: expected the package {package}, found it not installed; "
            "pip install -r requirements-detectors.txt installs it"
        )

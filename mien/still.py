"""One image that stands alone: an uploaded file, not a stream."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

from mien.imaging import decode_image, fit_within
from mien.types import Analysis, Box, Frame

MAX_SIDE_PX = 1920
"""Larger pictures are analysed at this size: the live picture waits meanwhile, and no face is found better larger."""


class Analyzer(Protocol):
    """What is needed of a pipeline."""

    def analyze(self, frame: Frame, tracker: Any = None) -> Analysis:
        """Find the faces of a frame and their expressions."""


def analyze_image(data: bytes, pipeline: Analyzer, tracker: Any = None, time_s: float = 0.0) -> Analysis:
    """Find the faces of an image file held in memory; boxes in pixels of the image turned upright.

    tracker: that of the images before, for one of a sequence; time_s: when it came, in seconds that never fall.
    Raises ImageTooLargeError, NotAnImageError or ImageError as `mien.imaging.decode_image` does.
    """
    pixels_bgr = decode_image(data)
    height, width = pixels_bgr.shape[:2]
    small_bgr = fit_within(pixels_bgr, MAX_SIDE_PX)
    del pixels_bgr  # up to 150 MB
    found = pipeline.analyze(Frame(small_bgr, captured_at=time_s), tracker)
    across, down = width / found.width, height / found.height
    faces = tuple(replace(face, box=_scaled(face.box, across, down, width, height)) for face in found.faces)
    return Analysis(width, height, faces, found.timing_ms)


def _scaled(box: Box, across: float, down: float, width: int, height: int) -> Box:
    left, top = round(box.x * across), round(box.y * down)
    right = min(width, round((box.x + box.w) * across))
    bottom = min(height, round((box.y + box.h) * down))
    return Box(left, top, max(1, right - left), max(1, bottom - top))

"""Resize pictures, convert them to gray, and crop faces."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from mien.types import Box, Detection, check_pixels, clip_box

MAX_ROLL_DEG = 45.0
"""Of landmarks that are believed: faces that lie on their side are not found anyway."""


def reduced_gray(pixels_bgr: np.ndarray, longer_side_px: int) -> tuple[np.ndarray, float]:
    """Convert a picture to gray and reduce it.

    Averaging all pixels of a large picture takes 3 ms, as much as everything else between two detections. So it is
    first reduced to twice the target size by bilinear interpolation, which reads four pixels for each output pixel, and
    only then averaged: a fifth of the time, with the same result for 1280x720.

    Args:
        pixels_bgr: uint8 (height, width, 3).
        longer_side_px: Longest side of the result.

    Returns:
        uint8 (height, width), and the scale, 0 to 1. A smaller picture keeps its size.
    """
    height, width = pixels_bgr.shape[:2]
    reduction = min(1.0, longer_side_px / max(height, width))
    size = max(1, round(width * reduction)), max(1, round(height * reduction))
    if reduction < 0.5:
        pixels_bgr = cv2.resize(pixels_bgr, (2 * size[0], 2 * size[1]), interpolation=cv2.INTER_LINEAR)
    gray = cv2.cvtColor(pixels_bgr, cv2.COLOR_BGR2GRAY)
    if reduction == 1:
        return gray, reduction
    average = cv2.INTER_AREA if reduction <= 0.5 else cv2.INTER_LINEAR
    return cv2.resize(gray, size, interpolation=average), reduction


def fit_within(pixels_bgr: np.ndarray, max_side_px: int) -> np.ndarray:
    """Reduce a picture that is larger than a limit; a smaller one is returned as it is.

    Args:
        pixels_bgr: uint8 (height, width, 3).
        max_side_px: Longest side of the result.
    """
    return scaled(pixels_bgr, max_side_px / max(pixels_bgr.shape[:2]))


def letterbox(pixels_bgr: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Fit a picture into a size with black bars; an odd last row or column is cut off instead of scaling.

    Args:
        pixels_bgr: uint8 (height, width, 3).
        size: Width and height of the result in pixels.

    Returns:
        uint8 of exactly that size.
    """
    width, height = size
    found_height, found_width = pixels_bgr.shape[:2]
    if found_width - width in (0, 1) and found_height - height in (0, 1):
        return np.ascontiguousarray(pixels_bgr[:height, :width])
    scale = min(width / found_width, height / found_height)
    inner = (max(1, round(found_width * scale)), max(1, round(found_height * scale)))
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    canvas = np.zeros((height, width, 3), np.uint8)
    canvas[top : top + inner[1], left : left + inner[0]] = cv2.resize(pixels_bgr, inner, interpolation=cv2.INTER_AREA)
    return canvas


def scaled(pixels_bgr: np.ndarray, scale: float) -> np.ndarray:
    """Reduce a picture by a factor.

    Args:
        pixels_bgr: uint8 (height, width, 3).
        scale: Size of the result relative to the picture; 1 and more return the picture as it is.

    Returns:
        uint8, at least one pixel on each side.

    Raises:
        ValueError: The pixels have another dtype or shape.
    """
    check_pixels(pixels_bgr, "a detector")
    if scale >= 1:
        return pixels_bgr
    height, width = pixels_bgr.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(pixels_bgr, size, interpolation=cv2.INTER_AREA))


def crop_faces(pixels_bgr: np.ndarray, boxes: Sequence[Box], size_px: tuple[int, int]) -> np.ndarray:
    """Crop faces out of a picture as the classifier takes them; those with landmarks are turned upright.

    Args:
        pixels_bgr: uint8 (height, width, 3).
        boxes: Bounding boxes of the n faces, with `landmarks` where they are known.
        size_px: Height and width of each crop.

    Returns:
        Gray uint8 (n, height, width); black where a box lies outside the picture.
    """
    crops = np.zeros((len(boxes), *size_px), np.uint8)
    for crop, box in zip(crops, boxes, strict=True):
        inside = clip_box(box.x, box.y, box.w, box.h, pixels_bgr.shape[1], pixels_bgr.shape[0])
        if inside is None:
            continue
        turned_deg = roll_deg(box)
        crop[:] = _turned(pixels_bgr, inside, turned_deg, size_px) if turned_deg else _cut(pixels_bgr, inside, size_px)
    return crops


def roll_deg(box: Box) -> float:
    """The angle by which `crop_faces` turns a face, clockwise in the picture; 0 where it has no landmarks.

    Args:
        box: Of the face; `landmarks` that turn it by more than MAX_ROLL_DEG are taken for wrong.
    """
    turned_deg = box.roll_deg if isinstance(box, Detection) else 0.0
    return turned_deg if abs(turned_deg) <= MAX_ROLL_DEG else 0.0


def _cut(pixels_bgr: np.ndarray, box: Box, size_px: tuple[int, int]) -> np.ndarray:
    height, width = size_px
    face = pixels_bgr[box.y : box.y + box.h, box.x : box.x + box.w]
    interpolation = cv2.INTER_AREA if box.w >= width else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(cv2.cvtColor(face, cv2.COLOR_BGR2GRAY), (width, height), interpolation=interpolation))


def _turned(pixels_bgr: np.ndarray, box: Box, turned_deg: float, size_px: tuple[int, int]) -> np.ndarray:
    """Sample the turned box on a grid about as fine as the picture, then average; repeat the edge of the picture."""
    height, width = size_px
    finer = max(1, round(box.w / width))
    rows, columns = finer * height, finer * width
    angle = math.radians(turned_deg)
    along = np.array([math.cos(angle), math.sin(angle)]) * box.w / columns  # from pixel to pixel of the crop
    down = np.array([-math.sin(angle), math.cos(angle)]) * box.h / rows
    center = np.array([box.x + (box.w - 1) / 2, box.y + (box.h - 1) / 2])
    corner = center - along * (columns - 1) / 2 - down * (rows - 1) / 2
    to_picture = np.column_stack([along, down, corner])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    face = cv2.warpAffine(pixels_bgr, to_picture, (columns, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    gray = cv2.cvtColor(face, cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.resize(gray, (width, height), interpolation=cv2.INTER_AREA))

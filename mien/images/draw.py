"""Draw an analysis on its frame, and placeholders while there is no frame."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import cv2
import numpy as np

from mien.types import Analysis, Face, Frame

COLORS_RGB = {
    "angry": (0xE8, 0x6A, 0x17),
    "disgust": (0x1F, 0xB3, 0x86),
    "fear": (0xD9, 0x8A, 0xB8),
    "happy": (0xF0, 0xB4, 0x2A),
    "neutral": (0xA8, 0xAD, 0xB5),
    "sad": (0x4A, 0x9B, 0xE0),
    "surprise": (0x6C, 0xC4, 0xF2),
}
"""Colors of the expressions, from the Okabe-Ito palette, light enough for dark text on them."""

DARK_BGR = (24, 20, 16)
LIGHT_BGR = (226, 222, 218)
BACKGROUND_BGR = (30, 25, 21)
FONT = cv2.FONT_HERSHEY_DUPLEX


def annotate(frame: Frame, analysis: Analysis) -> np.ndarray:
    """Draw box, number, label and probability of each face on a copy of the frame.

    Args:
        frame: The frame, which is not changed.
        analysis: What was found in it.

    Returns:
        uint8 (height, width, 3), blue-green-red.
    """
    canvas = frame.pixels_bgr.copy()
    unit = max(0.45, min(canvas.shape[:2]) / 720)
    for face in analysis.faces:
        _draw_face(canvas, face, unit)
    if not analysis.faces:
        margin = round(16 * unit)
        corner = (margin, canvas.shape[0] - margin)
        _draw_label(canvas, "No face found", corner, unit, (BACKGROUND_BGR, LIGHT_BGR))
    return canvas


def placeholder(width: int, height: int, lines: Sequence[str]) -> np.ndarray:
    """Draw a picture that says why there is no video.

    Args:
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.
        lines: The text; the first line is drawn larger.

    Returns:
        uint8 (height, width, 3), blue-green-red.
    """
    canvas = np.full((height, width, 3), BACKGROUND_BGR, np.uint8)
    unit = max(0.45, min(width, height) / 720)
    top = height / 2 - (len(lines) - 1) * 24 * unit
    for i, line in enumerate(map(_drawable, lines)):
        scale = (1.3 if i == 0 else 0.85) * unit
        (text_w, text_h), _ = cv2.getTextSize(line, FONT, scale, 1)
        if text_w > width * 0.92:
            scale *= width * 0.92 / text_w
            (text_w, text_h), _ = cv2.getTextSize(line, FONT, scale, 1)
        at = round((width - text_w) / 2), round(top + i * 48 * unit + text_h / 2)
        cv2.putText(canvas, line, at, FONT, scale, LIGHT_BGR, 1, cv2.LINE_AA)
    return canvas


def _drawable(text: str) -> str:
    """The text in ASCII, which is all that OpenCV can draw: accents are removed, other characters left out."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def _draw_face(canvas: np.ndarray, face: Face, unit: float) -> None:
    red, green, blue = COLORS_RGB[face.label]
    color = (blue, green, red)
    box = face.box
    thickness = max(1, round(2 * unit))
    cv2.rectangle(canvas, (box.x, box.y), (box.x + box.w, box.y + box.h), color, thickness)
    number = "" if face.id is None else f"{face.id}  "
    text = f"{number}{face.label}{'?' if face.unsure else ''} {face.confidence * 100:.0f} %"
    colors_bgr = (BACKGROUND_BGR, LIGHT_BGR) if face.unsure else (color, DARK_BGR)
    (text_w, _), _ = cv2.getTextSize(text, FONT, 1.0, 1)
    # Not wider than the box, so that labels of neighboring faces do not overlap, but never too small to read.
    unit = max(0.45, min(unit, box.w / (0.8 * text_w + 14)))
    _draw_label(canvas, text, (box.x, box.y), unit, colors_bgr)


def _draw_label(
    canvas: np.ndarray,
    text: str,
    corner: tuple[int, int],
    unit: float,
    colors_bgr: tuple[tuple[int, int, int], tuple[int, int, int]],
) -> None:
    """Draw text on a filled rectangle with this lower left corner, moved if it would leave the picture."""
    background_bgr, text_bgr = colors_bgr
    scale = 0.8 * unit
    (text_w, text_h), below = cv2.getTextSize(text, FONT, scale, 1)
    pad = round(7 * unit)
    width, height = text_w + 2 * pad, text_h + below + pad
    left = max(0, min(corner[0], canvas.shape[1] - width))
    top = max(0, min(corner[1] - height, canvas.shape[0] - height))
    cv2.rectangle(canvas, (left, top), (left + width, top + height), background_bgr, cv2.FILLED)
    at = left + pad, top + height - below
    cv2.putText(canvas, text, at, FONT, scale, text_bgr, 1, cv2.LINE_AA)

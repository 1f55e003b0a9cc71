"""Draw an analysis on its frame, and placeholders while there is no frame."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import cv2
import numpy as np

from mien.images.label_placement import Rect, font_size_px, place_labels
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
FONT_PX = 29.0
"""Size of a font of the page whose letters are as high as those of FONT at scale 1."""


def annotate(frame: Frame, analysis: Analysis) -> np.ndarray:
    """Draw box, number, label and probability of each face on a copy of the frame.

    Args:
        frame: The frame, which is not changed.
        analysis: What was found in it.

    Returns:
        uint8 (height, width, 3), blue-green-red.
    """
    canvas = frame.pixels_bgr.copy()
    height = canvas.shape[0]
    size_px = font_size_px(height)
    if analysis.faces:
        _draw_faces(canvas, analysis.faces, size_px)
    else:
        label = _Label("No face found", size_px)
        margin = round(size_px)
        place = Rect(margin, height - margin - label.size[1], *label.size)
        label.draw(canvas, place, BACKGROUND_BGR, LIGHT_BGR)
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


class _Label:
    """A text on a filled rectangle, of a font size in pixels."""

    def __init__(self, text: str, size_px: float) -> None:
        self.text = text
        self._scale = size_px / FONT_PX
        self._thickness = max(1, round(size_px / 20))
        (text_w, text_h), below = cv2.getTextSize(text, FONT, self._scale, self._thickness)
        self._pad = round(0.35 * size_px)
        self._below = below
        self.size = text_w + 2 * self._pad, text_h + below + self._pad

    def draw(
        self,
        canvas: np.ndarray,
        place: Rect,
        background_bgr: tuple[int, int, int],
        text_bgr: tuple[int, int, int],
    ) -> None:
        """Draw it with this upper left corner."""
        left, top = round(place.x), round(place.y)
        width, height = self.size
        cv2.rectangle(canvas, (left, top), (left + width, top + height), background_bgr, cv2.FILLED)
        at = left + self._pad, top + height - self._below
        cv2.putText(canvas, self.text, at, FONT, self._scale, text_bgr, self._thickness, cv2.LINE_AA)


def _draw_faces(canvas: np.ndarray, faces: Sequence[Face], size_px: float) -> None:
    thickness = max(1, round(size_px / 8))
    for face in faces:
        box = face.box
        cv2.rectangle(canvas, (box.x, box.y), (box.x + box.w, box.y + box.h), _color_of(face), thickness)
    labels = [[_Label(text, size_px) for text in _texts_of(face)] for face in faces]
    places = place_labels(
        [Rect(*map(float, (face.box.x, face.box.y, face.box.w, face.box.h))) for face in faces],
        [[label.size for label in forms] for forms in labels],
        canvas.shape[1],
        canvas.shape[0],
    )
    for face, forms, (form, rect) in zip(faces, labels, places, strict=True):
        colors_bgr = (BACKGROUND_BGR, LIGHT_BGR) if face.unsure else (_color_of(face), DARK_BGR)
        forms[form].draw(canvas, rect, *colors_bgr)


def _color_of(face: Face) -> tuple[int, int, int]:
    red, green, blue = COLORS_RGB[face.label]
    return blue, green, red


def _texts_of(face: Face) -> tuple[str, str]:
    """The label of a face, and the shortest text to which it may shrink."""
    label = f"{face.label}{'?' if face.unsure else ''}"
    number = "" if face.id is None else str(face.id)
    return f"{number}  {label} {face.confidence * 100:.0f} %".lstrip(), number or label

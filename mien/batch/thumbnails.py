"""The clearest moment of each expression of each face, kept as a small picture while a video is analyzed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import cv2
import numpy as np

from mien.images.codecs import encode_jpeg
from mien.images.resize import letterbox
from mien.results import Result
from mien.types import Box, Frame

SIZE_PX = 112
MARGIN = 0.2
"""Share of the box that is added on each side."""
LEAST_GAIN = 0.01
"""A moment replaces another one only if it is clearer by this much, so that few are encoded."""
MOST_FACES = 64
"""Of so many faces, those seen most often, the pictures are kept, so that memory does not grow with the video."""


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A face at its clearest moment.

    Args:
        expression: Its label.
        time_s: When, in seconds of media time.
        confidence: Probability of the label, 0 to 1.
        clearness: Confidence times quality.
        jpeg: The picture, SIZE_PX on each side.
    """

    expression: str
    time_s: float
    confidence: float
    clearness: float
    jpeg: bytes


class Thumbnails:
    """Keeps the clearest moment of each expression of each face; unsure labels do not count.

    thumbnails = Thumbnails()
    thumbnails.add(frame, result)
    thumbnails.of(1)["happy"].jpeg
    """

    def __init__(self) -> None:
        self._kept: dict[int, dict[str, Thumbnail]] = {}
        self._frames: Counter[int] = Counter()

    def add(self, frame: Frame, result: Result) -> None:
        """Take the next analyzed frame.

        Args:
            frame: The frame.
            result: What was found in it.
        """
        for face in result.faces:
            assert face.id is not None
            kept = self._kept.setdefault(face.id, {})
            self._frames[face.id] += 1
            if face.unsure:
                continue
            clearness = face.confidence * (1.0 if face.quality is None else face.quality.value)
            before = kept.get(face.label)
            if before is None or clearness > before.clearness + LEAST_GAIN:
                jpeg = encode_jpeg(crop_face(frame.pixels_bgr, face.box))
                kept[face.label] = Thumbnail(face.label, result.time_s, face.confidence, clearness, jpeg)
        if len(self._kept) > 2 * MOST_FACES:
            self._forget()

    def of(self, face: int) -> dict[str, Thumbnail]:
        """The clearest moments of a face by their expression; of rare faces maybe none.

        Args:
            face: Its number.
        """
        return self._kept.get(face, {})

    def _forget(self) -> None:
        most = {face for face, _ in self._frames.most_common(MOST_FACES)}
        self._kept = {face: kept for face, kept in self._kept.items() if face in most}
        self._frames = Counter({face: count for face, count in self._frames.items() if face in most})


def whole(pixels_bgr: np.ndarray) -> np.ndarray:
    """A whole picture, fitted into a square with black bars.

    Args:
        pixels_bgr: uint8 (height, width, 3).

    Returns:
        uint8 (SIZE_PX, SIZE_PX, 3).
    """
    return letterbox(pixels_bgr, (SIZE_PX, SIZE_PX))


def crop_face(pixels_bgr: np.ndarray, box: Box) -> np.ndarray:
    """A square around a face, uint8 (SIZE_PX, SIZE_PX, 3); beyond the picture, its border is repeated.

    Args:
        pixels_bgr: uint8 (height, width, 3).
        box: Of the face.
    """
    side = round(max(box.w, box.h) * (1 + 2 * MARGIN))
    left, top = box.x + (box.w - side) // 2, box.y + (box.h - side) // 2
    height, width = pixels_bgr.shape[:2]
    rows = np.clip(np.arange(top, top + side), 0, height - 1)
    columns = np.clip(np.arange(left, left + side), 0, width - 1)
    square = pixels_bgr[rows[:, np.newaxis], columns]
    shrinks = side > SIZE_PX
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(square, (SIZE_PX, SIZE_PX), interpolation=method)

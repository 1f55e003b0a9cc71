"""Privacy mode: no picture leaves the program in which a face can be made out. It fails closed.

A detector that finds no face has not proved that there is none. So nothing is ever shown as it is:

- while no face was seen for a second, or not yet, the whole picture is covered;
- else the places where faces were seen within the last second are covered, and all the rest is a mosaic too, fine
  enough to tell what is going on, and too coarse to find a face in that the detector missed (see BACKGROUND_BLOCKS).

How coarse is enough was measured with YuNet, which finds 98 of 100 faces: see tests/test_privacy.py.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, replace

import cv2
import numpy as np

from mien.types import Analysis, Box, Frame, clip_box

REMEMBER_S = 1.0
"""Where a face was seen within this time stays covered."""

WHOLE_BLOCKS = 8
"""Blocks across the shorter side of a picture that is covered as a whole: across a face there are no more."""

FACE_BLOCKS = 5
"""Blocks across a covered face."""

BACKGROUND_BLOCKS = 40
"""Blocks across the longer side elsewhere. A missed face would need a third of that side to have 13 of them."""

MARGIN = 0.4
"""A cover reaches beyond the box by this share of the face on each side: detectors box less than the head."""

DRIFT = 0.5
"""A face that was lost is taken to move on by this share of itself a second, or as fast as it did if that is more."""

SPEED_SIGHTS = 5

THUMBNAIL_PX = (32, 18)
CUT_DIFFERENCE = 25.0
"""Mean difference of two thumbnails, 0..255, beyond which another scene is shown, with faces elsewhere."""


@dataclass(frozen=True, slots=True)
class _Sight:
    """A face seen at a time (seconds)."""

    time_s: float
    box: Box

    @property
    def side_px(self) -> int:
        """The longer side of the face."""
        return max(self.box.w, self.box.h)


class Privacy:
    """Covers the frames of one stream, in their order, while it is on; threads may switch it at any time."""

    def __init__(self, on: bool = False) -> None:
        self._lock = threading.Lock()
        self._on = on
        self._forget()

    @property
    def on(self) -> bool:
        """Whether pictures are covered."""
        return self._on

    def switch(self, on: bool) -> None:
        """Turn it on or off; turned on it knows of no face yet, so the whole picture is covered."""
        with self._lock:
            if on != self._on:
                self._on = on
                self._forget()

    def prepare(self, frame: Frame, analysis: Analysis) -> Frame:
        """The frame as it may be shown and saved; while off, the frame itself.

        analysis: what was found in this very frame.
        """
        with self._lock:
            if not self._on:
                return frame
            self._look(frame, analysis)
            return replace(frame, pixels_bgr=self._cover(frame.pixels_bgr, frame.captured_at))

    # --- with the lock held

    def _forget(self) -> None:
        self._seen: dict[int | None, list[_Sight]] = {}
        self._before: tuple[int, tuple[int, ...], float] | None = None  # stream, shape, time of the frame before
        self._thumbnail: np.ndarray | None = None

    def _look(self, frame: Frame, analysis: Analysis) -> None:
        """Note where faces are in this frame; what was known of another stream or scene is no use here."""
        now_s, shape = frame.captured_at, frame.pixels_bgr.shape
        thumbnail = cv2.resize(frame.pixels_bgr, THUMBNAIL_PX, interpolation=cv2.INTER_AREA).astype(np.float32)
        if self._before is not None:
            stream, known_shape, time_s = self._before
            cut = self._thumbnail is not None and np.abs(thumbnail - self._thumbnail).mean() > CUT_DIFFERENCE
            if frame.stream != stream or shape != known_shape or now_s < time_s or cut:
                self._forget()
        self._before, self._thumbnail = (frame.stream, shape, now_s), thumbnail
        for face in analysis.faces:
            self._seen.setdefault(face.id, []).append(_Sight(now_s, face.box))
        recent = {
            number: [sight for sight in sights if now_s - sight.time_s <= REMEMBER_S]
            for number, sights in self._seen.items()
        }
        self._seen = {number: sights for number, sights in recent.items() if sights}

    def _cover(self, pixels_bgr: np.ndarray, now_s: float) -> np.ndarray:
        height, width = pixels_bgr.shape[:2]
        covered = np.zeros_like(pixels_bgr)
        for box, block_px in self._places(width, height, now_s):
            part = slice(box.y, box.y + box.h), slice(box.x, box.x + box.w)
            covered[part] = mosaic(pixels_bgr[part], block_px)
        return covered

    def _places(self, width: int, height: int, now_s: float) -> list[tuple[Box, float]]:
        """What to cover one after the other, the whole picture first, and the side of its blocks in pixels."""
        whole = Box(0, 0, width, height)
        if not self._seen:
            return [(whole, min(height, width) / WHOLE_BLOCKS)]
        fine_px = max(height, width) / BACKGROUND_BLOCKS
        places = [(whole, fine_px)]
        for sights in self._seen.values():
            inside = clip_box(*_around(sights, now_s), width, height)
            if inside is not None:
                places.append((inside, max(fine_px, max(sight.side_px for sight in sights) / FACE_BLOCKS)))
        return places


def mosaic(pixels_bgr: np.ndarray, block_px: float) -> np.ndarray:
    """The picture, uint8 (height, width, 3), in blocks of at least this side, each of its mean colour."""
    height, width = pixels_bgr.shape[:2]
    size = max(1, int(width / block_px)), max(1, int(height / block_px))
    small = cv2.resize(pixels_bgr, size, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)


def _around(sights: list[_Sight], now_s: float) -> tuple[float, float, float, float]:
    """What one face's sights of the last second cover: (left, top, width, height), larger while it is lost."""
    margins = [MARGIN * sight.side_px for sight in sights]
    last = sights[-1]
    margins[-1] += (now_s - last.time_s) * max(DRIFT * last.side_px, _speed_px_s(sights))
    grown = list(zip((sight.box for sight in sights), margins, strict=True))
    left = min(box.x - margin for box, margin in grown)
    top = min(box.y - margin for box, margin in grown)
    right = max(box.x + box.w + margin for box, margin in grown)
    bottom = max(box.y + box.h + margin for box, margin in grown)
    return left, top, right - left, bottom - top


def _speed_px_s(sights: list[_Sight]) -> float:
    """How fast a face moved between its last sights, pixels a second."""
    first, last = sights[max(0, len(sights) - SPEED_SIGHTS)], sights[-1]
    elapsed_s = last.time_s - first.time_s
    if elapsed_s <= 0:
        return 0.0
    dx = last.box.x + last.box.w / 2 - first.box.x - first.box.w / 2
    dy = last.box.y + last.box.h / 2 - first.box.y - first.box.h / 2
    return math.hypot(dx, dy) / elapsed_s

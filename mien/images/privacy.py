"""Privacy mode: no picture leaves the program in which a face can be recognized.

A detector that finds no face has not proved that there is none. So nothing is ever shown sharp:

- while no face was seen for a second, or none yet, the whole picture is pixelated;
- otherwise the regions where faces were seen within the last second are pixelated, and the rest is, too, with blocks
  fine enough to show what is going on, and too coarse to recognize a face that the detector missed (BACKGROUND_BLOCKS).

How coarse is enough was measured with YuNet, which finds 98 of 100 faces: see tests/test_privacy.py.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, replace

import cv2
import numpy as np

from mien.clock import Clock
from mien.errors import LockedError
from mien.types import Analysis, Box, Frame, clip_box

REMEMBER_S = 1.0
"""A region stays pixelated for this time after a face was seen there."""

WHOLE_BLOCKS = 8
"""Blocks across the shorter side of a picture that is pixelated as a whole; a face has at most as many."""

FACE_BLOCKS = 5
"""Blocks across a pixelated face."""

BACKGROUND_BLOCKS = 40
"""Blocks across the longer side elsewhere. A missed face has 13 of them if it is a third as wide as that side."""

MARGIN = 0.4
"""Margin on each side of the box, as a share of the face: boxes are smaller than heads."""

DRIFT = 0.5
"""A lost face is assumed to move by this share of its size per second, or as fast as before if that is faster."""

SPEED_SIGHTINGS = 5


@dataclass(frozen=True, slots=True)
class _Sighting:
    """A face seen at a time in seconds."""

    time_s: float
    box: Box

    @property
    def side_px(self) -> int:
        """The longer side of the face."""
        return max(self.box.w, self.box.h)


class Privacy:
    """Pixelates faces in the frames of one stream while it is on; thread-safe.

    Args:
        on: Whether it starts switched on.
        locked: Whether it is on and cannot be switched off.

    Attributes:
        locked: Whether it cannot be switched off.
        lifted_at: When it was last switched off, in seconds since the epoch; None if it never was.

    Example:
        privacy = Privacy(on=True)
        shown = privacy.prepare(frame, analysis)
        privacy.switch(False)
    """

    def __init__(self, on: bool = False, *, locked: bool = False, clock: Clock | None = None) -> None:
        self.locked = locked
        self.lifted_at: float | None = None
        self._clock = clock or Clock()
        self._lock = threading.Lock()
        self._on = on or locked
        self._forget()

    @property
    def on(self) -> bool:
        """Whether pictures are pixelated."""
        return self._on

    def switch(self, on: bool) -> None:
        """Switch privacy mode on or off.

        Args:
            on: Whether to pixelate faces. Switched on, it has seen no face yet, so the whole picture is pixelated.

        Raises:
            LockedError: It is locked, and was to be switched off.
        """
        if self.locked and not on:
            raise LockedError("privacy mode is locked: the program was started with --privacy=locked")
        with self._lock:
            if on != self._on:
                self._on = on
                self._forget()
                if not on:
                    self.lifted_at = self._clock.wall()

    def prepare(self, frame: Frame, analysis: Analysis) -> Frame:
        """Pixelate the faces of a frame.

        Args:
            frame: The next frame of the stream.
            analysis: What was found in this frame.

        Returns:
            The frame as it may be shown and saved; the frame itself while privacy mode is off.
        """
        with self._lock:
            if not self._on:
                return frame
            self._update(frame, analysis)
            return replace(frame, pixels_bgr=self._pixelate(frame.pixels_bgr, frame.captured_at), covered=True)

    # --- with the lock held

    def _forget(self) -> None:
        self._seen: dict[int | None, list[_Sighting]] = {}
        self._time_s = -math.inf  # of the previous frame

    def _update(self, frame: Frame, analysis: Analysis) -> None:
        """Remember where faces are; forget what was seen in another scene."""
        now_s = frame.captured_at
        if analysis.new_scene or now_s < self._time_s:
            self._forget()
        self._time_s = now_s
        for face in analysis.faces:
            self._seen.setdefault(face.id, []).append(_Sighting(now_s, face.box))
        recent = {
            number: [sighting for sighting in sightings if now_s - sighting.time_s <= REMEMBER_S]
            for number, sightings in self._seen.items()
        }
        self._seen = {number: sightings for number, sightings in recent.items() if sightings}

    def _pixelate(self, pixels_bgr: np.ndarray, now_s: float) -> np.ndarray:
        height, width = pixels_bgr.shape[:2]
        pixelated = np.zeros_like(pixels_bgr)
        for box, block_px in self._regions(width, height, now_s):
            part = slice(box.y, box.y + box.h), slice(box.x, box.x + box.w)
            pixelated[part] = pixelate(pixels_bgr[part], block_px)
        return pixelated

    def _regions(self, width: int, height: int, now_s: float) -> list[tuple[Box, float]]:
        """Regions to pixelate in this order, the whole picture first, each with the side of its blocks in pixels."""
        whole = Box(0, 0, width, height)
        if not self._seen:
            return [(whole, min(height, width) / WHOLE_BLOCKS)]
        fine_px = max(height, width) / BACKGROUND_BLOCKS
        regions = [(whole, fine_px)]
        for sightings in self._seen.values():
            inside = clip_box(*_face_region(sightings, now_s), width, height)
            if inside is not None:
                regions.append((inside, max(fine_px, max(sighting.side_px for sighting in sightings) / FACE_BLOCKS)))
        return regions


def pixelate(pixels_bgr: np.ndarray, block_px: float) -> np.ndarray:
    """Replace the picture by blocks of their mean color.

    Args:
        pixels_bgr: uint8 (height, width, 3).
        block_px: Smallest side of a block in pixels.

    Returns:
        uint8 (height, width, 3).
    """
    height, width = pixels_bgr.shape[:2]
    size = max(1, int(width / block_px)), max(1, int(height / block_px))
    small = cv2.resize(pixels_bgr, size, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)


def _face_region(sightings: list[_Sighting], now_s: float) -> tuple[float, float, float, float]:
    """Region (x, y, w, h) that contains a face at its positions of the last second, larger while it is lost."""
    margins = [MARGIN * sighting.side_px for sighting in sightings]
    last = sightings[-1]
    margins[-1] += (now_s - last.time_s) * max(DRIFT * last.side_px, _speed_px_s(sightings))
    grown = list(zip((sighting.box for sighting in sightings), margins, strict=True))
    left = min(box.x - margin for box, margin in grown)
    top = min(box.y - margin for box, margin in grown)
    right = max(box.x + box.w + margin for box, margin in grown)
    bottom = max(box.y + box.h + margin for box, margin in grown)
    return left, top, right - left, bottom - top


def _speed_px_s(sightings: list[_Sighting]) -> float:
    """Speed of a face between its last positions, in pixels per second."""
    first, last = sightings[max(0, len(sightings) - SPEED_SIGHTINGS)], sightings[-1]
    elapsed_s = last.time_s - first.time_s
    if elapsed_s <= 0:
        return 0.0
    dx = last.box.x + last.box.w / 2 - first.box.x - first.box.w / 2
    dy = last.box.y + last.box.h / 2 - first.box.y - first.box.h / 2
    return math.hypot(dx, dy) / elapsed_s

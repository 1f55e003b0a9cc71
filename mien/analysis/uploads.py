"""Uploaded images: one that stands alone, or several that follow each other, told apart by a key."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from mien.analysis.face_stream import FaceStream
from mien.clock import Clock
from mien.errors import BusyError, ImageError
from mien.images.codecs import decode_image
from mien.images.resize import fit_within
from mien.types import Analysis, Box, Frame

MAX_SIDE_PX = 1920
"""Larger pictures are analysed at this size: the live picture waits meanwhile, and no face is found better larger."""

MAX_VISITORS = 8
FORGET_AFTER_S = 10.0
RETRY_IN_S = 0.2


def analyze_image(data: bytes, analyze: Callable[[Frame], Analysis]) -> Analysis:
    """Find the faces of an image file held in memory; boxes in pixels of the image turned upright.

    analyze: finds the faces of a frame, such as `Pipeline.analyze`.
    Raises ImageTooLargeError, NotAnImageError or ImageError as `mien.images.codecs.decode_image` does.
    """
    pixels_bgr = decode_image(data)
    height, width = pixels_bgr.shape[:2]
    small_bgr = fit_within(pixels_bgr, MAX_SIDE_PX)
    del pixels_bgr  # up to 150 MB
    found = analyze(Frame(small_bgr))
    across, down = width / found.width, height / found.height
    faces = tuple(replace(face, box=_scaled(face.box, across, down, width, height)) for face in found.faces)
    return Analysis(width, height, faces, found.timing_ms)


def _scaled(box: Box, across: float, down: float, width: int, height: int) -> Box:
    left, top = round(box.x * across), round(box.y * down)
    right = min(width, round((box.x + box.w) * across))
    bottom = min(height, round((box.y + box.h) * down))
    return Box(left, top, max(1, right - left), max(1, bottom - top))


class _Visitor:
    def __init__(self, stream: FaceStream) -> None:
        self.stream = stream
        self.busy = False
        self.seen_at_s = 0.0


class Visitors:
    """Follows the faces of up to MAX_VISITORS senders, told apart by a key of their choice; threads may share it.

    make_stream: makes the FaceStream of a key. A sender that is silent for FORGET_AFTER_S is forgotten.
    """

    def __init__(self, make_stream: Callable[[], FaceStream], clock: Clock | None = None) -> None:
        self._make_stream = make_stream
        self._clock = clock or Clock()
        self._lock = threading.Lock()  # guards the one below and what is in it
        self._visitors: dict[str, _Visitor] = {}

    def analyze(self, key: str, data: bytes) -> Analysis:
        """As `mien.analysis.uploads.analyze_image`, with the numbers and the smoothing of this key's pictures before.

        Raises BusyError where there are too many keys, or this key's picture before is not answered yet.
        """
        visitor = self._enter(key)
        try:
            time_s = self._clock.monotonic()
            analysis = analyze_image(data, lambda frame: visitor.stream.analyze(frame, time_s))
        except ImageError:  # nothing was looked at; but who never sent a picture takes no place
            self._leave(key, visitor, keep=visitor.seen_at_s > 0)
            raise
        except BaseException:  # nothing is known of its faces any more
            self._leave(key, visitor, keep=False)
            raise
        self._leave(key, visitor, keep=True)
        return analysis

    def _enter(self, key: str) -> _Visitor:
        with self._lock:
            self._forget_the_silent()
            visitor = self._visitors.get(key)
            if visitor is None:
                if len(self._visitors) >= MAX_VISITORS:
                    raise BusyError(f"expected at most {MAX_VISITORS} keys at once", self._place_free_in_s())
                visitor = self._visitors[key] = _Visitor(self._make_stream())
            elif visitor.busy:
                raise BusyError("expected one image of a key at a time", RETRY_IN_S)
            visitor.busy = True
            return visitor

    def _leave(self, key: str, visitor: _Visitor, *, keep: bool) -> None:
        with self._lock:
            visitor.busy = False
            visitor.seen_at_s = self._clock.monotonic()
            if not keep:
                del self._visitors[key]

    # --- with the lock held

    def _forget_the_silent(self) -> None:
        latest_s = self._clock.monotonic() - FORGET_AFTER_S
        self._visitors = {
            key: visitor for key, visitor in self._visitors.items() if visitor.busy or visitor.seen_at_s > latest_s
        }

    def _place_free_in_s(self) -> float:
        now_s = self._clock.monotonic()
        silent_s = max(0.0 if visitor.busy else now_s - visitor.seen_at_s for visitor in self._visitors.values())
        return FORGET_AFTER_S - silent_s

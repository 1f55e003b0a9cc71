"""Uploaded images: single ones, and sequences whose faces are tracked from image to image."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mien.analysis.baseline import Baselines
from mien.analysis.face_stream import FaceStream
from mien.clock import Clock
from mien.errors import BaselineError, BusyError, ImageError
from mien.images.codecs import decode_image
from mien.images.resize import fit_within
from mien.types import Analysis, Box, Detection, Frame

MAX_SIDE_PX = 1920
"""Larger images are reduced to this size: the live analysis waits meanwhile, and more pixels reveal no more faces."""

MAX_SESSIONS = 8
EXPIRE_AFTER_S = 10.0
RETRY_IN_S = 0.2


def analyze_image(data: bytes, analyze: Callable[[Frame], Analysis]) -> Analysis:
    """Find the faces of an encoded image.

    Args:
        data: The content of an image file.
        analyze: Finds the faces of a frame, such as `Pipeline.analyze`.

    Returns:
        The faces, with boxes in pixels of the image after its EXIF rotation.

    Raises:
        NotAnImageError, ImageTooLargeError, ImageError: As `mien.images.codecs.decode_image` does.
    """
    pixels_bgr = decode_image(data)
    height, width = pixels_bgr.shape[:2]
    small_bgr = fit_within(pixels_bgr, MAX_SIDE_PX)
    del pixels_bgr  # up to 150 MB
    found = analyze(Frame(small_bgr))
    scale_x, scale_y = width / found.width, height / found.height
    scale = np.array([scale_x, scale_y], np.float32)
    faces = tuple(
        replace(
            face,
            box=_scaled(face.box, scale_x, scale_y, width, height),
            landmarks=None if face.landmarks is None else face.landmarks * scale,
        )
        for face in found.faces
    )
    return replace(found, width=width, height=height, faces=faces)


def _scaled(box: Box, scale_x: float, scale_y: float, width: int, height: int) -> Box:
    left, top = round(box.x * scale_x), round(box.y * scale_y)
    right = min(width, round((box.x + box.w) * scale_x))
    bottom = min(height, round((box.y + box.h) * scale_y))
    scaled = Box(left, top, max(1, right - left), max(1, bottom - top))
    return box.moved(scaled) if isinstance(box, Detection) else scaled


@dataclass(slots=True)
class _Session:
    stream: FaceStream
    baselines: Baselines
    busy: bool = False
    used_at_s: float = 0.0
    count: int = 0


class UploadSessions:
    """Tracks the faces of up to MAX_SESSIONS clients, each identified by a key of its choice; thread-safe.

        sessions = UploadSessions(lambda: FaceStream(pipeline))
        analysis = sessions.analyze("browser-1", jpeg)

    Args:
        make_stream: Makes the FaceStream of a new session.
        clock: Where the time comes from. A session without images for EXPIRE_AFTER_S ends.
        record: Called with the key of each image, the image as it was analyzed, and what was found in it.
        make_baselines: Makes what measures the resting faces of a new session, by its key.
    """

    def __init__(
        self,
        make_stream: Callable[[], FaceStream],
        clock: Clock | None = None,
        record: Callable[[str, Frame, Analysis], object] = lambda *_: None,
        make_baselines: Callable[[str], Baselines] = lambda _: Baselines(),
    ) -> None:
        self._make_stream = make_stream
        self._record = record
        self._make_baselines = make_baselines
        self._clock = clock or Clock()
        self._lock = threading.Lock()  # guards the sessions
        self._sessions: dict[str, _Session] = {}

    def analyze(self, key: str, data: bytes, *, landmarks: bool = False) -> Analysis:
        """Find the faces of the next image of a session, with their numbers and smoothed over its earlier images.

        Args:
            key: Identifies the session; a new key begins one.
            data: The content of an image file.
            landmarks: Whether to find the landmarks of the faces too.

        Raises:
            BusyError: For too many sessions, or while the previous image is being analyzed.
            NotAnImageError, ImageTooLargeError, ImageError: As `analyze_image` does.
        """
        session = self._acquire(key)
        try:
            time_s, captured_at = self._clock.monotonic(), self._clock.wall()

            def find(frame: Frame) -> Analysis:
                found = session.stream.analyze(frame, time_s, landmarks=landmarks)
                found = session.baselines.update(found, time_s)
                self._record(key, replace(frame, index=session.count, captured_at=captured_at), found)
                session.count += 1
                return found

            analysis = analyze_image(data, find)
        except ImageError:  # the stream is as it was; a client that never sent an image takes no slot
            self._release(key, session, keep=session.used_at_s > 0)
            raise
        except BaseException:
            self._release(key, session, keep=False)
            raise
        self._release(key, session, keep=True)
        return analysis

    def __contains__(self, key: str) -> bool:
        """Whether images with this key were analyzed lately.

        Args:
            key: The key.
        """
        with self._lock:
            self._drop_expired()
            return key in self._sessions

    def baselines(self, key: str) -> Baselines:
        """What measures the resting faces of a session.

        Args:
            key: Identifies the session.

        Raises:
            BaselineError: There is no such session, or none any more.
        """
        with self._lock:
            self._drop_expired()
            if key not in self._sessions:
                raise BaselineError("expected a track with images in the last 10 s, found none")
            return self._sessions[key].baselines

    def _acquire(self, key: str) -> _Session:
        with self._lock:
            self._drop_expired()
            session = self._sessions.get(key)
            if session is None:
                if len(self._sessions) >= MAX_SESSIONS:
                    raise BusyError(f"expected at most {MAX_SESSIONS} keys at once", self._slot_free_in_s())
                session = self._sessions[key] = _Session(self._make_stream(), self._make_baselines(key))
            elif session.busy:
                raise BusyError("expected one image of a key at a time", RETRY_IN_S)
            session.busy = True
            return session

    def _release(self, key: str, session: _Session, *, keep: bool) -> None:
        with self._lock:
            session.busy = False
            session.used_at_s = self._clock.monotonic()
            if not keep:
                del self._sessions[key]

    # --- with the lock held

    def _drop_expired(self) -> None:
        oldest_s = self._clock.monotonic() - EXPIRE_AFTER_S
        self._sessions = {
            key: session for key, session in self._sessions.items() if session.busy or session.used_at_s > oldest_s
        }

    def _slot_free_in_s(self) -> float:
        now_s = self._clock.monotonic()
        return EXPIRE_AFTER_S - max(0.0 if each.busy else now_s - each.used_at_s for each in self._sessions.values())

"""Recordings of browsers' cameras, whose images the program analyzes one by one: a session for each browser."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from mien.clock import Clock
from mien.errors import BusyError, RecordingError
from mien.recording.csv_log import BEGIN_WITHIN_S, CsvRecorder, Recording
from mien.types import Analysis, Frame

MAX_RECORDINGS = 8
EXPIRE_AFTER_S = 10.0
CHECK_EVERY_S = 1.0

Prepare = Callable[[Frame, Analysis], Frame]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Track:
    """The recording of one key, and how its faces and images are numbered."""

    recorder: CsvRecorder
    prepare: Prepare
    used_s: float
    lock: threading.Lock = field(default_factory=threading.Lock)  # held while it starts, and while an image is recorded
    stream: int = 0
    shift: int = 0
    last_face: int = 0
    last_image: int = -1

    def begin_stream(self) -> None:
        """The next images count themselves and their faces from the start."""
        self.stream, self.shift = self.stream + 1, self.last_face


class BrowserRecorder:
    """Records the images of up to MAX_RECORDINGS keys, each in its own session; thread-safe.

        recorder = BrowserRecorder(Path("sessions"))
        recorder.is_known = sessions.__contains__
        recorder.start("browser-1")
        recorder.record("browser-1", frame, analysis)

    Args:
        folder: Folder of the sessions.
        make_prepare: Returns, for a new recording, what makes of each frame the picture that may be saved.
        clock: The computer's clock by default. A recording without images for EXPIRE_AFTER_S ends.

    Attributes:
        is_known: Returns whether images with a key have been analyzed lately.
        describe: As of `CsvRecorder`.
        changed: As of `CsvRecorder`.
        started: Called with a key when the recording of its images has begun, or goes on with them.
    """

    def __init__(
        self,
        folder: Path | str,
        make_prepare: Callable[[], Prepare] = lambda: lambda frame, _: frame,
        clock: Clock | None = None,
    ) -> None:
        self.is_known: Callable[[str], bool] = lambda _: False
        self.describe: Callable[[], str] | None = None
        self.changed: Callable[[], object] = lambda: None
        self.started: Callable[[str], object] = lambda _: None
        self._folder = folder
        self._make_prepare = make_prepare
        self._clock = clock or Clock()
        self._lock = threading.Lock()  # guards the rest
        self._tracks: dict[str, _Track] = {}
        self._closed = threading.Event()
        self._watch: threading.Thread | None = None

    def start(self, key: str, *, video: bool = False, continues: str | None = None) -> Recording:
        """Start a recording of the images with a key, or continue the running one.

        Args:
            key: The key of the images.
            video: Whether to keep the pictures too.
            continues: A key whose recording goes on with this one's images, if it is still running: browsers change
                their key after a pause.

        Raises:
            BusyError: There are too many recordings.
            RecordingError: No images with this key are analyzed, the recording to continue has ended, or the session
                cannot be written.
        """
        started = self._start(key, video=video, continues=continues)
        self.started(key)
        return started

    def _start(self, key: str, *, video: bool, continues: str | None) -> Recording:
        with self._lock:
            if self._closed.is_set() or not self.is_known(key):
                raise RecordingError("expected the key of images that are being analyzed, found another")
            track = self._tracks.get(key)
            if continues is not None and track is None:
                track = self._tracks.pop(continues, None)
                if track is None or not track.recorder.status().on:  # nobody has asked for another one
                    raise RecordingError("expected the key of a recording that is running, found one that has ended")
                self._tracks[key] = track
                track.begin_stream()
            if track is None:
                self._drop_ended()
                if len(self._tracks) >= MAX_RECORDINGS:
                    raise BusyError(f"expected at most {MAX_RECORDINGS} recordings of browsers at once", EXPIRE_AFTER_S)
                track = self._tracks[key] = _Track(self._make_recorder(), self._make_prepare(), 0.0)
            track.used_s = self._clock.monotonic()
            try:
                with track.lock:  # an image on its way was not prepared for a video that begins now
                    started = track.recorder.start(video=video)
            except RecordingError:
                del self._tracks[key]
                raise
            if self._watch is None:
                watch = threading.Thread(target=self._end_unused, name="browser-recordings", daemon=True)
                watch.start()
                self._watch = watch  # only once it runs: else the next recording starts it
            return started

    def stop(self, key: str) -> Recording:
        """End the recording of a key; does nothing if there is none.

        Args:
            key: The key of the images.
        """
        track = self._tracks.get(key)
        return Recording() if track is None else track.recorder.stop()

    def status(self, key: str) -> Recording | None:
        """The recording of a key, or its last one while images arrive; None without one.

        Args:
            key: The key of the images.
        """
        track = self._tracks.get(key)
        return None if track is None else track.recorder.status()

    def record(self, key: str, frame: Frame, analysis: Analysis) -> None:
        """Record an image, if a recording of its key is running; returns at once.

        Args:
            key: The key of the image.
            frame: The image as it was analyzed; `index` starts again when the program has forgotten the faces.
            analysis: What was found in it.
        """
        track = self._tracks.get(key)
        if track is None:
            return
        track.used_s = self._clock.monotonic()
        with track.lock:
            if frame.index <= track.last_image:
                track.begin_stream()
            track.last_image = frame.index
            if track.recorder.needs_pictures:
                frame = track.prepare(frame, analysis)
            faces = tuple(
                face if face.id is None else replace(face, id=face.id + track.shift) for face in analysis.faces
            )
            track.last_face = max([track.last_face, *(face.id for face in faces if face.id is not None)])
            track.recorder.record(replace(frame, stream=track.stream), replace(analysis, faces=faces))

    def session_of(self, key: str) -> tuple[str, int] | None:
        """The session to which the images of a key are recorded; None while they are not.

        Args:
            key: The key of the images.

        Returns:
            Its id, and by how much the numbers of its faces are above those of the images.
        """
        track = self._tracks.get(key)
        status = None if track is None else track.recorder.status()
        if track is None or status is None or not status.on or status.session is None:
            return None
        return status.session, track.shift

    def running(self) -> dict[str, Recording]:
        """The recordings that are running, by the id of their session."""
        with self._lock:
            found = [track.recorder.status() for track in self._tracks.values()]
        return {each.session: each for each in found if each.on and each.session is not None}

    def close(self) -> None:
        """End all recordings."""
        self._closed.set()
        if self._lock.acquire(timeout=BEGIN_WITHIN_S):  # after one that is just beginning
            self._lock.release()
        for track in list(self._tracks.values()):
            track.recorder.close()

    def _make_recorder(self) -> CsvRecorder:
        recorder = CsvRecorder(self._folder, self._clock, source="browser")
        recorder.describe, recorder.changed = self.describe, self.changed
        return recorder

    def _drop_ended(self) -> None:
        """With the lock held: make room."""
        for key in [key for key, track in self._tracks.items() if not track.recorder.status().on]:
            del self._tracks[key]

    # --- in its thread

    def _end_unused(self) -> None:
        while not self._closed.wait(CHECK_EVERY_S):
            try:
                self.end_unused()
            except Exception:  # of any kind: the next check tries again
                log.exception("unused recordings of browsers cannot be ended")
            with self._lock:
                if not self._tracks:
                    self._watch = None
                    return

    def end_unused(self) -> None:
        """End the recordings whose images stay away."""
        oldest_s = self._clock.monotonic() - EXPIRE_AFTER_S
        with self._lock:
            ended = [key for key, track in self._tracks.items() if track.used_s < oldest_s]
            tracks = [self._tracks.pop(key) for key in ended]
        for track in tracks:
            track.recorder.stop()

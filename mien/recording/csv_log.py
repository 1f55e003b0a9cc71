"""Record the faces of a stream as rows of a CSV file."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from mien.clock import Clock
from mien.errors import RecordingError, SessionError, SettingsError
from mien.recording import GONE, has_name, reason_of, sync_file
from mien.recording.journal import append_edits, create_journal
from mien.recording.rows import COLUMNS, FrameNumbers, as_csv, row
from mien.recording.session_files import SessionFiles, new_session
from mien.recording.video import VideoWriter
from mien.types import Analysis, Frame

HEADER = as_csv([COLUMNS])
QUEUE_FRAMES = 1000
"""Frames that wait while the disk does not respond, about half a minute; beyond that the recording fails."""
SYNC_EVERY_S = 1.0
CLOSE_WITHIN_S = 2.0
UNDO_S = 2.0
BEGIN_WITHIN_S = 3.0
"""So long the end of the program waits for the beginning of a recording, as on a disk that does not respond."""
CHUNK_BYTES = 64 * 1024
_NO_PIXELS = np.zeros((1, 1, 3), np.uint8)  # of the frames that wait: their pictures would fill the memory

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recording:
    """State of the current recording, or of the last one.

    Args:
        on: Whether it is running.
        since: When it was started, in seconds since the epoch.
        rows: Rows written so far.
        name: Name of the file as it is downloaded.
        error: Why it stopped without being told to; None if it did not.
        session: Id of the session.
        people: How many faces were recorded so far.
        video: Whether the pictures are kept too.
        video_error: Why they are no longer kept; None while all is well.

    Example:
        recording = recorder.status()
        print(recording.rows, recording.error or "")
    """

    on: bool = False
    since: float | None = None
    rows: int = 0
    name: str | None = None
    error: str | None = None
    session: str | None = None
    people: int = 0
    video: bool = False
    video_error: str | None = None


class CsvRecorder:
    """Records on demand, each recording in a new folder `session-YYYYMMDD-HHMMSS`, as `faces.csv`; thread-safe.

    Args:
        folder: Folder of these folders, created with the first recording if its parent exists.
        clock: The computer's clock by default.
        at_once: Start with the first frame.
        source: Whose camera is recorded: "program" or "browser".

    Attributes:
        describe: Returns how rows come about, as the text of a JSON file; called at the start of each recording, which
            writes it beside the CSV file as `mien.json`. None for no such file.
        changed: Called when a recording has begun or ended.

    Example:
        recorder = CsvRecorder("sessions")
        recorder.start()
        recorder.record(frame, analysis)
    """

    def __init__(
        self, folder: Path | str, clock: Clock | None = None, *, at_once: bool = False, source: str = "program"
    ) -> None:
        self.folder = Path(folder)
        self.describe: Callable[[], str] | None = None
        self.changed: Callable[[], object] = lambda: None
        self._source = source
        self._clock = clock or Clock()
        self._lock = threading.Lock()  # guards the next two
        self._writer: _CsvWriter | None = None
        self._at_once = at_once  # until the first frame, `start` or `stop`
        self._refused = Recording()  # with the reason if the first frame could not start one

    def start(self, *, video: bool = False) -> Recording:
        """Start a recording, or continue the running one.

        Args:
            video: Whether to keep the pictures too, of a new recording.

        Raises:
            RecordingError: The file cannot be written, or videos cannot be saved.
        """
        with self._lock:
            self._at_once = False
            if self._writer is None or not self._writer.status().on:
                begun = _begin(self.folder, self._clock.wall(), self._source, video=video)
                self._writer = _CsvWriter(begun, self._clock, self.describe, self.changed)
                self.changed()
            return self._writer.status()

    def stop(self) -> Recording:
        """Write what is waiting and close the file; does nothing if none is open."""
        return self._stop(-1)

    def close(self) -> None:
        """As `stop`, at the end of the program, which does not wait for a recording that cannot even begin."""
        self._stop(BEGIN_WITHIN_S)

    def _stop(self, wait_s: float) -> Recording:
        """wait_s: how long a recording that is just beginning may take; -1 for as long as it does."""
        if self._lock.acquire(timeout=wait_s):
            try:
                self._at_once = False
                if self._writer is not None:
                    self._writer.close()
            finally:
                self._lock.release()
        else:
            log.warning("%s does not respond", self.folder)
        return self.status()

    def check(self) -> None:
        """Check that a file can be written, and remove it. Raises RecordingError if it cannot."""
        begun = _begin(self.folder, self._clock.wall(), self._source)
        begun.undo()

    def record(self, frame: Frame, analysis: Analysis) -> None:
        """Record a frame, one row for each face that was not missed; returns at once.

        Args:
            frame: The analyzed frame, with its picture as it may be shown: in privacy mode, pixelated.
            analysis: What was found in it.
        """
        if self._at_once:
            self._begin()
        writer = self._writer
        if writer is not None:
            writer.add(frame, analysis)

    @property
    def needs_frames(self) -> bool:
        """Whether it is recording, or will start with the first frame."""
        return self._at_once or self.status().on

    @property
    def needs_pictures(self) -> bool:
        """Whether it is keeping the pictures, and not only their frames' faces."""
        status = self.status()
        return status.on and status.video

    def status(self) -> Recording:
        """State of the current or last recording."""
        writer = self._writer
        return self._refused if writer is None else writer.status()

    def content(self) -> tuple[str, int, Iterator[bytes]] | None:
        """Read the current or last file, as far as complete frames were written.

        Returns:
            Its name, its size in bytes and its content in chunks; None if there is no such file.
        """
        writer = self._writer
        if writer is None:
            return None
        size = writer.size
        try:
            whole = writer.path.stat().st_size >= size
        except OSError:  # the user moved or deleted it
            return None
        return (writer.name, size, _chunks(writer.path, size)) if whole else None

    def _begin(self) -> None:
        try:
            self.start()
        except RecordingError as error:  # the live picture continues
            self._refused = Recording(error=str(error))
            log.error("%s", error)


class _CsvWriter:
    """One file, written by its own thread.

    Rows are passed to the operating system as soon as they arrive, so that they survive a kill, and to the disk once a
    second.
    """

    def __init__(
        self,
        begun: _Begun,
        clock: Clock,
        describe: Callable[[], str] | None,
        changed: Callable[[], object],
    ) -> None:
        self.path = begun.files.faces
        self.name = f"{begun.files.id}.csv"
        self._files = begun.files
        self._clock = clock
        self._video = begun.video
        self._covered = True  # all pictures of the video so far
        self._describe = describe
        self._changed = changed
        self.size = len(HEADER)
        """Bytes of complete frames; readers read no further."""
        self._file = begun.file
        self._since, self._since_s = begun.since, clock.monotonic()
        self._end: tuple[float, float] | None = None  # when it was closed, and its length then
        self._faces: set[int | None] = set()
        self._rows = 0
        self._error: str | None = None
        self._failing = threading.Lock()  # held while that is set
        self._closed = False
        self._queue: queue.Queue[tuple[Frame, Analysis] | None] = queue.Queue(QUEUE_FRAMES)
        self._numbers = FrameNumbers()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="csv-writer", daemon=True)
        try:
            self._start_threads()
        except (OSError, RuntimeError) as error:
            begun.undo()
            raise RecordingError(f"{self._files.id} cannot be recorded: {reason_of(error)}") from error

    def _start_threads(self) -> None:
        descriptor = os.dup(self._file.fileno())
        # A disk may take seconds, so this runs in a separate thread.
        syncing = threading.Thread(target=self._sync, args=(descriptor,), name="csv-sync", daemon=True)
        try:
            syncing.start()
        except RuntimeError:
            os.close(descriptor)
            raise
        try:
            self._thread.start()  # last: nothing has to be undone in it
        except RuntimeError:
            self._ended.set()
            syncing.join(UNDO_S)  # Windows removes no file that is open
            raise

    def add(self, frame: Frame, analysis: Analysis) -> None:
        if not self.status().on:
            return
        if self._video is not None:
            self._covered = self._covered and frame.covered
            self._video.write(frame.pixels_bgr, frame.captured_at)
        if not analysis.faces:
            return
        try:
            self._queue.put_nowait((replace(frame, pixels_bgr=_NO_PIXELS), analysis))
        except queue.Full:
            self._fail(f"the disk did not respond for {QUEUE_FRAMES} frames")

    def status(self) -> Recording:
        if self._error is None and not self._closed and not self._thread.is_alive():
            self._fail("its thread has ended")  # nothing is known to cause it, but rows must not be lost silently
        on = not self._closed and self._error is None
        found = self.name, self._error, self._files.id, len(self._faces)
        kept = self._video is not None, None if self._video is None else self._video.error
        return Recording(on, self._since, self._rows, *found, *kept)

    def close(self) -> None:
        if self._closed:
            return
        self._end = self._now()
        self._closed = True  # from now on the thread may end
        deadline_s = time.monotonic() + CLOSE_WITHIN_S
        if self._thread.is_alive():
            with contextlib.suppress(queue.Full):
                self._queue.put(None, timeout=CLOSE_WITHIN_S)
        self._thread.join(max(0.0, deadline_s - time.monotonic()))
        if self._thread.is_alive():
            log.warning("%s is not complete after %g s", self.path, CLOSE_WITHIN_S)

    def _fail(self, reason: str) -> None:
        with self._failing:  # the writer and the sync thread may find the same fault
            if self._error is not None:
                return
            error = f"{self.path} cannot be written any more: {reason}"
            log.error("%s", error)  # first, so that whoever sees the error finds it in the log
            self._error = error
        with contextlib.suppress(queue.Full):  # else the thread does not wait
            self._queue.put_nowait(None)

    # --- in the writer's thread

    def _run(self) -> None:
        try:
            with self._file:
                self._write_description()
                while (item := self._queue.get()) is not None and self._error is None:
                    self._write(*item)
                    if self._closed and self._queue.empty():  # there may have been no room for None
                        break
        except BaseException as error:  # of any kind: a recording that loses rows must not look as if it went on
            if not isinstance(error, OSError):
                log.exception("%s: unexpected error", self.path)
            self._fail(reason_of(error))
        finally:
            self._ended.set()
            if self._video is not None:
                self._video.close()
            self._write_end()
            self._changed()

    def _now(self) -> tuple[float, float]:
        """The time, and how long the session has been running: the computer's clock may have been set back."""
        at_s = self._clock.wall()
        return at_s, max(self._clock.monotonic() - self._since_s, at_s - self._since)

    def _write_end(self) -> None:
        """Write how long the session was: nothing else says how long nobody was there at its end."""
        at_s, length_s = self._end or self._now()
        end: dict[str, Any] = {"at": round(at_s, 3), "do": "end", "length_s": round(length_s, 3)}
        if self._video is not None:
            end["covered"] = self._covered
        try:
            append_edits(self._files.edits, lambda _: [end])
        except (OSError, SessionError) as error:
            log.warning("%s: its length cannot be written: %s", self._files.edits, reason_of(error))

    def _write_description(self) -> None:
        if self._describe is None:
            return
        try:
            self._files.provenance.write_text(self._describe(), encoding="utf-8")
        except Exception as error:  # of any kind: the rows are worth more
            log.warning("%s: how it comes about cannot be written: %s", self.path, error)

    def _write(self, frame: Frame, analysis: Analysis) -> None:
        number = self._numbers.number(frame)
        rows = [row(number, frame, face, analysis) for face in analysis.faces if not face.missed]
        data = as_csv(rows)
        try:
            _write_all(self._file, data)
        except BaseException:
            with contextlib.suppress(OSError):
                self._file.truncate(self.size)  # a full disk may have taken half a row
            raise
        self.size += len(data)
        self._faces |= {face.id for face in analysis.faces if not face.missed}
        self._rows += len(rows)  # last: whoever sees the rows sees their faces

    # --- in the sync thread

    def _sync(self, descriptor: int) -> None:
        try:
            while not self._ended.wait(SYNC_EVERY_S):
                if not has_name(os.fstat(descriptor), self.path):
                    self._fail(GONE)
                    return
                sync_file(descriptor)
            sync_file(descriptor)
        except OSError as error:  # some file systems only report here that there is no room
            self._fail(reason_of(error))
        finally:
            os.close(descriptor)


@dataclass(frozen=True, slots=True)
class _Begun:
    """A new session: its files, that of the rows with the header, when it began, and the writer of its video."""

    files: SessionFiles
    file: IO[bytes]
    since: float
    video: VideoWriter | None

    def undo(self) -> None:
        self.file.close()
        if self.video is not None:
            self.video.close()
        _remove(self.files)


def _begin(folder: Path, now_s: float, source: str, *, video: bool = False) -> _Begun:
    """Create a session; without one of its files there is none."""
    files = new_session(folder, now_s)
    with contextlib.ExitStack() as undo:
        undo.callback(_remove, files)
        try:
            create_journal(files.edits, {"at": now_s, "do": "begin", "source": source})
            file = undo.enter_context(files.faces.open("xb", buffering=0))
            _write_all(file, HEADER)
            kept = VideoWriter(files.video, began_at=now_s) if video else None
        except OSError as error:
            expected = f"expected a folder for the recording, found {folder}"
            raise RecordingError(f"{expected}, which cannot be written: {error.strerror}") from error
        except SettingsError as error:
            raise RecordingError(str(error)) from error
        except RuntimeError as error:  # no thread for the video
            raise RecordingError(f"{files.id} cannot be recorded: {reason_of(error)}") from error
        undo.pop_all()
    return _Begun(files, file, now_s, kept)


def _remove(files: SessionFiles) -> None:
    with contextlib.suppress(OSError):
        for path in files.all():
            path.unlink()
        files.folder.rmdir()


def _write_all(file: IO[bytes], data: bytes) -> None:
    rest = memoryview(data)
    while rest:  # an unbuffered file may write less than it was given
        rest = rest[file.write(rest) :]


def _chunks(path: Path, size: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        while size > 0 and (chunk := file.read(min(size, CHUNK_BYTES))):
            size -= len(chunk)
            yield chunk

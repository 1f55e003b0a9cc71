"""The queue of files: takes uploads, has them analyzed one at a time, and hands out what was found."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as WaitTimeoutError
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from mien.errors import (
    JobLimitError,
    JobMissingError,
    JobStateError,
    JobTypeError,
    LoadingError,
    MienError,
    StorageError,
)
from mien.filetypes import HEAD_BYTES, IMAGE_SUFFIXES, describe, identify, read_head
from mien.queue.child import Child
from mien.queue.jobs import (
    UNFINISHED,
    FileJob,
    JobStatus,
    Kind,
    Order,
    clean_name,
    picture_of,
    remove_pictures,
    report_of,
)
from mien.queue.storage import Storage
from mien.settings import AnalysisSettings

CHUNK_BYTES = 256 * 1024
"""So much of an upload is in memory at a time."""

TICK_S = 1.0
CHILD_IDLE_S = 60.0
"""After this long without work the process that analyzes is ended."""

UNUSED_S = 3600.0
"""A job that nobody has asked for in this time is forgotten."""

CANCEL_S = 30.0
"""A job that was canceled and does not end in this time, as in a broken decoder, is ended with its process."""

MOST_SUSPENDED = 4
"""Jobs that are paused midway keep their decoders, and so some memory each."""

ATTEMPTS = 2
"""A process may end before it has begun with a job: that is not the fault of its file."""

REPORT_S = 120.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """What the queue takes.

    Args:
        file_bytes: Of one file.
        total_bytes: Of all files that are not analyzed yet; analyzed ones are removed.
        jobs: Jobs of all viewers, those that are done included.
        piece_bytes: Of one piece of an upload.
        small_bytes: Of a file that is sent at once.
        free_bytes: Stays free on the disk.
    """

    file_bytes: int = 2 * 1024**3
    total_bytes: int = 20 * 1024**3
    jobs: int = 1000
    piece_bytes: int = 8 * 1024**2
    small_bytes: int = 64 * 1024**2
    free_bytes: int = 1024**3


class FileQueue:
    """Jobs, one for each file; thread-safe. Nothing is created or started before the first job.

        queue = FileQueue(lambda: settings)
        job = queue.create("clip.mp4", size, group=None)
        with path.open("rb") as file:
            queue.write(job.id, 0, file, size)
        print(queue.get(job.id).state)
        queue.close()

    Args:
        settings: Returns how faces are detected and classified at present.
        is_private: Returns whether privacy mode is on.
        limits: What is taken.
        storage: Where files are kept.
    """

    def __init__(
        self,
        settings: Callable[[], AnalysisSettings],
        is_private: Callable[[], bool] = lambda: False,
        limits: Limits | None = None,
        storage: Storage | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self._settings = settings
        self._is_private = is_private
        self._storage = storage or Storage(keep_bytes=self.limits.free_bytes)
        self._changed = threading.Condition(threading.RLock())  # guards everything below
        self._jobs: dict[str, FileJob] = {}
        self._version = 0
        self._child: Child | None = None
        self._active: FileJob | None = None
        self._ending: dict[str, tuple[FileJob, float]] = {}
        self._last_work_s = 0.0
        self._was_private = False
        self._closed = False
        self._keeper: threading.Thread | None = None

    # --- uploads

    def create(self, name: str, size_bytes: int, group: str | None = None) -> JobStatus:
        """Begin an upload.

        Args:
            name: Of the file, to display.
            size_bytes: Of the file.
            group: Key of the viewer's group.

        Raises:
            JobLimitError, StorageError: It cannot be taken.
        """
        with self._changed:
            self._check_open()
            limits = self.limits
            if size_bytes > limits.file_bytes:
                raise JobLimitError(f"expected a file of at most {limits.file_bytes} bytes, found {size_bytes}")
            if len(self._jobs) >= limits.jobs:
                raise JobLimitError(f"expected at most {limits.jobs} jobs, found {len(self._jobs)} already")
            total = sum(job.bytes for job in self._jobs.values() if job.state in UNFINISHED)
            if total + size_bytes > limits.total_bytes:
                raise JobLimitError(
                    f"expected at most {limits.total_bytes} bytes in files to be analyzed, found {total} already "
                    f"and {size_bytes} more"
                )
            self._storage.check_free(size_bytes + self._outstanding())
            number = secrets.token_urlsafe(16)
            job = FileJob(
                number,
                clean_name(name),
                _guess_kind(name),
                size_bytes,
                self._storage.new_folder(number),
                group,
                time.monotonic(),
            )
            self._jobs[number] = job
            self._keep_house()
            return self._change(job)

    def temporary_file(self) -> IO[bytes]:
        """A file without a name, on the disk of the uploads. Raises StorageError."""
        with self._changed:
            self._check_open()
            self._storage.check_free(self.limits.small_bytes + self._outstanding())
            return self._storage.temporary_file()

    def write(self, number: str, offset: int, source: IO[bytes], length: int) -> JobStatus:
        """Take a piece of a file.

        Args:
            number: Id of the job.
            offset: Where the piece begins; one that has arrived already is taken once more without effect.
            source: Where to read it from.
            length: Its length in bytes.

        Raises:
            JobMissingError, JobStateError, JobLimitError, JobTypeError, StorageError: It cannot be taken.
            OSError: It does not arrive.
        """
        with self._changed:
            job = self._get(number)
            if offset + length <= job.received and offset < job.bytes:
                return self._describe(job)
            if job.state != "uploading":
                raise JobStateError(f"expected a job that is uploading, found one that is {job.state}", job.received)
            if job.receiving:
                raise JobStateError("expected one piece at a time, found another one that is arriving", job.received)
            if offset != job.received:
                raise JobStateError(
                    f"expected a piece from byte {job.received} on, found one from {offset}", job.received
                )
            if offset + length > job.bytes:
                raise JobLimitError(f"expected at most {job.bytes - offset} more bytes, found {length}")
            self._storage.check_free(length)
            job.receiving = True
        try:
            written = _append(job.content, offset, source, length)
        finally:
            with self._changed:
                job.receiving = False
                if job.state == "canceled":
                    self._storage.remove(job.folder)
        with self._changed:
            if job.state == "canceled":
                raise JobMissingError("expected a job, found one that was canceled")
            if written < length:
                raise JobStateError(f"expected a piece of {length} bytes, found {written}", job.received)
            job.received += length
            self._check_type(job)
            if job.received == job.bytes:
                job.state = "paused" if job.pause_when_complete else "waiting"
                self._advance()
            return self._change(job)

    def _check_type(self, job: FileJob) -> None:
        if job.has_type or job.received < min(HEAD_BYTES, job.bytes):
            return
        head = read_head(job.content)
        found = identify(head)
        if found is None or not found.usable:
            reason = f"expected a video or an image, found {describe(head)}"
            self._end(job, "failed", reason)
            raise JobTypeError(reason)
        job.kind = "video" if found.media == "video" or found.name == "GIF" else "image"
        job.has_type = True

    def _outstanding(self) -> int:
        return sum(job.bytes - job.received for job in self._jobs.values() if job.state == "uploading")

    # --- what viewers ask for

    def get(self, number: str) -> JobStatus:
        """A job. Raises JobMissingError."""
        with self._changed:
            return self._describe(self._get(number))

    def find(self, numbers: Collection[str] = (), group: str | None = None) -> list[JobStatus]:
        """The jobs with these ids and those of a group, in the order in which they were created.

        Args:
            numbers: Ids; those of no job are ignored.
            group: Key of a group; None for none.
        """
        with self._changed:
            return [self._describe(job) for job in self._find(numbers, group)]

    def wait(self, version: int, timeout_s: float) -> int:
        """Wait until something has changed.

        Args:
            version: The one that is known.
            timeout_s: How long to wait at most, in seconds.

        Returns:
            The newest version; -1 once the queue is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._version != version, timeout_s)
            return -1 if self._closed else self._version

    def pause(self, number: str) -> JobStatus:
        """Pause a job at the next frame. Raises JobMissingError, or JobStateError if it does not wait or run."""
        with self._changed:
            job = self._get(number)
            if job.state not in ("waiting", "analyzing"):
                raise JobStateError(f"expected a job that is waiting or analyzing, found one that is {job.state}")
            return self._pause(job)

    def resume(self, number: str) -> JobStatus:
        """Let a paused job go on. Raises JobMissingError, or JobStateError if it is not paused."""
        with self._changed:
            job = self._get(number)
            if job.state != "paused":
                raise JobStateError(f"expected a paused job, found one that is {job.state}")
            return self._resume(job)

    def pause_group(self, group: str) -> list[JobStatus]:
        """Pause the jobs of a group; those that are uploading once they are complete."""
        with self._changed:
            for job in self._find((), group):
                if job.state in ("waiting", "analyzing"):
                    self._pause(job)
                elif job.state == "uploading":
                    job.pause_when_complete = True
            return self.find((), group)

    def resume_group(self, group: str) -> list[JobStatus]:
        """Let the paused jobs of a group go on."""
        with self._changed:
            for job in self._find((), group):
                job.pause_when_complete = False
                if job.state == "paused":
                    self._resume(job)
            return self.find((), group)

    def delete(self, number: str) -> None:
        """Cancel and forget a job, and remove its files. Raises JobMissingError."""
        with self._changed:
            self._forget(self._get(number))

    def delete_group(self, group: str) -> None:
        """Cancel and forget the jobs of a group, and remove their files."""
        with self._changed:
            for job in self._find((), group):
                self._forget(job)

    # --- what was found

    def table(self, number: str, name: str) -> tuple[Path, str]:
        """A table of a job that is done.

        Args:
            number: Id of the job.
            name: "faces.csv" or "events.csv".

        Returns:
            Where it is, and the name of the analyzed file.

        Raises:
            JobMissingError: There is no such job or table, or not yet.
        """
        with self._changed:
            job = self._done(number)
            path = job.results / name
            if not path.is_file():
                raise JobMissingError(f"expected a video, found an image, which has no {name}")
            return path, job.name

    def tables(self, group: str) -> Iterator[bytes]:
        """All rows of `faces.csv` of the jobs of a group that have ended, with one header.

        Args:
            group: Key of the group.

        Raises:
            JobMissingError: There are none.
        """
        with self._changed:
            paths = [job.results / "faces.csv" for job in self._find((), group) if job.state in ("done", "failed")]
            paths = [path for path in paths if path.is_file()]
        if not paths:
            raise JobMissingError("expected a job that is done, found none")
        return _joined(paths)

    def picture(self, number: str, face: int) -> bytes:
        """A small picture of a face, JPEG. Raises JobMissingError if there is none, as in privacy mode."""
        with self._changed:
            job = self._get(number)
            if self._is_private() or face not in job.pictures:
                raise JobMissingError(f"expected a face with a picture, found {face}")
            try:
                return picture_of(job.folder, face).read_bytes()
            except OSError as error:
                raise JobMissingError(f"the picture cannot be read: {error.strerror}") from error

    def report(self, number: str) -> Path:
        """The report of a video, drawn when it is first asked for; without faces in privacy mode.

        Args:
            number: Id of the job.

        Raises:
            JobMissingError: There is no such job, it is not done, or its file is an image.
            LoadingError: It takes long; asking again will help.
            MienError: It cannot be drawn, as without the package matplotlib.
        """
        with self._changed:
            job = self._done(number)
            if job.kind == "image":
                raise JobMissingError("expected a video, found an image, which has no report")
            pictures = bool(job.pictures) and not self._is_private()
            drawn = job.reports.get(pictures)
            if drawn is None or (drawn.done() and drawn.exception() is not None):
                drawn = job.reports[pictures] = Future()
                self._send("report", job.id, job.folder, pictures)
        try:
            drawn.result(REPORT_S)
        except WaitTimeoutError as error:
            raise LoadingError("the report is being drawn") from error
        with self._changed:
            path = report_of(job.folder, pictures)
            if job.state == "canceled" or not path.is_file() or (pictures and self._is_private()):
                raise JobMissingError("expected a job that is done, found one that has changed")
            return path

    # --- the end

    def close(self) -> None:
        """End the analysis, and remove all files; nothing is taken any more."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            child, self._child = self._child, None
            self._changed.notify_all()
        if child is not None:
            child.kill()  # nothing that it does is needed any more
            child.end()
        with self._changed:
            self._storage.close()

    # --- with the lock held

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError("the program is stopping")

    def _get(self, number: str) -> FileJob:
        job = self._jobs.get(number)
        if job is None:
            raise JobMissingError("expected the id of a job, found none of this name")
        job.used_s = time.monotonic()
        return job

    def _done(self, number: str) -> FileJob:
        job = self._get(number)
        if job.state != "done":
            raise JobMissingError(f"expected a job that is done, found one that is {job.state}")
        return job

    def _find(self, numbers: Collection[str], group: str | None) -> list[FileJob]:
        wanted = set(numbers)
        found = [job for job in self._jobs.values() if job.id in wanted or (group is not None and job.group == group)]
        for job in found:
            job.used_s = time.monotonic()
        return found

    def _describe(self, job: FileJob) -> JobStatus:
        return job.status(private=self._is_private())

    def _change(self, job: FileJob) -> JobStatus:
        self._version += 1
        job.version = self._version
        self._changed.notify_all()
        return self._describe(job)

    def _pause(self, job: FileJob) -> JobStatus:
        job.state = "paused"
        if job is self._active:  # until the process confirms that it waits
            self._stop_clock(job)
            self._send("pause", job.id)
        return self._change(job)

    def _resume(self, job: FileJob) -> JobStatus:
        if job is self._active:  # it has not been paused yet
            job.state = "analyzing"
            job.active_since = time.monotonic()
            self._send("resume", job.id)
            return self._change(job)
        job.state = "waiting"
        status = self._change(job)
        self._advance()
        return self._describe(job) if job.version != status.version else status

    def _forget(self, job: FileJob) -> None:
        self._jobs.pop(job.id, None)
        was, job.state = job.state, "canceled"
        if job.started and was in UNFINISHED:  # its process still writes
            self._stop_clock(job)
            self._ending[job.id] = (job, time.monotonic() + CANCEL_S)
            self._send("cancel", job.id)
        elif not job.receiving:
            self._storage.remove(job.folder)
        for drawn in job.reports.values():
            if not drawn.done():
                drawn.set_exception(JobMissingError("the job was canceled"))
        self._change(job)

    def _end(self, job: FileJob, state: Any, reason: str | None = None) -> None:
        """A job is done or has failed: of its files, only the results are kept."""
        job.state, job.reason = state, reason
        self._stop_clock(job)
        self._storage.remove(job.content)
        self._storage.remove(job.folder / "out")
        self._change(job)

    def _stop_clock(self, job: FileJob) -> None:
        if job.active_since is not None:
            job.active_s += time.monotonic() - job.active_since
            job.active_since = None

    def _send(self, *message: Any) -> None:
        """Send to the process that analyzes, and start it if there is none."""
        if self._closed:
            return
        self._last_work_s = time.monotonic()
        if self._child is None:
            self._child = Child(self._receive, self._lost)
        self._child.send(*message)

    def _advance(self) -> None:
        """Have the next job analyzed, if none is at present."""
        if self._active is not None or self._closed:
            return
        suspended = sum(job.started for job in self._jobs.values() if job.state == "paused")
        for job in self._jobs.values():
            if job.state == "waiting" and (job.started or suspended < MOST_SUSPENDED):
                self._analyze(job)
                return

    def _analyze(self, job: FileJob) -> None:
        self._active = job
        job.state = "analyzing"
        job.active_since = time.monotonic()
        if job.started:
            self._send("resume", job.id)
        else:
            job.started = True
            job.attempts += 1
            job.pictures_kept = not self._is_private()
            order = Order(job.id, job.name, job.folder, job.content, self._settings(), job.pictures_kept)
            self._send("analyze", order)
        self._change(job)

    # --- messages of the process that analyzes, in the thread of its connection

    def _receive(self, kind: str, number: str, *values: Any) -> None:
        with self._changed:
            self._last_work_s = time.monotonic()
            job = self._jobs.get(number)
            if job is not None:
                job.used_s = self._last_work_s
                getattr(self, f"_job_{kind}")(job, *values)
            elif kind in ("done", "failed", "canceled"):
                self._clean(number)

    def _clean(self, number: str) -> None:
        """A job that was canceled has ended."""
        job, _ = self._ending.pop(number, (None, 0.0))
        if job is not None:
            self._storage.remove(job.folder)
            if job is self._active:
                self._active = None
                self._advance()

    def _job_started(self, job: FileJob) -> None:
        job.acknowledged = True

    def _job_kind(self, job: FileJob, kind: Kind) -> None:
        job.kind = kind
        self._change(job)

    def _job_progress(self, job: FileJob, frames: int, share: float) -> None:
        job.frames, job.progress = frames, share
        self._change(job)

    def _job_paused(self, job: FileJob) -> None:
        if job is self._active and job.state == "paused":  # else it was resumed in the meantime
            self._active = None
            self._advance()

    def _job_done(self, job: FileJob, result: dict[str, Any], pictures: list[int], reason: str | None) -> None:
        job.result, job.progress = result, 1.0
        job.frames = result["frames"]
        if job.pictures_kept and not self._is_private():
            job.pictures = frozenset(pictures)
        else:
            remove_pictures(job.folder)
        self._end(job, "done", reason)
        self._next_after(job)

    def _job_failed(self, job: FileJob, reason: str) -> None:
        self._end(job, "failed", reason)
        self._next_after(job)

    def _job_report(self, job: FileJob, pictures: bool, reason: str | None) -> None:
        drawn = job.reports.get(pictures)
        if pictures and not job.pictures:  # privacy mode was switched on
            remove_pictures(job.folder)
        if drawn is None or drawn.done():
            return
        if reason is None:
            drawn.set_result(None)
        else:
            drawn.set_exception(MienError(reason))

    def _next_after(self, job: FileJob) -> None:
        if job is self._active:
            self._active = None
        self._advance()

    def _lost(self, child: Child, reason: str) -> None:
        """The process has ended: by itself, or because it was killed."""
        with self._changed:
            if child is not self._child:
                return
            self._child = None
            active, self._active = self._active, None
            for number in list(self._ending):
                self._clean(number)
            for job in self._jobs.values():
                for drawn in job.reports.values():
                    if not drawn.done():
                        drawn.set_exception(LoadingError("the process that draws reports has ended"))
                if job.started and job is not active and job.state in UNFINISHED:
                    self._begin_again(job)
            if active is not None and active.state in UNFINISHED:
                if active.acknowledged or active.attempts >= ATTEMPTS:
                    self._end(active, "failed", f"the process that analyzed it ended unexpectedly: {reason}")
                else:
                    active.state = "paused" if active.state == "paused" else "waiting"
                    self._begin_again(active)
                log.warning("the process that analyzes files ended unexpectedly: %s", reason)
            self._advance()

    def _begin_again(self, job: FileJob) -> None:
        job.reset()
        self._storage.remove(job.folder / "out")
        self._change(job)

    # --- once a second

    def _keep_house(self) -> None:
        if self._keeper is None:
            self._keeper = threading.Thread(target=self._tick, name="jobs keeper", daemon=True)
            self._keeper.start()

    def _tick(self) -> None:
        closed = threading.Event()
        while not closed.wait(TICK_S):
            with self._changed:
                if self._closed:
                    return
                self.tidy(time.monotonic())

    def tidy(self, now_s: float) -> None:
        """Forget unused jobs, end an idle process or one that does not react, and keep no faces in privacy mode.

        Args:
            now_s: Present time of `time.monotonic`.
        """
        with self._changed:
            for job in [job for job in self._jobs.values() if now_s - job.used_s > UNUSED_S and not job.receiving]:
                self._forget(job)
            if self._is_private() != self._was_private:
                self._was_private = not self._was_private
                if self._was_private:
                    self._forget_pictures()
            child = self._child
            if child is not None and any(now_s > until_s for _, until_s in self._ending.values()):
                child.kill()
            busy = self._active is not None or any(job.started and job.state == "paused" for job in self._jobs.values())
            drawing = any(not drawn.done() for job in self._jobs.values() for drawn in job.reports.values())
            if child is not None and not busy and not drawing and now_s - self._last_work_s > CHILD_IDLE_S:
                self._child = None
                child.send("end")
            self._storage.remove_leftover()

    def _forget_pictures(self) -> None:
        for job in self._jobs.values():
            job.pictures_kept = False
            if job.started and job.state in UNFINISHED:
                self._send("forget", job.id)
            if job.state == "done":
                job.pictures = frozenset()
                job.reports.pop(True, None)
                with suppress(OSError):
                    remove_pictures(job.folder)
                self._change(job)


def _guess_kind(name: str) -> Kind:
    """By the name, until the first bytes have arrived."""
    return "image" if Path(name).suffix.lower() in IMAGE_SUFFIXES else "video"


def _append(path: Path, offset: int, source: IO[bytes], length: int) -> int:
    """Write up to `length` bytes at an offset, and return how many arrived; of an incomplete piece nothing counts.

    Raises:
        StorageError: They cannot be written.
    """
    written = 0
    try:
        with path.open("r+b" if offset else "wb") as file:
            file.truncate(offset)
            file.seek(offset)
            while written < length:
                chunk = _read(source, min(CHUNK_BYTES, length - written))
                if not chunk:
                    break
                file.write(chunk)
                written += len(chunk)
    except _ReadError as error:
        raise error.error from error
    except OSError as error:
        raise StorageError(f"the file cannot be stored: {error.strerror or error}") from error
    return written


class _ReadError(Exception):
    """What reading an upload raised, told apart from what writing it raises."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error


def _read(source: IO[bytes], count: int) -> bytes:
    try:
        return source.read(count)
    except OSError as error:
        raise _ReadError(error) from error


def _joined(paths: list[Path]) -> Iterator[bytes]:
    """The lines of several tables under the header of the first; a table that was removed meanwhile is left out."""
    header: bytes | None = None
    for path in paths:
        with suppress(OSError), path.open("rb") as file:
            first = file.readline()
            if header is None:
                header = first
                yield header
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

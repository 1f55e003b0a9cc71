"""The queue of files: takes uploads, has them analyzed one at a time, and hands out what was found."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import TimeoutError as WaitTimeoutError
from contextlib import suppress
from pathlib import Path
from typing import IO

from mien.errors import JobMissingError, LoadingError
from mien.queue.board import Board
from mien.queue.jobs import JobStatus
from mien.queue.scheduler import Scheduler
from mien.queue.storage import Storage
from mien.queue.uploads import CHUNK_BYTES, Limits, Uploads
from mien.settings import AnalysisSettings

TICK_S = 1.0

UNUSED_S = 3600.0
"""A job that nobody has asked for in this time is forgotten."""

REPORT_S = 120.0
"""So long a request for a report waits until it is drawn."""

log = logging.getLogger(__name__)


class FileQueue:
    """Jobs, one for each file; thread-safe. Nothing is stored or started before the first job.

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

    Attributes:
        limits: The same.
    """

    def __init__(
        self,
        settings: Callable[[], AnalysisSettings],
        is_private: Callable[[], bool] = lambda: False,
        limits: Limits | None = None,
        storage: Storage | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self._board = Board(storage or Storage(keep_bytes=self.limits.free_bytes), is_private)
        self._scheduler = Scheduler(self._board, settings)
        self._uploads = Uploads(self._board, self.limits, self._scheduler.complete)
        self._keeper: threading.Thread | None = None

    @property
    def pid(self) -> int | None:
        """Number of the process that analyzes; None while there is none."""
        return self._scheduler.pid

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
        with self._board.lock:
            status = self._uploads.create(name, size_bytes, group)
            if self._keeper is None:
                self._start_keeper()
            return status

    def temporary_file(self) -> IO[bytes]:
        """A file without a name, on the disk of the uploads. Raises StorageError."""
        return self._uploads.temporary_file()

    def write(self, number: str, offset: int, source: IO[bytes], length: int) -> JobStatus:
        """Take a piece of a file; once all have arrived, it is queued.

        Args:
            number: Id of the job.
            offset: Where the piece begins; a piece that has arrived before has no effect.
            source: Where to read it from.
            length: Its length in bytes.

        Raises:
            JobMissingError, JobStateError, JobLimitError, JobTypeError, StorageError: It cannot be taken.
            OSError: It does not arrive.
        """
        return self._uploads.write(number, offset, source, length)

    # --- jobs

    def get(self, number: str) -> JobStatus:
        """A job. Raises JobMissingError."""
        with self._board.lock:
            return self._board.describe(self._board.get(number))

    def find(self, numbers: Collection[str] = (), group: str | None = None) -> list[JobStatus]:
        """The jobs with these ids and those of a group, in the order in which they were created.

        Args:
            numbers: Ids; those of no job are ignored.
            group: Key of a group; None for none.
        """
        with self._board.lock:
            return [self._board.describe(job) for job in self._board.find(numbers, group)]

    def wait(self, version: int, timeout_s: float) -> int:
        """Wait until any job has changed.

        Args:
            version: Number of the last change that is known.
            timeout_s: How long to wait at most, in seconds.

        Returns:
            Number of the last change; -1 once the queue is closed.
        """
        board = self._board
        with board.lock:
            board.lock.wait_for(lambda: board.closed or board.version != version, timeout_s)
            return -1 if board.closed else board.version

    def pause(self, number: str) -> JobStatus:
        """Pause a job at the next frame. Raises JobMissingError, or JobStateError if it does not wait or run."""
        with self._board.lock:
            job = self._board.get(number)
            self._scheduler.pause(job)
            return self._board.describe(job)

    def resume(self, number: str) -> JobStatus:
        """Let a paused job go on. Raises JobMissingError, or JobStateError if it is not paused."""
        with self._board.lock:
            job = self._board.get(number)
            self._scheduler.resume(job)
            return self._board.describe(job)

    def pause_group(self, group: str) -> list[JobStatus]:
        """Pause the jobs of a group; those that are uploading once they are complete."""
        with self._board.lock:
            for job in self._board.find((), group):
                if job.state in ("waiting", "analyzing"):
                    self._scheduler.pause(job)
                elif job.state == "uploading":
                    job.pause_when_complete = True
            return self.find((), group)

    def resume_group(self, group: str) -> list[JobStatus]:
        """Let the paused jobs of a group go on."""
        with self._board.lock:
            for job in self._board.find((), group):
                job.pause_when_complete = False
                if job.state == "paused":
                    self._scheduler.resume(job)
            return self.find((), group)

    def delete(self, number: str) -> None:
        """Cancel and forget a job, and remove its files. Raises JobMissingError."""
        with self._board.lock:
            self._scheduler.forget(self._board.get(number))

    def delete_group(self, group: str) -> None:
        """Cancel and forget the jobs of a group, and remove their files."""
        with self._board.lock:
            for job in self._board.find((), group):
                self._scheduler.forget(job)

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
        with self._board.lock:
            job = self._board.done(number)
            path = job.files.results / name
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
        with self._board.lock:
            paths = [job.files.table for job in self._board.find((), group) if job.state in ("done", "failed")]
            paths = [path for path in paths if path.is_file()]  # of those that failed, only images have a row
        if not paths:
            raise JobMissingError("expected a job that is done, found none")
        return _joined(paths)

    def picture(self, number: str, face: int) -> bytes:
        """A small picture of a face, JPEG. Raises JobMissingError if there is none, as in privacy mode."""
        with self._board.lock:
            job = self._board.get(number)
            if self._board.is_private() or face not in job.pictures:
                raise JobMissingError(f"expected a face with a picture, found {face}")
            try:
                return job.files.picture(face).read_bytes()
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
        with self._board.lock:
            self._board.check_open()
            job = self._board.done(number)
            if job.kind == "image":
                raise JobMissingError("expected a video, found an image, which has no report")
            pictures = bool(job.pictures) and not self._board.is_private()
            drawn = self._scheduler.draw_report(job, pictures)
        try:
            drawn.result(REPORT_S)
        except WaitTimeoutError as error:
            raise LoadingError("the report is being drawn") from error
        with self._board.lock:
            path = job.files.report(pictures=pictures)
            if (pictures and self._board.is_private()) or not path.is_file():
                raise LoadingError("the report has changed since it was asked for")
            return path

    def update_privacy(self) -> None:
        """Remove all pictures of faces if privacy mode is on."""
        with self._board.lock:
            if self._board.is_private():
                self._scheduler.forget_pictures()

    # --- the end

    def close(self) -> None:
        """End the analysis, and remove all files; nothing is taken any more.

        Repeated, it removes what a request still had open the first time (on Windows).
        """
        self._board.closed = True
        self._scheduler.kill()  # without the lock, which is held by whoever sends something to a process that hangs
        with self._board.lock:
            self._board.lock.notify_all()
            child = self._scheduler.close()
        if child is not None:
            child.kill()  # it may have been started just now
            child.end()
        with self._board.lock:
            self._board.storage.close()

    def tidy(self, now_s: float) -> None:
        """Forget unused jobs, and end a process that is not needed or does not react; done once a second.

        Args:
            now_s: Present time of `time.monotonic`.
        """
        board = self._board
        with board.lock:
            for job in [job for job in board.jobs.values() if now_s - job.used_s > UNUSED_S and not job.receiving]:
                self._scheduler.forget(job)
            self._scheduler.tidy(now_s)
            board.storage.remove_leftover()

    def _start_keeper(self) -> None:
        keeper = threading.Thread(target=self._keep_house, name="jobs keeper", daemon=True)
        try:
            keeper.start()
        except RuntimeError as error:  # the system allows no more threads: the next job tries again
            log.warning("unused jobs are not removed at present: %s", error)
        else:
            self._keeper = keeper

    def _keep_house(self) -> None:
        board = self._board
        with board.lock:
            next_s = time.monotonic() + TICK_S
            while not board.closed:
                if (wait_s := next_s - time.monotonic()) > 0:
                    board.lock.wait(wait_s)
                else:
                    next_s = time.monotonic() + TICK_S
                    try:
                        self.tidy(time.monotonic())
                    except Exception:  # of any kind: nothing would begin the next job, or end a process that hangs
                        log.exception("the jobs cannot be looked after")


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

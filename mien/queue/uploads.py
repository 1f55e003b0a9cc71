"""Files arrive: whole or in pieces, straight to the disk, within limits, and checked by their first bytes."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mien.errors import JobLimitError, JobMissingError, JobStateError, JobTypeError, StorageError
from mien.filetypes import HEAD_BYTES, IMAGE_SUFFIXES, describe, identify, read_head
from mien.queue.board import Board
from mien.queue.files import JobFiles
from mien.queue.jobs import UNFINISHED, FileJob, JobStatus, Kind, clean_name
from mien.queue.storage import shown_size

CHUNK_BYTES = 256 * 1024
"""So much of an upload is in memory at a time."""


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

    file_bytes: int = 2 * 1000**3
    total_bytes: int = 20 * 1000**3
    jobs: int = 1000
    piece_bytes: int = 8 * 1000**2
    small_bytes: int = 64 * 1000**2
    free_bytes: int = 1000**3


class Uploads:
    """Takes files for jobs; thread-safe.

    Args:
        board: The jobs.
        limits: What is taken.
        complete: Is called, with the lock held, with each job whose file has arrived.
    """

    def __init__(self, board: Board, limits: Limits, complete: Callable[[FileJob], None]) -> None:
        self._board = board
        self._limits = limits
        self._complete = complete

    def create(self, name: str, size_bytes: int, group: str | None) -> JobStatus:
        """Begin an upload; see `FileQueue.create`."""
        board = self._board
        with board.lock:
            board.check_open()
            self._check_limits(size_bytes)
            board.storage.check_free(size_bytes + self._outstanding())
            number = secrets.token_urlsafe(16)
            files = JobFiles(board.storage.new_folder(number))
            kind: Kind = "image" if Path(name).suffix.lower() in IMAGE_SUFFIXES else "video"
            job = FileJob(number, clean_name(name), kind, size_bytes, files, group, time.monotonic())
            board.jobs[number] = job
            return board.change(job)

    def temporary_file(self) -> IO[bytes]:
        """A file without a name, on the same disk. Raises StorageError."""
        with self._board.lock:
            self._board.check_open()
            self._board.storage.check_free(self._limits.small_bytes + self._outstanding())
            return self._board.storage.temporary_file()

    def write(self, number: str, offset: int, source: IO[bytes], length: int) -> JobStatus:
        """Take a piece of a file; see `FileQueue.write`."""
        board = self._board
        with board.lock:
            board.check_open()  # else it would create another folder
            job = board.get(number)
            if offset < job.received and offset + length <= job.received:  # its answer was lost
                return board.describe(job)
            self._check_piece(job, offset, length)
            board.storage.check_free(length)
            job.receiving = True
        try:
            written = _append(job.files.content, offset, source, length)
        except BaseException:
            with board.lock:
                self._end_piece(job)
            raise
        with board.lock:  # until the piece counts: a repeated one would be taken as a new one
            self._end_piece(job)
            board.check_open()
            if job.state == "canceled":
                raise JobMissingError("expected a job, found one that was canceled")
            if written < length:
                raise JobStateError(f"expected a piece of {length} bytes, found {written}", job.received)
            job.received += length
            self._check_type(job)
            if job.received == job.bytes:
                self._complete(job)
            return board.change(job)

    # --- with the lock held

    def _end_piece(self, job: FileJob) -> None:
        job.receiving = False
        if job.state == "canceled":
            self._board.storage.remove(job.files.folder)

    def _check_limits(self, size_bytes: int) -> None:
        limits, jobs = self._limits, self._board.jobs
        if size_bytes > limits.file_bytes:
            expected, found = shown_size(limits.file_bytes), shown_size(size_bytes)
            raise JobLimitError(f"expected a file of at most {expected}, found one of {found}")
        if len(jobs) >= limits.jobs:
            raise JobLimitError(f"expected at most {limits.jobs} jobs of all viewers, found {len(jobs)} already")
        total = sum(job.bytes for job in jobs.values() if job.state in UNFINISHED)
        if total + size_bytes > limits.total_bytes:
            raise JobLimitError(
                f"expected at most {shown_size(limits.total_bytes)} in files that are not analyzed yet, found "
                f"{shown_size(total)} already and {shown_size(size_bytes)} more"
            )

    def _check_piece(self, job: FileJob, offset: int, length: int) -> None:
        if job.state != "uploading":
            raise JobStateError(f"expected a job that is uploading, found one that is {job.state}", job.received)
        if job.receiving:
            raise JobStateError("expected one piece at a time, found another one that is arriving", job.received)
        if offset != job.received:
            raise JobStateError(f"expected a piece from byte {job.received} on, found one from {offset}", job.received)
        if offset + length > job.bytes:
            raise JobLimitError(f"expected at most {job.bytes - offset} more bytes, found {length}")

    def _check_type(self, job: FileJob) -> None:
        """Check the first bytes as soon as there are enough; a file of a wrong type fails."""
        if job.has_type or job.received < min(HEAD_BYTES, job.bytes):
            return
        try:
            head = read_head(job.files.content)
        except OSError as error:
            raise StorageError(f"the file cannot be read: {error.strerror or error}") from error
        found = identify(head)
        if found is None or not found.usable:
            reason = f"expected a video or an image, found {describe(head)}"
            self._board.end(job, "failed", reason)
            raise JobTypeError(reason)
        # The process that analyzes finds out whether a GIF is animated.
        job.kind = "video" if found.media == "video" or found.name == "GIF" else "image"
        job.has_type = True

    def _outstanding(self) -> int:
        """Bytes that are announced and have not arrived."""
        return sum(job.bytes - job.received for job in self._board.jobs.values() if job.state == "uploading")


class _ReadError(Exception):
    """What reading an upload raised; writing it raises OSError too."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error


def _append(path: Path, offset: int, source: IO[bytes], length: int) -> int:
    """Write up to `length` bytes at an offset, after removing what an incomplete piece has left; how many arrived.

    Raises:
        StorageError: They cannot be written.
        OSError: They cannot be received.
    """
    written = 0
    try:
        with path.open("r+b" if offset else "wb") as file:
            file.truncate(offset)
            file.seek(offset)
            while chunk := _read(source, min(CHUNK_BYTES, length - written)):
                file.write(chunk)
                written += len(chunk)
    except _ReadError as error:
        raise error.error from None
    except OSError as error:
        raise StorageError(f"the file cannot be stored: {error.strerror or error}") from error
    return written


def _read(source: IO[bytes], count: int) -> bytes:
    try:
        return source.read(count) if count else b""
    except OSError as error:
        raise _ReadError(error) from error

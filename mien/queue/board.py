"""The jobs of the queue, their lock, and the number of their last change."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection

from mien.errors import JobMissingError, StorageError
from mien.queue.jobs import FileJob, JobStatus, State
from mien.queue.storage import Storage


class Board:
    """What the parts of the queue share; all of it, also the storage, is used with the lock held.

        with board.lock:
            job = board.get(number)
            board.end(job, "failed", "it is empty")

    Args:
        storage: Where files are kept.
        is_private: Returns whether privacy mode is on.

    Attributes:
        lock: A condition that is notified of each change.
        jobs: By their ids, in the order in which they were created.
        version: Number of the last change.
        closed: Whether the program is stopping.
    """

    def __init__(self, storage: Storage, is_private: Callable[[], bool]) -> None:
        self.lock = threading.Condition(threading.RLock())
        self.storage = storage
        self.is_private = is_private
        self.jobs: dict[str, FileJob] = {}
        self.version = 0
        self.closed = False

    def check_open(self) -> None:
        """Raises StorageError while the program is stopping."""
        if self.closed:
            raise StorageError("expected a program that is running, found one that is stopping")

    def get(self, number: str) -> FileJob:
        """A job that somebody asks for. Raises JobMissingError."""
        job = self.jobs.get(number)
        if job is None:
            raise JobMissingError("expected the id of a job, found one of no job")
        job.used_s = time.monotonic()
        return job

    def done(self, number: str) -> FileJob:
        """A job of which somebody asks for the results. Raises JobMissingError."""
        job = self.get(number)
        if job.state != "done":
            raise JobMissingError(f"expected a job that is done, found one that is {job.state}")
        return job

    def find(self, numbers: Collection[str], group: str | None) -> list[FileJob]:
        """The jobs with these ids and those of a group, in the order in which they were created.

        Args:
            numbers: Ids; those of no job are ignored.
            group: Key of a group; None for none.
        """
        wanted = set(numbers)
        found = [job for job in self.jobs.values() if job.id in wanted or (group is not None and job.group == group)]
        now_s = time.monotonic()
        for job in found:
            job.used_s = now_s
        return found

    def describe(self, job: FileJob) -> JobStatus:
        """A job as its owner sees it."""
        return job.status(private=self.is_private())

    def change(self, job: FileJob) -> JobStatus:
        """Tell those who wait that a job has changed."""
        self.version += 1
        job.version = self.version
        self.lock.notify_all()
        return self.describe(job)

    def end(self, job: FileJob, state: State, reason: str | None = None) -> None:
        """A job is done or has failed: of its files, only the results are kept.

        Args:
            job: The job.
            state: "done" or "failed".
            reason: Why it failed, or what could not be read.
        """
        job.state, job.reason = state, reason
        job.stop_clock()
        self.storage.remove(job.files.content)
        self.storage.remove(job.files.unfinished)
        self.change(job)

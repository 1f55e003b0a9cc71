"""Which job is analyzed, paused or ended, in a process that is started when it is needed and replaced when it dies."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from mien.errors import JobMissingError, JobStateError, LoadingError, MienError, StorageError, one_line
from mien.queue.board import Board
from mien.queue.child import Child
from mien.queue.jobs import UNFINISHED, FileJob, Kind, Order
from mien.settings import AnalysisSettings

CHILD_IDLE_S = 60.0
"""After this long without work the process is ended."""

CANCEL_S = 30.0
"""An analysis that does not end in this time, as in a broken decoder, is ended with its process."""

MOST_SUSPENDED = 4
"""Jobs that are paused midway keep their decoders, and so some memory each; of more, the oldest begin again later."""

ATTEMPTS = 2
"""A process may end before it has begun with a job: that is not the fault of its file."""

SHORTAGES = (OSError, RuntimeError)
"""What starting a process raises: OSError if there is no memory, RuntimeError if the system allows no more threads."""

log = logging.getLogger(__name__)


class Scheduler:
    """Has one job analyzed at a time, in the order in which they were created; all methods with the lock held.

    Args:
        board: The jobs.
        settings: Returns how faces are detected and classified at present.
    """

    def __init__(self, board: Board, settings: Callable[[], AnalysisSettings]) -> None:
        self._board = board
        self._settings = settings
        self._child: Child | None = None
        self._active: FileJob | None = None
        """The job that the process analyzes, also after it was asked to pause or cancel it and has not done so yet."""
        self._ending: dict[str, tuple[FileJob, float]] = {}
        """Jobs whose analysis the process is to end and has not ended yet, and until when it has to."""
        self._last_work_s = 0.0

    @property
    def pid(self) -> int | None:
        """Number of the process; None while there is none."""
        return None if self._child is None else self._child.pid

    def complete(self, job: FileJob) -> None:
        """Take a job whose file has arrived."""
        job.state = "paused" if job.pause_when_complete else "waiting"
        self._advance()

    def pause(self, job: FileJob) -> None:
        """Pause a job at the next frame, and go on with others. Raises JobStateError if it does not wait or run."""
        if job.state not in ("waiting", "analyzing"):
            raise JobStateError(f"expected a job that is waiting or analyzing, found one that is {job.state}")
        job.state = "paused"
        if job is self._active:
            job.stop_clock()
            self._send("pause", job.id)
        self._board.change(job)

    def resume(self, job: FileJob) -> None:
        """Let a job go on, as soon as no other one is analyzed. Raises JobStateError if it is not paused."""
        if job.state != "paused":
            raise JobStateError(f"expected a paused job, found one that is {job.state}")
        if job is self._active:  # it has not come to the next frame
            job.state = "analyzing"
            job.start_clock()
            self._send("resume", job.id)
        else:
            job.state = "waiting"
            self._advance()
        self._board.change(job)

    def forget(self, job: FileJob) -> None:
        """Cancel a job and remove its files, at the next frame if it is being analyzed."""
        self._board.jobs.pop(job.id, None)
        is_open = (job.started and job.state in UNFINISHED) or job.id in self._ending
        job.state = "canceled"
        job.stop_clock()
        if is_open:  # the process still has its files open
            self._end_analysis(job)
        elif not job.receiving:
            self._board.storage.remove(job.files.folder)
        job.fail_reports(JobMissingError("expected a job, found one that was canceled"))
        self._board.change(job)

    def draw_report(self, job: FileJob, pictures: bool) -> Future[None]:
        """Draw the report of a job that is done, unless it is drawn.

        Args:
            job: The job.
            pictures: Whether to show faces.

        Returns:
            Has no value, or the reason why it cannot be drawn.
        """
        drawn = job.reports.get(pictures)
        if drawn is None or (drawn.done() and drawn.exception() is not None):
            drawn = job.reports[pictures] = Future()
            try:
                self._send("report", job.id, job.files, pictures)
            except SHORTAGES as error:
                drawn.set_exception(MienError(f"no process can be started: {one_line(error)}"))
        return drawn

    def forget_pictures(self) -> None:
        """Remove all pictures of faces, and keep none of the jobs that are analyzed."""
        for job in self._board.jobs.values():
            job.keeps_pictures = False
            if job.started and job.state in UNFINISHED:
                self._send("forget", job.id)
            elif job.state == "done":
                job.pictures = frozenset()
                drawn = job.reports.pop(True, None)
                if drawn is not None and not drawn.done():
                    drawn.set_exception(LoadingError("the report has changed since it was asked for"))
                with suppress(OSError):
                    job.files.remove_pictures()
                self._board.change(job)

    def tidy(self, now_s: float) -> None:
        """Begin what can be begun, and end a process that has no work for long, or does not end a job when it should.

        Args:
            now_s: Present time of `time.monotonic`.
        """
        self._check_free()
        self._advance()
        child = self._child
        if child is None:
            return
        if any(job is self._active and now_s > until_s for job, until_s in self._ending.values()):
            child.kill()
        jobs = self._board.jobs.values()
        works = (
            self._active is not None
            or bool(self._ending)
            or any(
                (job.started and job.state in UNFINISHED) or any(not drawn.done() for drawn in job.reports.values())
                for job in jobs
            )
        )
        if not works and now_s - self._last_work_s > CHILD_IDLE_S:
            self._child = None
            child.send("end")

    def kill(self) -> None:
        """Kill the process, if there is one, because nothing that it does is needed any more; without the lock."""
        child = self._child
        if child is not None:
            child.kill()

    def close(self) -> Child | None:
        """Stop; the process, if there was one, is to be waited for without the lock."""
        child, self._child = self._child, None
        for job in self._board.jobs.values():
            job.fail_reports(LoadingError("the program is stopping"))
        return child

    def _send(self, *message: Any) -> None:
        """Send to the process, and start it if there is none. Raises one of SHORTAGES if it cannot start."""
        if self._board.closed:  # another process would have to be ended
            return
        self._last_work_s = time.monotonic()
        if self._child is None:
            self._child = Child(self._receive, self._lost)
        self._child.send(*message)

    def _advance(self) -> None:
        """Have the next job analyzed, if none is at present."""
        board = self._board
        while self._active is None and not board.closed:
            waiting = (job for job in board.jobs.values() if job.state == "waiting" and job.id not in self._ending)
            job = next(waiting, None)
            if job is None:
                return
            try:
                self._analyze(job)
            except SHORTAGES as error:
                self._active = None
                board.end(job, "failed", f"no process can be started: {one_line(error)}")
                return  # the next one is tried with the next change, or by `tidy`

    def _limit_suspended(self, newest: FileJob) -> None:
        """Give up what the oldest jobs that are paused midway have analyzed, if there are too many with the newest."""
        held = [job for job in self._board.jobs.values() if job.started and job.state in ("paused", "waiting")]
        suspended = [job for job in held if job.state == "paused" and job is not newest]
        for job in suspended[: max(0, len(held) - MOST_SUSPENDED)]:
            job.begin_again()
            job.attempts = 0
            self._end_analysis(job)
            self._board.change(job)

    def _check_free(self) -> None:
        """Let the job that is analyzed fail before its tables fill the disk."""
        job, board = self._active, self._board
        if job is None or job.id in self._ending or board.closed:
            return
        try:
            board.storage.check_free(0)
        except StorageError as error:
            self._end_analysis(job)
            board.end(job, "failed", str(error))

    def _end_analysis(self, job: FileJob) -> None:
        """Have the process end what it does with a job; it says "canceled" once it has closed the files."""
        if job.id not in self._ending:
            self._ending[job.id] = (job, time.monotonic() + CANCEL_S)
            self._send("cancel", job.id)

    def _analyze(self, job: FileJob) -> None:
        self._active = job
        job.state = "analyzing"
        job.start_clock()
        if job.started:
            self._send("resume", job.id)
        else:
            job.attempts += 1
            job.keeps_pictures = not self._board.is_private()
            order = Order(job.id, job.name, job.files, self._settings(), job.keeps_pictures)
            self._send("analyze", order)
            job.started = True
        self._board.change(job)

    # --- messages of the process, in the thread of its connection

    def _receive(self, kind: str, number: str, *values: Any) -> None:
        with self._board.lock:
            self._last_work_s = time.monotonic()
            job = self._board.jobs.get(number)
            if number in self._ending:
                if kind in ("done", "failed", "canceled"):
                    self._take_end(number)
            elif job is not None:
                job.used_s = self._last_work_s
                getattr(self, f"_take_{kind}")(job, *values)

    def _take_started(self, job: FileJob) -> None:
        job.acknowledged = True

    def _take_kind(self, job: FileJob, kind: Kind) -> None:
        job.kind = kind
        self._board.change(job)

    def _take_progress(self, job: FileJob, frames: int, share: float) -> None:
        job.frames, job.progress = frames, share
        self._board.change(job)

    def _take_paused(self, job: FileJob) -> None:
        if job is self._active and job.state == "paused":  # else it was resumed in the meantime
            self._limit_suspended(job)
            self._next()

    def _take_done(self, job: FileJob, result: dict[str, Any], pictures: list[int], reason: str | None) -> None:
        job.result, job.frames, job.progress = result, result["frames"], 1.0
        if job.keeps_pictures:
            job.pictures = frozenset(pictures)
        else:
            with suppress(OSError):
                job.files.remove_pictures()
        self._board.end(job, "done", reason)
        self._next()

    def _take_failed(self, job: FileJob, reason: str) -> None:
        self._board.end(job, "failed", reason)
        self._next()

    def _take_report(self, job: FileJob, pictures: bool, reason: str | None) -> None:
        if pictures and not job.pictures:  # privacy mode was switched on
            with suppress(OSError):
                job.files.remove_pictures()
        drawn = job.reports.get(pictures)
        if drawn is None or drawn.done():
            return
        if reason is None:
            drawn.set_result(None)
        else:
            drawn.set_exception(MienError(reason))

    def _next(self) -> None:
        """The job that was analyzed is not any more."""
        self._active = None
        self._advance()

    def _take_end(self, number: str) -> None:
        """The analysis of a job that was canceled or given up has ended."""
        if self._clean(number) is self._active:
            self._active = None
        self._advance()

    def _clean(self, number: str) -> FileJob:
        """Remove what an analysis that has ended leaves; of a job that was canceled, everything."""
        job, _ = self._ending.pop(number)
        if number in self._board.jobs:
            self._board.storage.remove(job.files.unfinished)
            self._board.storage.remove(job.files.results)
            with suppress(OSError):
                job.files.remove_pictures()
        else:
            self._board.storage.remove(job.files.folder)
        return job

    def _lost(self, child: Child, reason: str) -> None:
        """The process has ended, by itself or because it was killed; jobs that it had paused begin again."""
        board = self._board
        with board.lock:
            if child is not self._child or board.closed:
                return
            self._child = None
            active, self._active = self._active, None
            for number in list(self._ending):
                self._clean(number)
            for job in list(board.jobs.values()):
                job.fail_reports(LoadingError("the process that draws reports has ended"))
                if not job.started or job.state not in UNFINISHED:
                    continue
                if job is active and (job.acknowledged or job.attempts >= ATTEMPTS):
                    board.end(job, "failed", f"the process that analyzed it ended unexpectedly: {reason}")
                    log.warning("%s: the process that analyzed it ended unexpectedly: %s", job.name, reason)
                    continue
                if job.state == "analyzing":
                    job.state = "waiting"
                job.begin_again()
                board.storage.remove(job.files.unfinished)
                board.change(job)
            self._advance()

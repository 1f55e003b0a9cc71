"""Jobs in this process, or side by side in several."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, MutableSequence, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from queue import Empty, SimpleQueue

import cv2

from mien.batch.analysis import load_pipeline
from mien.batch.jobs import Done, Job, Worker
from mien.batch.options import AnalyzeSettings
from mien.batch.progress import Bar
from mien.errors import MienError

SHOWN_EVERY_S = 0.25
MOST_PROCESSES = 8
"""By default: each needs about 150 MB, and reads and decodes its own files."""


def process_count(settings: AnalyzeSettings, jobs: Sequence[Job]) -> int:
    """How many processes do the jobs: by default one for each core, and never more than there are jobs."""
    wanted = settings.jobs or min(_cores(), MOST_PROCESSES)
    return max(1, min(wanted, len(jobs)))


def run_jobs(
    worker: Worker, settings: AnalyzeSettings, jobs: Sequence[Job], bar: Bar
) -> Iterator[tuple[Job, list[Done]]]:
    """Do jobs, in this process or in several.

    Args:
        worker: Does them in this process.
        settings: How files are analyzed, for the workers of other processes.
        jobs: What to do.
        bar: Shows the progress.

    Yields:
        Each job with what became of its inputs, as soon as it is done.

    Raises:
        MienError: A process ended unexpectedly.
        OSError: Results cannot be written.
    """
    count = process_count(settings, jobs)
    if count == 1:
        for job in jobs:
            yield job, worker.run(job, lambda frames, share, job=job: bar.update(job, frames, share))  # type: ignore[misc]
        return
    # The largest first, so that none is left at the end while other processes have nothing to do.
    ordered = sorted(jobs, key=lambda job: (-bar.size(job), job.name))
    context = multiprocessing.get_context("spawn")  # a fork would share locks and threads of OpenCV and LiteRT
    shown = _Shown(ordered, count, bar, context.RawArray("d", 2 * len(ordered)))
    pool = ProcessPoolExecutor(
        count,
        context,
        initializer=_start,
        initargs=(settings, worker.command, max(1, _cores() // count), shown.values),
    )
    ended: SimpleQueue[Future[list[Done]]] = SimpleQueue()
    try:
        running = {pool.submit(_run, number, job): number for number, job in enumerate(ordered)}
        for future in running:
            future.add_done_callback(ended.put)
        for _ in ordered:
            future = shown.until(ended)
            done = future.result()
            yield shown.end(running[future]), done
    except BrokenProcessPool as error:
        cause = "a process ended unexpectedly, perhaps for lack of memory"
        raise MienError(f"--jobs: {cause}; --jobs {max(1, count // 2)} --resume continues with fewer") from error
    except BaseException:  # also if the caller stops early: jobs may take minutes
        for process in multiprocessing.active_children():
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


class _Shown:
    """The progress of all jobs, in memory that is shared with the processes that do them.

    Unlike with a queue, nothing waits for a process that is killed while it reports.
    """

    def __init__(self, jobs: Sequence[Job], processes: int, bar: Bar, values: MutableSequence[float]) -> None:
        self.values = values  # frames and share of each job
        self._left = dict(enumerate(jobs))
        self._processes, self._bar = processes, bar
        self._counted = [0] * len(jobs)

    def until(self, ended: SimpleQueue[Future[list[Done]]]) -> Future[list[Done]]:
        """The next job that has ended; shows progress meanwhile."""
        while True:
            try:
                return ended.get(timeout=SHOWN_EVERY_S)
            except Empty:
                for number in list(islice(self._left, self._processes)):  # jobs are begun in their order
                    self._update(number)

    def end(self, number: int) -> Job:
        """A job that has ended; shows the rest of its progress."""
        self._update(number)
        return self._left.pop(number)

    def _update(self, number: int) -> None:
        frames, share = int(self.values[2 * number]), self.values[2 * number + 1]
        if frames > self._counted[number]:
            self._bar.update(self._left[number], frames - self._counted[number], share)
            self._counted[number] = frames


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


# --- in the other processes

_worker: Worker | None = None
_progress: MutableSequence[float] = []


def _start(settings: AnalyzeSettings, command: Sequence[str], threads: int, progress: MutableSequence[float]) -> None:
    global _worker, _progress  # noqa: PLW0603  one for each process
    _progress = progress
    threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one decides
    cv2.setNumThreads(threads)
    _worker = Worker(settings, load_pipeline(settings), command)


def _end_with_parent() -> None:
    """A process whose parent was killed would go on, and write where the next run writes."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run(number: int, job: Job) -> list[Done]:
    assert _worker is not None

    def report(frames: int, share: float) -> None:
        _progress[2 * number] += frames
        _progress[2 * number + 1] = share

    return _worker.run(job, report)

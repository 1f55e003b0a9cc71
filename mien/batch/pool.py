"""Jobs in this process, or side by side in several."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

import cv2

from mien.batch.analysis import load_pipeline
from mien.batch.jobs import Done, Job, Worker
from mien.batch.options import AnalyzeSettings
from mien.batch.progress import Bar
from mien.errors import MienError

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
    pool = ProcessPoolExecutor(
        count,
        multiprocessing.get_context("spawn"),  # a fork would share locks and threads of OpenCV and LiteRT
        initializer=_start,
        initargs=(settings, worker.command, max(1, _cores() // count)),
    )
    try:
        # The largest first, so that none is left at the end while other processes have nothing to do.
        running = {pool.submit(_run, job): job for job in sorted(jobs, key=lambda job: (-bar.size(job), job.name))}
        for future in as_completed(running):
            yield running[future], future.result()
    except BrokenProcessPool as error:
        cause = "a process ended unexpectedly, perhaps for lack of memory"
        raise MienError(f"--jobs: {cause}; --jobs {max(1, count // 2)} --resume continues with fewer") from error
    except BaseException:  # also if the caller stops early: jobs may take minutes
        for process in multiprocessing.active_children():
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


# --- in the other processes

_worker: Worker | None = None


def _start(settings: AnalyzeSettings, command: Sequence[str], threads: int) -> None:
    global _worker  # noqa: PLW0603  one for each process
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


def _run(job: Job) -> list[Done]:
    assert _worker is not None
    return _worker.run(job, lambda frames, share: None)

"""Jobs on the workers of a Dask cluster, by the package distributed."""

from __future__ import annotations

import logging
import secrets
import shutil
import time
from asyncio import CancelledError
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from mien.batch.cluster_worker import Run, run_job
from mien.batch.jobs import WORK, Done, Job, Worker, products
from mien.batch.options import ABOUT_RUN, AnalyzeSettings
from mien.batch.progress import Bar
from mien.errors import MienError, one_line
from mien.options import options_of

CONNECT_S = 10.0
"""How long to try to reach the scheduler."""

WORKERS_S = 120.0
"""How long to wait for a worker: at the start, and whenever all are gone."""

CHECK_S = 5.0
"""How often to check whether there are workers."""

ENDED = "several workers ended unexpectedly"
RESUME = "what is done is kept, and the same command with --resume continues"

log = logging.getLogger("mien")


def run_on_cluster(
    worker: Worker, settings: AnalyzeSettings, jobs: Sequence[Job], bar: Bar
) -> Iterator[tuple[Job, list[Done]]]:
    """Do jobs on the workers of a Dask cluster; a job whose worker is lost is done again by another.

    Only this process gives results their names, so each appears once, whatever workers that were given up still do.

    Args:
        worker: Describes what this computer would do; workers that differ are refused.
        settings: How files are analyzed, the scheduler, and where results go: a shared folder or a URL.
        jobs: What to do.
        bar: Knows the sizes of the jobs.

    Yields:
        Each job with what became of its inputs, as soon as it is done.

    Raises:
        MienError: The scheduler or its workers cannot be reached, are lost, or differ from this computer.
        OSError: Results cannot be written.
    """
    if not jobs:
        return
    assert settings.scheduler is not None
    assert settings.out is not None
    out = settings.out if isinstance(settings.out, str) else settings.out.absolute()
    run = Run(_chosen(settings), tuple(worker.command), worker.described, out)
    with _connected(settings.scheduler) as cluster:
        # The largest first, so that none is left at the end while other workers have nothing to do.
        for job, done, name in cluster.run(run, sorted(jobs, key=lambda job: (-bar.size(job), job.name))):
            if name is not None and isinstance(out, Path):
                _put_in_place(out, name, job)
            yield job, done


def _chosen(settings: AnalyzeSettings) -> dict[str, Any]:
    """The settings that are not the default, because default paths differ between computers; other paths absolute."""
    chosen = {}
    for each in options_of(AnalyzeSettings):
        value = getattr(settings, each.name)
        if value != each.default and each.name not in ABOUT_RUN:
            chosen[each.name] = value.absolute() if isinstance(value, Path) else value
    return chosen


def _absolute(job: Job) -> Job:
    """The same job for a process with another current folder."""
    inputs = (each if each.url is not None else replace(each, path=each.path.absolute()) for each in job.inputs)
    return replace(job, inputs=tuple(inputs))


def _put_in_place(out: Path, name: str, job: Job) -> None:
    """Give the result that a worker left its name, in place of an older one."""
    left = out / WORK / name
    if not left.exists():
        raise MienError(f"--scheduler: expected a folder that all computers share, found no result in {out}")
    for target in products(out, job):
        if target.is_dir():
            shutil.rmtree(target)
        (left / target.name).replace(target)
    shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _connected(address: str) -> Iterator[_Cluster]:
    try:
        import distributed
    except ModuleNotFoundError as error:
        raise MienError(
            "--scheduler: expected the package distributed, found none; "
            "pip install -r requirements-dask.txt installs it"
        ) from error
    levels = {each: each.level for each in map(logging.getLogger, ("distributed", "distributed.client"))}
    for logger in levels:  # what goes wrong is said here, in one line
        logger.setLevel(logging.CRITICAL + 1)
    try:
        try:
            client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
        except Exception as error:
            raise MienError(
                f"--scheduler: expected a Dask scheduler at {address}, found none: {one_line(error)}"
            ) from error
        with client:
            yield _Cluster(client, address)
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


class _Cluster:
    """The workers of a scheduler."""

    def __init__(self, client: Any, address: str) -> None:
        self._client, self._address = client, address

    def run(self, run: Run, jobs: Sequence[Job]) -> Iterator[tuple[Job, list[Done], str | None]]:
        """Do jobs in this order; yields each when it is done, with the name under which its worker left the result."""
        prefix = f"mien-{secrets.token_hex(8)}"
        waiting = {
            f"{prefix}-{number:08d}-{job.name}": job for number, job in enumerate(jobs)
        }  # Dask goes by their names
        finished: SimpleQueue[Any] = SimpleQueue()
        absolute = [_absolute(job) for job in jobs]
        for future in self._client.map(run_job, absolute, run=run, key=list(waiting), pure=False):
            future.add_done_callback(finished.put)
        given_up = []
        while waiting:
            future = self._next(finished)
            job = waiting[future.key]
            try:
                done, name = self._result(future, job)
            except TimeoutError:  # its worker ended before it handed over the result: another one does the job
                future.add_done_callback(finished.put)
                continue
            del waiting[future.key]
            if done:
                yield job, done, name
            else:
                given_up.append(job.inputs[0].name)
        if given_up:
            raise MienError(f"--scheduler: {ENDED} while they analyzed {given_up[0]} and the images after it; {RESUME}")

    def _next(self, finished: SimpleQueue[Any]) -> Any:
        """The next future that is done."""
        alone_since_s = None
        while True:
            with suppress(Empty):
                return finished.get(timeout=CHECK_S)
            if self._has_worker():
                alone_since_s = None
            elif alone_since_s is None:
                alone_since_s = time.monotonic()
                log.info("waiting for workers of %s", self._address)
            elif time.monotonic() - alone_since_s > WORKERS_S:
                found = f"found none for {WORKERS_S:g} s"
                raise MienError(f"--scheduler: expected workers of {self._address}, {found}; {RESUME}")

    def _has_worker(self) -> bool:
        try:
            return bool(self._client.nthreads())
        except Exception as error:
            raise self._lost() from error

    def _result(self, future: Any, job: Job) -> tuple[list[Done], str | None]:
        """The result of a job that is done; no outcome for images that no worker survived."""
        from distributed import KilledWorker
        from distributed.comm import CommClosedError

        if future.status == "cancelled":
            raise self._lost()
        try:
            if future.status != "error":
                result: tuple[list[Done], str | None] = future.result(timeout=CHECK_S)
                return result
            raise future.exception()
        except (MienError, TimeoutError):
            raise
        except KilledWorker:
            done = [Done(each.name, "failed", f"{ENDED}, perhaps for lack of memory") for each in job.inputs]
            return done if job.is_video else [], None
        except (CommClosedError, CancelledError) as error:
            raise self._lost() from error
        except Exception as error:
            raise MienError(f"--scheduler: the cluster failed: {type(error).__name__}: {one_line(error)}") from error

    def _lost(self) -> MienError:
        return MienError(f"--scheduler: the connection to {self._address} was lost; {RESUME}")

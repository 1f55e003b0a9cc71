"""A progress bar with rate and time left, on a terminal only."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from mien.batch.inputs import Input
from mien.batch.jobs import Job
from mien.batch.urls import file_state
from mien.errors import MienError


class Bar:
    """Progress over all jobs, by the bytes of their files; nothing without a terminal or the package tqdm.

        with Bar(jobs) as bar:
            bar.update(job, 1, 0.25)
            bar.finish(job, 100)

    Args:
        jobs: All jobs to be done.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._bytes = {job.name: sum(_size(each) for each in job.inputs) for job in jobs}
        self._shares: dict[str, float] = {}
        self._counted: dict[str, int] = {}
        self._frames = 0
        self._done = 0.0
        self._bar: Any = None
        self._redirected: Any = None

    def __enter__(self) -> Bar:
        if not sys.stderr.isatty():
            return self
        try:
            from tqdm import tqdm
            from tqdm.contrib.logging import logging_redirect_tqdm
        except ModuleNotFoundError:
            return self
        total = sum(self._bytes.values())
        self._bar = tqdm(total=total, unit="B", unit_scale=True, dynamic_ncols=True, file=sys.stderr)
        self._redirected = logging_redirect_tqdm([logging.getLogger()])
        self._redirected.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._redirected.__exit__(kind, error, trace)
            self._bar.close()

    def size(self, job: Job) -> int:
        """Bytes of the files of a job."""
        return self._bytes[job.name]

    def update(self, job: Job, frames: int, share: float) -> None:
        """Take progress within a job.

        Args:
            job: The job.
            frames: Frames analyzed since the last call.
            share: Analyzed share of the job, 0 to 1.
        """
        self._frames += frames
        self._counted[job.name] = self._counted.get(job.name, 0) + frames
        self._done += (share - self._shares.get(job.name, 0.0)) * self._bytes[job.name]
        self._shares[job.name] = share
        if self._bar is None:
            return
        elapsed_s = self._bar.format_dict["elapsed"]
        if elapsed_s > 0:
            self._bar.set_postfix_str(f"{self._frames / elapsed_s:.0f} frames/s", refresh=False)
        self._bar.update(max(0, round(self._done) - self._bar.n))

    def finish(self, job: Job, frames: int) -> None:
        """Count a job as done.

        Args:
            job: The job.
            frames: All its frames; those that `update` has counted are not counted again.
        """
        self.update(job, max(0, frames - self._counted.get(job.name, 0)), 1.0)


def _size(each: Input) -> int:
    try:
        if each.url is not None:
            return (each.state or file_state(each.url))[0] or 0
        return each.path.stat().st_size
    except (OSError, MienError):
        return 0

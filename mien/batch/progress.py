"""A progress bar with rate and time left, on a terminal only."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from mien.batch.jobs import Job


class Bar:
    """Progress over all jobs, by the bytes of their files; nothing without a terminal or the package tqdm.

        with Bar(jobs) as bar:
            for job in jobs:
                worker.run(job, bar.update)
                bar.finish(job)

    Args:
        jobs: All jobs to be done.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._bytes = {job.name: sum(_size(each.path) for each in job.inputs) for job in jobs}
        self._done = 0
        self._frames = 0
        self._current = iter(jobs)
        self._bar: Any = None
        self._redirected: Any = None

    def __enter__(self) -> Bar:
        if sys.stderr.isatty():
            try:
                from tqdm import tqdm
                from tqdm.contrib.logging import logging_redirect_tqdm
            except ModuleNotFoundError:
                return self
            total = sum(self._bytes.values())
            self._bar = tqdm(total=total, unit="B", unit_scale=True, dynamic_ncols=True, file=sys.stderr)
            self._redirected = logging_redirect_tqdm([logging.getLogger()])
            self._redirected.__enter__()
            self._job = next(self._current, None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._redirected.__exit__(kind, error, trace)
            self._bar.close()

    def update(self, frames: int, share: float) -> None:
        """Take progress within the current job.

        Args:
            frames: Frames analyzed since the last call.
            share: Analyzed share of the job, 0 to 1.
        """
        self._frames += frames
        if self._bar is not None and self._job is not None:
            self._show(self._done + round(share * self._bytes[self._job.name]))

    def finish(self, job: Job) -> None:
        """Count a job as done."""
        self._done += self._bytes[job.name]
        if self._bar is not None:
            self._show(self._done)
            self._job = next(self._current, None)

    def _show(self, done: int) -> None:
        elapsed_s = self._bar.format_dict["elapsed"]
        if elapsed_s > 0:
            self._bar.set_postfix_str(f"{self._frames / elapsed_s:.0f} frames/s", refresh=False)
        self._bar.update(max(0, done - self._bar.n))


def _size(path: Any) -> int:
    try:
        return int(path.stat().st_size)
    except OSError:
        return 0

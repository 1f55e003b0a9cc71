"""What a worker of a Dask cluster does: load detector and network once, do jobs, and hand over their results."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2

from mien.analysis.pipeline import Pipeline
from mien.batch.analysis import load_pipeline
from mien.batch.destination import upload_products
from mien.batch.jobs import WORK, Done, Job, Worker, products
from mien.batch.options import ABOUT_RUN, AnalyzeSettings
from mien.batch.outputs import check_packages
from mien.batch.provenance import describe
from mien.errors import MienError, one_line

KERAS_PACKAGES = {"keras", "tensorflow", "tensorflow-cpu"}
"""They have no influence on what LiteRT computes."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a worker has to know to do jobs as the computer that asks would.

    Args:
        settings: Those that are not the default, by name; default paths differ between computers.
        command: The words of the command line.
        described: What determines the results on the computer that asks, see `mien.batch.provenance.describe`.
        out: Where results go: an absolute path, or a URL.
    """

    settings: Mapping[str, Any]
    command: Sequence[str]
    described: Mapping[str, Any]
    out: Path | str


@dataclass(frozen=True, slots=True)
class _Loaded:
    run: Run
    settings: AnalyzeSettings
    pipeline: Pipeline
    described: dict[str, Any]


_this_thread = threading.local()
"""A worker with several threads does as many jobs at a time; detectors and networks serve one thread each."""
_loading = threading.Lock()


def run_job(job: Job, run: Run) -> tuple[list[Done], str | None]:
    """Do a job on the worker whose thread this is.

    Args:
        job: The job; its paths are absolute.
        run: How.

    Returns:
        What became of each input; and, if the results go to a folder, the name below WORK under which this job's are.

    Raises:
        MienError: This worker differs from the computer that asks, or cannot write where results go.
        OSError: It cannot write to its own disk.
    """
    from distributed import get_worker

    worker = get_worker()
    try:
        loaded = _load(run)
    except MienError as error:
        raise MienError(f"--scheduler: worker {worker.address}: {one_line(error)}") from error
    with tempfile.TemporaryDirectory(prefix="mien-", dir=worker.local_directory) as name:
        folder = Path(name)
        done = Worker(replace(loaded.settings, out=folder), loaded.pipeline, run.command, loaded.described).run(
            job, lambda frames, share: None
        )
        if job.is_video and done[0].status != "done":
            return done, None
        if isinstance(run.out, str):
            upload_products(folder, job, run.out)
            return done, None
        try:
            return done, _copy(folder, job, run.out)
        except OSError as error:
            message = f"expected a folder that all computers share, but {run.out} cannot be written"
            raise MienError(f"--scheduler: worker {worker.address}: {message}: {one_line(error)}") from error


def _load(run: Run) -> _Loaded:
    """Detector and network for this thread, once for each run."""
    loaded: _Loaded | None = getattr(_this_thread, "loaded", None)
    if loaded is None or loaded.run != run:
        with _loading:
            cv2.setNumThreads(1)  # the worker has a thread for each job already
            settings = AnalyzeSettings(**run.settings)
            check_packages(settings)
            pipeline = load_pipeline(settings)
            # Settings are shown as on the computer that asks: paths as they were typed there.
            described = {**describe(settings, pipeline, ABOUT_RUN), "settings": run.described["settings"]}
            if found := difference(run.described, described):
                raise MienError(found)
            loaded = _this_thread.loaded = _Loaded(run, settings, pipeline, described)
    return loaded


def difference(expected: Mapping[str, Any], found: Mapping[str, Any]) -> str | None:
    """The first difference between two computers that can change results, in one line; None if there is none.

    Args:
        expected: What `mien.batch.provenance.describe` says of the one.
        found: Of the other. Another processor or release of Python is allowed.
    """
    ours, theirs = dict(_facts(expected)), dict(_facts(found))
    for name in ours | theirs:
        if ours.get(name) != theirs.get(name):
            return f"expected {name} {ours.get(name, 'none')}, as here, found {theirs.get(name, 'none')}"
    return None


def _facts(described: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "mien", described["mien"]
    network, detector = described["network"], described["detector"]
    yield from ((f"network {name}", value) for name, value in network.items())
    yield "detector", detector["name"]
    yield from ((f"detector file {name}", value) for name, value in detector["sha256"].items())
    without = {"python"} | (KERAS_PACKAGES if str(network["runtime"]).startswith("LiteRT") else set())
    yield from ((f"package {name}", value) for name, value in described["packages"].items() if name not in without)


def _copy(folder: Path, job: Job, out: Path) -> str:
    """Copy a result below WORK, under a name that no other worker takes; which name."""
    name = f"{job.name}.{secrets.token_hex(8)}.part"
    target = out / WORK / name
    target.mkdir()  # the folder above it is there, unless this computer does not share it
    for path in products(folder, job):
        shutil.copytree(path, target / path.name) if path.is_dir() else shutil.copy(path, target)
    return name

"""One job: the files of a result folder, written under another name and renamed once they are complete."""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import cv2

from mien.analysis.pipeline import Pipeline
from mien.batch.analysis import Watcher, image_result, video_results, with_durations
from mien.batch.frames import Reading, Sampling
from mien.batch.image_outputs import ImageOutputs, ImagePictures
from mien.batch.inputs import IMAGES, Input, storable
from mien.batch.options import ABOUT_RUN, AnalyzeSettings
from mien.batch.outputs import VideoOutputs
from mien.batch.provenance import describe, digest
from mien.batch.urls import download
from mien.errors import MienError, one_line
from mien.results import Result

IMAGES_PER_JOB = 50
FAILURES = (MienError, ValueError, MemoryError, cv2.error)
"""What is wrong with an input; other exceptions are faults of the program."""
WORK = ".unfinished"
"""Folder for what is not complete, below that of the results."""

log = logging.getLogger("mien")

Progress = Callable[[int, float], None]
"""Is called with the number of analyzed frames and the analyzed share of a job, 0 to 1."""


class Audience(Watcher, Protocol):
    """Sees the pictures of a video while it is analyzed, and what its tables count."""

    def add(self, result: Result, duration_s: float) -> None:
        """Take what was found in the next frame, and how long it is shown in seconds, without gaps of time stamps."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is done as a whole: a video, or up to IMAGES_PER_JOB images.

    Args:
        name: Name of its result below the folder of all results.
        inputs: Its files.
    """

    name: str
    inputs: tuple[Input, ...]

    @property
    def is_video(self) -> bool:
        """Whether its input is a video, and the only one."""
        return not self.inputs[0].is_image

    @property
    def first(self) -> int:
        """Of a job with images: how many images come before it."""
        return int(self.name.rpartition("-")[2])


@dataclass(slots=True)
class Done:
    """What became of one input; plain types, one row of inputs.csv.

    Args:
        input: Its name.
        status: "done", "failed" or "skipped".
        reason: Why it is not done, or what is wrong with a file that is done, in one line.
        folder: Of its results; None if there are none.
        facts: Of the file: SHA-256, bytes, duration, frames.
    """

    input: str
    status: str
    reason: str | None = None
    folder: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def plan(inputs: Sequence[Input]) -> list[Job]:
    """Divide the inputs into jobs: each video alone, because the faces of a frame depend on all frames before it."""
    jobs = [Job(each.folder, (each,)) for each in inputs if not each.is_image]
    images = [each for each in inputs if each.is_image]
    for start in range(0, len(images), IMAGES_PER_JOB):
        jobs.append(Job(f".{IMAGES}-{start:08d}", tuple(images[start : start + IMAGES_PER_JOB])))
    return jobs


def products(out: Path, job: Job) -> list[Path]:
    """What a job leaves in the folder of all results; once the last one is there, all are.

    Args:
        out: The folder.
        job: A video, or images, of which `Worker.join_images` puts those of all jobs together.
    """
    return [out / job.name] if job.is_video else [out / WORK / job.name, out / WORK / f"{job.name}.json"]


class Worker:
    """Runs jobs with one pipeline.

        worker = Worker(settings, pipeline, command=["analyze", "clip.mp4", "--out", "results"])
        done = worker.run(job, lambda frames, share: None)

    Args:
        settings: How files are analyzed; `out` is a folder that exists.
        pipeline: Detects and classifies.
        command: The words of the command line, for `mien.json`.
        described: The attribute of another worker with the same settings, which takes time to find out; None if there
            is none.

    Attributes:
        command: The same.
        described: What determines the results, see `mien.batch.provenance.describe`.
    """

    def __init__(
        self,
        settings: AnalyzeSettings,
        pipeline: Pipeline,
        command: Sequence[str],
        described: dict[str, Any] | None = None,
    ) -> None:
        assert isinstance(settings.out, Path)
        self._settings = settings
        self._out = settings.out
        self._pipeline = pipeline
        self.command = list(command)
        self.described = described or describe(settings, pipeline, ABOUT_RUN)

    def run(self, job: Job, progress: Progress, watcher: Audience | None = None) -> list[Done]:
        """Do a job; an input that cannot be analyzed is reported, not raised.

        Args:
            job: The job.
            progress: Is called with each frame.
            watcher: Sees each frame of a video; not its picture if the outputs need that: a report or a video.

        Returns:
            What became of each input.

        Raises:
            OSError: Results cannot be written.
        """
        if not job.is_video:
            return self._images(job, progress)
        (each,) = job.inputs
        reading = Reading()
        try:
            with self._local(each) as file:
                facts = self._video(file, reading, progress, watcher)
        except OSError:
            raise
        except Exception as error:
            return [Done(each.name, "failed", _failure(each, error))]
        return [Done(each.name, "done", reading.faults, each.folder, facts)]

    def _video(self, each: Input, reading: Reading, progress: Progress, watcher: Audience | None) -> dict[str, Any]:
        facts = _file_facts(each)
        settings = self._settings
        sampling = Sampling(settings.fps, settings.start, settings.end)
        with whole_folder(self._out, each.folder) as folder:
            outputs = VideoOutputs(folder, settings, each.name, each.path, reading)
            try:
                seen_by: Watcher | None = outputs if outputs.watches else watcher
                landmarks = settings.landmarks
                found = video_results(
                    self._pipeline, each.path, each.name, sampling, reading, landmarks=landmarks, watcher=seen_by
                )
                with closing(found) as results:
                    for result, duration_s in with_durations(results, reading):
                        outputs.add(result, duration_s)
                        if watcher is not None:
                            watcher.add(result, duration_s)
                        progress(1, min(1.0, result.time_s / (reading.duration_s or math.inf)))
                if not outputs.frames:
                    raise MienError(
                        f"expected frames from --start to --end, found none in {reading.end_s:g} s of video"
                    )
                facts |= {"duration_s": reading.duration_s, "decoded_s": round(reading.end_s, 6)}
                frames = _frame_facts(reading, outputs)
                described = {"input": {"name": each.name, **facts}, "frames": frames, **self.described}
                video = outputs.close(described, self.command)
            except BaseException:
                outputs.abandon()
                raise
        return facts | frames | video

    def _images(self, job: Job, progress: Progress) -> list[Done]:
        """Write rows and facts to one file in the folder WORK, and pictures to a folder; `join_images` joins them."""
        done: list[Done] = []
        rows: list[dict[str, Any]] = []
        with whole_folder(self._out / WORK, job.name, self._out / WORK) as folder:
            pictures = ImagePictures(folder, self._settings, job.first)
            for number, each in enumerate(job.inputs):
                one, result, data = self._image(each)
                pictures.add(number, data, result)
                done.append(one)
                rows += result.rows()
                progress(1, (number + 1) / len(job.inputs))
        part = {"rows": rows, "thumbnails": pictures.thumbnails, "done": [asdict(one) for one in done]}
        path = products(self._out, job)[-1]
        unfinished = path.with_suffix(f".{os.getpid()}.part")
        unfinished.write_text(json.dumps(part), encoding="utf-8")
        unfinished.replace(path)
        return done

    def _image(self, each: Input) -> tuple[Done, Result, bytes | None]:
        """What became of an image, what was found in it, and its file, if that is an image."""
        try:
            with self._local(each) as file:
                facts, data = _file_facts(file), file.path.read_bytes()
            result = image_result(self._pipeline, data, each.name, landmarks=self._settings.landmarks)
        except Exception as error:
            reason = _failure(each, error)
            return Done(each.name, "failed", reason), Result(each.name, 0, 0.0, 0, 0, (), reason), None
        facts |= {"width": result.width, "height": result.height, "faces": len(result.faces)}
        return Done(each.name, "done", None, IMAGES, facts), result, data

    @contextmanager
    def _local(self, each: Input) -> Iterator[Input]:
        """The input as a file of this computer; one that a URL names is downloaded, and deleted at the end."""
        if each.url is None:
            yield each
            return
        folder = self._out / WORK / f".input.{os.getpid()}.part"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / each.path.name
        try:
            download(each.url, path)
            yield replace(each, path=path)
        except MienError as error:  # the same message on each run
            raise MienError(str(error).replace(str(path), each.name)) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def has_part(self, job: Job) -> bool:
        """Whether a job with images left what `join_images` needs."""
        return products(self._out, job)[-1].exists()

    def join_images(self, jobs: Sequence[Job]) -> None:
        """Write the tables of all images from the parts that their jobs left.

        Args:
            jobs: All jobs with images, done before.
        """
        with whole_folder(self._out, IMAGES) as folder:
            outputs = ImageOutputs(folder, self._settings)
            for job in jobs:
                part = json.loads(products(self._out, job)[-1].read_text(encoding="utf-8"))
                outputs.add(part, self._out / WORK / job.name)
            outputs.close(self.described, self.command)


@contextmanager
def whole_folder(out: Path, name: str, work: Path | None = None) -> Iterator[Path]:
    """A folder that appears under its name once the body has ended without an error, and only then.

    Args:
        out: Folder of all results.
        name: Its name; an older folder of this name is replaced.
        work: Where it is until then, by default the folder WORK in `out`.

    Yields:
        The folder to write to.
    """
    unfinished = (work or out / WORK) / f"{name}.{os.getpid()}.part"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        if (out / name).exists():
            shutil.rmtree(out / name)
        unfinished.replace(out / name)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _failure(each: Input, error: Exception) -> str:
    """Why an input failed; a fault of the program, which ends no run, is logged with its traceback."""
    reason = storable(one_line(error))
    if isinstance(error, (*FAILURES, OSError)):
        return reason
    log.error("%s: unexpected error", each.name, exc_info=error)
    return f"unexpected {type(error).__name__}: {reason}"


def _file_facts(each: Input) -> dict[str, Any]:
    try:
        return {"sha256": digest(each.path), "bytes": each.path.stat().st_size}
    except OSError as error:
        raise MienError(f"{each.name} cannot be read: {error.strerror}") from error


def _frame_facts(reading: Reading, outputs: VideoOutputs) -> dict[str, Any]:
    unreadable = [{"time_s": time_s, "reason": reason} for time_s, reason in reading.unreadable]
    return {
        "read": reading.frames,
        "passed_over": reading.passed_over,
        "analyzed": outputs.frames,
        "with_face": outputs.with_face,
        "dropped": 0,
        "unreadable": unreadable,
        "unreadable_parts": reading.unreadable_parts,
        "remarks": reading.remarks,
        "decoded_from_start": reading.decoded_from_start,
    }

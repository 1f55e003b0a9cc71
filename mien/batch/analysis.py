"""From a file to results: every frame of a video in media time, or one image."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Protocol

from mien import app
from mien.analysis.face_stream import FaceStream
from mien.analysis.pipeline import Pipeline
from mien.analysis.uploads import analyze_image
from mien.batch.frames import Reading, Sampling, read_frames
from mien.cnn.logit_adjustment import read_adjustment
from mien.detectors import create_detector
from mien.errors import ModelError
from mien.landmarks.network import shared_network
from mien.results import Result
from mien.settings import AnalysisSettings
from mien.types import Analysis, Frame


def load_pipeline(settings: AnalysisSettings) -> Pipeline:
    """Load detector and network; networks are not compiled in the background, because later results would differ.

    Args:
        settings: How faces are detected and classified.

    Raises:
        DetectorError, LandmarkError, ModelError: One is missing or broken.
    """
    if settings.landmarks:
        shared_network()
    adjustment = read_adjustment(settings.model)
    if settings.rare is not None:
        if adjustment is None:
            raise ModelError(f"--rare: expected a network with base rates, found {settings.model} without")
        adjustment.rare = settings.rare
    detector = create_detector(settings.detector, min_face_px=settings.min_face, model_file=settings.detector_model)
    classifier = app.load("model").FacialExpressionModel(
        settings.model,
        settings.weights,
        labels=settings.labels,
        input_scale=settings.input_scale,
        pixels=settings.pixels,
        runtime=settings.runtime,
    )
    classifier.adjustment = adjustment
    return Pipeline(detector, classifier, unsure_below=settings.unsure, min_quality=settings.min_quality)


class Watcher(Protocol):
    """Sees the pictures of a video while it is analyzed.

    Example:
        results = video_results(pipeline, "clip.mp4", "clip.mp4", watcher=outputs)
    """

    def show(self, frame: Frame, analysis: Analysis, result: Result) -> None:
        """Take the next analyzed frame, what was found in it, and the result that the tables get."""

    def show_between(self, frame: Frame) -> None:
        """Take a frame that is not analyzed."""


def video_results(
    pipeline: Pipeline,
    path: Path | str,
    name: str,
    sampling: Sampling | None = None,
    reading: Reading | None = None,
    *,
    landmarks: bool = False,
    watcher: Watcher | None = None,
) -> Generator[Result]:
    """Analyze a video in media time; no clock of the computer has an influence.

    Args:
        pipeline: Detects and classifies.
        path: The video file.
        name: Its name in the results.
        sampling: Which frames are analyzed, by default all.
        reading: Is updated with what was read.
        landmarks: Whether to find the landmarks of the faces too.
        watcher: Sees each frame of the sampling's span, those too that its rate leaves out.

    Yields:
        One result for each analyzed frame, in order, whether or not it shows a face.

    Raises:
        SourceError: As for `mien.batch.frames.read_frames`.
    """
    stream = FaceStream(pipeline)
    between = None if watcher is None else watcher.show_between
    with closing(read_frames(path, sampling, reading, between)) as frames:
        for frame in frames:
            time_s = frame.media_time_s or 0.0
            analysis = stream.analyze(frame, time_s, landmarks=landmarks)
            result = Result.of(analysis, input=name, frame=frame.index, time_s=time_s)
            if watcher is not None:
                watcher.show(frame, analysis, result)
            yield result


def image_result(pipeline: Pipeline, data: bytes, name: str, *, landmarks: bool = False) -> Result:
    """Analyze a single image.

    Args:
        pipeline: Detects and classifies.
        data: The content of the file.
        name: Its name in the results.
        landmarks: Whether to find the landmarks of its faces too.

    Raises:
        ImageError: It is not an image, is broken, or is too large.
    """
    return Result.of(analyze_image(data, partial(pipeline.analyze, landmarks=landmarks)), input=name)


def with_durations(results: Iterable[Result], reading: Reading) -> Iterator[tuple[Result, float]]:
    """Add to each result how long its frame is shown: until the next analyzed frame, the last until the end.

    Gaps where time stamps jump are left out, see `mien.batch.times`.

    Args:
        results: Results of one video, in order.
        reading: What was read of it, up to date whenever a result arrives.

    Yields:
        Results and seconds.
    """
    previous: Result | None = None
    gap_s = 0.0
    for result in results:
        if previous is not None:
            yield previous, result.time_s - previous.time_s - (reading.gap_s - gap_s)
        previous, gap_s = result, reading.gap_s
    if previous is not None:
        yield previous, max(0.0, reading.end_s - previous.time_s - (reading.gap_s - gap_s))

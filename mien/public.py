"""The Python API: images, videos and cameras in three lines, from any working directory."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mien import app
from mien.errors import SourceMissingError
from mien.results import Result
from mien.types import Frame

if TYPE_CHECKING:
    from camera import VideoCamera
    from mien.analysis.pipeline import Pipeline
    from model import FacialExpressionModel as FacialExpressionModel  # noqa: PLC0414 - `mien` exports it


def analyze_image(
    image: str | Path | bytes | np.ndarray,
    *,
    detector: str = "auto",
    landmarks: bool = False,
    model: FacialExpressionModel | None = None,
) -> Result:
    """Find the faces of one image and their expressions.

    Args:
        image: The path of an image file, the bytes of one, or its pixels: uint8 (height, width, 3), blue-green-red as
            OpenCV reads them, or (height, width) gray.
        detector: What finds faces: "auto", "haar", "centerface", "dlib" or "mtcnn".
        landmarks: Whether to find landmarks and the pose of the head too.
        model: The network, by default the shipped one: `mien.FacialExpressionModel("mine.keras", pixels="0..1")`.

    Returns:
        The faces, from left to right; boxes in pixels of the upright image.

    Raises:
        DetectorError, ModelError: The detector or the network is missing or broken.
        LandmarkError: Landmarks are asked for, and their networks are not installed.
        SourceMissingError: There is no such file.
        ImageError: It is not an image, is broken, or is too large.
        ValueError: Pixels of another type or shape.
    """
    from mien.analysis.uploads import analyze_image as analyze_file

    analyze = functools.partial(_pipeline(detector, model).analyze, landmarks=landmarks)
    if isinstance(image, np.ndarray):
        return Result.of(analyze(Frame(_as_bgr(image))), input=None)
    if isinstance(image, bytes | bytearray | memoryview):
        return Result.of(analyze_file(bytes(image), analyze), input=None)
    return Result.of(analyze_file(_read(Path(image)), analyze), input=str(image))


def analyze_video(
    path: str | Path,
    fps: float | None = None,
    *,
    detector: str = "auto",
    landmarks: bool = False,
    model: FacialExpressionModel | None = None,
) -> Iterator[Result]:
    """Analyze a video frame by frame, in media time: the same file gives the same results on every run.

    Faces are tracked, so that each has a number, and their probabilities are smoothed over time. Only the
    current frame is kept in memory.

    Args:
        path: A video file, any that FFmpeg reads.
        fps: At most this many frames per second of media time; None for every frame.
        detector: What finds faces: "auto", "haar", "centerface", "dlib" or "mtcnn".
        landmarks: Whether to find landmarks and the poses of heads too.
        model: The network, as for `analyze_image`.

    Yields:
        One result for each frame, in order, whether or not it shows a face.

    Raises:
        DetectorError, ModelError: The detector or the network is missing or broken.
        LandmarkError: Landmarks are asked for, and their networks are not installed.
        SourceMissingError: There is no such file, or it is not a video.
        ValueError: `fps` is not above 0.
    """
    from mien.batch.analysis import video_results
    from mien.batch.frames import Sampling

    sampling = Sampling(fps)
    pipeline = _pipeline(detector, model)
    with closing(video_results(pipeline, path, str(path), sampling, landmarks=landmarks)) as results:
        yield from results


def open_camera(
    source: str | int = "auto",
    *,
    detector: str = "auto",
    model: FacialExpressionModel | None = None,
    **options: Any,
) -> VideoCamera:
    """A camera, video or the demo as a stream of annotated frames, as the program shows them.

        with mien.open_camera(0) as camera:
            jpeg = camera.get_frame()

    Args:
        source: "auto", "demo", a webcam's index, a file, or an address, as `--source` takes it.
        detector: What finds faces: "auto", "haar", "centerface", "dlib" or "mtcnn".
        model: The network, as for `analyze_image`.
        **options: Keyword arguments of `camera.VideoCamera`.

    Returns:
        A camera, not started yet: `with` or the first `get_frame` starts it.

    Raises:
        ModelError, DetectorError: The network or the detector is missing or broken.
    """
    return app.load("camera").VideoCamera(str(source), _pipeline(detector, model), **options)


@functools.lru_cache(maxsize=8)
def _pipeline(detector: str, model: FacialExpressionModel | None) -> Pipeline:
    """The detector and the network, by default the shipped one, loaded once."""
    from mien.analysis.pipeline import Pipeline
    from mien.detectors import create_detector

    return Pipeline(create_detector(detector), model or app.load("model").FacialExpressionModel())


def __getattr__(name: str) -> Any:
    if name != "FacialExpressionModel":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return app.load("model").FacialExpressionModel


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise SourceMissingError(f"expected an image file, found no file {path}") from error
    except OSError as error:
        raise SourceMissingError(f"expected an image file, but {path} cannot be read: {error.strerror}") from error


def _as_bgr(pixels: np.ndarray) -> np.ndarray:
    return np.repeat(pixels[..., np.newaxis], 3, axis=2) if pixels.ndim == 2 else pixels

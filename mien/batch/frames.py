"""The frames of a video file in media time: all of them, or a number per second; none is dropped for being late."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mien.errors import MienError, SourceError, SourceMissingError
from mien.types import Frame

FALLBACK_FPS = 25
"""Frame rate of a file that states none and has no time stamps."""

DECODER_THREADS = 2
"""The same on each computer: with more threads, the decoder reports unreadable parts later."""

_ROTATIONS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which frames of a video are analyzed.

    Args:
        fps: At most this many frames per second of media time, evenly spaced; None for every frame.
        start_s: From this media time on, in seconds.
        end_s: Up to, but without, this media time; None for the whole file.

    Raises:
        ValueError: `fps` is not above 0.

    Example:
        read_frames("clip.mp4", Sampling(fps=5, start_s=60))
    """

    fps: float | None = None
    start_s: float = 0.0
    end_s: float | None = None

    def __post_init__(self) -> None:
        if self.fps is not None and not 0 < self.fps < math.inf:
            raise ValueError(f"fps: expected a number above 0, found {self.fps}")


@dataclass(frozen=True, slots=True)
class Timing:
    """How media times relate to the time stamps of the file; all in seconds.

    Args:
        first: Time stamp of the first frame, at which media time is 0.
        time_base: Unit of the time stamps.
        interval: Between two frames, as the file states it on average.
    """

    first: Fraction
    time_base: Fraction
    interval: Fraction


@dataclass(slots=True)
class Reading:
    """What was read of a video so far; `read_frames` fills it in.

    Attributes:
        frames: Frames decoded, those left out by the sampling too.
        end_s: Media time at which the last decoded frame ends, at most the end of the sampling; in seconds.
        duration_s: Length that the file states, in seconds; None if it states none.
        unreadable: Parts that could not be decoded: (media time in seconds or None if unknown, reason).
        timing: Known from the first frame on.
    """

    frames: int = 0
    end_s: float = 0.0
    duration_s: float | None = None
    unreadable: list[tuple[float | None, str]] = field(default_factory=list)
    timing: Timing | None = None


def read_frames(
    path: Path | str,
    sampling: Sampling | None = None,
    reading: Reading | None = None,
    between: Callable[[Frame], None] | None = None,
) -> Generator[Frame]:
    """Decode a video file with PyAV (FFmpeg), upright and with square pixels.

    Rotation metadata and the pixel aspect ratio are honored. Frames come in the order in which they are shown.

    Args:
        path: A video file, any that FFmpeg reads; an animated image too.
        sampling: Which frames to return, by default all.
        reading: Is updated with each decoded frame.
        between: Is called with each frame from start to end that the rate of the sampling leaves out.

    Yields:
        Frames; `index` counts all frames of the file from 0, those left out too, and `media_time_s` is the time in the
        file in seconds, 0 at the first frame and always rising. `captured_at` equals `media_time_s`.

    Raises:
        SourceMissingError: There is no such file, or no video in it.
        SourceError: The file breaks off in a way that leaves nothing to decode.
        MienError: The package av is not installed.
    """
    sampling = sampling or Sampling()
    reading = reading or Reading()
    end_s = math.inf if sampling.end_s is None else sampling.end_s
    next_s = 0.0
    for index, (time_s, convert) in enumerate(_decoded(Path(path), reading)):
        reading.end_s = min(reading.end_s, end_s)
        if time_s >= end_s:
            return
        if time_s < sampling.start_s:
            continue
        if time_s < next_s - 1e-6:
            if between is not None:
                between(Frame(convert(), index=index, captured_at=time_s, media_time_s=time_s))
            continue
        if sampling.fps is not None:
            next_s = (math.floor(time_s * sampling.fps + 1e-6) + 1) / sampling.fps
        yield Frame(convert(), index=index, captured_at=time_s, media_time_s=time_s)


def _decoded(path: Path, reading: Reading) -> Iterator[tuple[float, Callable[[], np.ndarray]]]:
    """(time in seconds from 0, function that returns the pixels) of each frame of the first video stream."""
    try:
        import av
        from av.video.reformatter import VideoReformatter
    except ModuleNotFoundError as error:
        raise MienError("expected the package av to read videos, found none; pip install av installs it") from error
    if not path.is_file():
        raise SourceMissingError(f"expected a video file, found no file {path}")
    try:
        container = av.open(str(path.absolute()))
    except (av.error.FFmpegError, OSError) as error:
        raise SourceMissingError(f"expected a video file, found {path}, which cannot be read as one") from error
    with container:
        videos = [each for each in container.streams.video if not each.disposition & each.disposition.attached_pic]
        if not videos:
            raise SourceMissingError(f"expected a video file, found {path}, which has no video in it")
        video = videos[0]
        video.thread_type = "AUTO"
        video.codec_context.thread_count = DECODER_THREADS
        pixel_aspect = float(video.sample_aspect_ratio or 1)
        reading.duration_s = _stated_duration_s(container, video)
        reformatter = VideoReformatter()  # one for all frames: to_ndarray would prepare another for each
        for time_s, picture in _in_time(path, container, video, reading):
            yield time_s, partial(_upright_bgr, picture, reformatter, pixel_aspect)


def _stated_duration_s(container: Any, video: Any) -> float | None:
    if video.duration is not None and video.time_base is not None:
        return float(video.duration * video.time_base)
    return None if container.duration is None else container.duration / 1e6  # in microseconds


def _in_time(path: Path, container: Any, video: Any, reading: Reading) -> Iterator[tuple[float, Any]]:
    import av

    interval = 1 / Fraction(video.average_rate or video.guessed_rate or FALLBACK_FPS)
    first: Fraction | None = None
    last: Fraction | None = None
    packet = None
    packets = container.demux(video)
    while True:
        try:
            packet = next(packets, None)
            pictures = [] if packet is None else packet.decode()
        except av.error.InvalidDataError as error:  # one broken packet does not end the video
            log.warning("%s: a part of the video cannot be decoded: %s", path.name, error)
            stamp = None if packet is None or packet.pts is None else packet.pts * packet.time_base - (first or 0)
            reading.unreadable.append((None if stamp is None else round(float(stamp), 6), str(error.strerror)))
            continue
        except av.error.FFmpegError as error:
            raise SourceError(f"{path}: the video cannot be decoded further: {error}") from error
        if packet is None:
            break
        for picture in pictures:
            stamp = None if picture.pts is None else picture.pts * picture.time_base
            if first is None:
                first = stamp or Fraction(0)
                at = Fraction(0)
                reading.timing = Timing(first, Fraction(video.time_base), interval)
            else:
                assert last is not None
                at = last + interval if stamp is None or stamp - first <= last else stamp - first
            reading.frames += 1
            reading.end_s = float(at + (interval if last is None else at - last))
            last = at
            yield float(at), picture
    if first is None:
        raise SourceMissingError(f"expected a video file, found {path}, which has no picture that can be decoded")


def _upright_bgr(picture: Any, reformatter: Any, pixel_aspect: float) -> np.ndarray:
    """uint8 (height, width, 3), blue-green-red, with square pixels and rotated as the file asks."""
    pixels = reformatter.reformat(picture, format="bgr24").to_ndarray()
    if pixel_aspect != 1:
        height, width = pixels.shape[:2]
        pixels = cv2.resize(pixels, (max(1, round(width * pixel_aspect)), height), interpolation=cv2.INTER_LINEAR)
    rotation = _ROTATIONS.get(round(picture.rotation) % 360)
    return pixels if rotation is None else cv2.rotate(pixels, rotation)

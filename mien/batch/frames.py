"""The frames of a video file in media time: all of them, or a number per second; none is dropped for being late."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mien.batch.decoding import Fault, open_video, pictures_and_faults
from mien.batch.read_ahead import read_ahead
from mien.batch.seeking import CannotSeekError, KeyFrame, check_following, find_key_frame, packets_from
from mien.batch.times import MediaTimes
from mien.errors import SourceMissingError
from mien.sources.decoder import FALLBACK_FPS, packets_of
from mien.sources.upright import PictureConverter
from mien.types import Frame

DECODER_THREADS = 1
"""With more, a damaged video differs from run to run: how damage is concealed depends on which thread is faster."""
FRAMES_AHEAD = 4
"""Decoded while earlier ones are analyzed, so that one thread of the decoder takes less time than two without it."""
MOST_LISTED = 100
"""Parts that could not be decoded are listed up to this number, and counted beyond."""
MISSING_S, MISSING_SHARE = 1.0, 0.02
"""A video whose end is missing by more than this is reported; durations that files state are not exact."""
EXACT_DURATIONS = {"mov", "matroska", "avi"}
"""Formats whose files state their duration; that of others is estimated."""

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
        passed_over: Frames before those, which were not decoded because the sampling starts after them.
        end_s: Media time at which the last decoded frame ends, at most the end of the sampling; in seconds.
        last_lasts_s: How long the file says that this frame lasts, in seconds; 0 if it does not say.
        duration_s: Length that the file states, in seconds; None if it states none.
        timing: Known from the first frame on.
        gap_s: Seconds of media time in which no frame counts as shown, see `mien.batch.times.MediaTimes`.
        unreadable: The first MOST_LISTED parts that could not be decoded: (media time in seconds or None if unknown,
            reason).
        unreadable_parts: How many there are.
        remarks: What else is wrong with the file, in words.
        decoded_from_start: Why frames before the start of the sampling were decoded; None if that was not necessary.
    """

    frames: int = 0
    passed_over: int = 0
    end_s: float = 0.0
    last_lasts_s: float = 0.0
    duration_s: float | None = None
    gap_s: float = 0.0
    unreadable: list[tuple[float | None, str]] = field(default_factory=list)
    timing: Timing | None = None
    unreadable_parts: int = 0
    remarks: list[str] = field(default_factory=list)
    decoded_from_start: str | None = None

    def cannot_decode(self, time_s: float | None, reason: str) -> None:
        """Note a part that could not be decoded.

        Args:
            time_s: Its media time in seconds; None if unknown.
            reason: Why.
        """
        self.unreadable_parts += 1
        if len(self.unreadable) < MOST_LISTED:
            self.unreadable.append((None if time_s is None else round(time_s, 6), reason))

    def begin_again(self, reason: str) -> None:
        """Forget the frames decoded from a key frame on.

        Args:
            reason: Why the video has to be decoded from the beginning.
        """
        self.frames = self.passed_over = self.unreadable_parts = 0
        self.end_s = self.gap_s = 0.0
        self.unreadable, self.remarks, self.timing = [], [], None
        self.decoded_from_start = reason

    def check_end(self, last_s: float, first_s: float) -> None:
        """Note that frames are missing at the end that the file states.

        Args:
            last_s: Time of the last frame in seconds from the first; it lasts for `last_lasts_s`.
            first_s: That of the first frame in the file.
        """
        stated_s = (self.duration_s or 0.0) - max(0.0, first_s)
        if last_s + self.last_lasts_s < stated_s - max(MISSING_S, MISSING_SHARE * stated_s):
            self.remarks.append(f"the last frame is at {last_s:.1f} s of {stated_s:.1f} s")

    @property
    def faults(self) -> str | None:
        """What is wrong with the file, in one line; None for a file without faults."""
        parts = self.unreadable_parts
        decoded = [f"{parts} part{'s' if parts > 1 else ''} of the video cannot be decoded"] if parts else []
        return "; ".join([*self.remarks, *decoded]) or None


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
    next_s = gap_s = 0.0
    for index, time_s, convert in _decoded(Path(path), reading, sampling.start_s):
        if time_s >= end_s:  # the frame before may end earlier, if a gap follows it
            reading.end_s, reading.gap_s = min(end_s, time_s - (reading.gap_s - gap_s)), gap_s
            return
        reading.end_s, gap_s = min(reading.end_s, end_s), reading.gap_s
        if time_s < sampling.start_s:
            continue
        if time_s < next_s - 1e-6:
            if between is not None:
                between(Frame(convert(), index=index, captured_at=time_s, media_time_s=time_s))
            continue
        if sampling.fps is not None:
            next_s = (math.floor(time_s * sampling.fps + 1e-6) + 1) / sampling.fps
        yield Frame(convert(), index=index, captured_at=time_s, media_time_s=time_s)


_Decoded = Iterator[tuple[int, float, Callable[[], np.ndarray]]]
"""Index, time in seconds from 0 and a function that returns the pixels, for frames of the first video stream."""


def _decoded(path: Path, reading: Reading, start_s: float) -> _Decoded:
    """All frames; those before `start_s` may be left out."""
    if start_s > 0:
        try:
            with open_video(path) as (container, video):
                key = find_key_frame(container, video, start_s)
            yield from _decoded_from(path, reading, key)
        except CannotSeekError as error:  # before a frame from `start_s` on is decoded
            reading.begin_again(str(error))
        else:
            return
    yield from _decoded_from(path, reading, None)


def _decoded_from(path: Path, reading: Reading, key: KeyFrame | None) -> _Decoded:
    with open_video(path) as (container, video):
        video.codec_context.thread_count = DECODER_THREADS
        convert = PictureConverter(video.sample_aspect_ratio)
        reading.duration_s = _stated_duration_s(container, video)
        for time_s, picture in _in_time(path, container, video, reading, key):
            index = reading.passed_over + reading.frames - 1
            yield index, time_s, partial(convert, picture)
        if not reading.remarks and container.format.name.split(",")[0] in EXACT_DURATIONS:
            reading.check_end(time_s, float((video.start_time or 0) * video.time_base))


def _stated_duration_s(container: Any, video: Any) -> float | None:
    if container.format.name == "avi" and video.frames and video.average_rate:
        return float(video.frames / video.average_rate)  # its duration is what is left of a truncated file
    if video.duration is not None and video.time_base is not None:
        return float(video.duration * video.time_base)
    return None if container.duration is None else container.duration / 1e6  # in microseconds


def _in_time(
    path: Path, container: Any, video: Any, reading: Reading, key: KeyFrame | None
) -> Iterator[tuple[float, Any]]:
    """The time of each picture from a key frame on, or from the beginning."""
    interval = 1 / Fraction(video.average_rate or video.guessed_rate or FALLBACK_FPS)
    times = MediaTimes(interval)
    if key is None:
        packets = packets_of(container, video)
    else:
        for stamp in key.before:
            times.next(int(stamp) * video.time_base)
        reading.passed_over = len(key.before)
        packets = packets_from(container, video, key)
    with closing(read_ahead(pictures_and_faults(path, packets, video), FRAMES_AHEAD)) as decoded:
        pictures = _without_faults(path, decoded, reading, times)
        try:
            for picture in pictures if key is None else check_following(pictures, key):
                unit = picture.time_base or video.time_base
                lasts = (picture.duration or 0) * unit
                at = times.next(None if picture.pts is None else picture.pts * unit, lasts or None)
                reading.frames += 1
                if reading.timing is None:
                    reading.timing = Timing(times.first, Fraction(video.time_base), interval)
                reading.end_s, reading.gap_s = float(times.end), times.gap_s
                reading.last_lasts_s = float(lasts)
                yield float(at), picture
        finally:
            if times.jumps:
                reading.remarks.append(times.described)
    if not reading.frames:
        raise SourceMissingError(f"expected a video file, found {path}, which has no picture that can be decoded")


def _without_faults(path: Path, decoded: Iterable[Any], reading: Reading, times: MediaTimes) -> Iterator[Any]:
    """The pictures; takes note of the faults between them."""
    for each in decoded:
        if not isinstance(each, Fault):
            yield each
        elif each.breaks_off:
            log.warning("%s: the file breaks off: %s", path.name, each.error)
            reading.remarks.append(f"the file breaks off after {reading.end_s:.1f} s: {each.error.strerror}")
        else:
            if not reading.unreadable_parts:
                log.warning("%s: a part of the video cannot be decoded: %s", path.name, each.error)
            time = None if each.stamp is None else times.of(each.stamp)
            reading.cannot_decode(None if time is None else float(time), str(each.error.strerror))

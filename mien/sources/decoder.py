"""Open videos with PyAV (FFmpeg), within limits: files, videos on web servers, network cameras.

One decoder for all of them, in the live program and in `analyze`, so that both see the same pictures. Only the expected
formats and protocols are allowed: FFmpeg would also follow lists of other files and open ports for streams.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mien.errors import MienError, SourceError, SourceMissingError
from mien.filetypes import FileType, describe, read_head
from mien.images.animation import media_type
from mien.images.codecs import MAX_IMAGE_PIXELS
from mien.sources.upright import PictureConverter, believed_aspect

DECODER_THREADS = 2
"""The same on each computer: with more threads, the decoder reports unreadable parts later, and delays pictures."""
FALLBACK_FPS = 25
"""Frame rate of a video that states none and has no time stamps."""
MAX_FPS = 1000
"""Slow motion has up to 960. A video that states this or more, with times that are as close, is taken to have
FALLBACK_FPS. Where most times are further apart, they count: this is also the finest step of time in Matroska files."""
MAX_UNREADABLE = 1000
"""So many unreadable parts in a row end a video; a camera may begin with those of some seconds."""


@dataclass(frozen=True, slots=True)
class Access:
    """What FFmpeg may open.

    Args:
        formats: Names of its demuxers.
        protocols: Names of its protocols.
        timeout_s: Longest wait for a connection, and then for each part; None to wait forever.
        options: Further options of its demuxers.
    """

    formats: tuple[str, ...]
    protocols: tuple[str, ...]
    timeout_s: float | None = None
    options: tuple[tuple[str, str], ...] = ()


class Readable(Protocol):
    """What gives the bytes of a video, such as `mien.sources.http_client.Body`."""

    def read(self, size: int) -> bytes:
        """The next bytes, at most so many; none at the end. Raises OSError."""

    def restart(self) -> None:
        """Begin to count the time-out anew."""

    def close(self) -> None:
        """Close what is read; may be called twice."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture.

    Args:
        time_s: When it is shown, in seconds; 0 for the first, and always rising.
        decoded: The `av.VideoFrame`.
    """

    time_s: float
    decoded: Any


def file_type(path: Path, expected: str = "a video or image file") -> FileType:
    """The type of a video or image file; an animated image is a video.

    Args:
        path: The file.
        expected: What it should be, for messages.

    Raises:
        SourceMissingError: It cannot be read, or is neither video nor image.
    """
    try:
        head = read_head(path)
        kind = media_type(path)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        reason = error.strerror if isinstance(error, OSError) else error
        raise SourceMissingError(f"expected {expected}, but {path} cannot be read: {reason}") from error
    if not head:
        raise SourceMissingError(f"expected {expected}, found {path}, which is empty")
    if kind is None or not kind.usable:
        raise SourceMissingError(f"expected {expected}, found {path}, which is {describe(head)}")
    return kind


def import_av() -> Any:
    """The module av, imported only where a video is opened.

    Raises:
        MienError: It is not installed.
    """
    try:
        import av
    except ModuleNotFoundError as error:
        raise MienError("expected the package av to read videos, found none; pip install av installs it") from error
    return av


def open_container(location: str | Readable, access: Access, io_open: Callable[..., Readable] | None = None) -> Any:
    """Open a video, whose streams are not chosen yet.

    Args:
        location: An absolute path, a URL, or what gives the bytes themselves.
        access: What FFmpeg may open.
        io_open: Opens URLs instead of FFmpeg, called with URL, flags and options.

    Returns:
        An `av.container.InputContainer`, which decodes no picture above the limit for images.

    Raises:
        av.error.FFmpegError, OSError: It cannot be opened.
        MienError: The package av is not installed.
    """
    av = import_av()
    options = {
        "format_whitelist": ",".join(access.formats),
        "protocol_whitelist": ",".join(access.protocols),
        "max_pixels": str(MAX_IMAGE_PIXELS),  # for the first pictures, which are decoded to learn the format
        **dict(access.options),
    }
    timeout = None if access.timeout_s is None else (access.timeout_s, access.timeout_s)
    only = access.formats[0] if len(access.formats) == 1 else None  # else FFmpeg would also judge by the name
    # Titles may be in any encoding; they are not read, but av decodes them.
    return av.open(location, format=only, options=options, timeout=timeout, metadata_errors="replace", io_open=io_open)


def open_video_file(path: Path, kind: FileType) -> Any:
    """Open a video file, whose streams are not chosen yet.

    Args:
        path: The file.
        kind: Its type; only the demuxer for this type is tried.

    Returns:
        As `open_container` does.

    Raises:
        SourceMissingError: It is no video, or broken.
    """
    if kind.media != "video":
        raise SourceMissingError(f"expected a video file, found {path}, which is {kind.text}")
    av = import_av()
    try:
        return open_container(str(path.absolute()), Access((kind.ffmpeg,), ("file",)))
    except (av.error.FFmpegError, OSError) as error:
        raise SourceMissingError(
            f"expected a video file, found {path}, {kind.text} that cannot be read: it is broken or cut off"
        ) from error


def choose_stream(container: Any, name: str) -> Any:
    """The video stream to decode, set up within limits.

    Args:
        container: The open container.
        name: Of the video, for messages.

    Raises:
        SourceMissingError: It has no video, but perhaps a cover picture, or its pictures are too large.
    """
    videos = [each for each in container.streams.video if not each.disposition & each.disposition.attached_pic]
    if not videos:
        found = "only a cover picture" if container.streams.video else "no video in it"
        raise SourceMissingError(f"{name}: expected a video, found {found}")
    # An animated AVIF has its first picture as a stream of its own; otherwise the first stream is the video.
    video = max(videos, key=lambda each: each.frames > 1)
    if video.codec_context is None:
        raise SourceMissingError(f"{name}: expected a video in a format that FFmpeg decodes, found another")
    widened = max(1.0, believed_aspect(video.sample_aspect_ratio))
    width, height = round(video.width * widened), video.height
    if width * height > MAX_IMAGE_PIXELS:
        square = " with square pixels" if widened > 1 else ""
        raise SourceMissingError(
            f"{name}: expected a video of at most {MAX_IMAGE_PIXELS / 1e6:g} megapixels, "
            f"found {width}x{height}{square}, {width * height / 1e6:.0f} megapixels"
        )
    video.codec_context.options = {"max_pixels": str(int(MAX_IMAGE_PIXELS / widened))}  # pictures may grow later
    video.codec_context.thread_count = DECODER_THREADS
    video.thread_type = "AUTO"
    return video


def packets_of(container: Any, video: Any) -> Iterator[Any]:
    """The packets of a stream, or of several, as `demux` of PyAV yields them.

    That fails after the last one where another stream has appeared meanwhile, as in MPEG-TS.

    Args:
        container: The open container.
        video: The stream, or a list of them.
    """
    packets = container.demux(video)
    while True:
        try:
            packet = next(packets, None)
        except IndexError:
            return
        if packet is None:
            return
        yield packet


class PictureTimes:
    """When each picture of a video is shown.

    Some files have no times, or times that decrease: then the frame rate counts.

        times = PictureTimes(Fraction(25))
        times.next_s(Fraction(7, 2))  # 0.0
        times.next_s(None)  # 0.04

    Args:
        stated_fps: Frame rate that the video states; None if it states none.

    Attributes:
        interval_s: Time from one picture to the next where the video does not say, in seconds.
    """

    def __init__(self, stated_fps: Fraction | None) -> None:
        fps = float(stated_fps or FALLBACK_FPS)
        self._is_absurd = not 0 < fps < MAX_FPS
        self.interval_s = 1 / (FALLBACK_FPS if self._is_absurd else fps)
        self._first: Fraction | None = None
        self._stamp = Fraction(0)  # of the previous picture, from the first one on
        self._surplus = 0  # steps of time as short as at MAX_FPS, less the longer ones
        self._time_s: float | None = None  # of the previous picture
        self._added_s = 0.0

    def next_s(self, stamp: Fraction | None) -> float:
        """The time of the next picture in seconds; 0 for the first, and always rising.

        Args:
            stamp: The time in the file, in seconds; None if it has none.
        """
        if self._time_s is None:
            self._first = stamp
            self._time_s = 0.0
            return 0.0
        time_s = self._time_s + self.interval_s
        if stamp is not None:
            self._first = stamp if self._first is None else self._first
            stamp -= self._first
            stamp_s = float(stamp)
            if self._is_absurd and self._is_too_close(stamp - self._stamp):
                self._added_s = time_s - stamp_s
            self._stamp = stamp
            if stamp_s + self._added_s > self._time_s:
                time_s = stamp_s + self._added_s
        self._time_s = time_s
        return time_s

    def _is_too_close(self, step: Fraction) -> bool:
        """Whether a time between two pictures cannot be true; one of just 1 / MAX_FPS, if most have been as short."""
        shortest = Fraction(1, MAX_FPS)
        self._surplus += 1 if step <= shortest else -1
        return step < shortest or (step == shortest and self._surplus > 0)


class Decoder:
    """The pictures of one open video, from its start to its end.

        with Decoder(open_video_file(path, file_type(path)), path.name) as decoder:
            while (picture := decoder.read()) is not None:
                pixels_bgr = decoder.pixels(picture)

    Args:
        container: As `open_container` returns it; is closed with the decoder.
        name: Of the video, for messages.
        read_from: What gives the bytes, if the container was opened with it; is closed too.

    Raises:
        SourceMissingError: As for `choose_stream`; the container is closed then.
    """

    def __init__(self, container: Any, name: str, read_from: Readable | None = None) -> None:
        self._container = container
        self._name = name
        self._read_from = read_from
        try:
            self._video = choose_stream(container, name)
        except BaseException:
            container.close()
            raise
        self._times = PictureTimes(self._video.average_rate or self._video.guessed_rate)
        self._convert = PictureConverter(self._video.sample_aspect_ratio)
        self._pictures = self._decode()

    @property
    def interval_s(self) -> float:
        """Time from one picture to the next where the video does not say, in seconds."""
        return self._times.interval_s

    @property
    def duration_s(self) -> float | None:
        """Length that the video states, in seconds; None for a camera."""
        video = self._video
        if self._container.format.name == "avi" and video.frames and video.average_rate:
            return float(video.frames / video.average_rate)  # its duration is what is left of a truncated file
        if video.duration is not None and video.time_base is not None:
            return float(video.duration * video.time_base)
        return None if self._container.duration is None else self._container.duration / 1e6  # in microseconds

    def read(self) -> Picture | None:
        """Decode the next picture; None at the end.

        Raises:
            SourceError: The video cannot be decoded further, or no more of it arrives.
        """
        if self._read_from is not None:
            self._read_from.restart()
        decoded = next(self._pictures, None)
        if decoded is None:
            return None
        stamp = None if decoded.pts is None else decoded.pts * Fraction(decoded.time_base or self._video.time_base)
        return Picture(self._times.next_s(stamp), decoded)

    def _decode(self) -> Generator[Any]:
        av = import_av()
        packets = packets_of(self._container, self._video)
        unreadable = 0
        while True:
            try:
                packet = next(packets, None)
                decoded = [] if packet is None else packet.decode()
            except av.error.InvalidDataError as error:  # one broken packet does not end the video
                unreadable += 1
                if unreadable > MAX_UNREADABLE:
                    raise SourceError(f"{self._name}: the video cannot be decoded further: {error.strerror}") from error
                continue
            except (av.error.FFmpegError, OSError) as error:
                raise SourceError(f"{self._name}: the video cannot be decoded further: {error.strerror}") from error
            if packet is None:
                return
            if decoded:
                unreadable = 0
            yield from decoded

    def pixels(self, picture: Picture) -> np.ndarray:
        """Convert a picture to pixels, upright and square.

        Args:
            picture: As `read` returns it.

        Returns:
            uint8 (height, width, 3), blue-green-red.
        """
        return self._convert(picture.decoded)

    def close(self) -> None:
        """Close the video; may be called twice."""
        self._pictures.close()
        self._container.close()
        if self._read_from is not None:
            self._read_from.close()

    def __enter__(self) -> Decoder:
        """The decoder itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

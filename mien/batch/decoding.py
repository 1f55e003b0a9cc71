"""Packets of a video file become pictures, and what cannot be decoded is named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from mien.errors import SourceError, SourceMissingError
from mien.sources.decoder import choose_stream, file_type, open_video_file


@contextmanager
def open_video(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open a video file with PyAV.

    Args:
        path: The file.

    Yields:
        The container and its first video stream.

    Raises:
        SourceMissingError: There is no such file, or no video in it.
        MienError: The package av is not installed.
    """
    if not path.is_file():
        raise SourceMissingError(f"expected a video file, found no file {path}")
    with open_video_file(path, file_type(path, "a video file")) as container:
        yield container, choose_stream(container, str(path))


@dataclass(frozen=True, slots=True)
class Fault:
    """A part of the video that cannot be decoded, or the end of what can be read.

    Args:
        error: Of FFmpeg.
        stamp: Time stamp in seconds; None if unknown.
        breaks_off: Whether nothing more can be read.
    """

    error: OSError
    stamp: Fraction | None = None
    breaks_off: bool = False


def pictures_and_faults(path: Path, packets: Iterator[Any], video: Any) -> Iterator[Any]:
    """Decode packets.

    Args:
        path: The file, for messages.
        packets: Of the video stream.
        video: The stream.

    Yields:
        Pictures of PyAV, and a `Fault` where one is missing.

    Raises:
        SourceError: The file cannot be read or decoded further.
    """
    import av

    while True:
        packet = breaking = None
        try:
            packet = next(packets, None)
            if packet is None:
                return
        except av.error.InvalidDataError as error:
            breaking = Fault(error, breaks_off=True)
        except av.error.FFmpegError as error:
            raise SourceError(f"{path}: the video cannot be read further: {error}") from error
        try:
            yield from video.decode(packet)  # None, where the file breaks off, empties the decoder
        except av.error.InvalidDataError as error:  # one broken packet does not end the video
            yield Fault(error, None if packet is None or packet.pts is None else packet.pts * packet.time_base)
        except av.error.FFmpegError as error:
            raise SourceError(f"{path}: the video cannot be decoded further: {error}") from error
        if breaking is not None:
            yield breaking
            return

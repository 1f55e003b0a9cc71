"""The frames of a video file in media time: all of them, or a number per second; none is dropped for being late."""

from __future__ import annotations

import logging
import math
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mien.errors import MienError, SourceError, SourceMissingError
from mien.types import Frame

FALLBACK_FPS = 25
"""Frame rate of a file that states none and has no time stamps."""

_ROTATIONS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}

log = logging.getLogger(__name__)


def read_frames(path: Path | str, fps: float | None = None) -> Generator[Frame]:
    """Decode a video file with PyAV (FFmpeg), upright and with square pixels.

    Rotation metadata and the pixel aspect ratio are honored. Frames come in the order in which they are shown.

    Args:
        path: A video file, any that FFmpeg reads; an animated image too.
        fps: At most this many frames per second of media time, evenly spaced; None for every frame.

    Yields:
        Frames; `index` counts all frames of the file from 0, those left out by `fps` too, and `media_time_s` is the
        time in the file in seconds, 0 at the first frame and never falling. `captured_at` equals `media_time_s`.

    Raises:
        SourceMissingError: There is no such file, or no video in it.
        SourceError: The file breaks off in a way that leaves nothing to decode.
        MienError: The package av is not installed.
        ValueError: `fps` is not above 0.
    """
    if fps is not None and not 0 < fps < math.inf:
        raise ValueError(f"fps: expected a number above 0, found {fps}")
    next_s = 0.0
    for index, (time_s, picture, pixel_aspect) in enumerate(_decoded(Path(path))):
        if fps is not None and time_s < next_s - 1e-6:
            continue
        if fps is not None:
            next_s = (math.floor(time_s * fps + 1e-6) + 1) / fps
        yield Frame(_upright_bgr(picture, pixel_aspect), index=index, captured_at=time_s, media_time_s=time_s)


def _decoded(path: Path) -> Iterator[tuple[float, Any, float]]:
    """(time in seconds from 0, PyAV's frame, width to height of a pixel) of each frame of the first video stream."""
    try:
        import av
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
        pixel_aspect = float(video.sample_aspect_ratio or 1)
        for time_s, picture in _in_time(path, container, video):
            yield time_s, picture, pixel_aspect


def _in_time(path: Path, container: Any, video: Any) -> Iterator[tuple[float, Any]]:
    import av

    interval = 1 / Fraction(video.average_rate or video.guessed_rate or FALLBACK_FPS)
    first: Fraction | None = None
    last: Fraction | None = None
    packets = container.demux(video)
    while True:
        try:
            packet = next(packets, None)
            pictures = [] if packet is None else packet.decode()
        except av.error.InvalidDataError as error:  # one broken packet does not end the video
            log.warning("%s: a part of the video cannot be decoded: %s", path.name, error)
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
            else:
                assert last is not None
                at = last + interval if stamp is None or stamp - first <= last else stamp - first
            last = at
            yield float(at), picture
    if first is None:
        raise SourceMissingError(f"expected a video file, found {path}, which has no picture that can be decoded")


def _upright_bgr(picture: Any, pixel_aspect: float) -> np.ndarray:
    """uint8 (height, width, 3), blue-green-red, with square pixels and rotated as the file asks."""
    pixels = picture.to_ndarray(format="bgr24")
    if pixel_aspect != 1:
        height, width = pixels.shape[:2]
        pixels = cv2.resize(pixels, (max(1, round(width * pixel_aspect)), height), interpolation=cv2.INTER_LINEAR)
    rotation = _ROTATIONS.get(round(picture.rotation) % 360)
    return pixels if rotation is None else cv2.rotate(pixels, rotation)

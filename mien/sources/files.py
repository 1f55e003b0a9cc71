"""Files as sources: videos, paced by their own times, and images."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from mien.clock import Clock
from mien.errors import ImageError, SourceEndedError, SourceError, SourceMissingError
from mien.images.animation import note_about
from mien.images.codecs import read_image
from mien.images.resize import fit_within
from mien.names import printable
from mien.sources.base import Source
from mien.sources.decoder import Decoder, Picture, file_type, open_video_file
from mien.types import Frame, SourceState

IMAGE_FPS = 10.0
FRAMES_WITHOUT_LOOP = 10
"""Frames of an image that does not loop: a face appears with its second frame, and slow programs miss some."""
MAX_IMAGE_SIDE_PX = 1920  # ten frames per second of a 48-megapixel photo would overload network and browser
REPEAT_AFTER_S = 0.5
"""A frame shown for longer is given again, so that a long still is not mistaken for a source that hangs."""
MAX_STILL_S = 60.0
"""Longest time that a frame is shown: some files ask for hours by mistake."""
MAX_LATE_S = 1.0
MAX_DROPS = 5
COMPLETE_SHARE = 0.9
"""Share of the announced length from which a video counts as complete: some announce a little too much."""

log = logging.getLogger(__name__)


class ImageSource(Source):
    """An image file, given ten times per second; the pixels are the same array each time, so draw on a copy.

    Args:
        path: The file. An image with a side over 1920 px is reduced.
        loop: False ends after a second.
        paced, clock: As for `mien.sources.open_source`.

    Raises:
        SourceMissingError: The file is not a usable image.

    Example:
        source = ImageSource(Path("photo.jpg"))
        frame = source.read()
    """

    state: SourceState = "file"
    is_image = True

    def __init__(self, path: Path, *, loop: bool = True, paced: bool = True, clock: Clock | None = None) -> None:
        self.name = printable(path.name)
        self.spec = str(path)
        self._clock = clock or Clock()
        self._loop = loop
        self._paced = paced
        self._count = 0
        self._next_at_s: float | None = None
        try:
            self._pixels_bgr = fit_within(read_image(path), MAX_IMAGE_SIDE_PX)
        except ImageError as error:
            raise SourceMissingError(f"{path}: {error}") from error
        except OSError as error:
            raise SourceMissingError(f"{path} cannot be read: {error.strerror}") from error

    def read(self) -> Frame:
        """The image, a tenth of a second after the previous frame. Raises SourceEndedError at the end."""
        if self._count >= FRAMES_WITHOUT_LOOP and not self._loop:
            raise SourceEndedError(f"{self.name} is a single image and was shown")
        if self._paced:
            now_s = self._clock.monotonic()
            if self._next_at_s is not None:
                self._clock.sleep(self._next_at_s - now_s)
            self._next_at_s = max(now_s, self._next_at_s or now_s) + 1 / IMAGE_FPS
        self._count += 1
        return Frame(self._pixels_bgr, index=self._count - 1, captured_at=self._clock.wall(), media_time_s=0.0)


class Video(Protocol):
    """What a VideoSource plays, such as `mien.sources.decoder.Decoder`."""

    @property
    def interval_s(self) -> float:
        """Time from one picture to the next where the video does not say, in seconds."""

    @property
    def duration_s(self) -> float | None:
        """Length that the video states, in seconds."""

    def read(self) -> Picture | None:
        """Decode the next picture; None at the end. Raises SourceError if there are more that cannot be decoded."""

    def pixels(self, picture: Picture) -> np.ndarray:
        """Convert a picture to pixels, uint8 (height, width, 3), blue-green-red."""

    def close(self) -> None:
        """Close the video; may be called twice."""


class VideoSource(Source):
    """A video file, on disk or served over HTTP, paced by the times stored in it.

    Late frames are dropped, so that the video keeps its speed; `index` counts them too. `media_time_s` starts at 0
    again with each loop, `index` continues.

    Args:
        spec: What `open_source` takes to open it again.
        name: Name for people.
        reopen: Opens the video at its start, now and for each further loop.
        loop, paced, clock: As for `mien.sources.open_source`.

    Raises:
        SourceMissingError: The file contains no picture.

    Example:
        with open_file(Path("clip.mp4"), loop=False, paced=False) as source:
            frame = source.read()
    """

    state: SourceState = "file"

    def __init__(
        self,
        spec: str,
        name: str,
        reopen: Callable[[], Video],
        *,
        loop: bool = True,
        paced: bool = True,
        clock: Clock | None = None,
    ) -> None:
        self.spec = spec
        self.name = name
        self._clock = clock or Clock()
        self._reopen = reopen
        self._loop = loop
        self._paced = paced
        self._index = 0  # of the next frame
        self._incomplete_reported = False
        self._start_s: float | None = None  # monotonic time of position 0 of this loop
        self._last: Frame | None = None
        self._position_s = 0.0
        self._skipped_s = 0.0  # of stills that were cut short in this loop
        self._video: Video | None = reopen()
        try:
            # A frame that is decoded waits here for its time.
            self._next = self._video.read()
        except SourceError as error:
            self.close()
            raise SourceMissingError(f"{name}: expected a video, found no picture in it") from error
        if self._next is None:
            self.close()
            raise SourceMissingError(f"{name}: expected a video, found no picture in it")

    def close(self) -> None:
        """Close the file; may be called twice."""
        if self._video is not None:
            self._video.close()
            self._video = None

    def read(self) -> Frame:
        """The next frame, at its time. Raises SourceEndedError at the end, SourceError if it cannot be decoded."""
        if self._next is None:
            self._decode_next()
        if self._paced:
            wait_s = self._catch_up()
            if wait_s > REPEAT_AFTER_S and self._last is not None:
                self._clock.sleep(REPEAT_AFTER_S)
                return replace(self._last, captured_at=self._clock.wall())
            self._clock.sleep(wait_s)
        assert self._next is not None
        pixels = self._opened().pixels(self._next)
        self._last = Frame(pixels, self._index, self._clock.wall(), self._next.time_s)
        self._next = None
        return self._last

    def _opened(self) -> Video:
        if self._video is None:
            raise SourceError(f"{self.name} is closed")
        return self._video

    def _catch_up(self) -> float:
        """Drop late frames; return the seconds until the decoded one is to be shown."""
        if self._start_s is None:
            self._start_s = self._clock.monotonic()
        for _ in range(MAX_DROPS):
            late_s = self._late_s()
            if late_s > MAX_LATE_S:
                break  # the computer slept or the disk hung: continue from here instead of catching up
            if late_s <= self._opened().interval_s:
                return max(0.0, -late_s)
            self._decode_next()
        # Decoding is slower than the video: dropping frames gains nothing, so the video slows down.
        self._start_s += max(0.0, self._late_s())
        return max(0.0, -self._late_s())

    def _late_s(self) -> float:
        return self._clock.monotonic() - (self._start_s or 0.0) - self._position_s

    def _decode_next(self) -> None:
        self._next = self._opened().read()
        if self._next is None:
            if not self._loop:
                raise SourceEndedError(self._incomplete_reason() or f"{self.name} was played to its end")
            self._report_incomplete()
            self._next = self._rewind()
        else:
            self._skipped_s += max(0.0, self._next.time_s - self._skipped_s - self._position_s - MAX_STILL_S)
            self._position_s = self._next.time_s - self._skipped_s
        self._index += 1

    def _rewind(self) -> Picture:
        # Opened again because not every format can seek; takes a few milliseconds.
        video = self._opened()
        end_s = self._position_s + video.interval_s
        video.close()
        try:
            self._video = self._reopen()
            first = self._video.read()
        except SourceError as error:
            raise SourceError(f"{self.name} cannot be played again from its start") from error
        if first is None:
            raise SourceError(f"{self.name} cannot be played again from its start")
        if self._start_s is not None:
            self._start_s += end_s
        self._position_s = self._skipped_s = 0.0
        return first

    def _report_incomplete(self) -> None:
        reason = self._incomplete_reason()
        if reason and not self._incomplete_reported:  # an incomplete file is incomplete in each loop
            log.warning("%s", reason)
            self._incomplete_reported = True

    def _incomplete_reason(self) -> str | None:
        """Message if far less came than announced; many containers only estimate their length."""
        video = self._opened()
        announced_s = video.duration_s or 0.0
        played_s = self._position_s + self._skipped_s + video.interval_s
        if played_s >= COMPLETE_SHARE * announced_s:
            return None
        return (
            f"{self.name} broke off after {played_s:.1f} s of the {announced_s:.1f} s it announced: "
            "the file is incomplete, or the connection was lost"
        )


def open_file(path: Path, *, loop: bool = True, paced: bool = True, clock: Clock | None = None) -> Source:
    """Open a video or image file; its first bytes decide which it is, not its name.

    Args:
        path: The file.
        loop, paced, clock: As for `mien.sources.open_source`.

    Raises:
        SourceMissingError: It does not exist, is a folder, is empty, or is neither video nor image.
    """
    expected = "expected a video or image file"
    try:
        if not path.exists():
            hint = "" if path.suffix else "; a webcam is named by its number, such as 0"
            raise SourceMissingError(f"{expected}, found no file {path}{hint}")
        if path.is_dir():
            raise SourceMissingError(f"{expected}, found the folder {path}")
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise SourceMissingError(f"{expected}, but {path} cannot be read: {error}") from error
    kind = file_type(path)
    name = printable(path.name)
    if kind.contradicts(path):
        log.info("%s is %s, contrary to its name", name, kind.text)
    if kind.media == "image":
        note = note_about(path)
        if note:
            log.info("%s %s shown", name, note)
        return ImageSource(path, loop=loop, paced=paced, clock=clock)

    def reopen() -> Decoder:
        return Decoder(open_video_file(path, kind), name)

    return VideoSource(str(path), name, reopen, loop=loop, paced=paced, clock=clock)

"""Files as sources: videos, paced by their own times, and images."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2

from mien.clock import Clock
from mien.errors import ImageError, SourceEndedError, SourceError, SourceMissingError
from mien.filetypes import describe, identify, read_head
from mien.images.codecs import FORMATS, read_image
from mien.images.resize import fit_within
from mien.sources.base import CaptureSource, Source, as_bgr, open_ffmpeg
from mien.types import Frame, SourceState

IMAGE_FPS = 10.0
FRAMES_WITHOUT_LOOP = 10
"""Frames of an image that does not loop: a face appears with its second frame, and slow programs miss some."""
MAX_IMAGE_SIDE_PX = 1920  # ten frames per second of a 48-megapixel photo would overload network and browser
FALLBACK_FPS = 25.0
REPEAT_AFTER_S = 0.5
"""A frame shown for longer is given again, so that a long still is not mistaken for a source that hangs."""
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

    def __init__(self, path: Path, *, loop: bool = True, paced: bool = True, clock: Clock | None = None) -> None:
        self.name = path.name
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


class VideoSource(CaptureSource):
    """A video file, on disk or served over HTTP, paced by the times stored in it.

    Late frames are dropped, so that the video keeps its speed; `index` counts them too. `media_time_s` starts at 0
    again with each loop, `index` continues.

    Args:
        spec: What `open_source` takes to open it again.
        name: Name for people.
        capture: An open `cv2.VideoCapture`.
        reopen: Opens it again from the start, for the next loop.
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
        capture: Any,
        reopen: Callable[[], Any],
        *,
        loop: bool = True,
        paced: bool = True,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(spec, name, capture, clock)
        self._reopen = reopen
        self._loop = loop
        self._paced = paced
        fps = capture.get(cv2.CAP_PROP_FPS)
        self._interval_s = 1 / fps if math.isfinite(fps) and 0 < fps <= 1000 else 1 / FALLBACK_FPS
        self._first_index = 0  # of this loop
        self._incomplete_reported = False
        self._start_s: float | None = None  # monotonic time of position 0 of this loop
        self._last: Frame | None = None
        if not capture.grab():
            self.close()
            raise SourceMissingError(f"{name}: expected a video, found no picture in it")
        self._first_pts_s = self._pts_s()
        self._position_s = 0.0
        self._grabbed = True  # a frame is decoded and waits for its time

    def read(self) -> Frame:
        """The next frame, at its time. Raises SourceEndedError at the end, SourceError if it cannot be decoded."""
        if self._capture is None:
            raise SourceError(f"{self.name} is closed")
        if not self._grabbed:
            self._grab_next()
        if self._paced:
            wait_s = self._catch_up()
            if wait_s > REPEAT_AFTER_S and self._last is not None:
                self._clock.sleep(REPEAT_AFTER_S)
                return replace(self._last, captured_at=self._clock.wall())
            self._clock.sleep(wait_s)
        ok, pixels = self._capture.retrieve()
        if not ok:
            raise SourceError(f"{self.name}: frame {self._index} cannot be decoded")
        self._grabbed = False
        self._last = Frame(as_bgr(pixels), self._index, self._clock.wall(), self._position_s)
        return self._last

    def _catch_up(self) -> float:
        """Drop late frames; return the seconds until the grabbed one is to be shown."""
        if self._start_s is None:
            self._start_s = self._clock.monotonic()
        for _ in range(MAX_DROPS):
            late_s = self._late_s()
            if late_s > MAX_LATE_S:
                break  # the computer slept or the disk hung: continue from here instead of catching up
            if late_s <= self._interval_s:
                return max(0.0, -late_s)
            self._grab_next()
        # Decoding is slower than the video: dropping frames gains nothing, so the video slows down.
        self._start_s += max(0.0, self._late_s())
        return max(0.0, -self._late_s())

    def _late_s(self) -> float:
        return self._clock.monotonic() - (self._start_s or 0.0) - self._position_s

    def _grab_next(self) -> None:
        self._grabbed = False
        if self._capture.grab():
            pts_s = self._pts_s() - self._first_pts_s
            # Some files have no times, or times that decrease: then use the frame rate.
            self._position_s = pts_s if pts_s > self._position_s else self._position_s + self._interval_s
        elif self._loop:
            self._report_incomplete()
            self._rewind()
        else:
            raise SourceEndedError(self._incomplete_reason() or f"{self.name} was played to its end")
        self._index += 1
        self._grabbed = True

    def _rewind(self) -> None:
        # Opened again because not every format can seek; takes a few milliseconds.
        self._capture.release()
        self._capture = self._reopen()
        if not self._capture.isOpened() or not self._capture.grab():
            raise SourceError(f"{self.name} cannot be played again from its start")
        if self._start_s is not None:
            self._start_s += self._position_s + self._interval_s
        self._position_s = 0.0
        self._first_index = self._index + 1

    def _report_incomplete(self) -> None:
        reason = self._incomplete_reason()
        if reason and not self._incomplete_reported:  # an incomplete file is incomplete in each loop
            log.warning("%s", reason)
            self._incomplete_reported = True

    def _incomplete_reason(self) -> str | None:
        """Message if far less came than announced; many containers only estimate their length."""
        announced = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        frames = self._index - self._first_index + 1
        played_s, announced_s = self._position_s + self._interval_s, announced * self._interval_s
        if not (frames < COMPLETE_SHARE * announced and played_s < COMPLETE_SHARE * announced_s < math.inf):
            return None
        return (
            f"{self.name} broke off after {played_s:.1f} s of the {announced_s:.1f} s it announced: "
            "the file is incomplete, or the connection was lost"
        )

    def _pts_s(self) -> float:
        pts_s = float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
        return pts_s if math.isfinite(pts_s) else 0.0


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
        if not path.is_file():  # opening a pipe would block
            raise SourceMissingError(f"{expected}, found {path}, which is no regular file")
        head = read_head(path)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise SourceMissingError(f"{expected}, but {path} cannot be read: {error}") from error
    if not head:
        raise SourceMissingError(f"{expected}, found {path}, which is empty")
    kind = identify(head)
    if kind is None or not kind.usable:
        raise SourceMissingError(f"{expected} ({FORMATS}), found {path}, which is {describe(head)}")
    if kind.contradicts(path):
        log.info("%s is %s, contrary to its name", path.name, kind.text)
    if kind.media == "image" and kind.name != "GIF":  # a GIF may be animated; FFmpeg plays both kinds
        return ImageSource(path, loop=loop, paced=paced, clock=clock)
    # Absolute, so that FFmpeg cannot mistake a name such as "concat:a" for a protocol.
    location = str(path.absolute())
    capture = open_ffmpeg(location)
    if not capture.isOpened():
        raise SourceMissingError(f"{expected}, found {path}, {kind.text} that cannot be read: it is broken or cut off")
    return VideoSource(
        str(path), path.name, capture, lambda: open_ffmpeg(location), loop=loop, paced=paced, clock=clock
    )

"""Sources that are files: a video, paced by its own clock, and a still picture."""

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
from mien.images.codecs import FORMATS, HEADER_BYTES, image_format, read_image
from mien.images.resize import fit_within
from mien.sources.base import Source, as_bgr, open_ffmpeg
from mien.types import Frame, SourceState

IMAGE_FPS = 10.0
ONCE_FRAMES = 10
"""So often a picture is given that does not loop: a face shows with its second frame, and slow programs miss some."""
MAX_IMAGE_SIDE_PX = 1920  # ten pictures a second of a 48-megapixel photo would choke network and browser
FALLBACK_FPS = 25.0
STILL_S = 0.5
"""A frame that stays longer than this is given again, so that nobody takes a long still for a hanging source."""
MAX_LATE_S = 1.0
MAX_DROPS = 5
WHOLE_SHARE = 0.9
"""Of what a video announces: some announce a little more than they have."""

log = logging.getLogger(__name__)


class ImageSource(Source):
    """One picture file, given again and again ten times a second; for a second if `loop` is false.

    The pixels are the same array each time: whoever draws, draws on a copy. A picture with a side over
    1920 px is scaled down. Raises SourceMissingError where the file is no usable image.
    """

    state: SourceState = "file"

    def __init__(self, path: Path, *, loop: bool = True, paced: bool = True, clock: Clock | None = None) -> None:
        self.name = path.name
        self.spec = str(path)
        self._clock = clock or Clock()
        self._loop = loop
        self._paced = paced
        self._count = 0
        self._due_s: float | None = None
        try:
            self._pixels_bgr = fit_within(read_image(path), MAX_IMAGE_SIDE_PX)
        except ImageError as error:
            raise SourceMissingError(f"{path}: {error}") from error
        except OSError as error:
            raise SourceMissingError(f"{path} can not be read: {error.strerror}") from error

    def read(self) -> Frame:
        """The picture, a tenth of a second after the one before."""
        if self._count >= ONCE_FRAMES and not self._loop:
            raise SourceEndedError(f"{self.name} is a single picture and was shown")
        if self._paced:
            now_s = self._clock.monotonic()
            if self._due_s is not None:
                self._clock.sleep(self._due_s - now_s)
            self._due_s = max(now_s, self._due_s or now_s) + 1 / IMAGE_FPS
        self._count += 1
        return Frame(self._pixels_bgr, index=self._count - 1, captured_at=self._clock.wall(), media_time_s=0.0)


class VideoSource(Source):
    """A video file, on disk or served over HTTP, paced by the times stored in it.

    A frame that is late when its turn comes is dropped, so playing keeps its speed (`index` counts the
    dropped ones too). `paced=False` gives every frame as fast as it decodes. `media_time_s` starts at 0
    again with each loop, `index` goes on.

    capture: already open. reopen: opens it again from the start, for the next loop.
    Raises SourceMissingError where there is no picture in it.
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
        self.spec = spec
        self.name = name
        self._capture = capture
        self._reopen = reopen
        self._loop = loop
        self._paced = paced
        self._clock = clock or Clock()
        fps = capture.get(cv2.CAP_PROP_FPS)
        self._interval_s = 1 / fps if math.isfinite(fps) and 0 < fps <= 1000 else 1 / FALLBACK_FPS
        self._index = 0
        self._first_index = 0  # of this round
        self._cut_short_told = False
        self._start_s: float | None = None  # monotonic time at which position 0 of this round was due
        self._shown: Frame | None = None
        if not capture.grab():
            self.close()
            raise SourceMissingError(f"{name}: expected a video, found no picture in it")
        self._first_pts_s = self._pts_s()
        self._position_s = 0.0
        self._grabbed = True  # a frame is decoded and waits for its turn

    def read(self) -> Frame:
        """The next frame, when its time has come."""
        if self._capture is None:
            raise SourceError(f"{self.name} is closed")
        if not self._grabbed:
            self._grab_next()
        if self._paced:
            wait_s = self._catch_up()
            if wait_s > STILL_S and self._shown is not None:
                self._clock.sleep(STILL_S)
                return replace(self._shown, captured_at=self._clock.wall())
            self._clock.sleep(wait_s)
        ok, pixels = self._capture.retrieve()
        if not ok:
            raise SourceError(f"{self.name}: frame {self._index} can not be decoded")
        self._grabbed = False
        self._shown = Frame(as_bgr(pixels), self._index, self._clock.wall(), self._position_s)
        return self._shown

    def close(self) -> None:
        """Close the file."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _catch_up(self) -> float:
        """Drop frames whose time is over; seconds until the grabbed one is due."""
        if self._start_s is None:
            self._start_s = self._clock.monotonic()
        for _ in range(MAX_DROPS):
            late_s = self._late_s()
            if late_s > MAX_LATE_S:
                break  # the computer slept or the disk hung: go on from here rather than race
            if late_s <= self._interval_s:
                return max(0.0, -late_s)
            self._grab_next()
        # Decoding itself is slower than the video: dropping gains nothing, so let the clock wait.
        self._start_s += max(0.0, self._late_s())
        return max(0.0, -self._late_s())

    def _late_s(self) -> float:
        return self._clock.monotonic() - (self._start_s or 0.0) - self._position_s

    def _grab_next(self) -> None:
        self._grabbed = False
        if self._capture.grab():
            pts_s = self._pts_s() - self._first_pts_s
            # Some files have no times, or times that step back: then the rate must do.
            self._position_s = pts_s if pts_s > self._position_s else self._position_s + self._interval_s
        elif self._loop:
            self._tell_cut_short()
            self._rewind()
        else:
            raise SourceEndedError(self._cut_short() or f"{self.name} was played to its end")
        self._index += 1
        self._grabbed = True

    def _rewind(self) -> None:
        # Opened anew, as not every format can seek; costs a few milliseconds.
        self._capture.release()
        self._capture = self._reopen()
        if not self._capture.isOpened() or not self._capture.grab():
            raise SourceError(f"{self.name} can not be played again from its start")
        if self._start_s is not None:
            self._start_s += self._position_s + self._interval_s
        self._position_s = 0.0
        self._first_index = self._index + 1

    def _tell_cut_short(self) -> None:
        reason = self._cut_short()
        if reason and not self._cut_short_told:  # a file that is cut short is so in each round
            log.warning("%s", reason)
            self._cut_short_told = True

    def _cut_short(self) -> str | None:
        """What to say where far less came than was announced; many containers only estimate how much there is."""
        announced = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        frames = self._index - self._first_index + 1
        played_s, announced_s = self._position_s + self._interval_s, announced * self._interval_s
        if not (frames < WHOLE_SHARE * announced and played_s < WHOLE_SHARE * announced_s < math.inf):
            return None
        return (
            f"{self.name} broke off after {played_s:.1f} s of the {announced_s:.1f} s it announced: "
            "the file is not whole, or the connection was lost"
        )

    def _pts_s(self) -> float:
        pts_s = float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
        return pts_s if math.isfinite(pts_s) else 0.0


def open_file(path: Path, *, loop: bool = True, paced: bool = True, clock: Clock | None = None) -> Source:
    """The source for a video or image file, told apart by its first bytes, not by its name.

    Raises SourceMissingError where it does not exist, is a folder, is empty, or is neither.
    """
    expected = "expected a video or image file"
    try:
        if not path.exists():
            hint = "" if path.suffix else "; a webcam is named by its number, such as 0"
            raise SourceMissingError(f"{expected}, found no file {path}{hint}")
        if path.is_dir():
            raise SourceMissingError(f"{expected}, found the folder {path}")
        if not path.is_file():  # opening a pipe would wait for ever
            raise SourceMissingError(f"{expected}, found {path}, which is no regular file")
        with path.open("rb") as file:
            head = file.read(HEADER_BYTES)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise SourceMissingError(f"{expected}, but {path} can not be read: {error}") from error
    if not head:
        raise SourceMissingError(f"{expected}, found {path}, which is empty")
    if image_format(head) not in (None, "GIF"):  # a GIF may move; FFmpeg plays both kinds
        return ImageSource(path, loop=loop, paced=paced, clock=clock)
    # Absolute, so that FFmpeg can not take a name such as "concat:a" for a protocol.
    location = str(path.absolute())
    capture = open_ffmpeg(location)
    if not capture.isOpened():
        raise SourceMissingError(f"{expected} ({FORMATS}), found {path}, which is neither: it begins with {head[:8]!r}")
    return VideoSource(
        str(path), path.name, capture, lambda: open_ffmpeg(location), loop=loop, paced=paced, clock=clock
    )

"""What all sources share: the verb `read`, and OpenCV's capture opened quietly."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any

import cv2
import numpy as np

from mien.types import Frame, SourceState

URL_TIMEOUT_S = 5.0
"""Longest wait for a network camera to answer, and then for each picture."""


class Source(ABC):
    """Where frames come from. One thread opens, reads and closes it: OpenCV's captures allow no other use.

    name: for people ("Webcam 0", "clip.mp4"), without passwords. state: what it is while frames flow.
    spec: what to hand to `open_source` to get this very source again; for `auto` the one that was found.
    """

    name: str
    state: SourceState
    spec: str

    @abstractmethod
    def read(self) -> Frame:
        """Wait for the next frame.

        Raises SourceError where it fails, SourceEndedError at the end of a file that does not loop.
        """

    def close(self) -> None:  # noqa: B027 - most have a device to release, a picture or the demo has none
        """Release the device or file; may be called twice."""

    def __enter__(self) -> Source:
        """The source itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()


# OpenCV's FFmpeg reads this when it is first used, whoever uses it: so it is set on import. -8 is "quiet".
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
# On Linux a webcam that opens but sends nothing would hold each read for 10 s.
os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "2")


def quiet_opencv() -> None:
    """Keep OpenCV from printing to stderr: each failure is reported once, as a typed error."""
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def open_ffmpeg(location: str) -> Any:
    """A `cv2.VideoCapture` of a file path or URL with open and read time-outs; ask its isOpened()."""
    quiet_opencv()
    timeout_ms = int(URL_TIMEOUT_S * 1000)
    # FFmpeg by name: left to choose, OpenCV would also take "img_01.png" for a numbered sequence.
    return cv2.VideoCapture(
        location,
        cv2.CAP_FFMPEG,
        [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, timeout_ms, cv2.CAP_PROP_READ_TIMEOUT_MSEC, timeout_ms],
    )


def as_bgr(pixels: np.ndarray) -> np.ndarray:
    """Pixels as some cameras give them (gray, or with a fourth channel) as uint8 (height, width, 3)."""
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
    return pixels[:, :, :3]

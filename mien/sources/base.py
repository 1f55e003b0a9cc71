"""The base classes of all sources and of webcams."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import Any

import cv2
import numpy as np

from mien.clock import Clock
from mien.errors import SourceError
from mien.images.codecs import MAX_IMAGE_PIXELS
from mien.types import Frame, SourceState


class Source(ABC):
    """A source of frames. The same thread must open, read and close it, as OpenCV's captures require.

    Example:
        with open_source("clip.mp4", loop=False) as source:
            frame = source.read()
            print(source.name, frame.width, frame.height)
    """

    name: str
    """Name for people ("Webcam 0", "clip.mp4"), without passwords."""
    state: SourceState
    """State while frames arrive."""
    spec: str
    """What `open_source` takes to open the same source again; for `auto` the source that was found."""
    is_image: bool = False
    """Whether it is a single image, given again and again."""

    @abstractmethod
    def read(self) -> Frame:
        """Wait for the next frame.

        Raises:
            SourceEndedError: The file was played to its end and does not loop.
            SourceError: No frame arrived.
        """

    def close(self) -> None:  # noqa: B027 - images and the demo have no device to release
        """Release the device or close the file; may be called twice."""

    def __enter__(self) -> Source:
        """The source itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


class CaptureSource(Source):
    """A camera that reads an open `cv2.VideoCapture`.

        class Turntable(CaptureSource):
            def read(self) -> Frame:
                return self._frame(self._grab())

    Args:
        spec: What `open_source` takes to open it again.
        name: Name for people.
        capture: The open `cv2.VideoCapture`.
        clock: The computer's clock by default.
    """

    def __init__(self, spec: str, name: str, capture: Any, clock: Clock | None = None) -> None:
        self.spec = spec
        self.name = name
        self._capture = capture
        self._clock = clock or Clock()
        self._index = 0  # of the next frame

    def close(self) -> None:
        """Release the device or close the file; may be called twice."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _grab(self) -> np.ndarray | None:
        """The pixels of the next picture; None if there is none. Raises SourceError for one that is too large."""
        if self._capture is None:
            return None
        ok, pixels = self._capture.read()
        if ok and pixels.shape[0] * pixels.shape[1] > MAX_IMAGE_PIXELS:
            raise SourceError(
                f"{self.name}: expected pictures of at most {MAX_IMAGE_PIXELS / 1e6:g} megapixels, "
                f"found {pixels.shape[1]}x{pixels.shape[0]}"
            )
        return pixels if ok else None

    def _frame(self, pixels: np.ndarray) -> Frame:
        """The next frame of a live source."""
        self._index += 1
        return Frame(as_bgr(pixels), self._index - 1, self._clock.wall())


# On Linux, each read of a webcam that opens but sends nothing would block for 10 s.
os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "2")


def quiet_opencv() -> None:
    """Keep OpenCV from printing to stderr: each failure is reported once, as a SourceError."""
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def as_bgr(pixels: np.ndarray) -> np.ndarray:
    """Convert pixels of a camera.

    Args:
        pixels: uint8, (height, width) gray or (height, width, 1, 3 or 4).

    Returns:
        uint8 (height, width, 3), blue-green-red.
    """
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
    return pixels[:, :, :3]

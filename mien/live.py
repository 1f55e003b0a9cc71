"""Live sources: webcams and network cameras."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np

from mien.clock import Clock
from mien.errors import SourceError, SourceMissingError
from mien.media import VideoSource
from mien.source_base import URL_TIMEOUT_S, Source, as_bgr, open_ffmpeg, quiet_opencv
from mien.types import Frame, SourceState

URL_SCHEMES = ("http", "https", "rtsp", "rtsps")
FIRST_FRAME_TRIES = 5
"""Some webcams give nothing for their first few reads, while they wake."""
WAKE_WITHIN_S = 5.0
"""After so long no further read is tried; one read alone may take seconds."""
PROBED_WEBCAMS = range(4)
"""The indices worth trying where the system does not tell which webcams there are."""

# Many recorders want the password inside the path: /user=admin&password=...&channel=1
_SECRET_IN_PATH = re.compile(r"((?:password|passwd|pass|pwd|token|key)=)[^&/;]+", re.IGNORECASE)

log = logging.getLogger(__name__)


class WebcamSource(Source):
    """A webcam by its index, asked for MJPG pictures of the given size (pixels) and rate.

    MJPG, because many webcams reach only 10 frames a second at 1280x720 in their default format. What the
    webcam grants instead is logged. Raises SourceError where it can not be opened or gives no picture.
    """

    state: SourceState = "live"

    def __init__(
        self,
        index: int,
        *,
        size: tuple[int, int] = (1280, 720),
        fps: float = 30,
        clock: Clock | None = None,
        open_capture: Callable[[int, int], Any] = cv2.VideoCapture,
    ) -> None:
        self.name = f"Webcam {index}"
        self.spec = str(index)
        self._clock = clock or Clock()
        self._count = 0
        self._capture = open_webcam(index, open_capture)
        try:
            self._ask_for(size, fps)
            self._first = self._wake()
            if self._first is None:
                raise SourceError(f"{self.name} opened but gives no picture; is another program using it?")
        except BaseException:
            self.close()
            raise

    def read(self) -> Frame:
        """The next picture the webcam takes."""
        pixels = self._grab() if self._first is None else self._first
        self._first = None
        if pixels is None:
            raise SourceError(f"{self.name} gives no picture any more; was it unplugged?")
        self._count += 1
        return Frame(as_bgr(pixels), index=self._count - 1, captured_at=self._clock.wall())

    def close(self) -> None:
        """Release the webcam."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _wake(self) -> np.ndarray | None:
        deadline_s = self._clock.monotonic() + WAKE_WITHIN_S
        for _ in range(FIRST_FRAME_TRIES):
            pixels = self._grab()
            if pixels is not None or self._clock.monotonic() >= deadline_s:
                return pixels
        return None

    def _grab(self) -> np.ndarray | None:
        if self._capture is None:
            return None
        ok, pixels = self._capture.read()
        return pixels if ok else None

    def _ask_for(self, size: tuple[int, int], fps: float) -> None:
        # The format first: with the default one a driver may refuse the size and rate that follow.
        self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
        self._capture.set(cv2.CAP_PROP_FPS, fps)
        code = int(self._capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(8, "little", signed=True)[:4]
        log.info(
            "%s: asked for %dx%d at %g frames a second in MJPG, granted %dx%d at %g in %s",
            self.name,
            *(*size, fps),
            self._capture.get(cv2.CAP_PROP_FRAME_WIDTH),
            self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT),
            self._capture.get(cv2.CAP_PROP_FPS),
            code.decode("ascii") if code.isalnum() else "an unnamed format",
        )


class StreamSource(Source):
    """A network camera (MJPEG over HTTP, RTSP): the newest picture as it arrives.

    Raises SourceError where no picture arrives within the time-out.
    """

    state: SourceState = "live"

    def __init__(self, url: str, capture: Any, *, clock: Clock | None = None) -> None:
        self.name = masked_url(url)
        self.spec = url
        self._capture = capture
        self._clock = clock or Clock()
        self._count = 0

    def read(self) -> Frame:
        """The next picture."""
        ok, pixels = self._capture.read() if self._capture is not None else (False, None)
        if not ok or pixels is None:
            raise SourceError(f"{self.name} stopped, or sent no picture for {URL_TIMEOUT_S:g} s")
        self._count += 1
        return Frame(as_bgr(pixels), index=self._count - 1, captured_at=self._clock.wall())

    def close(self) -> None:
        """Close the connection."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None


def open_url(url: str, *, loop: bool = True, paced: bool = True, clock: Clock | None = None) -> Source:
    """The source for an http, https, rtsp or rtsps URL: a network camera, or a video file on a web server.

    Raises SourceMissingError for another scheme or no host, SourceError where nothing answers with video.
    """
    name = masked_url(url)
    capture = open_ffmpeg(url)
    if not capture.isOpened():
        raise SourceError(f"{name}: expected a video stream, found none within {URL_TIMEOUT_S:g} s")
    # A web server sends a file as fast as it can: what has a length is played at its own pace.
    if capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0:
        return VideoSource(url, name, capture, lambda: open_ffmpeg(url), loop=loop, paced=paced, clock=clock)
    return StreamSource(url, capture, clock=clock)


def masked_url(url: str) -> str:
    """The URL as it may be shown and logged: without user, password and query, which often holds a key.

    Raises SourceMissingError where it is not an http, https, rtsp or rtsps URL with a host.
    """
    expected = f"expected a URL such as rtsp://host/path with {', '.join(URL_SCHEMES)}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        # Its message would quote a part of the URL, which may be the password.
        raise SourceMissingError(f"{expected}, found one whose host or port can not be read") from None
    if parts.scheme.lower() not in URL_SCHEMES:
        raise SourceMissingError(f"{expected}, found the scheme {parts.scheme!r}")
    if not host:
        raise SourceMissingError(f"{expected}, found no host in it")
    host = f"[{host}]" if ":" in host else host
    secret = "***@" if parts.username or parts.password else ""
    query = "?***" if parts.query else ""
    path = _SECRET_IN_PATH.sub(r"\1***", parts.path)
    return f"{parts.scheme.lower()}://{secret}{host}{f':{port}' if port else ''}{path}{query}"


def webcam_indices() -> list[int]:
    """The webcams worth trying, in order: on Linux those that exist, elsewhere the first few."""
    if not sys.platform.startswith("linux"):
        return list(PROBED_WEBCAMS)
    names = (re.fullmatch(r"video(\d+)", path.name) for path in Path("/dev").glob("video*"))
    return sorted(int(match[1]) for match in names if match)


def ask_for_camera(open_capture: Callable[[int, int], Any] = cv2.VideoCapture) -> None:
    """Let macOS ask whether this program may use the camera: by OpenCV it asks in the main thread alone."""
    if sys.platform == "darwin":
        quiet_opencv()
        open_capture(0, cv2.CAP_ANY).release()


def open_webcam(index: int, open_capture: Callable[[int, int], Any] = cv2.VideoCapture) -> Any:
    """A `cv2.VideoCapture` of a webcam by the backend that suits the system. Raises SourceError."""
    quiet_opencv()
    if sys.platform.startswith("linux"):
        _check_device(Path(f"/dev/video{index}"))
        backends = [cv2.CAP_V4L2]
    elif sys.platform == "win32":
        # DirectShow opens in a tenth of the time; some newer webcams answer Media Foundation alone.
        backends = [cv2.CAP_DSHOW, cv2.CAP_MSMF]
    else:
        backends = [cv2.CAP_ANY]
    for backend in backends:
        capture = open_capture(index, backend)
        if capture.isOpened():
            return capture
        capture.release()
    hint = " or not allowed (System Settings > Privacy > Camera)" if sys.platform == "darwin" else ""
    raise SourceError(f"webcam {index} can not be opened: it is busy, missing{hint}")


def _check_device(device: Path) -> None:
    if not device.exists():
        found = ", ".join(str(index) for index in webcam_indices()) or "none"
        raise SourceError(f"expected a webcam at {device}, found no such device (webcams here: {found})")
    if not os.access(device, os.R_OK | os.W_OK):
        raise SourceError(f"{device} may not be opened by this user: join the group `video`, then log in again")

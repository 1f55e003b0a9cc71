"""Network cameras: video over HTTP or RTSP."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import cv2

from mien.clock import Clock
from mien.errors import SourceError, SourceMissingError
from mien.sources.base import URL_TIMEOUT_S, CaptureSource, Source, open_ffmpeg
from mien.sources.files import VideoSource
from mien.types import Frame, SourceState

URL_SCHEMES = ("http", "https", "rtsp", "rtsps")

# Many recorders expect the password inside the path: /user=admin&password=...&channel=1
_SECRET_IN_PATH = re.compile(r"((?:password|passwd|pass|pwd|token|key)=)[^&/;]+", re.IGNORECASE)


class StreamSource(CaptureSource):
    """A network camera (MJPEG over HTTP, RTSP): the newest picture as it arrives.

    Args:
        url: Its address.
        capture: An open `cv2.VideoCapture`.
        clock: The computer's clock by default.

    Example:
        with open_url("rtsp://camera.local/stream") as source:
            frame = source.read()
    """

    state: SourceState = "live"

    def __init__(self, url: str, capture: Any, *, clock: Clock | None = None) -> None:
        super().__init__(url, masked_url(url), capture, clock)

    def read(self) -> Frame:
        """The next picture. Raises SourceError if none arrives within the time-out."""
        pixels = self._grab()
        if pixels is None:
            raise SourceError(f"{self.name} stopped, or sent no picture for {URL_TIMEOUT_S:g} s")
        return self._frame(pixels)


def open_url(url: str, *, loop: bool = True, paced: bool = True, clock: Clock | None = None) -> Source:
    """Open an http, https, rtsp or rtsps URL: a network camera, or a video file on a web server.

    Args:
        url: The address.
        loop, paced, clock: As for `mien.sources.open_source`.

    Raises:
        SourceMissingError: Another scheme, or no host.
        SourceError: No video within the time-out.
    """
    name = masked_url(url)
    capture = open_ffmpeg(url)
    if not capture.isOpened():
        raise SourceError(f"{name}: expected a video stream, found none within {URL_TIMEOUT_S:g} s")
    # A web server sends a file as fast as it can, so whatever has a length is paced by its own times.
    if capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0:
        return VideoSource(url, name, capture, lambda: open_ffmpeg(url), loop=loop, paced=paced, clock=clock)
    return StreamSource(url, capture, clock=clock)


def masked_url(url: str) -> str:
    """The URL as it may be shown and logged: without user, password and query, which often contains a key.

    Args:
        url: The address.

    Raises:
        SourceMissingError: Not an http, https, rtsp or rtsps URL with a host.
    """
    expected = f"expected a URL such as rtsp://host/path with {', '.join(URL_SCHEMES)}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        # The original message would quote part of the URL, perhaps the password.
        raise SourceMissingError(f"{expected}, found one whose host or port cannot be read") from None
    if parts.scheme.lower() not in URL_SCHEMES:
        raise SourceMissingError(f"{expected}, found the scheme {parts.scheme!r}")
    if not host:
        raise SourceMissingError(f"{expected}, found no host in it")
    host = f"[{host}]" if ":" in host else host
    secret = "***@" if parts.username or parts.password else ""
    query = "?***" if parts.query else ""
    path = _SECRET_IN_PATH.sub(r"\1***", parts.path)
    return f"{parts.scheme.lower()}://{secret}{host}{f':{port}' if port else ''}{path}{query}"

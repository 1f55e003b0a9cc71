"""Network cameras: video over HTTP or RTSP."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from mien.clock import Clock
from mien.errors import SourceError, SourceMissingError
from mien.sources.base import Source
from mien.sources.decoder import Access, Decoder, Picture, import_av, open_container
from mien.sources.files import Video, VideoSource
from mien.types import Frame, SourceState

URL_SCHEMES = ("http", "https", "rtsp", "rtsps")

URL_TIMEOUT_S = 5.0
"""Longest wait for a network camera to respond, and then for each picture."""

FORMATS = (
    "mpjpeg",
    "mjpeg",
    "jpeg_pipe",
    "rtsp",
    "hls",
    "mpegts",
    "mov",
    "matroska",
    "avi",
    "flv",
    "asf",
    "ogg",
    "mpeg",
    "aac",
    "mp3",
    "ac3",
    "eac3",
    "webvtt",
)
"""What an address may deliver, and each rendition of an HLS stream: separate sound and subtitles too. No descriptions
of sessions (SDP) and no lists of files: they open ports and files."""
PROTOCOLS = ("http", "https", "httpproxy", "tcp", "tls", "crypto")
"""`crypto` decrypts parts of HLS streams (AES-128); what it reads them from has to be one of these protocols too."""
OPTIONS = (("rtsp_transport", "tcp"),)
"""UDP would lose parts of pictures, and needs open ports."""

# Many recorders expect the password inside the path: /user=admin&password=...&channel=1
_SECRET_IN_PATH = re.compile(r"((?:password|passwd|pass|pwd|token|key)=)[^&/;]+", re.IGNORECASE)


class StreamSource(Source):
    """A network camera (MJPEG over HTTP, RTSP): the newest picture as it arrives.

    Args:
        url: Its address.
        video: The open video.
        clock: The computer's clock by default.

    Raises:
        SourceError: No picture arrives; the video is closed then.

    Example:
        with open_url("rtsp://camera.local/stream") as source:
            frame = source.read()
    """

    state: SourceState = "live"

    def __init__(self, url: str, video: Video, *, clock: Clock | None = None) -> None:
        self.spec = url
        self.name = masked_url(url)
        self._clock = clock or Clock()
        self._index = 0  # of the next frame
        self._video: Video | None = video
        try:
            # It counts as open with its first picture: until then, the previous source goes on.
            self._first: Picture | None = self._read_picture()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; may be called twice."""
        if self._video is not None:
            self._video.close()
            self._video = None

    def read(self) -> Frame:
        """The next picture. Raises SourceError if none arrives within the time-out."""
        picture = self._first or self._read_picture()
        self._first = None
        if self._video is None:
            raise SourceError(f"{self.name} is closed")
        self._index += 1
        return Frame(self._video.pixels(picture), self._index - 1, self._clock.wall())

    def _read_picture(self) -> Picture:
        stopped = f"{self.name} stopped, or sent no picture for {URL_TIMEOUT_S:g} s"
        try:
            picture = None if self._video is None else self._video.read()
        except SourceError as error:
            raise SourceError(stopped) from error
        if picture is None:
            raise SourceError(stopped)
        return picture


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
    video = _connect(url, name)
    # A web server sends a file as fast as it can, so whatever has a length is paced by its own times.
    if video.duration_s is None:
        return StreamSource(url, video, clock=clock)
    first = [video]

    def reopen() -> Decoder:
        return first.pop() if first else _connect(url, name)

    return VideoSource(url, name, reopen, loop=loop, paced=paced, clock=clock)


def _connect(url: str, name: str) -> Decoder:
    av = import_av()
    try:
        container = open_container(url, Access(FORMATS, PROTOCOLS, URL_TIMEOUT_S, OPTIONS))
    except (av.error.FFmpegError, OSError) as error:
        raise SourceError(f"{name}: expected a video stream, found none within {URL_TIMEOUT_S:g} s") from error
    return Decoder(container, name)


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

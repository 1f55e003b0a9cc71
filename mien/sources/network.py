"""Network cameras: video over HTTP or RTSP, and snapshots."""

from __future__ import annotations

from dataclasses import dataclass

from mien.addresses import SCHEMES, Address, AddressError, parse_address
from mien.clock import Clock
from mien.errors import SourceError, SourceMissingError
from mien.filetypes import HEAD_BYTES, identify
from mien.sources import reasons
from mien.sources.base import Source
from mien.sources.decoder import Decoder, Picture
from mien.sources.files import Video, VideoSource
from mien.sources.http_client import Body, HttpClient, Trust
from mien.sources.network_video import FORMATS, open_body, open_by_address, open_hls
from mien.sources.snapshots import SnapshotSource
from mien.types import Frame, SourceState

URL_SCHEMES = SCHEMES

URL_TIMEOUT_S = 5.0
"""Longest wait for a network camera to respond, and then for each picture."""

HLS = b"#EXTM3U"
"""How the playlist of an HLS stream begins: RFC 8216, 4.3.1.1."""


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
        except SourceError:
            raise SourceError(stopped) from None  # what FFmpeg says quotes the address
        if picture is None:
            raise SourceError(stopped)
        return picture


def open_url(
    url: str, *, loop: bool = True, paced: bool = True, insecure: bool = False, clock: Clock | None = None
) -> Source:
    """Open an http, https, rtsp or rtsps URL: a network camera, or a video file on a web server.

    Args:
        url: The address.
        insecure: Whether certificates are accepted that cannot be verified.
        loop, paced, clock: As for `mien.sources.open_source`.

    Raises:
        SourceMissingError: Another scheme, or no host.
        SourceError: No video or image within the time-out, with the reason.
    """
    address = checked_address(url)
    trust = Trust(URL_TIMEOUT_S, insecure)
    opened = _open(address, trust)
    if isinstance(opened, _Snapshots):
        return SnapshotSource(url, opened.client, opened.first, clock=clock)
    # A web server sends a file as fast as it can, so whatever has a length is paced by its own times.
    if opened.duration_s is None:
        return StreamSource(url, opened, clock=clock)
    first = [opened]

    def reopen() -> Video:
        again = first.pop() if first else _open(address, trust)
        if isinstance(again, _Snapshots):
            again.client.close()
            raise SourceError(f"{address}: expected the same video again, found an image")
        return again

    return VideoSource(url, str(address), reopen, loop=loop, paced=paced, clock=clock)


@dataclass(frozen=True, slots=True)
class _Snapshots:
    client: HttpClient
    first: Body


def _open(address: Address, trust: Trust) -> Decoder | _Snapshots:
    """Open whatever an address delivers: its content tells, not its path."""
    if address.scheme.startswith("rtsp"):
        return open_by_address(address, address, trust)
    client = HttpClient(address, trust)
    body = Body(client, client.get())
    try:
        if body.content_type.startswith("multipart/"):
            return open_body(body, address, ("mpjpeg",), trust.timeout_s)
        head = body.peek(HEAD_BYTES)
        kind = identify(head)
        if kind is not None and kind.media == "image" and kind.usable and body.is_one_image:
            return _Snapshots(client, body)
        if not head.startswith(HLS):
            if kind is not None and not kind.usable:
                raise SourceError(reasons.for_content(address, head))
            if not body.has_length:
                return open_body(body, address, FORMATS, trust.timeout_s)
        body.close()  # FFmpeg asks again: it may want other parts of a file first
        opened_by = open_hls if head.startswith(HLS) else open_by_address
        return opened_by(client.address, address, trust, head)
    except OSError as error:
        body.close()
        raise SourceError(reasons.for_error(address, error, trust.timeout_s)) from None
    except BaseException:
        body.close()
        raise


def checked_address(url: str) -> Address:
    """Read an address.

    Args:
        url: The address.

    Raises:
        SourceMissingError: It is not an http, https, rtsp or rtsps URL with a host.
    """
    try:
        return parse_address(url)
    except AddressError as error:
        raise SourceMissingError(str(error)) from None


def masked_url(url: str) -> str:
    """The URL as it may be shown and logged: without user, password and query, which often contains a key.

    Args:
        url: The address.

    Raises:
        SourceMissingError: Not an http, https, rtsp or rtsps URL with a host.
    """
    return str(checked_address(url))

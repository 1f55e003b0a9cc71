"""Videos that FFmpeg reads from the network, by their address or as bytes that arrive, within limits."""

from __future__ import annotations

import os
import socket
import ssl
import time
from pathlib import Path

from mien.addresses import Address, AddressError, parse_address
from mien.errors import SourceError
from mien.sources import reasons
from mien.sources.decoder import Access, Decoder, import_av, open_container
from mien.sources.http_client import MAX_REDIRECTS, Body, HttpClient, Trust

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
OPTIONS = (("rtsp_transport", "tcp"), ("max_redirects", str(MAX_REDIRECTS)))
"""UDP would lose parts of pictures, and needs open ports."""

AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where systems keep the certificates that FFmpeg is to trust, if Python does not know."""


def open_by_address(address: Address, shown: Address, trust: Trust, head: bytes = b"") -> Decoder:
    """Let FFmpeg open an address: an RTSP camera, or a video on a web server.

    Args:
        address: Of the video.
        shown: The address that was given, for messages.
        trust: How long to wait for the server, and whether to believe it.
        head: The first bytes, if they are known, for messages.

    Raises:
        SourceError: It cannot be opened; with the reason.
    """
    av = import_av()
    begun_s = time.monotonic()
    try:
        container = open_container(
            address.full, Access(FORMATS, PROTOCOLS, trust.timeout_s, (*OPTIONS, *_tls_options(address, trust)))
        )
    except (av.error.FFmpegError, OSError) as error:
        # From None: what FFmpeg says quotes the address with its password.
        why = TimeoutError() if time.monotonic() - begun_s >= trust.timeout_s else error
        raise _reason(address, shown, why, trust, head) from None
    return Decoder(container, str(shown))


def open_body(body: Body, shown: Address, formats: tuple[str, ...], timeout_s: float) -> Decoder:
    """Let FFmpeg read a stream as it arrives.

    Args:
        body: The stream, which is closed with the decoder.
        shown: The address that was given, for messages.
        formats: Of those it may be in.
        timeout_s: How long to wait for each picture.

    Raises:
        SourceError: It cannot be opened; with the reason, and the stream is closed.
    """
    av = import_av()
    arriving = _Arriving(body)
    try:
        return Decoder(open_container(arriving, Access(formats, (), timeout_s)), str(shown), arriving)
    except (av.error.FFmpegError, OSError):
        body.close()
        if arriving.error is not None:
            raise SourceError(reasons.for_error(shown, arriving.error, timeout_s)) from None
        raise SourceError(reasons.for_content(shown, body.beginning)) from None
    except BaseException:
        body.close()
        raise


def open_hls(address: Address, shown: Address, trust: Trust, head: bytes) -> Decoder:
    """Open an HLS stream; FFmpeg would verify the certificate of its playlist only, not those of its parts.

    Args:
        address, shown, trust, head: As for `open_by_address`.

    Raises:
        SourceError: It cannot be opened; with the reason.
    """
    if address.scheme != "https" or trust.insecure:
        return open_by_address(address, shown, trust, head)
    av = import_av()
    parts = _VerifiedParts(address, trust)
    options = (("http_persistent", "0"), ("http_multiple", "0"))
    try:
        container = open_container(address.full, Access(FORMATS, PROTOCOLS, trust.timeout_s, options), parts)
        return Decoder(container, str(shown), parts)
    except (av.error.FFmpegError, OSError, SourceError) as error:
        parts.close()
        if parts.problem is None and isinstance(error, SourceError):
            raise
        raise SourceError(parts.problem or reasons.for_content(shown, head)) from None


class _Arriving:
    """Bytes for FFmpeg, which end where they cannot be read: PyAV prints exceptions that FFmpeg does not return."""

    def __init__(self, body: Body | None) -> None:
        self._body = body
        self.error: OSError | None = None
        self.closed = False

    def read(self, size: int) -> bytes:
        """The next bytes, at most so many; none at the end, and from the first error on."""
        if self._body is None or self.error is not None:
            return b""
        try:
            return self._body.read(size)
        except OSError as error:
            self.error = error
            return b""

    def restart(self) -> None:
        """Begin to count the time anew."""
        if self._body is not None:
            self._body.restart()

    def close(self) -> None:
        """Close the connection; may be called twice."""
        self.closed = True
        if self._body is not None:
            self._body.close()


class _Part(_Arriving):
    """A part of an HLS stream: each read has its own time, and the end closes the connection."""

    def read(self, size: int) -> bytes:
        """As `_Arriving.read`."""
        self.restart()
        data = super().read(size)
        if not data:
            self.close()
        return data


class _VerifiedParts:
    """Opens the parts of an HLS stream with verified certificates; called by FFmpeg."""

    def __init__(self, playlist: Address, trust: Trust) -> None:
        self._playlist = playlist
        self._trust = trust
        self.problem: str | None = None
        """Why the last part that could not be opened could not."""
        self._open: list[_Part] = []

    def __call__(self, url: str, flags: int, options: dict[str, str]) -> _Part:
        """The bytes of one part; none if it cannot be opened."""
        try:
            address = parse_address(url)
        except AddressError:
            self.problem = (
                f"{self._playlist}: expected a stream without encryption of its parts (AES-128), found one with it: "
                "over https, only --insecure plays it"
            )
            return _Part(None)
        client = HttpClient(address, self._trust)
        try:
            part = _Part(Body(client, client.get(_range(options))))
        except SourceError as error:
            self.problem = str(error)
            return _Part(None)
        self._open = [*(each for each in self._open if not each.closed), part]
        return part

    def read(self, size: int) -> bytes:
        """Nothing: only parts are read."""
        raise OSError(f"expected to read parts, not {size} bytes of all")

    def restart(self) -> None:
        """Nothing to do: each part has its own time."""

    def close(self) -> None:
        """Close what FFmpeg has left open."""
        for part in self._open:
            part.close()
        self._open.clear()


def _range(options: dict[str, str]) -> dict[str, str]:
    """The header for a part of a file (EXT-X-BYTERANGE), from FFmpeg's options."""
    first, end = int(options.get("offset", 0)), int(options.get("end_offset", 0))
    return {"Range": f"bytes={first}-{end - 1 if end else ''}"} if first or end else {}


def _tls_options(address: Address, trust: Trust) -> tuple[tuple[str, str], ...]:
    if address.scheme not in ("https", "rtsps") or trust.insecure:
        return ()
    file = authorities()
    return (("tls_verify", "1"), *((("ca_file", file),) if file else ()))


def authorities() -> str | None:
    """The file of certificates that this system trusts; None where it keeps them otherwise, and FFmpeg knows how."""
    known = (os.environ.get("SSL_CERT_FILE"), ssl.get_default_verify_paths().cafile, *AUTHORITIES)
    return next((file for file in known if file and Path(file).is_file()), None)


def _reason(address: Address, shown: Address, error: Exception, trust: Trust, head: bytes) -> SourceError:
    """The error for an address that FFmpeg cannot open."""
    av = import_av()
    for kind, status in (
        (av.error.HTTPUnauthorizedError, 401),
        (av.error.HTTPForbiddenError, 403),
        (av.error.HTTPNotFoundError, 404),
        (av.error.HTTPTooManyRequestsError, 429),
        (av.error.HTTPClientError, 400),
        (av.error.HTTPServerError, 500),
    ):
        if isinstance(error, kind):
            return reasons.for_status(shown, status)
    if isinstance(error, av.error.ExitError | TimeoutError):
        return SourceError(reasons.for_error(shown, TimeoutError(), trust.timeout_s))
    if head:
        return SourceError(reasons.for_content(shown, head))
    why = _connection_error(address, trust) or ValueError()
    return SourceError(reasons.for_error(shown, why, trust.timeout_s))


def _connection_error(address: Address, trust: Trust) -> OSError | None:
    """What is wrong with connecting, where FFmpeg says only that it failed; None if nothing is."""
    try:
        with socket.create_connection((address.host, address.port_or_default), trust.timeout_s) as connection:
            if address.scheme in ("https", "rtsps"):
                trust.context().wrap_socket(connection, server_hostname=address.host).close()
    except OSError as error:
        return error
    return None

"""Why an address gives no video, each reason with what to do next; none of them shows a password."""

from __future__ import annotations

import socket
import ssl
from http import HTTPStatus

from mien.addresses import Address
from mien.errors import SourceError, SourceLoginError
from mien.filetypes import HEAD_BYTES, describe, identify

EXPECTED = "expected a video stream or a snapshot"


def for_status(address: Address, status: int) -> SourceError:
    """The error for a camera or web server that gives no video, by the status of its answer.

    Args:
        address: The address.
        status: As HTTP and RTSP number them.
    """
    if status == HTTPStatus.UNAUTHORIZED and address.user is None:
        say = f"a user and a password are needed (401): {address.scheme}://USER:PASSWORD@{address.netloc}/..."
    elif status == HTTPStatus.UNAUTHORIZED:
        say = "user or password is wrong (401): check both; cameras may lock the account after a few attempts"
    elif status == HTTPStatus.FORBIDDEN:
        say = "the camera refuses access (403): allow it, for this user and this computer, in the camera's settings"
    elif status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        say = f"there is nothing at this path ({int(status)}): look for the path of its stream in the camera's manual"
    else:
        known = {each.value: f" {each.phrase}" for each in HTTPStatus}
        say = f"the camera answers {int(status)}{known.get(status, '')}: restart it, or check the path"
    is_login = status == HTTPStatus.UNAUTHORIZED and address.user is not None
    return (SourceLoginError if is_login else SourceError)(f"{address}: {EXPECTED}, but {say}")


def for_error(address: Address, error: Exception, timeout_s: float) -> str:
    """Why nobody answers at an address, or what answers cannot be trusted.

    Args:
        address: The address.
        error: What connecting raised.
        timeout_s: How long it was waited for.
    """
    port = address.port_or_default
    if isinstance(error, socket.gaierror | UnicodeError):
        say = f"no computer is called {address.host}: check the name, or give the IP address"
    elif isinstance(error, ssl.SSLCertVerificationError):
        say = f"its certificate cannot be verified ({error.verify_message}): --insecure accepts it unverified"
    elif isinstance(error, ssl.SSLError):
        plain = address.scheme.removesuffix("s")
        say = f"port {port} answers without encryption, or with one that is outdated: try {plain}://"
    elif isinstance(error, TimeoutError):
        say = f"there was no answer within {timeout_s:g} s: check the address, and that the camera is on"
    elif isinstance(error, ConnectionRefusedError):
        say = f"nothing listens on port {port} there: check the port, and that the camera is on"
    elif isinstance(error, ConnectionError):
        say = "the connection was closed: check port and scheme, and that the camera has not too many viewers"
    elif isinstance(error, OSError):
        say = f"it cannot be reached ({error.strerror or 'unknown error'}): check address and network"
    else:
        say = f"port {port} answers in another way than {address.scheme}: check port and scheme"
    return f"{address}: {EXPECTED}, but {say}"


def for_content(address: Address, head: bytes) -> str:
    """Why what an address delivers is no video.

    Args:
        address: The address.
        head: Its first bytes.
    """
    found = describe(head[:HEAD_BYTES])
    kind = identify(head[:HEAD_BYTES])
    if kind is not None and "HTML" in kind.name:
        found = "a web page (HTML): open it in a browser and look for the address of the stream or snapshot"
    elif kind is not None and kind.usable:
        found = f"{kind.text} that cannot be read"
    return f"{address}: {EXPECTED}, found {found}"

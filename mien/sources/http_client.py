"""HTTP as cameras speak it: verified certificates, a few redirects, passwords, one connection for many requests."""

from __future__ import annotations

import io
import ssl
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urljoin

import mien
from mien.addresses import Address, AddressError, parse_address
from mien.errors import SourceError
from mien.sources import reasons
from mien.sources.http_login import Login

MAX_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
MAX_REFUSAL_BYTES = 65_536
"""Larger texts of refusals are not read: the connection is closed instead."""


@dataclass(frozen=True, slots=True)
class Trust:
    """How long to wait for a server, and whether to believe it.

    Args:
        timeout_s: Longest wait for a connection, for an answer and for each picture.
        insecure: Whether certificates are accepted that cannot be verified.
    """

    timeout_s: float
    insecure: bool = False

    def context(self) -> ssl.SSLContext:
        """The rules for certificates: those of the system's authorities, or of SSL_CERT_FILE."""
        context = ssl.create_default_context()
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class Deadline:
    """When a wait ends, however many bytes arrive one by one until then; `restart` begins to count anew.

        deadline = Deadline(5.0)
        sock.settimeout(deadline.remaining_s())

    Args:
        timeout_s: From each start, in seconds.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self.restart()

    def restart(self) -> None:
        """Begin to count the time anew, as before each picture."""
        self._at_s = time.monotonic() + self._timeout_s

    def remaining_s(self) -> float:
        """Seconds that are left, above 0. Raises TimeoutError at the end."""
        remaining_s = self._at_s - time.monotonic()
        if remaining_s <= 0:
            raise TimeoutError("timed out")
        return remaining_s


class HttpClient:
    """Requests to one address; the connection is kept open between them.

        client = HttpClient(parse_address("http://admin:secret@192.168.1.5/snapshot.jpg"), Trust(5.0))
        response = client.get()

    Args:
        address: The address, http or https.
        trust: How long to wait for the server, and whether to believe it.
    """

    def __init__(self, address: Address, trust: Trust) -> None:
        self.address = address
        """Where redirects have led to."""
        self.deadline = Deadline(trust.timeout_s)
        """Of an answer, and then of each picture in it."""
        self.given = address
        """As it was given, for messages."""
        self.timeout_s = trust.timeout_s
        self._trust = trust
        self._connection: HTTPConnection | None = None
        self._login: Login | None = None

    def get(self, headers: Mapping[str, str] | None = None) -> HTTPResponse:
        """Request the address, following redirects.

        Args:
            headers: Further headers.

        Returns:
            The answer, with status 200, 206 or 304; read it to its end, or close the client.

        Raises:
            SourceError: With the reason, if there is no such answer.
        """
        self.deadline.restart()
        try:
            for _ in range(MAX_REDIRECTS + 1):
                response = self._authorized(headers or {})
                if response.status not in REDIRECTS:
                    break
                self._follow(response)
            else:
                raise SourceError(
                    f"{self.given}: expected at most {MAX_REDIRECTS} redirects, found more: open it in a browser, "
                    "and give the address to which it leads"
                )
        except (OSError, HTTPException, ValueError) as error:  # ValueError: a header that cannot be sent
            self.close()
            raise SourceError(reasons.for_error(self.address, error, self.timeout_s)) from None
        except BaseException:
            self.close()
            raise
        if response.status not in (200, 206, 304):
            response.close()
            self.close()
            raise reasons.for_status(self.address, response.status)
        return response

    def close(self) -> None:
        """Close the connection; may be called twice, and `get` opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _authorized(self, headers: Mapping[str, str]) -> HTTPResponse:
        """The answer to a request, which is repeated with the password if the server asks for it."""
        response = self._send(headers)
        if response.status == 401 and self.address.user is not None:
            login = Login.chosen(self.address, response.headers.get_all("WWW-Authenticate") or [])
            is_wrong = self._login is not None and not (login is not None and login.is_stale)
            if login is not None and not is_wrong:
                self._login = login
                self._drain(response)
                response = self._send(headers)
        return response

    def _send(self, headers: Mapping[str, str]) -> HTTPResponse:
        """Send a request; once more if the server has closed the connection since the last one."""
        is_reused = self._connection is not None
        try:
            return self._send_once(headers)
        except (ConnectionError, HTTPException):
            self.close()
            if not is_reused:
                raise
            return self._send_once(headers)

    def _send_once(self, headers: Mapping[str, str]) -> HTTPResponse:
        if self._connection is None:
            self._connection = self._connect()
        sent = {"User-Agent": f"Mien/{mien.__version__}", "Accept": "*/*", "Host": self.address.netloc, **headers}
        if self._login is not None:
            sent["Authorization"] = self._login.answer(self.address.target)
        proxy = self._proxy()
        target = self.address.bare if proxy and self.address.scheme == "http" else self.address.target
        self._connection.request("GET", target, headers=sent)
        return self._connection.getresponse()

    def _connect(self) -> HTTPConnection:
        address, proxy = self.address, self._proxy()
        reached, remaining_s = proxy or address, self.deadline.remaining_s()
        connection: HTTPConnection
        if address.scheme == "http":
            connection = HTTPConnection(reached.host, reached.port_or_default, timeout=remaining_s)
        else:
            context = self._trust.context()
            connection = HTTPSConnection(reached.host, reached.port_or_default, timeout=remaining_s, context=context)
            if proxy:
                connection.set_tunnel(address.host, address.port_or_default)
        connection.response_class = partial(_TimedResponse, self.deadline)  # type: ignore[assignment]
        return connection

    def _proxy(self) -> Address | None:
        """The proxy that the environment sets for this address, as for FFmpeg and other programs."""
        proxy = urllib.request.getproxies().get(self.address.scheme)
        if not proxy or urllib.request.proxy_bypass(self.address.netloc):
            return None
        with suppress(AddressError):
            return parse_address(proxy if "://" in proxy else f"http://{proxy}")
        return None

    def _follow(self, response: HTTPResponse) -> None:
        """Go where a redirect leads; the password goes along only to the same server."""
        response.close()
        self.close()
        old = self.address
        try:
            new = parse_address(urljoin(old.bare, response.headers.get("Location", "")))
        except (AddressError, ValueError):
            new = None
        if new is None or new.scheme not in ("http", "https"):
            raise SourceError(
                f"{self.given}: expected a redirect to an http or https address, found another: open it in a browser, "
                "and give the address of its stream"
            )
        if old.scheme == "https" and new.scheme == "http" and not self._trust.insecure:
            raise SourceError(f"{self.given}: expected https, but it redirects to {new}: if that is right, give that")
        if new.origin == old.origin:
            new = replace(new, user=old.user, password=old.password)
        else:
            self._login = None
        self.address = new

    def _drain(self, response: HTTPResponse) -> None:
        """Read the text of a refusal, so that the connection can be used again."""
        response.read(MAX_REFUSAL_BYTES)
        if not response.isclosed():
            response.close()
            self.close()


class Body:
    """The bytes of an answer as they arrive, for FFmpeg and for what looks at the first ones.

    Args:
        client: Which asked; its deadline counts.
        response: The answer.
    """

    def __init__(self, client: HttpClient, response: HTTPResponse) -> None:
        self._client = client
        self._response = response
        self._left = None if response.chunked else response.length  # read1 of early Python 3.11 does not count
        self._head = b""  # what was looked at, and is still to be read
        self.has_length = self._left is not None
        """Whether it ends, as a file does, and says where."""
        self.content_type = response.headers.get_content_type()
        """In lower case, such as image/jpeg."""
        self.tag: str | None = response.headers.get("ETag")
        """Changes with the content."""
        self.beginning = b""
        """What was looked at."""

    @property
    def is_one_image(self) -> bool:
        """Whether an image is alone, as its type and length tell, and not the first of a stream of JPEG images."""
        return self.content_type.startswith("image/") or (
            self.has_length and not self.content_type.startswith("video/")
        )

    def restart(self) -> None:
        """Begin to count the time anew, as before each picture."""
        self._client.deadline.restart()

    def read(self, size: int) -> bytes:
        """The next bytes, at most so many; none at the end. Raises OSError."""
        if self._head:
            head, self._head = self._head[:size], self._head[size:]
            return head
        try:
            data = (
                self._response.read1(size if self._left is None else min(size, self._left)) if self._left != 0 else b""
            )
        except HTTPException as error:  # chunks that are cut off
            raise ConnectionError(type(error).__name__) from None
        if self._left is not None:
            self._left -= len(data)
            if not self._left:
                self._response.close()  # the connection can be used again
        return data

    def peek(self, size: int) -> bytes:
        """The first bytes, which are read again later: so many, or all there are. Raises OSError."""
        head = b""
        while len(head) < size and (part := self.read(size - len(head))):
            head += part
        self._head = self.beginning = head
        return head

    def rest(self, most: int) -> bytes:
        """All further bytes, or more than `most` of them. Raises OSError."""
        parts, size = [], 0
        while size <= most and (part := self.read(65_536)):
            parts.append(part)
            size += len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Close the connection; may be called twice."""
        self._response.close()
        self._client.close()


class _TimedResponse(HTTPResponse):
    """An answer that has to arrive before a deadline, of which a time-out for each byte would know nothing."""

    def __init__(self, deadline: Deadline, sock: Any, **options: Any) -> None:
        super().__init__(sock, **options)
        self.fp.close()
        self.fp = io.BufferedReader(_TimedSocket(sock, deadline))


class _TimedSocket(io.RawIOBase):
    def __init__(self, sock: Any, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline
        self._file = sock.makefile("rb", buffering=0)  # keeps the socket open until it is closed, too

    def readable(self) -> bool:
        """As files that can be read say."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """As `io.RawIOBase`. Raises TimeoutError after the deadline."""
        self._sock.settimeout(self._deadline.remaining_s())
        return self._file.readinto(buffer)

    def close(self) -> None:
        """Close it; may be called twice."""
        self._file.close()
        super().close()

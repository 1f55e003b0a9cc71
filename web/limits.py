"""How many streams and requests may run concurrently, how long their bodies may be, and the answer to the others."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge, TooManyRequests

RETRY_AFTER_S = 5

MAX_JSON_BYTES = 8192
"""Length of a JSON body, and of any other body that a route does not declare; the longest expected names a source."""

MAX_BODY_BYTES = 64 * 1024 * 1024
"""Length of a declared body that is not JSON, unless its route declares less."""

CLIENT_IS_GONE = "mien.client_is_gone"
"""Key of the WSGI environment under which our server gives a function that says whether the client has disconnected."""

PARTS_PER_S = 3000
"""Pictures per second, to all viewers together. Above it (100 viewers at 30 fps) each viewer gets fewer, which leaves
processor time for the analysis."""


class Slots:
    """A limited number of concurrent uses, each with an optional name; thread-safe.

    Args:
        limit: Number of slots.

    Raises:
        ValueError: The limit is below 1.

    Example:
        slots = Slots(2)
        if slots.acquire():
            slots.release()
    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"expected a limit of at least 1, found {limit}")
        self.limit = limit
        self._lock = threading.Lock()
        self._names: list[str] = []

    @property
    def count(self) -> int:
        """Slots in use."""
        return len(self._names)

    @property
    def full(self) -> bool:
        """Whether no slot is free."""
        return self.count >= self.limit

    def __contains__(self, name: str) -> bool:
        """Whether a slot is in use under this name."""
        with self._lock:
            return name in self._names

    def acquire(self, name: str = "") -> bool:
        """Take a slot.

        Args:
            name: Name under which it is taken; several slots may have the same.

        Returns:
            False if none is free.
        """
        with self._lock:
            if self.full:
                return False
            self._names.append(name)
            return True

    @contextmanager
    def hold(self, refusal: str, retry_after_s: int) -> Iterator[None]:
        """A context that holds a slot.

        Args:
            refusal: What the answer says where none is free.
            retry_after_s: When it is worth trying again, in seconds.

        Raises:
            TooManyRequests: None is free.
        """
        if not self.acquire():
            raise TooManyRequests(refusal, retry_after=retry_after_s)
        try:
            yield
        finally:
            self.release()

    def release(self, name: str = "") -> None:
        """Return a slot that was taken under this name."""
        with self._lock:
            self._names.remove(name)


class CappedStream(io.RawIOBase):
    """A stream that refuses to deliver more than so many bytes, for bodies that do not give their length.

        stream = CappedStream(environ["wsgi.input"])

    Args:
        stream: The stream to read from.
        limit: Most bytes; may be changed before the stream is read.
    """

    def __init__(self, stream: IO[bytes], limit: int = 0) -> None:
        super().__init__()
        self._stream = stream
        self._count = 0
        self.limit = limit

    def readable(self) -> bool:
        """As every stream says of itself: true."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer.

        Raises:
            RequestEntityTooLarge: There is more than the limit.
        """
        data = self._stream.read(min(len(buffer), self.limit + 1 - self._count))
        self._count += len(data)
        if self._count > self.limit:
            raise _too_long(self.limit, "more")
        buffer[: len(data)] = data
        return len(data)


def limit_body(limit: int) -> None:
    """Limit the body of the present request, before anything of it is received.

    Args:
        limit: Most bytes, whether the request gives their number in advance or sends them in chunks.

    Raises:
        RequestEntityTooLarge: The request announces more.
    """
    _set_limit(limit)
    length = request.content_length
    if length is not None and length > limit:
        raise _too_long(limit, str(length))


def limit_bodies(app: Flask) -> None:
    """Limit the body of each request to what its route declares; one that the route does not read is discarded.

    Args:
        app: The app; views declared with an `Operation` have a limit of their own, all others MAX_JSON_BYTES.
    """

    @app.before_request
    def check_body() -> None:
        operation = getattr(app.view_functions.get(request.endpoint or ""), "operation", None)
        if operation is not None and operation.takes_content:
            limit_body(operation.max_bytes)
        else:
            _set_limit(MAX_JSON_BYTES if operation is None else operation.max_bytes)


def check_client() -> None:
    """End the present request if nobody waits for its answer any more, so that its slot is free for others.

    Raises:
        ClientDisconnected: The client has closed the connection.
    """
    is_gone = request.environ.get(CLIENT_IS_GONE)
    if is_gone is not None and is_gone():
        raise ClientDisconnected


def _set_limit(limit: int) -> None:
    request.max_content_length = limit
    if request.environ.get("wsgi.input_terminated"):  # chunks, whose number is not known
        stream = request.environ["wsgi.input"]
        if not isinstance(stream, CappedStream):
            stream = request.environ["wsgi.input"] = CappedStream(stream)
        stream.limit = limit
        request.max_content_length = limit + 1  # Werkzeug's own limit would cut the body off without an error


def _too_long(limit: int, found: str) -> RequestEntityTooLarge:
    return RequestEntityTooLarge(f"Expected a body of at most {limit} bytes, found {found}.")


def pause_s(viewers: int) -> float:
    """Minimum time between two pictures of one stream, in seconds.

    Args:
        viewers: Number of open picture streams; up to 100 need no pause.
    """
    return viewers / PARTS_PER_S if viewers > PARTS_PER_S / 30 else 0.0


def refusal(text: str) -> Response:
    """The answer 503 to a stream without a slot: JSON below /api/, else a line of text.

    Args:
        text: What was expected and what was found.
    """
    response = jsonify(error=text) if request.path.startswith("/api/") else Response(f"{text}\n", mimetype="text/plain")
    response.status_code = 503
    response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response

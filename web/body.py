"""The body of a request, received while it is read: never more than the reader asks for is held in memory.

Cheroot would receive a whole chunk at once, whatever its length, and copy what is left of it with every read.
"""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable
from typing import IO, Any

MAX_CHUNK_LINE_BYTES = 512
MAX_TRAILER_BYTES = 8192

FREE_CHUNKS = 4096
MIN_CHUNK_BYTES = 1024
"""Beyond the free ones, chunks must be this long on average: reading one costs as much time as ten kilobytes do."""

_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[^\x00-\x08\x0a-\x1f\x7f]*)?\r\n")


class BodyError(ConnectionError):
    """A body that ends too early, or whose chunks are malformed; nothing more can be read from its connection."""


class Body(io.RawIOBase):
    """The body of one request, as WSGI reads it (`wsgi.input`).

        body = Body(connection.rfile, length=12)
        body.read()

    Args:
        stream: The connection, from which `read` and `readline` receive.
        length: Bytes of the body; None for a chunked body.
        before: Called before the first byte is received: sends "100 Continue" to a client that waits for it.
    """

    def __init__(self, stream: IO[bytes], length: int | None, before: Callable[[], object] | None = None) -> None:
        super().__init__()
        self._stream = stream
        self._left = length or 0  # of the body, or of the present chunk
        self._chunked = length is None
        self._chunks = self._received = 0
        self._before = before
        self.finished = length == 0
        """Whether the whole body was received."""

    @property
    def waiting(self) -> bool:
        """Whether the client still waits for "100 Continue", so that it will not send the body."""
        return self._before is not None and not self.finished

    def readable(self) -> bool:
        """As every stream says of itself: true."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Receive at most as many bytes as fit; 0 at the end.

        Raises:
            BodyError: The client disconnected, or the chunks are malformed.
        """
        if self.finished or not len(buffer):
            return 0
        if self._before is not None:
            self._before()
            self._before = None
        if self._chunked and not self._left:
            self._begin_chunk()
            if self.finished:
                return 0
        data = self._stream.read(min(len(buffer), self._left))
        if not data:
            raise BodyError("the client disconnected before the end of the body")
        buffer[: len(data)] = data
        self._received += len(data)
        self._left -= len(data)
        if self._chunked:
            if not self._left and self._stream.read(2) != b"\r\n":
                raise BodyError("expected the end of a chunk")
        else:
            self.finished = not self._left
        return len(data)

    def discard(self, max_bytes: int, max_s: float = 10.0) -> bool:
        """Receive the rest without keeping it.

        Args:
            max_bytes: Give up after so many bytes, or at once if the body is longer.
            max_s: Give up after this time: a client that sends slowly would occupy a thread for minutes.

        Returns:
            Whether all of it was received, so that the connection can be used again.
        """
        if self.waiting or self._left > max_bytes:
            return False
        end, end_s = self._received + max_bytes, time.monotonic() + max_s
        while not self.finished and self._received <= end and time.monotonic() < end_s:
            try:
                self.read(64 * 1024)
            except OSError:  # the body does not arrive; the answer can still be sent
                return False
        return self.finished

    def _begin_chunk(self) -> None:
        line = self._stream.readline(MAX_CHUNK_LINE_BYTES)
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise BodyError("expected the length of a chunk")
        self._left = int(match[1], 16)
        self._chunks += 1
        if self._chunks > FREE_CHUNKS + self._received // MIN_CHUNK_BYTES:
            raise BodyError(f"expected chunks of at least {MIN_CHUNK_BYTES} bytes on average")
        if not self._left:
            self._skip_trailer()
            self.finished = True

    def _skip_trailer(self) -> None:
        left = MAX_TRAILER_BYTES
        while (line := self._stream.readline(left)) != b"\r\n":
            left -= len(line)
            if left <= 0 or not line.endswith(b"\r\n"):
                raise BodyError("expected the end of the body")

"""What clients do to the program: single requests, and streams that stay open."""

from __future__ import annotations

import http.client
import json
import selectors
import socket
import threading
from collections import Counter
from collections.abc import Collection
from typing import Any

PICTURES, EVENTS = "/video_feed", "/api/events"
TICK_S = 0.2
TICK_BYTES = 1 << 16
"""A stream gets no more than this at a time: six pictures a second, so that many viewers cost little."""


class Client:
    """Sends requests and counts the answers; thread-safe.

        client = Client(program.port)
        state = client.json("GET", "/api/state")

    Args:
        port: Of the program.

    Attributes:
        answers: The number of answers by status.
        wrong: Answers with an unexpected status.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.answers: Counter[int] = Counter()
        self.wrong: list[str] = []
        self._lock = threading.Lock()

    def __call__(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        kind: str = "application/octet-stream",
        expected: Collection[int] = (200,),
    ) -> tuple[int, bytes]:
        """Send a request.

        Args:
            method, path: Of the request.
            body, kind: What it sends, and of which type.
            expected: What its status may be.

        Returns:
            The status, and the body of the answer.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method, path, body, {"Content-Type": kind} if body else {})
            response = connection.getresponse()
            status, content = response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            status, content = 0, f"{type(error).__name__}: {error}".encode()
        finally:
            connection.close()
        with self._lock:
            self.answers[status] += 1
            if status not in expected:
                self.wrong.append(f"{method} {path}: {status} {content[:200].decode(errors='replace')}")
        return status, content

    def json(self, method: str, path: str, body: Any = None, expected: Collection[int] = (200,)) -> Any:
        """Send a request with JSON; None if its answer is none."""
        data = None if body is None else json.dumps(body).encode()
        status, content = self(method, path, data, "application/json", expected)
        return json.loads(content) if 200 <= status < 300 and content else None


class Streams(threading.Thread):
    """Viewers and readers of events that read slowly, in one thread.

        with Streams(program.port, viewers=20, readers=20, stalled=2):
            ...

    Args:
        port: Of the program.
        viewers: Streams of pictures.
        readers: Streams of events.
        stalled: So many more viewers never read.

    Attributes:
        received: Bytes of each stream, without the stalled ones.
        ended: Streams that the program has closed.
    """

    def __init__(self, port: int, viewers: int, readers: int, stalled: int = 0) -> None:
        super().__init__(name="streams", daemon=True)
        paths = [PICTURES] * viewers + [EVENTS] * readers
        self._idle = [_open(port, PICTURES) for _ in range(stalled)]
        self._sockets = [_open(port, path) for path in paths]
        self.received = [0] * len(paths)
        self.ended = 0
        self._done = threading.Event()

    def run(self) -> None:
        """Read until `close` is called."""
        buffer = bytearray(TICK_BYTES)
        with selectors.DefaultSelector() as ready:
            for i, each in enumerate(self._sockets):
                ready.register(each, selectors.EVENT_READ, i)
            while not self._done.wait(TICK_S):
                for key, _ in ready.select(timeout=0):
                    assert isinstance(key.fileobj, socket.socket)
                    try:
                        size = key.fileobj.recv_into(buffer)
                    except OSError:
                        size = 0
                    self.received[key.data] += size
                    if not size:
                        ready.unregister(key.fileobj)
                        self.ended += 1

    def __enter__(self) -> Streams:
        """Start to read."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close all connections."""
        self._done.set()
        self.join()
        for each in [*self._idle, *self._sockets]:
            each.close()


def _open(port: int, path: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
    return connection

"""Many viewers in one thread, which costs the machine little, and the delay that one viewer sees."""

from __future__ import annotations

import http.client
import json
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_REQUEST = b"GET /video_feed HTTP/1.1\r\nHost: localhost\r\n\r\n"
_PART = b"Content-Type: image/jpeg"
_RECEIVE_BYTES = 1 << 18


class Crowd(threading.Thread):
    """Viewers of /video_feed, in one thread, that count their pictures.

    Args:
        port: Of the program.
        count: Number of viewers.
        stalled: This many of them never read.

    Attributes:
        pictures: How many each of the others has got so far.

    Example:
        with crowd(program.port, 20, stalled=5) as watching:
            print(watching.slowest_fps(4))
    """

    def __init__(self, port: int, count: int, *, stalled: int = 0) -> None:
        super().__init__(daemon=True)
        self._sockets = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(count)]
        for each in self._sockets:
            each.sendall(_REQUEST)
            each.setblocking(False)
        self._reading = self._sockets[stalled:]
        self.pictures = [0] * len(self._reading)
        self._done = threading.Event()

    def run(self) -> None:
        """Read until `stop` is called."""
        ready = selectors.DefaultSelector()
        for i, each in enumerate(self._reading):
            ready.register(each, selectors.EVENT_READ, i)
        buffer = bytearray(_RECEIVE_BYTES)
        tails = [b""] * len(self._reading)
        while not self._done.is_set():
            for key, _ in ready.select(timeout=0.2):
                i = key.data
                try:
                    size = key.fileobj.recv_into(buffer)  # type: ignore[union-attr]
                except OSError:
                    size = 0
                if not size:
                    ready.unregister(key.fileobj)
                    continue
                # A header may be cut in two; what is kept is shorter than one, so none counts twice.
                self.pictures[i] += (tails[i] + buffer[:size]).count(_PART)
                tails[i] = bytes(buffer[max(0, size - len(_PART) + 1) : size])

    def slowest_fps(self, seconds: float) -> float:
        """Measure over the next seconds the pictures a second of the viewer who gets fewest."""
        before = list(self.pictures)
        time.sleep(seconds)
        return min(now - then for now, then in zip(self.pictures, before, strict=True)) / seconds

    def stop(self) -> None:
        """Close all connections."""
        self._done.set()
        self.join()
        for each in self._sockets:
            each.close()


@contextmanager
def crowd(port: int, count: int, *, stalled: int = 0) -> Iterator[Crowd]:
    """Keep viewers until the block ends; port, count, stalled: as for `Crowd`."""
    watching = Crowd(port, count, stalled=stalled)
    watching.start()
    try:
        yield watching
    finally:
        watching.stop()


def delays_ms(port: int, seconds: float) -> list[float]:
    """Measure the delay from capture until one viewer of /api/frames has the JPEG.

    Args:
        port: Of the program.
        seconds: How long to measure.

    Returns:
        Milliseconds, for each new frame.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/api/frames")
    response = connection.getresponse()
    found: list[float] = []
    size, state, last = 0, b"null", -1.0
    end_s = time.perf_counter() + seconds
    while time.perf_counter() < end_s:
        name, _, value = response.readline().partition(b":")
        if name.lower() == b"content-length":
            size = int(value)
        elif name.lower() == b"x-mien-state":
            state = value
        elif name == b"\r\n" and size:
            response.read(size)
            size = 0
            frame = json.loads(state)["frame"]
            if frame and frame["captured_at"] != last:
                last = frame["captured_at"]
                found.append((time.time() - last) * 1e3)
    connection.close()
    return found

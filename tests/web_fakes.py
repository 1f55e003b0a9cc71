"""A fake camera and a client of picture streams, for the tests of the web package."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np

from mien.errors import DetectorError
from mien.recording.video import Saving
from mien.stream.latest import Latest
from mien.types import EXPRESSIONS, Analysis, Box, Face, Frame, Snapshot, SourceStatus
from tests.patience import PATIENCE_S


def face_showing(label: str, number: int | None = None, x: int = 40) -> Face:
    """A face with a probability of 0.82 for one expression and 0.03 for each other."""
    probabilities = np.full(7, 0.03, np.float32)
    probabilities[EXPRESSIONS.index(label)] = 0.82
    return Face(Box(x, 50, 100, 110), probabilities, probabilities, id=number)


class FakeDetectors:
    """Detectors that may be chosen; `broken` cannot be loaded. `loading`, if set, is called before a change."""

    def __init__(self, *available: str) -> None:
        self.available = available or ("auto", "haar", "broken")
        self.current = self.available[0]
        self.loading: Callable[[], object] | None = None

    def switch(self, name: str) -> None:
        if self.loading is not None:
            self.loading()
        if name == "broken" or name not in self.available:
            raise DetectorError(f"expected an installed detector, found {name!r}")
        self.current = name


class FakeCamera:
    """A camera as the web package needs it; a test publishes the pictures and sets the status."""

    def __init__(self) -> None:
        self.snapshots: Latest[Snapshot] = Latest()
        self.current = SourceStatus("Fake camera", "live", fps=29.97)
        self.faces: tuple[Face, ...] = (face_showing("happy", 1), face_showing("sad", 2, x=200))
        self.in_use: str | None = "0"
        self.saving: Saving | None = None
        self.asked = 0
        """How often frames were requested."""
        self.switched: list[str] = []
        self.error: Exception | None = None
        """The error that `switch` raises."""
        self.shown_again = 0
        self.compare: Callable[[Analysis, float], Analysis] = lambda analysis, _: analysis
        """Called as in the real camera."""
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self._player: threading.Thread | None = None

    def status(self) -> SourceStatus:
        return self.current

    def keep_awake(self) -> None:
        self.asked += 1

    def switch(self, source: str) -> SourceStatus:
        if self.error is not None:
            raise self.error
        self.switched.append(source)
        self.current = SourceStatus(source, "live")
        return self.current

    def show_again(self) -> None:
        self.shown_again += 1

    def publish(self, jpeg: bytes | None = None) -> Snapshot:
        """Publish the next picture, one gray level brighter than the previous one."""
        index = next(self._numbers)
        pixels = np.full((240, 320, 3), index % 256, np.uint8)
        if jpeg is None:
            jpeg = cv2.imencode(".jpg", pixels)[1].tobytes()
        frame = Frame(pixels, index, captured_at=time.time(), truth="happy", truths=("happy", None))
        analysis = self.compare(Analysis(320, 240, self.faces, {"detect": 2.5}), frame.captured_at)
        snapshot = Snapshot(jpeg, frame, analysis, latency_ms=12.34)
        self.snapshots.publish(snapshot)
        return snapshot

    def play(self, fps: float = 20) -> None:
        """Publish from a thread until closed."""

        def run() -> None:
            while not self._stop.wait(1 / fps):
                self.publish()

        self._player = threading.Thread(target=run, daemon=True)
        self._player.start()

    def pause(self) -> None:
        """Stop publishing; the last picture stays."""
        self._stop.set()
        if self._player:
            self._player.join()

    def close(self) -> None:
        self.pause()
        self.snapshots.close()


class StreamClient:
    """Reads /video_feed part by part over a real connection."""

    def __init__(self, port: int, receive_bytes: int | None = None, path: str = "/video_feed") -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        sock = socket.socket()
        if receive_bytes:  # a small window, so that the server soon notices a viewer that does not read
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        sock.settimeout(PATIENCE_S)
        sock.connect(("127.0.0.1", port))
        self.connection.sock = sock
        self.connection.request("GET", path)
        self.response = self.connection.getresponse()
        self.headers: dict[str, str] = {}
        """Headers of the newest part."""
        self._opened = False
        self._last = b""

    def fresh_part(self) -> bytes:
        """The next picture that differs from the previous one: the server resends one that stays for a second."""
        last = self._last
        while (body := self.part()) == last:
            pass
        return body

    def part(self) -> bytes:
        """The next picture, read together with the boundary that follows it."""
        while not self._opened:
            line = self.response.readline()
            assert line in (b"\r\n", b"--frame\r\n")
            self._opened = line == b"--frame\r\n"
        headers = self.headers = {}
        while line := self.response.readline().strip():
            name, value = line.decode("ascii").split(": ", 1)
            headers[name] = value
        body = self.response.read(int(headers["Content-Length"]))
        assert self.response.readline() == b"\r\n"
        assert self.response.readline() == b"--frame\r\n"
        assert headers["Content-Type"] == "image/jpeg"
        self._last = body
        return body

    def close(self) -> None:
        self.response.close()
        self.connection.close()


def _own_ports() -> Iterator[int]:
    """Ports that no other process of this run of the tests takes, if it has up to ten; another run starts elsewhere."""
    worker = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or 0)
    begin, count = 10_100 + 2_000 * (worker % 10), 2_000  # browsers refuse to open port 10080
    start = os.getppid() * 97 % count
    return itertools.cycle([*range(begin + start, begin + count), *range(begin, begin + start)])


_ports = _own_ports()


def free_port() -> int:
    """A free port that the system assigns to no other program: it assigns ports above 32767 on request."""
    while True:
        port = next(_ports)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def resize(browser: Any, width: int, height: int, scheme: str = "light") -> None:
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

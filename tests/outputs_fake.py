"""An output whose receiver a test controls, and snapshots to send."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from mien.errors import OutputError
from mien.outputs.addresses import Address, parse_address
from mien.outputs.base import Output
from mien.outputs.changes import MessageStream
from mien.outputs.kinds import create
from mien.outputs.messages import FrameMessage, Message, SourceState
from mien.outputs.runner import Runner
from mien.types import Analysis, Face, Frame, Snapshot, SourceStatus
from tests.patience import PATIENCE_S
from tests.web_fakes import face_showing

LIVE = SourceStatus("Webcam 0", "live", fps=29.97)


def snapshot(index: int, *faces: Face, stream: int = 1) -> Snapshot:
    """The snapshot of a frame of 320x240 pixels with these faces."""
    frame = Frame(np.zeros((240, 320, 3), np.uint8), index, captured_at=1_700_000_000 + index / 30, stream=stream)
    return Snapshot(b"", frame, Analysis(320, 240, faces), latency_ms=12.34)


def unsure(face: Face) -> Face:
    return replace(face, unsure=True)


def frame_message(index: int) -> FrameMessage:
    """A message about a frame without faces."""
    found = snapshot(index)
    return FrameMessage(1_700_000_000.0, SourceState("Webcam 0", "live"), found.frame, (), 30.0, 1.0, found)


class FakeOutput(Output):
    """Keeps what is sent. `errors` are raised by the next calls of `open`; `fault` by `send`; `gate` holds it."""

    def __init__(
        self, errors: Sequence[BaseException] = (), *, url: str = "fake://anna:secret@host", fps: float | None = None
    ) -> None:
        super().__init__(parse_address(url))
        self.default_fps = fps  # type: ignore[misc]
        self.errors = list(errors)
        self.fault: BaseException | None = None
        self.received: list[Message] = []
        self.opened = 0
        self.closed = 0
        self.checks = 0
        self.gate = threading.Event()
        self.gate.set()
        self.sending = threading.Event()

    def open(self) -> None:
        self.opened += 1
        if self.errors:
            raise self.errors.pop(0)

    def send(self, message: Message) -> None:
        self.sending.set()
        self.gate.wait(PATIENCE_S)
        if self.fault is not None:
            raise self.fault
        self.received.append(message)

    def check(self) -> None:
        self.checks += 1

    def close(self) -> None:
        self.closed += 1

    @property
    def frames(self) -> list[int]:
        """Indices of the frames received."""
        return [each.frame.index for each in self.received if isinstance(each, FrameMessage) and each.frame]


@contextmanager
def playing(url: str, label: str) -> Iterator[Runner]:
    """An output that sends a face with this label, again and again."""
    runner, stop = Runner(create(url), fps=50), threading.Event()

    def play() -> None:
        stream, index = MessageStream(), 0
        while not stop.wait(0.02):
            index += 1
            for message in stream.next(snapshot(index, face_showing(label, 1)), LIVE):
                runner.offer(message)

    player = threading.Thread(target=play)
    runner.start()
    player.start()
    try:
        yield runner
    finally:
        stop.set()
        player.join()
        runner.request_stop()
        assert runner.join(PATIENCE_S)


@contextmanager
def page_server(page: str) -> Iterator[str]:
    """The address of a web server that has this page only."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def printing(code: str) -> Iterator[subprocess.Popen[str]]:
    """A program in Python that runs in another process, whose output can be read."""
    peer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        yield peer
    finally:
        peer.kill()
        peer.communicate()


def refusal(address: Address) -> OutputError:
    """An error whose text contains the password, as libraries write them."""
    return OutputError(f"cannot log in with secret at {address.rest}")


__all__ = ["LIVE", "FakeOutput", "face_showing", "frame_message", "page_server", "playing", "printing", "refusal"]
__all__ += ["snapshot", "unsure"]

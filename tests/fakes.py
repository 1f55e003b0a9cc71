"""Stand-ins that need no hardware and no waiting: a clock, a scripted source, a pipeline, a network camera."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar
from unittest import mock

import cv2
import numpy as np

from mien.clock import Clock
from mien.errors import SourceError
from mien.images.codecs import encode_jpeg
from mien.sources.base import Source
from mien.sources.decoder import Picture, PictureTimes
from mien.sources.demo_faces import GRID, DemoFaces
from mien.types import Analysis, Box, Frame
from tests.patience import PATIENCE_S
from tests.web_fakes import free_port

HANG = "hang"
"""In a script: block inside read() until `release` is set, as a hanging driver does."""


class FakeClock(Clock):
    """A clock that stands still until it is advanced; sleeping advances it and is recorded."""

    def __init__(self, now_s: float = 100.0) -> None:
        self.now_s = now_s
        self.slept_s: list[float] = []

    def monotonic(self) -> float:
        return self.now_s

    def wall(self) -> float:
        return 1_700_000_000.0 + self.now_s

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            self.slept_s.append(seconds)
            self.now_s += seconds

    def advance(self, seconds: float) -> None:
        self.now_s += seconds


@contextmanager
def without_threads(name: str) -> Iterator[None]:
    """A context in which the system allows no more threads, as far as those of this name are concerned."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == name:
            raise RuntimeError("can't start new thread")
        start(thread)

    with mock.patch.object(threading.Thread, "start", refuse):
        yield


class FakeSource(Source):
    """Plays a script: (width, height) gives a frame of that size, an error is raised, HANG blocks.

    After the script it blocks, too, until `release` is set. All pixels of a frame have the value of its index.
    stepped: each read first waits for a `step()`.
    """

    state = "live"

    def __init__(
        self,
        script: Sequence[tuple[int, int] | BaseException | str],
        *,
        name: str = "Webcam 0",
        spec: str = "0",
        stepped: bool = False,
    ) -> None:
        self.script = list(script)
        self.name = name
        self.spec = spec
        self.release = threading.Event()
        self.hanging = threading.Event()
        self.closed = threading.Event()
        self.threads: set[str] = set()
        self.count = 0
        self._steps = threading.Semaphore(0) if stepped else None

    def step(self) -> None:
        assert self._steps is not None
        self._steps.release()

    def unblock(self) -> None:
        """Unblock all present and future reads: the test is over."""
        self.release.set()
        if self._steps is not None:
            self._steps.release()

    def read(self) -> Frame:
        if self._steps is not None and not self.release.is_set():
            self._steps.acquire(timeout=PATIENCE_S)
        self.threads.add(threading.current_thread().name)
        step = self.script.pop(0) if self.script else HANG
        if isinstance(step, BaseException):
            raise step
        if isinstance(step, str):
            self.hanging.set()
            self.release.wait(PATIENCE_S)
            step = (8, 8)
        width, height = step
        pixels = np.full((height, width, 3), self.count % 256, np.uint8)
        self.count += 1
        return Frame(pixels, index=self.count - 1, captured_at=1_700_000_000.0)

    def close(self) -> None:
        self.closed.set()


class FakeOpener:
    """Stands in for `open_source`: each call returns the next source of a list, or raises the next error."""

    def __init__(self, *results: Source | Exception) -> None:
        self.results = list(results)
        self.specs: list[str] = []
        self.options: list[dict[str, Any]] = []

    def __call__(self, spec: str, **options: Any) -> Source:
        self.specs.append(spec)
        self.options.append(options)
        result = self.results.pop(0) if self.results else SourceError("nothing more to open")
        if isinstance(result, Exception):
            raise result
        return result


class FakePipeline:
    """Detects no faces; records stream, size and index of each frame, and raises `error` while it is set."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, tuple[int, int], int]] = []
        self.classifier: Any = SimpleNamespace(adjustment=None)
        self.rare: float | None = None
        self.detector: Any = SimpleNamespace(name="fake")
        self.error: Exception | None = None
        self.threads: set[str] = set()

    def analyze(self, frame: Frame) -> Analysis:
        self.threads.add(threading.current_thread().name)
        if self.error is not None:
            raise self.error
        self.seen.append((frame.stream, (frame.width, frame.height), frame.index))
        return Analysis(frame.width, frame.height)

    def propose(self, pixels_bgr: np.ndarray) -> tuple[list[Box], bool]:
        return [], False

    def classify(self, pixels_bgr: np.ndarray, boxes: Sequence[Box]) -> np.ndarray:
        return np.zeros((len(boxes), 7), np.float32)


class FakeFaceStream:
    """Analyzes with the pipeline only; `deferred`, if set, is called after each frame is shown."""

    def __init__(self, pipeline: FakePipeline) -> None:
        self.pipeline = pipeline
        self.deferred: Callable[[], object] | None = None
        self.resets = 0

    def analyze(self, frame: Frame, time_s: float, *, landmarks: bool = False) -> Analysis:
        return self.pipeline.analyze(frame)

    def reset(self) -> None:
        self.resets += 1

    def detect_deferred(self) -> None:
        if self.deferred is not None:
            self.deferred()


class FakeCapture:
    """Stands in for `cv2.VideoCapture`; a frame is given by its gray level, None is a failed read.

    times_s: the timestamp of each frame. cost_s: how long decoding a frame takes on the given clock.
    """

    def __init__(
        self,
        levels: Sequence[int | None],
        *,
        opened: bool = True,
        fps: float = 10.0,
        times_s: Sequence[float] | None = None,
        clock: FakeClock | None = None,
        cost_s: float = 0.0,
    ) -> None:
        self.levels = list(levels)
        self.times_s = list(times_s) if times_s is not None else [i / 10 for i in range(len(self.levels))]
        self.opened = opened
        self.properties: dict[int, float] = {cv2.CAP_PROP_FPS: fps}
        self.asked: list[tuple[int, float]] = []
        self.released = 0
        self.at = -1
        self._clock = clock
        self._cost_s = cost_s

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return self.opened

    def grab(self) -> bool:
        if self._clock is not None:
            self._clock.advance(self._cost_s)
        self.at += 1
        return self.at < len(self.levels) and self.levels[self.at] is not None

    def retrieve(self) -> tuple[bool, np.ndarray | None]:
        return True, np.full((6, 8, 3), self.levels[self.at], np.uint8)

    def read(self) -> tuple[bool, np.ndarray | None]:
        return self.retrieve() if self.grab() else (False, None)

    def get(self, prop: int) -> float:
        if prop == cv2.CAP_PROP_POS_MSEC:
            return self.times_s[self.at] * 1000
        return self.properties.get(prop, 0.0)

    def set(self, prop: int, value: float) -> bool:
        self.asked.append((prop, value))
        return True

    def release(self) -> None:
        self.released += 1


class FakeVideo:
    """Stands in for `mien.sources.decoder.Decoder`; a picture is given by its gray level, None cannot be decoded.

    times_s: the time of each picture in the file, None if it has none. cost_s: how long decoding takes on the clock.
    """

    def __init__(
        self,
        levels: Sequence[int | None],
        *,
        fps: float | None = 10.0,
        times_s: Sequence[float | None] | None = None,
        duration_s: float | None = None,
        clock: FakeClock | None = None,
        cost_s: float = 0.0,
    ) -> None:
        self.levels = list(levels)
        self.times_s = list(times_s) if times_s is not None else [i / 10 for i in range(len(self.levels))]
        self.duration_s = duration_s
        self.closed = 0
        self._times = PictureTimes(None if fps is None else Fraction(fps))
        self.interval_s = self._times.interval_s
        self._at = -1
        self._clock = clock
        self._cost_s = cost_s

    def read(self) -> Picture | None:
        if self._clock is not None:
            self._clock.advance(self._cost_s)
        self._at += 1
        if self._at >= len(self.levels):
            return None
        level, time_s = self.levels[self._at], self.times_s[self._at]
        if level is None:
            raise SourceError("cannot be decoded")
        return Picture(self._times.next_s(None if time_s is None else Fraction(time_s)), level)

    def pixels(self, picture: Picture) -> np.ndarray:
        return np.full((6, 8, 3), picture.decoded, np.uint8)

    def close(self) -> None:
        self.closed += 1


def gray_faces(side: int = 32, people: int = 3) -> DemoFaces:
    """Stand-ins for the demo's faces without features, of the same gray level for each expression, 60 to 210."""
    levels = np.arange(60, 60 + 7 * 25, 25, dtype=np.uint8)
    textures = np.broadcast_to(levels[:, None, None], (people, 7, side, side))
    return DemoFaces(np.ascontiguousarray(textures), np.zeros((people, 7, GRID, GRID, 2), np.float32))


def write_clip(path: Path, levels: Sequence[int], *, size: tuple[int, int] = (64, 48), fps: float = 25) -> Path:
    """A small Motion-JPEG video, one frame for each gray level."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, size)
    for level in levels:
        writer.write(np.full((size[1], size[0], 3), level, np.uint8))
    writer.release()
    return path


class _CameraHandler(BaseHTTPRequestHandler):
    server: Any

    def do_GET(self) -> None:
        if self.path == "/missing":
            self.send_error(404)
        elif self.path.endswith(".avi"):
            body = self.server.file.read_bytes()
            self.send_response(200)
            self.send_header("Content-Type", "video/x-msvideo")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        else:
            self._stream()

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        try:
            for level in range(0, 250, 10):
                jpeg = encode_jpeg(np.full((48, 64, 3), level, np.uint8))
                self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg))
                self.wfile.write(jpeg + b"\r\n")
                if self.path.startswith("/silent"):
                    self.server.stopping.wait(PATIENCE_S)
                    return
        except OSError:
            pass  # the reader disconnected

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def network_camera(file: Path | None = None) -> Iterator[str]:
    """A small HTTP server on this computer; yields its address, "http://127.0.0.1:PORT".

    /video streams 25 pictures and closes, /silent stops sending after the first, /missing is 404, and
    any .avi path serves `file`.
    """
    server: Any = ThreadingHTTPServer(("127.0.0.1", free_port()), _CameraHandler)
    server.file = file
    server.stopping = threading.Event()
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE_S)


class FakeChild:
    """The process of the queue of files: a test reads what was sent to it, and says what it answers.

    Args: as those of mien.queue.child.Child. All that were started are in `started`, which a test empties.
    """

    started: ClassVar[list[FakeChild]] = []

    def __init__(self, receive: Callable[..., None], lost: Callable[[Any, str], None]) -> None:
        self.receive = receive
        self._lost = lost
        self.sent: list[tuple[Any, ...]] = []
        self.killed = False
        self.pid = 1
        self.started.append(self)

    def send(self, *message: Any) -> None:
        self.sent.append(message)

    @property
    def orders(self) -> list[str]:
        """Names of the files that it was asked to analyze."""
        return [message[1].name for message in self.sent if message[0] == "analyze"]

    def kinds(self) -> list[str]:
        """Kinds of the messages."""
        return [message[0] for message in self.sent]

    def finish(self, number: str) -> None:
        """Say that a job without faces is done."""
        found = {"width": 640, "height": 480, "duration_s": 2.0, "frames": 50, "frames_with_face": 0, "faces": []}
        self.receive("started", number)
        self.receive("done", number, found, [], None)

    def die(self, reason: str = "SIGSEGV") -> None:
        self._lost(self, reason)

    def kill(self) -> None:
        self.killed = True

    def end(self) -> None:
        pass

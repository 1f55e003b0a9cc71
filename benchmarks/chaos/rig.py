"""The program under test: real camera, streams, recordings and web server, with a stub source and a stub network."""

from __future__ import annotations

import errno
import gc
import http.client
import json
import re
import socket
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.chaos.faults import Fault, Switchboard, broken_places
from camera import VideoCamera
from mien.analysis.pipeline import Pipeline
from mien.clock import Clock
from mien.images import draw
from mien.images.codecs import encode_jpeg, jpeg_to_png
from mien.outputs.addresses import parse_address
from mien.outputs.base import Output
from mien.outputs.messages import Message
from mien.outputs.service import Outputs
from mien.process import release_memory
from mien.recording import csv_log, video
from mien.recording.csv_log import CsvRecorder, Recording
from mien.recording.sessions import Sessions
from mien.recording.video import VideoWriter
from mien.sources.base import Source
from mien.stream import publisher
from mien.stream.config import CameraOptions, Services, Timeouts
from mien.types import Analysis, Box, Frame
from web import AppOptions, create_app
from web.server import Server

SIZE = 160, 120
FRAMES_PER_S = 30
TIMEOUTS = Timeouts(hang_after_s=0.7, abandon_after_s=1.0, open_within_s=2.0, backoff_s=(0.1, 0.5), tick_s=0.05)
PAGES = ("/", "/?view=bars", "/sessions", "/programs", "/model-card", "/api", "/static/app.js")
ROUTES = ("/healthz", "/api/state", "/api/controls", "/api/openapi.json", "/api/sessions", "/api/session.csv")
PATHS = (*PAGES, *ROUTES, "/api/snapshot.png")
SESSION_PATHS = ("/sessions/{}", "/api/sessions/{}", "/api/sessions/{}/faces.json")
STREAMS = {"/video_feed": b"\xff\xd8", "/api/frames": b"\xff\xd8", "/api/events": b"data: "}
"""What never ends, and what it has to bring: the start of a JPEG, or an event."""
REACHED_WITHIN_S = 10.0
SETTLED_WITHIN_S = 10.0


class SteppingClock(Clock):
    """The computer's clock, which somebody sets."""

    def __init__(self) -> None:
        self.shift_s = 0.0

    def wall(self) -> float:
        """As it was set."""
        return super().wall() + self.shift_s


class StubSource(Source):
    """A face-sized patch that moves over noise."""

    name = "Stub"
    state = "live"
    spec = "0"

    def __init__(self, board: Switchboard) -> None:
        board.strike("open")
        self._board = board
        self._count = 0
        self._pixels = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)

    def read(self) -> Frame:
        """The next frame, or what is broken."""
        time.sleep(1 / FRAMES_PER_S)
        self._board.strike("read")
        self._count += 1
        return Frame(np.roll(self._pixels, self._count, axis=1), self._count, captured_at=time.time())


class StubDetector:
    """Finds one face, always."""

    name = "stub"

    def __init__(self, board: Switchboard) -> None:
        self._board = board

    def detect(self, pixels_bgr: np.ndarray) -> list[Box]:
        """The face, or what is broken."""
        self._board.strike("detector")
        return [Box(40, 30, 60, 60)]


class StubClassifier:
    """Sees happy faces."""

    input_size_px = (48, 48)
    adjustment = None

    def __init__(self, board: Switchboard) -> None:
        self._board = board

    def predict(self, faces: np.ndarray) -> np.ndarray:
        """The same for each, or what is broken."""
        self._board.strike("classifier")
        shares = np.full((len(faces), 7), 0.02, np.float32)
        shares[:, 3] = 0.88
        return shares


class StubOutput(Output):
    """Takes all messages."""

    def __init__(self, board: Switchboard) -> None:
        super().__init__(parse_address("stub:taker"))
        self._board = board

    def send(self, message: Message) -> None:
        """Take a message, or raise what is broken."""
        self._board.strike("output")


class Rig:
    """The program, the faults it can be given, and what has to be true after each.

        with Rig(folder) as rig:
            for fault in rig.faults():
                print(fault.name, rig.try_fault(fault))

    Args:
        folder: For recordings; exists.
    """

    def __init__(self, folder: Path) -> None:
        self._foreign = set(threading.enumerate())
        self._folder = folder
        self._board = Switchboard()
        self._clock = SteppingClock()
        self._cleanup = ExitStack()
        self._pipeline = Pipeline(StubDetector(self._board), StubClassifier(self._board))
        self._recorder = CsvRecorder(folder / "sessions", self._clock)
        self._video = VideoWriter(folder / "video.mp4")
        self._sessions = Sessions(folder / "sessions", self._running, self._clock)
        self._recorder.changed = self._sessions.note_change
        self._outputs = Outputs([StubOutput(self._board)], clock=self._clock)
        self._camera = VideoCamera(
            "0",
            self._pipeline,
            options=CameraOptions(size=SIZE),
            timeouts=TIMEOUTS,
            services=Services(
                open=lambda spec, **_: StubSource(self._board),
                draw=self._draw,
                prepare=self._prepare,
                record=self._record,
                renew=self._renew,
                clock=self._clock,
            ),
        )
        options = AppOptions(
            recorder=self._recorder,
            sessions=self._sessions,
            outputs=self._outputs,
            to_png=lambda snapshot: jpeg_to_png(snapshot.jpeg),
        )
        self._server = Server(create_app(self._camera, options), port=0)
        self._before: dict[str, Counter[str]] = {}

    def __enter__(self) -> Rig:
        """Start it, and wait until all works; if that fails, stop it again."""
        with ExitStack() as undo:
            undo.callback(self._cleanup.close)
            self._start()
            undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self._cleanup.close()

    def faults(self) -> list[Fault]:
        """All kinds of faults it can be given."""
        return [
            *broken_places(self._board),
            Fault("clock: set forward by an hour", lambda: self._clock_shift(3600)),
            Fault("clock: set back by an hour", lambda: self._clock_shift(-3600)),
            Fault("recording: file deleted", self._without_recording, ("recording",), 1.5),
            Fault("video: file deleted", self._without_video, ("video",), 1.5),
            Fault("viewers: stalled", self._stalled_viewers, seconds=1.0),
            Fault("viewers: gone", self._gone_viewers),
            Fault("clients: nonsense", self._nonsense),
            Fault("system: no more threads", self._without_threads),
            Fault("system: no more descriptors", self._without_descriptors),
        ]

    def try_fault(self, fault: Fault, *, most_s: float = 60.0) -> str | None:
        """Cause a fault, end it, and check what has to be true.

        Args:
            fault: One of `faults()`.
            most_s: End it after this long even if it would last longer, but not before its place was reached.

        Returns:
            What is not true; None if all is well.
        """
        try:
            with self._view("/video_feed"), fault.cause():  # pictures are drawn only if somebody watches
                self._check_meanwhile(fault)
                time.sleep(min(fault.seconds, most_s))
            self._begin_again(fault)
            self._settled()
        except TimeoutError as error:
            return str(error)
        return self._growth()

    # --- the parts

    def _start(self) -> None:
        write_rows, add_frame, encode = csv_log._write_all, video._Encoder.add, encode_jpeg
        for owner, name, place, real in (
            (csv_log, "_write_all", "rows", write_rows),
            (video._Encoder, "add", "frames", add_frame),
            (publisher, "encode_jpeg", "encode", encode),
        ):
            self._cleanup.enter_context(mock.patch.object(owner, name, self._breakable(place, real)))
        self._cleanup.callback(lambda: self._video.close())  # noqa: PLW0108  the one that is written then
        self._cleanup.callback(self._recorder.stop)
        self._cleanup.enter_context(self._server)
        self._cleanup.enter_context(self._camera)
        self._outputs.start(self._camera.snapshots, self._camera.status)
        self._cleanup.callback(self._outputs.stop)
        self._use_sessions()
        self._recorder.start()
        self._settled()
        release_memory()  # as the program does once it has started
        self._before = self._resources()

    def _use_sessions(self) -> None:
        """Record a session and look at it: two threads that are started for that stay from then on."""
        self._recorder.start()
        self._check_flow()
        self._recorder.stop()
        self._get("/api/sessions")
        wait_until(lambda: self._resources()["threads"]["timelines_0"] > 0, "the session is not summed up")

    def _breakable(self, place: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            self._board.strike(place)
            return real(*args)

        return call

    def _draw(self, frame: Frame, analysis: Analysis) -> np.ndarray:
        self._board.strike("draw")
        return draw.annotate(frame, analysis)

    def _prepare(self, frame: Frame, analysis: Analysis) -> Frame:
        self._board.strike("prepare")
        return frame

    def _running(self) -> dict[str, Recording]:
        """The recording that is running, by the id of its session."""
        status = self._recorder.status()
        return {status.session: status} if status.on and status.session is not None else {}

    def _record(self, frame: Frame, analysis: Analysis) -> None:
        self._recorder.record(frame, analysis)
        self._video.write(frame.pixels_bgr, frame.captured_at)

    def _renew(self) -> None:
        self._pipeline.detector = StubDetector(self._board)

    # --- faults

    @contextmanager
    def _clock_shift(self, shift_s: float) -> Iterator[None]:
        self._clock.shift_s = shift_s
        try:
            yield
        finally:
            self._clock.shift_s = 0.0

    @contextmanager
    def _without_recording(self) -> Iterator[None]:
        session = self._recorder.status().session
        assert session is not None
        (self._recorder.folder / session / "faces.csv").unlink()
        yield

    @contextmanager
    def _without_video(self) -> Iterator[None]:
        wait_until(lambda: self._video.path is not None, "no video is written")
        assert self._video.path is not None
        self._video.path.unlink()
        yield

    @contextmanager
    def _stalled_viewers(self) -> Iterator[None]:
        viewers = [self._view("/video_feed") for _ in range(8)]
        yield
        for viewer in viewers:
            viewer.close()

    @contextmanager
    def _gone_viewers(self) -> Iterator[None]:
        for _ in range(8):
            self._view("/video_feed").close()
        yield

    @contextmanager
    def _nonsense(self) -> Iterator[None]:
        for data in (
            b"\0" * 100,
            b"GET / HTTP/1.1\r\n\r\n",
            b"POST /api/analyze HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
        ):
            with socket.create_connection(("127.0.0.1", self._server.port)) as connection:
                connection.sendall(data)
        yield

    @contextmanager
    def _without_threads(self) -> Iterator[None]:
        def refuse(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with mock.patch.object(threading.Thread, "start", refuse):
            yield

    @contextmanager
    def _without_descriptors(self) -> Iterator[None]:
        def refuse(_: object) -> None:
            raise OSError(errno.EMFILE, "Too many open files")

        accepting: Any = vars(self._server._cheroot)["_connections"]
        with (
            mock.patch.object(accepting, "_from_server_socket", refuse),
            socket.create_connection(("127.0.0.1", self._server.port)),
        ):
            yield

    # --- what has to be true

    def _check_meanwhile(self, fault: Fault) -> None:
        """While a fault lasts: it has reached its place, and rows go on unless they are what it breaks."""
        if fault.place is not None:
            struck, place = self._board.struck, fault.place
            wait_until(lambda: place in struck, f"the fault never reached its place {place}", REACHED_WITHIN_S)
        if fault.spares_rows:
            self._check_flow()

    def _begin_again(self, fault: Fault) -> None:
        """What the fault may have ended has to say so; it is begun anew."""
        if "recording" in fault.loses:
            wait_until(lambda: self._recorder.status().error is not None, "the recording does not say that it ended")
        self._check_rows()
        if "recording" in fault.loses:
            self._recorder.start()
        if "video" in fault.loses:
            wait_until(lambda: self._video.status().error is not None, "the video does not say that it ended")
            self._video.close()
            self._video = VideoWriter(self._folder / "video.mp4")

    def _check_rows(self) -> None:
        """Each row that is counted is in the file."""
        status = self._recorder.status()
        path = self._recorder.folder / (status.session or "") / "faces.csv"
        if path.is_file():
            lines = path.read_bytes().count(b"\n") - 1
            if lines < status.rows:
                raise TimeoutError(f"{status.rows} rows are counted, {lines} are in the file")

    def _settled(self) -> None:
        """Wait until frames, rows, video and output go on, and every page answers."""
        wait_until(lambda: self._get("/healthz")[0] == 200, "/healthz is not 200")
        health = json.loads(self._get("/healthz")[1])
        if health["not_written"]:
            raise TimeoutError(f"/healthz: {health['not_written']}")
        frames, sent = self._video.written, self._outputs.status()[0].sent
        self._check_flow()
        wait_until(lambda: self._video.written > frames + 2, "no video is written")
        wait_until(lambda: self._outputs.status()[0].sent > sent + 2, "the output is sent nothing")
        session = self._recorder.status().session
        for path in (*PATHS, *(each.format(session) for each in SESSION_PATHS)):
            wait_until(partial(self._answers, path), f"{path} does not answer")
        for path, sign in STREAMS.items():
            wait_until(partial(self._streams, path, sign), f"{path} sends nothing")

    def _check_flow(self) -> None:
        rows = self._recorder.status().rows
        wait_until(lambda: self._recorder.status().rows > rows + 2, "no rows are written")

    def _growth(self) -> str | None:
        """What there is more of than at the start, after some time to settle."""

        def more() -> str | None:
            grown = {kind: counts - self._before[kind] for kind, counts in self._resources().items()}
            return "; ".join(f"more {kind}: {', '.join(sorted(more))}" for kind, more in grown.items() if more) or None

        deadline_s = time.monotonic() + SETTLED_WITHIN_S
        while (found := more()) is not None and time.monotonic() < deadline_s:
            time.sleep(0.05)
        return found

    def _resources(self) -> dict[str, Counter[str]]:
        """How many threads and descriptors there are, by name.

        Without the threads that were there before the program, and without the workers of the web server, of which
        there are as many as were ever needed at a time.
        """
        gc.collect()
        threads = (each.name for each in threading.enumerate() if each not in self._foreign)
        return {
            "threads": Counter(name for name in threads if not name.startswith("CP Server")),
            "descriptors": Counter(_descriptors()),
        }

    def _answers(self, path: str) -> bool:
        return self._get(path)[0] == 200

    def _get(self, path: str) -> tuple[int, bytes]:
        answer: Any
        with suppress(OSError, http.client.HTTPException):  # the latter if the answer breaks off
            try:
                answer = urllib.request.urlopen(self._server.url + path, timeout=10)
            except urllib.error.HTTPError as error:
                answer = error
            with answer:
                return answer.status, answer.read()
        return 0, b""

    def _view(self, path: str) -> socket.socket:
        viewer = socket.create_connection(("127.0.0.1", self._server.port))
        viewer.sendall(b"GET %s HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % (path.encode(), self._server.port))
        return viewer

    def _streams(self, path: str, sign: bytes) -> bool:
        received = b""
        with suppress(OSError), self._view(path) as viewer:
            viewer.settimeout(10)
            while sign not in received and (piece := viewer.recv(4096)):
                received = received[-len(sign) :] + piece
        return sign in received


def _descriptors() -> Iterator[str]:
    """Each open descriptor: a file's suffix, or a kind such as `socket`; none where the system does not tell."""
    folder = Path("/proc/self/fd")
    for each in folder.iterdir() if folder.is_dir() else ():
        with suppress(FileNotFoundError):  # that of the folder itself
            yield each.readlink().suffix or re.sub(r"\W*\d+\W*$", "", each.readlink().name)


def wait_until(condition: Callable[[], bool], otherwise: str, timeout_s: float = 15.0) -> None:
    """Wait for a condition.

    Args:
        condition: Is asked fifty times a second.
        otherwise: What is wrong if it never becomes true.
        timeout_s: How long to wait, in seconds.

    Raises:
        TimeoutError: It did not become true.
    """
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            raise TimeoutError(otherwise)
        time.sleep(0.02)

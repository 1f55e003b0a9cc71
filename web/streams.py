"""The live picture as `multipart/x-mixed-replace`, one part for each snapshot; any number of viewers, up to a limit.

With boxes and labels for whatever shows pictures, and plain with the state beside it for a page that draws them itself.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, jsonify, request

from mien.stream.latest import Latest
from mien.types import Snapshot
from web.api import StateOf

if TYPE_CHECKING:
    from web.app import Camera

RESEND_S = 1.0
"""Without a new picture for so long the last one is sent again: only by writing can a lost viewer be noticed."""

RETRY_AFTER_S = 5

PARTS_PER_S = 3000
"""To all viewers together: above it (100 viewers of 30 frames a second) they get fewer, and the analysis its time."""

CONTENT_TYPE = "multipart/x-mixed-replace; boundary=frame"
BOUNDARY = b"--frame\r\n"

UNBUFFERED = {"X-Accel-Buffering": "no"}
"""A proxy would keep pictures back until its buffer is full; nginx and others obey this header."""


class Viewers:
    """Which streams are open. Refuses more than `limit`, so that workers are left for everything else."""

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"at least one stream must be allowed, found a limit of {limit}")
        self.limit = limit
        self._lock = threading.Lock()
        self._names: list[str] = []

    @property
    def count(self) -> int:
        """Streams open at this moment."""
        return len(self._names)

    @property
    def pause_s(self) -> float:
        """How long each picture stays where so many watch; 0 for up to 100 viewers."""
        return self.count / PARTS_PER_S if self.count > PARTS_PER_S / 30 else 0.0

    def __contains__(self, name: str) -> bool:
        """Whether a stream of this name is open."""
        with self._lock:
            return name in self._names

    def enter(self, name: str = "") -> bool:
        """Take a place; False when all are taken."""
        with self._lock:
            if len(self._names) >= self.limit:
                return False
            self._names.append(name)
            return True

    def leave(self, name: str = "") -> None:
        """Give the place back."""
        with self._lock:
            self._names.remove(name)


Part = Callable[[Snapshot], bytes]
"""Headers, an empty line and a picture."""


def annotated(snapshot: Snapshot) -> bytes:
    """A part with the annotated picture."""
    return _part(snapshot.jpeg)


def plain(state_of: Callable[[Snapshot], dict[str, Any]]) -> Part:
    """Parts with the plain picture, and with the state of the same snapshot as a header."""

    def make(snapshot: Snapshot) -> bytes:
        jpeg = snapshot.plain_jpeg  # first, so that the state tells what encoding took
        state = json.dumps(state_of(snapshot), separators=(",", ":"))  # ASCII, without line breaks
        return _part(jpeg, b"X-Mien-State: %s\r\n" % state.encode())

    return make


def _part(jpeg: bytes, more_headers: bytes = b"") -> bytes:
    return b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n%s\r\n%s" % (len(jpeg), more_headers, jpeg)


def parts(
    snapshots: Latest[Snapshot],
    part: Part = annotated,
    resend_s: float = RESEND_S,
    pause_s: Callable[[], float] = lambda: 0.0,
) -> Iterator[bytes]:
    """Yield the pieces of a multipart stream, always of the newest snapshot, until the camera closes.

    part: makes the headers and the picture of a snapshot. pause_s: asked before each part, how long it shall
    stay at least.
    A reader that is slow to come back finds a newer snapshot and never sees those in between.
    The boundary follows its part at once: Chrome shows a part only when it has seen the next boundary.
    """
    seen, snapshot = snapshots.peek()
    while snapshot is None and not snapshots.closed:
        # An empty line before the first boundary means nothing, but sends the headers, and fails when nobody
        # listens. (A part without a picture makes Chromium's tab crash.)
        yield b"\r\n"
        seen, snapshot = snapshots.wait(seen, resend_s)
    if snapshot is None or snapshots.closed:
        return
    yield BOUNDARY
    while not snapshots.closed:
        due_s = time.monotonic() + pause_s()
        yield b"%s\r\n%s" % (part(snapshot), BOUNDARY)
        time.sleep(max(0.0, due_s - time.monotonic()))  # not in `wait`, which wakes with every snapshot
        seen, newest = snapshots.wait(seen, resend_s)
        snapshot = newest or snapshot


def blueprint(camera: Camera, viewers: Viewers, state_of: StateOf) -> Blueprint:
    """Routes of the picture streams, which share their places."""
    routes = Blueprint("streams", __name__)

    def answer(part: Part) -> Response:
        name = request.args.get("viewer", "")
        if request.method == "HEAD":  # asks whether there is a place, takes none
            return Response(status=503 if viewers.count >= viewers.limit else 200, content_type=CONTENT_TYPE)
        if not viewers.enter(name):
            return refusal(f"All {viewers.limit} places are taken. The picture comes as soon as a viewer leaves.")

        def wanted(snapshot: Snapshot) -> bytes:
            camera.keep_awake()  # with each part, so as long as somebody takes them
            return part(snapshot)

        stream = parts(camera.snapshots, wanted, pause_s=lambda: viewers.pause_s)
        response = Response(stream, content_type=CONTENT_TYPE, headers=UNBUFFERED)
        # Not in the generator's `finally`: a generator that was never started is closed without running it.
        response.call_on_close(lambda: viewers.leave(name))
        return response

    @routes.get("/video_feed")
    def video_feed() -> Response:
        return answer(annotated)

    @routes.get("/api/frames")
    def frames() -> Response:
        viewer = request.args.get("viewer")
        return answer(plain(lambda snapshot: state_of(snapshot, viewer)))

    return routes


def refusal(text: str) -> Response:
    """All places are taken: JSON for programs, a line of text for people."""
    response = jsonify(error=text) if request.path.startswith("/api/") else Response(f"{text}\n", mimetype="text/plain")
    response.status_code = 503
    response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response

"""The live picture as `multipart/x-mixed-replace`, one part for each snapshot; any number of viewers, up to a limit."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from flask import Blueprint, Response, request

from mien.broadcast import Latest
from mien.expressions import Snapshot

if TYPE_CHECKING:
    from web.app import Camera

RESEND_S = 1.0
"""Without a new picture for so long the last one is sent again: only by writing can a lost viewer be noticed."""

RETRY_AFTER_S = 5

CONTENT_TYPE = "multipart/x-mixed-replace; boundary=frame"
BOUNDARY = b"--frame\r\n"


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


def parts(snapshots: Latest[Snapshot], resend_s: float = RESEND_S) -> Iterator[bytes]:
    """Yield the pieces of a multipart stream, always of the newest snapshot, until the camera closes.

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
        header = b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(snapshot.jpeg)
        yield b"".join((header, snapshot.jpeg, b"\r\n", BOUNDARY))
        seen, newest = snapshots.wait(seen, resend_s)
        snapshot = newest or snapshot


def blueprint(camera: Camera, viewers: Viewers) -> Blueprint:
    """Route of the picture stream."""
    routes = Blueprint("streams", __name__)

    @routes.get("/video_feed")
    def video_feed() -> Response:
        name = request.args.get("viewer", "")
        if request.method == "HEAD":  # asks whether there is a place, takes none
            return Response(status=503 if viewers.count >= viewers.limit else 200, content_type=CONTENT_TYPE)
        if not viewers.enter(name):
            text = f"All {viewers.limit} places are taken. The picture comes as soon as a viewer leaves.\n"
            return Response(text, 503, {"Retry-After": str(RETRY_AFTER_S)}, mimetype="text/plain")
        response = Response(parts(camera.snapshots), content_type=CONTENT_TYPE)
        # Not in the generator's `finally`: a generator that was never started is closed without running it.
        response.call_on_close(lambda: viewers.leave(name))
        return response

    return routes

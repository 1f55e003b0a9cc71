"""The live picture as `multipart/x-mixed-replace`, one part for each snapshot; any number of viewers, up to a limit.

With boxes and labels for whatever shows pictures, and plain with the state beside it for a page that draws them itself.
What is seen also comes as server-sent events, one for each analysed frame, and the newest picture as a PNG file.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import json
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import ServiceUnavailable

from mien.stream.latest import Latest
from mien.types import Snapshot
from web.limits import Viewers, refusal
from web.ports import Camera, StateOf

RESEND_S = 1.0
"""Without a new picture for so long the last one is sent again: only by writing can a lost viewer be noticed."""

CONTENT_TYPE = "multipart/x-mixed-replace; boundary=frame"
BOUNDARY = b"--frame\r\n"

UNBUFFERED = {"X-Accel-Buffering": "no"}
"""A proxy would keep pictures back until its buffer is full; nginx and others obey this header."""


Part = Callable[[Snapshot], bytes]
"""Headers, an empty line and a picture."""

EVENTS_PER_S = 30
HEARTBEAT_S = 1.0
"""Without news for so long a comment is sent: only by writing can a lost reader be noticed."""

RECONNECT_MS = 1000

EVENTS_CONTENT_TYPE = "text/event-stream"
HEARTBEAT = b":\n\n"

ToPng = Callable[[Snapshot], bytes]

PNG_RETRY_AFTER_S = 1


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


def messages(
    snapshots: Latest[Snapshot],
    state_of: Callable[[Snapshot | None], dict[str, Any]],
    *,
    run: str = "",
    after: int = 0,
    heartbeat_s: float = HEARTBEAT_S,
    now: Callable[[], float] = time.monotonic,
) -> Iterator[bytes]:
    """Yield the state of each snapshot as an event, until the camera closes; at most EVENTS_PER_S, none out of date.

    An event's id is RUN-SEQUENCE; `after` is the sequence the reader has seen already. The state is also sent where
    it changes without a new snapshot (a file that ends). A reader that is slow to come back skips to the newest.
    """
    yield b"retry: %d\n\n" % RECONNECT_MS
    sequence, snapshot = snapshots.peek()
    told = state_of(snapshot) if after and sequence == after else None
    due_s = now()
    while not snapshots.closed:
        state = state_of(snapshot)
        if state == told:
            yield HEARTBEAT
        else:
            data = json.dumps(state, separators=(",", ":"))
            yield f"id: {run}-{sequence}\ndata: {data}\n\n".encode()
            told = state
            due_s = max(due_s, now()) + 1 / EVENTS_PER_S
            while (wait_s := due_s - now()) > 0 and not snapshots.closed:
                snapshots.wait(sys.maxsize, wait_s)  # not for a snapshot: for its time, or for the end
        sequence, snapshot = snapshots.wait(sequence, heartbeat_s)


def events_blueprint(camera: Camera, readers: Viewers, state_of: StateOf) -> Blueprint:
    """Route of the events. readers: who holds one of these streams."""
    routes = Blueprint("events", __name__)
    run = secrets.token_hex(4)  # another run of the program counts anew: its ids must not be mistaken for ours

    @routes.get("/api/events")
    def events() -> Response:
        if request.method == "HEAD":  # asks whether there is a place, takes none
            return Response(status=503 if readers.count >= readers.limit else 200, content_type=EVENTS_CONTENT_TYPE)
        if not readers.enter():
            return refusal(f"All {readers.limit} places are taken.")
        viewer = request.args.get("viewer")
        after = seen_before(request.headers.get("Last-Event-ID", ""), run, camera.snapshots.peek()[0])
        stream = messages(
            camera.snapshots,
            lambda snapshot: state_of(snapshot, viewer),
            run=run,
            after=after,
        )
        response = Response(stream, content_type=EVENTS_CONTENT_TYPE, headers=UNBUFFERED)
        response.call_on_close(readers.leave)
        return response

    return routes


def seen_before(event_id: str, run: str, newest: int) -> int:
    """The sequence number a returning reader saw last; 0 where its id is from another run or no id of ours."""
    its_run, _, number = event_id.rpartition("-")
    if its_run != run or not number.isascii() or not number.isdigit() or len(number) > 18:
        return 0
    return int(number) if int(number) <= newest else 0


def snapshot_blueprint(camera: Camera, to_png: ToPng | None) -> Blueprint:
    """Route of the picture; encoded when asked for, once for all who ask for the same."""
    routes = Blueprint("snapshot", __name__)
    lock = threading.Lock()  # one encoding at a time, however many ask
    kept: list[tuple[int, bytes]] = []

    @routes.get("/api/snapshot.png")
    def snapshot_png() -> Response:
        camera.keep_awake()
        with lock:
            sequence, snapshot = camera.snapshots.peek()
            if snapshot is None or snapshot.frame is None or to_png is None:
                reason = camera.status().reason or "no frame has come yet"
                raise ServiceUnavailable(f"There is no picture: {reason}.", retry_after=PNG_RETRY_AFTER_S)
            if not kept or kept[0][0] != sequence:
                kept[:] = [(sequence, to_png(snapshot))]
            png = kept[0][1]
        return Response(png, mimetype="image/png", headers={"Content-Disposition": 'inline; filename="mien.png"'})

    return routes

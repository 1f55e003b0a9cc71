"""The live pictures as `multipart/x-mixed-replace`, their states as server-sent events, and the newest picture as PNG.

Pictures come with boxes and labels for anything that displays images, or plain and with their state for a
page that draws its own. https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator

from flask import Blueprint, Response, request
from werkzeug.exceptions import ServiceUnavailable

from mien.stream.latest import Latest
from mien.types import Snapshot
from web.limits import Slots, pause_s, refusal
from web.openapi import LANDMARKS, VIEWER, Answer, Operation
from web.ports import AppOptions, Camera, ToPng
from web.state import LANDMARK_REFUSALS, StateReader, wants_landmarks

RESEND_S = 1.0
"""Without a new picture for this long the last one is sent again: only writing reveals a disconnected viewer."""

MULTIPART = "multipart/x-mixed-replace"
BOUNDARY = b"--frame\r\n"

EVENTS_PER_S = 30
HEARTBEAT_S = 1.0
"""Without a change for this long a comment is sent: only writing reveals a disconnected reader."""

HEARTBEAT = b":\n\n"
RECONNECT_MS = 1000
EVENT_STREAM = "text/event-stream"

PNG_RETRY_AFTER_S = 1

UNBUFFERED = {"X-Accel-Buffering": "no"}
"""A proxy would hold pictures back until its buffer is full; nginx and others obey this header."""

LAST_EVENT_ID = {
    "name": "Last-Event-ID",
    "in": "header",
    "schema": {"type": "string"},
    "description": "The id of the last event received, which is not sent again.",
}

ALL_SLOTS_USED = Answer(503, "The limit of streams is reached.", retry=True)
REFUSALS = (
    LANDMARK_REFUSALS[0],
    Answer(503, "The limit of streams is reached, or there are no landmarks, for the reason given.", retry=True),
)

Part = Callable[[Snapshot], bytes]
"""Makes headers, an empty line and a picture from a snapshot."""

StateJson = Callable[[Snapshot | None], str]
"""The state of a snapshot as JSON, in ASCII and on one line."""


def annotated(snapshot: Snapshot) -> bytes:
    """A part with the annotated picture.

    Args:
        snapshot: The snapshot; it is encoded now if nobody has requested it before.
    """
    return _part(snapshot.jpeg)


def plain(state_json: StateJson) -> Part:
    """Parts with the plain picture, and the state of the same snapshot as a header.

    Args:
        state_json: Describes a snapshot.
    """

    def make(snapshot: Snapshot) -> bytes:
        jpeg = snapshot.plain_jpeg  # first, so that the state includes the time for encoding
        return _part(jpeg, b"X-Mien-State: %s\r\n" % state_json(snapshot).encode("ascii"))

    return make


def _part(jpeg: bytes, more_headers: bytes = b"") -> bytes:
    return b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n%s\r\n%s" % (len(jpeg), more_headers, jpeg)


def parts(
    snapshots: Latest[Snapshot],
    part: Part = annotated,
    resend_s: float = RESEND_S,
    pause_s: Callable[[], float] = lambda: 0.0,
) -> Iterator[bytes]:
    """Yield a multipart stream, always of the newest snapshot, until the camera closes.

    A slow reader skips to the newest snapshot. The boundary follows its part immediately: Chrome displays a part only
    after the next boundary.

    Args:
        snapshots: The camera's.
        part: Makes a part of a snapshot.
        resend_s: After this long without a new snapshot the last one is sent again.
        pause_s: Called before each part; minimum time until the next one.
    """
    seen, snapshot = snapshots.peek()
    while snapshot is None and not snapshots.closed:
        # An empty line before the first boundary has no meaning, but it sends the headers, and fails if nobody is
        # listening. (A part without a picture crashes Chromium's tab.)
        yield b"\r\n"
        seen, snapshot = snapshots.wait(seen, resend_s)
    if snapshot is None or snapshots.closed:
        return
    yield BOUNDARY
    while not snapshots.closed:
        next_s = time.monotonic() + pause_s()
        yield b"%s\r\n%s" % (part(snapshot), BOUNDARY)
        time.sleep(max(0.0, next_s - time.monotonic()))  # not in `wait`, which returns with every snapshot
        seen, newest = snapshots.wait(seen, resend_s)
        snapshot = newest or snapshot


def messages(
    snapshots: Latest[Snapshot],
    state_json: StateJson,
    *,
    run: str = "",
    after: int = 0,
    heartbeat_s: float = HEARTBEAT_S,
    now: Callable[[], float] = time.monotonic,
) -> Iterator[bytes]:
    """Yield the state of each snapshot as an event, at most EVENTS_PER_S, until the camera closes.

    The state is also sent when it changes without a new snapshot, as at the end of a file. A slow reader skips to the
    newest snapshot.

    Args:
        snapshots: The camera's.
        state_json: The data of an event.
        run: Name of this run of the program; an event's id is RUN-SEQUENCE.
        after: Sequence number of the last snapshot that the reader knows; 0 for none.
        heartbeat_s: After this long without a change a comment is sent.
        now: Clock in seconds.
    """
    yield b"retry: %d\n\n" % RECONNECT_MS
    sequence, snapshot = snapshots.peek()
    sent = state_json(snapshot) if after and sequence == after else None
    next_s = now()
    while not snapshots.closed:
        state = state_json(snapshot)
        if state == sent:
            yield HEARTBEAT
        else:
            yield f"id: {run}-{sequence}\ndata: {state}\n\n".encode()
            sent = state
            next_s = max(next_s, now()) + 1 / EVENTS_PER_S
            while (wait_s := next_s - now()) > 0 and not snapshots.closed:
                snapshots.wait(sys.maxsize, wait_s)  # for time to pass or the camera to close, not for a snapshot
        sequence, snapshot = snapshots.wait(sequence, heartbeat_s)


def seen_before(event_id: str, run: str, newest: int) -> int:
    """The sequence number in the id of the last event that a reader received.

    Args:
        event_id: The header Last-Event-ID.
        run: Name of this run of the program.
        newest: Sequence number of the newest snapshot.

    Returns:
        0 if it is not an id of this run.
    """
    its_run, _, number = event_id.rpartition("-")
    if its_run != run or not number.isascii() or not number.isdigit() or len(number) > 18:
        return 0
    return int(number) if int(number) <= newest else 0


def respond(stream: Callable[[], Iterator[bytes]], content_type: str, slots: Slots, name: str = "") -> Response:
    """Answer with a stream that holds a slot until it is closed; HEAD only asks for a free slot.

    Args:
        stream: Starts the stream.
        content_type: Its media type.
        slots: The slots of streams of this kind; 503 if none is free.
        name: Name of the viewer, under which the slot is taken.
    """
    if request.method == "HEAD":
        return Response(status=503 if slots.full else 200, content_type=content_type)
    if not slots.acquire(name):
        return refusal(f"The limit of {slots.limit} streams is reached. Try again when a viewer has left.")
    response = Response(stream(), content_type=content_type, headers=UNBUFFERED)
    # Not in the generator's `finally`: a generator that was never started is closed without running it.
    response.call_on_close(lambda: slots.release(name))
    return response


def blueprint(camera: Camera, options: AppOptions, viewers: Slots, readers: Slots, state: StateReader) -> Blueprint:
    """Routes of the streams.

    Args:
        camera: Has the snapshots; opened again if idle, and kept open while somebody receives them.
        options: Whether there are landmarks.
        viewers: Slots of the picture streams.
        readers: Slots of the event streams.
        state: Describes a snapshot.
    """
    routes = Blueprint("streams", __name__)
    run = secrets.token_hex(4)  # ids restart with each run of the program and must not be confused

    def pictures(part: Part) -> Response:
        def requested(snapshot: Snapshot) -> bytes:
            camera.keep_awake()  # with each part, that is, as long as somebody receives them
            return part(snapshot)

        def stream() -> Iterator[bytes]:
            return parts(camera.snapshots, requested, pause_s=lambda: pause_s(viewers.count))

        return respond(stream, f"{MULTIPART}; boundary=frame", viewers, request.args.get("viewer", ""))

    @routes.get("/video_feed")
    @Operation(
        "The live annotated pictures.",
        Answer(200, "JPEG parts; the boundary is frame.", MULTIPART),
        Answer(503, ALL_SLOTS_USED.description, "text/plain", retry=True),
        parameters=(VIEWER,),
    )
    def video_feed() -> Response:
        return pictures(annotated)

    @routes.get("/api/frames")
    @Operation(
        "The live pictures without boxes and labels, each with its state.",
        Answer(200, "JPEG parts; their header X-Mien-State is a State.", MULTIPART),
        *REFUSALS,
        parameters=(VIEWER, LANDMARKS),
    )
    def frames() -> Response:
        viewer, landmarks = request.args.get("viewer"), wants_landmarks(options)
        return pictures(plain(lambda snapshot: state(snapshot, viewer, landmarks=landmarks).to_json()))

    @routes.get("/api/events")
    @Operation(
        f"The state of each analyzed frame as an event, at most {EVENTS_PER_S} per second.",
        Answer(200, "Server-sent events; the data of each is a State.", EVENT_STREAM),
        *REFUSALS,
        parameters=(VIEWER, LANDMARKS, LAST_EVENT_ID),
    )
    def events() -> Response:
        viewer, landmarks = request.args.get("viewer"), wants_landmarks(options)
        after = seen_before(request.headers.get("Last-Event-ID", ""), run, camera.snapshots.peek()[0])

        def stream() -> Iterator[bytes]:
            def state_json(snapshot: Snapshot | None) -> str:
                return state(snapshot, viewer, landmarks=landmarks).to_json()

            return messages(camera.snapshots, state_json, run=run, after=after)

        return respond(stream, EVENT_STREAM, readers)

    return routes


def snapshot_blueprint(camera: Camera, to_png: ToPng | None) -> Blueprint:
    """Route of the newest picture, encoded on request, once for all requests of the same picture.

    Args:
        camera: Has the newest snapshot.
        to_png: Encodes it; if None, the route responds with 503.
    """
    routes = Blueprint("snapshot", __name__)
    lock = threading.Lock()  # one encoding at a time, for any number of requests
    cached: list[tuple[int, bytes]] = []

    @routes.get("/api/snapshot.png")
    @Operation(
        "The newest annotated picture.",
        Answer(200, "PNG.", "image/png"),
        Answer(503, "There is no picture.", retry=True),
    )
    def snapshot_png() -> Response:
        camera.keep_awake()
        with lock:
            sequence, snapshot = camera.snapshots.peek()
            if snapshot is None or snapshot.frame is None or to_png is None:
                reason = camera.status().reason or "no frame has arrived yet"
                raise ServiceUnavailable(f"There is no picture: {reason}.", retry_after=PNG_RETRY_AFTER_S)
            if not cached or cached[0][0] != sequence:
                cached[:] = [(sequence, to_png(snapshot))]
            png = cached[0][1]
        return Response(png, mimetype="image/png", headers={"Content-Disposition": 'inline; filename="mien.png"'})

    return routes

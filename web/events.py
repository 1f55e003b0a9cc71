"""What is seen, as it is seen: one server-sent event for each analysed frame; any number of readers, up to a limit.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request

from mien.stream.latest import Latest
from mien.types import Snapshot
from web.api import StateOf
from web.streams import UNBUFFERED, Viewers, refusal

if TYPE_CHECKING:
    from web.app import Camera

EVENTS_PER_S = 30
HEARTBEAT_S = 1.0
"""Without news for so long a comment is sent: only by writing can a lost reader be noticed."""

RECONNECT_MS = 1000

CONTENT_TYPE = "text/event-stream"
HEARTBEAT = b":\n\n"


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


def blueprint(camera: Camera, readers: Viewers, state_of: StateOf) -> Blueprint:
    """Route of the events. readers: who holds one of these streams."""
    routes = Blueprint("events", __name__)
    run = secrets.token_hex(4)  # another run of the program counts anew: its ids must not be mistaken for ours

    @routes.get("/api/events")
    def events() -> Response:
        if request.method == "HEAD":  # asks whether there is a place, takes none
            return Response(status=503 if readers.count >= readers.limit else 200, content_type=CONTENT_TYPE)
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
        response = Response(stream, content_type=CONTENT_TYPE, headers=UNBUFFERED)
        response.call_on_close(readers.leave)
        return response

    return routes


def seen_before(event_id: str, run: str, newest: int) -> int:
    """The sequence number a returning reader saw last; 0 where its id is from another run or no id of ours."""
    its_run, _, number = event_id.rpartition("-")
    if its_run != run or not number.isascii() or not number.isdigit() or len(number) > 18:
        return 0
    return int(number) if int(number) <= newest else 0

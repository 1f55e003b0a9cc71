"""Replay of a recorded session: its page, how it went over time, and its frames at any moment."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, abort, render_template, request
from werkzeug.exceptions import ServiceUnavailable

from mien.types import EXPRESSIONS
from web import languages
from web.limits import Slots, check_client
from web.openapi import HTML, Answer, Operation
from web.ports import AppOptions, SessionStore
from web.sessions import NOT_FOUND, answering_errors

if TYPE_CHECKING:
    import numpy as np

MAX_POINTS = 2000
DEFAULT_POINTS = 600
MAX_SPAN_S = 60.0
MAX_S = 1e10
READY_WITHIN_S = 10.0
RETRY_AFTER_S = 1

MAX_READERS = 8
"""Concurrent requests that read rows: each occupies a worker of the server, and the processor."""

JSON = "application/json"
RUNNING = Answer(409, "It is being recorded.")
UNREADABLE = Answer(422, "It cannot be read.")
NOT_YET = Answer(503, "It is still being read.", retry=True)
OTHERS = Answer(429, "Too many others are being read.", retry=True)


def _number(name: str, description: str, *, required: bool = False) -> dict[str, Any]:
    schema = {"type": "number", "minimum": 0}
    return {"name": name, "in": "query", "required": required, "schema": schema, "description": description}


SPAN = (
    _number("from", "Where it begins, seconds since the session began."),
    _number("to", "Where it ends; by default where the session does."),
)
POINTS = {
    "name": "points",
    "in": "query",
    "schema": {"type": "integer", "minimum": 1, "maximum": MAX_POINTS, "default": DEFAULT_POINTS},
    "description": "How many points a lane has at most; half a second is the shortest.",
}
MOMENTS = (
    _number("from", "Where it begins, seconds since the session began.", required=True),
    _number("to", f"Where it ends, at most {MAX_SPAN_S:g} s later.", required=True),
)


def blueprint(options: AppOptions) -> Blueprint:
    """Routes of the replay.

    Args:
        options: Its `sessions` are replayed; if None, the routes respond with 404.
    """
    routes = Blueprint("replay", __name__)
    readers = Slots(MAX_READERS)

    def offered() -> SessionStore:
        if options.sessions is None:
            abort(404, "This program keeps no sessions.")
        return options.sessions

    @routes.get("/sessions/<session>")
    @Operation(
        "A recorded session, for people.",
        Answer(200, "HTML.", HTML),
        Answer(404, "There is no such session.", HTML),
        parameters=(languages.PARAMETER,),
    )
    def page(session: str) -> str:
        with answering_errors():
            found = offered().get(session)
        return render_template("replay.html", session=found, expressions=EXPRESSIONS)

    @routes.get("/api/sessions/<session>/timeline")
    @Operation(
        "How each face of a session was over time: from, to, points; in faces, a list for each expression and unsure; "
        "step_s, how long each point is.",
        Answer(200, "Means over equal parts of the time; null where the face was not seen.", JSON),
        Answer(400, "A parameter is not valid."),
        NOT_FOUND,
        RUNNING,
        UNREADABLE,
        NOT_YET,
        OTHERS,
        parameters=(*SPAN, POINTS),
    )
    def timeline(session: str) -> Response:
        start_s, points = _query("from", 0.0), _points()
        with answering_errors(), readers.hold("Other timelines are being read.", RETRY_AFTER_S):
            found = offered().get(session)
            known = _ready(session)
            end_s = _query("to", max(known.end_s, found.length_s or 0.0))
            if end_s < start_s:
                abort(400, f"Expected `to` not before `from`, found {end_s:g} and {start_s:g}.")
            lanes = known.resampled(start_s, end_s, points)
        values = {
            "from": start_s,
            "to": end_s,
            "points": max((len(lane) for lane in lanes.values()), default=0),
            "faces": [{"face": face, **_columns(lane)} for face, lane in sorted(lanes.items())],
            "step_s": known.step_s(start_s, end_s, points),
        }
        return Response(json.dumps(values, allow_nan=False, separators=(",", ":")), mimetype=JSON)

    @routes.get("/api/sessions/<session>/frames")
    @Operation(
        "The frames of a part of a session with their faces, and `to`, until when they are complete.",
        Answer(200, "Frames with a face, in their order; at most 5,000 faces.", JSON),
        Answer(400, "A parameter is not valid."),
        NOT_FOUND,
        RUNNING,
        UNREADABLE,
        OTHERS,
        parameters=MOMENTS,
    )
    def frames(session: str) -> Response:
        start_s, end_s = _query("from", None), _query("to", None)
        if not 0 <= end_s - start_s <= MAX_SPAN_S:
            abort(400, f"Expected `to` 0 to {MAX_SPAN_S:g} s after `from`, found {end_s - start_s:g}.")
        check_client()
        with answering_errors(), readers.hold("Other parts are being read.", RETRY_AFTER_S):
            found, complete_s = offered().frames(session, start_s, end_s)
        return Response(json.dumps({"to": complete_s, "frames": found}, separators=(",", ":")), mimetype=JSON)

    def _ready(session: str) -> Any:
        found = offered().timeline(session, READY_WITHIN_S)
        if found is None:
            raise ServiceUnavailable("The recording is still being read.", retry_after=RETRY_AFTER_S)
        return found

    return routes


def _query(name: str, otherwise: float | None) -> float:
    text = request.args.get(name)
    if text is None and otherwise is not None:
        return otherwise
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not 0 <= value <= MAX_S:
        abort(400, f"Expected seconds as `{name}`, found {(text or 'none')[:20]!r}.")
    return value


def _points() -> int:
    text = request.args.get("points", str(DEFAULT_POINTS))
    if not re.fullmatch("[0-9]{1,4}", text) or not 1 <= int(text) <= MAX_POINTS:
        abort(400, f"Expected 1 to {MAX_POINTS} as `points`, found {text[:20]!r}.")
    return int(text)


def _columns(lane: np.ndarray) -> dict[str, list[float | None]]:
    """float32 (points, 8) as a list for each expression, and for unsure."""
    seen = lane[:, 0] == lane[:, 0]  # NaN where the face was not seen
    return {
        name: [round(float(value), 3) if there else None for value, there in zip(column, seen, strict=True)]
        for name, column in zip((*EXPRESSIONS, "unsure"), lane.T, strict=True)
    }

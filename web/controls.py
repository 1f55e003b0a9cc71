"""What acts on the program, and so on all who watch: recording a session, and privacy mode."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from flask import Blueprint, Response, abort, jsonify, request
from werkzeug.exceptions import HTTPException

from mien.expressions import RecordingError

if TYPE_CHECKING:
    from mien.session import Recording
    from web.app import Camera

MAX_BODY_BYTES = 1024

NO_RECORDING = {"on": False, "since": None, "rows": 0, "name": None, "error": None}


class Session(Protocol):
    """All the web needs of what records sessions."""

    def start(self) -> Recording:
        """Begin a recording, or go on with the running one. Raises RecordingError."""

    def stop(self) -> Recording:
        """End the running one."""

    def status(self) -> Recording:
        """The running recording, or the last."""

    def content(self) -> tuple[str, int, Iterator[bytes]] | None:
        """(name, bytes, pieces) of its file."""


class Privacy(Protocol):
    """All the web needs of privacy mode."""

    @property
    def on(self) -> bool:
        """Whether faces are covered."""

    def switch(self, on: bool) -> None:
        """Turn it on or off, for the frames to come."""


def describe(session: Session | None, privacy: Privacy | None) -> dict[str, Any]:
    """What the state tells of both."""
    return {
        "recording": dict(NO_RECORDING) if session is None else describe_recording(session.status()),
        "privacy": privacy is not None and privacy.on,
    }


def describe_recording(recording: Recording) -> dict[str, Any]:
    """A recording as plain types."""
    return {name: getattr(recording, name) for name in NO_RECORDING}


def blueprint(camera: Camera, session: Session | None, privacy: Privacy | None) -> Blueprint:
    """Routes of both; 404 for what the program was not given."""
    routes = Blueprint("controls", __name__)

    @routes.post("/api/record")
    def record() -> Response:
        if session is None:
            abort(404, "This program records no sessions.")
        on = _wanted()
        try:
            recording = session.start() if on else session.stop()
        except RecordingError as error:
            abort(409, f"{error}"[:1].upper() + f"{error}."[1:])
        return jsonify(recording=describe_recording(recording))

    @routes.get("/api/session.csv")
    def session_csv() -> Response:
        content = None if session is None else session.content()
        if content is None:
            abort(404, "No session was recorded since the program started.")
        name, size, pieces = content
        headers = {"Content-Length": str(size), "Content-Disposition": f'attachment; filename="{name}"'}
        return Response(pieces, mimetype="text/csv", headers=headers)

    @routes.post("/api/privacy")
    def switch_privacy() -> Response:
        if privacy is None:
            abort(404, "This program has no privacy mode.")
        privacy.switch(_wanted())
        camera.show_again()  # the newest picture may stay for long, e.g. at the end of a file
        return jsonify(privacy=privacy.on)

    return routes


def _wanted() -> bool:
    """The body `{"on": true}` or `{"on": false}`; 400, 413 or 415 for any other."""
    request.max_content_length = MAX_BODY_BYTES
    expected = 'Expected JSON, {"on": true} or {"on": false}'
    try:
        body = request.get_json()
    except HTTPException as error:
        abort(error.code or 400, f"{expected}." if error.code in (400, 415) else None)
    if not isinstance(body, dict) or set(body) != {"on"} or not isinstance(body["on"], bool):
        abort(400, f"{expected}, found something else.")
    return body["on"]

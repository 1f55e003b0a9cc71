"""What acts on the program, and so on all who watch: recording a session, saving its video, and privacy mode."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from flask import Blueprint, Response, abort, jsonify

from mien.errors import RecordingError
from web.api import sentence
from web.jsonbody import json_field

if TYPE_CHECKING:
    from mien.recording.csv_log import Recording
    from mien.recording.video import Saving
    from web.app import Camera

EXAMPLE = '{"on": true}'

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


def describe(camera: Camera, session: Session | None, privacy: Privacy | None) -> dict[str, Any]:
    """What the state tells of them."""
    return {
        "recording": dict(NO_RECORDING) if session is None else describe_recording(session.status()),
        "saving": describe_saving(camera.saving),
        "privacy": privacy is not None and privacy.on,
    }


def describe_recording(recording: Recording) -> dict[str, Any]:
    """A recording as plain types."""
    return {name: getattr(recording, name) for name in NO_RECORDING}


def describe_saving(saving: Saving | None) -> dict[str, Any] | None:
    """What is being saved as plain types."""
    return None if saving is None else {name: getattr(saving, name) for name in ("name", "error", "dropped")}


def blueprint(camera: Camera, session: Session | None, privacy: Privacy | None) -> Blueprint:
    """Routes of recording and privacy mode; 404 for what the program was not given."""
    routes = Blueprint("controls", __name__)

    @routes.get("/api/controls")
    def controls() -> Response:
        return jsonify(describe(camera, session, privacy))  # unlike the state it wants no frames: the source may rest

    @routes.post("/api/record")
    def record() -> Response:
        if session is None:
            abort(404, "This program records no sessions.")
        on = json_field("on", bool, EXAMPLE)
        try:
            recording = session.start() if on else session.stop()
        except RecordingError as error:
            abort(409, sentence(error))
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
        privacy.switch(json_field("on", bool, EXAMPLE))
        camera.show_again()  # the newest picture may stay for long, e.g. at the end of a file
        return jsonify(privacy=privacy.on)

    return routes

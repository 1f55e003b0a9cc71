"""What acts on the program, and so on all who watch: the choice of its source, recording a session, saving its
video, and privacy mode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from flask import Blueprint, Response, abort, jsonify, request
from werkzeug.exceptions import HTTPException, TooManyRequests

from mien.errors import RecordingError, SourceError, SourceForbiddenError
from web.limits import Viewers
from web.ports import Camera, Choices, Privacy, Session
from web.state import describe_source, sentence

if TYPE_CHECKING:
    from mien.recording.csv_log import Recording
    from mien.recording.video import Saving

EXAMPLE = '{"on": true}'

NO_RECORDING = {"on": False, "since": None, "rows": 0, "name": None, "error": None}

MAX_SOURCE = 2048
"""Characters; browsers and cameras do not use longer addresses either."""

RETRY_AFTER_S = 2

MAX_BYTES = 8192

T = TypeVar("T")


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


def sources_blueprint(camera: Camera, choices: Choices | None) -> Blueprint:
    """Routes of the sources; without choices they answer 404."""
    routes = Blueprint("sources", __name__)
    places = Viewers(1)  # opening may take seconds: who comes meanwhile does not wait in line

    @routes.get("/api/sources")
    def sources() -> Response:
        found = _given(choices)
        in_use = camera.in_use
        cameras = [{"source": source, "name": name} for source, name in found.cameras(in_use).items()]
        return jsonify(sources=cameras, files=found.files(), current=found.current(in_use))

    @routes.post("/api/source")
    def switch() -> Response:
        found = _given(choices)
        source = json_field("source", str, '{"source": "demo"}').strip()
        if not source or len(source) > MAX_SOURCE or not source.isprintable():
            abort(400, f"Expected a source of 1 to {MAX_SOURCE} characters that can be printed.")
        if not places.enter():
            raise TooManyRequests("Another source is being opened already.", retry_after=RETRY_AFTER_S)
        try:
            status = camera.switch(found.spec_of(source, camera.in_use))
        except SourceForbiddenError as error:
            abort(403, sentence(error))
        except SourceError as error:
            abort(422, sentence(error))
        finally:
            places.leave()
        return jsonify(source=describe_source(None, status))

    return routes


def _given(choices: Choices | None) -> Choices:
    if choices is None:
        abort(404, "This program lets no source be chosen.")
    return choices


def json_field(name: str, kind: type[T], example: str) -> T:
    """The field of the request's body; answers 400, 413 or 415 for any other body. example: of the whole body."""
    request.max_content_length = MAX_BYTES
    expected = f"Expected JSON such as {example}"
    try:
        body = request.get_json()
    except HTTPException as error:
        abort(error.code or 400, f"{expected}." if error.code in (400, 415) else None)
    except RecursionError:  # [[[[[...
        abort(400, f"{expected}, found something else.")
    if not isinstance(body, dict) or set(body) != {name} or type(body[name]) is not kind:
        abort(400, f"{expected}, found something else.")
    return body[name]

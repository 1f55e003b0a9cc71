"""Recordings: of the program's source, for all viewers, and of what one browser sends."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from flask import Blueprint, Response, abort, request
from werkzeug.exceptions import TooManyRequests

from mien.errors import BusyError, RecordingError
from web import schemas
from web.analyze import KEY
from web.openapi import Answer, Operation
from web.ports import AppOptions
from web.state import StateReader, sentence

if TYPE_CHECKING:
    from mien.recording.csv_log import Recording

RECORDED_TRACK = {
    "name": "track",
    "in": "query",
    "schema": {"type": "string", "pattern": f"^{KEY}$"},
    "description": (
        "The key of images that are sent to /api/analyze: their faces are recorded, in a session for this key "
        "alone, until the recording is stopped or the key expires."
    ),
}


def blueprint(options: AppOptions, state: StateReader) -> Blueprint:
    """Routes of recordings.

    Args:
        options: Its `recorder` and `browser_recorder` are controlled; if None, their routes respond with 404.
        state: Describes what is in force.
    """
    routes = Blueprint("record", __name__)
    recorder = options.recorder

    @routes.post("/api/record")
    @Operation(
        "Start or stop a recording of the program's source, for all viewers, or with track of one browser's images.",
        Answer(200, "What is in force; with track, that recording.", schemas.Controls | schemas.OwnRecording),
        Answer(
            409,
            "The file cannot be written, there are no images with this track, or what to continue has ended.",
        ),
        Answer(404, "This program cannot record, or not what browsers send."),
        Answer(429, "There are too many recordings of browsers.", retry=True),
        parameters=(RECORDED_TRACK,),
        body=schemas.RecordSwitch,
    )
    def record(body: schemas.RecordSwitch) -> schemas.Controls | schemas.OwnRecording:
        key = request.args.get("track")
        try:
            if key is not None:
                return record_browser(key, body)
            if recorder is None:
                abort(404, "This program cannot record.")
            recorder.start(video=body.video) if body.on else recorder.stop()
        except RecordingError as error:
            abort(409, sentence(error))
        except BusyError as error:
            raise TooManyRequests(sentence(error), retry_after=math.ceil(error.retry_in_s)) from error
        return state.changed()

    def record_browser(key: str, body: schemas.RecordSwitch) -> schemas.OwnRecording:
        recorders = options.browser_recorder
        if recorders is None:
            abort(404, "This program does not record what browsers send.")
        if not re.fullmatch(KEY, key):
            abort(400, "Expected a key of 8 to 64 letters, digits, - or _ as track.")
        if not body.on:
            return described(recorders.stop(key))
        return described(recorders.start(key, video=body.video, continues=body.continues))

    def described(recording: Recording) -> schemas.OwnRecording:
        return schemas.OwnRecording(recording=schemas.Recording.model_validate(recording))

    @routes.get("/api/session.csv")
    @Operation(
        "The running recording so far, or the last one: a row for each face of each frame.",
        Answer(200, "CSV with a header.", "text/csv"),
        Answer(404, "Nothing was recorded since the program started."),
    )
    def session_csv() -> Response:
        content = recorder.content() if recorder else None
        if content is None:
            abort(404, "Nothing was recorded since the program started.")
        name, size, pieces = content
        headers = {"Content-Length": str(size), "Content-Disposition": f'attachment; filename="{name}"'}
        return Response(pieces, mimetype="text/csv", headers=headers)

    return routes

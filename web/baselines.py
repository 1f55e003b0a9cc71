"""The resting faces of people, against which the page can show each expression."""

from __future__ import annotations

import re

from flask import Blueprint, Response, abort, request

from mien.errors import BaselineError
from web import schemas
from web.analyze import KEY, TRACK
from web.openapi import Answer, Operation
from web.ports import AppOptions, Baselines
from web.state import sentence

OF_TRACK = TRACK | {"description": "The key of a sequence of images, whose faces these are; without it, of the source."}
FACE = {
    "name": "face",
    "in": "query",
    "schema": {"type": "integer", "minimum": 0},
    "description": "The number of a face; without it, of all.",
}


def blueprint(options: AppOptions) -> Blueprint:
    """Routes of resting faces.

    Args:
        options: Its `baselines` are measured and forgotten; if None, the routes respond with 404.
    """
    routes = Blueprint("baselines", __name__)

    def found() -> Baselines:
        if options.baselines is None:
            abort(404, "This program measures no resting faces.")
        key = request.args.get("track")
        if key is not None and not re.fullmatch(KEY, key):
            abort(400, "Expected a key of 8 to 64 letters, digits, - or _ as track.")
        try:
            return options.baselines(key)
        except BaselineError as error:
            abort(404, sentence(error))

    @routes.post("/api/baseline")
    @Operation(
        "Measure the resting face of a person for 3 s, for all viewers; states and answers say how far it is.",
        Answer(204, "It begins with the next frame.", None),
        Answer(404, "There is no such face in the newest frame, or no such track."),
        body=schemas.BaselineFace,
        parameters=(OF_TRACK,),
    )
    def begin(body: schemas.BaselineFace) -> Response:
        try:
            found().begin(body.face)
        except BaselineError as error:
            abort(404, sentence(error))
        return Response(status=204)

    @routes.delete("/api/baseline")
    @Operation(
        "Forget the resting face of a person, or of all, from the next frame on, and stop measuring it.",
        Answer(204, "It is forgotten; so it is if there was none.", None),
        Answer(400, "face is not a number, or track is not a valid key."),
        Answer(404, "There is no such track."),
        parameters=(FACE, OF_TRACK),
    )
    def forget() -> Response:
        face = request.args.get("face")
        if face is not None and not re.fullmatch("[0-9]{1,9}", face):
            abort(400, "Expected the number of a face.")
        found().forget(None if face is None else int(face))
        return Response(status=204)

    return routes

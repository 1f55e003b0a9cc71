"""Images that programs send to be analysed: nothing is stored, not even in a temporary file."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import IO, Any

from flask import Blueprint, Request, Response, abort, jsonify, request
from werkzeug.exceptions import TooManyRequests

from mien.expressions import Analysis, ImageError, ImageTooLargeError, NotAnImageError
from web.api import describe_face, sentence
from web.streams import Viewers

Analyze = Callable[[bytes], Analysis]
"""Finds the faces of an image file; raises ImageError or one of its kinds."""

MAX_IMAGES = 16
MAX_BODY_BYTES = 64 * 1024 * 1024
MAX_ANALYSES = 4
"""Requests with images read and analysed at once: a bound of memory and of what the live picture has to share."""

RETRY_AFTER_S = 1


class InMemoryRequest(Request):
    """A request whose files stay in memory; Werkzeug would write those over 500 kB to the disk."""

    def _get_file_stream(self, *_: Any, **__: Any) -> IO[bytes]:
        return BytesIO()


def blueprint(analyze: Analyze | None, max_analyses: int) -> Blueprint:
    """Route for images; without `analyze` it answers 404."""
    routes = Blueprint("analyze", __name__)
    places = Viewers(max_analyses)

    @routes.post("/api/analyze")
    def analyze_images() -> Response:
        if analyze is None:
            abort(404, "This program analyses no images.")
        if not places.enter():  # before the body is read: so many bodies at most are in memory
            raise TooManyRequests(f"{places.limit} images are being analysed already.", retry_after=RETRY_AFTER_S)
        try:
            return jsonify(_answer(analyze))
        finally:
            places.leave()

    return routes


def _answer(analyze: Analyze) -> dict[str, Any]:
    if request.mimetype.startswith("image/"):
        return _one(analyze, request.get_data(cache=False))
    if request.mimetype != "multipart/form-data":
        abort(415, f"Expected an image/* body or a multipart field image, found {request.mimetype or 'no type'}.")
    files = request.files.getlist("image")
    if not files:
        abort(400, "Expected a file in the multipart field image, found none.")
    if len(files) > MAX_IMAGES:
        abort(413, f"Expected at most {MAX_IMAGES} images, found {len(files)}.")
    if len(files) == 1:
        return _one(analyze, files[0].read())
    return {"images": [_one_of_many(analyze, file.read()) for file in files]}


def _one(analyze: Analyze, data: bytes) -> dict[str, Any]:
    try:
        return _describe(analyze(data))
    except ImageError as error:
        abort(_status_of(error), sentence(error))


def _one_of_many(analyze: Analyze, data: bytes) -> dict[str, Any]:
    """One broken image does not cost the answer to the others."""
    try:
        return _describe(analyze(data))
    except ImageError as error:
        return {"error": sentence(error), "status": _status_of(error)}


def _describe(analysis: Analysis) -> dict[str, Any]:
    faces = [describe_face(face) for face in analysis.faces]
    return {"width": analysis.width, "height": analysis.height, "faces": faces}


def _status_of(error: ImageError) -> int:
    return 413 if isinstance(error, ImageTooLargeError) else 415 if isinstance(error, NotAnImageError) else 422

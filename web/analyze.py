"""Images that programs send to be analysed: nothing is stored, not even in a temporary file."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import IO, Any

from flask import Blueprint, Request, Response, abort, jsonify, request
from werkzeug.exceptions import TooManyRequests

from mien.errors import BusyError, ImageError, ImageTooLargeError, NotAnImageError
from mien.types import Analysis
from web.limits import Viewers
from web.state import describe_face, sentence

Analyze = Callable[[bytes], Analysis]
"""Finds the faces of an image file; raises ImageError or one of its kinds."""

Follow = Callable[[str, bytes], Analysis]
"""The same for one of a sequence of images that share a key; raises BusyError too."""

KEY = "[A-Za-z0-9_-]{8,64}"

MAX_IMAGES = 16
MAX_BODY_BYTES = 64 * 1024 * 1024
MAX_ANALYSES = 4
"""Requests with images read and analysed at once: a bound of memory and of what the live picture has to share."""

RETRY_AFTER_S = 1


class InMemoryRequest(Request):
    """A request whose files stay in memory; Werkzeug would write those over 500 kB to the disk."""

    def _get_file_stream(self, *_: Any, **__: Any) -> IO[bytes]:
        return BytesIO()


def blueprint(analyze: Analyze | None, follow: Follow | None, max_analyses: int) -> Blueprint:
    """Route for images; without `analyze`, or with a key and without `follow`, it answers 404."""
    routes = Blueprint("analyze", __name__)
    places = Viewers(max_analyses)

    @routes.post("/api/analyze")
    def analyze_images() -> Response:
        if analyze is None:
            abort(404, "This program analyses no images.")
        key = request.args.get("track")
        if key is not None and follow is None:
            abort(404, "This program follows no faces from image to image.")
        if key is not None and not re.fullmatch(KEY, key):
            abort(400, "Expected a key of 8 to 64 letters, digits, - or _ as track.")
        if not places.enter():  # before the body is read: so many bodies at most are in memory
            raise TooManyRequests(f"{places.limit} images are being analysed already.", retry_after=RETRY_AFTER_S)
        try:
            if key is None or follow is None:
                return jsonify(_answer(analyze))
            return jsonify(_answer(partial(follow, key), max_images=1))
        except BusyError as error:
            raise TooManyRequests(sentence(error), retry_after=math.ceil(error.retry_in_s)) from error
        finally:
            places.leave()

    return routes


def _answer(analyze: Analyze, max_images: int = MAX_IMAGES) -> dict[str, Any]:
    if request.mimetype.startswith("image/"):
        return _one(analyze, request.get_data(cache=False))
    if request.mimetype != "multipart/form-data":
        abort(415, f"Expected an image/* body or a multipart field image, found {request.mimetype or 'no type'}.")
    files = request.files.getlist("image")
    if not files:
        abort(400, "Expected a file in the multipart field image, found none.")
    if len(files) > max_images:
        abort(413, f"Expected at most {max_images} image{'s' * (max_images > 1)}, found {len(files)}.")
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

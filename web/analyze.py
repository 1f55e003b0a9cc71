"""Analysis of images that clients send; nothing is stored, not even in a temporary file."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import IO, Any

from flask import Blueprint, Request, abort, request
from werkzeug.exceptions import TooManyRequests

from mien.errors import BusyError, ImageError, ImageTooLargeError, NotAnImageError
from mien.types import Analysis
from web import schemas
from web.limits import MAX_BODY_BYTES, Slots, check_client
from web.openapi import LANDMARKS, Answer, Operation
from web.ports import Analyze, AppOptions
from web.state import LANDMARK_REFUSALS, describe_baselines, describe_faces, sentence, wants_landmarks

KEY = "[A-Za-z0-9_-]{8,64}"

RETRY_AFTER_S = 1

TRACK = {
    "name": "track",
    "in": "query",
    "schema": {"type": "string", "pattern": f"^{KEY}$"},
    "description": (
        "A key you choose for a sequence of images: faces keep their ids and are smoothed over time. "
        "A face is reported from the second image on in which it is detected, so never in the first. "
        "One request per key at a time, at most 8 keys; a key expires after 10 s without a request."
    ),
}

FILE = {"type": "string", "format": "binary"}
FILES = {"type": "array", "items": FILE, "minItems": 1, "maxItems": schemas.MAX_IMAGES}
FORM = {"type": "object", "properties": {"image": FILES}, "required": ["image"]}  # other fields are ignored
IMAGE_BODY = {
    "required": True,
    "content": {"image/*": {"schema": FILE}, "multipart/form-data": {"schema": FORM}},
}


class InMemoryRequest(Request):
    """A request whose files stay in memory; Werkzeug would write those above 500 kB to disk.

    Example:
        app = Flask(__name__)
        app.request_class = InMemoryRequest
    """

    def _get_file_stream(self, *_: Any, **__: Any) -> IO[bytes]:
        return BytesIO()


def blueprint(options: AppOptions) -> Blueprint:
    """Route for images.

    Args:
        options: Its `analyze` and `follow` do the work, with and without a key; if None, the route responds with 404.
    """
    routes = Blueprint("analyze", __name__)
    slots, recorders = Slots(options.max_analyses), options.browser_recorder

    @routes.post("/api/analyze")
    @Operation(
        f"The faces in an image, or in up to {schemas.MAX_IMAGES} images.",
        Answer(200, "Of one image, or of each in order.", schemas.Image | schemas.Images),
        Answer(400, "There is no file in the field image, or track is not a valid key, or landmarks neither 0 nor 1."),
        Answer(413, f"More than {MAX_BODY_BYTES >> 20} MB, too many pixels, or too many images."),
        Answer(415, "Not an image."),
        Answer(422, "A damaged image."),
        Answer(429, "Too many concurrent requests.", retry=True),
        LANDMARK_REFUSALS[1],
        parameters=(TRACK, LANDMARKS),
        other_body=IMAGE_BODY,
    )
    def analyze_images() -> schemas.Image | schemas.Images:
        analyze, follow = options.analyze, options.follow
        if analyze is None:
            abort(404, "This program analyzes no images.")
        key = request.args.get("track")
        if key is not None and follow is None:
            abort(404, "This program does not track faces from image to image.")
        if key is not None and not re.fullmatch(KEY, key):
            abort(400, "Expected a key of 8 to 64 letters, digits, - or _ as track.")
        landmarks = wants_landmarks(options)
        # Before the body is read, so that memory is limited.
        with slots.hold(f"{slots.limit} images are being analyzed already.", RETRY_AFTER_S):
            try:
                one: Analyze = analyze if key is None or follow is None else partial(follow, key)
                found = _analyze_request(
                    partial(one, landmarks=True) if landmarks else one,
                    max_images=schemas.MAX_IMAGES if key is None else 1,
                )
                recording = recorders.status(key) if recorders is not None and key is not None else None
                if recording is None:
                    return found
                return found.model_copy(update={"recording": schemas.Recording.model_validate(recording)})
            except ImageError as error:
                abort(_status_of(error), sentence(error))
            except BusyError as error:
                raise TooManyRequests(sentence(error), retry_after=math.ceil(error.retry_in_s)) from error

    return routes


def _analyze_request(
    analyze: Callable[[bytes], Analysis], max_images: int = schemas.MAX_IMAGES
) -> schemas.Image | schemas.Images:
    if request.mimetype.startswith("image/"):
        return _describe(analyze(request.get_data(cache=False)))
    if request.mimetype != "multipart/form-data":
        abort(415, f"Expected an image/* body or a multipart field image, found {request.mimetype or 'no type'}.")
    files = request.files.getlist("image")
    if not files:
        abort(400, "Expected a file in the multipart field image, found none.")
    if len(files) > max_images:
        abort(413, f"Expected at most {max_images} image{'s' * (max_images > 1)}, found {len(files)}.")
    if len(files) == 1:
        return _describe(analyze(files[0].read()))
    return schemas.Images(images=[_analyze_one_of_many(analyze, file.read()) for file in files])


def _describe(found: Analysis) -> schemas.Image:
    faces = describe_faces(found, landmarks=True)  # those that were asked for
    return schemas.Image(
        width=found.width,
        height=found.height,
        faces=faces,
        new_scene=found.new_scene,
        baselines=describe_baselines(found),
    )


def _analyze_one_of_many(analyze: Callable[[bytes], Analysis], data: bytes) -> schemas.Image | schemas.ImageError:
    """A damaged image does not prevent the answer to the others."""
    check_client()
    try:
        return _describe(analyze(data))
    except ImageError as error:
        return schemas.ImageError(error=sentence(error), status=_status_of(error))


def _status_of(error: ImageError) -> schemas.ImageStatus:
    return 413 if isinstance(error, ImageTooLargeError) else 415 if isinstance(error, NotAnImageError) else 422

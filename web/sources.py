"""The source of the live pictures: which may be chosen, and choosing one for all viewers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Blueprint, Response, abort, request

from mien.errors import SourceError, SourceForbiddenError
from mien.types import SourceStatus
from web import schemas
from web.limits import Slots, check_client
from web.openapi import Answer, Operation
from web.own_stream import is_own_address
from web.ports import AppOptions, Camera, Catalog
from web.state import describe_source, sentence

RETRY_AFTER_S = 2

MAX_THUMBNAILS = 4
"""Concurrent requests for thumbnails, of which one is made at a time: each occupies a worker of the server."""

FILE = {
    "name": "file",
    "in": "query",
    "required": True,
    "schema": {"type": "string"},
    "description": "One of the `files`.",
}


def blueprint(camera: Camera, options: AppOptions) -> Blueprint:
    """Routes of the sources.

    Args:
        camera: Opens the chosen source.
        options: Its `catalog` has the sources that may be chosen; if it is None, the routes respond with 404. What the
            server itself serves at its `host` is no source. In privacy mode there are no thumbnails.
    """
    routes = Blueprint("sources", __name__)
    opening = Slots(1)  # opening a source may take seconds: concurrent requests are refused, not queued
    thumbnails = Slots(MAX_THUMBNAILS)
    privacy = options.privacy

    def offered() -> Catalog:
        if options.catalog is None:
            abort(404, "This program does not let the source be chosen.")
        return options.catalog

    @contextmanager
    def changing() -> Iterator[None]:
        with opening.hold("Another source is being opened already.", RETRY_AFTER_S):
            try:
                yield
            except SourceError as error:
                abort(403 if isinstance(error, SourceForbiddenError) else 422, sentence(error))

    def opened(status: SourceStatus) -> schemas.Opened:
        return schemas.Opened(source=describe_source(None, status))

    @routes.get("/api/sources")
    @Operation(
        "The sources that may be chosen.",
        Answer(200, "Demo and webcams by name, and the files in the folder given by --media.", schemas.Sources),
    )
    def sources() -> schemas.Sources:
        found, in_use = offered(), camera.in_use
        cameras = [schemas.Camera(source=source, name=name) for source, name in found.cameras(in_use).items()]
        return schemas.Sources(sources=cameras, files=found.files(), current=found.current(in_use))

    @routes.get("/api/sources/thumbnail")
    @Operation(
        "A small picture of a file that may be chosen.",
        Answer(200, "JPEG, at most 160 pixels on a side.", "image/jpeg"),
        Answer(404, "There is no such file, no picture in it, or privacy mode is on."),
        Answer(429, f"{MAX_THUMBNAILS} thumbnails are being made.", retry=True),
        parameters=(FILE,),
    )
    def thumbnail() -> Response:
        found, name = offered(), request.args.get("file", "")
        if privacy is not None and privacy.on:
            abort(404, "In privacy mode there are no thumbnails.")
        with thumbnails.hold("Other thumbnails are being made.", RETRY_AFTER_S):
            check_client()
            try:
                return Response(found.thumbnail(name), mimetype="image/jpeg")
            except SourceForbiddenError as error:
                abort(403, sentence(error))
            except SourceError as error:
                abort(404, sentence(error))

    @routes.post("/api/source")
    @Operation(
        "Choose the source, for all viewers. A webcam in use is released before another source is opened.",
        Answer(200, "The new source, which is open.", schemas.Opened),
        Answer(422, "It cannot be opened; the previous source continues."),
        Answer(429, "Another source is being opened.", retry=True),
        body=schemas.Choice,
    )
    def switch(body: schemas.Choice) -> schemas.Opened:
        found = offered()
        with changing():
            if is_own_address(body.source, options.host, int(request.environ.get("SERVER_PORT") or 0)):
                abort(403, "Expected another source than the pictures of this program itself.")
            return opened(camera.switch(found.spec_of(body.source, camera.in_use)))

    @routes.post("/api/source/again")
    @Operation(
        "Open the present source again, for all viewers: a file starts from its beginning, a camera that has failed is "
        "tried at once.",
        Answer(200, "The source, which is open.", schemas.Opened),
        Answer(422, "It cannot be opened; a camera is tried again later."),
        Answer(429, "A source is being opened.", retry=True),
    )
    def again() -> schemas.Opened:
        offered()
        with changing():
            source = camera.in_use
            if source is None:  # idle: it is opened for whoever asks for frames
                camera.keep_awake()
                return opened(camera.status())
            return opened(camera.switch(source))

    return routes

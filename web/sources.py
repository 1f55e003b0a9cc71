"""The source of the live pictures: which may be chosen, and choosing one for all viewers."""

from __future__ import annotations

from flask import Blueprint, abort, request

from mien.errors import SourceError, SourceForbiddenError
from web import schemas
from web.limits import Slots
from web.openapi import Answer, Operation
from web.own_stream import is_own_address
from web.ports import Camera, Catalog
from web.state import describe_source, sentence

RETRY_AFTER_S = 2


def blueprint(camera: Camera, catalog: Catalog | None, host: str = "127.0.0.1") -> Blueprint:
    """Routes of the sources.

    Args:
        camera: Opens the chosen source.
        catalog: The sources that may be chosen; if None, the routes respond with 404.
        host: The address the server listens on; what it serves itself is no source.
    """
    routes = Blueprint("sources", __name__)
    slots = Slots(1)  # opening a source may take seconds: concurrent requests are refused, not queued

    def offered() -> Catalog:
        if catalog is None:
            abort(404, "This program does not let the source be chosen.")
        return catalog

    @routes.get("/api/sources")
    @Operation(
        "The sources that may be chosen.",
        Answer(200, "Demo and webcams by name, and the files in the folder given by --media.", schemas.Sources),
    )
    def sources() -> schemas.Sources:
        found, in_use = offered(), camera.in_use
        cameras = [schemas.Camera(source=source, name=name) for source, name in found.cameras(in_use).items()]
        return schemas.Sources(sources=cameras, files=found.files(), current=found.current(in_use))

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
        with slots.hold("Another source is being opened already.", RETRY_AFTER_S):
            if is_own_address(body.source, host, int(request.environ.get("SERVER_PORT") or 0)):
                abort(403, "Expected another source than the pictures of this program itself.")
            try:
                status = camera.switch(found.spec_of(body.source, camera.in_use))
            except SourceError as error:
                abort(403 if isinstance(error, SourceForbiddenError) else 422, sentence(error))
        return schemas.Opened(source=describe_source(None, status))

    return routes

"""Which sources may be chosen, and choosing one: it acts on the program, and so on all who watch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from flask import Blueprint, Response, abort, jsonify
from werkzeug.exceptions import TooManyRequests

from mien.errors import SourceError, SourceForbiddenError
from web.api import describe_source, sentence
from web.jsonbody import json_field
from web.streams import Viewers

if TYPE_CHECKING:
    from web.app import Camera

MAX_SOURCE = 2048
"""Characters; browsers and cameras do not use longer addresses either."""

RETRY_AFTER_S = 2


class Choices(Protocol):
    """All the web needs of the sources that may be chosen."""

    def cameras(self, in_use: str | None = None) -> dict[str, str]:
        """The name of the demo and of each webcam, by what to choose."""

    def files(self) -> list[str] | None:
        """Names of files; None where none may be chosen."""

    def current(self, in_use: str | None) -> str | None:
        """Which of them is open."""

    def spec_of(self, source: str, in_use: str | None = None) -> str:
        """What to open for a choice. Raises SourceForbiddenError or another SourceError."""


def blueprint(camera: Camera, choices: Choices | None) -> Blueprint:
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

"""The description of the interface, OpenAPI 3.1, that /api/openapi.json gives and /api shows.

https://spec.openapis.org/oas/v3.1.1
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Blueprint, Response, jsonify, render_template

from web.analyze import KEY, MAX_BODY_BYTES, MAX_IMAGES
from web.schemas import CONTROLS, SCHEMAS, Json, list_of, record, ref
from web.streams import EVENTS_PER_S

_VIEWER = {
    "name": "viewer",
    "in": "query",
    "schema": {"type": "string"},
    "description": "A name of your own for a picture stream; state and events then tell whether it is open.",
}
_LAST_ID = {
    "name": "Last-Event-ID",
    "in": "header",
    "schema": {"type": "string"},
    "description": "The id of the last event seen: it is not sent again.",
}
_TRACK = {
    "name": "track",
    "in": "query",
    "schema": {"type": "string", "pattern": f"^{KEY}$"},
    "description": (
        "A key of your own, for one image after another: faces keep their numbers and are smoothed. "
        "A face is told from the second image on in which it is found, so never in the first. "
        "One request of a key at a time, at most 8 keys; forgotten after 10 s of silence."
    ),
}
_RETRY = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}

MODEL_CARD = Path(__file__).resolve().parent.parent / "MODEL_CARD.md"


def _answer(description: str, schema: Json | None = None, kind: str = "application/json", **more: Any) -> Json:
    return {"description": description, "content": {kind: {} if schema is None else {"schema": schema}}, **more}


def _route(summary: str, *answers: tuple[int, Json], api: bool = True, **more: Any) -> Json:
    refusal = {"Error": ref("Error")} if api else {}
    kind = "application/json" if api else "text/html"
    return {
        "summary": summary,
        **more,
        "responses": {
            **{str(code): answer for code, answer in answers},
            "401": _answer("The token is missing or wrong.", refusal.get("Error"), kind),
            "403": _answer(
                "It names a foreign host or origin, or asks for what is not allowed.",
                refusal.get("Error"),
                kind,
            ),
        },
    }


def _error(description: str, **more: Any) -> Json:
    return _answer(description, ref("Error"), **more)


def _change(summary: str, body: str, *answers: tuple[int, Json]) -> Json:
    """A route that changes something; body: the schema of what it is sent."""
    return _route(
        summary,
        *answers,
        (400, _error("The body is not as it should be.")),
        (413, _error("The body is too long.")),
        (415, _error("The body is not JSON.")),
        requestBody={"required": True, "content": {"application/json": {"schema": ref(body)}}},
    )


PATHS: Json = {
    "/": {"get": _route("The page.", (200, _answer("HTML.", kind="text/html")), api=False)},
    "/video_feed": {
        "get": _route(
            "The live annotated pictures.",
            (200, _answer("JPEG parts; the boundary is frame.", kind="multipart/x-mixed-replace")),
            (503, _answer("All places are taken.", kind="text/plain", headers=_RETRY)),
            api=False,
            parameters=[_VIEWER],
        )
    },
    "/api/frames": {
        "get": _route(
            "The live pictures without boxes and labels, each with what was found in it.",
            (200, _answer("JPEG parts; their header X-Mien-State is a State.", kind="multipart/x-mixed-replace")),
            (503, _error("All places are taken.", headers=_RETRY)),
            parameters=[_VIEWER],
        )
    },
    "/healthz": {
        "get": _route(
            "Whether frames flow.",
            (200, _answer("They do.", ref("Health"))),
            (503, _answer("They do not; the reason is told.", ref("Health"))),
            api=False,
        )
    },
    "/api": {"get": _route("This description, to be read.", (200, _answer("HTML.", kind="text/html")), api=False)},
    "/model-card": {
        "get": _route(
            "What the network was trained on, its figures and limits.",
            (200, _answer("HTML.", kind="text/html")),
            api=False,
        )
    },
    "/api/openapi.json": {
        "get": _route("This description, for programs.", (200, _answer("OpenAPI 3.1.", {"type": "object"})))
    },
    "/api/state": {
        "get": _route(
            "What is seen now.", (200, _answer("The state of the newest picture.", ref("State"))), parameters=[_VIEWER]
        )
    },
    "/api/events": {
        "get": _route(
            f"What is seen, as it is seen: an event for each analysed frame, at most {EVENTS_PER_S} a second.",
            (200, _answer("Server-sent events; the data of each is a State.", kind="text/event-stream")),
            (503, _error("All places are taken.", headers=_RETRY)),
            parameters=[_VIEWER, _LAST_ID],
        )
    },
    "/api/sources": {
        "get": _route(
            "The sources that may be chosen.",
            (200, _answer("Demo and webcams by name, and files below --media.", ref("Sources"))),
        )
    },
    "/api/source": {
        "post": _change(
            "Choose the source, for all. A webcam is let go of before it, or another, is opened.",
            "Choice",
            (200, _answer("The new source; it is open.", record({"source": ref("Source")}))),
            (422, _error("It can not be opened; the old source goes on.")),
            (429, _error("Another source is being opened already.", headers=_RETRY)),
        )
    },
    "/api/snapshot.png": {
        "get": _route(
            "The newest annotated picture.",
            (200, _answer("PNG.", kind="image/png")),
            (503, _error("No picture flows.", headers=_RETRY)),
        )
    },
    "/api/session.csv": {
        "get": _route(
            "The running recording so far, or the last: a row for each face of each frame; see the README.",
            (200, _answer("CSV with a header.", kind="text/csv")),
            (404, _error("Nothing was recorded since the program started.")),
        )
    },
    "/api/record": {
        "post": _change(
            "Start or stop recording a session, for all.",
            "Switch",
            (200, _answer("The recording.", record({"recording": ref("Recording")}))),
            (409, _error("The file can not be written.")),
        )
    },
    "/api/controls": {
        "get": _route(
            "Whether a session is recorded, the video saved, and faces covered; to ask does not keep the camera awake.",
            (200, _answer("As in the state.", record(CONTROLS))),
        )
    },
    "/api/privacy": {
        "post": _change(
            "Cover faces, or show them again, for all.",
            "Switch",
            (200, _answer("What is so now.", record({"privacy": {"type": "boolean"}}))),
        )
    },
    "/api/explain": {
        "get": _route(
            "Which parts of each face speak for its label (Layer-CAM), computed when asked, at most 4 times a second.",
            (200, _answer("Of the newest picture.", ref("Explanation"))),
            (429, _error("Too many wait for it already.", headers=_RETRY)),
            (503, _error("No picture flows, or this network can not be explained; the reason is told.")),
        )
    },
    "/api/analyze": {
        "post": _route(
            f"The faces of an image, or of up to {MAX_IMAGES}.",
            (200, _answer("Of one image, or of each in its order.", {"anyOf": [ref("Image"), ref("Images")]})),
            (400, _error("There is no file in the field image, or track is no key.")),
            (413, _error(f"More than {MAX_BODY_BYTES >> 20} MB, too many pixels, or too many images.")),
            (415, _error("Not an image.")),
            (422, _error("A broken image.")),
            (429, _error("Too many at once.", headers=_RETRY)),
            parameters=[_TRACK],
            requestBody={
                "required": True,
                "content": {
                    "image/*": {"schema": {"type": "string", "format": "binary"}},
                    "multipart/form-data": {
                        "schema": {
                            "type": "object",  # fields of other names are ignored
                            "properties": {
                                "image": list_of(
                                    {"type": "string", "format": "binary"}, minItems=1, maxItems=MAX_IMAGES
                                )
                            },
                            "required": ["image"],
                        }
                    },
                },
            },
        )
    },
}


DOCUMENT: Json = {
    "openapi": "3.1.0",
    "info": {
        "title": "Mien",
        "version": "1",
        "summary": "Facial expressions in live pictures.",
        "description": "A face shows an expression, not what a person feels: do not decide about people by it.",
    },
    "servers": [{"url": "/"}],
    "security": [{}, {"header": []}, {"query": []}],
    "paths": PATHS,
    "components": {
        "schemas": SCHEMAS,
        "securitySchemes": {
            "header": {"type": "http", "scheme": "bearer", "description": "The token, where Mien asks for one."},
            "query": {"type": "apiKey", "in": "query", "name": "token", "description": "Leaves a cookie behind."},
        },
    },
}


def blueprint() -> Blueprint:
    """Routes of the description."""
    routes = Blueprint("docs", __name__)

    @routes.get("/api/openapi.json")
    def document() -> Response:
        return jsonify(DOCUMENT)

    @routes.get("/api")
    def page() -> str:
        return render_template("api.html", api=DOCUMENT)

    @routes.get("/model-card")
    def model_card() -> str:
        return render_template("card.html", card=MODEL_CARD.read_text(encoding="utf-8"))

    return routes

"""The description of the interface, OpenAPI 3.1, that /api/openapi.json gives and /api shows.

https://spec.openapis.org/oas/v3.1.1
"""

from __future__ import annotations

from typing import Any, get_args

from mien.expressions import EXPRESSIONS, SourceState
from web.analyze import MAX_BODY_BYTES, MAX_IMAGES
from web.events import EVENTS_PER_S

Json = dict[str, Any]


def _object(required: Json, optional: Json | None = None) -> Json:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _number(description: str, *, null: bool = False, **limits: float) -> Json:
    return {"type": ["number", "null"] if null else "number", "description": description, **limits}


def _whole(description: str, *, null: bool = False, **limits: int) -> Json:
    return {"type": ["integer", "null"] if null else "integer", "description": description, **limits}


def _text(description: str, *, null: bool = False) -> Json:
    return {"type": ["string", "null"] if null else "string", "description": description}


def _list(items: Json, **limits: int) -> Json:
    return {"type": "array", "items": items, **limits}


_PROBABILITY = {"type": "number", "minimum": 0, "maximum": 1}
_LABEL = {"type": "string", "enum": list(EXPRESSIONS)}

SCHEMAS: Json = {
    "Error": _object({"error": _text("What was expected, and what was found.")}),
    "Probabilities": _object(dict.fromkeys(EXPRESSIONS, _PROBABILITY)),
    "Box": _object(
        {
            "x": _whole("Left edge, pixels of the original frame."),
            "y": _whole("Top edge, pixels of the original frame."),
            "w": _whole("Width in pixels.", minimum=1),
            "h": _whole("Height in pixels.", minimum=1),
        }
    ),
    "Face": _object(
        {
            "id": _whole(
                "The same number for the same face over time; null for an image that stands alone.", null=True
            ),
            "box": _ref("Box"),
            "label": {**_LABEL, "description": "The most probable expression."},
            "confidence": {**_PROBABILITY, "description": "Probability of the label."},
            "unsure": {"type": "boolean", "description": "Whether the confidence is too low to rely on the label."},
            "probabilities": {**_ref("Probabilities"), "description": "Smoothed over time where faces are followed."},
            "raw": {**_ref("Probabilities"), "description": "As the network said for this frame alone."},
        }
    ),
    "Frame": _object(
        {
            "index": _whole("0, 1, 2, ... as captured.", minimum=0),
            "captured_at": _number("Seconds since the epoch."),
            "media_time_s": _number("Position in the file; null for a live source.", null=True),
            "width": _whole("Pixels.", minimum=1),
            "height": _whole("Pixels.", minimum=1),
        }
    ),
    "Source": _object(
        {
            "name": _text("Name of the camera, file or address."),
            "state": {"type": "string", "enum": list(get_args(SourceState))},
            "truth": {"enum": [*EXPRESSIONS, None], "description": "What the demo shows; null while it morphs."},
            "reason": _text("Why no frames flow; null while they do.", null=True),
            "retry_in_s": _number("Seconds to the next try.", null=True),
        }
    ),
    "State": _object(
        {
            "source": _ref("Source"),
            "fps": _number("Analysed frames a second over the last 2 s.", minimum=0),
            "latency_ms": _number("From capture to picture.", null=True),
            "timing_ms": {"type": "object", "additionalProperties": {"type": "number"}},
            "viewers": _whole("Picture streams that are open.", minimum=0),
            "detector": _text("What finds the faces: haar, dlib, mtcnn or yunet."),
            "frame": {"anyOf": [_ref("Frame"), {"type": "null"}]},
            "faces": _list(_ref("Face")),
        },
        {"watching": {"type": "boolean", "description": "Whether the stream named by viewer is open."}},
    ),
    "Image": _object({"width": _whole("Pixels."), "height": _whole("Pixels."), "faces": _list(_ref("Face"))}),
    "ImageError": _object({"error": _text("Why this image has no answer."), "status": {"enum": [413, 415, 422]}}),
    "Images": _object(
        {"images": _list({"anyOf": [_ref("Image"), _ref("ImageError")]}, minItems=2, maxItems=MAX_IMAGES)}
    ),
    "Health": _object(
        {
            "ok": {"type": "boolean"},
            "state": {"type": "string", "enum": list(get_args(SourceState))},
            "reason": _text("Why no frames flow; null while they do.", null=True),
        }
    ),
}

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
_RETRY = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}


def _answer(description: str, schema: Json | None = None, kind: str = "application/json", **more: Any) -> Json:
    return {"description": description, "content": {kind: {} if schema is None else {"schema": schema}}, **more}


def _route(summary: str, *answers: tuple[int, Json], api: bool = True, **more: Any) -> Json:
    refusal = {"Error": _ref("Error")} if api else {}
    kind = "application/json" if api else "text/html"
    return {
        "summary": summary,
        **more,
        "responses": {
            **{str(code): answer for code, answer in answers},
            "401": _answer("The token is missing or wrong.", refusal.get("Error"), kind),
            "403": _answer("The request names a foreign host or origin.", refusal.get("Error"), kind),
        },
    }


def _error(description: str, **more: Any) -> Json:
    return _answer(description, _ref("Error"), **more)


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
    "/healthz": {
        "get": _route(
            "Whether frames flow.",
            (200, _answer("They do.", _ref("Health"))),
            (503, _answer("They do not; the reason is told.", _ref("Health"))),
            api=False,
        )
    },
    "/api": {"get": _route("This description, to be read.", (200, _answer("HTML.", kind="text/html")), api=False)},
    "/api/openapi.json": {
        "get": _route("This description, for programs.", (200, _answer("OpenAPI 3.1.", {"type": "object"})))
    },
    "/api/state": {
        "get": _route(
            "What is seen now.", (200, _answer("The state of the newest picture.", _ref("State"))), parameters=[_VIEWER]
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
    "/api/snapshot.png": {
        "get": _route(
            "The newest annotated picture.",
            (200, _answer("PNG.", kind="image/png")),
            (503, _error("No picture flows.", headers=_RETRY)),
        )
    },
    "/api/analyze": {
        "post": _route(
            f"The faces of an image, or of up to {MAX_IMAGES}.",
            (200, _answer("Of one image, or of each in its order.", {"anyOf": [_ref("Image"), _ref("Images")]})),
            (400, _error("There is no file in the field image.")),
            (413, _error(f"More than {MAX_BODY_BYTES >> 20} MB, too many pixels, or too many images.")),
            (415, _error("Not an image.")),
            (422, _error("A broken image.")),
            (429, _error("Too many at once.", headers=_RETRY)),
            requestBody={
                "required": True,
                "content": {
                    "image/*": {"schema": {"type": "string", "format": "binary"}},
                    "multipart/form-data": {
                        "schema": _object(
                            {"image": _list({"type": "string", "format": "binary"}, minItems=1, maxItems=MAX_IMAGES)}
                        )
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

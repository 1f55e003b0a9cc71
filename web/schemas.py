"""The schemas of the interface's description: what the answers hold.

https://json-schema.org/draft/2020-12
"""

from __future__ import annotations

from typing import Any, get_args

from mien.types import EXPRESSIONS, SourceState
from web.analyze import MAX_IMAGES

Json = dict[str, Any]


def record(required: Json, optional: Json | None = None) -> Json:
    """An object with exactly these properties, the optional ones or not."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def ref(name: str) -> Json:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def number(description: str, *, null: bool = False, **limits: float) -> Json:
    """A number; `null` where it may be missing."""
    return {"type": ["number", "null"] if null else "number", "description": description, **limits}


def whole(description: str, *, null: bool = False, **limits: int) -> Json:
    """A whole number."""
    return {"type": ["integer", "null"] if null else "integer", "description": description, **limits}


def text(description: str, *, null: bool = False) -> Json:
    """A string."""
    return {"type": ["string", "null"] if null else "string", "description": description}


def list_of(items: Json, **limits: int) -> Json:
    """A list."""
    return {"type": "array", "items": items, **limits}


_PROBABILITY = {"type": "number", "minimum": 0, "maximum": 1}
_LABEL = {"type": "string", "enum": list(EXPRESSIONS)}

CONTROLS: Json = {
    "recording": ref("Recording"),
    "saving": {"anyOf": [ref("Saving"), {"type": "null"}], "description": "The annotated video; null without --save."},
    "privacy": {"type": "boolean", "description": "Whether faces are covered, in pictures and saved video."},
}
"""What acts on all who watch."""

SCHEMAS: Json = {
    "Error": record({"error": text("What was expected, and what was found.")}),
    "Probabilities": record(dict.fromkeys(EXPRESSIONS, _PROBABILITY)),
    "Box": record(
        {
            "x": whole("Left edge, pixels of the original frame."),
            "y": whole("Top edge, pixels of the original frame."),
            "w": whole("Width in pixels.", minimum=1),
            "h": whole("Height in pixels.", minimum=1),
        }
    ),
    "Face": record(
        {
            "id": whole("The same number for the same face over time; null for an image that stands alone.", null=True),
            "box": ref("Box"),
            "label": {**_LABEL, "description": "The most probable expression, steadied where faces are followed."},
            "confidence": {**_PROBABILITY, "description": "Probability of the label."},
            "unsure": {"type": "boolean", "description": "Whether the confidence is too low to rely on the label."},
            "probabilities": {**ref("Probabilities"), "description": "Smoothed over time where faces are followed."},
            "raw": {
                **ref("Probabilities"),
                "description": "As the network said for this frame alone, or the last in which the face was found.",
            },
        }
    ),
    "Frame": record(
        {
            "index": whole("0, 1, 2, ... as captured.", minimum=0),
            "captured_at": number("Seconds since the epoch."),
            "media_time_s": number("Position in the file; null for a live source.", null=True),
            "width": whole("Pixels.", minimum=1),
            "height": whole("Pixels.", minimum=1),
        }
    ),
    "Source": record(
        {
            "name": text("Name of the camera, file or address."),
            "state": {"type": "string", "enum": list(get_args(SourceState))},
            "truth": {"enum": [*EXPRESSIONS, None], "description": "What the demo shows; null while it morphs."},
            "reason": text("Why no frames flow; null while they do.", null=True),
            "retry_in_s": number("Seconds to the next try.", null=True),
        }
    ),
    "Sources": record(
        {
            "sources": list_of(
                record(
                    {"source": text("What to choose: demo, or the number of a webcam."), "name": text("For people.")}
                )
            ),
            "files": {
                "type": ["array", "null"],
                "items": {"type": "string"},
                "description": "Names below the folder named at start with --media; null without it.",
            },
            "current": text("Which of them is open; null while it rests, and where it is none of them.", null=True),
        }
    ),
    "Choice": record(
        {
            "source": {
                "type": "string",
                "minLength": 1,
                "maxLength": 2048,
                "description": "demo, the number of a webcam, a URL (http, https, rtsp, rtsps), or the name of a file.",
            }
        }
    ),
    "State": record(
        {
            "source": ref("Source"),
            "fps": number("Analysed frames a second over the last 2 s.", minimum=0),
            "latency_ms": number(
                "Milliseconds from receiving a frame until its picture is ready, without camera and network.", null=True
            ),
            "timing_ms": {"type": "object", "additionalProperties": {"type": "number"}},
            "viewers": whole("Picture streams that are open.", minimum=0),
            "detector": text("What finds the faces."),
            "frame": {"anyOf": [ref("Frame"), {"type": "null"}]},
            "faces": list_of(ref("Face")),
            **CONTROLS,
        },
        {"watching": {"type": "boolean", "description": "Whether the stream named by viewer is open."}},
    ),
    "Recording": record(
        {
            "on": {"type": "boolean"},
            "since": number("When it was started, seconds since the epoch.", null=True),
            "rows": whole("Written so far.", minimum=0),
            "name": text("Of the file; null before the first recording.", null=True),
            "error": text("Why it ended by itself; null where it did not.", null=True),
        }
    ),
    "Saving": record(
        {
            "name": text("Of the file that is being written; null while there is none.", null=True),
            "error": text("Why writing stopped; null while all is well.", null=True),
            "dropped": whole("Frames that are missing in it, as the encoder was too busy.", minimum=0),
        }
    ),
    "Switch": record({"on": {"type": "boolean"}}),
    "Image": record({"width": whole("Pixels."), "height": whole("Pixels."), "faces": list_of(ref("Face"))}),
    "ImageError": record({"error": text("Why this image has no answer."), "status": {"enum": [413, 415, 422]}}),
    "Images": record(
        {"images": list_of({"anyOf": [ref("Image"), ref("ImageError")]}, minItems=2, maxItems=MAX_IMAGES)}
    ),
    "Explanation": record(
        {
            "frame": whole("Index of the frame.", minimum=0),
            "faces": list_of(
                record(
                    {
                        "id": whole("The number of the face.", null=True),
                        "label": {**_LABEL, "description": "What the heat speaks for."},
                        "box": ref("Box"),
                        "heat": {
                            "type": "string",
                            "contentEncoding": "base64",
                            "contentMediaType": "image/png",
                            "description": "To be laid over the box: RGBA, 48x48; where nothing speaks for it, clear.",
                        },
                    }
                )
            ),
        }
    ),
    "Health": record(
        {
            "ok": {"type": "boolean"},
            "state": {"type": "string", "enum": list(get_args(SourceState))},
            "reason": text("Why no frames flow; null while they do.", null=True),
        }
    ),
}

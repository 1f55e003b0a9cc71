"""The page for programs: each route with an example of its answer, to be tried, and examples to copy."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from flask import Blueprint, current_app, render_template

from web import languages
from web.openapi import HTML, Answer, Operation, document
from web.pages import ROOT
from web.ports import AppOptions

EXAMPLES = {"p5": "sketch.js", "nodeRed": "flow.json", "touchDesigner": "touchdesigner.txt", "python": "faces.py"}
"""Files in templates/programs/ by the keys of their texts."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Route:
    """One route, as the page shows it.

    Args:
        method: In capitals.
        path: With values in braces.
        summary: What it is for.
        values: Names of its values in path and query, each with the place: "path" or "query".
        changes: Whether it changes something, so that the page asks before it is tried.
        body: "file", "json" or "" for none.
        body_example: The JSON body to begin with.
        answer: An example of a JSON answer; "" if there is none.
    """

    method: str
    path: str
    summary: str
    values: tuple[tuple[str, str], ...]
    changes: bool
    body: str
    body_example: str
    answer: str


def blueprint(options: AppOptions) -> Blueprint:
    """Route of the page.

    Args:
        options: Says whether a token is required.
    """
    routes = Blueprint("programs", __name__)

    @routes.get("/programs")
    @Operation(
        "This description with examples, to be tried.", Answer(200, "HTML.", HTML), parameters=(languages.PARAMETER,)
    )
    def programs() -> str:
        return render_template(
            "programs.html",
            routes=describe(document(current_app)),
            examples=_examples(ROOT / "templates" / "programs"),
            token=options.token is not None,
        )

    return routes


@cache
def _examples(folder: Path) -> dict[str, str]:
    return {key: (folder / name).read_text(encoding="utf-8") for key, name in EXAMPLES.items()}


def describe(api: Json) -> list[Route]:
    """All routes of an OpenAPI document, in its order.

    Args:
        api: As from `document`.
    """
    schemas = api["components"]["schemas"]
    return [
        _route(method, path, operation, schemas)
        for path, operations in api["paths"].items()
        for method, operation in operations.items()
    ]


def _route(method: str, path: str, operation: Json, schemas: Json) -> Route:
    bodies = operation.get("requestBody", {}).get("content", {})
    of_json = bodies.get("application/json")
    takes_file = any(kind != "application/json" for kind in bodies)
    answers = [answer["content"] for code, answer in operation["responses"].items() if code.startswith("2")]
    schema = answers[0].get("application/json", {}).get("schema")
    values = [(each["name"], each["in"]) for each in operation.get("parameters", ()) if each["in"] != "header"]
    return Route(
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        values=tuple(values),
        changes=method != "get" and path != "/api/analyze",
        body="file" if takes_file else "json" if of_json else "",
        body_example=json.dumps(of_json["example"]) if of_json and not takes_file else "",
        answer=json.dumps(example(schema, schemas), indent=2) if schema else "",
    )


def example(schema: Json, schemas: Json) -> Any:
    """A value that a schema allows, with all its fields.

    Args:
        schema: A JSON schema of the document.
        schemas: Those that it may refer to, by name.
    """
    if "$ref" in schema:
        return example(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if fixed := [schema["const"]] if "const" in schema else schema.get("enum"):
        return fixed[0]
    if union := schema.get("anyOf") or schema.get("oneOf"):
        return example(union[0], schemas)
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "array":
        return [example(schema["items"], schemas)] * max(1, schema.get("minItems", 1))
    if kind == "object":
        fields = {name: example(field, schemas) for name, field in schema.get("properties", {}).items()}
        more = schema.get("additionalProperties")
        return fields or ({"name": example(more, schemas)} if isinstance(more, dict) else {})
    least: float = schema.get("minimum") or schema.get("exclusiveMinimum") or 0
    return {"string": "text", "boolean": True, "integer": max(1, least), "number": max(0.5, least), "null": None}[kind]

"""Routes that describe themselves: an `Operation` declares what a view takes and answers, `document` collects it.

The document is OpenAPI 3.1, given by /api/openapi.json and shown by /api. https://spec.openapis.org/oas/v3.1.1
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar, get_args

from flask import Blueprint, Flask, Response, abort, current_app, jsonify, request
from pydantic import ValidationError
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from web.limits import MAX_BODY_BYTES, MAX_JSON_BYTES, limit_body
from web.schemas import Body, Error, Schema

REFERENCE = "#/components/schemas/{model}"
HTML = "text/html"
VIEWER = {
    "name": "viewer",
    "in": "query",
    "schema": {"type": "string"},
    "description": "A name you choose for a picture stream; state and events then report whether it is open.",
}
LANDMARKS = {
    "name": "landmarks",
    "in": "query",
    "schema": {"type": "integer", "enum": [0, 1]},
    "description": "1 adds the landmarks of each face and head, which follows from them; no landmarks in privacy mode.",
}
PATH_VALUES = {
    "job": {
        "name": "job",
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
        "description": "Id of a job, which only its owner knows.",
    },
    "session": {
        "name": "session",
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
        "description": "Id of a recorded session.",
    },
    "face": {
        "name": "face",
        "in": "path",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
        "description": "Number of a face of its result.",
    },
}
"""Values in the paths of routes, by name."""

RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}

ABOUT = {
    "openapi": "3.1.0",
    "info": {
        "title": "Mien",
        "version": "1",
        "summary": "Facial expressions in live pictures.",
        "description": "A face shows an expression, not what a person feels: do not base decisions about people on it.",
    },
    "servers": [{"url": "/"}],
    "security": [{}, {"header": []}, {"query": []}],
}
SECURITY = {
    "header": {"type": "http", "scheme": "bearer", "description": "The token, if Mien requires one."},
    "query": {"type": "apiKey", "in": "query", "name": "token", "description": "Sets a cookie, so it is needed once."},
}

Json = dict[str, Any]
BodyModel = TypeVar("BodyModel", bound=Body)


@dataclass(frozen=True)
class Answer:
    """One answer of a route.

        Answer(429, "Too many concurrent requests.", retry=True)

    Args:
        status: The HTTP status.
        description: When it is given, or what it holds.
        content: The model of a JSON answer, a union of models, the media type of any other answer, or None for none.
        retry: Whether it has the header Retry-After.
    """

    status: int
    description: str
    content: Any = Error
    retry: bool = False

    def describe(self) -> Json:
        """The answer as an OpenAPI response object."""
        if self.content is None:
            content: Json = {}
        elif isinstance(self.content, str):
            content = {self.content: {}}
        else:
            content = {"application/json": {"schema": _reference(self.content)}}
        headers = {"headers": RETRY_AFTER} if self.retry else {}
        return {"description": self.description, "content": content, **headers}


BODY_REFUSALS = (
    Answer(400, "The body does not match its schema."),
    Answer(413, "The body is too long."),
    Answer(415, "The body is not JSON."),
)


class Operation:
    """What is declared of a view, which then gets its JSON body as a model and may return one.

        @routes.get("/api/state")
        @Operation("The newest state.", Answer(200, "Source, frame and faces.", schemas.State))
        def newest() -> schemas.State: ...

    Decorates views that return a model, a model and a status, or what Flask accepts.

    Args:
        summary: What the route is for.
        *answers: Every answer but those that `describe` adds.
        parameters: Of the query and of headers, as OpenAPI parameter objects.
        body: The model of a JSON body.
        other_body: A body that is not JSON, as an OpenAPI request body object.
        max_bytes: Most bytes of a body; by default MAX_BODY_BYTES for one that is not JSON, else MAX_JSON_BYTES.
    """

    def __init__(
        self,
        summary: str,
        *answers: Answer,
        parameters: tuple[Json, ...] = (),
        body: type[Body] | None = None,
        other_body: Json | None = None,
        max_bytes: int | None = None,
    ) -> None:
        self.takes_content = other_body is not None
        self.max_bytes = max_bytes or (MAX_BODY_BYTES if other_body else MAX_JSON_BYTES)
        self._json_bytes = MAX_JSON_BYTES if other_body else self.max_bytes
        self._summary = summary
        self._answers = answers
        self._parameters = parameters
        self._body = body
        self._other_body = other_body

    def __call__(self, view: Callable[..., Any]) -> Callable[..., Any]:
        """The view as Flask calls it, with the values in its path, and with the attribute `operation`."""

        @wraps(view)
        def run(**values: Any) -> Any:
            result = view(read_json(self._body, self._json_bytes), **values) if self._body else view(**values)
            answer, status = result if isinstance(result, tuple) else (result, 200)
            if not isinstance(answer, Schema):
                return result
            return Response(f"{answer.to_json()}\n", status, mimetype="application/json")

        run.operation = self  # type: ignore[attr-defined]
        return run

    def describe(self, path: str) -> Json:
        """The route as an OpenAPI operation object, with the answers of every route of its kind.

        Args:
            path: The route's path; errors below /api/ are JSON, others HTML. Its values are parameters.
        """
        refusal = Error if path.startswith("/api/") else HTML
        answers = [
            *self._answers,
            Answer(401, "The token is missing or wrong.", refusal),
            Answer(403, "The request names a foreign host or origin, or something that is not allowed.", refusal),
            *(BODY_REFUSALS if self._body else ()),
        ]
        if all(answer.status != 429 for answer in answers):
            answers.append(Answer(429, "This address has sent too many wrong tokens.", refusal, retry=True))
        body = self._other_body
        if self._body:
            body = {
                "required": True,
                "content": {"application/json": {"schema": _reference(self._body), "example": self._body.EXAMPLE}},
            }
        parameters = [*(PATH_VALUES[name] for name in re.findall(r"{(\w+)}", path)), *self._parameters]
        return {
            "summary": self._summary,
            **({"parameters": parameters} if parameters else {}),
            **({"requestBody": body} if body else {}),
            "responses": {str(answer.status): answer.describe() for answer in answers},
        }

    def models(self) -> set[type[Schema]]:
        """The models of its body and its answers."""
        contents = [self._body, Error, *(answer.content for answer in self._answers)]
        return {model for content in contents for model in get_args(content) or [content] if isinstance(model, type)}


def read_json(model: type[BodyModel], max_bytes: int = MAX_JSON_BYTES) -> BodyModel:
    """The JSON body of the request.

    Args:
        model: What the body must match.
        max_bytes: Its greatest length.

    Raises:
        HTTPException: 400, 413 or 415 where it does not.
    """
    expected = f"Expected JSON such as {json.dumps(model.EXAMPLE)}"
    if not request.is_json:
        abort(415, f"{expected}, found {request.mimetype or 'no type'}.")
    limit_body(max_bytes)
    try:
        return model.model_validate_json(request.get_data())
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        abort(400, f"{expected}. Found: {'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}.")


def document(app: Flask) -> Json:
    """The description of all routes of an app.

    Args:
        app: The app; each of its views must be declared with an `Operation`.

    Returns:
        An OpenAPI 3.1 document.

    Raises:
        AttributeError: A route has no declared operation.
    """
    paths: Json = {}
    models: set[type[Schema]] = set()
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        if rule.endpoint == "static":
            continue
        view: Any = app.view_functions[rule.endpoint]
        operation: Operation = view.operation
        models |= operation.models()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            path = openapi_path(rule.rule)
            paths.setdefault(path, {})[method.lower()] = operation.describe(path)
    named = sorted(models, key=lambda model: model.__name__)
    _, schemas = models_json_schema(
        [(model, "validation") for model in named], ref_template=REFERENCE, schema_generator=_Untitled
    )
    return {**ABOUT, "paths": paths, "components": {"schemas": schemas["$defs"], "securitySchemes": SECURITY}}


def openapi_path(rule: str) -> str:
    """A path as OpenAPI writes it: /api/jobs/{job} for Flask's /api/jobs/<job>."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule)


class _Untitled(GenerateJsonSchema):
    """Schemas without titles, which would only repeat the names of fields and models."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _reference(content: Any) -> Json:
    """A model by its name, or any one of several."""
    if models := get_args(content):
        return {"anyOf": [_reference(model) for model in models]}
    return {"$ref": REFERENCE.format(model=content.__name__)}


def blueprint() -> Blueprint:
    """Route of the description."""
    routes = Blueprint("openapi", __name__)

    @routes.get("/api/openapi.json")
    @Operation("This description, for programs.", Answer(200, "OpenAPI 3.1.", "application/json"))
    def openapi_json() -> Response:
        described = document(current_app)
        if request.script_root:
            described["servers"] = [{"url": request.script_root}]
        return jsonify(described)

    return routes

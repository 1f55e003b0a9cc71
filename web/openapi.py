"""Routes that describe themselves: `endpoint` declares what a view takes and answers, `document` collects it.

The document is OpenAPI 3.1, given by /api/openapi.json and shown by /api. https://spec.openapis.org/oas/v3.1.1
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar, get_args

from flask import Blueprint, Flask, Response, abort, current_app, jsonify, request
from pydantic import ValidationError
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from web.schemas import Body, Error, Schema

MAX_JSON_BYTES = 8192
"""Length of a JSON body; the longest that is expected names a source."""

REFERENCE = "#/components/schemas/{model}"
HTML = "text/html"
VIEWER = {
    "name": "viewer",
    "in": "query",
    "schema": {"type": "string"},
    "description": "A name you choose for a picture stream; state and events then report whether it is open.",
}
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

    Args:
        status: The HTTP status.
        description: When it is given, or what it holds.
        content: The model of a JSON answer, a union of models, or the media type of any other answer.
        retry: Whether it has the header Retry-After.
    """

    status: int
    description: str
    content: Any = Error
    retry: bool = False

    def describe(self) -> Json:
        """The answer as an OpenAPI response object."""
        if isinstance(self.content, str):
            content: Json = {self.content: {}}
        else:
            content = {"application/json": {"schema": _reference(self.content)}}
        headers = {"headers": RETRY_AFTER} if self.retry else {}
        return {"description": self.description, "content": content, **headers}


@dataclass(frozen=True)
class Operation:
    """What is declared of a route.

    Args:
        summary: What the route is for.
        answers: Every answer but those that `all_answers` adds.
        parameters: Of the query and of headers, as OpenAPI parameter objects.
        body: The model of a JSON body.
        other_body: A body that is no JSON, as an OpenAPI request body object.
    """

    summary: str
    answers: tuple[Answer, ...]
    parameters: tuple[Json, ...] = ()
    body: type[Body] | None = None
    other_body: Json | None = None

    def all_answers(self, path: str) -> list[Answer]:
        """The declared answers, and those of every route of its kind.

        Args:
            path: The route's path; errors below /api/ are JSON, others HTML.
        """
        refusal = Error if path.startswith("/api/") else HTML
        answers = [
            *self.answers,
            Answer(401, "The token is missing or wrong.", refusal),
            Answer(403, "The request names a foreign host or origin, or something that is not allowed.", refusal),
        ]
        if self.body:
            answers.append(Answer(400, "The body does not match its schema."))
            answers.append(Answer(413, "The body is too long."))
            answers.append(Answer(415, "The body is not JSON."))
        return answers

    def describe(self, path: str) -> Json:
        """The route as an OpenAPI operation object.

        Args:
            path: The route's path.
        """
        body = self.other_body
        if self.body:
            body = {"required": True, "content": {"application/json": {"schema": _reference(self.body)}}}
        return {
            "summary": self.summary,
            **({"parameters": list(self.parameters)} if self.parameters else {}),
            **({"requestBody": body} if body else {}),
            "responses": {str(answer.status): answer.describe() for answer in self.all_answers(path)},
        }

    def models(self) -> set[type[Schema]]:
        """The models of its body and its answers."""
        contents = [self.body, Error, *(answer.content for answer in self.answers)]
        return {model for content in contents for model in get_args(content) or [content] if isinstance(model, type)}


def endpoint(summary: str, *answers: Answer, **more: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare the operation of a view, which then gets its JSON body as a model and may return one.

    Args:
        summary: What the route is for.
        answers: See Operation.
        more: `parameters`, `body` and `other_body` of Operation.

    Returns:
        A decorator for views that return a model, a model and a status, or what Flask accepts.
    """
    operation = Operation(summary, answers, **more)

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def run() -> Any:
            result = view(read_json(operation.body)) if operation.body else view()
            answer, status = result if isinstance(result, tuple) else (result, 200)
            if not isinstance(answer, Schema):
                return result
            return Response(f"{answer.to_json()}\n", status, mimetype="application/json")

        run.operation = operation  # type: ignore[attr-defined]
        return run

    return decorate


def read_json(model: type[BodyModel]) -> BodyModel:
    """The JSON body of the request.

    Args:
        model: What the body must match.

    Raises:
        HTTPException: 400, 413 or 415 where it does not.
    """
    request.max_content_length = MAX_JSON_BYTES
    expected = f"Expected JSON such as {json.dumps(model.EXAMPLE)}"
    if not request.is_json:
        abort(415, f"{expected}, found {request.mimetype or 'no type'}.")
    try:
        return model.model_validate_json(request.get_data())
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        abort(400, f"{expected}. Found: {'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}.")


def document(app: Flask) -> Json:
    """The description of all routes of an app.

    Args:
        app: The app; each of its views must be declared with `endpoint`.

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
            paths.setdefault(rule.rule, {})[method.lower()] = operation.describe(rule.rule)
    named = sorted(models, key=lambda model: model.__name__)
    _, schemas = models_json_schema(
        [(model, "validation") for model in named], ref_template=REFERENCE, schema_generator=_Untitled
    )
    return {**ABOUT, "paths": paths, "components": {"schemas": schemas["$defs"], "securitySchemes": SECURITY}}


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
    @endpoint("This description, for programs.", Answer(200, "OpenAPI 3.1.", "application/json"))
    def openapi_json() -> Response:
        return jsonify(document(current_app))

    return routes

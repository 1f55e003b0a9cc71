"""Small JSON bodies that ask for a change: one object with one field, and nothing else."""

from __future__ import annotations

from typing import TypeVar

from flask import abort, request
from werkzeug.exceptions import HTTPException

MAX_BYTES = 8192

T = TypeVar("T")


def json_field(name: str, kind: type[T], example: str) -> T:
    """The field of the request's body; answers 400, 413 or 415 for any other body. example: of the whole body."""
    request.max_content_length = MAX_BYTES
    expected = f"Expected JSON such as {example}"
    try:
        body = request.get_json()
    except HTTPException as error:
        abort(error.code or 400, f"{expected}." if error.code in (400, 415) else None)
    except RecursionError:  # [[[[[...
        abort(400, f"{expected}, found something else.")
    if not isinstance(body, dict) or set(body) != {name} or type(body[name]) is not kind:
        abort(400, f"{expected}, found something else.")
    return body[name]

"""Read JSON that may have been edited or damaged, or come from a stranger: within bounds, with one kind of error."""

from __future__ import annotations

import json
from typing import Any

MAX_DEPTH = 100
"""Levels of nesting; what the program writes has fewer than ten."""


def read_json(text: str | bytes) -> Any:
    """Parse JSON.

    Args:
        text: The text; bytes in UTF-8, UTF-16 or UTF-32.

    Raises:
        ValueError: It is no JSON, or is nested deeply, so that nothing that walks through it runs out of stack.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("JSON that is nested too deeply") from None
    level = [value]
    for _ in range(MAX_DEPTH):
        inside = [each for each in level if isinstance(each, dict | list)]
        level = [value for each in inside for value in (each.values() if isinstance(each, dict) else each)]
        if not level:
            return value
    raise ValueError(f"JSON with more than {MAX_DEPTH} levels")


def is_number(value: Any) -> bool:
    """Whether a parsed value is a number of ordinary size: not NaN, infinity, true, or hundreds of digits."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15

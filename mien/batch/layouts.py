"""The table of faces with the column names of other tools, and on a regular grid of time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mien.results import Result
from mien.types import EXPRESSIONS

Row = Mapping[str, Any]

PYFEAT_NAMES = {
    **{"x": "FaceRectX", "y": "FaceRectY", "w": "FaceRectWidth", "h": "FaceRectHeight"},
    **{"angry": "anger", "happy": "happiness", "sad": "sadness"},
}
OPENFACE_COLUMNS = ("frame", "face_id", "timestamp", "success", *EXPRESSIONS, "label", "unsure")
PYFEAT_COLUMNS = (
    *("input", "frame", "FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight"),
    *("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"),
)


def as_openface(row: Row) -> dict[str, Any]:
    """A row with the columns of OpenFace 2 that Mien has: frames count from 1, and no face is number 0.

    Args:
        row: A row of `mien.results.COLUMNS`.
    """
    face = row.get("face")
    return {
        **row,
        "frame": row["frame"] + 1,
        "face_id": 0 if face is None else face,
        "timestamp": row["time_s"],
    }


def as_pyfeat(row: Row) -> dict[str, Any]:
    """A row with the columns of Py-feat's Fex that Mien has.

    Args:
        row: A row of `mien.results.COLUMNS`.
    """
    return {PYFEAT_NAMES.get(name, name): value for name, value in row.items()}


LAYOUTS: dict[str, tuple[tuple[str, ...], Callable[[Row], Row]]] = {
    "openface": (OPENFACE_COLUMNS, as_openface),
    "pyfeat": (PYFEAT_COLUMNS, as_pyfeat),
}
"""Columns and the function that makes a row of them, by the name of the tool."""


def grid_rows(result: Result, duration_s: float, rate: float) -> Iterator[dict[str, Any]]:
    """Rows at the points of a regular grid at which a frame is shown; `time_s` is that of the point.

    Args:
        result: What was found in the frame.
        duration_s: How long it is shown, in seconds.
        rate: Points per second: 0, 1 / rate, 2 / rate, ... in media time.

    Yields:
        For each point, the rows of the frame.
    """
    tolerance = 1e-6  # of times that are stored in microseconds
    first = math.ceil(result.time_s * rate - tolerance)
    last = math.ceil((result.time_s + duration_s) * rate - tolerance)
    rows = list(result.rows()) if last > first else []
    for number in range(first, last):
        for row in rows:
            yield row | {"time_s": round(number / rate, 6)}

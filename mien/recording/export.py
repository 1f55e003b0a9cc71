"""The rows of a session together with what people have added: columns with markers, names and excluded spans."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from mien.errors import SessionError
from mien.recording.edits import SessionState
from mien.recording.rows import as_csv, as_typed
from mien.recording.timeline import SessionClock
from mien.types import BOX

ADDED = ("marker", "person", "excluded")
"""Columns behind those of the recording."""

CHUNK_ROWS = 500

WHOLE = {"frame", "face", *BOX, "width", "height"}
TRUTHS = {"unsure", "blink", "excluded"}
TEXTS = {"label", "quality_reason", "marker", "person"}
"""Columns that hold whole numbers, yes or no, and text; all others hold numbers with a fraction."""

Frame = list[list[str]]


def read_rows(path: Path, state: SessionState, began_s: float) -> tuple[Sequence[str], Iterator[Sequence[str]]]:
    """Read the rows of a session.

    Args:
        path: The CSV file; a last line that a kill has cut off is left out.
        state: What people have added.
        began_s: When the session began, in seconds since the epoch.

    Returns:
        Names of the columns, those of the recording and ADDED, and the rows. A marker stands in the rows of the frame
        that was shown at its time; in those of the first frame if that came later. Several are separated by "; ".

    Raises:
        SessionError: It is no recording.
        OSError: It cannot be read.
    """
    lines = _whole_lines(path)
    columns = next(csv.reader(lines), [])
    if not {"frame", "time", "face"} <= set(columns):
        lines.close()
        raise SessionError(f"expected a recording, found {path.name} with other columns")
    return [*columns, *ADDED], _annotated(columns, csv.reader(lines), state, began_s)


def csv_chunks(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[bytes]:
    """The rows as CSV, in pieces.

    Args:
        columns: Names of the columns.
        rows: Their values.
    """
    waiting: list[Sequence[str]] = [columns]
    for row in rows:
        waiting.append([as_typed(name, text) for name, text in zip(columns, row, strict=False)])
        if len(waiting) >= CHUNK_ROWS:
            yield as_csv(waiting)
            waiting = []
    yield as_csv(waiting)


def json_chunks(session: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[bytes]:
    """The rows as one JSON object with the fields `session` and `rows`, in pieces.

    Args:
        session: What else there is to know, as JSON.
        columns: Names of the columns.
        rows: Their values.
    """
    yield f'{{"session": {session}, "rows": ['.encode()
    waiting: list[str] = []
    separator = "\n"
    for row in rows:
        waiting.append(json.dumps(as_values(columns, row), allow_nan=False))
        if len(waiting) >= CHUNK_ROWS:
            yield (separator + ",\n".join(waiting)).encode()
            waiting, separator = [], ",\n"
    if waiting:
        yield (separator + ",\n".join(waiting)).encode()
    yield b"\n]}\n"


def as_values(columns: Sequence[str], row: Sequence[str]) -> Mapping[str, Any]:
    """A row as numbers, texts, True and False; None where there is no value.

    Args:
        columns: Names of the columns.
        row: Their values.
    """
    return {name: _value(name, text) for name, text in zip(columns, row, strict=False)}


def _value(name: str, text: str) -> Any:
    if not text:
        return None
    if name in TEXTS:
        return text
    try:
        number = float(text)
    except ValueError:
        return None
    if not abs(number) < float("inf"):
        return None
    if name in TRUTHS:
        return number != 0
    return int(number) if name in WHOLE else number


def _whole_lines(path: Path) -> Generator[str, None, None]:
    with path.open("rb") as file:
        for number, line in enumerate(file):
            if not line.endswith(b"\n"):
                return
            yield line.decode("utf-8-sig" if number == 0 else "utf-8", "replace")


def _annotated(
    columns: Sequence[str], rows: Iterable[list[str]], state: SessionState, began_s: float
) -> Iterator[list[str]]:
    frame_at, time_at, face_at = (columns.index(name) for name in ("frame", "time", "face"))
    whole = (row for row in rows if len(row) >= len(columns))
    people: dict[str, str] = {}
    markers = list(state.markers)
    frames = _timed(_frames(whole, frame_at), frame_at, time_at, SessionClock(began_s))
    for t, next_t, of_frame in _with_next(frames):
        texts = []
        while markers and (next_t is None or markers[0].t < next_t):
            marker = markers.pop(0)
            texts.append(marker.text or marker.id)
        excluded = str(int(state.is_excluded(t)))
        for row in of_frame:
            face = row[face_at]
            if face not in people:
                people[face] = state.person(int(face)) if re.fullmatch("[0-9]{1,18}", face) else ""
            yield [*row[: len(columns)], "; ".join(texts), people[face], excluded]


def _frames(rows: Iterable[list[str]], frame_at: int) -> Iterator[Frame]:
    for _, of_frame in groupby(rows, key=lambda row: row[frame_at]):
        yield list(of_frame)


def _timed(frames: Iterable[Frame], frame_at: int, time_at: int, clock: SessionClock) -> Iterator[tuple[float, Frame]]:
    """Each frame with its time in the session, as the replay shows it."""
    for of_frame in frames:
        first = of_frame[0]
        yield round(clock.at(first[frame_at].encode(), _seconds(first[time_at])), 3), of_frame


def _with_next(frames: Iterable[tuple[float, Frame]]) -> Iterator[tuple[float, float | None, Frame]]:
    """Each frame with its time and that of the next one; None for the last."""
    before: tuple[float, Frame] | None = None
    for t, of_frame in frames:
        if before is not None:
            yield before[0], t, before[1]
        before = t, of_frame
    if before is not None:
        yield before[0], None, before[1]


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0

"""CSV recordings of the live program, read as results: what `analyze` makes of a video, as far as they have it."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain, groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from mien.batch.provenance import digest, lacking
from mien.errors import SettingsError, one_line
from mien.json_text import is_number, read_json
from mien.recording.durations import durations
from mien.recording.edits import RestingFace, SessionState
from mien.recording.journal import read_journal
from mien.recording.rows import COLUMNS
from mien.recording.session_files import EDITS, FACES, PROVENANCE
from mien.results import Result
from mien.types import BOX, EXPRESSIONS, HEAD_COLUMNS, Box, Face, Head, Quality

NEEDED = COLUMNS[: COLUMNS.index("width") + 2]
"""The columns that each recording has; later versions have added others behind them."""

NOT_RECORDED = "not_recorded"
EXCLUDED = "excluded"


@dataclass(frozen=True, slots=True)
class Times:
    """The frames of a recording over time.

    Args:
        began_s: When it began, in seconds since the epoch.
        times_s: Of each frame, in seconds from the first one.
        lasts_s: How long each is taken to last, in seconds.
    """

    began_s: float
    times_s: np.ndarray
    lasts_s: np.ndarray

    @property
    def end_s(self) -> float:
        """When the last frame ends, in seconds from the first one."""
        return float(self.times_s[-1] + self.lasts_s[-1])


def is_recording(path: Path) -> bool:
    """Whether a file is a CSV recording, by its first line."""
    try:
        with path.open(encoding="utf-8-sig", newline="", errors="replace") as file:
            return tuple(next(csv.reader(file), ()))[: len(NEEDED)] == NEEDED
    except (OSError, csv.Error):
        return False


def read_times(path: Path) -> Times:
    """Read when the frames of a recording were.

    Args:
        path: The CSV file.

    Raises:
        SettingsError: It is broken, or has no rows.
        OSError: It cannot be read.
    """
    with _as_written(path):
        clock_s = array("d", (_number(path, rows[0], "time") for _, rows in _frames(path)))
    if not clock_s:
        raise SettingsError(f"report: expected a recording with faces, found none in {path}")
    return Times(clock_s[0], *durations(np.asarray(clock_s)))


def read_added(path: Path, times: Times) -> SessionState:
    """What people have added to a recording, with all times in seconds from its first frame.

    Args:
        path: The CSV file; what was added is in edits.jsonl beside faces.csv, or in NAME.edits.jsonl beside NAME.csv.
        times: Of its frames.

    Raises:
        OSError: It cannot be read.
    """
    state = read_journal(_beside(path, EDITS))
    return state if state.began_s is None else state.shifted(round(state.began_s - times.began_s, 3))


def read_results(
    path: Path, name: str, times: Times, added: SessionState | None = None
) -> Iterator[tuple[Result, float]]:
    """Read a recording frame by frame.

    Args:
        path: The CSV file.
        name: Its name in the results.
        times: Of its frames; later ones are left out.
        added: What people have added: merged faces get the lowest of their numbers, and the frames of excluded spans
            have no faces, and the reason EXCLUDED.

    Yields:
        Each frame and how long it lasts in seconds; a gap begins with a result without faces, whose reason is
        NOT_RECORDED.

    Raises:
        SettingsError: It is broken.
    """
    added = added or SessionState()
    ends_s = [*times.times_s[1:], times.end_s]
    known = zip(times.times_s, times.lasts_s, ends_s, strict=True)
    # While it is being recorded, frames have been added since their times were read.
    for (time_s, lasts_s, end_s), (number, rows) in zip(known, _frames(path), strict=False):
        with _as_written(path):
            size = int(_number(path, rows[0], "width")), int(_number(path, rows[0], "height"))
            faces = () if added.is_excluded(float(time_s)) else tuple(_face(path, row) for row in rows)
        reason = None if faces else EXCLUDED
        yield Result(name, number, float(time_s), *size, _as_people(faces, added), reason), float(lasts_s)
        gap_s = float(end_s - time_s - lasts_s)
        if gap_s > 1e-6:
            yield Result(name, number, float(time_s + lasts_s), *size, (), NOT_RECORDED), gap_s


def describe_recording(path: Path, name: str, times: Times, added: SessionState | None = None) -> dict[str, Any]:
    """What `mien.json` says of the results of a recording: what is beside the recording, and the recording itself.

    Args:
        path: The CSV file; how it came about is in mien.json beside faces.csv, or in NAME.mien.json beside NAME.csv,
            unless it was moved without that.
        name: Its name in the results.
        times: Of its frames.
        added: What people have added.

    Raises:
        SettingsError: The file beside it is broken.
        OSError: It cannot be read.
    """
    with _as_written(path):
        began = datetime.fromtimestamp(round(times.began_s), UTC).isoformat().replace("+00:00", "Z")
    count = len(times.times_s)
    input_ = {
        **{"name": name, "sha256": digest(path), "bytes": path.stat().st_size},
        **{"duration_s": round(times.end_s, 6), "decoded_s": round(times.end_s, 6), "recorded": began},
    }
    frames = {
        "read": count,
        "analyzed": count,
        "with_face": count,
        "dropped": 0,
        "unreadable": [],
        "unreadable_parts": 0,
    }
    session = _describe_added(added) if added is not None and added.count else {}
    return {"input": input_, "frames": frames, **session, **_origin(_beside(path, PROVENANCE))}


def _describe_added(added: SessionState) -> dict[str, Any]:
    people = {str(face): added.named(face) for face in sorted({added.first_face(each) for each in added.names})}
    return {
        "session": {
            "name": added.name,
            "people": people,
            "merged": {str(face): first for face, first in added.merged.items()},
            "markers": [{"time_s": round(max(0.0, each.t), 3), "text": each.text} for each in added.markers],
            "excluded": [
                {"from_s": round(max(0.0, each.start_s), 3), "to_s": round(max(0.0, each.end_s), 3)}
                for each in added.excluded
            ],
            "baselines": {str(face): _describe_rest(rest) for face, rest in sorted(added.baselines.items())},
        }
    }


def _describe_rest(rest: RestingFace) -> dict[str, Any]:
    log_odds = {name: round(each, 4) for name, each in zip(EXPRESSIONS, rest.log_odds, strict=True)}
    return {"log_odds": log_odds, "frames": rest.frames, "rare": rest.rare}


def _beside(path: Path, name: str) -> Path:
    return path.with_name(name) if path.name == FACES else path.with_suffix(f".{name}")


def _as_people(faces: Sequence[Face], added: SessionState) -> tuple[Face, ...]:
    """The faces with the numbers of their people; of two that are one person, the larger one."""
    people: dict[int | None, Face] = {}
    for face in sorted(faces, key=lambda each: -each.box.w * each.box.h):
        number = None if face.id is None else added.first_face(face.id)
        people.setdefault(number, replace(face, id=number))
    return tuple(people[number] for number in sorted(people, key=lambda each: each or 0))


def _origin(path: Path) -> dict[str, Any]:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return {}
    with _as_written(path):
        described: dict[str, Any] = read_json(text)
        if (key := lacking(described, of_result=False)) is not None:
            raise ValueError(f"no {key}, or another value than it can have")
    return described


@contextmanager
def _as_written(path: Path) -> Iterator[None]:
    """A file that is broken in any way, or was changed by another program, is named as such."""
    try:
        yield
    except (ValueError, OverflowError, csv.Error) as error:
        raise SettingsError(f"report: expected {path} as the program wrote it, found {one_line(error)}") from error


def _frames(path: Path) -> Iterator[tuple[int, list[Mapping[str, str]]]]:
    """Number and rows of each frame; a last line that a kill has cut off is left out.

    A frame that is shown for long is analyzed and recorded again: the first row of each face counts.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        if tuple(rows.fieldnames or ())[: len(NEEDED)] != NEEDED:
            raise SettingsError(f"report: expected a CSV recording of the live program, found {path}, which is none")
        for number, of_frame in groupby(_complete(rows), key=lambda row: row["frame"]):
            faces: dict[str, Mapping[str, str]] = {}
            for row in of_frame:
                faces.setdefault(row["face"], row)
            yield int(_number(path, {"frame": number}, "frame")), list(faces.values())


def _complete(rows: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, str]]:
    """All rows but a last one that lacks columns."""
    for row, following in pairwise(chain(rows, [None])):
        if row is not None and (following is not None or None not in row.values()):
            yield row


def _face(path: Path, row: Mapping[str, str]) -> Face:
    probabilities = np.array([_number(path, row, name) for name in EXPRESSIONS], np.float32)
    quality = row.get("quality")
    return Face(
        Box(*(int(_number(path, row, side)) for side in BOX)),
        probabilities,
        probabilities,
        id=int(_number(path, row, "face")),
        smoothed_label=_label(path, row),
        unsure=row["unsure"] == "1",
        people_share=_number(path, row, "people_share") if row.get("people_share") else None,
        quality=Quality(_number(path, row, "quality"), row.get("quality_reason") or None) if quality else None,
        head=_head(path, row),
    )


def _head(path: Path, row: Mapping[str, str]) -> Head | None:
    if not all(row.get(name) for name in HEAD_COLUMNS):
        return None
    yaw, pitch, roll, left, right, mouth, blink = (_number(path, row, name) for name in HEAD_COLUMNS)
    return Head(yaw, pitch, roll, left, right, mouth, blink == 1)


def _label(path: Path, row: Mapping[str, str]) -> str:
    if row["label"] not in EXPRESSIONS:
        raise SettingsError(
            f"report: expected one of {', '.join(EXPRESSIONS)} as label in {path}, found {row['label']!r}"
        )
    return row["label"]


def _number(path: Path, row: Mapping[str, Any], name: str) -> float:
    try:
        value = float(row[name])
    except (TypeError, ValueError):
        value = float("nan")
    if not is_number(value):
        raise SettingsError(f"report: expected a number as {name} in {path}, found {str(row[name])[:80]!r}")
    return value

"""What the rows of a session come to: who was seen, and for how long with each expression."""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mien.recording.durations import durations
from mien.recording.edits import Excluded
from mien.types import EXPRESSIONS

UNSURE = "unsure"
SHOWN = (*EXPRESSIONS, UNSURE)
"""What a face may show: one of the seven expressions, or a label that is not to be relied on."""

NEEDED = (b"frame", b"time", b"face", b"label", b"unsure")
PAUSE_ROWS = 1000
_CODES = {name.encode(): code for code, name in enumerate(EXPRESSIONS)}


@dataclass(frozen=True, slots=True)
class Overview:
    """Sums over the rows of a session.

    Args:
        began_s: Time of the first row, in seconds since the epoch; None without rows.
        end_s: When the last frame ends.
        frames: Frames with a face.
        rows: Rows.
        seconds: How long each face showed each of SHOWN, by its number; excluded spans do not count.
    """

    began_s: float | None
    end_s: float | None
    frames: int
    rows: int
    seconds: Mapping[int, Sequence[float]]

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Overview:
        """The overview from what was parsed from JSON; raises ValueError, KeyError or TypeError for anything else."""
        seconds = {int(face): [float(each) for each in shown] for face, shown in dict(values["seconds"]).items()}
        if any(len(shown) != len(SHOWN) for shown in seconds.values()):
            raise ValueError(f"expected {len(SHOWN)} sums for each face")
        began_s, end_s = values["began_s"], values["end_s"]
        known = None if began_s is None else float(began_s), None if end_s is None else float(end_s)
        return cls(*known, int(values["frames"]), int(values["rows"]), seconds)


def first_time(path: Path) -> float | None:
    """The time of the first row, in seconds since the epoch; None without rows.

    Args:
        path: The CSV file.
    """
    try:
        for _, time_s, *_ in _rows(path):
            return time_s
    except (OSError, ValueError):
        pass
    return None


def read_overview(
    path: Path, began_s: float | None = None, excluded: Sequence[Excluded] = (), pause_s: float = 0.0
) -> Overview:
    """Sum up the rows of a session.

    Args:
        path: The CSV file; a last line that a kill has cut off, and lines that are no rows, do not count.
        began_s: When the session began, in seconds since the epoch; by default with the first row.
        excluded: Spans whose rows do not count, in seconds since it began.
        pause_s: How long to wait after each PAUSE_ROWS rows, so that the live picture does not wait.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no recording.
    """
    frame_times, frame_of, face_of, shown_of = array("d"), array("q"), array("q"), array("b")
    faces: dict[int, int] = {}
    last_frame: bytes | None = None
    for number, (frame, time_s, face, shown) in enumerate(_rows(path), start=1):
        if frame != last_frame:
            last_frame = frame
            frame_times.append(time_s)
        frame_of.append(len(frame_times) - 1)
        face_of.append(faces.setdefault(face, len(faces)))
        shown_of.append(shown)
        if pause_s and number % PAUSE_ROWS == 0:
            time.sleep(pause_s)
    if not frame_times:
        return Overview(None, None, 0, 0, {})
    times_s, lasts_s = durations(frame_times)
    times_s = np.round(times_s + (0.0 if began_s is None else frame_times[0] - began_s), 3)
    counted_s = lasts_s.copy()
    for span in excluded:
        counted_s[(times_s >= span.start_s) & (times_s < span.end_s)] = 0.0
    slots = np.asarray(face_of) * len(SHOWN) + np.asarray(shown_of)
    sums_s = np.bincount(slots, counted_s[np.asarray(frame_of)], minlength=len(faces) * len(SHOWN))
    seconds = {
        face: [round(float(each), 3) for each in sums_s.reshape(-1, len(SHOWN))[at]] for face, at in faces.items()
    }
    end_s = (frame_times[0] if began_s is None else began_s) + float(times_s[-1] + lasts_s[-1])
    return Overview(frame_times[0], round(end_s, 3), len(frame_times), len(frame_of), dict(sorted(seconds.items())))


def _rows(path: Path) -> Iterator[tuple[bytes, float, int, int]]:
    """Frame, time, face and the number of what is shown in SHOWN, of each row.

    Split by hand, as the csv module takes several times as long: no value before the last one needed has a comma.
    """
    with path.open("rb") as file:
        names = file.readline().removeprefix(b"\xef\xbb\xbf").rstrip().split(b",")
        if any(name not in names for name in NEEDED):
            raise ValueError(f"{path.name} is no recording")
        frame, clock, face, label, unsure = (names.index(name) for name in NEEDED)
        last = max(frame, clock, face, label, unsure) + 1
        for line in file:
            values = line.split(b",", last)
            if len(values) < len(names[: last + 1]) or not line.endswith(b"\n"):
                continue
            try:
                number = int(values[face] or 0)
                shown = _CODES[values[label]] if values[unsure].rstrip() == b"0" else len(EXPRESSIONS)
                yield values[frame], float(values[clock]), number, shown
            except (KeyError, ValueError):
                continue

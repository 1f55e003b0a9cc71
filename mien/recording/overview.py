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

Row = tuple[bytes, float, int, int]


@dataclass(frozen=True, slots=True)
class Overview:
    """Sums over the rows of a session.

    Args:
        began_s: Time of the first row, in seconds since the epoch; None without rows.
        end_s: When the last frame ends.
        frames: Frames with a face.
        rows: Rows; those of a frame that was recorded again do not count.
        seconds: How long each face showed each of SHOWN, by its number; excluded spans do not count.
        last_s: When the last frame begins.
    """

    began_s: float | None
    end_s: float | None
    frames: int
    rows: int
    seconds: Mapping[int, Sequence[float]]
    last_s: float | None = None

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Overview:
        """The overview from what was parsed from JSON; raises ValueError, KeyError or TypeError for anything else."""
        seconds = {int(face): [float(each) for each in shown] for face, shown in dict(values["seconds"]).items()}
        if any(len(shown) != len(SHOWN) for shown in seconds.values()):
            raise ValueError(f"expected {len(SHOWN)} sums for each face")
        began_s, end_s, last_s = (
            None if values[name] is None else float(values[name]) for name in ("began_s", "end_s", "last_s")
        )
        return cls(began_s, end_s, int(values["frames"]), int(values["rows"]), seconds, last_s)


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
    sums = RowSums()
    for number, row in enumerate(_rows(path), start=1):
        sums.add(row)
        if pause_s and number % PAUSE_ROWS == 0:
            time.sleep(pause_s)
    return sums.overview(began_s, excluded)


class Repeats:
    """Finds the rows of frames that were recorded again: one that is shown for long is analyzed more than once.

    Example:
        repeats = Repeats()
        repeats.has(b"0", 1)  # False
        repeats.has(b"0", 1)  # True
    """

    def __init__(self) -> None:
        self._frame: bytes | None = None
        self._faces: set[int] = set()

    def has(self, frame: bytes, face: int) -> bool:
        """Whether the next row has a face that an earlier row of the same frame had.

        Args:
            frame: The number of its frame.
            face: The number of its face.
        """
        if frame != self._frame:
            self._frame, self._faces = frame, {face}
            return False
        if face in self._faces:
            return True
        self._faces.add(face)
        return False


class RowSums:
    """What is needed of the rows of a session to sum them up, also while more are recorded.

    Example:
        sums = RowSums()
        sums.add((b"0", 1764100000.0, 1, 3))
        sums.overview(1764100000.0).seconds
    """

    def __init__(self) -> None:
        self._frame_times, self._frame_of = array("d"), array("I")
        self._face_of, self._shown_of = array("I"), array("b")
        self._faces: dict[int, int] = {}
        self._last_frame: bytes | None = None
        self._repeats = Repeats()

    def add(self, row: Row) -> None:
        """Take the next row; one of a frame that was recorded again does not count.

        Args:
            row: As `Columns.parse` returns it.
        """
        frame, time_s, face, shown = row
        if self._repeats.has(frame, face):
            return
        if frame != self._last_frame:
            self._last_frame = frame
            self._frame_times.append(time_s)
        self._frame_of.append(len(self._frame_times) - 1)
        self._face_of.append(self._faces.setdefault(face, len(self._faces)))
        self._shown_of.append(shown)

    def overview(self, began_s: float | None = None, excluded: Sequence[Excluded] = ()) -> Overview:
        """The sums over the rows so far.

        Args:
            began_s: As `read_overview`.
            excluded: As `read_overview`.
        """
        frame_times, faces = self._frame_times, self._faces
        if not frame_times:
            return Overview(None, None, 0, 0, {})
        times_s, lasts_s = durations(np.array(frame_times))  # a copy: an array in use by NumPy cannot grow
        times_s = np.round(times_s + (0.0 if began_s is None else frame_times[0] - began_s), 3)
        counted_s = lasts_s.copy()
        for span in excluded:
            counted_s[(times_s >= span.start_s) & (times_s < span.end_s)] = 0.0
        slots = np.array(self._face_of) * len(SHOWN) + np.array(self._shown_of)
        sums_s = np.bincount(slots, counted_s[np.array(self._frame_of)], minlength=len(faces) * len(SHOWN))
        seconds = {
            face: [round(float(each), 3) for each in sums_s.reshape(-1, len(SHOWN))[at]] for face, at in faces.items()
        }
        last_s = (frame_times[0] if began_s is None else began_s) + float(times_s[-1])
        end_s, frames, rows = round(last_s + float(lasts_s[-1]), 3), len(frame_times), len(self._frame_of)
        return Overview(frame_times[0], end_s, frames, rows, dict(sorted(seconds.items())), round(last_s, 3))


@dataclass(frozen=True, slots=True)
class Columns:
    """Where in a row the values are that are summed up.

    Args:
        frame: Place of the number of the frame.
        clock: Place of its time.
        face: Place of the number of the face.
        label: Place of the label.
        unsure: Place of whether that is not to be relied on.
        count: How many values a whole row has at least.

    Example:
        columns = Columns.of(file.readline(), "faces.csv")
        row = columns.parse(file.readline())
    """

    frame: int
    clock: int
    face: int
    label: int
    unsure: int
    count: int

    @classmethod
    def of(cls, line: bytes, name: str) -> Columns:
        """The columns of a recording.

        Args:
            line: The first line of the file.
            name: Name of the file, for the message.

        Raises:
            ValueError: It is not that of a recording.
        """
        names = line.removeprefix(b"\xef\xbb\xbf").rstrip().split(b",")
        if any(name not in names for name in NEEDED):
            raise ValueError(f"{name} is no recording")
        frame, clock, face, label, unsure = (names.index(each) for each in NEEDED)
        return cls(frame, clock, face, label, unsure, min(len(names), max(frame, clock, face, label, unsure) + 2))

    def parse(self, line: bytes) -> Row | None:
        """Frame, time, face and the number of what is shown in SHOWN; None if this is no whole row.

        Split by hand, as the csv module takes several times as long: no value before the last one needed has a comma.

        Args:
            line: A line of the file.
        """
        values = line.split(b",", self.count - 1)
        if len(values) < self.count or not line.endswith(b"\n"):
            return None
        try:
            number = int(values[self.face] or 0)
            shown = _CODES[values[self.label]] if values[self.unsure].rstrip() == b"0" else len(EXPRESSIONS)
            return values[self.frame], float(values[self.clock]), number, shown
        except (KeyError, ValueError):
            return None


def _rows(path: Path) -> Iterator[Row]:
    with path.open("rb") as file:
        columns = Columns.of(file.readline(), path.name)
        for line in file:
            if (row := columns.parse(line)) is not None:
                yield row

"""How a session went: the values of each face over time, and where in its file each second begins."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mien.recording.durations import LONGEST_S
from mien.recording.overview import SHOWN, Repeats
from mien.types import EXPRESSIONS, REST_COLUMNS

STEP_S = 0.5
"""Length of a bin of the timeline."""

NEEDED = (b"frame", b"time", b"face", b"unsure", *(name.encode() for name in EXPRESSIONS))
CHUNK_ROWS = 4000
NEAR_BYTES = 8192


@dataclass(frozen=True, slots=True)
class FaceTimeline:
    """One face over time.

    Args:
        bins: int64 (n,), the bins in which it was seen, ascending.
        means: float32 (n, 8): mean probability of each expression, and the share of its rows that were unsure.
        rows: int32 (n,), how many rows each is the mean of.
    """

    bins: np.ndarray
    means: np.ndarray
    rows: np.ndarray


@dataclass(frozen=True, slots=True)
class Timeline:
    """A session over time, in bins of STEP_S from its beginning.

    Args:
        faces: By the number of the face.
        times_s: float64 (m,), when the first frame of some bins was, in seconds since the session began, ascending.
        offsets: int64 (m,), where the first row of each of these frames is in the file, in bytes.
        end_s: When the last frame ends, in seconds since the session began.

    Example:
        timeline = read_timeline(Path("faces.csv"), began_s=1764100000.0)
        lanes = timeline.resampled(0.0, 60.0, 600)
    """

    faces: Mapping[int, FaceTimeline]
    times_s: np.ndarray
    offsets: np.ndarray
    end_s: float = 0.0

    def offset_before(self, at_s: float) -> tuple[float, int] | None:
        """The last known frame at or before a time: its time and where its first row is; None if it is before all.

        Args:
            at_s: Seconds since the session began.
        """
        found = int(np.searchsorted(self.times_s, at_s, side="right")) - 1
        if found < 0:
            return None
        return float(self.times_s[found]), int(self.offsets[found])

    def resampled(self, start_s: float, end_s: float, points: int) -> dict[int, np.ndarray]:
        """The lanes of a chart.

        Args:
            start_s: Where it begins, in seconds since the session began.
            end_s: Where it ends.
            points: How many points it has at most.

        Returns:
            float32 (points, 8) for each face that was seen in this time: as `FaceTimeline.means`, NaN where it was not.
        """
        first, last = _bins_between(start_s, end_s)
        points = max(1, min(points, last - first))
        lanes: dict[int, np.ndarray] = {}
        for number, face in self.faces.items():
            chosen = (face.bins >= first) & (face.bins < last)
            if not chosen.any():
                continue
            place = (face.bins[chosen] - first) * points // (last - first)
            weights = np.bincount(place, face.rows[chosen], minlength=points)
            sums = [np.bincount(place, face.rows[chosen] * column, minlength=points) for column in face.means[chosen].T]
            with np.errstate(invalid="ignore"):
                lanes[number] = np.stack(sums, axis=1).astype(np.float32) / weights[:, np.newaxis].astype(np.float32)
        return lanes

    @staticmethod
    def step_s(start_s: float, end_s: float, points: int) -> float:
        """How long each point of the lanes is that `resampled` returns; the first begins at a multiple of STEP_S.

        Args:
            start_s: As there.
            end_s: As there.
            points: As there.
        """
        first, last = _bins_between(start_s, end_s)
        return STEP_S * (last - first) / max(1, min(points, last - first))

    def save(self, path: Path, key: str) -> None:
        """Write it to a file, which replaces the one that was there.

        Args:
            path: The file.
            key: What it was computed from, for `load`.

        Raises:
            OSError: It cannot be written.
        """
        numbers = np.asarray(sorted(self.faces), np.int64)
        faces = [self.faces[int(number)] for number in numbers]
        temporary = path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            np.savez(
                file,
                key=np.asarray(key),
                numbers=numbers,
                lengths=np.asarray([len(face.bins) for face in faces], np.int64),
                bins=np.concatenate([np.zeros(0, np.int64), *(face.bins for face in faces)]),
                means=np.concatenate([np.zeros((0, len(SHOWN)), np.float32), *(face.means for face in faces)]),
                rows=np.concatenate([np.zeros(0, np.int32), *(face.rows for face in faces)]),
                times_s=self.times_s,
                offsets=self.offsets,
                end_s=np.asarray(self.end_s),
            )
        temporary.replace(path)

    @classmethod
    def load(cls, path: Path, key: str) -> Timeline | None:
        """Read it from a file; None if there is none, or it was computed from something else.

        Args:
            path: The file.
            key: What it has to be computed from.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                if str(stored["key"]) != key:
                    return None
                ends = np.cumsum(stored["lengths"])
                parts = [np.split(stored[name], ends[:-1]) for name in ("bins", "means", "rows")]
                numbers = [int(number) for number in stored["numbers"]]
                faces = {number: FaceTimeline(*part) for number, *part in zip(numbers, *parts, strict=False)}
                return cls(faces, stored["times_s"], stored["offsets"], float(stored["end_s"]))
        except Exception:  # of many kinds: there is none, or somebody has changed it
            return None


def read_timeline(path: Path, began_s: float, pause_s: float = 0.0) -> Timeline:
    """Compute the timeline of a session from its rows.

    Args:
        path: The CSV file; a last line that a kill has cut off, and lines that are no rows, do not count.
        began_s: When the session began, in seconds since the epoch.
        pause_s: How long to wait after each CHUNK_ROWS rows, so that the live picture does not wait.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no recording.
    """
    clock = SessionClock(began_s)
    parts: dict[int, list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = {}
    times_s, offsets = [], []
    last_bin = -1
    for chunk in _chunks(path):
        rows_s = np.empty(len(chunk))
        for number, (offset, frame, clock_s, _, _) in enumerate(chunk):
            at_s = rows_s[number] = clock.at(frame, clock_s)
            if int(at_s / STEP_S) != last_bin:
                last_bin = int(at_s / STEP_S)
                times_s.append(at_s)
                offsets.append(offset)
        bins = (rows_s / STEP_S).astype(np.int64)
        faces = np.asarray([row[3] for row in chunk])
        values = np.asarray([row[4] for row in chunk], np.float32)
        for face in np.unique(faces):
            chosen = faces == face
            parts.setdefault(int(face), []).append(_means(bins[chosen], values[chosen]))
        time.sleep(pause_s)
    faces_over_time = {face: _joined(each) for face, each in parts.items()}
    return Timeline(faces_over_time, np.asarray(times_s), np.asarray(offsets), clock.end_s)


def _bins_between(start_s: float, end_s: float) -> tuple[int, int]:
    first = int(start_s / STEP_S)
    return first, max(first + 1, int(np.ceil(end_s / STEP_S - 1e-6)))


class SessionClock:
    """Seconds since a session began, of frame after frame; the computer's clock may be set back meanwhile.

    Args:
        began_s: When it began, in seconds since the epoch.

    Example:
        clock = SessionClock(1764100000.0)
        clock.at(b"812", 1764100012.5)  # 12.5
    """

    def __init__(self, began_s: float) -> None:
        self._began_s = began_s
        self._frame: bytes | None = None
        self._clock_s = self._at_s = 0.0
        self._step_s = LONGEST_S

    @property
    def end_s(self) -> float:
        """When the last frame ends; 0 before the first."""
        return 0.0 if self._frame is None else self._at_s + self._step_s

    def start(self, at_s: float) -> None:
        """The next frame is at this time."""
        self._frame, self._at_s = None, at_s

    def at(self, frame: bytes, clock_s: float) -> float:
        """When a frame was.

        Args:
            frame: Its number.
            clock_s: When it was captured, in seconds since the epoch.
        """
        if frame == self._frame:
            return self._at_s
        if self._frame is None:
            self._at_s = self._at_s or max(0.0, clock_s - self._began_s)
        else:
            step_s = clock_s - self._clock_s
            if step_s > 0:
                self._step_s = min(step_s, LONGEST_S)
            self._at_s += step_s if step_s > 0 else self._step_s
        self._frame, self._clock_s = frame, clock_s
        return self._at_s


def _means(bins: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    seen, place, rows = np.unique(bins, return_inverse=True, return_counts=True)
    sums = np.stack([np.bincount(place, column, minlength=len(seen)) for column in values.T], axis=1)
    return seen, (sums / rows[:, np.newaxis]).astype(np.float32), rows.astype(np.int32)


def _joined(parts: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> FaceTimeline:
    """The parts of a face, of which neighbors may share a bin."""
    bins, means, rows = (np.concatenate(each) for each in zip(*parts, strict=True))
    seen, place = np.unique(bins, return_inverse=True)
    counts = np.bincount(place, rows, minlength=len(seen))
    sums = np.stack([np.bincount(place, rows * column, minlength=len(seen)) for column in means.T], axis=1)
    return FaceTimeline(seen, (sums / counts[:, np.newaxis]).astype(np.float32), counts.astype(np.int32))


Row = tuple[int, bytes, float, int, list[float]]


def _chunks(path: Path) -> Iterator[list[Row]]:
    """Rows: where it is, frame, time, face, probabilities and whether it is unsure; a face once for each frame."""
    with path.open("rb") as file:
        columns = header_columns(file.readline(), path.name)
        frame, clock, face, unsure, *expressions = (columns[name] for name in NEEDED)
        together = slice(expressions[0], expressions[-1] + 1)
        if expressions != list(range(together.start, together.stop)):
            raise ValueError(f"{path.name} is no recording: its expressions are in another order")
        offset, chunk, repeats = file.tell(), list[Row](), Repeats()
        for line in file:
            here, offset = offset, offset + len(line)
            values = line.split(b",")
            if len(values) < len(columns) or not line.endswith(b"\n"):
                continue
            try:
                numbers = [*map(float, values[together]), float(values[unsure])]
                row = here, values[frame], float(values[clock]), int(values[face] or 0), numbers
            except ValueError:
                continue
            if repeats.has(row[1], row[3]):
                continue
            chunk.append(row)
            if len(chunk) == CHUNK_ROWS:
                yield chunk
                chunk = []
        if chunk:
            yield chunk


def header_columns(line: bytes, name: str) -> dict[bytes, int]:
    """The places of the columns of a recording.

    Args:
        line: The first line of the file.
        name: Name of the file, for the message.

    Raises:
        ValueError: It is not that of a recording.
    """
    columns = {column: place for place, column in enumerate(line.removeprefix(b"\xef\xbb\xbf").rstrip().split(b","))}
    if any(needed not in columns for needed in NEEDED):
        raise ValueError(f"{name} is no recording")
    return columns


def read_frames(
    path: Path, began_s: float, start_s: float, end_s: float, timeline: Timeline | None, max_rows: int
) -> tuple[list[dict[str, Any]], float]:
    """The frames of a short time, with all their faces; of a frame that was recorded again, the first row of each.

    Args:
        path: The CSV file.
        began_s: When the session began, in seconds since the epoch.
        start_s: From when on, in seconds since the session began.
        end_s: Until when.
        timeline: Of the same file; without it, the place is found by the clock of the rows.
        max_rows: Most rows that are read.

    Returns:
        The frames, ready for JSON, and until when they are complete: `end_s`, or earlier if there are more rows.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no recording.
    """
    frames: list[dict[str, Any]] = []
    with path.open("rb") as file:
        columns = header_columns(file.readline(), path.name)
        clock = SessionClock(began_s)
        if timeline is None:
            file.seek(_place_before(file, columns[b"time"], began_s + start_s))
        elif (known := timeline.offset_before(start_s)) is not None:
            clock.start(known[0])
            file.seek(known[1])
        names = {name.decode(): place for name, place in columns.items()}
        read, last, repeats = 0, None, Repeats()
        for line in file:
            values = line.rstrip(b"\r\n").split(b",")
            if len(values) < len(columns) or not line.endswith(b"\n"):
                continue
            try:
                at_s = clock.at(values[names["frame"]], float(values[names["time"]]))
                face = _face(values, names)
            except (ValueError, KeyError):
                continue
            if at_s >= end_s:
                break
            if at_s < start_s or repeats.has(values[names["frame"]], face["face"]):
                continue
            if values[names["frame"]] != last:
                if read >= max_rows:
                    return frames, at_s
                last = values[names["frame"]]
                size: dict[str, Any] = {
                    each: int(values[names[each]] or 0) for each in ("width", "height") if each in names
                }
                frames.append({"t": round(at_s, 3), "frame": int(last), **size, "faces": []})
            frames[-1]["faces"].append(face)
            read += 1
    return frames, end_s


def _place_before(file: BinaryIO, column: int, clock_s: float) -> int:
    """Where a row begins that is not later than a time, and not much earlier; the rows begin at the present place."""
    low = file.tell()
    high = file.seek(0, os.SEEK_END)
    while high - low > NEAR_BYTES:
        file.seek((low + high) // 2)
        file.readline()  # the rest of a row
        place, values = file.tell(), file.readline().split(b",")
        try:
            is_later = place >= high or float(values[column]) >= clock_s
        except (ValueError, IndexError):
            is_later = True
        if is_later:
            high = (low + high) // 2
        else:
            low = place
    return low


def _face(values: Sequence[bytes], names: Mapping[str, int]) -> dict[str, Any]:
    quality = values[names["quality"]] if "quality" in names else b""
    rest = [values[names[name]] for name in REST_COLUMNS] if REST_COLUMNS[-1] in names else [b""]
    return {
        "face": int(values[names["face"]] or 0),
        "box": {side: int(float(values[names[side]])) for side in ("x", "y", "w", "h")},
        "label": values[names["label"]].decode("ascii"),
        "unsure": values[names["unsure"]] == b"1",
        "quality": float(quality) if quality else None,
        "probabilities": {name: float(values[names[name]]) for name in EXPRESSIONS},
        "rest": dict(zip(EXPRESSIONS, map(float, rest), strict=True)) if all(rest) else None,
    }

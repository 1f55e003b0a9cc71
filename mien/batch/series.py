"""A finished table of faces as short series for figures: read row by row, and averaged in a fixed number of bins."""

from __future__ import annotations

import csv
import json
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, groupby, pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from mien.batch.tables import CHUNK_ROWS, FORMATS
from mien.types import EXPRESSIONS

BINS = 480
"""About as many as a figure has pixels; shorter bins could not be seen."""

NUMBERS = ("time_s", *EXPRESSIONS, "quality")
READ = ("frame", "face", "label", "unsure", "quality_reason", *NUMBERS)
"""The columns that are read."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of media time, divided into BINS equal parts.

    Args:
        start_s: Where it begins, in seconds.
        end_s: Where it ends.
    """

    start_s: float
    end_s: float

    @property
    def edges_s(self) -> np.ndarray:
        """The times between which the bins lie, (BINS + 1,)."""
        return np.linspace(self.start_s, self.end_s, BINS + 1)

    def parts(self, start_s: float, end_s: float) -> Iterator[tuple[int, float]]:
        """The bins that a stretch of time overlaps, and the seconds in each.

        Args:
            start_s, end_s: The stretch.
        """
        width_s = (self.end_s - self.start_s) / BINS
        if width_s <= 0 or end_s <= start_s:
            return
        first = max(0, int((start_s - self.start_s) / width_s))
        last = min(BINS - 1, int((end_s - self.start_s) / width_s))
        for number in range(first, last + 1):
            left_s = self.start_s + number * width_s
            overlap_s = min(end_s, left_s + width_s) - max(start_s, left_s)
            if overlap_s > 0:
                yield number, overlap_s


@dataclass(slots=True, eq=False)
class Series:
    """What one face showed over time: sums of seconds in each bin.

    Attributes:
        span: The time of the bins.
        seen_s: Seconds in which the face was seen, (BINS,).
        labels_s: Seconds with each label, (BINS, 7).
        unsure_s: Seconds in which the label was unsure, (BINS,).
        reasons_s: Seconds with each reason of a low quality over the whole time; None for no reason.
    """

    span: Span
    seen_s: np.ndarray = field(default_factory=lambda: np.zeros(BINS))
    labels_s: np.ndarray = field(default_factory=lambda: np.zeros((BINS, 7)))
    unsure_s: np.ndarray = field(default_factory=lambda: np.zeros(BINS))
    reasons_s: Counter[str | None] = field(default_factory=Counter)
    _weighted: np.ndarray = field(default_factory=lambda: np.zeros((BINS, 7)))
    _quality: np.ndarray = field(default_factory=lambda: np.zeros((BINS, 2)))

    def add(self, row: Mapping[str, Any], end_s: float) -> None:
        """Take the next row of the face.

        Args:
            row: With the columns READ.
            end_s: Time of the next analyzed frame.
        """
        label = EXPRESSIONS.index(row["label"])
        probabilities = np.array([row[name] for name in EXPRESSIONS])
        for number, seconds in self.span.parts(row["time_s"], end_s):
            self.seen_s[number] += seconds
            self.labels_s[number, label] += seconds
            self.unsure_s[number] += seconds * row["unsure"]
            self._weighted[number] += seconds * probabilities
            if row["quality"] is not None:
                self._quality[number] += seconds, seconds * row["quality"]
        if row["quality"] is not None:
            self.reasons_s[row["quality_reason"]] += max(0.0, end_s - row["time_s"])

    @property
    def probabilities(self) -> np.ndarray:
        """Mean probabilities, (BINS, 7); NaN where the face was not seen."""
        return _ratio(self._weighted, self.seen_s[:, np.newaxis])

    @property
    def quality(self) -> np.ndarray:
        """Mean quality, (BINS,); NaN where it is not known."""
        return _ratio(self._quality[:, 1], self._quality[:, 0])

    @property
    def mean_quality(self) -> float | None:
        """Mean quality over the whole time; None where it is not known."""
        seconds, weighted = self._quality.sum(axis=0)
        return float(weighted / seconds) if seconds else None

    @property
    def label(self) -> np.ndarray:
        """Index of the label that lasted longest, int (BINS,); -1 where the face was not seen."""
        return np.where(self.seen_s > 0, self.labels_s.argmax(axis=1), -1)

    @property
    def unsure(self) -> np.ndarray:
        """Where the label was unsure for more than half of the time in which the face was seen, bool (BINS,)."""
        return 2 * self.unsure_s > self.seen_s


def read_series(folder: Path, faces: Iterable[int], span: Span) -> dict[int, Series]:
    """Read the table of faces in a folder of results; memory grows with the number of events alone.

    Args:
        folder: With faces.csv, faces.parquet or faces.jsonl, and events.csv.
        faces: Numbers of the faces to read.
        span: The time to read; the last frame lasts at most until its end.

    Raises:
        OSError: The table cannot be read.
    """
    series = {face: Series(span) for face in faces}
    events = _read_events(folder / "events.csv", series)
    path = next(path for path in (folder / f"faces.{each}" for each in FORMATS) if path.exists())
    frames = (list(rows) for _, rows in groupby(_rows(path), key=itemgetter("frame", "time_s")))
    for rows, following in pairwise(chain(frames, [[{"time_s": span.end_s}]])):
        for row in rows:
            if row["face"] in series:
                seen_until_s = _end_of_event(events[row["face"]], row["time_s"])  # earlier, if a gap follows
                series[row["face"]].add(row, min(following[0]["time_s"], seen_until_s))
    return series


def _read_events(path: Path, faces: Iterable[int]) -> dict[int, list[tuple[float, float]]]:
    """Begin and end of the events of each face, in seconds and in order."""
    events: dict[int, list[tuple[float, float]]] = {face: [] for face in faces}
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            if row["face"] and int(row["face"]) in events:
                onset_s = float(row["onset"])
                events[int(row["face"])].append((onset_s, onset_s + float(row["duration"])))
    return events


def _end_of_event(events: list[tuple[float, float]], time_s: float) -> float:
    """When the event ends to which a frame belongs; infinity if there is none."""
    found = bisect_right(events, (time_s, math.inf))
    return events[found - 1][1] if found else math.inf


def runs(values: np.ndarray) -> list[tuple[int, int, int]]:
    """Stretches of equal values: (value, first index, index after the last).

    Args:
        values: Integers or booleans, (n,).
    """
    places = [0, *(np.flatnonzero(np.diff(values.astype(int))) + 1).tolist(), len(values)]
    return [(int(values[start]), start, end) for start, end in pairwise(places) if end > start]


def _ratio(sums: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    return np.divide(sums, seconds, out=np.full(sums.shape, np.nan), where=seconds > 0)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows with the columns READ, as numbers, text and None, whatever the format."""
    if path.suffix == ".parquet":
        import pyarrow.parquet

        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(CHUNK_ROWS, columns=list(READ)):
                yield from batch.to_pylist()
        return
    with path.open(encoding="utf-8", newline="") as lines:
        yield from (_typed(row) for row in csv.DictReader(lines)) if path.suffix == ".csv" else map(json.loads, lines)


def _typed(row: Mapping[str, str]) -> dict[str, Any]:
    numbers = {name: float(row[name]) if row[name] else None for name in NUMBERS}
    face = int(row["face"]) if row["face"] else None
    return numbers | {
        "frame": int(row["frame"]),
        "face": face,
        "label": row["label"] or None,
        "unsure": row["unsure"] == "1",
        "quality_reason": row["quality_reason"] or None,
    }

"""The rows of a CSV recording: a row for each face of each frame."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from mien.types import BOX, EXPRESSIONS, HEAD_COLUMNS, REST_COLUMNS, Analysis, Face, Frame

COLUMNS = (
    *("frame", "time", "media_time_s", "face", *BOX, *EXPRESSIONS),
    *("label", "unsure", "width", "height", "rare", "people_share"),
    *("quality", "quality_reason"),
    *HEAD_COLUMNS,
    *REST_COLUMNS,
)

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

TYPED = {"marker", "person", "text"}
"""Columns with what people have typed, in tables of sessions and their events."""


def as_typed(column: str, text: str) -> str:
    """A text for CSV: one that people have typed begins with an apostrophe where a spreadsheet would see a formula.

    Args:
        column: Name of its column.
        text: The text.
    """
    return f"'{text}" if column in TYPED and text.startswith(FORMULA_STARTS) else text


def as_csv(rows: Iterable[Sequence[object]]) -> bytes:
    """Write rows as lines of a CSV file.

    Args:
        rows: The values of each row, in the order of COLUMNS.

    Returns:
        The lines, in UTF-8.
    """
    text = io.StringIO()
    csv_writer(text).writerows(rows)
    return text.getvalue().encode()


def csv_writer(file: TextIO) -> Any:
    """A `csv.writer` whose lines end with a line feed.

    Args:
        file: Opened with `newline=""`.
    """
    return csv.writer(_LineFeeds(file))


class _LineFeeds:
    """Before Python 3.13, `csv.writer` quotes a carriage return only if it ends its own lines with one."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> int:
        return self._file.write(line.removesuffix("\r\n") + "\n")


def row(number: int, frame: Frame, face: Face, analysis: Analysis) -> list[object]:
    """The values of COLUMNS for one face.

    Args:
        number: Number of the frame in the file.
        frame: The frame.
        face: One of its faces.
        analysis: The analysis of the frame.
    """
    head = {} if face.head is None else face.head.columns()
    return [
        number,
        f"{frame.captured_at:.3f}",
        None if frame.media_time_s is None else f"{frame.media_time_s:.3f}",
        face.id,
        *(int(getattr(face.box, side)) for side in BOX),
        *(f"{float(share):.5f}" for share in face.probabilities),
        face.label,
        int(face.unsure),
        analysis.width,
        analysis.height,
        None if analysis.rare is None else f"{analysis.rare:g}",
        None if face.people_share is None else f"{face.people_share:.5f}",
        *((None, None) if face.quality is None else (f"{face.quality.value:.3f}", face.quality.reason)),
        *(+head[name] if name in head else None for name in HEAD_COLUMNS),  # +True is 1
        *([None] * len(REST_COLUMNS) if face.rest is None else (f"{float(each):.3f}" for each in face.rest)),
    ]


class FrameNumbers:
    """Numbers the frames of one file: a source that is opened again counts its frames from zero.

    Example:
        numbers = FrameNumbers()
        numbers.number(Frame(pixels_bgr, index=7, stream=1))  # 7
        numbers.number(Frame(pixels_bgr, index=0, stream=2))  # 8
    """

    def __init__(self) -> None:
        self._shift = self._last = 0
        self._stream: int | None = None

    def number(self, frame: Frame) -> int:
        """Number of the frame in the file; the same frame may come again, as an image does.

        Args:
            frame: The next frame that is recorded.
        """
        if self._stream not in (None, frame.stream):
            self._shift = self._last + 1
        self._stream = frame.stream
        self._last = frame.index + self._shift
        return self._last

"""Events for other programs: annotations for ELAN, and subtitles for players."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mien.errors import MienError

PACKAGES = {"eaf": "pympi", "srt": "pysubs2", "ass": "pysubs2"}
"""The module that writes each kind of file."""

Row = Mapping[str, Any]


def check_kind(kind: str) -> None:
    """Check that a kind of file can be written. Raises MienError if its package is missing."""
    _module(kind)


def write_annotations(path: Path, rows: Sequence[Row], media: str) -> None:
    """Write events to a file of the kind that its suffix names: .eaf, .srt or .ass.

    Args:
        path: The file.
        rows: Events, rows of `mien.batch.events.EVENT_COLUMNS`.
        media: Name of the video, as it was typed.

    Raises:
        MienError: The package that writes it is not installed.
    """
    kind = path.suffix[1:]
    if kind == "eaf":
        _write_eaf(path, rows, media)
    else:
        _write_subtitles(path, rows, kind)


def _write_eaf(path: Path, rows: Sequence[Row], media: str) -> None:
    """A tier for each face, an annotation for each event; ELAN keeps times in whole milliseconds, without overlap."""
    document = _module("eaf").Elan.Eaf(author="Mien")
    document.adocument["DATE"] = "1970-01-01T00:00:00+00:00"  # required; the same file each time
    document.remove_tier("default")
    document.add_linked_file(media, mimetype=mimetypes.guess_type(media)[0] or "video/mp4")
    for face in sorted({row["face"] for row in rows}):
        document.add_tier(f"face {face}")
    for face, row, start_ms, end_ms in _one_after_another(rows):
        document.add_annotation(f"face {face}", start_ms, end_ms, row["trial_type"])
    document.to_file(str(path))


def _write_subtitles(path: Path, rows: Sequence[Row], kind: str) -> None:
    pysubs2 = _module(kind)
    subtitles = pysubs2.SSAFile()
    several = len({row["face"] for row in rows}) > 1
    for row in rows:
        start_ms, end_ms = _milliseconds(row)
        text = f"face {row['face']}: {_words(row)}" if several else _words(row)
        subtitles.append(pysubs2.SSAEvent(start=start_ms, end=end_ms, text=text))
    subtitles.save(str(path), encoding="utf-8", format_=kind)


def _words(row: Row) -> str:
    """As on the page: "happy 92 %", "sad? 38 %"."""
    doubt = "?" if (row["unsure_share"] or 0) > 0.5 else ""
    confidence = "" if row["confidence"] is None else f" {100 * row['confidence']:.0f} %"
    return f"{row['trial_type']}{doubt}{confidence}"


def _one_after_another(rows: Sequence[Row]) -> Iterator[tuple[int, Row, int, int]]:
    """(face, event, start, end) in milliseconds; rounding makes no event overlap the next one of its face."""
    ends_ms: dict[int, int] = {}
    for row, following in zip(rows, _following(rows), strict=True):
        start_ms, end_ms = _milliseconds(row)
        if following is not None:
            end_ms = min(end_ms, _milliseconds(following)[0])
        start_ms = max(start_ms, ends_ms.get(row["face"], start_ms))
        ends_ms[row["face"]] = end_ms = max(start_ms + 1, end_ms)
        yield row["face"], row, start_ms, end_ms


def _following(rows: Sequence[Row]) -> list[Row | None]:
    """For each event the next one of its face."""
    found: list[Row | None] = []
    later: dict[int, Row] = {}
    for row in reversed(rows):
        found.append(later.get(row["face"]))
        later[row["face"]] = row
    return found[::-1]


def _milliseconds(row: Row) -> tuple[int, int]:
    start_ms = round(1000 * row["onset"])
    return start_ms, max(start_ms + 1, round(1000 * (row["onset"] + row["duration"])))


def _module(kind: str) -> Any:
    name = PACKAGES[kind]
    try:
        if name == "pympi":
            import pympi

            return pympi
        import pysubs2
    except ModuleNotFoundError as error:
        raise MienError(
            f"--events {kind}: expected the package {name}, found none; "
            "pip install -r requirements-batch.txt installs it"
        ) from error
    return pysubs2

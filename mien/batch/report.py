"""`--report`: the results of a video, or of several side by side, as one HTML file that needs no other."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from markupsafe import Markup

from mien.batch.figures import face_figure, shares_figure, strips_figure
from mien.batch.methods import start_of
from mien.batch.page import Row, draw, spoken, write_page
from mien.batch.provenance import FILE
from mien.batch.series import Series, Span, read_series
from mien.batch.thumbnails import Thumbnail, Thumbnails
from mien.types import EXPRESSIONS

MOST_FACES = 12
"""Of so many faces, those seen longest, a report shows everything."""
MOST_COMPARED = 6
COMPARISON = ("report.html", "report-strips.png", "report-shares.png")
"""Names of the files that compare several videos."""


@dataclass(frozen=True, slots=True)
class FaceReport:
    """What a report says of one face.

    Args:
        number: Its number.
        shares: Its rows of `mien.batch.summary.SUMMARY_COLUMNS`, one for each expression.
        series: What it showed over time.
        thumbnails: Its clearest moments.
    """

    number: int
    shares: Sequence[Row]
    series: Series
    thumbnails: Sequence[Thumbnail] = ()

    @property
    def seconds(self) -> float:
        """How long it was seen."""
        return float(self.shares[0]["face_seconds"])

    @property
    def most(self) -> list[Row]:
        """The rows of the expressions that it showed, the longest first."""
        return sorted((row for row in self.shares if row["seconds"]), key=lambda row: -row["seconds"])

    @property
    def reasons(self) -> list[tuple[str, float]]:
        """What made it hard to read, and in which share of the time; the most frequent first."""
        total_s = sum(self.series.reasons_s.values()) or 1.0
        found = [(reason, seconds / total_s) for reason, seconds in self.series.reasons_s.items() if reason]
        return sorted(found, key=lambda each: (-each[1], each[0]))


@dataclass(frozen=True, slots=True)
class VideoReport:
    """What a report says of one video.

    Args:
        described: The content of its `mien.json`.
        faces: Those seen longest, by number.
        others: How many more there are.
    """

    described: Row
    faces: Sequence[FaceReport]
    others: int

    @property
    def name(self) -> str:
        """The video's name in the tables."""
        return str(self.described["input"]["name"])

    @property
    def session(self) -> Row:
        """What people have added to a recorded session; nothing for other videos."""
        nothing = {"name": "", "people": {}, "merged": {}, "markers": [], "excluded": [], "baselines": {}}
        return {**nothing, **self.described.get("session", {})}

    def person(self, face: int) -> str:
        """The name of a person, else "Face 1".

        Args:
            face: Number of the face.
        """
        return str(self.session["people"].get(str(face)) or f"Face {face}")

    def resting_faces(self, face: int) -> list[Row]:
        """The resting faces that were measured of a person: `log_odds` of each expression, and of how many `frames`.

        Args:
            face: Number of the face.
        """
        session = self.session
        found = session["baselines"].items()
        return [rest for each, rest in found if int(session["merged"].get(each, each)) == face]


def write_report(folder: Path, thumbnails: Thumbnails | None) -> None:
    """Write `report.html`, and its figures as PNG files.

    Args:
        folder: With the tables and `mien.json` of a video.
        thumbnails: Its clearest moments; None to show no pictures.

    Raises:
        OSError: A file cannot be read or written.
    """
    video = read_video(folder, MOST_FACES, thumbnails)
    figures: dict[str, Markup] = {}
    if len(video.faces) > 1:
        names = [video.person(face.number).replace("$", r"\$") for face in video.faces]  # no formulas
        figure = strips_figure(names, [face.series for face in video.faces])
        figures["people"] = draw(figure, folder, "people", "The label of each face over time.")
    for face in video.faces:
        text = f"{video.person(face.number)} over time: {spoken(face.most)}"
        figures[f"face-{face.number}"] = draw(face_figure(face.series), folder, f"face-{face.number}", text)
    with_pictures = thumbnails is not None
    write_page(folder, "video.html.j2", [video.described], video=video, figures=figures, with_pictures=with_pictures)


def write_comparison(out: Path, folders: Sequence[str]) -> None:
    """Write `report.html` and its figures for several videos: each one's face that is seen longest, side by side.

    Args:
        out: Folder of all results.
        folders: Names of the videos' folders in it; up to MOST_COMPARED are compared, the others are listed.

    Raises:
        OSError: A file cannot be read or written.
    """
    videos = (read_video(out / folder, 1) for folder in folders)
    with_face = list(islice((video for video in videos if video.faces), MOST_COMPARED))
    letters = ascii_uppercase[: len(with_face)]
    faces = [video.faces[0] for video in with_face]
    figures = {}
    if faces:
        text = "; ".join(f"{letter}: {spoken(face.most)}" for letter, face in zip(letters, faces, strict=True))
        strips = strips_figure(letters, [face.series for face in faces])
        shares = shares_figure(letters, [[_with_ends(row) for row in face.shares] for face in faces])
        figures["strips"] = draw(strips, out, "strips", f"The label over time. {text}")
        figures["shares"] = draw(shares, out, "shares", f"The share of each expression. {text}")
    described = [_described(out / folder) for folder in folders]
    write_page(
        out,
        "comparison.html.j2",
        described,
        videos=list(zip(folders, described, strict=True)),
        compared=list(zip(letters, with_face, faces, strict=True)),
        figures=figures,
        most=MOST_COMPARED,
    )


def read_video(folder: Path, most: int, thumbnails: Thumbnails | None = None) -> VideoReport:
    """Read what a report needs from a folder of results.

    Args:
        folder: With the tables and `mien.json` of a video.
        most: How many faces to read, those seen longest.
        thumbnails: Their clearest moments.
    """
    described = _described(folder)
    rows = {face: list(each) for face, each in groupby(_summary(folder / "summary.csv"), key=lambda row: row["face"])}
    by_time = sorted(rows, key=lambda face: (-rows[face][0]["face_seconds"], face))
    chosen = sorted(by_time[:most])
    span = Span(start_of(described), described["input"]["decoded_s"])
    series = read_series(folder, chosen, span) if chosen else {}
    faces = [FaceReport(face, rows[face], series[face], _moments(thumbnails, face)) for face in chosen]
    return VideoReport(described, faces, len(rows) - len(chosen))


def _moments(thumbnails: Thumbnails | None, face: int) -> list[Thumbnail]:
    found = {} if thumbnails is None else thumbnails.of(face)
    return [found[expression] for expression in EXPRESSIONS if expression in found]


def _described(folder: Path) -> dict[str, Any]:
    described: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
    return described


def _summary(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield {
                name: value if name in ("input", "expression") else _number(value) for name, value in row.items()
            } | {"face": int(row["face"])}


def _number(text: str) -> float | None:
    return float(text) if text else None


def _with_ends(row: Row) -> tuple[float, float, float]:
    share = row["share"] or 0.0
    low, high = row["share_low"], row["share_high"]
    return share, share if low is None else low, share if high is None else high

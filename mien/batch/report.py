"""`--report`: the results of a video, or of several side by side, as one HTML file that needs no other."""

from __future__ import annotations

import base64
import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path, PureWindowsPath
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from markupsafe import Markup

from mien.batch.figures import as_png, as_svg, clock, face_figure, shares_figure, strips_figure, themes
from mien.batch.methods import describe_methods
from mien.batch.provenance import FILE
from mien.batch.series import Series, Span, read_series
from mien.batch.thumbnails import SIZE_PX, Thumbnail, Thumbnails
from mien.types import EXPRESSIONS

if TYPE_CHECKING:
    from jinja2 import Environment
    from matplotlib.figure import Figure

REPORT = "report.html"
MOST_FACES = 12
"""Of so many faces, those seen longest, a report shows everything."""
MOST_COMPARED = 6

Row = Mapping[str, Any]


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
        names = [f"face {face.number}" for face in video.faces]
        figure = strips_figure(names, [face.series for face in video.faces])
        figures["people"] = _draw(figure, folder, "people", "The label of each face over time.")
    for face in video.faces:
        text = f"Face {face.number} over time: {_spoken(face)}"
        figures[f"face-{face.number}"] = _draw(face_figure(face.series), folder, f"face-{face.number}", text)
    text = (
        _environment()
        .get_template("video.html.j2")
        .render(video=video, figures=figures, methods=_methods([video.described]), with_pictures=thumbnails is not None)
    )
    (folder / REPORT).write_text(text, encoding="utf-8", newline="\n")


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
        text = "; ".join(f"{letter}: {_spoken(face)}" for letter, face in zip(letters, faces, strict=True))
        strips = strips_figure(letters, [face.series for face in faces])
        shares = shares_figure(letters, [[_with_ends(row) for row in face.shares] for face in faces])
        figures["strips"] = _draw(strips, out, "strips", f"The label over time. {text}")
        figures["shares"] = _draw(shares, out, "shares", f"The share of each expression. {text}")
    described = [_described(out / folder) for folder in folders]
    text = (
        _environment()
        .get_template("comparison.html.j2")
        .render(
            videos=list(zip(folders, described, strict=True)),
            compared=list(zip(letters, with_face, faces, strict=True)),
            figures=figures,
            methods=_methods(described),
            most=MOST_COMPARED,
        )
    )
    (out / REPORT).write_text(text, encoding="utf-8", newline="\n")


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
    span = Span(described["settings"]["start"], described["input"]["decoded_s"])
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


def _draw(figure: Figure, folder: Path, name: str, description: str) -> Markup:
    (folder / f"report-{name}.png").write_bytes(as_png(figure))
    return Markup(as_svg(figure, name, description))


def _spoken(face: FaceReport) -> str:
    """The shares in words: "happy 62 %, neutral 38 %"."""
    return ", ".join(f"{row['expression']} {percent(row['share'])}" for row in face.most) or "no time"


def _methods(described: Sequence[Row]) -> tuple[str, list[str]]:
    """The paragraph for a paper, and its references."""
    paragraph, _, references = describe_methods(described).partition("\n\nReferences\n\n")
    return " ".join(paragraph.split()), references.splitlines()


def percent(share: float | None) -> str:
    """A share as on the page: "62 %", which no line breaks; a dash for none."""
    return "–" if share is None else f"{100 * share:.0f}\N{NO-BREAK SPACE}%"


def _interval(row: Row) -> str:
    if row["share_low"] is None:
        return "–"
    return f"{100 * row['share_low']:.0f} to {100 * row['share_high']:.0f}\N{NO-BREAK SPACE}%"


def _setting(value: Any) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _environment() -> Environment:
    """Templates with escaping, so that no name of a file can become a part of the page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("pages")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    light, dark = themes()
    environment.filters |= {
        "percent": percent,
        "interval": _interval,
        "clock": lambda time_s: clock(time_s, 0.1),
        "address": lambda folder: quote(f"{folder}/{REPORT}"),
        "base64": lambda data: base64.b64encode(data).decode("ascii"),
        "spoken": _spoken,
        "setting": _setting,
        "seen": lambda frames: f"{100 * frames['with_face'] / frames['analyzed']:.1f}\N{NO-BREAK SPACE}%",
        "file": lambda name: PureWindowsPath(name).name or name,
    }
    environment.globals |= {"light": light, "dark": dark, "expressions": EXPRESSIONS, "size_px": SIZE_PX}
    return environment

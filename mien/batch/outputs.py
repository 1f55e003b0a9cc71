"""All files of one result: tables of faces, events, summary, provenance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from mien.batch.annotations import check_kind, write_annotations
from mien.batch.events import EVENT_COLUMNS, Events
from mien.batch.figures import check_figures
from mien.batch.frames import Reading
from mien.batch.layouts import LAYOUTS, Row, grid_rows
from mien.batch.options import AnalyzeSettings
from mien.batch.provenance import FILE, as_json
from mien.batch.report import write_report
from mien.batch.summary import SUMMARY_COLUMNS, Summary
from mien.batch.tables import Table, check_format, open_table
from mien.batch.thumbnails import Thumbnails
from mien.batch.video import AnnotatedVideo, check_encoder
from mien.results import COLUMNS, Result
from mien.types import Analysis, Frame


def check_packages(settings: AnalyzeSettings) -> None:
    """Check that everything asked for can be written. Raises MienError if a package is missing."""
    for name in settings.format:
        check_format(name)
    for kind in settings.events:
        check_kind(kind)
    if settings.report:
        check_figures()
    if settings.video:
        check_encoder()


class FaceTables:
    """The table of faces in all formats and layouts asked for.

        tables = FaceTables(folder, settings)
        tables.add(result.rows())
        tables.close(described)

    Args:
        folder: Of the files.
        settings: Formats and layouts.
        name: Of the files without suffix; only "faces" has layouts of other tools.

    Raises:
        OSError: A file cannot be written.
    """

    def __init__(self, folder: Path, settings: AnalyzeSettings, name: str = "faces") -> None:
        self._tables: list[tuple[Table, Callable[[Row], Row] | None]] = []
        for suffix in settings.format:
            self._tables.append((open_table(folder / f"{name}.{suffix}", COLUMNS), None))
        for layout in settings.columns if name == "faces" else ():
            columns, convert = LAYOUTS[layout]
            self._tables.append((open_table(folder / f"{layout}.csv", columns), convert))

    def add(self, rows: Iterable[Row]) -> None:
        """Append rows of `mien.results.COLUMNS`."""
        kept = list(rows)
        for table, convert in self._tables:
            table.add(kept if convert is None else map(convert, kept))

    def close(self, described: Mapping[str, Any] | None = None) -> None:
        """Close all files; described: what `mien.json` says, for the formats that can store it."""
        text = "" if described is None else as_json(described)
        for table, _ in self._tables:
            table.close(text)

    def abandon(self) -> None:
        """Close all files without an error, because another one is on its way."""
        for table, _ in self._tables:
            with suppress(Exception):
                table.close()


class VideoOutputs:
    """What is written for one video, frame by frame; also watches its pictures.

        outputs = VideoOutputs(folder, settings, "clip.mp4", source, reading)
        for result, duration_s in with_durations(video_results(..., watcher=outputs), reading):
            outputs.add(result, duration_s)
        outputs.close(described, command)

    Args:
        folder: Of the files.
        settings: What is written.
        name: The video's name in the tables.
        source: Its file; None if its pictures are not at hand, so that none are written.
        reading: What was read of it, up to date with each picture.

    Attributes:
        frames: Frames analyzed.
        with_face: Those of them with a face.
        thumbnails: Collects pictures for the report; None if there is none, or it shows none.
    """

    def __init__(
        self,
        folder: Path,
        settings: AnalyzeSettings,
        name: str,
        source: Path | None = None,
        reading: Reading | None = None,
    ) -> None:
        self._folder, self._settings, self._name = folder, settings, name
        self._faces = FaceTables(folder, settings)
        self._grid = None if settings.grid is None else FaceTables(folder, settings, "grid")
        self._events, self._summary = Events(name), Summary(name)
        self.frames = 0
        self.with_face = 0
        self.thumbnails = Thumbnails() if settings.shows_thumbnails and source is not None else None
        self._video: AnnotatedVideo | None = None
        if settings.video and source is not None and reading is not None:
            self._video = AnnotatedVideo(folder, source, reading, settings.end, privacy=settings.privacy)

    @property
    def watches(self) -> bool:
        """Whether it needs the pictures."""
        return self.thumbnails is not None or self._video is not None

    def show(self, frame: Frame, analysis: Analysis, result: Result) -> None:
        """Take the picture of the next analyzed frame."""
        if self.thumbnails is not None:
            self.thumbnails.add(frame, result)
        if self._video is not None:
            self._video.show(frame, analysis)

    def show_between(self, frame: Frame) -> None:
        """Take the picture of a frame that is not analyzed."""
        if self._video is not None:
            self._video.show_between(frame)

    def add(self, result: Result, duration_s: float) -> None:
        """Write the next frame.

        Args:
            result: What was found in it.
            duration_s: How long it is shown, in seconds.
        """
        self.frames += 1
        self.with_face += bool(result.faces)
        self._faces.add(result.rows())
        if self._grid is not None and self._settings.grid is not None:
            self._grid.add(grid_rows(result, duration_s, self._settings.grid))
        self._events.add(result, duration_s)
        self._summary.add(result, duration_s)

    def close(self, described: Mapping[str, Any], command: Sequence[str]) -> dict[str, Any]:
        """Write the rest.

        Args:
            described: What determined the result.
            command: The words of the command line.

        Returns:
            What is known only now: of the annotated video, if there is one.
        """
        video = {} if self._video is None else {"video": self._video.close()}
        described = {**described, **video}
        self._faces.close(described)
        if self._grid is not None:
            self._grid.close(described)
        events = self._events.rows()
        write_table(self._folder / "events.csv", EVENT_COLUMNS, events)
        for kind in self._settings.events:
            write_annotations(self._folder / f"events.{kind}", events, self._name)
        write_table(self._folder / "summary.csv", SUMMARY_COLUMNS, self._summary.rows())
        write_provenance(self._folder, described, command)
        if self._settings.report:
            write_report(self._folder, self.thumbnails)
        return video

    def abandon(self) -> None:
        """Close what is open, because an error is on its way."""
        self._faces.abandon()
        if self._grid is not None:
            self._grid.abandon()
        if self._video is not None:
            self._video.abandon()


def write_provenance(folder: Path, described: Mapping[str, Any], command: Sequence[str]) -> None:
    """Write `mien.json`.

    Args:
        folder: Of the result.
        described: What determined it.
        command: The words of the command line.
    """
    (folder / FILE).write_text(as_json({"command": list(command), **described}), encoding="utf-8")


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a short table at once."""
    with closing(open_table(path, columns)) as table:
        table.add(rows)

"""The options of `analyze`, each declared once; those of detection and network are the program's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mien.batch.annotations import PACKAGES as KINDS
from mien.batch.layouts import LAYOUTS
from mien.batch.tables import FORMATS
from mien.batch.urls import is_url
from mien.errors import SettingsError
from mien.options import SWITCH, Kind, Parser, number, option, options_of, whole_number
from mien.settings import FOLDER, LOCKED, AnalysisSettings, Settings, names_of, program

_sampling = partial(option, group="Frames of videos")
_output = partial(option, group="Results")
_processes = partial(option, group="Processes")


def _parse_time(text: str) -> float:
    match = re.fullmatch(r"(?:(?:(\d+):)?(\d{1,2}):)?(\d+(?:\.\d+)?)", text)
    if not match:
        raise ValueError
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return 3600 * hours + 60 * minutes + seconds


def _parse_place(text: str) -> Path | str:
    folder: Path = FOLDER.parse(text)
    return text if is_url(text) else folder


def _parse_scheduler(text: str) -> str:
    if not re.fullmatch(r"(tcp|tls)://([^\s/:]+|\[[^\s/\]]+\]):\d{1,5}", text):
        raise ValueError
    return text


def some_of(*words: str) -> Kind:
    """Several of these words, separated by commas."""

    def parse(text: str) -> tuple[str, ...]:
        chosen = tuple(dict.fromkeys(word.strip() for word in text.split(",")))
        if not set(chosen) <= set(words):
            raise ValueError
        return chosen

    return Kind(f"one or more of {', '.join(words)}, separated by commas", "A,B,...", parse, show=",".join)


TIME = Kind("seconds, or [HOURS:]MINUTES:SECONDS", "TIME", _parse_time, show="{:g}".format)
RATE = number(0.001, 1000, "FPS")

PLACE = Kind("a folder or its URL", "DIR", _parse_place)
SCHEDULER = Kind("tcp://HOST:PORT or tls://HOST:PORT", "ADDRESS", _parse_scheduler)

ABOUT_RUN = ("out", "jobs", "resume", "scheduler")
"""Settings that have no influence on what results contain."""


@dataclass(frozen=True)
class AnalyzeSettings(AnalysisSettings):
    """How files are analyzed; `read_analyze_settings` reads and checks it.

    Example:
        settings, words = read_analyze_settings(["clip.mp4", "--out", "results"], os.environ)
    """

    fps: float | None = _sampling(
        None, RATE, "analyze at most this many frames per second of the video", shown_default="every frame"
    )
    start: float = _sampling(0.0, TIME, "skip what comes before this time in the video")
    end: float | None = _sampling(None, TIME, "skip what comes from this time on", shown_default="the end")

    out: Path | str | None = _output(
        None, PLACE, "folder for the results, new or empty unless --resume", shown_default="none, is required"
    )
    format: tuple[str, ...] = _output(("csv",), some_of(*FORMATS), "formats of the table of faces")
    grid: float | None = _output(None, RATE, "also write the table at this many points per second of a regular grid")
    columns: tuple[str, ...] = _output(
        (), some_of(*LAYOUTS), "also write the table with the column names of these tools", shown_default="none"
    )
    events: tuple[str, ...] = _output(
        (),
        some_of(*KINDS),
        "also write the events for ELAN (eaf) or as subtitles (srt, ass)",
        shown_default="none",
    )
    report: bool = _output(False, SWITCH, "also write a report of each video as an HTML file, and compare several")
    thumbnails: bool = _output(True, SWITCH, "show faces at their clearest moments in the report")
    video: bool = _output(
        False, SWITCH, "also write each video with boxes and labels, and its sound; of images, annotated copies"
    )
    privacy: bool = _output(
        False,
        SWITCH,
        "cover faces in annotated videos and images as the live program does, and leave them out of reports; "
        "sound is kept",
    )

    jobs: int | None = _processes(
        None,
        whole_number(1, 256),
        "number of processes, each with a file of its own",
        shown_default="one for each processor core, at most 8",
    )
    scheduler: str | None = _processes(
        None,
        SCHEDULER,
        "scheduler of a Dask cluster, whose workers do the work; see docs/cluster.md",
    )
    resume: bool = _processes(
        False, SWITCH, "continue the run that wrote the folder: what is complete is not analyzed again"
    )

    @property
    def shows_thumbnails(self) -> bool:
        """Whether reports show faces."""
        return self.report and self.thumbnails and not self.privacy


@dataclass(frozen=True)
class ReportSettings:
    """Where the command `report` writes.

    Example:
        settings = ReportSettings(Path("reports"))
    """

    out: Path | None = _output(None, FOLDER, "new or empty folder for the reports", shown_default="none, is required")


def read_analyze_settings(argv: Sequence[str], environ: Mapping[str, str]) -> tuple[AnalyzeSettings, tuple[str, ...]]:
    """Read the settings from the words of the command line and the environment.

    --help prints and exits with status 0.

    Args:
        argv: The words of the command line after `analyze`.
        environ: The environment variables by name; of the MIEN_* variables, those that concern only the live program
            have no effect.

    Returns:
        The settings, and the inputs as they were typed.

    Raises:
        SettingsError: One line with the option or variable, what was expected and what was found.
    """
    parser = Parser(
        prog=program("analyze"),
        usage="%(prog)s INPUT... --out FOLDER [options]",
        description="Analyze videos and images, and write tables. The same file gives the same table each time.",
        epilog="Exit status: 0; 1 if an input could not be analyzed (the others are done); 2 for a mistake in the "
        "command. docs/batch.md describes the tables.",
    )
    parser.add_words(
        "input", "videos, images, folders, patterns such as 'videos/*.mp4', or - for a list on standard input"
    )
    parser.add_options(AnalyzeSettings)
    shared = {*names_of(AnalysisSettings), "privacy"}
    ignored = {each.variable for each in options_of(Settings) if each.name not in shared}
    heeded = {name: text for name, text in environ.items() if name not in ignored}
    if heeded.get("MIEN_PRIVACY", "").strip() == LOCKED:  # nobody can switch it here anyway
        heeded["MIEN_PRIVACY"] = "1"
    values: dict[str, Any] = parser.read(argv, heeded)
    words = values.pop("input")
    settings = AnalyzeSettings(**values)
    if not words:
        raise SettingsError("analyze: expected videos, images or folders, found none")
    if settings.out is None:
        raise SettingsError("--out: expected a folder for the results, found none")
    if settings.scheduler is not None and settings.jobs is not None:
        raise SettingsError("--jobs: expected no number of processes with --scheduler, whose workers do the work")
    if settings.end is not None and settings.end <= settings.start:
        raise SettingsError(f"--end: expected a time after --start, found {settings.end:g} s")
    return settings, words

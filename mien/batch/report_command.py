"""The command `report`: reports of recordings of the live program, and the tables that `analyze` writes of videos."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from mien.batch.figures import check_figures
from mien.batch.inputs import Names, file_name
from mien.batch.options import ReportSettings
from mien.batch.provenance import FILE
from mien.batch.recording_report import write_recording_report
from mien.batch.recordings import is_recording
from mien.batch.report import write_comparison
from mien.errors import SettingsError
from mien.options import Parser
from mien.recording.session_files import FACES
from mien.settings import program

log = logging.getLogger("mien")


def report(argv: Sequence[str]) -> int:
    """Write a report of each recording, and one that compares several.

    Args:
        argv: The words of the command line after `report`.

    Returns:
        Exit status: 0.

    Raises:
        MienError: The command cannot be carried out.
    """
    parser = Parser(
        prog=program("report"),
        usage="%(prog)s RECORDING... --out FOLDER",
        description="Write a report of each recording of the live program, as analyze --report does of videos, and its "
        "tables of faces, events and shares.",
        epilog="docs/recording.md describes recordings, docs/batch.md the tables.",
    )
    parser.add_words("recording", "recorded sessions, CSV files, or folders with some, such as sessions")
    parser.add_options(ReportSettings)
    values = parser.read(argv, {})
    paths = _recordings(values.pop("recording"))
    out = ReportSettings(**values).out
    if out is None:
        raise SettingsError("--out: expected a folder for the reports, found none")
    check_figures()
    _make_folder(out)
    free = Names()
    names = [free.take(file_name(_name_of(path)) or "recording") for path in paths]
    try:
        for path, name in zip(paths, names, strict=True):
            write_recording_report(path, out / name, ["report", *argv])
            log.info("%s: %s", path, out / name / "report.html")
        if len(paths) > 1:
            write_comparison(out, names)
            log.info("%d recordings: %s", len(paths), out / "report.html")
    except OSError as error:
        raise SettingsError(f"report: {error.filename} cannot be read or written: {error.strerror}") from error
    return 0


def _recordings(words: Sequence[str]) -> list[Path]:
    if not words:
        raise SettingsError("report: expected recordings or a folder with some, found none")
    found: dict[Path, None] = {}
    for word in words:
        path = Path(word)
        if path.is_dir():
            inside = [each for each in sorted([*path.glob("*.csv"), *path.glob(f"*/{FACES}")]) if is_recording(each)]
            if not inside:
                hint = "; analyze --report writes reports of videos" if list(path.rglob(FILE)) else ""
                raise SettingsError(f"report: expected a folder with CSV recordings, found none in {word}{hint}")
            found |= dict.fromkeys(inside)
        elif not path.exists():
            raise SettingsError(f"report: expected a recording or a folder, found no {word}")
        elif not is_recording(path):
            raise SettingsError(f"report: expected a CSV recording of the live program, found {word}, which is none")
        else:
            found[path] = None
    return list(found)


def _name_of(path: Path) -> str:
    """What to call a recording: the name of the session's folder, or of the file."""
    return path.resolve().parent.name if path.name == FACES else path.stem


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise SettingsError(f"--out: expected a new or empty folder, found files in {out}")
    except OSError as error:
        raise SettingsError(f"--out: expected a folder, but {out} cannot be written: {error.strerror}") from error

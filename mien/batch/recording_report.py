"""The report of a recording of the live program, and the tables that `analyze` writes of videos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mien.batch.events import SESSION_EVENT_COLUMNS, Events, with_added
from mien.batch.options import AnalyzeSettings
from mien.batch.outputs import FaceTables, write_provenance, write_table
from mien.batch.recordings import describe_recording, read_added, read_results, read_times
from mien.batch.report import write_report
from mien.batch.summary import SUMMARY_COLUMNS, Summary
from mien.recording.rows import as_typed

EVENTS = "events.csv"


def write_recording_report(path: Path, folder: Path, command: Sequence[str], name: str | None = None) -> None:
    """Write report and tables of a recording.

    Args:
        path: The CSV file.
        folder: A folder that does not exist, for the results.
        command: The command that makes them, for `mien.json`.
        name: What to call the recording; by default by its path.

    Raises:
        SettingsError: It is broken, or has no rows.
        OSError: A file cannot be read or written.
    """
    write_recording_tables(path, folder, command, name)
    write_report(folder, None)


def write_recording_tables(path: Path, folder: Path, command: Sequence[str], name: str | None = None) -> None:
    """Write the tables of a recording, and `mien.json`.

    Args:
        path: As `write_recording_report`, and so are the others.
        folder: A folder that does not exist.
        command: The command that makes them.
        name: What to call the recording.

    Raises:
        SettingsError: It is broken, or has no rows.
        OSError: A file cannot be read or written.
    """
    in_tables = path.as_posix() if name is None else as_typed("text", name)
    name, times = name or path.as_posix(), read_times(path)
    added = read_added(path, times)
    described = describe_recording(path, name, times, added)
    folder.mkdir()
    tables, events, summary = FaceTables(folder, AnalyzeSettings()), Events(in_tables), Summary(in_tables)
    try:
        for result, duration_s in read_results(path, in_tables, times, added):
            # A recording has no probabilities of the frame alone.
            tables.add({key: row[key] for key in row if not key.startswith("raw_")} for row in result.rows())
            events.add(result, duration_s)
            summary.add(result, duration_s)
    finally:
        tables.close()
    write_table(folder / EVENTS, SESSION_EVENT_COLUMNS, with_added(events.rows(), added, in_tables))
    write_table(folder / "summary.csv", SUMMARY_COLUMNS, summary.rows())
    write_provenance(folder, described, command)

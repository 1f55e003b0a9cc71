"""Files that are made of a recorded session: its report, its events, and its table as Parquet."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from mien.batch.figures import check_figures
from mien.batch.page import REPORT
from mien.batch.recording_report import EVENTS, write_recording_report, write_recording_tables
from mien.batch.tables import check_format, open_table
from mien.recording.export import as_values
from mien.recording.sessions import Sessions

PARQUET = "faces.parquet"
NAMES = (PARQUET, REPORT, EVENTS)


def make_session_file(root: Path, session: str, name: str, folder: Path) -> Path:
    """Make one of NAMES.

    Args:
        root: Folder of the sessions.
        session: Id of the session.
        name: One of NAMES.
        folder: A folder that does not exist, for the file and what it is made of.

    Returns:
        The file.

    Raises:
        MienError: It cannot be made: there is no such session, it has no rows, or a package is missing.
        OSError: A file cannot be read or written.
    """
    found = Sessions(root).get(session)
    if name in (REPORT, EVENTS):
        write = write_recording_tables
        if name == REPORT:
            check_figures()
            write = write_recording_report
        write(found.files.faces, folder, ["report", session], found.state.name or session)
        return folder / name
    check_format("parquet")
    folder.mkdir()
    columns, rows = found.rows()
    with closing(open_table(folder / PARQUET, columns)) as table:
        for row in rows:
            table.add([as_values(columns, row)])
    return folder / PARQUET

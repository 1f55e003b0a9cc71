"""Where the files of a session are: one folder for each, and the single CSV files of version 0.1."""

from __future__ import annotations

import contextlib
import errno
import re
import time
from dataclasses import dataclass
from pathlib import Path

from mien.errors import RecordingError
from mien.recording import MAX_NUMBER

ID = re.compile(r"session-[0-9]{8}-[0-9]{6}(-[0-9]{1,4})?")
"""Ids of sessions, which are names of files: nothing else in the folder is a session."""

FACES = "faces.csv"
PROVENANCE = "mien.json"
EDITS = "edits.jsonl"
VIDEO = "video.mp4"
OVERVIEW = "overview.json"
TIMELINE = "timeline.npz"


@dataclass(frozen=True, slots=True)
class SessionFiles:
    """The files of one session; not all of them need to exist.

        files = find_session(Path("sessions"), "session-20260131-120000")
        text = files.faces.read_text()

    Args:
        root: Folder of all sessions.
        id: Id of the session.
        single: Whether it is a CSV file of version 0.1, with its other files beside it, instead of a folder.
    """

    root: Path
    id: str
    single: bool = False

    @property
    def folder(self) -> Path:
        """Folder of the session; that of all sessions for a single file."""
        return self.root if self.single else self.root / self.id

    @property
    def faces(self) -> Path:
        """The rows, as they were recorded."""
        return self.root / f"{self.id}.csv" if self.single else self.folder / FACES

    @property
    def provenance(self) -> Path:
        """How the rows came about."""
        return self.beside(PROVENANCE)

    @property
    def edits(self) -> Path:
        """What was added later: names, markers, excluded spans."""
        return self.beside(EDITS)

    @property
    def overview(self) -> Path:
        """Sums over the rows, which can be computed again at any time."""
        return self.beside(OVERVIEW)

    @property
    def timeline(self) -> Path:
        """The values over time, which can be computed again at any time."""
        return self.beside(TIMELINE)

    @property
    def video(self) -> Path:
        """The video, where it was kept."""
        return self.beside(VIDEO)

    def beside(self, name: str) -> Path:
        """The path of one of the files.

        Args:
            name: Its name in the folder of a session.
        """
        return self.root / f"{self.id}.{name}" if self.single else self.folder / name

    def all(self) -> list[Path]:
        """The paths of all files that exist."""
        with contextlib.suppress(OSError):
            if not self.single:
                return sorted(path for path in self.folder.iterdir() if path.is_file())
            known = (self.faces, self.provenance, self.edits, self.overview, self.timeline, self.video)
            return [path for path in known if path.is_file()]
        return []


def find_session(root: Path, session: str) -> SessionFiles | None:
    """The files of a session.

    Args:
        root: Folder of all sessions.
        session: Any text; only an id can name a session, and a link names none.

    Returns:
        The files; None if there is no such session.
    """
    if not ID.fullmatch(session):
        return None
    for files in (SessionFiles(root, session), SessionFiles(root, session, single=True)):
        with contextlib.suppress(OSError):
            linked = files.faces.is_symlink() or (not files.single and files.folder.is_symlink())
            if not linked and files.faces.is_file():
                return files
    return None


def find_sessions(root: Path) -> list[SessionFiles]:
    """All sessions in a folder, in no order; none if it does not exist.

    Args:
        root: The folder.
    """
    try:
        names = {path.name.removesuffix(".csv") for path in root.iterdir()}
    except OSError:
        return []
    return [files for name in names if (files := find_session(root, name)) is not None]


def new_session(root: Path, now_s: float) -> SessionFiles:
    """Create the folder of a new session, named after the local time.

    Args:
        root: Folder of all sessions, created if its parent exists.
        now_s: Present time, in seconds since the epoch.

    Raises:
        RecordingError: It cannot be created.
    """
    expected = f"expected a folder for the recording, found {root}"
    stem = time.strftime("session-%Y%m%d-%H%M%S", time.localtime(now_s))
    try:
        root.mkdir(exist_ok=True)
        return _create(root, stem)
    except FileNotFoundError:
        raise RecordingError(f"{expected}, in a folder that does not exist") from None
    except (FileExistsError, NotADirectoryError):
        raise RecordingError(f"{expected}, which is a file") from None
    except OSError as error:
        raise RecordingError(f"{expected}, which cannot be written: {error.strerror}") from error


def _create(root: Path, stem: str) -> SessionFiles:
    for number in range(1, MAX_NUMBER + 1):
        files = SessionFiles(root, stem if number == 1 else f"{stem}-{number}")
        if SessionFiles(root, files.id, single=True).faces.exists():  # of version 0.1, with the same id
            continue
        with contextlib.suppress(FileExistsError):
            files.folder.mkdir()
            return files
    raise OSError(errno.ENOSPC, f"all names up to {stem}-{MAX_NUMBER} are taken")

"""The recorded sessions of a folder: found, summed up, edited, exported and deleted."""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mien.clock import Clock
from mien.errors import SessionError, SessionMissingError, SessionRunningError
from mien.recording import reason_of
from mien.recording.csv_log import Recording
from mien.recording.edits import Edit, Excluded, SessionState, apply, numbered
from mien.recording.export import csv_chunks, json_chunks
from mien.recording.journal import append_edits, read_journal
from mien.recording.overview import first_time
from mien.recording.overviews import Key, Overviews, stamp
from mien.recording.running import RunningOverviews
from mien.recording.session import Session, people_of
from mien.recording.session_files import SessionFiles, find_session, find_sessions
from mien.recording.timeline import Timeline, read_frames
from mien.recording.timelines import Timelines

MAX_ROWS = 5000
"""Most rows of frames at once: five faces for half a minute."""

log = logging.getLogger(__name__)


class Sessions:
    """The sessions of a folder; thread-safe. The folder need not exist, and may be changed by others.

        sessions = Sessions(Path("sessions"))
        for session in sessions.all():
            print(session.id, session.state.name)

    Args:
        root: The folder.
        running: Returns the recordings that are running, by the id of their session.
        clock: The computer's clock by default.
    """

    def __init__(
        self, root: Path, running: Callable[[], Mapping[str, Recording]] = lambda: {}, clock: Clock | None = None
    ) -> None:
        self.root = root
        self._running = running
        self._clock = clock or Clock()
        self._lock = threading.Lock()  # guards the rest
        self._version = 0
        self._states: dict[str, tuple[Key, SessionState]] = {}
        self._began: dict[str, float] = {}  # of sessions that do not say it themselves
        self._overviews = Overviews(self._basis, self.note_change, self._prepare)
        self._running_overviews = RunningOverviews(self._clock)
        self._timelines = Timelines()

    @property
    def version(self) -> int:
        """Increases whenever a session has changed."""
        return self._version

    def note_change(self) -> None:
        """Take notice that a recording began or ended."""
        with self._lock:
            self._version += 1

    def all(self) -> list[Session]:
        """All sessions, the newest first; what takes time to compute is not there at first, and computed meanwhile."""
        running = self._running()
        self._running_overviews.forget_others(running)
        found = [self._describe(files, running) for files in find_sessions(self.root)]
        self._forget_others({session.id for session in found})
        return sorted(found, key=lambda session: (session.began_s, session.id), reverse=True)

    def get(self, session: str, *, complete: bool = False) -> Session:
        """A session.

        Args:
            session: Its id.
            complete: Whether to wait for what takes time to compute, unless it is being recorded: the sums of a
                recording are those of its rows so far.

        Raises:
            SessionMissingError: There is none.
        """
        files = self.files(session)
        if complete and session not in self._running():
            self._overviews.compute(session)
        running = self._running()
        self._running_overviews.forget_others(running)
        return self._describe(files, running)

    def files(self, session: str) -> SessionFiles:
        """The files of a session.

        Args:
            session: Its id.

        Raises:
            SessionMissingError: There is none.
        """
        files = find_session(self.root, session)
        if files is None:
            raise SessionMissingError(f"expected the id of a session, found {session[:64]!r}, which does not exist")
        return files

    def edit(self, session: str, edits: Sequence[Edit]) -> Session:
        """Add edits to a session, all or none of them; they are on the disk when this returns.

        Args:
            session: Its id.
            edits: As `mien.recording.edits` describes them, without "at" and without ids of what is new: an id that no
                marker has is refused. A marker without a time is set to now.

        Raises:
            SessionMissingError: There is no such session.
            SessionError: One of them is not valid, or cannot be written.

        Returns:
            The session after that, with the ids of what they have made.
        """
        files, at = self.files(session), self._clock.wall()
        now_s = self.get(session).length_s if session in self._running() else None  # by the clock, and by its rows
        ids: list[str] = []

        def complete(state: SessionState) -> list[Edit]:
            made: list[Edit] = []
            for edit in edits:
                made.append({"at": round(at, 3), **numbered(state, _timed(edit, now_s))})
                if "id" in made[-1] and "id" not in edit:
                    ids.append(made[-1]["id"])
                state = apply(state, made[-1])
            return made

        try:
            append_edits(files.edits, complete, create=True)
        except OSError as error:
            raise SessionError(f"{files.edits.name} cannot be written: {reason_of(error)}") from error
        self.note_change()
        return replace(self.get(session), made=ids)

    def csv(self, session: str) -> Iterator[bytes]:
        """The table of a session with what people have added, as CSV in pieces: see `mien.recording.export.read_rows`.

        Args:
            session: Its id.

        Raises:
            SessionMissingError: There is none.
            SessionError: It cannot be read.
        """
        return csv_chunks(*self.get(session).rows())

    def json(self, session: str, about: str) -> Iterator[bytes]:
        """The same table as JSON in pieces.

        Args:
            session: Its id.
            about: What else there is to know of the session, as JSON.

        Raises:
            SessionMissingError: There is none.
            SessionError: It cannot be read.
        """
        return json_chunks(about, *self.get(session).rows())

    def video(self, session: str) -> Path:
        """The video of a session.

        Args:
            session: Its id.

        Raises:
            SessionMissingError: There is no such session, or it has no video.
        """
        path = self.files(session).video
        if path.is_symlink() or not path.is_file():
            raise SessionMissingError("expected a session with a video, found one without")
        return path

    def timeline(self, session: str, wait_s: float = 0.0) -> Timeline | None:
        """How a session went over time; None while that is being computed.

        Args:
            session: Its id.
            wait_s: How long to wait for it.

        Raises:
            SessionMissingError: There is none.
            SessionRunningError: It is being recorded.
            SessionError: It cannot be read.
        """
        files = self.files(session)
        if session in self._running():
            raise SessionRunningError("expected a session that has ended, found one that is being recorded")
        try:
            return self._timelines.get(files, self._began_s(files, self._state(files)), wait_s)
        except (OSError, ValueError) as error:
            raise SessionError(f"{files.faces.name} cannot be read: {reason_of(error)}") from error

    def frames(self, session: str, start_s: float, end_s: float) -> tuple[list[dict[str, Any]], float]:
        """The frames of a part of a session, at most MAX_ROWS rows.

        Args:
            session: Its id.
            start_s: From when on, in seconds since it began.
            end_s: Until when.

        Returns:
            The frames as `mien.recording.timeline.read_frames` describes them, and until when they are complete.

        Raises:
            SessionMissingError: There is none.
            SessionRunningError: It is being recorded.
            SessionError: It cannot be read.
        """
        timeline = self.timeline(session)
        files = self.files(session)
        began_s = self._began_s(files, self._state(files))
        try:
            return read_frames(files.faces, began_s, start_s, end_s, timeline, MAX_ROWS)
        except (OSError, ValueError) as error:
            raise SessionError(f"{files.faces.name} cannot be read: {reason_of(error)}") from error

    def delete(self, session: str) -> None:
        """Delete all files of a session.

        Args:
            session: Its id.

        Raises:
            SessionMissingError: There is no such session.
            SessionRunningError: It is being recorded.
            SessionError: It cannot be deleted.
        """
        files = self.files(session)
        if session in self._running():
            raise SessionRunningError("expected a session that has ended, found one that is being recorded")
        try:
            if files.single:
                for path in files.all():
                    path.unlink(missing_ok=True)
            else:
                _remove_folder(files.folder)
        except OSError as error:
            raise SessionError(f"{session} cannot be deleted: {reason_of(error)}") from error
        self.note_change()

    # --- what is known of a session

    def _describe(self, files: SessionFiles, running: Mapping[str, Recording]) -> Session:
        state, recording = self._state(files), running.get(files.id)
        began_s = self._began_s(files, state)
        if recording:
            overview = self._running_overviews.known(files, began_s, state.excluded)
        else:
            overview = self._overviews.known(files, state.excluded)
        length_s = max(0.0, self._clock.wall() - began_s) if recording else state.length_s
        if overview is not None:
            # Without a length, the program was killed; else the computer's clock may have been set back.
            rows_end_s = overview.end_s if length_s is None else overview.last_s
            length_s = max(length_s or 0.0, (rows_end_s or began_s) - began_s)
        sizes = 0
        for path in files.all():
            with contextlib.suppress(OSError):
                sizes += path.stat().st_size
        people = None if overview is None else people_of(overview, state)
        return Session(files, state, began_s, length_s, recording, sizes, people)

    def _state(self, files: SessionFiles) -> SessionState:
        key = stamp(files.edits)
        known = self._states.get(files.id)
        if known is None or known[0] != key:
            try:
                known = (key, read_journal(files.edits))
            except OSError as error:
                log.warning("%s cannot be read: %s", files.edits, error)
                return SessionState()
            with self._lock:
                self._states[files.id] = known
        return known[1]

    def _began_s(self, files: SessionFiles, state: SessionState) -> float:
        """When it began; a session that does not say it began with its first row, or when its name says."""
        if state.began_s is not None:
            return state.began_s
        began_s = self._began.get(files.id)
        if began_s is None:
            began_s = first_time(files.faces)
            if began_s is None:
                return _time_of(files.id)
            with self._lock:
                self._began[files.id] = began_s
        return began_s

    def _basis(self, session: str) -> tuple[SessionFiles, float, Sequence[Excluded]] | None:
        """What the overview of a session depends on; None if there is none any more."""
        files = find_session(self.root, session)
        if files is None:
            return None
        state = self._state(files)
        return files, self._began_s(files, state), state.excluded

    def _prepare(self, session: str) -> None:
        """Compute what the replay of a session that has just been summed up needs, so that it opens at once."""
        with contextlib.suppress(SessionError):
            self.timeline(session)

    def _forget_others(self, ids: set[str]) -> None:
        with self._lock:
            self._states = {session: known for session, known in self._states.items() if session in ids}
            self._began = {session: known for session, known in self._began.items() if session in ids}
        self._overviews.forget_others(ids)


def _timed(edit: Edit, now_s: float | None) -> Edit:
    """A new marker without a time is set to now, in seconds since the session began, while it is being recorded."""
    if edit.get("do") != "mark" or "t" in edit or "id" in edit or now_s is None:
        return edit
    return {**edit, "t": round(now_s, 3)}


def _remove_folder(folder: Path) -> None:
    """Remove a folder, into which sums may be written meanwhile: without the rows, that does not happen again."""
    try:
        shutil.rmtree(folder)
    except OSError:
        if folder.exists():
            shutil.rmtree(folder)


def _time_of(session: str) -> float:
    """When a session began by its id, which is a local time, in seconds since the epoch."""
    try:
        return time.mktime(time.strptime(session[: len("session-YYYYMMDD-HHMMSS")], "session-%Y%m%d-%H%M%S"))
    except (ValueError, OverflowError):
        return 0.0

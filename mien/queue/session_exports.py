"""Reports and Parquet files of recorded sessions, made in another process, so that the live picture goes on."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import signal
import threading
from contextlib import suppress
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path

from mien.errors import BusyError, LoadingError, SessionError, StorageError
from mien.queue.storage import Storage
from mien.recording.overviews import stamp
from mien.recording.session_files import find_session
from mien.recording.sessions import Sessions

MAKE_WITHIN_S = 300.0
WAIT_S = 60.0
"""So long a request waits for those before it."""
MAX_KEPT = 8
NICE = 10

Stamp = tuple[object, ...]


class SessionExports:
    """Makes files of sessions, one after the other, and keeps the last MAX_KEPT; thread-safe.

        exports = SessionExports(sessions)
        path = exports.make("session-20260131-120000", "report.html")
        exports.close()

    Args:
        sessions: The sessions.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._lock = threading.Lock()  # held while a file is made; guards the rest
        self._storage = Storage()
        self._made: dict[tuple[str, str], tuple[Stamp, Path]] = {}
        self._numbers = count()
        self._closed = threading.Event()

    @property
    def parquet(self) -> bool:
        """Whether tables can be written as Parquet."""
        return importlib.util.find_spec("pyarrow") is not None

    def make(self, session: str, name: str) -> Path:
        """Make a file, or find it if nothing has changed since.

        Args:
            session: Id of the session.
            name: One of `mien.batch.session_files.NAMES`.

        Returns:
            The file, to be opened at once: it is removed after others were made.

        Raises:
            SessionError: There is no such session, or it cannot be made.
            BusyError: Others take too long.
            LoadingError: It takes too long, or the program is stopping.
        """
        files = self._sessions.files(session)
        if not self._lock.acquire(timeout=WAIT_S):
            raise BusyError("expected one file at a time, found others that are being made", 5.0)
        try:
            if self._closed.is_set():  # else it would create another folder
                raise LoadingError("expected a program that is running, found one that is stopping")
            self._drop_deleted()
            now = stamp(files.faces) + stamp(files.edits)
            kept = self._made.get((session, name))
            if kept is not None and kept[0] == now and kept[1].is_file():
                return kept[1]
            folder = self._storage.root / f"session-{next(self._numbers)}"
            path = self._run(session, name, folder)
            self._keep((session, name), now, path)
            return path
        except StorageError as error:
            raise SessionError(str(error)) from error
        finally:
            self._lock.release()

    def forget_deleted(self) -> None:
        """Remove the files of sessions that were deleted; while another is made, only before the next one."""
        if self._lock.acquire(blocking=False):
            try:
                self._drop_deleted()
            finally:
                self._lock.release()

    def close(self) -> None:
        """End what is being made, and remove all files; nothing is made any more.

        Repeated, it removes what a request still had open the first time (on Windows).
        """
        self._closed.set()
        with self._lock:
            self._made.clear()
            self._storage.close()

    # --- with the lock held

    def _drop_deleted(self) -> None:
        for session, name in list(self._made):
            if find_session(self._sessions.root, session) is None:
                _, path = self._made.pop((session, name))
                self._storage.remove(path.parent)

    def _keep(self, key: tuple[str, str], now: Stamp, path: Path) -> None:
        replaced = self._made.pop(key, None)
        self._made[key] = now, path
        oldest = [self._made.pop(next(iter(self._made)))] if len(self._made) > MAX_KEPT else []
        for _, old in [*oldest, *([replaced] if replaced else [])]:
            self._storage.remove(old.parent)

    def _run(self, session: str, name: str, folder: Path) -> Path:
        # A fork would share the locks of threads, and memory with the sockets of viewers.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(
            target=_make, args=(theirs, self._sessions.root, session, name, folder), name="mien report", daemon=True
        )
        process.start()
        theirs.close()
        try:
            answer = self._answer(ours)
        finally:
            process.kill()
            process.join()
            ours.close()
        if isinstance(answer, Path):
            return answer
        self._storage.remove(folder)
        if answer is None:
            raise LoadingError("expected a file sooner; it takes too long, or the program is stopping")
        raise SessionError(answer)

    def _answer(self, connection: Connection) -> Path | str | None:
        """The file, why it cannot be made, or None if it takes too long."""
        for _ in range(int(MAKE_WITHIN_S / 0.5)):
            if self._closed.is_set():
                return None
            try:
                if connection.poll(0.5):
                    found: Path | str = connection.recv()
                    return found
            except (EOFError, OSError):  # on Windows, asking fails already
                return "the process that makes it has ended, perhaps for lack of memory"
        return None


def _make(connection: Connection, root: Path, session: str, name: str, folder: Path) -> None:
    """In the other process: here it would import all that figures need."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one decides
    from mien.batch.session_files import make_session_file
    from mien.errors import MienError, one_line

    with suppress(OSError, AttributeError):  # Windows has no nice
        os.nice(NICE)
    try:
        connection.send(make_session_file(root, session, name, folder))
    except (MienError, OSError) as error:
        connection.send(one_line(error).removeprefix("report: "))

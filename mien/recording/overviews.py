"""The overviews of the sessions of a folder, computed once, in the background where nobody waits for them."""

from __future__ import annotations

import json
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from mien.recording.edits import Excluded
from mien.recording.overview import Overview, read_overview
from mien.recording.session_files import SessionFiles

PAUSE_S = 0.002
"""How long to wait after each thousand rows, so that the live picture does not wait."""

FORM = 3
"""Increases when sums that are stored would now be others."""

Key = tuple[object, ...]

Basis = tuple[SessionFiles, float, Sequence[Excluded]]

log = logging.getLogger(__name__)


class Overviews:
    """Overviews by the id of a session; thread-safe. They are kept in memory and, to be found again, in the sessions.

        overviews = Overviews(basis, changed)
        overview = overviews.known(files, state.excluded)

    Args:
        basis: Returns the files of a session, when it began in seconds since the epoch, and its excluded spans; None if
            there is no such session.
        changed: Called when an overview was computed.
        prepare: Called with the id of a session for which nobody waited, after its overview was computed.
    """

    def __init__(
        self,
        basis: Callable[[str], Basis | None],
        changed: Callable[[], object],
        prepare: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._prepare = prepare
        self._basis = basis
        self._changed = changed
        self._computing = threading.Lock()  # held while one is computed: others may wait for the same
        self._lock = threading.Lock()  # guards the rest
        self._known: dict[str, tuple[Key, Overview]] = {}
        self._waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._queued: set[str] = set()
        self._worker: threading.Thread | None = None

    def known(self, files: SessionFiles, excluded: Sequence[Excluded]) -> Overview | None:
        """The overview of a session if it is known; else it is computed in the background.

        Args:
            files: The files of the session.
            excluded: Its excluded spans.
        """
        found = self._find(files, _key(files, excluded))
        if found is None:
            self._request(files.id)
        return found

    def compute(self, session: str, pause_s: float = 0.0) -> None:
        """Compute the overview of a session, unless it is known.

        Args:
            session: Its id.
            pause_s: How long to wait after each thousand rows.
        """
        basis = self._basis(session)
        if basis is None:
            return
        files, _, excluded = basis
        key = _key(files, excluded)
        with self._computing:
            if self._find(files, key) is None:
                self._keep(files, key, _computed(files, key, basis, pause_s))
                self._changed()

    def forget_others(self, sessions: set[str]) -> None:
        """Forget all overviews but those of these sessions.

        Args:
            sessions: Ids.
        """
        with self._lock:
            self._known = {session: known for session, known in self._known.items() if session in sessions}

    def _find(self, files: SessionFiles, key: Key) -> Overview | None:
        known = self._known.get(files.id)
        if known is not None and known[0] == key:
            return known[1]
        stored = _stored(files, key)
        if stored is not None:
            self._keep(files, key, stored)
        return stored

    def _keep(self, files: SessionFiles, key: Key, overview: Overview) -> None:
        with self._lock:
            self._known[files.id] = (key, overview)

    def _request(self, session: str) -> None:
        with self._lock:
            if self._worker is None:
                worker = threading.Thread(target=self._run, name="sessions", daemon=True)
                try:
                    worker.start()
                except RuntimeError as error:  # the system allows no more threads: the next request tries again
                    log.warning("%s is not summed up: %s", session, error)
                    return
                self._worker = worker
            if session not in self._queued:
                self._queued.add(session)
                self._waiting.put(session)

    def _run(self) -> None:
        while True:
            session = self._waiting.get()
            with self._lock:  # before it is computed: what changes meanwhile is requested again
                self._queued.discard(session)
            try:
                self.compute(session, PAUSE_S)
                self._prepare(session)
            except Exception:  # of any kind: the others must not wait forever
                log.exception("%s cannot be summed up", session)


def stamp(path: Path) -> Key:
    """What changes with the content of a file; empty if there is none.

    Args:
        path: The file.
    """
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_size, found.st_mtime_ns


def _key(files: SessionFiles, excluded: Sequence[Excluded]) -> Key:
    return (FORM, *stamp(files.faces), *((span.start_s, span.end_s) for span in excluded))


def _computed(files: SessionFiles, key: Key, basis: Basis, pause_s: float) -> Overview:
    _, began_s, excluded = basis
    try:
        overview = read_overview(files.faces, began_s, excluded, pause_s)
    except (OSError, ValueError) as error:
        log.warning("%s cannot be read: %s", files.faces, error)
        return Overview(None, None, 0, 0, {})
    _store(files, key, overview)
    return overview


def _stored(files: SessionFiles, key: Key) -> Overview | None:
    try:
        stored = json.loads(files.overview.read_text(encoding="utf-8"))
        return Overview.from_json(stored["overview"]) if stored["of"] == json.loads(json.dumps(key)) else None
    except (OSError, ValueError, KeyError, TypeError):  # there is none, or somebody has changed it
        return None


def _store(files: SessionFiles, key: Key, overview: Overview) -> None:
    temporary = files.overview.with_suffix(".tmp")
    try:
        temporary.write_text(json.dumps({"of": key, "overview": asdict(overview)}) + "\n", encoding="utf-8")
        temporary.replace(files.overview)
    except OSError as error:  # it can be computed again
        log.debug("%s cannot be written: %s", files.overview, error)

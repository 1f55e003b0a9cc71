"""The sums of sessions that are being recorded: new rows are read when somebody asks for them."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterable, Sequence

from mien.clock import Clock
from mien.recording.edits import Excluded
from mien.recording.overview import Columns, Overview, RowSums
from mien.recording.session_files import SessionFiles

EVERY_S = 0.5
"""How often new rows are read at most, however many ask."""
MAX_SHARE = 0.05
"""Share of the time in which rows are read and summed up, at most: that of a recording of many hours takes long."""
MAX_ROWS = 50_000
"""Most rows that are read at once, in about a tenth of a second, so that the live picture does not wait: of a recording
that has been running for hours, there are more when somebody asks for the first time."""

log = logging.getLogger(__name__)


class RunningOverviews:
    """Overviews of sessions that are being recorded, by their id; thread-safe.

        running = RunningOverviews()
        overview = running.known(files, began_s, state.excluded)

    Args:
        clock: The computer's clock by default.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._lock = threading.Lock()  # guards the next
        self._readers: dict[str, _Reader] = {}

    def known(self, files: SessionFiles, began_s: float, excluded: Sequence[Excluded]) -> Overview | None:
        """The overview of the rows so far; None if older ones are still to be read, or they cannot be read.

        Args:
            files: The files of the session.
            began_s: When it began, in seconds since the epoch.
            excluded: Its excluded spans.
        """
        with self._lock:
            reader = self._readers.setdefault(files.id, _Reader(files, self._clock))
        try:
            return reader.overview(began_s, tuple(excluded))
        except (OSError, ValueError) as error:
            log.debug("%s cannot be read: %s", files.faces, error)
            return None

    def forget_others(self, sessions: Iterable[str]) -> None:
        """Forget all sessions but these.

        Args:
            sessions: Ids of those that are still being recorded.
        """
        with self._lock:
            kept = set(sessions)
            self._readers = {session: reader for session, reader in self._readers.items() if session in kept}


class _Reader:
    """Reads one file as it grows."""

    def __init__(self, files: SessionFiles, clock: Clock) -> None:
        self._path = files.faces
        self._clock = clock
        self._lock = threading.Lock()  # guards the rest
        self._columns: Columns | None = None
        self._sums = RowSums()
        self._offset = 0
        self._is_behind = False
        self._next_s = -math.inf
        self._known: tuple[tuple[float, tuple[Excluded, ...]], Overview] | None = None

    def overview(self, began_s: float, excluded: tuple[Excluded, ...]) -> Overview | None:
        with self._lock:
            now_s = self._clock.monotonic()
            if now_s >= self._next_s:
                self._next_s, self._known = now_s + EVERY_S, None
                self._read()
            if self._is_behind:
                return None
            basis = began_s, excluded
            if self._known is None or self._known[0] != basis:
                self._known = basis, self._sums.overview(began_s, excluded)
                took_s = self._clock.monotonic() - now_s
                self._next_s = max(self._next_s, now_s + took_s / MAX_SHARE)
            return self._known[1]

    def _read(self) -> None:
        with self._path.open("rb") as file:
            if self._columns is None:
                self._columns = Columns.of(file.readline(), self._path.name)
                self._offset = file.tell()
            file.seek(self._offset)
            self._is_behind = True
            for _ in range(MAX_ROWS):
                line = file.readline()
                if not line.endswith(b"\n"):  # the end, or a row that is being written
                    self._is_behind = False
                    return
                self._offset += len(line)
                if (row := self._columns.parse(line)) is not None:
                    self._sums.add(row)

"""The timelines of sessions, each computed once and kept beside its rows."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet

from mien.recording.overviews import stamp
from mien.recording.session_files import SessionFiles
from mien.recording.timeline import STEP_S, Timeline, read_timeline

KEPT = 4
"""Timelines in memory: one of an hour with five faces takes about 1.5 MB."""

PAUSE_S = 0.001
FORM = 3
"""Increases when the content of the files changes."""

log = logging.getLogger(__name__)


class Timelines:
    """Timelines by session; thread-safe.

    timelines = Timelines()
    timeline = timelines.get(files, began_s, wait_s=1.0)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the next two
        self._known: OrderedDict[str, tuple[str, Future[Timeline]]] = OrderedDict()
        self._pool: ThreadPoolExecutor | None = None

    def get(self, files: SessionFiles, began_s: float, wait_s: float = 0.0) -> Timeline | None:
        """The timeline of a session; None if it is still being computed.

        Args:
            files: Its files.
            began_s: When it began, in seconds since the epoch.
            wait_s: How long to wait for it.

        Raises:
            OSError: It cannot be read.
            ValueError: It is no recording.
        """
        key = f"{FORM} {STEP_S} {began_s:.3f} {stamp(files.faces)}"
        try:
            return self._future(files, began_s, key).result(wait_s)
        except (NotYet, CancelledError):  # cancelled to make room for others: asked for again, it is computed again
            return None

    def _future(self, files: SessionFiles, began_s: float, key: str) -> Future[Timeline]:
        with self._lock:
            known = self._known.get(files.id)
            if known is None or known[0] != key or (known[1].done() and known[1].exception() is not None):
                self._pool = self._pool or ThreadPoolExecutor(1, thread_name_prefix="timelines")
                known = self._known[files.id] = (key, self._pool.submit(_compute, files, began_s, key))
            self._known.move_to_end(files.id)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)[1][1].cancel()
            return known[1]


def _compute(files: SessionFiles, began_s: float, key: str) -> Timeline:
    if (stored := Timeline.load(files.timeline, key)) is not None:
        return stored
    timeline = read_timeline(files.faces, began_s, PAUSE_S)
    try:
        timeline.save(files.timeline, key)
    except OSError as error:  # it can be computed again
        log.debug("%s cannot be written: %s", files.timeline, error)
    return timeline

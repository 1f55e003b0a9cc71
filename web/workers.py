"""The threads that answer requests: as many as are needed, as far as the system allows."""

from __future__ import annotations

import errno
import logging
import queue
import threading
import time
from typing import Any

from cheroot.workers.threadpool import _SHUTDOWNREQUEST, ThreadPool  # type: ignore[attr-defined]

from mien.errors import ServerError

FIRST_WORKERS = 8
IDLE_WORKERS = 4
"""So many are kept waiting, because one that has just taken a request still counts as idle."""
KEEP_S = 30.0
"""A worker that waits longer than this for a connection ends, as far as enough others wait."""

NONE_LEFT = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
"""What the system answers when a process has too many files and sockets, or no memory."""
BACK_OFF_S = 0.2
REPEAT_S = 60.0

log = logging.getLogger(__name__)


class Shortage:
    """Something the system has no more of: logged once a minute, and waited for.

    shortage = Shortage()
    if shortage.notice(error):
        continue  # it has waited
    """

    def __init__(self) -> None:
        self._logged_s = -REPEAT_S

    def notice(self, error: BaseException | None) -> bool:
        """Wait a moment if an error is such a shortage.

        Args:
            error: What was raised.

        Returns:
            Whether it is one.
        """
        if not isinstance(error, OSError) or error.errno not in NONE_LEFT:
            return False
        self.report(f"a connection cannot be accepted, it waits: {error.strerror}")
        time.sleep(BACK_OFF_S)
        return True

    def report(self, text: str) -> None:
        """Log a warning, at most once a minute."""
        now_s = time.monotonic()
        if now_s - self._logged_s >= REPEAT_S:
            self._logged_s = now_s
            log.warning("%s", text)


class WorkerPool(ThreadPool):
    """Cheroot's pool, which starts a worker when one is missing, and ends those that are not needed.

    Args:
        server: The server.
        most: Number of workers it may have.
        shortage: Reports that the system allows no more threads.

    Example:
        server.requests = WorkerPool(server, most=336, shortage=Shortage())
    """

    _threads: list[Any]  # these are missing in Cheroot's type hints
    _queue: Any
    _spawn_worker: Any

    def __init__(self, server: Any, most: int, shortage: Shortage) -> None:
        super().__init__(server, min=min(FIRST_WORKERS, most), max=most)
        self._shortage = shortage
        self._lock = threading.Lock()  # guards the decisions how many workers there have to be
        self.get = self._take

    def grow(self, amount: int) -> None:
        """Start workers, as far as the system allows. Raises ServerError if it allows none at all."""
        for _ in range(amount):
            if len(self._threads) >= self.max or not self._add():
                break
        if not self._threads:
            raise ServerError("expected a system that allows this program more threads, found no room for one")

    def put(self, obj: Any) -> None:
        """Give a connection to the workers, and start another worker if few are idle."""
        with self._lock:
            if self.idle - self._queue.qsize() < IDLE_WORKERS and len(self._threads) < self.max:
                self._add()
            super().put(obj)

    def _take(self) -> Any:
        """In a worker: wait for a connection, or for what ends it."""
        while True:
            try:
                return self._queue.get(timeout=KEEP_S)
            except queue.Empty:
                pass
            with self._lock:
                if len(self._threads) > self.min and self.idle - self._queue.qsize() > IDLE_WORKERS:
                    worker = threading.current_thread()
                    self._threads.remove(worker)
                    self.server.stats["Worker Threads"].pop(worker.name, None)  # would keep it forever
                    return _SHUTDOWNREQUEST

    def _add(self) -> bool:
        try:
            self._threads.append(self._spawn_worker())
        except (RuntimeError, MemoryError):
            self._shortage.report(
                f"the system allows no more threads: requests share the {len(self._threads)} there are"
            )
            return False
        return True

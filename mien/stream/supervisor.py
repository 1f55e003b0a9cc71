"""Keeps the analysis running: replaces its thread if it hangs or ends."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from mien.stream.config import Services, Timeouts
from mien.stream.health import Health

MAX_HUNG_THREADS = 4
"""While this many abandoned threads hang, no further one is started."""
MAX_RESTARTS = 5
"""A thread that has ended this often is not started again."""
STANDSTILL_S = 2.0
"""If checks are this far apart, the whole process was suspended, which is no fault of the analysis."""

log = logging.getLogger(__name__)


class Supervisor:
    """Runs a function in a thread from `start` to `stop`, and in a new thread if the first one hangs or ends.

    A thread cannot be ended from outside. One that hangs, for example inside a detector, is abandoned: the function
    `current` that it was given returns False from then on, and it ends if it ever gets that far.

        def work(current):
            while current():
                with health.busy():
                    analyze_next_frame()

        supervisor = Supervisor(work, health, Services(), Timeouts())
        supervisor.start()

    Args:
        work: The function; it returns once the function it is given returns False.
        health: Knows how long the thread has been busy with one frame.
        services: Whose `clock` and `renew` are used.
        timeouts: How long one frame may take, and how often to check.

    Attributes:
        failed: Why there is no further attempt; None while there is hope.
    """

    def __init__(
        self,
        work: Callable[[Callable[[], bool]], None],
        health: Health,
        services: Services,
        timeouts: Timeouts,
    ) -> None:
        self.failed: str | None = None
        self._work = work
        self._health = health
        self._services = services
        self._timeouts = timeouts
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None
        self._thread: threading.Thread | None = None  # the current one; a new one replaces it
        # These belong to the watcher.
        self._hung: list[threading.Thread] = []
        self._restarts = 0
        self._not_before_s = -1.0

    def start(self) -> None:
        """Start the thread, and another one that watches it."""
        self._start_thread()
        watcher = threading.Thread(target=self._watch, name="inference watcher", daemon=True)
        watcher.start()
        self._watcher = watcher  # only once it runs, as `stop` joins it

    def stop(self, timeout_s: float) -> None:
        """End both threads; one that hangs is abandoned after `timeout_s`."""
        self._stopping.set()
        deadline_s = time.monotonic() + timeout_s
        for thread in (self._watcher, self._thread):
            if thread is not None and thread is not threading.current_thread():
                thread.join(max(0.0, deadline_s - time.monotonic()))
        if self._thread is not None and self._thread.is_alive():
            log.warning("the analysis did not end within %g s", timeout_s)

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._run, name="inference", daemon=True)
        before, self._thread = self._thread, thread
        try:
            thread.start()
        except RuntimeError:  # the system allows no more threads
            self._thread = before
            raise

    def _run(self) -> None:
        thread = threading.current_thread()
        try:
            self._work(lambda: thread is self._thread and not self._stopping.is_set())
        except BaseException:  # of any kind: the watcher starts another one
            log.exception("the analysis ended unexpectedly")

    # --- in the watcher's thread

    def _watch(self) -> None:
        checked_s = time.monotonic()
        while not self._stopping.wait(self._timeouts.tick_s):
            now_s = time.monotonic()
            if now_s - checked_s > STANDSTILL_S:
                self._not_before_s = self._services.clock.monotonic()
            checked_s = now_s
            try:
                self._check()
            except BaseException:  # such as no more threads: the next check tries again
                log.exception("the analysis cannot be started again")
                self._stopping.wait(1.0)

    def _check(self) -> None:
        assert self._thread is not None
        self._hung = [thread for thread in self._hung if thread.is_alive()]
        if self._thread in self._hung:  # it was given up, and there was no room for another one
            self._replace()
        elif not self._thread.is_alive():
            self._restart()
        elif self._is_hanging():
            self._hung.append(self._thread)
            log.warning(
                "the analysis hangs: its thread is abandoned, %d of at most %d", len(self._hung), MAX_HUNG_THREADS
            )
            self._replace()

    def _is_hanging(self) -> bool:
        since_s = self._health.busy_since_s
        if since_s is None:
            return False
        return self._services.clock.monotonic() - max(since_s, self._not_before_s) >= self._timeouts.abandon_after_s

    def _replace(self) -> None:
        """Start another thread in place of one that hangs."""
        if len(self._hung) >= MAX_HUNG_THREADS:
            self.failed = f"the analysis hangs, in {MAX_HUNG_THREADS} threads"
            return
        try:
            self._services.renew()
        except BaseException:  # of any kind, also SystemExit: go on with the old ones
            log.exception("what hangs cannot be replaced")
        self._health.forget_busy()
        self._start_thread()
        self.failed = None

    def _restart(self) -> None:
        """Start another thread in place of one that has ended, or was given up and came back."""
        if self._stopping.is_set():
            return
        self._health.failed("the analysis ended unexpectedly; see the log")
        if self._restarts >= MAX_RESTARTS:
            self.failed = f"the analysis ended unexpectedly, {MAX_RESTARTS + 1} times"
            return
        self._restarts += 1
        self._health.forget_busy()
        self._start_thread()
        self.failed = None

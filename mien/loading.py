"""Load something that takes seconds in the background."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")


class Loading(Generic[T]):
    """A value that a separate thread loads after `start`; thread-safe.

    Unlike the threads of an executor, this one does not keep the process from exiting.

        network = Loading(load_network)
        network.start()
        print(network.done)
        network.result()  # waits, and raises what load_network raised

    Args:
        load: Returns the value; called once.
    """

    def __init__(self, load: Callable[[], T]) -> None:
        self._load = load
        self._future: Future[T] = Future()
        self._lock = threading.Lock()
        self._started = False
        self._traceback: TracebackType | None = None

    def start(self) -> None:
        """Start loading, unless it has been started already."""
        with self._lock:
            if not self._started:
                threading.Thread(target=self._run, name="loading", daemon=True).start()
                self._started = True  # only once it runs: else the next call tries again

    @property
    def done(self) -> bool:
        """Whether `result` returns or raises at once."""
        return self._future.done()

    def wait(self, timeout_s: float) -> bool:
        """Wait until it is loaded or has failed.

        Args:
            timeout_s: How long, in seconds.

        Returns:
            As `done`.
        """
        return bool(wait([self._future], timeout_s).done)

    def result(self) -> T:
        """The value; waits for it, and starts loading if necessary. Raises what `load` raised."""
        self.start()
        error = self._future.exception()
        if error is not None:  # each time with the same traceback: each `raise` adds frames, and all that they refer to
            raise error.with_traceback(self._traceback)
        return self._future.result()

    def _run(self) -> None:
        try:
            value = self._load()
        except BaseException as error:  # of any kind: whoever waits gets it
            self._traceback = error.__traceback__
            self._future.set_exception(error)
        else:
            self._future.set_result(value)

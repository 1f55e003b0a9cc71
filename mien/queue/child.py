"""The process that analyzes, as the program sees it: started, sent messages, and ended."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

END_S = 1.0
"""So long after it was asked to end, or its connection broke, it is ended."""


class Child:
    """A process that runs `mien.queue.worker.serve`.

        child = Child(receive, lost)
        child.send("analyze", order)
        child.end()

    Args:
        receive: Is called with each message, in another thread.
        lost: Is called once, after the last message, with this object and why the process has ended.
        target: What the process runs, with its connection.

    Raises:
        OSError, RuntimeError: The system allows no more processes or threads.
    """

    def __init__(
        self,
        receive: Callable[..., None],
        lost: Callable[[Child, str], None],
        target: Callable[[Connection], None] | None = None,
    ) -> None:
        # A fork would share the locks of threads, and memory with the sockets of viewers.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=target or _serve, args=(theirs,), name="mien jobs", daemon=True)
        self._receive, self._lost = receive, lost
        self._sending = threading.Lock()
        self._reader = threading.Thread(target=self._read, name="jobs", daemon=True)
        try:
            self._process.start()
            self._start_reader()
        except BaseException:
            self._connection.close()
            raise
        finally:
            theirs.close()

    @property
    def pid(self) -> int | None:
        """Number of the process."""
        return self._process.pid

    def send(self, *message: Any) -> None:
        """Send a message; if the process has ended, `lost` is called soon."""
        with self._sending, suppress(OSError):
            self._connection.send(message)

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    def end(self) -> None:
        """End the process, at once if it is analyzing, and wait until it has ended; `lost` is called as always."""
        self.send("end")
        self._process.join(END_S)
        if self._process.is_alive():
            self.kill()
        self._reader.join(END_S)

    def _start_reader(self) -> None:
        try:
            self._reader.start()
        except BaseException:  # nobody would notice what the process says, or that it has ended
            self._process.kill()
            self._process.join()
            raise

    def _read(self) -> None:
        try:
            while (message := self._next_message()) is not None:
                self._receive(*message)
        finally:
            self._process.join(END_S)
            if self._process.is_alive():
                self.kill()
                self._process.join()
            with self._sending:  # closed while another thread sends, its message would go to nowhere or another file
                self._connection.close()
            self._lost(self, _cause(self._process.exitcode))

    def _next_message(self) -> tuple[Any, ...] | None:
        with suppress(EOFError, OSError):
            message: tuple[Any, ...] = self._connection.recv()
            return message
        return None


def _serve(connection: Connection) -> None:
    from mien.queue.worker import serve  # in the other process: here it would import all that analysis needs

    serve(connection)


def _cause(status: int | None) -> str:
    """Why a process ended, from its exit status."""
    if status is not None and status < 0:
        with suppress(ValueError):
            name = signal.Signals(-status).name
            return f"{name}, perhaps for lack of memory" if name == "SIGKILL" else name
    return f"exit status {status}"

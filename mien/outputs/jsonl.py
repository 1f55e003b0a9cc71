"""JSON Lines: each message as one line of a file, a named pipe or the standard output. https://jsonlines.org"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import stat
import sys
from pathlib import Path

from mien.errors import OutputError, SettingsError
from mien.options import from_home
from mien.outputs.addresses import Address
from mien.outputs.base import Output
from mien.outputs.messages import Message
from mien.recording import has_name

PIECE_BYTES = 4096
"""A pipe that is ready takes at least this much at once (PIPE_BUF of Linux)."""

READY_S = 0.2


class JsonLines(Output):
    """Appends to a file, or writes to the standard output.

    A file that is moved or deleted is created anew, so programs that rotate logs may do so. In a named pipe, or to
    the standard output, a reader that does not read delays nothing: frames are dropped meanwhile.

    Args:
        address: `jsonl:FILE` or `jsonl:-`.
    """

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        if not address.rest:
            raise SettingsError("--out: expected jsonl:FILE or jsonl:-, found no name of a file")
        self._path = None if address.rest == "-" else Path(from_home(address.rest))
        if self._path is not None and (self._path.is_dir() or not self._path.absolute().parent.is_dir()):
            found = "a folder" if self._path.is_dir() else "a folder that does not exist in front of it"
            raise SettingsError(f"--out: expected the name of a file after jsonl:, found {found}")
        self._file: int | None = None
        self._is_regular = False

    def open(self) -> None:
        """Open or create the file."""
        if self._path is None:
            self._file = os.dup(sys.stdout.fileno())
        else:
            self._file = _open(self._path)
        self._is_regular = stat.S_ISREG(os.fstat(self._file).st_mode)

    def send(self, message: Message) -> None:
        """Write a line."""
        self.check()
        assert self._file is not None
        data = message.json.encode("ascii") + b"\n"
        if not self._is_regular:
            self._write_when_ready(self._file, data)
            return
        size = os.fstat(self._file).st_size
        try:
            _write_all(self._file, data)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, size)  # a full disk may have taken half a line
            raise

    def check(self) -> None:
        """Whether the file still has its name."""
        if self._path is None or self._file is None or not self._is_regular:
            return
        if not has_name(os.fstat(self._file), self._path):
            self.close()
            self.open()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            file, self._file = self._file, None
            os.close(file)

    def _write_when_ready(self, file: int, data: bytes) -> None:
        """Write to something that may be full, without waiting in the system, where nothing could end the wait."""
        rest = memoryview(data)
        while rest:
            if _can_wait() and not select.select([], [file], [], READY_S)[1]:
                if self.stopping.is_set():
                    return
                continue
            try:
                rest = rest[os.write(file, rest[:PIECE_BYTES]) :]
            except BlockingIOError:  # another process writes into it, too
                self.stopping.wait(READY_S / 10)
            except BrokenPipeError:
                raise OutputError("nobody reads it any more", permanent=self._path is None) from None


def _can_wait() -> bool:
    return os.name == "posix"


def _open(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        # Without O_NONBLOCK, a named pipe that nobody reads would hold the thread.
        return os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise OutputError("nobody reads the pipe") from None
        raise


def _write_all(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]

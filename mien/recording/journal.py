"""The file of a session's edits: an edit a line, only ever appended to, each on the disk before it counts."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mien.errors import SessionError
from mien.recording import sync_file
from mien.recording.edits import Edit, SessionState, apply

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

MAX_BYTES = 16 * 1024 * 1024

log = logging.getLogger(__name__)

_lock = threading.Lock()  # edits are rare, so one lock is enough for all sessions


def create_journal(path: Path, edit: Edit) -> None:
    """Create the file with its first edit.

    Args:
        path: The file.
        edit: The first edit.

    Raises:
        OSError: It exists, or cannot be written.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    with _closing(descriptor):
        _write(descriptor, [edit])


def read_journal(path: Path) -> SessionState:
    """The state of a session.

    Args:
        path: The file; a session without one has no edits. A last line that a kill has cut off does not count, nor do
            lines that are no valid edits.

    Raises:
        OSError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return _state(file.read(MAX_BYTES), path)
    except FileNotFoundError:
        return SessionState()


def append_edits(path: Path, make: Callable[[SessionState], Sequence[Edit]], *, create: bool = False) -> SessionState:
    """Append edits, and return when they are on the disk; thread-safe, and on POSIX systems process-safe.

    Args:
        path: The file; a last line that a kill has cut off is removed.
        make: Returns the edits for the present state; it is called once, and nothing is written if it raises.
        create: Whether to create a missing file.

    Returns:
        The state after the edits.

    Raises:
        SessionError: One of them is not valid, or there are too many.
        OSError: The file cannot be written, or does not exist.
    """
    flags = os.O_RDWR | os.O_APPEND | (os.O_CREAT if create else 0) | getattr(os, "O_BINARY", 0)
    with _lock, _closing(os.open(path, flags, 0o666)) as descriptor, _held(descriptor):
        data = _read(descriptor)
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.ftruncate(descriptor, whole)
        state = _state(data, path)
        edits = make(state)
        for edit in edits:
            state = apply(state, edit)
        if whole + _write(descriptor, edits, dry=True) > MAX_BYTES:
            raise SessionError(f"expected at most {MAX_BYTES >> 20} MB of edits")
        try:
            _write(descriptor, edits)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, whole)  # a full disk may have taken half of a line
            raise
        return state


def _state(data: bytes, path: Path) -> SessionState:
    state = SessionState()
    for line in data[: data.rfind(b"\n") + 1].splitlines():
        try:
            edit = json.loads(line)
            state = apply(state, edit if isinstance(edit, dict) else {})
        except (ValueError, RecursionError, SessionError) as error:  # somebody else has written it
            log.debug("%s: a line does not count: %s", path, error)
    return state


def _write(descriptor: int, edits: Sequence[Edit], *, dry: bool = False) -> int:
    """Write all edits at once and wait for the disk; returns the number of bytes."""
    data = b"".join(json.dumps(edit, ensure_ascii=True, allow_nan=False).encode() + b"\n" for edit in edits)
    if dry or not data:
        return len(data)
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    sync_file(descriptor)
    return len(data)


def _read(descriptor: int) -> bytes:
    os.lseek(descriptor, 0, os.SEEK_SET)
    pieces = []
    while piece := os.read(descriptor, 1 << 20):
        pieces.append(piece)
    return b"".join(pieces)


@contextlib.contextmanager
def _closing(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _held(descriptor: int) -> Iterator[None]:
    """Hold the file's lock, which ends with its descriptor."""
    if fcntl is not None:
        with contextlib.suppress(OSError):  # not every file system has locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield

"""One run at a time in a folder of results: a lock of the operating system, which ends with its process."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mien.errors import SettingsError

FILE = ".lock"

_HELD = errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK
"""What the systems answer where another process holds the lock; other errors: the file system has no locks."""


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; that of a process that was killed is free.

        with exclusive(Path("results")):
            ...

    Args:
        folder: A folder that exists; the file FILE in it is created, and removed at the end.

    Raises:
        SettingsError: Another process holds the lock.
        OSError: The file cannot be created.
    """
    path = folder / FILE
    descriptor = _locked(path)
    while not _is_that_of(path, descriptor):  # the process that held it has removed it meanwhile
        os.close(descriptor)
        descriptor = _locked(path)
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes no open file
            path.unlink()
        os.close(descriptor)
        if sys.platform == "win32":
            with suppress(OSError):  # the next run has it open
                path.unlink()


def _locked(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _lock(descriptor)
    except OSError as error:
        if error.errno in _HELD:
            os.close(descriptor)
            raise SettingsError(
                f"--out: expected a folder that no other run writes to, found one that writes to {path.parent}"
            ) from error
    return descriptor


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_that_of(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False

"""Uploaded files on disk: one private temporary folder for each run of the program, removed even after a kill."""

from __future__ import annotations

import logging
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from mien.errors import StorageError

PREFIX = "mien-jobs-"
LOCK = "lock"
ATTEMPTS = 10
UNLOCKED_S = 60.0

log = logging.getLogger(__name__)

FreeBytes = Callable[[Path], int]
"""Free space of the disk on which a folder is, in bytes."""


def free_bytes(folder: Path) -> int:
    """Free space of the disk on which a folder is, in bytes."""
    return shutil.disk_usage(folder).free


class Storage:
    """A folder that only this user can open, created when it is first needed; not thread-safe.

    A lock that the system drops when the process ends, however it ends, shows other runs that the folder is in use.

        storage = Storage()
        folder = storage.new_folder("name")
        storage.close()

    Args:
        parent: Where to create it; by default the system's folder for temporary files, see `tempfile.gettempdir`.
        keep_bytes: So much of the disk is left free.
        free: Measures the free space.
    """

    def __init__(self, parent: Path | None = None, keep_bytes: int = 0, free: FreeBytes = free_bytes) -> None:
        self._parent = parent
        self._keep_bytes = keep_bytes
        self._free = free
        self._lock: int | None = None
        self._root: Path | None = None
        self._leftover: set[Path] = set()

    @property
    def root(self) -> Path:
        """The folder, a new one if it was removed. Raises StorageError if it cannot be created."""
        if self._root is not None and not _is_own_folder(self._root):  # as by a cleaner of temporary files
            self.close()
            self._root = None  # also if something else has its name
        if self._root is None:
            try:
                self._root, self._lock = _create(self._parent or Path(tempfile.gettempdir()))
            except OSError as error:
                reason = error.strerror or error
                raise StorageError(
                    f"expected a folder for temporary files, but none can be written: {reason}"
                ) from error
        return self._root

    def new_folder(self, name: str) -> Path:
        """Create a folder in it.

        Args:
            name: One that does not exist.

        Raises:
            StorageError: It cannot be created.
        """
        folder = self.root / name
        try:
            folder.mkdir(mode=0o700)
        except OSError as error:
            raise StorageError(f"expected a folder for temporary files to write to: {error.strerror}") from error
        return folder

    def temporary_file(self) -> IO[bytes]:
        """A file in it that disappears when it is closed. Raises StorageError."""
        try:
            return tempfile.TemporaryFile(dir=self.root)
        except OSError as error:
            raise StorageError(f"expected a folder for temporary files to write to: {error.strerror}") from error

    def check_free(self, more_bytes: int) -> None:
        """Check that so much may be written.

        Args:
            more_bytes: How much.

        Raises:
            StorageError: Less than `keep_bytes` would be left.
        """
        try:
            found = self._free(self.root)
        except OSError as error:
            raise StorageError(f"the folder for temporary files cannot be read: {error.strerror}") from error
        if found - more_bytes < self._keep_bytes:
            raise StorageError(
                f"expected {shown_size(more_bytes)} and {shown_size(self._keep_bytes)} to spare on the disk for "
                f"temporary files, found {shown_size(found)} free"
            )

    def remove(self, path: Path) -> None:
        """Remove a file or folder in it, later if another process still has it open (on Windows)."""
        if not _remove(path):
            self._leftover.add(path)

    def remove_leftover(self) -> None:
        """Try again to remove what could not be removed."""
        self._leftover = {path for path in self._leftover if not _remove(path)}

    def close(self) -> None:
        """Remove the folder with everything in it; to be repeated if a process still has a file open (on Windows)."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if self._root is not None and _remove(self._root):
            self._root = None


def remove_abandoned(parent: Path | None = None) -> int:
    """Remove the folders of runs that were killed; never that of a process that is running.

    Args:
        parent: Where they are; by default the system's folder for temporary files.

    Returns:
        How many were removed.
    """
    removed = 0
    try:
        found = [path for path in (parent or Path(tempfile.gettempdir())).glob(f"{PREFIX}*") if _is_own_folder(path)]
    except OSError:
        return 0
    for folder in found:
        with suppress(OSError):
            try:
                lock = _lock(folder / LOCK, create=False)
            except FileNotFoundError:
                if time.time() - folder.stat().st_mtime > UNLOCKED_S:  # else it is being created
                    folder.rmdir()
                continue
            if lock is None:
                continue
            try:
                for path in folder.iterdir():
                    if path.name != LOCK:  # last, so that a removal that is interrupted can be continued
                        _remove(path)
            finally:
                os.close(lock)
            removed += _remove(folder)
    return removed


def _create(parent: Path) -> tuple[Path, int]:
    for _ in range(ATTEMPTS):
        root = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        lock = _lock(root / LOCK, create=True)
        if lock is not None and (root / LOCK).exists():  # else a run that starts just now has taken it for abandoned
            return root, lock
        if lock is not None:
            os.close(lock)
    raise OSError(f"{parent}: no folder could be locked")


def _is_own_folder(path: Path) -> bool:
    """Whether a path is a folder of this user, and not a link, which somebody else may have placed there."""
    with suppress(OSError):
        found = path.lstat()
        return stat.S_ISDIR(found.st_mode) and (not hasattr(os, "getuid") or found.st_uid == os.getuid())
    return False


def _lock(path: Path, *, create: bool) -> int | None:
    """Lock a file until its descriptor is closed, and return that; None if another process has locked it.

    Other processes do not inherit the descriptor. Raises OSError if there is no file, or locks do not work.
    """
    descriptor = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o600)
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        os.close(descriptor)
        return None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _remove(path: Path) -> bool:
    """Remove a file, or of a folder all that can be removed; whether nothing is left."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)  # goes on after a file that is open, unlike without
            if path.exists():
                path.rmdir()  # says why not
        else:
            path.unlink(missing_ok=True)
    except FileNotFoundError:
        return True
    except OSError as error:
        log.debug("%s cannot be removed yet: %s", path, error)
        return False
    return True


def shown_size(count: int) -> str:
    """A number of bytes, as messages show it."""
    for factor, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count} bytes"

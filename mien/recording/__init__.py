"""Recordings: the CSV file and the video. No existing file is ever overwritten."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import IO

MAX_NUMBER = 9999

GONE = "it was moved or deleted"

_NO_SYNC = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}  # not every file system supports it


def new_file(path: Path) -> tuple[Path, IO[bytes]]:
    """Create a file of this name or, if it exists, of the first free name among NAME-2.EXT, NAME-3.EXT, ...

    Args:
        path: The name wanted.

    Returns:
        The path and the file, open for writing without a buffer.

    Raises:
        OSError: The file cannot be created.
    """
    for number in range(1, MAX_NUMBER + 1):
        numbered = path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        with contextlib.suppress(FileExistsError):
            return numbered, numbered.open("xb", buffering=0)
    raise OSError(errno.ENOSPC, f"all names up to {numbered.name} are taken")


def has_name(file: os.stat_result, path: Path) -> bool:
    """Whether a file can still be found under its name: what is written to a deleted file is lost.

    Args:
        file: What `os.fstat` or `os.stat` said when it was created.
        path: Where it was created.
    """
    try:
        return os.path.samestat(file, path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # a network drive that does not respond proves nothing
        return True


def sync_file(descriptor: int) -> None:
    """Wait until what was written is on the disk, where the file system can say so.

    Args:
        descriptor: Of the open file.

    Raises:
        OSError: It cannot be brought to the disk.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def reason_of(error: BaseException) -> str:
    """Why writing failed, in a few words, without the path.

    Args:
        error: What was raised.
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__

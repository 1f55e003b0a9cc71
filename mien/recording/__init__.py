"""Recordings: the CSV file and the video. No existing file is ever overwritten."""

from __future__ import annotations

import contextlib
import errno
from pathlib import Path
from typing import IO

MAX_NUMBER = 9999


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

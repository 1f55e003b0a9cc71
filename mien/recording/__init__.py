"""Files that are new: none that exists is ever written over."""

from __future__ import annotations

import contextlib
import errno
from pathlib import Path
from typing import IO

MOST = 9999


def new_file(path: Path) -> tuple[Path, IO[bytes]]:
    """Make a file of this name or, where it is taken, of the first free one of NAME-2.EXT, NAME-3.EXT, ...

    Gives its path and the file, open for writing and without a buffer. Raises OSError.
    """
    for number in range(1, MOST + 1):
        numbered = path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        with contextlib.suppress(FileExistsError):
            return numbered, numbered.open("xb", buffering=0)
    raise OSError(errno.ENOSPC, f"all names up to {numbered.name} are taken")

"""What this process holds: memory that is free, and files and sockets that may be open at once."""

from __future__ import annotations

import ctypes
import gc
import sys
from contextlib import suppress

OPEN_FILES = 4096
"""Enough for all streams and the connections that wait; macOS gives a program 256 unless it asks for more."""


def give_back() -> None:
    """Free what nobody refers to any more; where the C library is glibc, give all that is free back to the system.

    Loading and optimising a network leaves 50 MB in Python objects that refer to each other, and over 100 MB that glibc
    would keep for later. See malloc_trim(3). What is left, 400,000 objects of TensorFlow above all, stays: Python
    need not look through it again and again, a quarter of a second each time.
    """
    gc.collect()
    gc.freeze()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library, such as musl
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def allow_open_files(count: int = OPEN_FILES) -> None:
    """Raise this process' own limit to so many, or as near to it as the system lets it; never lower it."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    endless = resource.RLIM_INFINITY  # -1 on some systems
    wanted = count if hard == endless else min(count, hard)
    if soft != endless and soft < wanted:
        with suppress(OSError, ValueError):  # then it has to do with what it has
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

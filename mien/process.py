"""Resources of this process: memory to release, and the limit of open files."""

from __future__ import annotations

import ctypes
import gc
import io
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

ARENAS = 2
"""Parts into which glibc divides the memory of this process, see `limit_arenas`."""

_M_ARENA_MAX = -8  # from malloc.h

OPEN_FILES = 4096
"""Enough for all streams and waiting connections; macOS allows a program 256 unless it asks for more."""

standard_error_lock = threading.RLock()
"""Held while file descriptor 2 leads elsewhere: a second thread would take that for where it belongs, and put it back
there for good."""


def limit_arenas(count: int = ARENAS) -> None:
    """Let all threads share a few arenas of memory, with glibc; to be called before threads are started.

    By default each thread takes another arena until there are eight for each core, and what a detection needs for a
    moment (12 MB for 640x480) stays in each one that was ever used for it: 180 MB on two cores. Two arenas are as fast.
    See mallopt(3).

    Args:
        count: Number of arenas.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library, such as musl
            ctypes.CDLL("libc.so.6").mallopt(_M_ARENA_MAX, count)


def release_memory() -> None:
    """Collect garbage and return free memory to the system.

    Loading and optimizing a network leaves 50 MB of unreachable Python objects, and over 100 MB that glibc would keep
    (see malloc_trim(3)). What remains, mostly 400,000 objects of TensorFlow, is excluded from later collections, which
    would otherwise take a quarter of a second each.
    """
    gc.collect()
    gc.freeze()
    trim_memory()


def trim_memory() -> None:
    """Return free memory to the system, which glibc would keep; takes some milliseconds, in which others may wait."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library, such as musl
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def copy_standard_error() -> None:
    """Let Python write to a copy of file descriptor 2, which is silenced while TensorFlow and LiteRT start.

    Without the copy, what other threads write meanwhile would be lost.
    """
    with suppress(OSError, AttributeError):  # no console
        sys.stderr = open(  # noqa: PTH123, SIM115  open as long as the process runs
            os.dup(sys.stderr.fileno()), "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace"
        )


def escape_standard_output() -> None:
    """Write characters that standard output cannot express as escapes, as Python does on standard error."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # not in a notebook, or without a console
        sys.stdout.reconfigure(errors="backslashreplace")


def raise_open_file_limit(count: int = OPEN_FILES) -> None:
    """Raise the limit of open files and sockets of this process, as far as the system permits; never lower it.

    Args:
        count: The limit wanted.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY  # -1 on some systems
    wanted = count if hard == unlimited else min(count, hard)
    if soft != unlimited and soft < wanted:
        with suppress(OSError, ValueError):  # then the current limit stays
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextmanager
def without_notes(start: bytes) -> Iterator[None]:
    """Leave out lines that a library writes to file descriptor 2; other lines appear at the end.

    Args:
        start: Of the lines to leave out.
    """
    sys.stderr.flush()
    with ExitStack() as stack:
        stack.enter_context(standard_error_lock)
        try:
            kept = os.dup(2)
        except OSError:  # there is no standard error, as without a console
            yield
            return
        stack.callback(os.close, kept)
        try:
            written = stack.enter_context(tempfile.TemporaryFile())
        except OSError:  # no folder for temporary files can be written
            yield
            return
        os.dup2(written.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            written.seek(0)
            os.write(kept, b"".join(line for line in written if not line.startswith(start)))

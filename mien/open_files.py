"""How many files and sockets this process may hold open at once."""

from __future__ import annotations

from contextlib import suppress

OPEN_FILES = 4096
"""Enough for all streams and the connections that wait; macOS gives a program 256 unless it asks for more."""


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

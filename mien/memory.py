"""Memory that is free but still held."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress


def give_back() -> None:
    """Give freed memory back to the system, where the C library is glibc; elsewhere nothing happens.

    Loading and optimising a network leaves over 100 MB that glibc would keep for later. See malloc_trim(3).
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library, such as musl
            ctypes.CDLL("libc.so.6").malloc_trim(0)

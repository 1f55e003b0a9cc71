"""The program of main.py, with one thread more, which says on standard output what only the process itself knows.

`python -m benchmarks.soak.observed --source demo` answers each line on standard input with a line of JSON.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import re
import runpy
import sys
import threading
from collections import Counter
from contextlib import suppress

from benchmarks.program import ROOT


def main() -> None:
    """Answer questions in the background, and be main.py with these options."""
    answers = os.dup(1)
    os.dup2(2, 1)
    threading.Thread(target=answer, args=(answers,), name="observer", daemon=True).start()
    path = str(ROOT / "main.py")
    sys.argv = [path, *sys.argv[1:]]
    runpy.run_path(path, run_name="__main__")


def answer(to: int) -> None:
    """Answer `threads` and `trim` until standard input ends.

    Args:
        to: Descriptor for the answers.
    """
    for line in sys.stdin:
        if line.strip() == "trim":
            trim()
        known = {"threads": threads(), "in_use_mb": in_use_mb(), "objects": sys.getallocatedblocks()}
        os.write(to, json.dumps(known).encode() + b"\n")


def threads() -> Counter[str]:
    """The number of threads of each name, without the numbers in names."""
    return Counter(re.sub(r"[-_ ]?\d+.*", "", each.name) for each in threading.enumerate())


class _Malloc(ctypes.Structure):
    """`struct mallinfo2` of glibc, see mallinfo(3): ten sizes in bytes."""

    _fields_ = [("sizes", ctypes.c_size_t * 10)]


MAPPED, IN_ARENAS = 4, 7
"""Places in `_Malloc` of what is handed out: large blocks, which have mappings of their own, and all others."""


def in_use_mb() -> float:
    """What the C library has handed out and not got back, in MiB; 0 where it does not tell."""
    with suppress(OSError, AttributeError):
        ask = ctypes.CDLL(None).mallinfo2
        ask.restype = _Malloc
        sizes = ask().sizes
        return float(sizes[MAPPED] + sizes[IN_ARENAS]) / 2**20
    return 0.0


def trim() -> None:
    """Collect garbage and return memory that is free to the system, where the C library can: see malloc_trim(3)."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


if __name__ == "__main__":
    main()

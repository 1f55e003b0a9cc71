"""The program of main.py, with one thread more, which says on standard output what only the process itself knows.

`python -m benchmarks.soak.observed --source demo` answers each line on standard input with a line of JSON.
"""

from __future__ import annotations

import ctypes
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
        os.write(to, json.dumps(threads()).encode() + b"\n")


def threads() -> Counter[str]:
    """The number of threads of each name, without the numbers in names."""
    return Counter(re.sub(r"[-_ ]?\d+.*", "", each.name) for each in threading.enumerate())


def trim() -> None:
    """Return memory that is free to the system, where the C library can (glibc); see malloc_trim(3)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


if __name__ == "__main__":
    main()

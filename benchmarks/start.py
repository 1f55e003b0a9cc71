"""How long the program takes from its start to the first annotated picture, and how much memory it then needs.

    python -m benchmarks.start

Beside it, the time that Python takes to import OpenCV and Flask, without which no program of this kind can start.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.crowd import crowd
from benchmarks.latency import playing
from benchmarks.program import Program

STARTS = 5
IMPORTS = "import cv2, flask"


def measure_start(python: str | Path = sys.executable, starts: int = STARTS) -> dict[str, float]:
    """Medians of several starts on the demo, alternating with those of a Python that only imports OpenCV and Flask.

    Args:
        python: The interpreter, of the environment to measure.
        starts: How many; one more comes first, which reads the files into the cache.

    Returns:
        Seconds, and the ratio of both.
    """
    program_s, imports_s = [], []
    for _ in range(starts + 1):
        program = Program("--source", "demo", python=python)
        try:
            program_s.append(program.wait_for_first_picture())
        finally:
            program.stop()
        start_s = time.perf_counter()
        subprocess.run([str(python), "-c", IMPORTS], check=True)
        imports_s.append(time.perf_counter() - start_s)
    first_s, import_s = statistics.median(program_s[1:]), statistics.median(imports_s[1:])
    return {"first_picture_s": first_s, "import_cv2_flask_s": import_s, "first_picture_ratio": first_s / import_s}


def measure_memory(python: str | Path = sys.executable, seconds: float = 10) -> dict[str, float]:
    """Memory with one viewer at 1280x720 and 30 frames per second.

    Args:
        python: The interpreter, of the environment to measure.
        seconds: How long the viewer watches before.

    Returns:
        Resident memory, and on Linux the proportional set size, in which memory shared with other processes counts in
        part, in MiB.
    """
    with playing(1280, 720, 30, python=python) as program, crowd(program.port, 1):
        time.sleep(seconds)
        figures = {"resident_mb_720p": program.memory_mb()}
        proportional_mb = program.proportional_memory_mb()
        return figures if proportional_mb is None else {**figures, "proportional_mb_720p": proportional_mb}


if __name__ == "__main__":
    for name, value in {**measure_start(), **measure_memory()}.items():
        print(f"{name:<24} {value:8.2f}", flush=True)

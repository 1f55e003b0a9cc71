"""The running program at a camera's pace: delay from capture to picture, and processor time."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from benchmarks.crowd import crowd, delays_ms
from benchmarks.loops import clip_frames
from benchmarks.program import Program
from mien.images.codecs import encode_jpeg

LONG_S = 300
_OVERLOAD_S = 60
_MAX_GROWTH = 1.2
_FRAME_MS = 1000 / 30


def measure_delay(seconds: float = 15) -> dict[str, float]:
    """Measure the milliseconds from capture until one viewer has the JPEG, 1280x720 at 30 frames a second.

    Args:
        seconds: How long to measure; then again while a client uploads one image after the other.
    """
    with playing(1280, 720, 30) as program:
        delays_ms(program.port, 3)  # the first frames wait for caches and threads
        found = {"delay": delays_ms(program.port, seconds)}
        with _uploading(program.port):
            found["delay_with_uploads"] = delays_ms(program.port, seconds)
    return {f"{name}_p{p}_ms": _percentile(delays, p) for name, delays in found.items() for p in (50, 95)}


def measure_processor(seconds: float = 10) -> dict[str, float]:
    """Measure the share of one core that 640x480 with one face at 15 frames a second takes, with one viewer."""
    with playing(640, 480, 15) as program, crowd(program.port, 1):
        program.analyzed_fps(1)
        fps = program.analyzed_fps(1)
        return {"fps_at_15": fps, "share_of_a_core_at_15_fps": program.processor_share(seconds)}


def measure_long(share: float = 1.0) -> dict[str, float]:
    """Measure whether the delay grows over five minutes, and on one core shared with three programs that never sleep.

    Args:
        share: Of that time, for a try.

    Returns:
        As `first_and_last`, for both.
    """
    with playing(1280, 720, 30) as program:
        delays_ms(program.port, 3)
        found = delays_ms(program.port, LONG_S * share)
    figures = first_and_last("delay", found)
    with playing(1280, 720, 30) as program, _one_busy_core(program.process.pid):
        delays_ms(program.port, 5)
        found = delays_ms(program.port, _OVERLOAD_S * max(share, 0.5))
    return {**figures, **first_and_last("delay_four_times_too_slow", found)}


@contextmanager
def playing(
    width: int,
    height: int,
    fps: int,
    *options: str,
    frames: Sequence[np.ndarray] | None = None,
    python: str | Path = sys.executable,
) -> Iterator[Program]:
    """Run the program on the clip as Motion-JPEG of this size and rate, as webcams send it.

    Args:
        width, height: Of the frames, in pixels.
        fps: Frames a second.
        *options: Of the program.
        frames: Of this size, instead of the clip.
        python: The interpreter that runs it.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "clip.avi"
        writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), fps, (width, height))
        for pixels in clip_frames(width, height, 240) if frames is None else frames:
            writer.write(pixels)
        writer.release()
        program = Program("--source", str(file), *options, python=python)
        try:
            program.wait_for_first_picture()
            yield program
        finally:
            program.stop()


@contextmanager
def _uploading(port: int) -> Iterator[None]:
    """Upload an image of 1280x720 again and again until the block ends."""
    jpeg = encode_jpeg(clip_frames(1280, 720, 1)[0])
    done = threading.Event()

    def upload() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while not done.is_set():
            connection.request("POST", "/api/analyze", jpeg, {"Content-Type": "image/jpeg"})
            connection.getresponse().read()
        connection.close()

    with ThreadPoolExecutor(1) as uploads:
        uploaded = uploads.submit(upload)
        try:
            yield
        finally:
            done.set()
            uploaded.result()


@contextmanager
def _one_busy_core(pid: int, busy: int = 3) -> Iterator[None]:
    """Confine a program to one core and start this many busy processes on the same core (Linux only)."""
    core = {min(os.sched_getaffinity(0))}
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), core)
    busy_words = [sys.executable, "-c", f"import os; os.sched_setaffinity(0, {core})\nwhile True: pass"]
    loads = [subprocess.Popen(busy_words) for _ in range(busy)]
    try:
        yield
    finally:
        for load in loads:
            load.kill()
            load.wait()


def first_and_last(name: str, found: Sequence[float]) -> dict[str, float]:
    """Return medians and 95th percentiles of the first and the last third, and whether the delay stayed flat, 1 or 0.

    A queue makes every picture late: so flat means that the median of the last third is at most _MAX_GROWTH times that
    of the first and a frame's time. The 95th percentile also shows what else the machine did.

    Args:
        name: Begins the names of the figures.
        found: Delays in milliseconds, in their order.
    """
    third = max(1, len(found) // 3)
    first, last = found[:third], found[-third:]
    flat = bool(found) and _percentile(last, 50) <= _MAX_GROWTH * _percentile(first, 50) + _FRAME_MS
    return {
        f"{name}_p50_first_third_ms": _percentile(first, 50),
        f"{name}_p50_last_third_ms": _percentile(last, 50),
        f"{name}_p95_first_third_ms": _percentile(first, 95),
        f"{name}_p95_last_third_ms": _percentile(last, 95),
        f"{name}_flat": float(flat),
    }


def _percentile(values: Sequence[float], percent: float) -> float:
    return float(np.percentile(values, percent)) if values else float("nan")

"""Speed, memory and resumption of `analyze`: `python -m benchmarks.batch [speed|memory|kills]`.

speed: frames a second of one process and of two, beside the seed loop that reads, analyzes and does not draw; in
alternating rounds on copies of one clip of 640x360, ../shared/media/expressions.mp4 or the demo. memory: the most
resident memory for a short and a long video (`--minutes 2,120`), made of the same pictures. kills: a run that is killed
at random moments (`--kills 50`) and continued, compared with an unbroken one.
"""

from __future__ import annotations

import argparse
import filecmp
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import cv2

from benchmarks.loops import CLIP, clip_frames
from benchmarks.seed_loop import SeedLoop
from model import FacialExpressionModel

ROOT = Path(__file__).resolve().parent.parent
SIZE = 640, 360
MEASUREMENTS = ["speed", "memory", "kills"]
ROUNDS = 3
MOST_MEMORY = """import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"""
"""Run by another process, because a child begins with the memory of the process that starts it."""
COPIES = 4


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what the words name, by default all; 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", choices=MEASUREMENTS, default=MEASUREMENTS)
    parser.add_argument("--minutes", default="2,20", help="lengths of the videos for memory")
    parser.add_argument("--kills", type=int, default=50)
    options = parser.parse_args(argv)
    chosen = options.what
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "speed" in chosen:
            measure_speed(folder / "speed")
        if "memory" in chosen:
            measure_memory(folder, [float(each) for each in options.minutes.split(",")])
        if "kills" in chosen:
            measure_kills(folder / "kills", options.kills)
    return 0


def command(inputs: Path, out: Path, *words: str) -> list[str]:
    """The words that analyze inputs."""
    return [sys.executable, str(ROOT / "main.py"), "analyze", str(inputs), "--out", str(out), *words]


def write_clip(path: Path, frames: int) -> None:
    """A video of this many frames, 25 a second, of the same pictures again and again."""
    pictures = clip_frames(*SIZE, count=472)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, SIZE)
    for number in range(frames):
        writer.write(pictures[number % len(pictures)])
    writer.release()


def media(folder: Path) -> int:
    """Copies of the clip in a folder; the number of their frames."""
    folder.mkdir(parents=True)
    first = folder / "clip0.mp4"
    if CLIP.is_file():
        shutil.copy(CLIP, first)
    else:
        write_clip(first, 472)
    for number in range(1, COPIES):
        shutil.copy(first, folder / f"clip{number}.mp4")
    return COPIES * 472


def timed(words: list[str]) -> float:
    """Seconds of wall time of a process, its start included."""
    start_s = time.perf_counter()
    subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start_s


def seed_fps(clip: Path, seed: SeedLoop) -> float:
    """Frames a second of the seed loop on the clip, decoded by OpenCV."""
    video = cv2.VideoCapture(str(clip))
    count, start_s = 0, time.perf_counter()
    while count < 100:
        ok, pixels_bgr = video.read()
        if not ok:
            break
        seed.faces(pixels_bgr)
        count += 1
    return count / (time.perf_counter() - start_s)


def measure_speed(folder: Path) -> None:
    """Print frames a second of one process, of two, and of the seed loop."""
    frames = media(folder / "media")
    seed = SeedLoop(FacialExpressionModel().network)
    figures: dict[str, list[float]] = {"seed loop": [], "1 process": [], "2 processes": []}
    for number in range(ROUNDS):
        figures["seed loop"].append(seed_fps(folder / "media" / "clip0.mp4", seed))
        for jobs in (1, 2):
            words = command(folder / "media", folder / f"{number}-{jobs}", "--jobs", str(jobs))
            figures[f"{jobs} process{'es' if jobs > 1 else ''}"].append(frames / timed(words))
    for name, each in figures.items():
        print(f"{name}: {median(each):.0f} frames a second")
    ratios = [two / one for one, two in zip(figures["1 process"], figures["2 processes"], strict=True)]
    print(f"two processes: {median(ratios):.2f} times one")


def measure_memory(folder: Path, minutes: Sequence[float]) -> None:
    """Print the most resident memory for videos of these lengths."""
    for each in minutes:
        clip = folder / f"{each:g}.mp4"
        write_clip(clip, round(25 * 60 * each))
        words = command(clip, folder / f"memory-{each:g}", "--jobs", "1")
        done = subprocess.run([sys.executable, "-c", MOST_MEMORY, *words], check=True, capture_output=True, text=True)
        unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes on macOS, kilobytes on Linux
        print(f"{each:g} minutes: {int(done.stdout) * unit / 1e6:.0f} MB at most")


def measure_kills(folder: Path, kills: int) -> None:
    """Print whether a run that is killed and continued gives the files of an unbroken one."""
    media(folder / "media")
    whole_s = timed(command(folder / "media", folder / "whole", "--jobs", "2"))
    moments, killed = random.Random(0), 0
    broken = folder / "broken"
    while killed < kills:
        words = command(folder / "media", broken, "--jobs", "2", "--resume")
        process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
        try:
            if status := process.wait(moments.uniform(0, whole_s)):
                raise RuntimeError(f"expected a run that continues, found exit status {status} after {killed} kills")
            shutil.rmtree(broken)  # it has ended by itself: begin again
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed += 1
    subprocess.run(command(folder / "media", broken, "--jobs", "2", "--resume"), check=True, stderr=subprocess.DEVNULL)
    tables = sorted(path.relative_to(folder / "whole") for path in (folder / "whole").rglob("*.csv"))
    found = sorted(path.relative_to(broken) for path in broken.rglob("*.csv"))
    others = [
        path for path in tables if path not in found or not filecmp.cmp(folder / "whole" / path, broken / path, False)
    ]
    others += set(found) - set(tables)
    print(f"{killed} kills: {len(tables) - len(others)} of {len(tables)} tables identical", *others)


if __name__ == "__main__":
    sys.exit(main())

"""Speed, memory and robustness of `analyze`: `python -m benchmarks.batch [speed fer memory images load kills]`.

All use a clip of 640x360 with one face, ../shared/media/expressions.mp4 or the demo, and new processes.

speed: frames a second of one process on one core, of one that may use all cores, and of two processes, beside the seed
loop that reads, analyzes and does not draw; in alternating rounds, with the processor time of all threads.
fer: one process beside the package fer, every frame.
memory: the most resident memory for a short and a long video (`--minutes 2,120`), analyzed at `--fps`.
images: 1,000 images of all kinds in one call, a fifth of them broken.
load: ten runs beside 0 to 8 busy processes, compared byte by byte.
kills: a run that is killed at random moments (`--kills 50`) and continued, compared with an unbroken one.
"""

from __future__ import annotations

import argparse
import csv
import filecmp
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import cv2

from benchmarks.batch_media import write_clip, write_copies, write_images, write_looped
from benchmarks.batch_peer import fer_environment, fer_rate
from benchmarks.peers.environments import PeerError
from benchmarks.seed_loop import SeedLoop
from model import FacialExpressionModel

ROOT = Path(__file__).resolve().parent.parent
MEASUREMENTS = ["speed", "fer", "memory", "images", "load", "kills"]
MOST_MEMORY = """import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"""
"""Run by another process, because a child begins with the memory of the process that starts it."""
ON_ONE_CORE = """import os, sys
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
os.execv(sys.argv[1], sys.argv[1:])"""
BUSY = """import os
parent = os.getppid()
while os.getppid() == parent: pass"""
LOADS = "0,1,2,3,4,5,6,7,8,8"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what the words name, by default all; 0."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.batch", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="*", choices=MEASUREMENTS, default=MEASUREMENTS)
    parser.add_argument("--rounds", type=int, default=3, help="of speed and fer (3)")
    parser.add_argument("--copies", type=int, default=12, help="of the clip, 472 frames each, for speed (12)")
    parser.add_argument("--cache", type=Path, default=ROOT / "runs" / "peers", help="folder of the environment of fer")
    parser.add_argument("--minutes", default="2,120", help="lengths of the videos for memory (2,120)")
    parser.add_argument("--fps", default="5", help="analyzed frames per second for memory; all for every frame (5)")
    parser.add_argument("--images", type=int, default=1000, help="how many (1000)")
    parser.add_argument("--kills", type=int, default=50, help="how many (50)")
    parser.add_argument("--loads", default=LOADS, help=f"busy processes beside each run of load ({LOADS})")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for what in dict.fromkeys(options.what):
            (folder / what).mkdir()
            start_s = time.perf_counter()
            print(f"{what}:")
            measure(what, folder / what, options)
            print(f"  this took {(time.perf_counter() - start_s) / 60:.1f} minutes", flush=True)
            shutil.rmtree(folder / what)
    return 0


def measure(what: str, folder: Path, options: argparse.Namespace) -> None:
    """Print one measurement."""
    if what == "speed":
        measure_speed(folder, options.rounds, options.copies)
    elif what == "fer":
        measure_fer(folder, options.rounds, options.cache)
    elif what == "memory":
        fps = () if options.fps == "all" else ("--fps", options.fps)
        measure_memory(folder, [float(each) for each in options.minutes.split(",")], fps)
    elif what == "images":
        measure_images(folder, options.images)
    elif what == "load":
        measure_load(folder, [int(each) for each in options.loads.split(",")])
    else:
        measure_kills(folder, options.kills)


def command(inputs: Path, out: Path, *words: str) -> list[str]:
    """The words that analyze inputs."""
    return [sys.executable, str(ROOT / "main.py"), "analyze", str(inputs), "--out", str(out), *words]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command took: wall time and processor time of all its processes, in seconds."""

    wall_s: float
    processor_s: float


def timed(words: list[str], expected: int = 0) -> Cost:
    """Run a command, its start included; expected: its exit status."""
    before, start_s = os.times(), time.perf_counter()
    done = subprocess.run(words, check=False, stderr=subprocess.PIPE, text=True)
    wall_s, after = time.perf_counter() - start_s, os.times()
    if done.returncode != expected:
        raise RuntimeError(f"expected exit status {expected}, found {done.returncode}: {done.stderr[-500:]}")
    processor_s = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(wall_s, processor_s)


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


def measure_speed(folder: Path, rounds: int, copies: int) -> None:
    """Print frames a second of one process on one core, of one that may use all, of two, and of the seed loop."""
    media = folder / "media"
    frames = write_copies(media, copies)
    clip = min(media.iterdir())
    seed = SeedLoop(FacialExpressionModel().network)
    ways: dict[str, tuple[list[str], str]] = {"one process": ([], "1"), "two processes": ([], "2")}
    if hasattr(os, "sched_setaffinity"):
        ways = {"one process on one core": ([sys.executable, "-c", ON_ONE_CORE], "1"), **ways}
    seeds: list[float] = []
    costs: dict[str, list[Cost]] = {name: [] for name in ways}
    for number in range(rounds):
        seeds.append(seed_fps(clip, seed))
        for name, (prefix, jobs) in ways.items():
            out = folder / f"{name}-{number}"
            costs[name].append(timed([*prefix, *command(media, out, "--jobs", jobs)]))
    seed_rate = median(seeds)
    print(f"  seed loop: {seed_rate:.1f} frames a second")
    for name, each in costs.items():
        wall_s, processor_s = median(cost.wall_s for cost in each), median(cost.processor_s for cost in each)
        print(
            f"  {name}: {frames / wall_s:.0f} frames a second, {frames / wall_s / seed_rate:.1f} times the seed loop,"
            f" {1000 * processor_s / frames:.2f} ms of processor time per frame, {processor_s / wall_s:.2f} cores busy"
        )
    for name in list(ways)[:-1]:
        pairs = zip(costs[name], costs["two processes"], strict=True)
        print(f"  two processes: {median(one.wall_s / two.wall_s for one, two in pairs):.2f} times {name}")
    starts = [timed(command(media, folder / f"start-{jobs}", "--jobs", jobs, "--end", "0.01")) for jobs in "12"]
    print(f"  included: the start, {starts[0].wall_s:.1f} s with one process, {starts[1].wall_s:.1f} s with two")


def measure_fer(folder: Path, rounds: int, cache: Path) -> None:
    """Print frames a second of one process beside the package fer."""
    try:
        built = fer_environment(cache)
        clip = folder / "clip.mp4"
        write_clip(clip)
        theirs, ours, without_start = [], [], []
        for number in range(rounds):
            rate, found = fer_rate(built, clip)
            theirs.append(rate)
            start = timed(command(clip, folder / f"start-{number}", "--jobs", "1", "--end", "0.01"))
            whole = timed(command(clip, folder / f"whole-{number}", "--jobs", "1"))
            (row,) = read_rows(folder / f"whole-{number}" / "inputs.csv")
            frames = int(row["frames"])
            ours.append(frames / whole.wall_s)
            without_start.append(frames / max(1e-3, whole.wall_s - start.wall_s))
    except PeerError as error:
        print(f"  left out: {error}")
        return
    print(f"  fer, its start not counted: {median(theirs):.1f} frames a second, a face in {found} of {frames}")
    print(
        f"  analyze: {median(without_start):.0f} frames a second, {median(ours):.0f} with its start, a face in "
        f"{row['frames_with_face']}"
    )
    ratios = [median(one / other for one, other in zip(each, theirs, strict=True)) for each in (without_start, ours)]
    print(f"  ratio: {ratios[0]:.1f}, with the start of analyze {ratios[1]:.1f}")


def measure_memory(folder: Path, minutes: Sequence[float], words: Sequence[str]) -> None:
    """Print the most resident memory for videos of these lengths."""
    write_clip(folder / "clip.mp4")
    found: list[float] = []
    for each in minutes:
        video = folder / f"{each:g}.mp4"
        frames = write_looped(video, folder / "clip.mp4", each)
        run = command(video, folder / f"memory-{each:g}", "--jobs", "1", *words)
        done = subprocess.run([sys.executable, "-c", MOST_MEMORY, *run], check=True, capture_output=True, text=True)
        unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes on macOS, kilobytes on Linux
        found.append(int(done.stdout) * unit / 1e6)
        (row,) = read_rows(folder / f"memory-{each:g}" / "inputs.csv")
        print(f"  {each:g} minutes, {frames} frames, {row['frames']} analyzed: {found[-1]:.0f} MB at most")
        video.unlink()
    print(f"  difference: {found[-1] - found[0]:.0f} MB")


def measure_images(folder: Path, count: int) -> None:
    """Print what became of images of all kinds."""
    write_images(folder / "media", count)
    cost = timed(command(folder / "media", folder / "out", "--jobs", "2"), expected=1)
    rows = read_rows(folder / "out" / "inputs.csv")
    unnamed = [row["input"] for row in rows if row["status"] != "done" and not row["reason"]]
    named = {Path(row["input"]).stem for row in rows}
    print(f"  {count} images in {cost.wall_s:.1f} s: {len(rows)} rows, {count - len(named)} without a row,", end=" ")
    print(f"{len(unnamed)} without a reason; {dict(Counter(row['status'] for row in rows))}")
    for reason, times in Counter(row["reason"].replace(row["input"], "NAME") for row in rows if row["reason"]).items():
        print(f"    {times:4d} {reason}")


def measure_load(folder: Path, loads: Sequence[int]) -> None:
    """Print whether runs beside busy processes give the same bytes."""
    write_clip(folder / "clip.mp4")
    runs: list[Path] = []
    for number, load in enumerate(loads):
        runs.append(folder / f"run-{number}")
        with ExitStack() as busy:
            for _ in range(load):
                busy.callback(subprocess.Popen([sys.executable, "-c", BUSY]).kill)
            cost = timed(command(folder / "clip.mp4", runs[-1], "--format", "csv,jsonl"))
        print(f"  {load} busy processes: {cost.wall_s:.1f} s")
    same = [run for run in runs if not differences(runs[0], run)]
    print(f"  {len(same)} of {len(runs)} runs byte-identical", *differences(runs[0], runs[-1]))


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def differences(expected: Path, found: Path) -> list[Path]:
    """Tables of two folders of results that are not the same."""
    files = {
        path.relative_to(folder)
        for folder in (expected, found)
        for path in folder.rglob("*")
        if path.suffix in (".csv", ".jsonl") and path.name != "jobs.jsonl"
    }
    return [
        path
        for path in sorted(files)
        if not ((expected / path).exists() and (found / path).exists())
        or not filecmp.cmp(expected / path, found / path, shallow=False)
    ]


def measure_kills(folder: Path, kills: int) -> None:
    """Print whether a run that is killed and continued gives the files of an unbroken one."""
    media, whole, broken = folder / "media", folder / "whole", folder / "broken"
    write_copies(media, 4)
    whole_s = timed(command(media, whole, "--jobs", "2")).wall_s
    moments, killed = random.Random(0), 0
    while killed < kills:
        process = subprocess.Popen(command(media, broken, "--jobs", "2", "--resume"), stderr=subprocess.DEVNULL)
        try:
            if status := process.wait(moments.uniform(0, whole_s)):
                raise RuntimeError(f"expected a run that continues, found exit status {status} after {killed} kills")
            shutil.rmtree(broken)  # it has ended by itself: begin again
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed += 1
    timed(command(media, broken, "--jobs", "2", "--resume"))
    others = differences(whole, broken)
    print(f"  {killed} kills: {'all tables identical' if not others else 'other tables'}", *others)


if __name__ == "__main__":
    sys.exit(main())

"""What a kill costs a recording: `python -m benchmarks.kills --kills 200`, 5 seconds each.

The program records rows and saves the annotated video of the demo, and is killed at a random moment. Both files must be
readable, and what is missing is the time between the kill and the last row, and the last frame of the video.
"""

from __future__ import annotations

import argparse
import csv
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import av

from benchmarks.program import Program

MOST_LOST_S = 1.0
EARLIEST_S, LATEST_S = 0.2, 4.0


def main(argv: Sequence[str] | None = None) -> int:
    """Kill the program again and again; 1 if a file cannot be read, or lacks more than the last second."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args(argv)
    moments = random.Random(options.seed)
    rows_s, video_s, failures = [], [], []
    for number in range(options.kills):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            started_s, killed_s = record_and_kill(folder, moments.uniform(EARLIEST_S, LATEST_S))
            try:
                rows_s.append(killed_s - last_row_s(folder))
                video_s.append(killed_s - started_s - video_duration_s(folder))
            except (OSError, ValueError, LookupError, av.FFmpegError) as error:
                failures.append(f"kill {number}: {type(error).__name__}: {error}")
    print(f"{options.kills} kills, {len(failures)} with a file that cannot be read", *failures, sep="\n")
    for what, lost_s in (("rows", rows_s), ("video", video_s)):
        if lost_s:
            print(f"{what}: lost {median(lost_s):.2f} s (median), at most {max(lost_s):.2f} s")
    return 1 if failures or max(rows_s + video_s) > MOST_LOST_S else 0


def record_and_kill(folder: Path, after_s: float) -> tuple[float, float]:
    """Record until the program is killed.

    Args:
        folder: For both files.
        after_s: Seconds from the first row to the kill.

    Returns:
        When the recording started and when the program was killed, in seconds since the epoch.
    """
    words = ["--source", "demo", "--record", "--sessions", str(folder / "rows"), "--save", str(folder / "video.mp4")]
    program = Program(*words)
    try:
        while not (state := program.state()) or not state["recording"]["rows"]:
            if program.process.poll() is not None:
                raise RuntimeError("the program ended")
            time.sleep(0.05)
        time.sleep(after_s)
        killed_s = time.time()
        return float(state["recording"]["since"]), killed_s
    finally:
        program.process.kill()
        program.process.communicate()


def last_row_s(folder: Path) -> float:
    """The time of the last row, in seconds since the epoch.

    Raises:
        LookupError: There is none.
        ValueError: A row is not complete.
    """
    (path,) = (folder / "rows").glob("*/faces.csv")
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    if any(len(row) != len(header) for row in rows):
        raise ValueError("a row is not complete")
    return float(rows[-1][header.index("time")])


def video_duration_s(folder: Path) -> float:
    """The time of the last frame of the video that can be decoded, in seconds from the first."""
    with av.open(str(folder / "video.mp4")) as container:
        *_, last = container.decode(video=0)
    return float(last.time)


if __name__ == "__main__":
    raise SystemExit(main())

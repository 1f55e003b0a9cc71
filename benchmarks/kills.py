"""What a kill costs a recording: `python -m benchmarks.kills --kills 200`, 5 seconds each.

The program records a session of the demo and saves the annotated video, while markers are set all the time, and is
killed at a random moment, or with `--kills 60 --seconds 60` after a minute each. Both files must be readable, and what
is missing is the time between the kill and the last row, and the last frame of the video. No marker that the program
has confirmed may be missing, nor the name of the session.
"""

from __future__ import annotations

import argparse
import csv
import http.client
import itertools
import json
import random
import tempfile
import threading
import time
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from statistics import median

import av

from benchmarks.program import Program
from mien.recording.session_files import find_sessions
from mien.recording.sessions import Sessions

MOST_LOST_S = 1.0
EARLIEST_S, LATEST_S = 0.2, 4.0
MARK_EVERY_S = 0.05
NAME = "A session that is killed"


def main(argv: Sequence[str] | None = None) -> int:
    """Kill the program again and again; 1 if a file cannot be read, or lacks more than the last second."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seconds", type=float, help="from the first row to each kill; random by default")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args(argv)
    moments = random.Random(options.seed)
    rows_s, video_s, failures, markers = [], [], [], 0
    for number in range(options.kills):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            after_s = options.seconds or moments.uniform(EARLIEST_S, LATEST_S)
            started_s, killed_s, confirmed = record_and_kill(folder, after_s)
            try:
                check_markers(folder, confirmed)
                markers += len(confirmed)
                rows_s.append(killed_s - last_row_s(folder))
                video_s.append(killed_s - started_s - video_duration_s(folder))
            except (OSError, ValueError, LookupError, av.FFmpegError) as error:
                failures.append(f"kill {number}: {type(error).__name__}: {error}")
    print(f"{options.kills} kills, {len(failures)} with a file that cannot be read or an edit that is lost")
    print(*failures, f"markers: {markers} confirmed and found in the sessions", sep="\n")
    for what, lost_s in (("rows", rows_s), ("video", video_s)):
        if lost_s:
            print(f"{what}: lost {median(lost_s):.2f} s (median), at most {max(lost_s):.2f} s")
    return 1 if failures or max(rows_s + video_s) > MOST_LOST_S else 0


def record_and_kill(folder: Path, after_s: float) -> tuple[float, float, list[str]]:
    """Record, name the session and set markers until the program is killed.

    Args:
        folder: For both files.
        after_s: Seconds from the first row to the kill.

    Returns:
        When the recording started and when the program was killed, in seconds since the epoch, and the texts of the
        markers that the program has confirmed.
    """
    words = ["--source", "demo", "--record", "--sessions", str(folder / "rows"), "--save", str(folder / "video.mp4")]
    program = Program(*words)
    try:
        while not (state := program.state()) or not state["recording"]["rows"]:
            if program.process.poll() is not None:
                raise RuntimeError("the program ended")
            time.sleep(0.05)
        confirmed: list[str] = []
        marking = threading.Thread(target=set_markers, args=(program.port, state["recording"]["session"], confirmed))
        marking.start()
        time.sleep(after_s)
        killed_s = time.time()
        program.process.kill()
        marking.join()
        return float(state["recording"]["since"]), killed_s, confirmed
    finally:
        program.process.kill()
        program.process.communicate()


def set_markers(port: int, session: str, confirmed: list[str]) -> None:
    """Set markers until the program no longer answers.

    Args:
        port: Where the program listens.
        session: Id of the session.
        confirmed: Gets the text of each marker that the program has confirmed.
    """
    for number in itertools.count():
        edit = {"do": "mark", "text": f"marker {number}"}
        body = {"name": NAME, "edits": [edit]} if number == 0 else {"edits": [edit]}
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request("PATCH", f"/api/sessions/{session}", json.dumps(body), headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            return
        finally:
            connection.close()
        if answer.status == HTTPStatus.OK:
            confirmed.append(edit["text"])
        time.sleep(MARK_EVERY_S)


def check_markers(folder: Path, confirmed: Sequence[str]) -> None:
    """Check that a session has its name and all confirmed markers.

    Args:
        folder: Of the files.
        confirmed: Texts of the markers.

    Raises:
        LookupError: One is missing.
    """
    (files,) = find_sessions(folder / "rows")
    session = Sessions(folder / "rows").get(files.id, complete=True)  # nothing is computed in the background, later
    missing = set(confirmed) - {marker.text for marker in session.state.markers}
    if missing or (confirmed and session.state.name != NAME):
        raise LookupError(f"markers are missing: {sorted(missing)}, or the name: {session.state.name!r}")


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
    """The time of the last frame of the video that can be decoded, in seconds from the first.

    Raises:
        av.FFmpegError: There is none.
    """
    last_s = None
    with av.open(str(folder / "video.mp4")) as container:
        try:
            for frame in container.decode(video=0):
                last_s = float(frame.time)
        except av.FFmpegError:  # the kill has cut the last fragment off
            if last_s is None:
                raise
    if last_s is None:
        raise ValueError("the video has no frame")
    return last_s


if __name__ == "__main__":
    raise SystemExit(main())

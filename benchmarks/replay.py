"""Replay of a long session in Chromium: `python -m benchmarks.replay --minutes 60 --faces 5`.

A session is generated, and its page opened twice: first when nothing is known of it yet, then again. Printed are the
time until the lanes are there, the time from a move of the scrub bar to the values of that moment, and the memory of
the page.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.program import free_port
from mien.recording.csv_log import HEADER
from mien.recording.rows import as_csv, row
from mien.recording.sessions import Sessions
from mien.types import EXPRESSIONS, Analysis, Box, Face, Frame
from tests.chromium import start_chromium
from tests.web_fakes import FakeCamera
from web import AppOptions, create_app
from web.server import Server

SESSION = "session-20260131-120000"
BEGAN_S = 1_770_000_000.0
FPS = 30
SEEKS = 40
PATIENCE_S = 120

OPENED = "return document.querySelectorAll('.lane').length"
SEEK = """
const [moments, done] = arguments;
const scrub = document.getElementById("scrub");
const hint = document.getElementById("hint");
(async () => {
  const took = [];
  for (const moment of moments) {
    const start = performance.now();
    scrub.value = moment;
    scrub.dispatchEvent(new Event("input"));
    while (hint.textContent) await new Promise((resolve) => setTimeout(resolve, 2));
    took.push(performance.now() - start);
  }
  done([took, performance.memory.usedJSHeapSize]);
})();
"""


def main() -> None:
    """Generate a session, measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--faces", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / SESSION
        folder.mkdir()
        begin = {"at": BEGAN_S, "do": "begin", "source": "program"}
        (folder / "edits.jsonl").write_text(json.dumps(begin) + "\n", encoding="utf-8")
        with (folder / "faces.csv").open("wb") as file:
            file.write(HEADER)
            file.writelines(rows(round(options.minutes * 60 * FPS), options.faces))
        print(
            f"{options.minutes:g} minutes, {options.faces} faces: {(folder / 'faces.csv').stat().st_size / 1e6:.0f} MB"
        )
        app = create_app(FakeCamera(), AppOptions(sessions=Sessions(Path(name))))
        with Server(app, port=free_port()) as server:
            measure(f"{server.url}/sessions/{SESSION}", options.minutes * 60)


def rows(frames: int, faces: int) -> Iterator[bytes]:
    """Rows of faces whose expressions change all the time."""
    pixels = np.zeros((1, 1, 3), np.uint8)
    numbers = np.arange(len(EXPRESSIONS))
    for index in range(frames):
        at_s = index / FPS
        frame = Frame(pixels, index, captured_at=BEGAN_S + at_s)
        shown = []
        for face in range(1, faces + 1):
            values = np.exp(1.5 * np.sin(at_s / (37 + 11 * numbers) + face * numbers)).astype(np.float32)
            values /= values.sum()
            box = Box(60 + 220 * (face - 1) + round(20 * math.sin(at_s)), 200, 160, 180)
            shown.append(Face(box, values, values, id=face))
        analysis = Analysis(1280, 720, tuple(shown))
        yield as_csv([row(index, frame, face, analysis) for face in shown])


def measure(url: str, seconds: float) -> None:
    """Open the page, seek, and print."""
    browser = start_chromium("--enable-precise-memory-info")
    browser.set_script_timeout(PATIENCE_S)
    try:
        for time_of in ("the first time", "again"):
            print(f"lanes are shown after {opened_after_s(browser, url):.2f} s {time_of}")
        moments = list(np.random.default_rng(1).uniform(0, seconds - 1, SEEKS))
        took_ms, memory = browser.execute_async_script(SEEK, moments)
        print(f"values of a moment after {statistics.median(took_ms):.0f} ms (median), at most {max(took_ms):.0f} ms")
        print(f"memory of the page's scripts: {memory / 1e6:.0f} MB")
    finally:
        browser.quit()


def opened_after_s(browser: Any, url: str) -> float:
    """Open the page; seconds until its lanes are shown."""
    browser.get("about:blank")
    start_s = time.monotonic()
    browser.get(url)
    while not browser.execute_script(OPENED):
        if time.monotonic() - start_s > PATIENCE_S:
            raise TimeoutError(f"no lanes within {PATIENCE_S} s")
        time.sleep(0.01)
    return time.monotonic() - start_s


if __name__ == "__main__":
    main()

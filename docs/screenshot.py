"""Take the screenshots of README and docs: `make screenshot`.

They show the real program in Chromium: the live page in both themes and on a phone, presenting, the sources, a queue of
files, the sessions, and the replay of one. All faces are the demo's, which are averages of many people.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.program import Program
from mien.analysis.face_stream import FaceStream
from mien.batch.analysis import load_pipeline
from mien.images.codecs import encode_jpeg
from mien.recording.csv_log import HEADER
from mien.recording.rows import as_csv, row
from mien.recording.sessions import Sessions
from mien.recording.video import VideoWriter
from mien.settings import AnalysisSettings
from mien.sources.demo import DemoSource
from mien.types import EXPRESSIONS, Frame
from tests.chromium import start_chromium
from tests.clips import demo_pictures, write_video
from tests.media import composite_frame
from tests.page import appears, click, press, texts
from tests.patience import wait_for
from tests.web_fakes import resize

HERE = Path(__file__).parent
COLORS = 256
"""Colors of a file: enough for a page with gray faces, and a third of the bytes."""

SETTLE_S = 15
"""Time on the live page before a screenshot, in seconds, so that chart and session have something to show."""

REPAINT_S = 0.5
"""Until the browser has painted the frame of a video that it has decoded."""

FPS = 15
"""Of the recorded sessions."""

BEGAN_S = 1_767_780_000.0
"""When the first session began, in seconds since the epoch."""

INTERVIEW = "session-20260107-100000"
EDITS = (
    {"do": "rename", "name": "Pilot interview"},
    {"do": "person", "face": 1, "name": "Anna"},
    {"do": "person", "face": 2, "name": "Ben"},
    {"do": "mark", "t": 12.0, "text": "first question"},
    {"do": "mark", "t": 41.0, "text": "a joke"},
    {"do": "exclude", "from": 55.0, "to": 60.0},
)
"""What somebody has added to the interview."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A screenshot.

    Args:
        name: Of the file, without .png.
        size: Width and height of the window in pixels.
        path: Of the page.
        prepare: Brings the page into the state that is shown, given the browser and the program.
        scheme: light or dark.
    """

    name: str
    size: tuple[int, int]
    path: str
    prepare: Callable[[Any, Program], None]
    scheme: str = "light"


# ---- what the page shows


def _live(browser: Any, program: Program) -> None:
    """Wait until each face of the demo fully shows an expression, the first one a smile."""
    time.sleep(SETTLE_S)

    def is_clear() -> bool:
        state = program.state() or {"source": {}, "faces": []}
        truths = state["source"].get("truths") or [None]
        sure = [face["confidence"] > 0.6 for face in state["faces"]]
        return truths[0] == "happy" and None not in truths and len(sure) == len(truths) and all(sure)

    wait_for(is_clear, "three clear faces, the first one happy", patience_s=120)


def _present(browser: Any, program: Program) -> None:
    press(browser, "f")
    appears(browser, ".big-strip")
    _live(browser, program)


def _sources(browser: Any, program: Program) -> None:
    click(browser, "#source")
    wait_for(lambda: len(texts(browser, "#file-list button")) > 3, "the files")
    ready = "return [...document.querySelectorAll('#file-list img')].filter(({ naturalWidth }) => naturalWidth).length"
    wait_for(lambda: browser.execute_script(ready) >= 8, "their thumbnails")


def _files(browser: Any, program: Program) -> None:
    """Drop photos and videos, and wait until the photos and one video are done and another is begun."""
    paths = sorted(_media(program).iterdir())
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        browser.execute_cdp_cmd("Input.dispatchDragEvent", {"type": kind, "x": 400, "y": 300, "data": data})
    wait_for(lambda: len(texts(browser, "#results-rows .label")) > len(EXPRESSIONS), "the results", patience_s=300)
    wait_for(lambda: "frames/s" in texts(browser, "#queue-rows .job-state")[0], "the next video", patience_s=300)


def _sessions(browser: Any, program: Program) -> None:
    wait_for(lambda: len(texts(browser, ".shares li:not([hidden])")) > 8, "the shares")


def _replay(browser: Any, program: Program) -> None:
    """Go to a moment with a face of each."""
    wait_for(lambda: len(texts(browser, ".lane-name")) == 2, "the lanes")
    seek = "const s = document.getElementById('scrub'); s.value = 29; s.dispatchEvent(new Event('input'))"
    browser.execute_script(seek)
    wait_for(lambda: all(texts(browser, ".person-label")), "the labels")
    shown = (
        "const v = document.getElementById('video');"
        "return v.readyState >= 2 && !v.seeking && Math.abs(v.currentTime - 29) < 1"
    )
    wait_for(lambda: browser.execute_script(shown), "the picture")
    time.sleep(REPAINT_S)


SHOTS = (
    Shot("screenshot", (1280, 800), "/", _live, "dark"),
    Shot("screenshot-light", (1920, 1080), "/", _live),
    Shot("screenshot-phone", (375, 812), "/", _live, "dark"),
    Shot("screenshot-present", (1920, 1080), "/", _present, "dark"),
    Shot("screenshot-sources", (1280, 800), "/", _sources),
    Shot("screenshot-sessions", (1280, 640), "/sessions", _sessions),
    Shot("screenshot-replay", (1280, 1080), f"/sessions/{INTERVIEW}", _replay),
    Shot("screenshot-replay-phone", (375, 812), f"/sessions/{INTERVIEW}", _replay),
    Shot("screenshot-files", (1280, 800), "/", _files),
)


# ---- the folders of the program


def _media(program: Program) -> Path:
    return Path(str(program.process.args[program.process.args.index("--media") + 1]))  # type: ignore[index, union-attr]


def _write_media(folder: Path) -> None:
    """Photos of each expression, and videos."""
    folder.mkdir()
    for number, label in enumerate(EXPRESSIONS, 1):
        (folder / f"photo-{number}.jpg").write_bytes(encode_jpeg(composite_frame(label)[0], quality=95))
    first = write_video(folder / "talk-1.mp4", demo_pictures(900, people=2))
    for number in (2, 3, 4):
        shutil.copy(first, folder / f"talk-{number}.mp4")


def _write_session(folder: Path, number: int, people: int, seconds: float) -> str:
    """Analyze the demo as if it had been recorded with video; returns the id of the session."""
    began_s = BEGAN_S + 3600 * number
    name = time.strftime("session-%Y%m%d-%H%M%S", time.gmtime(began_s))
    (folder / name).mkdir(parents=True)
    begin = {"at": began_s, "do": "begin", "source": "program"}
    (folder / name / "edits.jsonl").write_text(json.dumps(begin) + "\n", encoding="utf-8")
    demo, stream = DemoSource(count=people), FaceStream(load_pipeline(AnalysisSettings()))
    with (
        VideoWriter(folder / name / "video.mp4", FPS, began_s) as video,
        (folder / name / "faces.csv").open("wb") as csv,
    ):
        csv.write(HEADER)
        for index in range(round(FPS * seconds)):
            at_s = index / FPS
            frame = Frame(demo.render(at_s + 5 * number)[0], index, began_s + at_s, at_s)
            analysis = stream.analyze(frame, at_s)
            csv.write(as_csv(row(index, frame, face, analysis) for face in analysis.faces))
            while not video.write(frame.pixels_bgr, frame.captured_at):
                time.sleep(0.01)  # its queue is full
    return name


@contextmanager
def _running() -> Iterator[Program]:
    """The program on the demo, with media and sessions."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_media(folder / "media")
        for number, (people, seconds) in enumerate(((2, 90), (3, 25), (1, 40))):
            _write_session(folder / "sessions", number, people, seconds)
        Sessions(folder / "sessions").edit(INTERVIEW, list(EDITS))
        program = Program(
            *("--source", "demo", "--media", str(folder / "media")), "--sessions", str(folder / "sessions")
        )
        try:
            program.wait_for_first_picture(limit_s=240)
            yield program
        finally:
            program.stop()


def main() -> None:
    """Take the screenshots."""
    parser = argparse.ArgumentParser(prog="python -m docs.screenshot", description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--only", default="", help="names, separated by commas (default: all)")
    options = parser.parse_args()
    names = options.only.split(",") if options.only else [shot.name for shot in SHOTS]
    with _running() as program:
        browser = start_chromium()
        try:
            for shot in SHOTS:
                if shot.name in names:
                    resize(browser, *shot.size, shot.scheme)
                    browser.get(f"http://127.0.0.1:{program.port}{shot.path}")
                    shot.prepare(browser, program)
                    _save(browser.get_screenshot_as_png(), options.out / f"{shot.name}.png")
        finally:
            browser.quit()


def _save(png: bytes, path: Path) -> None:
    """Write a picture with few colors, without which it would have three times the bytes."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    # By coverage: the usual method would give nearly all colors to the grays of the faces, and none to small signs.
    picture = picture.quantize(COLORS, method=Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE)
    picture.save(path, optimize=True)
    print(f"wrote {path}, {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()

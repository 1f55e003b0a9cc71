"""What axe-core finds on every view, at any width and in any mode: `python -m benchmarks.accessibility`.

Prints for each view in how many of the 20 combinations of width (375 to 3840 px) and mode (light, dark, forced colors,
text of 200 %) axe finds serious violations, and lists them. The tests try five of them for each view. `--views replay`
checks only views whose name begins so.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

from flask import request

from mien.recording.csv_log import CsvRecorder
from mien.recording.sessions import Sessions
from mien.types import EXPRESSIONS, Analysis, Box, Face
from tests.axe import MODES, WIDTHS, axe_source, serious_faults
from tests.chromium import start_chromium
from tests.jobs_fake import FakeJobs
from tests.page import appears, click, press, texts
from tests.patience import wait_for
from tests.test_page_files import drop, fill
from tests.test_page_sources import drop as drop_images
from tests.test_page_sources import jpeg
from tests.test_replay import session
from tests.test_sessions import ID, write_session
from tests.web_fakes import FakeCamera, face_showing
from web import AppOptions, create_app
from web.server import Server


def _as_it_opens(browser: Any) -> None:
    wait_for(lambda: len(texts(browser, ".session-row")) > 1, "the session")


def _sources(browser: Any) -> None:
    click(browser, "#source")
    wait_for(lambda: len(texts(browser, "#file-list button")) > 1, "the files")


def _help(browser: Any) -> None:
    press(browser, "?")
    appears(browser, "#help")


def _question(browser: Any) -> None:
    browser.execute_script("localStorage.clear()")
    browser.refresh()
    click(browser, "#record")
    appears(browser, "#ask")


def _presenting(browser: Any) -> None:
    press(browser, "f")
    appears(browser, "#strips")


def _images(browser: Any) -> None:
    drop_images(browser, one_jpg=jpeg(300, 400), two_jpg=jpeg(400, 300))
    appears(browser, "#strip")


def _files(browser: Any) -> None:
    fill(browser, _JOBS)
    drop(browser, "one.mp4", "two.mp4", "broken.jpg", "notes.txt")
    wait_for(lambda: len(_JOBS.jobs) == 7, "the queue")
    _JOBS.finish("broken.jpg", "The JPEG image is broken.")
    _JOBS.change("one.mp4", state="analyzing", progress=0.41, seconds_left=12.3, frames_per_second=233.1)
    wait_for(lambda: "failed" in texts(browser, "#results-rows .label"), "the table")


def _sessions(browser: Any) -> None:
    wait_for(lambda: len(texts(browser, ".shares li:not([hidden])")) > 1, "the shares")
    click(browser, ".recorded:last-child .recorded-rename")


def _replay(browser: Any) -> None:
    wait_for(lambda: len(texts(browser, ".lane-name")) == 2, "the lanes")
    wait_for(lambda: len(texts(browser, ".marker-text")) == 2, "marker and excluded span")


def _as_it_is(browser: Any) -> None:
    wait_for(lambda: browser.execute_script("return document.readyState") == "complete", "the page")


VIEWS: dict[str, tuple[str, Callable[[Any], None]]] = {
    "live, five faces": ("/", _as_it_opens),
    "sources": ("/", _sources),
    "help": ("/", _help),
    "question before recording": ("/", _question),
    "presenting": ("/", _presenting),
    "images": ("/", _images),
    "?view=stage": ("/?view=stage", _as_it_is),
    "?view=bars": ("/?view=bars", _as_it_is),
    "sessions": ("/sessions", _sessions),
    "replay": (f"/sessions/{ID}", _replay),
    "model card": ("/model-card", _as_it_is),
    "HTTP API": ("/api", _as_it_is),
    "for programs": ("/programs", _as_it_is),
    "files": ("/", _files),  # the last one: its queue is opened again with the page
}

_JOBS = FakeJobs()
_SOURCES = {
    "sources": [{"source": "demo", "name": "Demo"}, {"source": "0", "name": "Webcam 0"}],
    "files": [f"interviews/day-{number}.mp4" for number in range(1, 13)],
    "current": "demo",
}


def _five_faces() -> tuple[Face, ...]:
    """Five faces side by side."""
    faces = [face_showing(name, number) for number, name in enumerate(EXPRESSIONS[:5], 1)]
    return tuple(replace(face, box=Box(10 + 60 * i, 60, 50, 60)) for i, face in enumerate(faces))


def _answer() -> Any:
    """Answers of the queue of files and of the list of sources; None leaves the request to the app."""
    if request.path == "/api/sources":
        return _SOURCES
    return _JOBS[request.path]() if request.path in _JOBS else None


@contextmanager
def _serving() -> Iterator[str]:
    """Serve five faces, a queue of files and a session of two people; gives the address."""
    camera = FakeCamera()
    camera.faces = _five_faces()
    with tempfile.TemporaryDirectory() as folder:
        write_session(Path(folder), session(100, faces=2))
        sessions = Sessions(Path(folder))
        sessions.edit(ID, [{"do": "mark", "t": 1.0, "text": "a joke"}, {"do": "exclude", "from": 4.0, "to": 5.0}])
        recorder = CsvRecorder(folder)
        analyze = Mock(return_value=Analysis(300, 400, camera.faces))
        app = create_app(camera, AppOptions(recorder=recorder, sessions=sessions, analyze=analyze))
        app.before_request(_answer)
        camera.play(fps=5)
        try:
            with Server(app, port=0) as server:
                yield server.url
        finally:
            _JOBS.end_events()
            camera.close()


def main() -> int:
    """Print the table; status 1 if there are violations."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accessibility", description=__doc__)
    parser.add_argument("--views", default="", help="beginnings of names of views, separated by commas (default: all)")
    wanted = tuple(parser.parse_args().views.split(","))
    axe = axe_source()
    combinations = list(itertools.product(WIDTHS, MODES))
    faulty = 0
    with _serving() as url:
        browser = start_chromium()
        browser.set_script_timeout(120)
        try:
            for name, (path, prepare) in VIEWS.items():
                if not name.startswith(wanted):
                    continue
                browser.get(url + path)
                prepare(browser)
                found = serious_faults(browser, axe, combinations)
                faulty += len(found)
                print(f"| {name:<25} | {len(found):>2} of {len(combinations)} |", flush=True)
                for (width, mode), faults in found.items():
                    print(f"  {width} px, {mode}: {faults}")
        finally:
            browser.quit()
    return int(faulty > 0)


if __name__ == "__main__":
    sys.exit(main())

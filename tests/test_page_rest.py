"""Resting faces on the page: measured with a button, and bars that go left or right of zero."""

from __future__ import annotations

import itertools

import pytest

from mien.analysis.baseline import Baselines
from mien.errors import BaselineError
from mien.types import EXPRESSIONS, Analysis
from tests.browser_camera import CHOOSE, FACE, Program, choose_camera, demo_pictures, film, set_permission
from tests.page import click, is_pressed, lists, says, shows, texts, vanishes
from tests.patience import wait_for
from tests.web_fakes import face_showing, free_port

pytestmark = pytest.mark.browser

FIRST, SECOND = ".face:first-child", ".face:last-child"
REACH = """
const bar = document.querySelector(arguments[0] + ` [data-expression="${arguments[1]}"]`);
const [track, fill] = [".track", ".fill"].map((part) => bar.querySelector(part).getBoundingClientRect());
return [fill.left, fill.right].map((edge) => (edge - track.left) / track.width);
"""
"""From where to where a bar reaches, as shares of its track."""


@pytest.fixture
def fps() -> list[float]:
    """Frames per second as resting faces count them; a test may change it."""
    return [10.0]


@pytest.fixture
def page(browser, fake_camera, serve, fps):
    baselines, times_s = Baselines(), [0.0]

    def compare(analysis: Analysis, _: float) -> Analysis:
        times_s[0] += 1 / fps[0]
        return baselines.update(analysis, times_s[0])

    fake_camera.compare = compare
    fake_camera.play()
    server = serve(fake_camera, port=free_port(), baselines=lambda key: baselines)
    browser.get(server.url)
    wait_for(lambda: len(texts(browser, "#faces .face")) == 2)
    return server


def reach(browser, expression: str) -> list[float]:
    return browser.execute_script(REACH, FIRST, expression)


def test_each_expression_is_shown_against_the_resting_face_and_back(browser, fake_camera, page, fps) -> None:
    fps[0] = 1e6  # it is not measured before the test says so
    shows(browser, f"{FIRST} .rest-act", "Measure resting face")
    vanishes(browser, f"{SECOND} .rest-act")  # only of the chosen face
    vanishes(browser, f"{FIRST} .rest-toggle")
    click(browser, f"{FIRST} .rest-act")
    says(browser, f"{FIRST} .rest-note", "Relax your face and look at the camera: ")
    fps[0] = 10
    is_pressed(browser, f"{FIRST} .rest-toggle")  # at once for whom measured it
    lists(browser, f"{FIRST} .value", ["0.0"] * 7)
    says(browser, f"{FIRST} .rest-note", "misleads if the face was not at rest")
    fake_camera.faces = (face_showing("sad", 1), face_showing("sad", 2, x=200))
    change = dict.fromkeys(EXPRESSIONS, "0.0") | {"happy": "−4.0", "sad": "+4.0"}
    lists(browser, f"{FIRST} .value", list(change.values()))
    wait_for(lambda: reach(browser, "happy") == pytest.approx([0.0, 0.5], abs=0.03))
    wait_for(lambda: reach(browser, "sad") == pytest.approx([0.5, 1.0], abs=0.03))
    shows(browser, f"{FIRST} .label", "sad")
    shows(browser, f"{FIRST} .confidence", "82\u202f%")  # as ever
    click(browser, f"{FIRST} .rest-toggle")
    lists(browser, f"{FIRST} .value", ["3", "3", "3", "3", "3", "82", "3"])
    wait_for(lambda: reach(browser, "sad") == pytest.approx([-0.18, 0.82], abs=0.03))
    click(browser, f"{FIRST} .rest-toggle")
    says(browser, f"{FIRST} .value", ".")
    click(browser, f"{FIRST} .rest-act")  # forgets it
    lists(browser, f"{FIRST} .value", ["3", "3", "3", "3", "3", "82", "3"])
    vanishes(browser, f"{FIRST} .rest-toggle")


def test_the_page_says_why_a_resting_face_was_not_measured(browser, page, fps) -> None:
    fps[0] = 1e6  # it is not measured before the test says so
    click(browser, f"{FIRST} .rest-act")
    shows(browser, f"{FIRST} .rest-act", "Cancel")
    click(browser, f"{FIRST} .rest-act")
    shows(browser, f"{FIRST} .rest-act", "Measure resting face")
    fps[0] = 0.9
    click(browser, f"{FIRST} .rest-act")
    says(browser, f"{FIRST} .rest-note", "Not measured: expected at least 8 frames in 3 s, found 4.")
    shows(browser, f"{FIRST} .rest-act", "Try again")
    vanishes(browser, f"{FIRST} .rest-toggle")


class OwnProgram(Program):
    """Tracks one face for each browser, with its resting face."""

    def __init__(self) -> None:
        super().__init__()
        self.streams: dict[str, Baselines] = {}
        self.ticks = itertools.count()

    def follow(self, key: str, data: bytes) -> Analysis:
        found = super().follow(key, data)
        return self.streams.setdefault(key, Baselines()).update(found, next(self.ticks) / 10)

    def find(self, key: str | None) -> Baselines:
        if key not in self.streams:
            raise BaselineError("expected a track, found none")
        return self.streams[key]


def test_the_faces_of_this_browsers_camera_are_measured_too(with_camera, camera_file, fake_camera, serve) -> None:
    program = OwnProgram()
    film(camera_file, demo_pictures(0.5))
    fake_camera.play()
    server = serve(fake_camera, port=free_port(), answers=CHOOSE, baselines=program.find, **program.parts)
    set_permission(with_camera, server)
    with_camera.get(server.url)
    choose_camera(with_camera)
    lists(with_camera, "#faces .label", [FACE.label])
    click(with_camera, ".rest-act")
    is_pressed(with_camera, ".rest-toggle")
    lists(with_camera, f"{FIRST} .value", ["0.0"] * 7)
    with_camera.get("about:blank")

"""Recording on the live page: what is shown is what is recorded, and the page says so and what came of it."""

from __future__ import annotations

import itertools
import re
import time

import numpy as np
import pytest

from mien.recording.browser import BrowserRecorder
from mien.recording.csv_log import CsvRecorder
from mien.recording.sessions import Sessions
from mien.types import Analysis, Frame
from tests.browser_camera import CHOOSE, Program, choose_camera, demo_pictures, film, set_permission
from tests.page import appears, click, consent, find, is_pressed, press, says, see, shows, vanishes
from tests.patience import wait_for
from tests.test_page_sources import drop, jpeg
from tests.web_fakes import free_port

pytestmark = pytest.mark.browser

PIXELS = np.zeros((480, 640, 3), np.uint8)


class Recorders:
    """The recorders of a program whose source shows two faces, and of browsers, whose images show one."""

    def __init__(self, folder) -> None:
        self.own = CsvRecorder(folder)
        self.browsers = BrowserRecorder(folder)
        self.sessions = Sessions(folder, self.running)
        self.program = Program()
        self.browsers.is_known = self.program.keys.__contains__
        self._numbers = itertools.count()

    def running(self) -> dict:
        status = self.own.status()
        return ({status.session: status} if status.on else {}) | self.browsers.running()

    def follow(self, key: str, data: bytes) -> Analysis:
        analysis = self.program.follow(key, data)
        self.browsers.record(key, Frame(PIXELS, next(self._numbers), time.time()), analysis)
        return analysis

    @property
    def parts(self) -> dict[str, object]:
        parts = {"follow": self.follow, "recorder": self.own, "browser_recorder": self.browsers}
        return self.program.parts | parts | {"sessions": self.sessions}


@pytest.fixture
def recorders(tmp_path):
    made = Recorders(tmp_path / "sessions")
    yield made
    made.own.stop()
    made.browsers.close()


@pytest.fixture
def page(with_camera, fake_camera, serve, recorders, camera_file):
    film(camera_file, demo_pictures(0.5))
    fake_camera.play()
    server = serve(fake_camera, port=free_port(), answers=CHOOSE, **recorders.parts)
    set_permission(with_camera, server)
    with_camera.get(server.url)
    shows(with_camera, "#status", "LIVE")
    consent(with_camera)
    with_camera.get_log("browser")
    yield server
    with_camera.get("about:blank")


def test_this_browser_s_camera_is_recorded_alone_and_the_page_says_what_came_of_it(
    with_camera, page, recorders
) -> None:
    choose_camera(with_camera)
    wait_for(lambda: len(recorders.program.sizes) > 3)
    press(with_camera, "r")
    see(
        lambda: re.fullmatch(r"Recording this camera \d:\d\d, 1 face", find(with_camera, "#recording-own").text),
        "badge",
    )
    is_pressed(with_camera, "#record")
    (session,) = recorders.sessions.all()
    assert (session.state.source, recorders.own.status().on) == ("browser", False)
    wait_for(lambda: recorders.sessions.all()[0].recording.rows > 3)
    press(with_camera, "r")
    vanishes(with_camera, "#recording-own")
    see(
        lambda: re.fullmatch(r"Recorded \d:\d\d, 1 person\.", find(with_camera, "#recorded-what").text),
        "what came of it",
    )
    links = {link.text: link.get_attribute("href") for link in with_camera.find_elements("css selector", "#recorded a")}
    assert links == {
        "Open": f"{page.url}/sessions/{session.id}",
        "CSV": f"{page.url}/api/sessions/{session.id}/faces.csv",
        "Report": f"{page.url}/api/sessions/{session.id}/report",
    }
    assert with_camera.get_log("browser") == []


def test_leaving_the_camera_ends_its_recording_and_a_pause_does_not(with_camera, page, recorders) -> None:
    choose_camera(with_camera)
    wait_for(lambda: len(recorders.program.sizes) > 3)
    press(with_camera, "r")
    appears(with_camera, "#recording-own")
    (session,) = recorders.browsers.running()
    # As after a pause: the page analyzes its images under another key.
    with_camera.execute_script("window.kept = fetch; window.fetch = () => Promise.reject(new TypeError())")
    says(with_camera, "#banner", "did not answer")
    with_camera.execute_script("window.fetch = window.kept")
    wait_for(lambda: len(recorders.program.keys) >= 2)
    vanishes(with_camera, "#banner")
    rows = recorders.sessions.get(session).recording.rows
    wait_for(lambda: recorders.sessions.get(session).recording.rows > rows)
    assert len(recorders.sessions.all()) == 1
    click(with_camera, "#source")
    see(lambda: find(with_camera, "#source-list li:last-child button").click() or True, "the program's source")
    appears(with_camera, "#recorded")
    assert recorders.browsers.running() == {}


def test_the_program_s_source_is_recorded_with_video_if_that_is_ticked(with_camera, page, recorders) -> None:
    pytest.importorskip("av", reason="av is not installed")
    click(with_camera, "#keep-video")
    click(with_camera, "#record")
    see(lambda: re.fullmatch(r"REC VIDEO \d:\d\d", find(with_camera, "#recording").text), "the badge")
    says(with_camera, ".foot .stored", "is being recorded with video")
    assert recorders.own.status().video
    click(with_camera, "#record")
    see(
        lambda: re.fullmatch(r"Recorded \d:\d\d, nobody\.", find(with_camera, "#recorded-what").text), "what came of it"
    )
    with_camera.refresh()
    see(lambda: find(with_camera, "#keep-video").is_selected(), "the choice is remembered")
    with_camera.execute_script("localStorage.clear()")


def test_images_are_not_recorded_and_the_button_says_why(with_camera, page, recorders) -> None:
    assert drop(with_camera, one_jpg=jpeg(300, 400))
    shows(with_camera, "#status", "IMAGE")
    see(lambda: not find(with_camera, "#record").is_enabled(), "the button is off")
    assert "images are not recorded" in find(with_camera, "#record").get_attribute("title")
    press(with_camera, "r")
    says(with_camera, "#note", "images are not recorded")
    assert recorders.sessions.all() == []
    click(with_camera, "#back")
    see(lambda: find(with_camera, "#record").is_enabled(), "the button is on")
    with_camera.get_log("browser")

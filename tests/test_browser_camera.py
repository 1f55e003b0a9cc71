"""This browser's camera: its frames go to the program one at a time and come back as boxes."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import cv2
import numpy as np
import pytest

from mien.demo import DemoSource
from mien.expressions import Analysis, Box
from mien.imaging import decode_image, encode_jpeg
from mien.privacy import Privacy
from tests.chromium import missing, start_chromium
from tests.page import SHADE, asked, find, press, texts, viewers
from tests.web_fakes import eventually, face_showing, free_port, resize

pytestmark = pytest.mark.browser


def write_camera(path: Path, seconds: float = 2) -> Path:
    """A file that Chromium plays as a camera: JPEGs one after the other; the demo's faces, 640x480.

    It grows lighter to the right, so that no two blocks of a mosaic have the same colour.
    """
    demo = DemoSource()
    light = np.linspace(0, 60, 640, dtype=np.uint8)[None, :, None]
    with path.open("wb") as file:
        for index in range(round(30 * seconds)):
            file.write(encode_jpeg(cv2.add(demo.render(index / 30)[0], np.broadcast_to(light, (480, 640, 3)))))
    demo.close()
    return path


@pytest.fixture(scope="module")
def with_camera(tmp_path_factory):
    """A Chromium that has a camera; `lend` says whether it gives it to a page."""
    pytest.importorskip("selenium", reason="selenium is not installed")
    if reason := missing():
        pytest.skip(reason)
    file = write_camera(tmp_path_factory.mktemp("camera") / "camera.mjpeg")
    browser = start_chromium(
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={file}",
    )
    resize(browser, 1280, 800)
    yield browser
    browser.quit()


def lend(browser, server, setting: str = "granted") -> None:
    """Answer as the user would, where the browser asks whether the page may use the camera."""
    permission = {"permission": {"name": "camera"}, "setting": setting, "origin": server.url}
    browser.execute_cdp_cmd("Browser.setPermission", permission)


FACE = replace(face_showing("happy", 1), box=Box(270, 190, 100, 100))
"""In the middle of the demo's, which moves."""


CHOOSE = {
    "/api/sources": lambda: {"sources": [{"source": "0", "name": "Fake camera"}], "files": None},
    "/api/source": lambda: {"source": {"name": "Fake camera", "state": "live"}},
}
"""Answers of a program with one source."""


class Program:
    """Stands for the program: remembers what it was sent, answers as it is told."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []
        self.at_once = self.most_at_once = 0
        self.faces = (FACE,)
        self.keys: set[str] = set()
        self.privacy = Privacy()
        self._lock = threading.Lock()

    @property
    def parts(self) -> dict[str, object]:
        """What the app is built with."""
        return {"analyze": Mock(), "follow": self.follow, "privacy": self.privacy}

    def follow(self, key: str, data: bytes) -> Analysis:
        assert len(key) >= 8
        self.keys.add(key)
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        pixels = decode_image(data)
        assert np.ptp(pixels) > 50  # a picture, not a blank
        height, width = pixels.shape[:2]
        self.sizes.append((width, height))
        with self._lock:
            self.at_once -= 1
        return Analysis(width, height, self.faces)


@pytest.fixture
def program() -> Program:
    return Program()


def choose_camera(browser) -> None:
    find(browser, "#source").click()
    find(browser, "#own-camera").click()


@pytest.fixture
def page(with_camera, fake_camera, serve, program):
    fake_camera.play()
    server = serve(fake_camera, port=free_port(), answers=CHOOSE, **program.parts)
    lend(with_camera, server)
    with_camera.get(server.url)
    assert eventually(lambda: find(with_camera, "#status").text == "LIVE")
    yield server
    with_camera.get("about:blank")


def test_frames_go_to_the_program_one_at_a_time_and_are_shown_with_their_answers(with_camera, page, program) -> None:
    choose_camera(with_camera)
    assert eventually(lambda: find(with_camera, "#source-name").text == "This browser's camera")
    assert eventually(lambda: len(program.sizes) > 10)
    assert set(program.sizes) == {(640, 480)}
    assert program.most_at_once == 1
    assert len(program.keys) == 1
    assert eventually(lambda: texts(with_camera, "#faces .label") == ["happy"])
    assert find(with_camera, "#status").text == "LIVE"
    assert with_camera.execute_script(SHADE) > 0
    assert eventually(lambda: float(texts(with_camera, "#fps")[0]) > 0)
    assert eventually(lambda: viewers(page) == 0)  # the program's own picture is not pulled meanwhile
    assert eventually(lambda: texts(with_camera, "#timeline-face") == ["Face 1"])


def test_meanwhile_the_program_s_own_source_may_rest_and_what_it_does_is_still_seen(with_camera, page, program) -> None:
    choose_camera(with_camera)
    assert eventually(lambda: len(program.sizes) > 3)
    with_camera.execute_script("performance.clearResourceTimings()")
    program.privacy.switch(True)
    assert eventually(lambda: find(with_camera, "#privacy-badge").is_displayed())
    assert asked(with_camera, "/api/state") == asked(with_camera, "/api/frames") == 0


def test_paused_nothing_is_sent(with_camera, page, program) -> None:
    choose_camera(with_camera)
    assert eventually(lambda: len(program.sizes) > 3)
    press(with_camera, "p")
    assert find(with_camera, "#status").text == "PAUSED"
    sent = len(program.sizes)
    assert not eventually(lambda: len(program.sizes) > sent + 1, within_s=1.5)  # one may have been on its way
    press(with_camera, "p")
    assert eventually(lambda: len(program.sizes) > sent + 3)


def test_back_to_the_program_s_source_the_camera_is_given_back(with_camera, page, program) -> None:
    choose_camera(with_camera)
    assert eventually(lambda: len(program.sizes) > 3)
    find(with_camera, "#source").click()
    assert eventually(lambda: texts(with_camera, "#source-list button") != [])
    find(with_camera, "#source-list li:last-child button").click()
    assert eventually(lambda: find(with_camera, "#source-name").text == "Fake camera")
    sent = len(program.sizes)
    assert not eventually(lambda: len(program.sizes) > sent + 1, within_s=1.5)
    assert eventually(lambda: viewers(page) == 1)


BLOCKS = """
const picture = document.getElementById("picture");
const [x, y, w, h] = arguments[0];
const copy = new OffscreenCanvas(w, h).getContext("2d", { willReadFrequently: true });
copy.drawImage(picture, x, y, w, h, 0, 0, w, h);
const { data } = copy.getImageData(0, 0, w, h);
const colours = new Set();
for (let i = 0; i < data.length; i += 4) colours.add(data[i] + 256 * data[i + 1] + 65536 * data[i + 2]);
return colours.size;
"""
"""How many colours there are in a part of the picture."""
INSIDE = [270, 190, 100, 100]
WHOLE = [0, 0, 640, 480]


def test_in_privacy_mode_faces_are_pixelated_and_it_fails_closed(with_camera, page, program) -> None:
    choose_camera(with_camera)
    assert eventually(lambda: texts(with_camera, "#faces .label") == ["happy"])
    assert with_camera.execute_script(BLOCKS, INSIDE) > 200
    press(with_camera, "b")
    assert eventually(lambda: with_camera.execute_script(BLOCKS, INSIDE) <= 64)
    assert with_camera.execute_script(BLOCKS, WHOLE) > 200  # the rest is a finer mosaic
    program.faces = ()  # not found for a moment: the place stays covered, then the whole picture
    sent = len(program.sizes)
    assert eventually(lambda: len(program.sizes) > sent + 2 and texts(with_camera, "#faces .label") == [])
    assert with_camera.execute_script(BLOCKS, INSIDE) <= 64
    assert eventually(lambda: with_camera.execute_script(BLOCKS, WHOLE) <= 88, within_s=4)


def test_in_privacy_mode_the_whole_picture_is_covered_until_a_face_is_found(with_camera, page, program) -> None:
    press(with_camera, "b")
    assert eventually(lambda: find(with_camera, "#privacy-badge").is_displayed())
    program.faces = ()
    choose_camera(with_camera)
    assert eventually(lambda: len(program.sizes) > 3)
    assert eventually(lambda: find(with_camera, "#picture").get_property("width") == 640)
    assert with_camera.execute_script(BLOCKS, WHOLE) <= 88
    program.faces = (FACE,)
    assert eventually(lambda: with_camera.execute_script(BLOCKS, WHOLE) > 200)
    assert with_camera.execute_script(BLOCKS, INSIDE) <= 64


def test_a_program_that_is_busy_is_asked_again(with_camera, fake_camera, serve, program) -> None:
    fake_camera.play()
    busy = threading.Event()
    busy.set()
    too_many = {
        "/api/analyze": lambda: ({"error": "4 images are being analysed already."}, 429) if busy.is_set() else None
    }
    server = serve(fake_camera, answers=too_many, **program.parts)
    lend(with_camera, server)
    with_camera.get(server.url)
    choose_camera(with_camera)
    assert eventually(lambda: "as soon as there is a place" in find(with_camera, "#banner").text)
    busy.clear()
    assert eventually(lambda: texts(with_camera, "#faces .label") == ["happy"])
    assert not find(with_camera, "#banner").is_displayed()
    with_camera.get_log("browser")  # says 429
    with_camera.get("about:blank")


# ---- a browser that lends no camera


@pytest.mark.parametrize(
    ("camera", "badge", "words"),
    [
        ("denied", "CAMERA REFUSED", "Allow it in the browser's site settings"),
        ("missing", "NO CAMERA", "no camera that the browser can see"),
        ("insecure", "CAMERA REFUSED", "opened as localhost or over HTTPS"),
    ],
)
def test_without_a_camera_it_is_said_what_to_do(browser, with_camera, fake_camera, serve, camera, badge, words) -> None:
    fake_camera.play()
    server = serve(fake_camera, answers=CHOOSE)
    if camera == "denied":
        browser = with_camera
    lend(browser, server, "denied" if camera == "denied" else "granted")
    browser.get(server.url)
    assert eventually(lambda: find(browser, "#status").text == "LIVE")
    if camera == "insecure":  # what a browser does for a page opened by http from another computer
        browser.execute_script("Object.defineProperty(navigator, 'mediaDevices', {value: undefined})")
    choose_camera(browser)
    assert eventually(lambda: find(browser, "#status").text == badge)
    assert words in find(browser, "#notice").text
    assert texts(browser, "#faces .face") == []
    find(browser, "#source").click()
    assert eventually(lambda: texts(browser, "#source-list button") != [])
    # In one step: the page may draw its list anew at any moment.
    browser.execute_script("document.querySelector('#source-list li:last-child button').click()")
    assert eventually(lambda: find(browser, "#status").text == "LIVE")
    browser.execute_cdp_cmd("Browser.resetPermissions", {})
    browser.get("about:blank")

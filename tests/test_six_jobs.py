"""What six people come for, done with the real program in a real browser, and how often each has to click for it."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import cv2
import pytest

from mien.images.codecs import encode_jpeg
from tests.browser_camera import film, set_permission
from tests.clips import demo_pictures, write_video
from tests.media import composite_frame, time_of
from tests.page import appears, click, find, lists, says, see, shows, texts
from tests.patience import wait_for
from tests.test_label_placement import FONT_SIZES
from tests.test_program import Running
from tests.test_replay import session
from tests.test_sessions import ID, write_session
from tests.web_fakes import resize

pytestmark = pytest.mark.browser

PHOTOS, VIDEOS = 202, 10


class User:
    """Somebody at the page: counts clicks, keys and drops, also those on what the browser itself asks."""

    def __init__(self, browser: Any, url: str) -> None:
        self.browser, self.url = browser, url
        self.clicks = 0

    def open(self, path: str = "/") -> None:
        """Open an address, with what this browser remembers of others forgotten."""
        self.browser.get(self.url + "/healthz")  # the page itself would store again what it had just restored
        self.browser.execute_script("localStorage.clear(); sessionStorage.clear()")
        self.browser.get(self.url + path)

    def click(self, selector: str) -> None:
        click(self.browser, selector)
        self.clicks += 1

    def allow_camera(self) -> None:
        """Answer the browser's question whether the page may use the camera."""
        set_permission(self.browser, self)
        self.clicks += 1

    def drop(self, paths: list[Path]) -> None:
        """Drop files on the page, all at once."""
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.browser.execute_cdp_cmd("Input.dispatchDragEvent", {"type": kind, "x": 400, "y": 300, "data": data})
        self.clicks += 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A source with two people, and a session of theirs of two minutes."""
    folder = tmp_path_factory.mktemp("jobs")
    (folder / "media").mkdir()
    write_video(folder / "media" / "interview.mp4", 400 * demo_pictures(1, people=2))
    write_session(folder / "sessions", session(1201, faces=2))
    return folder


@pytest.fixture(scope="module")
def program(folder):
    running = Running("--source", "demo", "--media", folder / "media", "--sessions", folder / "sessions")
    running.wait_for(lambda state: len(state["faces"]) == 3)
    yield running
    running.stop()


@pytest.fixture
def user(with_camera, program):
    resize(with_camera, 1280, 800)
    yield User(with_camera, program.url)
    with_camera.get("about:blank")
    with_camera.get_log("browser")


def test_a_student_sees_the_own_expression_after_two_clicks(with_camera, user, camera_file) -> None:
    film(camera_file, 15 * [composite_frame("happy")[0]])
    user.open()
    shows(with_camera, "#status", "DEMO")
    user.allow_camera()
    user.click("[data-step=camera]")
    shows(with_camera, "#source-name", "This browser's camera")
    lists(with_camera, "#faces .label", ["happy"])
    assert user.clicks <= 2


def test_a_teacher_shows_labels_for_the_back_of_the_room_after_one_click(with_camera, user) -> None:
    resize(with_camera, 3840, 2160)
    user.open()
    user.click("#present")
    wait_for(lambda: with_camera.execute_script("return Boolean(document.fullscreenElement)"))
    see(lambda: len(texts(with_camera, ".big-strip .label")) == 3, "a strip for each face")
    size_px, *_ = with_camera.execute_async_script(FONT_SIZES)
    assert size_px >= 0.022 * 2160
    strip_px = find(with_camera, ".big-strip .label").value_of_css_property("font-size")
    assert float(strip_px.removesuffix("px")) >= 48
    assert user.clicks <= 1


@pytest.fixture
def interview(program):
    """The program shows two people."""
    program.post("/api/source", {"source": "interview.mp4"})
    yield
    program.post("/api/source", {"source": "demo"})


def test_a_researcher_has_a_session_of_two_people_after_four_clicks(with_camera, program, interview, user) -> None:
    """Seconds are recorded here; the next test reads two minutes."""
    user.open()
    see(lambda: len(texts(with_camera, "#faces .face")) == 2, "two people")
    user.click("#record")
    user.click("#ask-yes")  # they know of it
    appears(with_camera, "#recording")
    program.wait_for(lambda state: state["recording"]["rows"] > 60)
    user.click("#record")
    see(
        lambda: re.fullmatch(r"Recorded \d:\d\d, 2 people\.", find(with_camera, "#recorded-what").text),
        "what came of it",
    )
    user.click("#recorded [data-file=open]")
    see(lambda: len(texts(with_camera, ".lane-name")) == 2, "a lane for each")
    assert user.clicks <= 4


def test_a_researcher_opens_a_session_of_two_minutes_after_two_clicks(with_camera, user) -> None:
    user.open()
    user.click(".pages-link")
    see(
        lambda: "2:00 · 2 people" in find(with_camera, ".recorded:last-child .recorded-facts").text, "length and people"
    )
    user.click(".recorded:last-child [data-file=open]")
    assert with_camera.current_url.endswith(ID)
    lists(with_camera, ".lane-name", ["Face 1", "Face 2"])
    shows(with_camera, "#clock", "0:00 of 2:00")
    assert user.clicks <= 4


def test_a_maker_sees_the_events_of_the_faces_after_two_clicks(with_camera, user) -> None:
    user.open()
    user.click(".foot a[href=programs]")
    events = "[data-method=GET][data-path='/api/events']"
    user.click(f"{events} .try button")
    says(with_camera, f"{events} .result", '"faces"')
    examples = " ".join(texts(with_camera, ".example pre"))
    assert f"{user.url}/api/" in examples, "what to copy has the address of this program"
    assert user.clicks <= 2


def are_done(browser: Any, count: int) -> None:
    """Wait until all files are analyzed, in a process that lets all others come first."""
    words = f"{count} of {count} files done"
    wait_for(lambda: words in " ".join(texts(browser, "#files-summary")), words, patience_s=120)


def test_of_202_photos_there_is_a_table_after_one_drop(with_camera, user, tmp_path) -> None:
    faces = [encode_jpeg(cv2.resize(composite_frame(label)[0], (320, 240))) for label in ("happy", "surprise")]
    paths = [tmp_path / f"photo-{number}.jpg" for number in range(1, PHOTOS + 1)]
    for number, path in enumerate(paths):
        path.write_bytes(faces[number % 2])
    user.open()
    shows(with_camera, "#status", "DEMO")
    user.drop(paths)
    are_done(with_camera, PHOTOS)
    assert texts(with_camera, "#results-rows .label")[:2] == ["happy", "surprise"]
    counts = dict(
        zip(texts(with_camera, "#results-filter .name"), texts(with_camera, "#results-filter .value"), strict=True)
    )
    assert (counts["happy"], counts["surprise"]) == (str(PHOTOS // 2), str(PHOTOS // 2))
    assert user.clicks <= 1


def test_of_ten_videos_there_are_results_after_one_drop_and_a_table_after_a_click(with_camera, user, tmp_path) -> None:
    with_camera.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    start = round(30 * time_of("happy"))
    pictures = [cv2.resize(picture, (320, 240)) for picture in demo_pictures(start + 8)[start:]]
    paths = [write_video(tmp_path / f"video-{number}.mp4", pictures) for number in range(1, VIDEOS + 1)]
    user.open()
    shows(with_camera, "#status", "DEMO")
    user.drop(paths)
    are_done(with_camera, VIDEOS)
    lists(with_camera, "#results-rows .file-name", [path.name for path in paths])
    assert texts(with_camera, "#results-rows .label") == VIDEOS * ["happy"]
    assert user.clicks <= 1
    user.click("#results-csv")  # "CSV of all"
    table = tmp_path / "faces.csv"
    wait_for(table.exists)
    with table.open(encoding="utf-8", newline="") as file:
        assert {row["input"] for row in csv.DictReader(file)} == {path.name for path in paths}

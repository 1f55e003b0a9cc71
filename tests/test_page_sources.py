"""The menu of sources, and images that are dropped on the page."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest
from flask import request

from mien.images.codecs import decode_image, encode_jpeg
from mien.images.privacy import Privacy
from mien.stream.config import Timeouts
from mien.types import Analysis
from tests.page import appears, changes, click, find, is_pressed, lists, press, says, shows, texts, vanishes, viewers
from tests.patience import wait_for
from tests.web_fakes import face_showing, free_port
from web.pages import ROOT

pytestmark = pytest.mark.browser


def analyze(data: bytes) -> Analysis:
    """One face in every image, two in images wider than high."""
    height, width = decode_image(data).shape[:2]
    faces = (face_showing("fear", x=10),) if width <= height else (face_showing("happy"), face_showing("sad", x=200))
    return Analysis(width, height, faces)


SOURCES = [{"source": "demo", "name": "Demo"}, {"source": "0", "name": "Webcam 0 (Fake)"}]


@pytest.fixture
def page(browser, fake_camera, serve):
    open_now = ["0"]

    def switch():
        wanted = request.get_json()["source"]
        if wanted.startswith("rtsp:"):
            return {"error": f"{wanted} cannot be opened."}, 422
        open_now.append(wanted)
        names = {one["source"]: one["name"] for one in SOURCES}
        fake_camera.current = replace(fake_camera.current, name=names.get(wanted, wanted))
        return {"source": {"name": fake_camera.current.name, "state": "live"}}

    fake_camera.play()

    def sources():
        return {"sources": SOURCES, "files": ["a.mp4"], "current": open_now[-1]}

    answers = {"/api/sources": sources, "/api/source": switch}
    server = serve(fake_camera, port=free_port(), analyze=analyze, privacy=Privacy(), answers=answers)
    browser.get(server.url)
    wait_for(lambda: len(texts(browser, "#faces .face")) == 2)
    return server


def open_menu(browser) -> None:
    click(browser, "#source")
    wait_for(lambda: texts(browser, "#source-list button") != [])


# ---- the program's sources


def test_the_menu_lists_the_sources_and_marks_the_current_one(browser, page) -> None:
    vanishes(browser, "#source-menu")
    open_menu(browser)
    lists(browser, "#source-list button", ["Demo", "Webcam 0 (Fake)"])
    lists(browser, "#file-list button", ["a.mp4"])
    lists(browser, "#source-menu [aria-current=true]", ["Webcam 0 (Fake)"])
    wait_for(lambda: find(browser, "#source").get_attribute("aria-expanded") == "true")
    press(browser, "\ue00c")  # Escape
    vanishes(browser, "#source-menu")
    wait_for(lambda: find(browser, "#source").get_attribute("aria-expanded") == "false")


@pytest.mark.parametrize(
    ("selector", "name"), [("#source-list li:first-child button", "Demo"), ("#file-list button", "a.mp4")]
)
def test_another_source_is_selected(browser, page, selector, name) -> None:
    open_menu(browser)
    click(browser, selector)
    shows(browser, "#source-name", name)
    vanishes(browser, "#source-menu")
    changes(browser)
    open_menu(browser)
    lists(browser, "#source-menu [aria-current=true]", [name])


def test_a_source_chosen_while_paused_is_shown(browser, page) -> None:
    press(browser, "p")
    shows(browser, "#status", "PAUSED")
    open_menu(browser)
    click(browser, "#source-list li:first-child button")
    shows(browser, "#source-name", "Demo")
    shows(browser, "#status", "LIVE")
    is_pressed(browser, "#pause", False)
    changes(browser)


def test_a_source_that_cannot_be_opened_is_explained_and_the_old_one_continues(browser, page) -> None:
    open_menu(browser)
    find(browser, "#url").send_keys("rtsp://nowhere/\n")
    says(browser, "#source-note", "rtsp://nowhere/ cannot be opened")
    appears(browser, "#source-menu")
    shows(browser, "#source-name", "Fake camera")
    changes(browser)
    browser.get_log("browser")  # says 422


def test_the_page_waits_for_a_source_longer_than_the_program() -> None:
    answer_ms = re.search(r"ANSWER_MS = (\d+);", (ROOT / "static" / "server.js").read_text())[1]
    assert int(answer_ms) >= 1000 * (Timeouts().open_within_s + 3)


def test_letters_typed_into_the_address_trigger_no_shortcuts(browser, page) -> None:
    open_menu(browser)
    find(browser, "#url").send_keys("pmb")
    is_pressed(browser, "#pause", False)
    is_pressed(browser, "#mirror", False)
    is_pressed(browser, "#privacy", False)


# ---- images

DROP = """
const files = new DataTransfer();
for (const [name, base64] of arguments[0]) {
  const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
  files.items.add(new File([bytes], name, { type: name.endsWith("txt") ? "text/plain" : "image/jpeg" }));
}
const event = (name) => new DragEvent(name, { dataTransfer: files, bubbles: true, cancelable: true });
document.body.dispatchEvent(event("dragover"));
const invited = !document.getElementById("drop").hidden;
document.body.dispatchEvent(event("drop"));
return invited;
"""


def jpeg(width: int, height: int, shade: int = 120) -> bytes:
    return encode_jpeg(np.full((height, width, 3), shade, np.uint8))


def drop(browser, **images: bytes) -> bool:
    from base64 import b64encode

    files = [[name.replace("_", "."), b64encode(data).decode()] for name, data in images.items()]
    return browser.execute_script(DROP, files)


def test_an_image_dropped_on_the_page_is_shown_with_its_faces(browser, page) -> None:
    assert drop(browser, two_jpg=jpeg(400, 300))
    shows(browser, "#status", "IMAGE")
    lists(browser, "#faces .label", ["happy", "sad"])
    shows(browser, "#source-name", "two.jpg")
    wait_for(lambda: find(browser, "#picture").get_property("width") == 400)
    vanishes(browser, "#drop")
    vanishes(browser, "#strip")
    wait_for(lambda: viewers(page) == 0)
    click(browser, "#back")
    shows(browser, "#status", "LIVE")
    changes(browser)


def test_one_of_several_images_can_be_selected(browser, page, tmp_path) -> None:
    paths = []
    for name, size in (("wide.jpg", (400, 300)), ("high.jpg", (300, 400))):
        (tmp_path / name).write_bytes(jpeg(*size))
        paths.append(str(tmp_path / name))
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xffno image")
    find(browser, "#files").send_keys("\n".join([*paths, str(tmp_path / "broken.jpg")]))
    lists(browser, "#faces .label", ["happy", "sad"])
    wait_for(lambda: len(browser.find_elements("css selector", "#strip button")) == 3)
    buttons = browser.find_elements("css selector", "#strip button")
    assert [button.accessible_name for button in buttons] == ["Show wide.jpg", "Show high.jpg", "Show broken.jpg"]
    buttons[1].click()
    lists(browser, "#faces .label", ["fear"])
    lists(browser, "#image-name", ["high.jpg"])
    browser.find_elements("css selector", "#strip button")[2].click()
    lists(browser, "#faces .label", [])
    says(browser, "#notice", "broken")
    wait_for(lambda: texts(browser, "#announcement")[0].startswith("broken.jpg. The JPEG image is broken"))
    browser.get_log("browser")  # says 422


def test_a_file_that_is_not_an_image_is_refused_with_a_message(browser, page) -> None:
    drop(browser, notes_txt=b"hello")
    says(browser, "#note", "found none")
    shows(browser, "#status", "LIVE")


def test_an_image_without_a_face_is_labeled_as_such(browser, fake_camera, serve) -> None:
    fake_camera.play()
    browser.get(serve(fake_camera, analyze=lambda data: Analysis(64, 64)).url)
    shows(browser, "#status", "LIVE")
    drop(browser, empty_jpg=jpeg(64, 64))
    says(browser, "#hint", "No face detected")
    appears(browser, "#no-face")


def test_picture_and_json_are_saved(browser, page, tmp_path) -> None:
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    drop(browser, photo_jpg=jpeg(400, 300))
    lists(browser, "#faces .label", ["happy", "sad"])
    click(browser, "#save-json")
    wait_for((tmp_path / "photo-mien.json").exists)
    answer = json.loads((tmp_path / "photo-mien.json").read_text())
    assert (answer["name"], answer["width"]) == ("photo.jpg", 400)
    assert [face["label"] for face in answer["faces"]] == ["happy", "sad"]
    click(browser, "#save-png")
    wait_for(lambda: cv2.imread(str(tmp_path / "photo-mien.png")) is not None)
    picture = cv2.imread(str(tmp_path / "photo-mien.png"))
    assert picture.shape == (300, 400, 3)
    assert np.ptp(picture[:, 35:145]) > 100  # a box is drawn on uniform gray


def test_in_privacy_mode_a_dropped_image_is_pixelated(browser, page) -> None:
    rng = np.random.default_rng(1)
    picture = encode_jpeg(rng.integers(0, 255, (300, 400, 3), np.uint8))
    drop(browser, noise_jpg=picture)
    script = """
    const { data } = document.getElementById("picture").getContext("2d").getImageData(52, 54, 6, 6);
    return new Set(data).size;
    """
    lists(browser, "#faces .label", ["happy", "sad"])
    wait_for(lambda: browser.execute_script(script) > 50)
    press(browser, "b")
    wait_for(lambda: browser.execute_script(script) <= 4)  # one block of one color
    appears(browser, "#privacy-badge")
    press(browser, "b")
    wait_for(lambda: browser.execute_script(script) > 50)
    browser.get_log("browser")  # a hint about frequent pixel readback

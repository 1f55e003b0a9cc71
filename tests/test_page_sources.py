"""The menu of sources, and images that are dropped on the page."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import replace

import cv2
import numpy as np
import pytest
from flask import Response, request

from mien.images.codecs import decode_image, encode_jpeg
from mien.images.privacy import Privacy
from mien.stream.config import Timeouts
from mien.types import Analysis
from tests.page import appears, changes, click, find, is_pressed, lists, press, says, shows, texts, vanishes, viewers
from tests.patience import PATIENCE_S, stays, wait_for
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
    lists(browser, "#source-list button", ["Webcam 0 (Fake)"])
    lists(browser, "#demo-list button", ["Demo"])
    lists(browser, "#file-list button", ["a.mp4"])
    lists(browser, "#source-menu [aria-current=true]", ["Webcam 0 (Fake)"])
    wait_for(lambda: find(browser, "#source").get_attribute("aria-expanded") == "true")
    press(browser, "\ue00c")  # Escape
    vanishes(browser, "#source-menu")
    wait_for(lambda: find(browser, "#source").get_attribute("aria-expanded") == "false")


@pytest.mark.parametrize(("selector", "name"), [("#demo-list button", "Demo"), ("#file-list button", "a.mp4")])
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
    click(browser, "#demo-list button")
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


def test_while_another_source_is_opened_nothing_of_the_old_one_is_shown(browser, fake_camera, serve) -> None:
    opening, go_on, answers = threading.Event(), threading.Event(), iter([422, 200])

    def switch():
        opening.set()
        assert go_on.wait(PATIENCE_S)
        go_on.clear()
        status = next(answers)
        if status == 200:
            fake_camera.current = replace(fake_camera.current, name="Webcam 1")
        return ({"error": "Webcam 1 is busy."}, 422) if status == 422 else {"source": {"name": "Webcam 1"}}

    fake_camera.play()
    listed = {"sources": [{"source": "1", "name": "Webcam 1"}], "files": None, "current": "0"}
    browser.get(serve(fake_camera, answers={"/api/sources": lambda: listed, "/api/source": switch}).url)
    lists(browser, "#faces .label", ["happy", "sad"])
    for button in ("#source-list button", "#source-retry"):
        if button == "#source-list button":
            click(browser, "#source")
        click(browser, button)
        assert opening.wait(PATIENCE_S)
        opening.clear()
        lists(browser, "#faces .label", [])
        shows(browser, "#notice", "Opening Webcam 1 …")
        lists(browser, ".timeline .stale-reason", ["Opening Webcam 1 …"])
        vanishes(browser, "#lines")
        go_on.set()
        lists(browser, "#faces .label", ["happy", "sad"])  # of the old source first, then of the new one
        appears(browser, "#lines")
    shows(browser, "#source-name", "Webcam 1")
    vanishes(browser, "#source-menu")
    browser.get_log("browser")  # says 422


def test_a_picture_of_the_source_before_is_not_shown_as_one_of_the_new_one(browser, fake_camera, page) -> None:
    changes(browser)
    fake_camera.pause()
    fake_camera.current = replace(fake_camera.current, name="clip.mp4", state="file", stream=7)
    shows(browser, "#source-name", "clip.mp4")
    appears(browser, "#notice")
    vanishes(browser, "#picture")
    lists(browser, "#faces .label", [])
    says(browser, ".timeline .stale-reason", "Nothing yet from “clip.mp4”")


@pytest.mark.parametrize(
    ("status", "button", "note"),
    [
        ({"state": "ended", "reason": "clip.mp4 was played to its end"}, "Play again", None),
        (
            {"state": "reconnecting", "reason": "gone", "failing": "source", "kind": "webcam"},
            "Try again",
            "Gone again.",
        ),
    ],
)
def test_a_source_that_is_missing_or_at_its_end_is_opened_again_by_a_button(
    browser, fake_camera, serve, status, button, note
) -> None:
    asked_for = []

    def again():
        asked_for.append(request.method)
        return ({"error": note}, 422) if note else {"source": {"name": "Fake camera", "state": "live"}}

    fake_camera.publish()
    fake_camera.current = replace(fake_camera.current, **status)
    browser.get(serve(fake_camera, answers={"/api/source/again": again}).url)
    lists(browser, "#steps button", [button, "Choose another source"])
    click(browser, "#steps button:first-child")
    wait_for(lambda: asked_for == ["POST"])
    if note:
        says(browser, "#note", note)
        lists(browser, "#steps button", [button, "Choose another source"])
    else:
        fake_camera.current = replace(fake_camera.current, state="live", reason=None)
        fake_camera.play()
        changes(browser)
        lists(browser, "#steps button", [])
    browser.get_log("browser")  # says 422
    fake_camera.current = replace(fake_camera.current, **status)
    click(browser, "#steps button:last-child")
    appears(browser, "#source-menu")


HINTS = """
const done = arguments[1];
const hints = ({ hintFor }) => arguments[0].map((source) => hintFor({ source, frame: {}, faces: [{}] }));
import("/static/header.js").then((header) => done(hints(header)));
"""


def test_what_is_the_matter_is_said_once_and_with_what_helps(browser, page) -> None:
    again = "It is tried again by itself."
    cases = {
        ("reconnecting", "opening", None, "webcam"): "Opening.",
        (
            "reconnecting",
            "webcam 0 is busy",
            "source",
            "webcam",
        ): f"Webcam 0 is busy. Check that the camera is plugged in and not used by another program. {again}",
        (
            "reconnecting",
            "no picture",
            "source",
            "url",
        ): f"No picture. Check that the camera or server at this address is on and can be reached. {again}",
        ("reconnecting", "it broke", "source", "demo"): f"It broke. {again}",
        ("reconnecting", "the analysis of one frame takes longer than 5 s", "analysis", "demo"): "The analysis of one "
        "frame takes longer than 5 s. The program tries again by itself. If this goes on, choose another face detector "
        "below, or start Mien again.",
        ("ended", "clip.mp4 was played to its end", None, "video"): "clip.mp4 was played to its end.",
        ("ended", None, None, "video"): "The file has ended.",
        ("resting", "no viewers", None, "webcam"): "The camera is released while nobody is watching, and opened again "
        "within a second.",
        ("live", None, None, "webcam"): "",
    }
    sources = [dict(zip(("state", "reason", "failing", "kind"), case, strict=True)) for case in cases]
    assert browser.execute_async_script(HINTS, sources) == list(cases.values())


def test_a_photo_is_shown_without_rates_and_timeline_and_its_faces_are_counted_from_1(
    browser, fake_camera, page
) -> None:
    appears(browser, ".timeline")
    fake_camera.faces = (face_showing("fear", 7), face_showing("sad", 9, x=200))
    fake_camera.current = replace(fake_camera.current, name="photo.jpg", state="file", kind="image")
    shows(browser, "#status", "IMAGE")
    lists(browser, "#faces .who", ["Face 1", "Face 2"])
    lists(browser, "#faces .label", ["fear", "sad"])
    for selector in (".timeline", ".session", ".figures"):
        vanishes(browser, selector)
    fake_camera.faces = (face_showing("sad", 9, x=200), face_showing("happy", 12))
    lists(browser, "#faces .who", ["Face 2", "Face 3"])
    fake_camera.current = replace(fake_camera.current, name="clip.mp4", kind="video")
    shows(browser, "#status", "FILE")
    lists(browser, "#faces .who", ["Face 9", "Face 12"])
    appears(browser, ".timeline")


SLOW = """
const done = arguments[1];
Promise.all(["history", "tally"].map((name) => import(`/static/${name}.js`))).then(([{ History }, { Tally }]) => {
  sessionStorage.clear();
  const [history, tally] = [new History(), new Tally()];
  const probabilities = { angry: 0, disgust: 0, fear: 0, happy: 1, neutral: 0, sad: 0, surprise: 0 };
  for (const at of arguments[0]) {
    history.add([{ id: 1, label: "happy", probabilities }], at);
    tally.add([{ id: 1 }], at, { of: "program", shown: () => "happy" });
  }
  done([history.faces.get(1).bins.map(({ afterAway }) => !afterAway), tally.people.get("program 1").total]);
});
"""


@pytest.mark.parametrize(
    ("times", "joined", "total"),
    [
        ([0, 2, 4, 6, 8], [False, False, False, True, True], 4),  # the usual interval is known after two of them
        ([0, 4, 8, 12, 16, 30], [False, False, False, True, True, False], 8),
        ([0, 0.2, 0.4, 0.6, 3.6, 3.8], [False, True, True, True, False, True], 0.8),
    ],
)
def test_frames_rarer_than_one_a_second_make_a_line_but_gaps_stay_gaps(browser, page, times, joined, total) -> None:
    found, seconds = browser.execute_async_script(SLOW, times)
    assert found == joined
    assert seconds == pytest.approx(total)


# ---- the files of the program

NAMES = [f"day {number % 3}/Prüfung {number:03}.jpg" for number in range(200)]

PICTURES = (
    "return [...document.querySelectorAll('#file-list img:not([hidden])')].filter((each) => each.naturalWidth).length"
)


@pytest.fixture
def files(browser, fake_camera, serve):
    """The page of a program with 200 files, and the names of which it sent thumbnails."""
    sent: list[str] = []

    def thumbnail():
        sent.append(request.args["file"])
        return Response(jpeg(160, 90), mimetype="image/jpeg")

    answers = {
        "/api/sources": lambda: {"sources": SOURCES, "files": NAMES, "current": NAMES[150]},
        "/api/sources/thumbnail": thumbnail,
    }
    fake_camera.play()
    browser.get(serve(fake_camera, port=free_port(), privacy=Privacy(), answers=answers).url)
    lists(browser, "#faces .label", ["happy", "sad"])
    click(browser, "#source")
    wait_for(lambda: len(texts(browser, "#file-list button")) == 200)
    return sent


def test_of_many_files_only_those_in_view_have_their_thumbnails_made(browser, files) -> None:
    wait_for(lambda: browser.execute_script(PICTURES) >= 8)
    assert len(files) < 40
    shows(browser, "#file-count", "200")
    find(browser, "#file-filter").send_keys("PRUFUNG 15 day")
    matching = {name for name in NAMES if "15" in name}
    shows(browser, "#file-count", f"{len(matching)} of 200")
    wait_for(lambda: matching <= set(files))
    lists(browser, "#file-list [aria-current=true]", [NAMES[150]])
    click(browser, "#source-menu .menu-head button")
    click(browser, "#source")
    wait_for(lambda: len(texts(browser, "#file-list button")) == 200)
    assert len(files) == len(set(files)), "each is requested once"


def test_in_privacy_mode_files_have_no_thumbnails(browser, files) -> None:
    wait_for(lambda: browser.execute_script(PICTURES) >= 8)
    press(browser, "\ue00c")  # Escape
    press(browser, "b")
    appears(browser, "#privacy-badge")
    count = len(files)
    click(browser, "#source")
    wait_for(lambda: browser.execute_script(PICTURES) == 0)
    stays(lambda: len(files) == count, 0.5)


def test_files_are_one_stop_of_the_tab_key_and_arrows_move_between_them(browser, files) -> None:
    def focused() -> str:
        return browser.switch_to.active_element.get_attribute("data-file") or ""

    find(browser, "#file-filter").send_keys("prüfung 02\ue004")  # Tab
    names = [name for name in NAMES if "02" in name]
    assert focused() == names[0]
    for key, name in (("\ue014", names[1]), ("\ue010", names[-1]), ("\ue014", names[-1]), ("\ue011", names[0])):
        browser.switch_to.active_element.send_keys(key)
        assert focused() == name
    browser.switch_to.active_element.send_keys("\ue004")
    assert browser.switch_to.active_element.get_attribute("id") == "url"


def test_an_address_is_remembered_unless_it_may_contain_a_password(browser, page) -> None:
    for url, kept in (("http://camera/live", "http://camera/live"), ("http://me:s3cret@camera/live", "")):
        open_menu(browser)
        find(browser, "#url").clear()
        find(browser, "#url").send_keys(f"{url}\n")
        shows(browser, "#source-name", url)
        vanishes(browser, "#source-menu")
        browser.refresh()
        shows(browser, "#status", "LIVE")
        wait_for(lambda kept=kept: find(browser, "#url").get_property("value") == kept)


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
    click(browser, "#ask-yes")
    wait_for(lambda: browser.execute_script(script) > 50)
    browser.get_log("browser")  # a hint about frequent pixel readback

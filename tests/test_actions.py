"""What a person does with the page in a browser: actions, their buttons and their keys."""

from __future__ import annotations

import json
from urllib.request import Request, urlopen

import cv2
import numpy as np
import pytest

from mien.images.codecs import encode_jpeg
from mien.images.privacy import Privacy
from mien.recording.csv_log import SessionRecorder
from mien.recording.video import Saving
from tests.page import BLOCKS, SHADE, asked, changes, find, press, texts, viewers
from tests.web_fakes import eventually, face_showing, free_port, resize

pytestmark = pytest.mark.browser


def explain(pixels_bgr, faces) -> list[bytes]:
    heat = np.zeros((48, 48, 4), np.uint8)
    heat[12:36, 12:36] = (0, 0, 255, 160)
    return [cv2.imencode(".png", heat)[1].tobytes() for _ in faces]


REFUSED = {"error": "The disk is full."}, 503


@pytest.fixture
def refusals() -> dict:
    """What the program refuses, by path; a test fills it."""
    return {}


@pytest.fixture
def page(browser, fake_camera, serve, tmp_path, refusals):
    fake_camera.play()
    session = SessionRecorder(tmp_path / "sessions")
    parts = {"session": session, "privacy": Privacy(), "explain": explain, "answers": refusals}
    server = serve(fake_camera, port=free_port(), **parts)
    browser.get(server.url)
    assert eventually(lambda: len(texts(browser, "#faces .face")) == 2)
    assert changes(browser)
    yield server
    session.stop()


def test_pause_holds_the_picture_and_gives_the_stream_up(browser, fake_camera, page) -> None:
    press(browser, "p")
    shade = browser.execute_script(SHADE)
    assert shade is not None
    assert find(browser, "#status").text == "PAUSED"
    assert find(browser, "#pause").get_attribute("aria-pressed") == "true"
    assert eventually(lambda: viewers(page) == 0)
    fake_camera.faces = ()
    published = fake_camera.snapshots.peek()[0]
    assert eventually(lambda: fake_camera.snapshots.peek()[0] > published + 20)
    assert browser.execute_script(SHADE) == shade
    assert texts(browser, "#faces .label") == ["happy", "sad"]
    find(browser, "#pause").click()
    assert eventually(lambda: texts(browser, "#faces .label") == [])
    assert changes(browser)
    assert find(browser, "#status").text == "LIVE"


def test_a_paused_page_stays_paused_while_it_is_hidden(browser, page) -> None:
    press(browser, " ")
    tab = browser.current_window_handle
    browser.switch_to.new_window("tab")
    browser.close()
    browser.switch_to.window(tab)
    assert find(browser, "#status").text == "PAUSED"
    assert find(browser, "#picture").is_displayed()
    assert eventually(lambda: viewers(page) == 0)


def saved(browser, folder, press_save):
    """The picture that pressing saves."""
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
    press_save()
    assert eventually(lambda: list(folder.glob("mien-*.png")))
    (path,) = folder.glob("mien-*.png")
    assert eventually(lambda: cv2.imread(str(path)) is not None)
    return cv2.imread(str(path))


def test_the_newest_picture_is_saved(browser, page, tmp_path) -> None:
    picture = saved(browser, tmp_path, lambda: press(browser, "s"))
    assert picture.shape == (240, 320, 3)
    assert "Saved as mien-" in find(browser, "#note").text


def test_while_paused_the_picture_that_is_shown_is_saved(browser, page, tmp_path) -> None:
    press(browser, "p")
    shade = browser.execute_script(SHADE)
    picture = saved(browser, tmp_path, find(browser, "#save").click)
    assert abs(int(picture[120, 160, 0]) - shade) <= 2


def test_without_a_picture_nothing_is_saved_or_held_and_it_is_said(browser, fake_camera, serve) -> None:
    browser.get(serve(fake_camera).url)
    assert eventually(lambda: find(browser, "#status").text == "LIVE")
    press(browser, "s")
    assert eventually(lambda: "no picture to save" in find(browser, "#note").text)
    press(browser, "p")
    assert "no picture to pause" in find(browser, "#note").text
    assert find(browser, "#status").text == "LIVE"
    browser.get_log("browser")  # says 503


def test_the_sheet_of_keys_opens_and_closes_and_keeps_the_keys_to_itself(browser, page) -> None:
    press(browser, "?")
    sheet = find(browser, "#help")
    assert sheet.is_displayed()
    assert browser.switch_to.active_element == find(browser, "#help-close")
    press(browser, "p")
    assert find(browser, "#status").text == "LIVE"
    find(browser, "#help-close").click()
    assert not sheet.is_displayed()
    find(browser, "#keys").click()
    assert sheet.is_displayed()
    press(browser, "\ue00c")  # Escape
    assert eventually(lambda: not sheet.is_displayed())


def test_on_a_phone_the_sheet_begins_at_its_top_and_can_be_closed_anywhere(browser, page) -> None:
    resize(browser, 375, 812)
    press(browser, "?")
    assert find(browser, "#help").get_property("scrollTop") == 0
    for scrolled in (0, 200):
        browser.execute_script("document.getElementById('help').scrollTop = arguments[0]", scrolled)
        sheet, close = find(browser, "#help").rect, find(browser, "#help-close").rect
        assert sheet["y"] <= close["y"] <= sheet["y"] + 40
    browser.execute_script("document.getElementById('help').close()")


def test_on_a_phone_the_buttons_are_large_enough_for_a_thumb(browser, page) -> None:
    resize(browser, 375, 812)
    for button in browser.find_elements("css selector", ".actions button"):
        assert button.rect["height"] >= 44
        assert button.rect["width"] >= 44
        assert button.accessible_name


def test_on_a_phone_the_answer_to_a_button_is_seen_above_the_buttons(browser, page) -> None:
    resize(browser, 390, 844)
    browser.execute_script("scrollTo(0, document.body.scrollHeight)")
    find(browser, "#privacy").click()
    assert eventually(lambda: "pixelated for all viewers" in find(browser, "#note").text)
    edges = "const { top, bottom } = arguments[0].getBoundingClientRect(); return [top, bottom]"
    top, bottom = browser.execute_script(edges, find(browser, "#note"))
    assert 0 < top < bottom < browser.execute_script(edges, find(browser, ".actions"))[0]


def test_the_keys_can_be_switched_off(browser, page) -> None:
    press(browser, "?")
    find(browser, "#shortcuts").click()
    find(browser, "#help-close").click()
    press(browser, "m")
    assert not pressed(browser, "mirror")
    find(browser, "#keys").click()
    find(browser, "#shortcuts").click()
    find(browser, "#help-close").click()
    press(browser, "m")
    assert pressed(browser, "mirror")


# ---- what acts on the program, for everybody


def pressed(browser, button: str) -> bool:
    return find(browser, f"#{button}").get_attribute("aria-pressed") == "true"


def test_recording_is_seen_and_its_csv_can_be_had(browser, fake_camera, page, tmp_path) -> None:
    assert not find(browser, "#csv").is_displayed()
    press(browser, "r")
    assert eventually(lambda: find(browser, "#recording").is_displayed())
    assert find(browser, "#recording").text.startswith("REC 0:0")
    assert pressed(browser, "record")
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    find(browser, "#csv").click()
    assert eventually(lambda: list(tmp_path.glob("*.csv")))
    find(browser, "#record").click()
    assert eventually(lambda: not find(browser, "#recording").is_displayed())
    assert not pressed(browser, "record")
    assert find(browser, "#csv").is_displayed()  # the last recording stays


def turn_on(server, path: str) -> None:
    """What another viewer does."""
    body = json.dumps({"on": True}).encode()
    urlopen(Request(server.url + path, body, {"Content-Type": "application/json"})).close()


def test_what_another_viewer_starts_is_seen_here_too(browser, fake_camera, page) -> None:
    assert not pressed(browser, "privacy")
    for path in ("/api/privacy", "/api/record"):
        turn_on(page, path)
    assert eventually(lambda: pressed(browser, "privacy") and pressed(browser, "record"))
    assert texts(browser, "#privacy-badge") == ["PRIVACY"]


def test_a_picture_that_is_held_is_covered_when_another_viewer_turns_privacy_on(browser, fake_camera, page) -> None:
    face = [60, 70, 40, 40]
    fake_camera.pause()
    noise = np.random.default_rng(1).integers(0, 255, (240, 320, 3), np.uint8)
    fake_camera.publish(encode_jpeg(noise))
    assert eventually(lambda: browser.execute_script(BLOCKS, face) > 200)
    press(browser, "p")
    assert eventually(lambda: viewers(page) == 0)
    turn_on(page, "/api/privacy")
    assert eventually(lambda: browser.execute_script(BLOCKS, face) <= 16)
    assert find(browser, "#privacy-badge").is_displayed()
    assert find(browser, "#status").text == "PAUSED"
    browser.get_log("browser")  # advice about reading so many pixels


def test_privacy_goes_on_and_off(browser, page) -> None:
    press(browser, "b")
    assert eventually(lambda: pressed(browser, "privacy"))
    assert "pixelated for all viewers" in find(browser, "#note").text
    press(browser, "b")
    assert eventually(lambda: not pressed(browser, "privacy"))
    assert not find(browser, "#privacy-badge").is_displayed()


CORNER = """
const overlay = document.getElementById("overlay");
const copy = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
const scale = Math.min(overlay.width / 320, overlay.height / 240);
const [x, y] = [(overlay.width - 320 * scale) / 2 + 90 * scale, (overlay.height - 240 * scale) / 2 + 105 * scale];
copy.drawImage(overlay, x, y, 1, 1, 0, 0, 1, 1);
return [...copy.getImageData(0, 0, 1, 1).data];
"""
"""The overlay's colour in the middle of the first face."""


def test_grad_cam_lies_over_the_faces_while_it_is_on(browser, page) -> None:
    assert browser.execute_script(CORNER)[3] == 0
    press(browser, "g")
    assert eventually(lambda: browser.execute_script(CORNER)[3] > 100)
    assert pressed(browser, "heat")
    assert asked(browser, "/api/explain") > 0
    press(browser, "g")
    assert browser.execute_script(CORNER)[3] == 0
    count = asked(browser, "/api/explain")
    assert not eventually(lambda: asked(browser, "/api/explain") > count + 1, within_s=1.5)


def test_who_watches_learns_whether_the_video_is_kept(browser, fake_camera, page) -> None:
    badge = find(browser, "#saving")

    def notices() -> list[str]:
        return [each.get_property("textContent") for each in browser.find_elements("css selector", ".stored")]

    assert eventually(lambda: notices() == ["They are not stored."] * 2)
    assert not badge.is_displayed()
    fake_camera.saving = Saving("out.mp4")
    assert eventually(lambda: badge.text == "SAVING VIDEO")
    assert ["saved there as a video" in each for each in notices()] == [True] * 2
    press(browser, "p")  # the picture is held, the video goes on
    fake_camera.saving = Saving()
    assert eventually(lambda: not badge.is_displayed())
    press(browser, "p")
    fake_camera.saving = Saving(error="the disk is full")
    assert eventually(lambda: badge.text == "VIDEO NOT SAVED")
    assert find(browser, "#note").text == "The video is no longer saved: the disk is full."
    assert "until saving failed: the disk is full." in find(browser, ".foot").text
    assert "not stored" not in "".join(notices())


def test_all_badges_find_room(browser, fake_camera, page) -> None:
    fake_camera.saving, fake_camera.faces = Saving("out.mp4"), ()
    for key in ("r", "b"):
        press(browser, key)
    for name in ("#no-face", "#recording", "#saving", "#privacy-badge"):
        assert eventually(find(browser, name).is_displayed)
    for width in (320, 800):
        resize(browser, width, 700)
        assert browser.execute_script("return document.documentElement.scrollWidth") == width
    ends = [badge.rect["x"] + badge.rect["width"] for badge in browser.find_elements("css selector", ".badges .badge")]
    assert max(ends) <= find(browser, ".actions").rect["x"]


def test_a_picture_that_is_saved_is_as_it_is_seen(browser, fake_camera, page, tmp_path) -> None:
    fake_camera.faces = (face_showing("happy", 1, x=40),)
    assert eventually(lambda: texts(browser, "#faces .label") == ["happy"])
    press(browser, "m")
    picture = saved(browser, tmp_path, lambda: press(browser, "s")).astype(int)
    colourful = np.ptp(picture, axis=2) > 40
    columns = np.flatnonzero(colourful.any(axis=0))
    assert columns[0] == pytest.approx(180, abs=4)
    assert columns[-1] == pytest.approx(280, abs=4)


@pytest.mark.parametrize("key", ["r", "b"])
def test_a_refusal_is_said_in_words(browser, page, refusals, key) -> None:
    refusals |= {"/api/record": lambda: REFUSED, "/api/privacy": lambda: REFUSED}
    press(browser, key)
    assert eventually(lambda: find(browser, "#note").text == "That did not work. The disk is full.")
    assert not pressed(browser, "record")
    assert not pressed(browser, "privacy")
    browser.get_log("browser")  # says 503


def test_the_sheet_says_who_is_concerned(browser, page) -> None:
    press(browser, "?")
    here, all_viewers = texts(browser, "#help dl")
    for word in ("pause", "mirror", "Grad-CAM", "confidence", "camera"):
        assert word in here
    for word in ("CSV", "privacy", "demo, cameras"):
        assert word in all_viewers
    assert [text.lower() for text in texts(browser, "#help h3")] == [
        "in this browser only",
        "for all viewers",
    ]


def test_every_button_has_a_key_and_a_name(browser, page) -> None:
    buttons = browser.find_elements("css selector", ".actions button")
    keys = [button.get_attribute("aria-keyshortcuts") for button in buttons]
    assert keys == ["p", "s", "r", "b", "m", "g", "?"]
    for button, key in zip(buttons, keys, strict=True):
        assert button.accessible_name
        assert button.get_attribute("title").endswith(f"({key})")

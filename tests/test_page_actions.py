"""Actions of the page in a browser, with their buttons and keys."""

from __future__ import annotations

import json
import re
from urllib.request import Request, urlopen

import cv2
import numpy as np
import pytest

from mien.images.codecs import encode_jpeg
from mien.images.privacy import Privacy
from mien.recording.csv_log import CsvRecorder
from mien.recording.sessions import Sessions
from mien.recording.video import Saving
from tests.page import (
    BLOCKS,
    SHADE,
    appears,
    asked,
    caught_up,
    changes,
    click,
    consent,
    find,
    is_pressed,
    lists,
    press,
    says,
    shows,
    texts,
    vanishes,
    viewers,
)
from tests.patience import stays, wait_for
from tests.web_fakes import face_showing, free_port, resize

pytestmark = pytest.mark.browser


def explain(pixels_bgr, faces) -> list[bytes]:
    heat = np.zeros((48, 48, 4), np.uint8)
    heat[12:36, 12:36] = (0, 0, 255, 160)
    return [cv2.imencode(".png", heat)[1].tobytes() for _ in faces]


REFUSED = {"error": "The disk is full."}, 503
LIFTED = "Privacy mode was lifted: faces are visible for all viewers, and in what is saved from now on."


@pytest.fixture
def refusals() -> dict:
    """The program's error answers by path; a test fills it."""
    return {}


@pytest.fixture
def page(browser, fake_camera, serve, tmp_path, refusals):
    fake_camera.play()
    recorder = CsvRecorder(tmp_path / "sessions")
    parts = {
        "recorder": recorder,
        "sessions": Sessions(tmp_path / "sessions"),
        "privacy": Privacy(),
        "explain": explain,
        "answers": refusals,
    }
    server = serve(fake_camera, port=free_port(), **parts)
    browser.get(server.url)
    consent(browser)
    wait_for(lambda: len(texts(browser, "#faces .face")) == 2)
    changes(browser)
    yield server
    recorder.stop()


def test_pause_freezes_the_picture_and_closes_the_stream(browser, fake_camera, page) -> None:
    press(browser, "p")
    shade = browser.execute_script(SHADE)
    assert shade is not None
    shows(browser, "#status", "PAUSED")
    is_pressed(browser, "#pause")
    wait_for(lambda: viewers(page) == 0)
    fake_camera.faces = ()
    published = fake_camera.snapshots.peek()[0]
    wait_for(lambda: fake_camera.snapshots.peek()[0] > published + 20)
    assert browser.execute_script(SHADE) == shade
    lists(browser, "#faces .label", ["happy", "sad"])
    click(browser, "#pause")
    lists(browser, "#faces .label", [])
    changes(browser)
    shows(browser, "#status", "LIVE")


def test_a_paused_page_stays_paused_while_it_is_hidden(browser, page) -> None:
    press(browser, " ")
    tab = browser.current_window_handle
    browser.switch_to.new_window("tab")
    browser.close()
    browser.switch_to.window(tab)
    shows(browser, "#status", "PAUSED")
    appears(browser, "#picture")
    wait_for(lambda: viewers(page) == 0)


def saved(browser, folder, press_save):
    """The picture saved by a press of the key."""
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
    press_save()
    wait_for(lambda: list(folder.glob("mien-*.png")))
    (path,) = folder.glob("mien-*.png")
    wait_for(lambda: cv2.imread(str(path)) is not None)
    return cv2.imread(str(path))


def test_the_newest_picture_is_saved(browser, page, tmp_path) -> None:
    def save() -> None:
        press(browser, "s")
        says(browser, "#note", "Saved as mien-")  # first: a note stays for a few seconds only

    assert saved(browser, tmp_path, save).shape == (240, 320, 3)


def test_while_paused_the_displayed_picture_is_saved(browser, page, tmp_path) -> None:
    press(browser, "p")
    shade = browser.execute_script(SHADE)
    picture = saved(browser, tmp_path, lambda: click(browser, "#save"))
    assert abs(int(picture[120, 160, 0]) - shade) <= 2


def test_without_a_picture_save_and_pause_report_that_there_is_none(browser, fake_camera, serve) -> None:
    browser.get(serve(fake_camera).url)
    shows(browser, "#status", "LIVE")
    press(browser, "s")
    says(browser, "#note", "no picture to save")
    press(browser, "p")
    says(browser, "#note", "no picture to pause")
    shows(browser, "#status", "LIVE")
    browser.get_log("browser")  # says 503


def test_the_help_dialog_opens_and_closes_and_captures_the_keys(browser, page) -> None:
    press(browser, "?")
    appears(browser, "#help")
    wait_for(lambda: browser.switch_to.active_element == find(browser, "#help-close"))
    press(browser, "p")
    shows(browser, "#status", "LIVE")
    click(browser, "#help-close")
    vanishes(browser, "#help")
    click(browser, "#keys")
    appears(browser, "#help")
    press(browser, "\ue00c")  # Escape
    vanishes(browser, "#help")


def test_on_a_phone_the_help_dialog_starts_at_the_top_and_can_be_closed_anywhere(browser, page) -> None:
    resize(browser, 375, 812)
    press(browser, "?")
    appears(browser, "#help")
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


def test_on_a_phone_the_note_appears_above_the_buttons(browser, page) -> None:
    resize(browser, 390, 844)
    browser.execute_script("scrollTo(0, document.body.scrollHeight)")
    click(browser, "#privacy")
    says(browser, "#note", "pixelated for all viewers")
    edges = "const { top, bottom } = arguments[0].getBoundingClientRect(); return [top, bottom]"

    def above() -> bool:
        top, bottom = browser.execute_script(edges, find(browser, "#note"))
        return 0 < top < bottom < browser.execute_script(edges, find(browser, ".actions"))[0]

    wait_for(above)


def test_the_keys_can_be_disabled(browser, page) -> None:
    press(browser, "?")
    click(browser, "#shortcuts")
    click(browser, "#help-close")
    press(browser, "m")
    is_pressed(browser, "#mirror", False)
    click(browser, "#keys")
    click(browser, "#shortcuts")
    click(browser, "#help-close")
    press(browser, "m")
    is_pressed(browser, "#mirror")


# ---- actions on the program, for all viewers


def test_a_recording_is_displayed_and_its_csv_can_be_downloaded(browser, fake_camera, page, tmp_path) -> None:
    vanishes(browser, "#csv")
    press(browser, "r")
    appears(browser, "#recording")
    wait_for(lambda: re.fullmatch(r"REC \d+:\d\d", find(browser, "#recording").text))
    is_pressed(browser, "#record")
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    click(browser, "#csv")
    wait_for(lambda: list(tmp_path.glob("*.csv")))
    caught_up(browser, fake_camera)
    click(browser, "#record")
    vanishes(browser, "#recording")
    is_pressed(browser, "#record", False)
    appears(browser, "#csv")  # the last recording stays


def test_before_the_first_recording_in_a_browser_the_page_asks_for_consent(browser, page) -> None:
    browser.execute_script("localStorage.clear()")
    for refusal in (lambda: click(browser, "#ask-no"), lambda: press(browser, "\ue00c")):
        press(browser, "r")
        appears(browser, "#ask")
        says(browser, "#ask", "people who know about it and agree")
        says(browser, "#ask", "Article 5(1)(f), Regulation (EU) 2024/1689")
        press(browser, "p")  # keys wait for the answer
        refusal()
        vanishes(browser, "#ask")
        is_pressed(browser, "#record", False)
    shows(browser, "#status", "LIVE")
    assert not asked(browser, "/api/record")
    click(browser, "#record")
    click(browser, "#ask-yes")
    is_pressed(browser, "#record")
    click(browser, "#record")
    is_pressed(browser, "#record", False)
    click(browser, "#record")  # the answer is remembered
    is_pressed(browser, "#record")
    vanishes(browser, "#ask")


def turn_on(server, path: str, on: bool = True) -> None:
    """Switch it as another viewer would."""
    body = json.dumps({"on": on}).encode()
    urlopen(Request(server.url + path, body, {"Content-Type": "application/json"})).close()


def test_a_recording_started_by_another_viewer_is_displayed(browser, fake_camera, page) -> None:
    is_pressed(browser, "#privacy", False)
    for path in ("/api/privacy", "/api/record"):
        turn_on(page, path)
    for button in ("#privacy", "#record"):
        is_pressed(browser, button)
    lists(browser, "#privacy-badge", ["PRIVACY"])


def test_a_paused_picture_is_pixelated_when_another_viewer_turns_privacy_on(browser, fake_camera, page) -> None:
    face = [60, 70, 40, 40]
    fake_camera.pause()
    noise = np.random.default_rng(1).integers(0, 255, (240, 320, 3), np.uint8)
    fake_camera.publish(encode_jpeg(noise))
    wait_for(lambda: browser.execute_script(BLOCKS, face) > 200)
    press(browser, "p")
    wait_for(lambda: viewers(page) == 0)
    turn_on(page, "/api/privacy")
    wait_for(lambda: browser.execute_script(BLOCKS, face) <= 16)
    appears(browser, "#privacy-badge")
    shows(browser, "#status", "PAUSED")
    browser.get_log("browser")  # a hint about frequent pixel readback


def test_privacy_mode_is_switched_on_and_off(browser, fake_camera, page) -> None:
    press(browser, "b")
    says(browser, "#note", "pixelated for all viewers")
    caught_up(browser, fake_camera)
    is_pressed(browser, "#privacy")
    press(browser, "b")
    says(browser, "#ask", "Privacy mode is for everybody")
    wait_for(lambda: browser.switch_to.active_element == find(browser, "#ask-no"))
    click(browser, "#ask-no")
    caught_up(browser, fake_camera)
    is_pressed(browser, "#privacy")
    press(browser, "b")
    click(browser, "#ask-yes")
    is_pressed(browser, "#privacy", False)
    vanishes(browser, "#privacy-badge")
    shows(browser, "#note", LIFTED)


def test_when_another_viewer_lifts_privacy_mode_the_page_says_so(browser, fake_camera, page) -> None:
    turn_on(page, "/api/privacy")
    appears(browser, "#privacy-badge")
    turn_on(page, "/api/privacy", on=False)
    shows(browser, "#note", LIFTED)
    press(browser, "p")  # while paused the page asks for the state
    browser.execute_script("document.getElementById('note').hidden = true")
    for on in (True, False):
        turn_on(page, "/api/privacy", on=on)
    shows(browser, "#note", LIFTED)


def test_locked_privacy_mode_cannot_be_lifted_from_the_page(browser, fake_camera, serve) -> None:
    fake_camera.play()
    browser.get(serve(fake_camera, privacy=Privacy(locked=True)).url)
    appears(browser, "#privacy-badge")
    wait_for(lambda: not find(browser, "#privacy").is_enabled())
    is_pressed(browser, "#privacy")
    assert "cannot be lifted" in find(browser, "#privacy").accessible_name
    press(browser, "b")
    says(browser, "#note", "locked when the program was started")
    assert not asked(browser, "/api/privacy")


@pytest.mark.parametrize(("ahead", "ignored"), [(1, True), (5000, False)])
def test_a_state_from_before_a_change_does_not_undo_its_answer_but_another_run_does(
    browser, fake_camera, page, refusals, ahead: int, ignored: bool
) -> None:
    with urlopen(f"{page.url}/api/controls") as answer:
        program = json.load(answer)
    version = program["settings_version"] + ahead
    refusals["/api/privacy"] = lambda: program | {"settings_version": version, "privacy": True}
    click(browser, "#privacy")
    says(browser, "#note", "pixelated for all viewers")
    caught_up(browser, fake_camera)  # with states that the program counts below the answer
    is_pressed(browser, "#privacy", ignored)
    for _ in range(2):
        turn_on(page, "/api/record")
    is_pressed(browser, "#privacy", False)  # as the program says in newer states


CORNER = """
const overlay = document.getElementById("overlay");
const copy = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
const scale = Math.min(overlay.width / 320, overlay.height / 240);
const [x, y] = [(overlay.width - 320 * scale) / 2 + 90 * scale, (overlay.height - 240 * scale) / 2 + 105 * scale];
copy.drawImage(overlay, x, y, 1, 1, 0, 0, 1, 1);
return [...copy.getImageData(0, 0, 1, 1).data];
"""
"""The overlay's color in the middle of the first face."""


def test_grad_cam_overlays_the_faces_while_it_is_on(browser, page) -> None:
    assert browser.execute_script(CORNER)[3] == 0
    press(browser, "g")
    wait_for(lambda: browser.execute_script(CORNER)[3] > 100)
    is_pressed(browser, "#heat")
    wait_for(lambda: asked(browser, "/api/explain") > 0)
    press(browser, "g")
    wait_for(lambda: browser.execute_script(CORNER)[3] == 0)
    count = asked(browser, "/api/explain")
    stays(lambda: asked(browser, "/api/explain") <= count + 1, 1.0)  # one may have been in flight


def test_grad_cam_appears_by_itself_once_its_network_is_loaded(browser, page, refusals) -> None:
    reason = "There is no explanation yet: the network that explains is being loaded."
    refusals["/api/explain"] = lambda: ({"error": reason}, 503, {"Retry-After": "1"})
    press(browser, "g")
    shows(browser, "#note", f"Grad-CAM: {reason}")
    wait_for(lambda: asked(browser, "/api/explain") > 2)
    shows(browser, "#note", f"Grad-CAM: {reason}")
    del refusals["/api/explain"]
    wait_for(lambda: browser.execute_script(CORNER)[3] > 100)


def test_viewers_see_whether_the_video_is_saved(browser, fake_camera, page) -> None:
    def notices() -> list[str]:
        return [each.get_property("textContent") for each in browser.find_elements("css selector", ".stored")]

    wait_for(lambda: notices() == ["They are not stored."] * 2)
    vanishes(browser, "#saving")
    fake_camera.saving = Saving("out.mp4")
    shows(browser, "#saving", "SAVING VIDEO")
    wait_for(lambda: ["saved there as a video" in each for each in notices()] == [True] * 2)
    press(browser, "p")  # the picture is frozen, the video continues
    fake_camera.saving = Saving()
    vanishes(browser, "#saving")
    press(browser, "p")
    fake_camera.saving = Saving(error="the disk is full")
    shows(browser, "#saving", "VIDEO NOT SAVED")
    shows(browser, "#note", "The video is no longer saved: the disk is full.")
    says(browser, ".foot", "until saving failed: the disk is full.")
    assert "not stored" not in "".join(notices())


BEYOND_PX = "const { scrollWidth, clientWidth } = document.documentElement; return scrollWidth - clientWidth"
"""How far the page extends beyond the window, which may have a bar for scrolling down."""


def test_all_badges_fit(browser, fake_camera, page) -> None:
    fake_camera.saving, fake_camera.faces = Saving("out.mp4"), ()
    for key in ("r", "b"):
        press(browser, key)
    for name in ("#no-face", "#recording", "#saving", "#privacy-badge"):
        appears(browser, name)
    for width in (320, 800):
        resize(browser, width, 700)
        wait_for(lambda: browser.execute_script(BEYOND_PX) == 0)
    actions = find(browser, ".actions").rect
    for badge in browser.find_elements("css selector", ".badges .badge:not([hidden])"):
        right, bottom = (badge.rect[start] + badge.rect[size] for start, size in (("x", "width"), ("y", "height")))
        assert right <= actions["x"] or bottom <= actions["y"], "no badge lies below the buttons"


def test_a_saved_picture_looks_as_displayed(browser, fake_camera, page, tmp_path) -> None:
    fake_camera.faces = (face_showing("happy", 1, x=40),)
    lists(browser, "#faces .label", ["happy"])
    press(browser, "m")
    picture = saved(browser, tmp_path, lambda: press(browser, "s")).astype(int)
    colorful = np.ptp(picture, axis=2) > 40
    columns = np.flatnonzero(colorful[80:150].any(axis=0))  # of the box alone: its label may be wider
    assert columns[0] == pytest.approx(180, abs=4)
    assert columns[-1] == pytest.approx(280, abs=4)


@pytest.mark.parametrize("key", ["r", "b"])
def test_a_refusal_is_explained(browser, page, refusals, key) -> None:
    refusals |= {"/api/record": lambda: REFUSED, "/api/privacy": lambda: REFUSED}
    press(browser, key)
    shows(browser, "#note", "That did not work. The disk is full.")
    is_pressed(browser, "#record", False)
    is_pressed(browser, "#privacy", False)
    browser.get_log("browser")  # says 503


def test_the_help_dialog_says_whom_each_action_affects(browser, page) -> None:
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
    assert keys == ["p", "s", "r", "b", "m", "g", "l", "f", "i", "?"]
    for button, key in zip(buttons, keys, strict=True):
        assert button.accessible_name
        assert button.get_attribute("title").endswith(f"({key})")

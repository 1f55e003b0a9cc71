"""Presenting, the small window, and the views for other programs."""

from __future__ import annotations

import pytest

from tests.page import appears, changes, click, find, is_pressed, lists, press, see, shows, texts, vanishes, viewers
from tests.patience import wait_for
from tests.web_fakes import free_port, resize

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser, fake_camera, serve):
    fake_camera.play()
    server = serve(fake_camera, port=free_port())
    browser.get(server.url)
    wait_for(lambda: len(texts(browser, "#faces .face")) == 2)
    return server


FULL = "return Boolean(document.fullscreenElement)"


def test_presenting_fills_the_screen_with_the_picture_and_a_strip_for_each_face(browser, fake_camera, page) -> None:
    click(browser, "#present")
    wait_for(lambda: browser.execute_script(FULL))
    lists(browser, ".big-strip .label", ["happy", "sad"])
    lists(browser, ".big-strip .confidence", ["82\u202f%"] * 2)
    lists(browser, ".big-strip .strip-bar span:not(:empty)", ["happy", "sad"])
    for gone in (".faces-panel", ".timeline", ".session", ".foot", "#source"):
        assert not find(browser, gone).is_displayed()
    stage = find(browser, ".stage").rect
    assert [stage[side] for side in ("x", "y")] == [0, 0]
    assert (stage["width"], stage["height"]) == tuple(browser.execute_script("return [innerWidth, innerHeight]"))
    press(browser, "m")  # keys still work
    is_pressed(browser, "#mirror")
    press(browser, "m")
    fake_camera.faces = ()
    appears(browser, "#no-face")
    lists(browser, ".big-strip", [])
    click(browser, "#present-end")
    vanishes(browser, "#strips")
    appears(browser, ".timeline")
    wait_for(lambda: not browser.execute_script(FULL))


def test_while_presenting_the_pointer_at_rest_disappears_until_it_moves(browser, page) -> None:
    from selenium.webdriver import ActionChains, Keys

    press(browser, "f")
    is_pressed(browser, "#present")
    see(lambda: find(browser, "#picture").value_of_css_property("cursor") == "none", "no pointer")
    see(lambda: find(browser, ".present-tools").value_of_css_property("opacity") == "0", "no button")
    ActionChains(browser).move_by_offset(200, 200).move_by_offset(5, 5).perform()
    see(lambda: find(browser, "#picture").value_of_css_property("cursor") == "auto", "a pointer")
    ActionChains(browser).send_keys(Keys.ESCAPE).perform()
    vanishes(browser, "#strips")


def test_what_people_in_the_picture_must_know_stays_visible_while_presenting(browser, fake_camera, page) -> None:
    browser.execute_script("document.getElementById('privacy-badge').hidden = false")
    press(browser, "f")
    appears(browser, "#privacy-badge")
    press(browser, "f")
    appears(browser, ".timeline")


FRAMES_IN_WINDOW = """
window.counts = [];
const video = document.pictureInPictureElement;
setInterval(() => counts.push([document.hidden, video.getVideoPlaybackQuality().totalVideoFrames]), 250);
"""


def test_the_small_window_keeps_the_picture_of_a_hidden_page_running(browser, fake_camera, page) -> None:
    if not browser.execute_script("return document.pictureInPictureEnabled"):
        pytest.skip("this browser has no picture-in-picture")
    click(browser, "#small-window")
    wait_for(lambda: browser.execute_script("return Boolean(document.pictureInPictureElement)"), "a small window")
    size = "const { videoWidth, videoHeight } = document.pictureInPictureElement; return [videoWidth, videoHeight]"
    wait_for(lambda: browser.execute_script(size) == [320, 240])
    browser.execute_script(FRAMES_IN_WINDOW)
    tab = browser.current_window_handle

    def goes_on_while_hidden() -> bool:
        browser.execute_script("counts.length = 0")
        browser.switch_to.new_window("tab")
        published = fake_camera.snapshots.peek()[0]
        wait_for(lambda: fake_camera.snapshots.peek()[0] > published + 60)
        wait_for(lambda: viewers(page) == 1)
        browser.close()
        browser.switch_to.window(tab)
        counts = [count for hidden, count in browser.execute_script("return counts") if hidden]
        return bool(counts) and counts[-1] > counts[0]

    wait_for(goes_on_while_hidden)  # a busy browser counts seldom in a hidden page
    changes(browser)
    click(browser, "#small-window")
    wait_for(lambda: not browser.execute_script("return Boolean(document.pictureInPictureElement)"))


def test_the_view_stage_is_the_picture_alone(browser, page) -> None:
    resize(browser, 640, 360)
    browser.get(f"{page.url}/?view=stage")
    changes(browser)
    assert find(browser, ".stage").rect == {"x": 0, "y": 0, "width": 640, "height": 360}
    for gone in ("header", ".faces-panel", ".timeline", ".session", ".foot", "#strips"):
        assert not find(browser, gone).is_displayed()
    press(browser, " ")
    changes(browser)  # no key pauses a scene
    browser.get(f"{page.url}/?view=stage&background=transparent&picture=off")
    appears(browser, "#overlay")
    for element in ("body", ".stage", ".screen"):
        assert find(browser, element).value_of_css_property("background-color") == "rgba(0, 0, 0, 0)"
    assert find(browser, "#picture").value_of_css_property("visibility") == "hidden"


def test_the_view_bars_survives_a_restart_of_the_program(browser, fake_camera, page, serve) -> None:
    browser.get(f"{page.url}/?view=bars")
    lists(browser, "#faces .label", ["happy", "sad"])
    page.stop()
    appears(browser, "#banner")
    serve(fake_camera, port=page.port)
    vanishes(browser, "#banner")
    lists(browser, "#faces .label", ["happy", "sad"])
    browser.get_log("browser")


def test_a_token_disappears_from_the_address_and_the_view_stays(browser, fake_camera, serve) -> None:
    fake_camera.play()
    server = serve(fake_camera, host="0.0.0.0", token="correct-horse-battery")
    browser.get(f"{server.url}/?view=bars&token=correct-horse-battery")
    lists(browser, "#faces .label", ["happy", "sad"])
    assert browser.current_url.endswith("/?view=bars")
    shows(browser, "#faces .label", "happy")

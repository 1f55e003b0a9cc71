"""What a person does with the page in a browser: pause, save, keys. None of it touches the program."""

from __future__ import annotations

import cv2
import pytest

from mien.imaging import jpeg_to_png
from tests.page import SHADE, changes, find, press, texts, viewers
from tests.web_fakes import eventually, free_port, resize

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser, fake_camera, serve):
    fake_camera.play()
    server = serve(fake_camera, port=free_port(), to_png=lambda snapshot: jpeg_to_png(snapshot.jpeg))
    browser.get(server.url)
    assert eventually(lambda: len(texts(browser, "#faces .face")) == 2)
    assert changes(browser)
    return server


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
    assert "no picture to hold" in find(browser, "#note").text
    assert find(browser, "#status").text == "LIVE"
    browser.get_log("browser")  # says 503


def test_the_sheet_of_keys_opens_and_closes_and_keeps_the_keys_to_itself(browser, page) -> None:
    press(browser, "?")
    sheet = find(browser, "#help")
    assert sheet.is_displayed()
    assert "this browser alone" in sheet.text
    press(browser, "p")
    assert find(browser, "#status").text == "LIVE"
    find(browser, "#help-close").click()
    assert not sheet.is_displayed()
    find(browser, "#keys").click()
    assert sheet.is_displayed()
    press(browser, "\ue00c")  # Escape
    assert eventually(lambda: not sheet.is_displayed())


def test_on_a_phone_the_buttons_are_large_enough_for_a_thumb(browser, page) -> None:
    resize(browser, 375, 812)
    for button in browser.find_elements("css selector", ".actions button"):
        assert button.rect["height"] >= 44
        assert button.rect["width"] >= 44
        assert button.accessible_name

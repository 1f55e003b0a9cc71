"""Images that are dropped on the page: sent one after the other, stored no larger than displayed."""

from __future__ import annotations

import threading
from dataclasses import replace

import cv2
import numpy as np
import pytest

from mien.images.codecs import decode_image
from mien.types import Analysis, Box
from tests.page import click, find, lists, shows, texts, vanishes
from tests.patience import PATIENCE_S, stays, wait_for
from tests.test_analyze import post
from tests.test_page_sources import drop, jpeg
from tests.web_fakes import face_showing, free_port

pytestmark = pytest.mark.browser

WATCH = """
window.made = [];
window.limits = [];
const [create, timeout] = [window.createImageBitmap, AbortSignal.timeout.bind(AbortSignal)];
window.createImageBitmap = async (...given) => {
  const bitmap = await create(...given);
  window.made.push(bitmap);
  return bitmap;
};
AbortSignal.timeout = (ms) => {
  window.limits.push(ms);
  return timeout(ms);
};
"""
"""Records each bitmap, and the page's timeouts for answers."""
KEPT = "return window.made.map(({ width, height }) => [width, height]).filter(([width]) => width)"
"""The sizes of the bitmaps that were not released; live pictures are released after a moment."""


class Analyst:
    """Finds one face in the middle of each image; images of width `held_px` wait until `go_on` is set."""

    def __init__(self) -> None:
        self.held_px = 0
        self.asked, self.go_on = threading.Event(), threading.Event()
        self.widths: list[int] = []

    def __call__(self, data: bytes) -> Analysis:
        height, width = decode_image(data).shape[:2]
        self.widths.append(width)
        if width == self.held_px:
            self.asked.set()
            assert self.go_on.wait(PATIENCE_S)
        box = Box(width // 4, height // 4, width // 2, height // 2)
        return Analysis(width, height, (replace(face_showing("happy"), box=box),))


@pytest.fixture
def analyst():
    analyst = Analyst()
    yield analyst
    analyst.go_on.set()


@pytest.fixture
def page(browser, fake_camera, serve, analyst):
    fake_camera.publish()
    server = serve(fake_camera, port=free_port(), analyze=analyst)
    browser.get(server.url)
    shows(browser, "#status", "LIVE")
    browser.execute_script(WATCH)
    return server


def test_large_images_are_stored_at_display_size_with_boxes_on_the_faces(browser, page, tmp_path) -> None:
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    drop(browser, large_jpg=jpeg(3000, 2000), high_jpg=jpeg(100, 2400))
    wait_for(lambda: len(browser.find_elements("css selector", "#strip button")) == 2)
    wait_for(lambda: sorted(browser.execute_script(KEPT)) == [[80, 1920], [1920, 1280]])
    click(browser, "#save-png")
    wait_for(lambda: cv2.imread(str(tmp_path / "large-mien.png")) is not None)
    picture = cv2.imread(str(tmp_path / "large-mien.png")).astype(int)
    assert picture.shape == (1280, 1920, 3)
    columns = np.flatnonzero((np.ptp(picture, axis=2) > 40).any(axis=0))
    assert (columns[0], columns[-1]) == (pytest.approx(480, abs=6), pytest.approx(1440, abs=6))


def test_each_image_is_sent_separately_and_shown_before_the_next_answer(browser, page, analyst) -> None:
    analyst.held_px = 320
    drop(browser, one_jpg=jpeg(300, 200), two_jpg=jpeg(320, 200), three_jpg=jpeg(340, 200))
    assert analyst.asked.wait(PATIENCE_S)
    lists(browser, "#faces .label", ["happy"])
    lists(browser, "#image-name", ["one.jpg"])
    assert analyst.widths == [300, 320]
    analyst.go_on.set()
    wait_for(lambda: len(browser.find_elements("css selector", "#strip button")) == 3)
    lists(browser, "#image-name", ["one.jpg"])
    assert 60_000 in browser.execute_script("return window.limits")


def test_each_selected_image_is_announced_immediately(browser, page) -> None:
    drop(browser, one_jpg=jpeg(300, 200), two_jpg=jpeg(320, 200))
    wait_for(lambda: len(browser.find_elements("css selector", "#strip button")) == 2)
    first, second = browser.find_elements("css selector", "#strip button")
    for button, announced in ((second, "two.jpg. happy"), (first, "one.jpg. happy"), (second, "two.jpg. happy")):
        button.click()
        lists(browser, "#announcement", [announced])


def test_before_the_first_answer_there_is_nothing_to_save(browser, page, analyst) -> None:
    analyst.held_px = 300
    drop(browser, one_jpg=jpeg(300, 200))
    assert analyst.asked.wait(PATIENCE_S)
    for button in ("#save-json", "#save-png"):
        find(browser, button).click()
    vanishes(browser, "#note")
    assert browser.get_log("browser") == []


def test_of_two_drops_the_later_one_is_shown(browser, page, analyst) -> None:
    analyst.held_px = 300
    drop(browser, old_jpg=jpeg(300, 200))
    assert analyst.asked.wait(PATIENCE_S)
    drop(browser, new_jpg=jpeg(200, 300))
    lists(browser, "#image-name", ["new.jpg"])
    analyst.go_on.set()
    stays(lambda: texts(browser, "#image-name") == ["new.jpg"], 0.7)
    wait_for(lambda: browser.execute_script(KEPT) == [[200, 300]])


def test_returning_to_live_cancels_a_pending_image(browser, page, analyst) -> None:
    analyst.held_px = 300
    drop(browser, one_jpg=jpeg(300, 200), two_jpg=jpeg(320, 200))
    assert analyst.asked.wait(PATIENCE_S)
    click(browser, "#back")
    shows(browser, "#status", "LIVE")
    wait_for(lambda: [300, 200] not in browser.execute_script(KEPT))
    analyst.go_on.set()
    stays(lambda: analyst.widths == [300], 0.7)


def test_an_image_is_sent_again_if_all_slots_were_taken(browser, fake_camera, serve, analyst) -> None:
    fake_camera.publish()
    server = serve(fake_camera, port=free_port(), analyze=analyst, max_analyses=1)
    browser.get(server.url)
    shows(browser, "#status", "LIVE")
    analyst.held_px = 320
    other = threading.Thread(target=lambda: post(server, jpeg(320, 200)))
    other.start()
    assert analyst.asked.wait(PATIENCE_S)
    drop(browser, one_jpg=jpeg(300, 200))
    refused = "return performance.getEntriesByName(location.origin + '/api/analyze').length"
    wait_for(lambda: browser.execute_script(refused) >= 2)
    assert analyst.widths == [320]
    analyst.go_on.set()
    lists(browser, "#faces .label", ["happy"])
    assert analyst.widths == [320, 300]
    other.join(PATIENCE_S)

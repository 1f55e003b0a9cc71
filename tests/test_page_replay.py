"""The replay of a session in a real browser."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from mien.recording.sessions import Sessions
from mien.recording.video import VideoWriter
from mien.types import EXPRESSIONS
from tests.color_vision import SIMULATIONS, delta_e, simulated
from tests.page import appears, click, find, lists, says, see, shows, texts
from tests.test_page_accessibility import axe, serious_faults  # noqa: F401 - a fixture
from tests.test_replay import against_rest, session
from tests.test_sessions import EPOCH_S, ID, line, write_session
from tests.web_fakes import free_port, resize

pytestmark = pytest.mark.browser

CHANGES = [-1.5, 0, 0, 0, 0, 3, 0]
"""From the resting face of face 2."""


def write_video(path) -> None:
    """Four seconds that become brighter."""
    with VideoWriter(path, began_at=EPOCH_S) as video:
        for number in range(40):
            while not video.write(np.full((480, 640, 3), 6 * number, np.uint8), EPOCH_S + number / 10):
                time.sleep(0.01)  # its queue is full


@pytest.fixture
def store(tmp_path) -> Sessions:
    rows = [against_rest(row, CHANGES) if number % 2 else row for number, row in enumerate(session(40, faces=2))]
    faces = write_session(tmp_path / "sessions", rows)
    write_video(faces.with_name("video.mp4"))
    return Sessions(tmp_path / "sessions")


@pytest.fixture
def page(browser, fake_camera, serve, store):
    server = serve(fake_camera, port=free_port(), sessions=store)
    browser.get(f"{server.url}/sessions/{ID}")
    lists(browser, ".lane-name", ["Face 1", "Face 2"])
    shows(browser, "#clock", "0:00 of 0:04")
    return server


def press(browser, keys: str) -> None:
    ActionChains(browser).send_keys(keys).perform()


SLOWLY = "const s = document.getElementById('speed'); s.value = '0.5'; s.dispatchEvent(new Event('change'))"
"""So that the replay has not reached its end before the test pauses it."""


def seek(browser, seconds: float) -> None:
    script = "const s = document.getElementById('scrub'); s.value = arguments[0]; s.dispatchEvent(new Event('input'))"
    browser.execute_script(script, seconds)


def test_keys_and_scrub_bar_lead_to_picture_and_values_of_a_moment(browser, page) -> None:
    lists(browser, ".person-label", ["happy 82\u202f%"] * 2)
    press(browser, Keys.ARROW_RIGHT)
    lists(browser, ".person-label", ["sad 82\u202f%"] * 2)
    shows(browser, "#clock", "0:01 of 0:04")
    seek(browser, 2.5)
    lists(browser, ".person-label", ["happy 82\u202f%"] * 2)
    see(lambda: abs(browser.execute_script("return document.getElementById('video').currentTime") - 2.5) < 0.05, "")
    press(browser, Keys.END)
    shows(browser, "#clock", "0:04 of 0:04")
    press(browser, Keys.HOME)
    browser.execute_script(SLOWLY)
    press(browser, " ")
    see(lambda: find(browser, "#clock").text >= "0:01 of 0:04", "the replay plays")
    press(browser, " ")
    assert find(browser, "#play").get_attribute("data-playing") == "false"
    assert browser.get_log("browser") == []


def test_markers_names_and_people_are_kept_with_the_session(browser, page, store) -> None:
    seek(browser, 1.5)
    press(browser, "e")
    appears(browser, "#word")
    press(browser, f"a joke{Keys.ENTER}")
    lists(browser, ".marker-text", ["a joke"])
    (marker,) = store.get(ID).state.markers
    assert (marker.t, marker.text) == (1.5, "a joke")
    click(browser, ".person:nth-child(2) .person-rename")
    press(browser, f"Anna{Keys.ENTER}")
    lists(browser, ".lane-name", ["Face 1", "Anna"])
    Select(find(browser, ".person:first-child .person-merge")).select_by_visible_text("Anna")
    appears(browser, ".person:first-child .person-join")
    assert store.get(ID).state.merged == {}, "an arrow key in the list merges nobody"
    click(browser, ".person:first-child .person-join")
    lists(browser, ".lane-name", ["Anna"])
    assert [list(each.faces) for each in store.get(ID, complete=True).people] == [[1, 2]]
    odds = dict.fromkeys(EXPRESSIONS, 0.0)
    store.edit(ID, [{"do": "baseline", "face": 2, "frames": 84, "log_odds": odds}])  # elsewhere: the page follows
    lists(browser, ".person-rest", ["Resting face measured, the mean of 84 frames."])
    click(browser, ".person-split")
    see(lambda: len(texts(browser, ".lane-name")) == 2, "two people again")
    lists(browser, ".person-change", ["", "Against rest: sad +3.0, angry −1.5"])
    seek(browser, 0)
    click(browser, ".marker-time")
    shows(browser, "#clock", "0:01 of 0:04")
    click(browser, ".marker-remove")
    lists(browser, ".marker-text", [])
    assert store.get(ID).state.markers == ()


AREAS = """
const done = arguments[0];
Promise.all([import("/static/colors.js"), import("/static/sessions/marks.js")]).then(([{ EXPRESSIONS }, { MARKS }]) => {
  const style = getComputedStyle(document.documentElement);
  done(EXPRESSIONS.map((name) => [name, style.getPropertyValue(`--${name}`).trim(), String(MARKS[name] ?? "")]));
});
"""

COLORS_IN_LANE = """
const canvas = document.querySelector(".lane-chart");
const { data } = canvas.getContext("2d").getImageData(0, 10, canvas.width, canvas.height - 20); // almost all is fear
return [...new Set(Array.from({ length: data.length / 4 }, (_, i) => data.slice(4 * i, 4 * i + 3).join()))];
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_two_areas_of_a_lane_differ_for_color_blind_people_too(browser, page, scheme) -> None:
    resize(browser, 1280, 800, scheme)
    areas = browser.execute_async_script(AREAS)
    assert [name for name, *_ in areas] == list(EXPRESSIONS)
    for (one, color, mark), (other, color2, mark2) in itertools.combinations(areas, 2):
        seen = {vision: delta_e(simulated(color, vision), simulated(color2, vision)) for vision in SIMULATIONS}
        assert mark != mark2 or min(seen.values()) >= 10, (one, other, seen)


def test_what_others_change_while_the_page_loads_appears(browser, fake_camera, serve, store) -> None:
    def mark() -> None:  # after the page has read the session, before it first asks whether something has changed
        if not store.get(ID).state.markers:
            store.edit(ID, [{"do": "mark", "t": 1.0, "text": "a joke"}])

    server = serve(fake_camera, port=free_port(), answers={"/api/controls": mark}, sessions=store)
    browser.get(f"{server.url}/sessions/{ID}")
    lists(browser, ".marker-text", ["a joke"])


def test_marked_areas_of_lanes_are_drawn_with_their_marks(browser, fake_camera, serve, tmp_path) -> None:
    write_session(tmp_path / "marked", [line(number, number / 10, 1, "fear") for number in range(40)])
    server = serve(fake_camera, port=free_port(), sessions=Sessions(tmp_path / "marked"))
    browser.get(f"{server.url}/sessions/{ID}")
    lists(browser, ".lane-name", ["Face 1"])
    see(lambda: len(browser.execute_script(COLORS_IN_LANE)) > 1, "light dots on the color of fear")


def test_a_span_is_excluded_by_two_presses_or_by_dragging(browser, page, store) -> None:
    seek(browser, 1)
    click(browser, "#exclude")
    seek(browser, 2)
    click(browser, "#exclude")
    lists(browser, ".marker-text", ["Excluded: 0:01 to 0:02"])
    assert [(each.start_s, each.end_s) for each in store.get(ID).state.excluded] == [(1.0, 2.0)]
    click(browser, ".marker-remove")
    lists(browser, ".marker-text", [])
    lane = find(browser, ".lane-chart")
    actions = ActionChains(browser).key_down(Keys.SHIFT).move_to_element(lane).click_and_hold()
    actions.move_by_offset(100, 0).release().key_up(Keys.SHIFT).perform()
    says(browser, ".marker-text", "to 0:02")
    click(browser, ".marker-remove")
    lists(browser, ".marker-text", [])
    assert store.get(ID).state.excluded == ()


def test_a_recording_without_video_shows_boxes_and_a_session_that_is_gone_is_named(browser, page, store) -> None:
    store.video(ID).unlink()
    browser.refresh()
    lists(browser, ".person-label", ["happy 82\u202f%"] * 2)
    assert not find(browser, "#video").is_displayed()
    store.delete(ID)
    press(browser, "e")
    press(browser, f"too late{Keys.ENTER}")
    says(browser, "#note", "does not exist")
    press(browser, " ")  # the next frames are fetched
    says(browser, "#banner", "does not exist")
    browser.get_log("browser")


def test_axe_finds_no_serious_violation_in_the_replay(browser, page, axe, store) -> None:  # noqa: F811
    store.edit(ID, [{"do": "mark", "t": 1.0, "text": "x"}])
    browser.refresh()
    lists(browser, ".marker-text", ["x"])
    assert serious_faults(browser, axe, [(375, "light"), (1280, "dark"), (3840, "light")]) == {}
    resize(browser, 1280, 800)

"""Cards, timeline and heat maps at any number of faces, any width and with any vision."""

from __future__ import annotations

import itertools
from dataclasses import replace
from threading import Event

import numpy as np
import pytest

from mien.types import EXPRESSIONS, Analysis, Box
from tests.color_vision import SIMULATIONS, delta_e, simulated
from tests.page import appears, click, find, lists, press, says, see, shows, texts, vanishes
from tests.patience import wait_for
from tests.test_page_actions import explain
from tests.test_page_sources import drop, jpeg
from tests.web_fakes import face_showing, free_port, resize

pytestmark = pytest.mark.browser


def crowd(count: int):
    faces = [face_showing(EXPRESSIONS[i % 7], i + 1) for i in range(count)]
    return tuple(replace(face, box=Box(10 + 60 * (i % 5), 60 + 90 * (i // 5), 40, 40)) for i, face in enumerate(faces))


@pytest.fixture
def page(browser, fake_camera, serve):
    fake_camera.faces = crowd(5)
    fake_camera.play()
    server = serve(fake_camera, port=free_port(), analyze=lambda data: Analysis(320, 240, crowd(5)))
    browser.get(server.url)
    see(lambda: len(texts(browser, "#faces .face")) == 5, "five faces")
    return server


# ---- cards

CARDS = """
return [...document.querySelectorAll("#faces .face")].map((card) =>
  [card.dataset.id, Math.round(card.getBoundingClientRect().height), card.querySelector(".bars").checkVisibility()]);
"""


def test_from_four_faces_on_cards_are_rows_and_only_the_chosen_one_is_open(browser, fake_camera, page) -> None:
    def opened() -> list[str]:
        cards = browser.execute_script(CARDS)
        assert all(height in (40, 41) for _, height, is_open in cards if not is_open)  # 41 with the line between two
        return [number for number, _, is_open in cards if is_open]

    assert opened() == ["1"]
    assert texts(browser, ".face:not(.open) .label") == ["disgust", "fear", "happy", "neutral"]
    assert texts(browser, ".face:not(.open) .confidence") == ["82\u202f%"] * 4
    click(browser, '.face[data-id="4"] .who')
    wait_for(lambda: opened() == ["4"])
    assert find(browser, '.face[data-id="4"] .who').get_attribute("aria-expanded") == "true"
    assert find(browser, '.face[data-id="1"] .who').get_attribute("aria-expanded") == "false"
    shows(browser, "#timeline-face", "Face 4")
    fake_camera.faces = crowd(3)
    wait_for(lambda: [is_open for *_, is_open in browser.execute_script(CARDS)] == [True] * 3)
    assert find(browser, '.face[data-id="1"] .who').get_attribute("aria-expanded") is None


def test_the_bar_of_a_row_is_as_long_as_its_confidence(browser, page) -> None:
    script = """
    const [fill, track] = [".fill", ""].map((part) => document.querySelector(`.face[data-id="3"] .mini ${part}`));
    return 1 - (track.getBoundingClientRect().right - fill.getBoundingClientRect().right) / track.clientWidth;
    """
    wait_for(lambda: browser.execute_script(script) == pytest.approx(0.82, abs=0.02))


def test_of_many_faces_in_an_image_one_is_open(browser, page) -> None:
    assert drop(browser, one_jpg=jpeg(320, 240))
    shows(browser, "#status", "IMAGE")
    wait_for(lambda: [number for number, _, is_open in browser.execute_script(CARDS) if is_open] == ["1"])
    click(browser, '.face[data-id="3"] .who')
    wait_for(lambda: [number for number, _, is_open in browser.execute_script(CARDS) if is_open] == ["3"])


# ---- layout

OVERFLOWING = """
return [...document.querySelectorAll("header *, main *, footer *")].filter((element) =>
  element.checkVisibility({ visibilityProperty: true }) && !element.closest(".unseen, dt") &&
  element.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map((element) => element.outerHTML.slice(0, 80));
"""


@pytest.mark.parametrize(("width", "height"), [(375, 812), (768, 1024), (999, 700)])
def test_below_1000_pixels_everything_stacks(browser, page, width, height) -> None:
    resize(browser, width, height)
    panels = [find(browser, each).rect for each in (".stage", ".faces-panel", ".timeline", ".session")]
    for above, below in itertools.pairwise(panels):
        assert below["y"] >= above["y"] + above["height"]
    assert browser.execute_script(OVERFLOWING) == []


@pytest.mark.parametrize(("width", "height"), [(320, 640), (375, 812), (768, 1024), (1280, 800), (3840, 2160)])
def test_with_text_of_200_percent_everything_is_reached_by_scrolling_down(browser, page, width, height) -> None:
    resize(browser, width, height)
    browser.execute_cdp_cmd("Page.setFontSizes", {"fontSizes": {"standard": 32}})
    try:
        assert find(browser, "h1").value_of_css_property("font-size") == "32px"
        wait_for(lambda: browser.execute_script(OVERFLOWING) == [], "everything in the width of the page")
        for selector in (".stage", ".faces-panel", ".timeline", ".session", ".foot"):
            assert find(browser, selector).rect["height"] > 40
    finally:
        browser.execute_cdp_cmd("Page.setFontSizes", {"fontSizes": {"standard": 16}})


@pytest.mark.parametrize(("width", "worded"), [(375, True), (760, True), (800, False), (1399, False), (1400, True)])
def test_icons_have_words_below_760_and_above_1400_pixels(browser, page, width, worded) -> None:
    resize(browser, width, 900)
    see(lambda: find(browser, "#pause .word").is_displayed() == worded, "words")
    words = texts(browser, ".actions button:not([hidden]) .word")
    assert all(words)
    names = [each.get_attribute("aria-label") for each in browser.find_elements("css selector", ".actions button")]
    if worded:
        assert all(word in name for word, name in zip(words, names, strict=False))
    assert browser.execute_script(OVERFLOWING) == []


# ---- forced colors

PAINTED = """
return [".bars .fill", ".swatch", ".strip-bar span:not([hidden])", "#legend line"].map((selector) => {
  const style = getComputedStyle(document.querySelector(selector));
  return [selector, style.stroke === "none" ? style.backgroundColor : style.stroke];
});
"""


def test_with_forced_colors_bars_strips_and_lines_keep_their_colors(browser, page) -> None:
    appears(browser, ".session-row .strip-bar span")
    expected = dict(browser.execute_script(PAINTED))
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "forced-colors", "value": "active"}]})
    assert browser.execute_script("return matchMedia('(forced-colors: active)').matches")
    assert dict(browser.execute_script(PAINTED)) == expected
    assert find(browser, ".bars .track").value_of_css_property("border-top-width") == "1px"
    pressed = find(browser, "#mirror").value_of_css_property("background-color")
    click(browser, "#mirror")
    see(lambda: find(browser, "#mirror").value_of_css_property("background-color") != pressed, "a pressed button")
    click(browser, "#mirror")


# ---- lines

LINES = """
const done = arguments[0];
import("/static/colors.js").then(({ EXPRESSIONS, DASHES }) => {
  const style = getComputedStyle(document.documentElement);
  done(EXPRESSIONS.map((name) => [name, style.getPropertyValue(`--${name}`).trim(), DASHES[name]]));
});
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_two_lines_differ_for_color_blind_people_too(browser, page, scheme) -> None:
    resize(browser, 1280, 800, scheme)
    lines = browser.execute_async_script(LINES)
    assert [name for name, *_ in lines] == list(EXPRESSIONS)
    for (one, color, dash), (other, color2, dash2) in itertools.combinations(lines, 2):
        seen = {vision: delta_e(simulated(color, vision), simulated(color2, vision)) for vision in SIMULATIONS}
        assert dash != dash2 or min(seen.values()) >= 10, (one, other, seen)
    drawn = browser.execute_script(
        "return [...document.querySelectorAll('#legend line')].map((each) => each.getAttribute('stroke-dasharray'))"
    )
    assert drawn == [" ".join(map(str, dash)) or "none" for *_, dash in lines]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_differences_of_colors_are_those_of_the_published_test_data(one, other, expected) -> None:
    assert delta_e(np.array(one), np.array(other)) == pytest.approx(expected, abs=1e-4)


NAMES = """
const done = arguments[0];
const { fillText } = CanvasRenderingContext2D.prototype;
const drawn = new Map();
CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
  if (this.canvas.id === "lines") drawn.set(text, [x, y]);
  if (drawn.has("happy") && this.canvas.id === "overlay") done(Object.fromEntries(drawn));
  return fillText.call(this, text, x, y);
};
"""

SPREAD = """
const [wanted, done] = arguments;
import("/static/line_names.js").then(({ spread }) => done(wanted.map(([ys, ...rest]) => spread(ys, ...rest))));
"""


def test_lines_have_their_names_at_their_right_end(browser, page) -> None:
    drawn = browser.execute_async_script(NAMES)
    assert set(EXPRESSIONS) <= set(drawn)
    heights = sorted(drawn[name][1] for name in EXPRESSIONS)
    assert min(below - above for above, below in itertools.pairwise(heights)) >= 13
    assert drawn["angry"][1] == heights[0], "the first face is angry: its line is the highest one"
    assert len({drawn[name][0] for name in EXPRESSIONS}) == 1
    places = browser.execute_async_script(
        SPREAD, [[[50, 10], 14, 0, 100], [[90, 92, 95], 14, 0, 100], [[5, 5, 80], 14, 0, 20], [[], 14, 0, 20]]
    )
    assert places == [[50, 10], [72, 86, 100], [5, 19, None], []]


# ---- heat maps


def test_grad_cam_says_that_it_is_computing_and_then_what_its_colors_mean(browser, fake_camera, serve) -> None:
    go_on = Event()

    def explain_later(pixels_bgr, faces):
        go_on.wait()
        return explain(pixels_bgr, faces)

    fake_camera.play()
    browser.get(serve(fake_camera, explain=explain_later).url)
    shows(browser, "#status", "LIVE")
    try:
        press(browser, "g")
        says(browser, "#heat-busy", "computing")
        assert find(browser, "#heat").get_attribute("aria-busy") == "true"
        assert not find(browser, ".ramp").is_displayed()
    finally:
        go_on.set()
    appears(browser, ".ramp")
    lists(browser, "#heat-legend span:not(:empty)", ["supports the label little", "most"])
    assert find(browser, "#heat").get_attribute("aria-busy") == "false"
    press(browser, "g")
    vanishes(browser, "#heat-legend")

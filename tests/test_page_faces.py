"""Face cards, timeline and session panel: how the page displays the faces of the state."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mien.types import EXPRESSIONS, QUALITY_REASONS, Quality
from tests.page import appears, click, find, is_pressed, lists, press, says, see, shows, texts
from tests.patience import wait_for
from tests.web_fakes import face_showing, free_port

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser, fake_camera, serve):
    fake_camera.play()
    server = serve(fake_camera, port=free_port())
    browser.get(server.url)
    wait_for(lambda: len(texts(browser, "#faces .face")) == 2)
    return server


def slide(browser, to: int) -> None:
    script = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))"
    browser.execute_script(script, find(browser, "#threshold"), to)


def legend(browser) -> list[str]:
    return texts(browser, "#legend .value")


# ---- labels in the picture

LABELS = """
const [confidences, done] = arguments;
import("/static/overlay.js").then(({ drawFaces, placement }) => {
  const drawn = [];
  const pen = new Proxy(document.createElement("canvas").getContext("2d"), {
    get: (real, name) => name === "fillText" ? (text) => drawn.push(text)
      : typeof real[name] === "function" ? real[name].bind(real) : real[name],
    set: (real, name, value) => Reflect.set(real, name, value),
  });
  const boxOf = (i) => ({ x: 40 + 42 * i, y: 80, w: 40, h: 40 });
  const faces = confidences.map((confidence, i) => ({ id: i + 1, box: boxOf(i), label: "happy", confidence }));
  drawFaces(pen, faces, placement(640, 480, 640, 480), { threshold: 0.5 });
  done(drawn.map((text) => text.replace(/\\s+/g, " ")));
});
"""


def test_labels_of_adjacent_faces_shrink_to_their_number_rather_than_overlap(browser, page) -> None:
    assert browser.execute_async_script(LABELS, [0.82, 0.9, 0.9, 0.43]) == [
        "1 happy 82 %",
        "2 happy 90 %",
        "3",
        "4 happy? 43 %",
    ]


# ---- cards


def test_a_face_below_the_threshold_is_unsure(browser, page) -> None:
    for threshold, labels in ((0, ["happy", "sad"]), (80, ["happy", "sad"]), (85, ["happy?", "sad?"])):
        slide(browser, threshold)
        lists(browser, "#faces .label", labels)
        lists(browser, "#threshold-value", [f"{threshold}\u202f%"])
        assert texts(browser, ".face:first-child .value")[3] == "82"  # the bars still show the probabilities
    says(browser, "#announcement", "happy? 82\u202f%, sad? 82\u202f%")


@pytest.mark.parametrize(
    ("share", "sentence"),
    [
        (0.02, "hardly anybody would call this happy"),
        (0.18, "about 2 of 10 people would call this happy"),
        (0.82, "about 8 of 10 people would call this happy"),
        (0.96, "nearly everybody would call this happy"),
    ],
)
def test_a_card_says_how_many_people_would_name_the_label(browser, fake_camera, page, share, sentence) -> None:
    fake_camera.faces = (replace(face_showing("happy", 1), people_share=share),)
    lists(browser, "#faces .people", [sentence])
    assert "votes of ten people" in find(browser, "#faces .people").get_attribute("title")
    slide(browser, 95)
    lists(browser, "#faces .label", ["happy?"])
    lists(browser, "#faces .people", [sentence])  # why it is unsure


def test_a_card_gives_no_share_of_people_for_a_network_without_votes(browser, fake_camera, page) -> None:
    fake_camera.faces = (replace(face_showing("happy", 1), people_share=0.8), face_showing("sad", 2, x=200))
    lists(browser, "#faces .people", ["about 8 of 10 people would call this happy", ""])
    see(lambda: not find(browser, '.face[data-id="2"] .people').is_displayed(), "no line without a share")


READABLE = Quality(0.98)


@pytest.mark.parametrize("reason", QUALITY_REASONS)
def test_a_card_says_what_is_wrong_with_a_face_and_what_helps(browser, fake_camera, page, reason) -> None:
    fake_camera.faces = tuple(
        replace(face_showing("happy", number, x=40 + 160 * (number - 1)), quality=quality)
        for number, quality in ((1, Quality(0.7, reason)), (2, READABLE))
    )
    see(lambda: find(browser, ".face:first-child .quality").text.count(": ") == 1, "the reason and what helps")
    assert "Quality 70" in find(browser, ".face:first-child .quality").get_attribute("title")
    assert not find(browser, '.face[data-id="2"] .quality').is_displayed()
    lists(browser, "#faces .label", ["happy", "happy"])  # both can be relied on


def test_a_face_below_the_least_quality_is_unsure(browser, fake_camera, page) -> None:
    fake_camera.faces = (replace(face_showing("happy", 1), quality=Quality(0.4, "dark")), face_showing("sad", 2, x=200))
    lists(browser, "#faces .label", ["happy?", "sad"])
    lists(browser, "#faces .quality", ["too dark: turn toward the light", ""])
    slide(browser, 0)
    lists(browser, "#faces .label", ["happy?", "sad"])  # whatever the confidence


def test_the_reason_disappears_once_a_face_can_be_read(browser, fake_camera, page) -> None:
    fake_camera.faces = (replace(face_showing("happy", 1), quality=Quality(0.4, "small")),)
    lists(browser, "#faces .quality", ["too small: come closer"])
    fake_camera.faces = (replace(face_showing("happy", 1), quality=READABLE),)
    see(lambda: not find(browser, ".face .quality").is_displayed(), "no reason any more")
    lists(browser, "#faces .label", ["happy"])


def test_the_threshold_is_not_stored(browser, page) -> None:
    slide(browser, 85)
    stored = browser.execute_script("return [localStorage.length, Object.keys(sessionStorage), document.cookie]")
    assert stored == [0, ["mien.tally"], ""]
    browser.refresh()
    lists(browser, "#faces .label", ["happy", "sad"])


def test_thumbnails_are_cut_from_the_picture(browser, fake_camera, page) -> None:
    script = """
    const read = (canvas) => {
      const probe = new OffscreenCanvas(1, 1).getContext("2d");
      probe.drawImage(canvas, canvas.width / 2, canvas.height / 2, 1, 1, 0, 0, 1, 1);
      return probe.getImageData(0, 0, 1, 1).data[0];
    };
    return [read(document.querySelector(".thumbnail")), read(document.getElementById("picture"))];
    """
    wait_for(lambda: fake_camera.snapshots.peek()[1].frame.index > 20)
    fake_camera.pause()
    wait_for(lambda: abs(int.__sub__(*browser.execute_script(script))) <= 2)
    assert browser.execute_script(script)[0] > 10


# ---- timeline


def test_the_timeline_shows_the_first_face_until_another_is_selected(browser, page) -> None:
    lists(browser, "#timeline-face", ["Face 1"])
    wait_for(lambda: legend(browser)[3] == "82")
    lists(browser, "#legend .name", list(EXPRESSIONS))
    click(browser, '.face[data-id="2"] .who')
    lists(browser, "#timeline-face", ["Face 2"])
    is_pressed(browser, '.face[data-id="2"] .who')
    is_pressed(browser, '.face[data-id="1"] .who', False)
    wait_for(lambda: legend(browser)[5] == "82")


LINES = """
const canvas = document.getElementById("lines");
const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
copy.drawImage(canvas, 0, 0);
const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
const wanted = getComputedStyle(document.documentElement).getPropertyValue("--" + arguments[0]).trim();
const rgb = [1, 3, 5].map((at) => parseInt(wanted.slice(at, at + 2), 16));
let count = 0;
for (let i = 0; i < data.length; i += 4) {
  if (data[i + 3] > 200 && rgb.every((value, c) => Math.abs(value - data[i + c]) < 12)) count += 1;
}
return count;
"""
"""How many pixels of the timeline have an expression's color."""


def test_the_legend_hides_a_line_and_shows_it_again(browser, page) -> None:
    button = find(browser, '#legend [data-expression="happy"] button')
    wait_for(lambda: browser.execute_script(LINES, "happy") > 10)
    assert (button.accessible_name, button.get_attribute("aria-pressed")) == ("happy", "true")
    button.click()
    wait_for(lambda: button.get_attribute("aria-pressed") == "false")
    wait_for(lambda: browser.execute_script(LINES, "happy") == 0)
    button.click()
    wait_for(lambda: browser.execute_script(LINES, "happy") > 10)


def test_values_at_a_time_are_shown_by_pointer_and_keyboard(browser, fake_camera, page) -> None:
    wait_for(lambda: legend(browser)[3] == "82")
    line = find(browser, "#lines")
    from selenium.webdriver import ActionChains, Keys

    ActionChains(browser).move_to_element(line).perform()  # nearly half a minute ago there was no face
    wait_for(
        lambda: texts(browser, "#moment")[0] in {"27 s ago", "28 s ago", "29 s ago"}
    )  # names take room on the right
    wait_for(lambda: legend(browser) == ["–"] * 7)
    ActionChains(browser).move_to_element(find(browser, "h1")).perform()
    wait_for(lambda: legend(browser)[3] == "82")
    lists(browser, "#moment", [""])
    browser.execute_script("arguments[0].focus()", line)
    line.send_keys(Keys.ARROW_LEFT)
    lists(browser, "#moment", ["1 s ago"])
    assert line.get_attribute("role") == "slider"
    assert line.get_attribute("aria-valuenow") == "-1"
    line.send_keys(Keys.END)
    wait_for(lambda: "happy 82" in line.get_attribute("aria-valuetext"))
    line.send_keys(Keys.HOME)
    wait_for(lambda: "not detected" in line.get_attribute("aria-valuetext"))


ANNOUNCED = """
const [line, done] = arguments;
line.focus();
const changes = [];
new MutationObserver((all) => changes.push(...all)).observe(line, { attributeFilter: ["aria-valuetext"] });
let frames = 0;
document.addEventListener("mien:frame", () => {
  frames += 1;
  if (frames === 20) done([line.getAttribute("aria-valuetext"), changes.length]);
});
"""
"""What the timeline announces to a screen reader on focus, and how often this changes over 20 frames."""


def test_the_timeline_announces_its_values_on_focus_and_then_only_on_request(browser, page) -> None:
    announced, changes = browser.execute_async_script(ANNOUNCED, find(browser, "#lines"))
    assert "happy 82" in announced
    assert changes == 0


def test_on_a_paused_page_the_timeline_announces_its_values(browser, page) -> None:
    press(browser, "p")
    shows(browser, "#status", "PAUSED")
    line = find(browser, "#lines")
    browser.execute_script("arguments[0].focus()", line)
    wait_for(lambda: "happy 82" in line.get_attribute("aria-valuetext"))


HISTORY = """
const done = arguments[arguments.length - 1];
const steps = arguments[0];
import("/static/history.js").then(({ History, BIN_S }) => {
  const history = new History();
  for (const [now, id, label] of steps) {
    const probabilities = Object.fromEntries(arguments[1].map((name) => [name, Number(name === label)]));
    history.add(id === null ? [] : [{ id, label, probabilities }], now);
  }
  const faces = [...history.faces].map(([id, face]) => [id, face.bins.map(({ at }) => at)]);
  const probe = arguments[2] === null ? null : history.at(1, arguments[2]);
  done({ faces, probe });
});
"""


def recalled(browser, steps, at=None):
    return browser.execute_async_script(HISTORY, steps, EXPRESSIONS, at)


def test_only_the_last_minute_is_kept(browser, page) -> None:
    steps = [[float(second), 1 + second // 130, "happy"] for second in range(200)]
    ((number, bins),) = recalled(browser, steps)["faces"]
    assert number == 2, "the other one was seen more than a minute ago"
    assert 60 <= len(bins) <= 61
    assert min(bins) >= 138


def test_while_a_face_is_absent_there_is_no_value(browser, page) -> None:
    steps = [[10.0, 1, "happy"], [10.5, None, ""], [11.0, 1, "sad"], [11.9, 1, "happy"]]
    for at, label in ((10.05, "happy"), (10.7, None), (11.0, "sad"), (11.5, "sad"), (9, None)):
        probe = recalled(browser, steps, at)["probe"]
        assert (probe and max(probe, key=probe.get)) == label, at


def test_before_the_first_face_the_panels_say_so(browser, fake_camera, serve) -> None:
    fake_camera.faces = ()
    fake_camera.play()
    browser.get(serve(fake_camera).url)
    appears(browser, "#no-face")
    says(browser, "#session-none", "share of time")
    wait_for(lambda: find(browser, "#lines").get_attribute("aria-valuetext"))

"""The session panel of the live page: who was seen since the recording began, else since the page was opened."""

from __future__ import annotations

import itertools
import json
import re
import time
from dataclasses import replace

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from mien.types import EXPRESSIONS, Frame
from tests.browser_camera import CHOOSE, choose_camera, demo_pictures, film, set_permission
from tests.page import appears, click, consent, find, lists, press, says, see, shows, texts, vanishes
from tests.patience import wait_for
from tests.test_page_recording import PIXELS, Recorders
from tests.web_fakes import face_showing, free_port

pytestmark = pytest.mark.browser

WHO = "#session-rows .who"


@pytest.fixture
def recorders(tmp_path):
    made = Recorders(tmp_path / "sessions")
    yield made
    made.own.stop()
    made.browsers.close()


@pytest.fixture
def server(fake_camera, serve, recorders):
    """A program that shows two faces and records them."""
    numbers = itertools.count()

    def record(analysis, captured_at):
        recorders.own.record(Frame(PIXELS, next(numbers), captured_at), analysis)
        return analysis

    fake_camera.compare = record
    fake_camera.play()
    return serve(fake_camera, port=free_port(), answers=CHOOSE, **recorders.parts)


def open_page(browser, server) -> None:
    browser.get(server.url)
    consent(browser)
    lists(browser, WHO, ["Face 1", "Face 2"])


def since(browser) -> tuple[str, int]:
    """What the panel says: since when and who, and the seconds."""
    words = find(browser, "#session-since").text
    found = re.fullmatch(r"(.*), (\d+):(\d\d)", words)
    return (found[1], 60 * int(found[2]) + int(found[3])) if found else (words, 0)


def type_keys(browser, *keys: str) -> None:
    ActionChains(browser).send_keys(*keys).perform()


# ---- since the page was opened

TALLY = """
const done = arguments[1];
import("/static/tally.js").then(({ Tally }) => {
  sessionStorage.clear();
  let tally = new Tally();
  for (const [now, faces, of = "program"] of arguments[0]) {
    if (now === "reload") { tally.store(); tally = new Tally(); }
    else if (now === "version") tally.setVersion(faces);
    else tally.add(faces.map(([id, label]) => ({ id, label })), now, { of, shown: ({ label }) => label });
  }
  const people = [...tally.people].map(([key, { seconds, total }]) =>
    [key, { total, ...Object.fromEntries(Object.entries(seconds).filter(([, s]) => s > 0)) }]);
  done([tally.since, tally.watched, Object.fromEntries(people), tally.others, tally.count]);
});
"""


def test_the_page_counts_time_by_person_and_expression(browser, fake_camera, serve) -> None:
    browser.get(serve(fake_camera, port=free_port()).url)

    def counted(*steps):
        return browser.execute_async_script(TALLY, list(steps))

    half = [[0.5 * i, [[1, "happy" if i < 4 else "unsure"], [2, "sad"]]] for i in range(8)]
    of, watched, people, _, count = counted(*half, [20, [[1, "sad"]]], [20.5, [[1, "sad"]]])
    assert (of, watched, count) == ("page", 4.0, 2), "nothing is known of the 16.5 s without frames"
    assert people["program 1"] == {"total": 4.0, "happy": 1.5, "unsure": 2.0, "sad": 0.5}
    assert people["program 2"] == {"total": 3.5, "sad": 3.5}

    away = [[0.5 * i, [[1, "happy"]] if i in (0, 1, 5, 6) else []] for i in range(8)]
    assert counted(*away)[1:3] == [3.5, {"program 1": {"total": 1.0, "happy": 1.0}}], (
        "a face that is away does not count"
    )

    own = [[0, [[1, "sad"]], "camera"], [0.5, [[1, "sad"]], "camera"]]
    assert set(counted(*half, ["reload"], *own)[2]) == {"program 1", "program 2", "camera 1"}
    again = counted(["version", 7], *half, ["reload"], ["version", 8], *half)
    assert (again[0], again[1]) == ("page", 7.0)
    other = counted(["version", 7], *half, ["reload"], ["version", 10**9], [9, [[1, "sad"]]], [9.5, [[1, "sad"]]])
    assert other[:3] == ["start", 0.5, {"program 1": {"total": 0.5, "sad": 0.5}}]

    # Face n is present for n tenths of a second, two minutes after the previous one; a face seen once for 0 s.
    many = counted(*([120 * n + i / 10, [[n, "happy"]]] for n in range(40) for i in range(n + 1)))
    assert many[4] == 39
    assert set(many[2]) == {f"program {n}" for n in range(19, 40)}, "twenty past faces and the present one"
    assert many[3]["total"] == pytest.approx(sum(range(19)) / 10)


def test_the_panel_says_since_when_and_outlives_another_source_and_a_reload(browser, fake_camera, server) -> None:
    open_page(browser, server)
    lists(browser, ".session-row .shares", ["happy 100\u202f%", "sad 100\u202f%"])
    assert since(browser)[0] == "Since this page was opened: 2 people"
    fake_camera.faces = (replace(face_showing("fear", 1), probabilities=face_showing("fear").probabilities / 2),)
    says(browser, ".session-row .shares", "unsure")
    piece = find(browser, ".session-row [data-expression=unsure]")
    assert piece.rect["width"] > 0
    wait_for(lambda: since(browser)[1] >= 2)
    before = since(browser)[1]
    fake_camera.faces = (face_showing("fear", 9),)
    fake_camera.current = replace(fake_camera.current, name="Another camera")
    lists(browser, "#timeline-face", ["Face 9"])
    lists(browser, WHO, ["Face 1", "Face 2", "Face 9"])
    browser.refresh()
    lists(browser, WHO, ["Face 1", "Face 2", "Face 9"])
    words, seconds = since(browser)
    assert (words, seconds >= before) == ("Since this page was opened: 3 people", True)
    assert browser.get_log("browser") == []


# ---- since the recording began


def test_while_it_records_the_panel_is_that_session_with_markers_and_names(browser, server, recorders) -> None:
    open_page(browser, server)
    vanishes(browser, "#mark")
    press(browser, "e")
    says(browser, "#note", "Press r to record")
    press(browser, "r")
    see(lambda: since(browser)[0] == "Since the recording began: 2 people", "the session that is recorded")
    session = recorders.own.status().session
    edits = recorders.sessions.files(session).edits

    press(browser, "e")
    appears(browser, "#word")
    wait_for(lambda: '"mark"' in edits.read_text(), "the marker, before its word is typed")
    lists(browser, ".marker-text", ["Marker"])
    type_keys(browser, "mice in here", Keys.ENTER)  # keys that are shortcuts elsewhere
    lists(browser, ".marker-text", ["mice in here"])
    lines = [json.loads(line) for line in edits.read_text().splitlines()]
    assert [(each["do"], each.get("id"), each.get("text")) for each in lines[1:]] == [
        ("mark", "m1", None),
        ("mark", "m1", "mice in here"),
    ]
    assert recorders.own.status().on
    assert find(browser, "#privacy").get_attribute("aria-pressed") == "false"

    click(browser, "#mark")
    type_keys(browser, Keys.ESCAPE)
    lists(browser, ".marker-text", ["Marker", "mice in here"])  # without a word it stays
    click(browser, ".marker-remove")
    lists(browser, ".marker-text", ["mice in here"])

    click(browser, ".session-row:nth-child(2) .who-is")
    type_keys(browser, "Anna", Keys.ENTER)
    lists(browser, WHO, ["Face 1", "Anna"])
    click(browser, ".who-is")
    Select(find(browser, "#who-same")).select_by_visible_text("Anna")
    click(browser, "#who button[value=yes]")
    lists(browser, WHO, ["Anna"])
    assert since(browser)[0] == "Since the recording began: 1 person"
    click(browser, ".who-is")
    click(browser, "#who-split")
    click(browser, "#who button[value=yes]")
    lists(browser, WHO, ["Face 1", "Anna"])

    wait_for(lambda: recorders.sessions.get(session).people[0].seconds[3] > 0.3)
    recorders.sessions.edit(session, [{"do": "exclude", "from": 0, "to": 3600}])  # by somebody else
    lists(browser, ".session-row .time", ["0:00", "0:00"])
    lists(browser, ".marker-text", ["mice in here", "Excluded: 0:00 to 60:00"])
    click(browser, "#session-markers li:last-child .marker-remove")
    see(lambda: texts(browser, ".session-row .shares") == ["happy 100\u202f%", "sad 100\u202f%"], "it counts again")

    browser.refresh()
    lists(browser, WHO, ["Face 1", "Anna"])
    press(browser, "r")
    see(lambda: since(browser)[0] == "Since this page was opened: 2 people", "what the page has counted")
    lists(browser, WHO, ["Face 1", "Face 2"])
    lists(browser, ".marker-text", [])
    vanishes(browser, "#mark")
    assert browser.get_log("browser") == []


ANSWERS = """
const done = arguments[0];
import("/static/running_session.js").then(async ({ followSession, editSession, runningSession }) => {
  const answers = [];
  const answerOf = (known) => ({ ok: true, json: async () => known });
  window.fetch = () => new Promise((resolve) => answers.push((known) => resolve(answerOf(known))));
  followSession("session");
  const edited = editSession([{ do: "mark" }]);
  answers[1]({ markers: ["m1"] });
  await edited;
  answers[0]({ markers: [] });
  await new Promise((resolve) => setTimeout(resolve)); // after all that waits for the answer
  done(runningSession().known.markers);
});
"""


def test_an_answer_from_before_an_edit_does_not_undo_it_on_the_page(browser, fake_camera, serve) -> None:
    browser.get(f"{serve(fake_camera, port=free_port()).url}/programs")
    assert browser.execute_async_script(ANSWERS) == ["m1"]


def test_a_marker_is_set_in_the_recording_of_this_browsers_camera(with_camera, camera_file, server, recorders) -> None:
    film(camera_file, demo_pictures(0.5))
    set_permission(with_camera, server)
    open_page(with_camera, server)
    choose_camera(with_camera)
    lists(with_camera, WHO, ["Face 1", "Face 2", "Face 1, this browser's camera"])
    press(with_camera, "r")
    lists(with_camera, WHO, ["Face 1"])
    assert since(with_camera)[0] == "Since the recording began: 1 person"
    (session,) = recorders.browsers.running()
    press(with_camera, "e")
    appears(with_camera, "#word")
    type_keys(with_camera, "nods", Keys.ENTER)
    lists(with_camera, ".marker-text", ["nods"])
    (marker,) = recorders.sessions.get(session).state.markers
    assert (marker.text, recorders.own.status().on) == ("nods", False)
    assert 0 < marker.t < time.time() - recorders.browsers.running()[session].since
    press(with_camera, "r")
    lists(with_camera, WHO, ["Face 1", "Face 2", "Face 1, this browser's camera"])
    shows(with_camera, ".session-row:nth-child(3) .shares", "happy 100\u202f%")
    with_camera.get("about:blank")


DRAWN = """
const done = arguments[0];
const { fillText } = CanvasRenderingContext2D.prototype;
CanvasRenderingContext2D.prototype.fillText = function (text, x) {
  if (this.canvas.id === "lines" && text === "laughs") done(x / this.canvas.clientWidth);
  return fillText.call(this, text, x, ...[...arguments].slice(2));
};
"""


def test_the_timeline_shows_the_markers_of_the_last_minute(browser, server, recorders) -> None:
    open_page(browser, server)
    press(browser, "r")
    wait_for(lambda: recorders.own.status().on)
    session = recorders.own.status().session
    wait_for(lambda: recorders.sessions.get(session).length_s > 3, "some seconds, so that there is room for the word")
    recorders.sessions.edit(session, [{"do": "mark", "t": 0.1, "text": "laughs"}])
    says(browser, "#session-markers", "laughs")
    browser.execute_script("document.getElementById('legend').hidden = true")
    place = browser.execute_async_script(DRAWN)
    assert 0.5 < place < 0.99
    assert len(EXPRESSIONS) == len(texts(browser, "#legend .name"))

"""The page as a person has it, in a real Chromium."""

from __future__ import annotations

import json
from dataclasses import replace
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from mien.expressions import EXPRESSIONS, Snapshot
from tests.web_fakes import FakeCamera, eventually, face_showing, free_port, resize

pytestmark = pytest.mark.browser

SHADE = """
const picture = document.getElementById("picture");
if (!picture.complete || !picture.naturalWidth) return null;
const canvas = document.createElement("canvas");
canvas.width = canvas.height = 8;
const pen = canvas.getContext("2d");
pen.drawImage(picture, 0, 0, 8, 8);
return pen.getImageData(4, 4, 1, 1).data[0];
"""
"""The shade of the picture's middle, 0..255; the fake camera's pictures differ in nothing else."""


def find(browser, selector: str):
    return browser.find_element("css selector", selector)


def texts(browser, selector: str) -> list[str]:
    """In one step: the page changes its list of faces at any moment."""
    script = "return [...document.querySelectorAll(arguments[0])].map((element) => element.innerText)"
    return browser.execute_script(script, selector)


def changes(browser, within_s: float = 8) -> bool:
    """Whether the picture shows something and then something else."""
    first: list[int] = []

    def another() -> bool:
        shade = browser.execute_script(SHADE)
        if shade is not None and not first:
            first.append(shade)
        return bool(first) and shade is not None and shade != first[0]

    return eventually(another, within_s)


def viewers(server) -> int:
    with urlopen(f"{server.url}/api/state") as answer:
        return json.load(answer)["viewers"]


@pytest.fixture
def page(browser, fake_camera: FakeCamera, serve):
    """The page of a camera that plays, with two faces in its list."""
    fake_camera.play()
    server = serve(fake_camera, port=free_port())
    browser.get(server.url)
    assert eventually(lambda: len(texts(browser, "#faces .face")) == 2)
    return server


def test_the_picture_is_there_and_moves(browser, page) -> None:
    assert changes(browser)
    picture = find(browser, "#picture")
    assert picture.get_property("naturalWidth") == 320
    assert picture.get_attribute("alt")
    assert not find(browser, "#notice").is_displayed()


def test_faces_are_listed_with_label_probability_and_bars(browser, page) -> None:
    cards = browser.find_elements("css selector", "#faces .face")
    assert [card.get_attribute("data-label") for card in cards] == ["happy", "sad"]
    assert texts(browser, "#faces .who") == ["Face 1", "Face 2"]
    assert texts(browser, "#faces .label") == ["happy", "sad"]
    assert [text.replace("\u202f", " ") for text in texts(browser, "#faces .confidence")] == ["82 %", "82 %"]
    assert texts(browser, ".face:first-child .name") == list(EXPRESSIONS)
    assert texts(browser, ".face:first-child .value") == ["3", "3", "3", "82", "3", "3", "3"]


def test_the_bars_are_as_long_as_they_say(browser, page) -> None:
    width = "return arguments[0].getBoundingClientRect()"
    track = browser.execute_script(width, find(browser, '.face:first-child [data-expression="happy"] .track'))
    fill = find(browser, '.face:first-child [data-expression="happy"] .fill')

    def settled() -> bool:
        return browser.execute_script(width, fill)["right"] == pytest.approx(
            track["left"] + 0.82 * track["width"], abs=1
        )

    assert eventually(settled)


def test_the_header_says_what_is_shown(browser, page) -> None:
    assert find(browser, "#status").text == "LIVE"
    assert find(browser, "#source").text == "Fake camera"
    assert find(browser, "#fps").text == "30"
    assert find(browser, "#latency").text == "12"
    assert eventually(lambda: find(browser, "#viewers").text == "1 viewer")


def test_a_face_that_leaves_leaves_the_list_and_the_others_stay(browser, fake_camera, page) -> None:
    second = find(browser, '.face[data-id="2"]')
    fake_camera.faces = (face_showing("surprise", 2),)
    assert eventually(lambda: texts(browser, "#faces .label") == ["surprise"])
    assert find(browser, ".face") == second  # the same element: its bars move on


def test_no_face_is_said_in_words(browser, fake_camera, page) -> None:
    assert not find(browser, "#no-face").is_displayed()
    fake_camera.faces = ()
    assert eventually(lambda: find(browser, "#no-face").is_displayed())
    assert find(browser, "#no-face").text == "NO FACE"
    assert "No face is found" in find(browser, "#hint").text


@pytest.mark.parametrize(
    ("status", "texts"),
    [
        ({"state": "demo"}, ("DEMO", "")),
        ({"state": "file"}, ("FILE", "")),
        (
            {"state": "reconnecting", "reason": "no frame for 5 s", "retry_in_s": 2.4},
            ("RECONNECTING 3 s", "No frame for 5 s. Is the camera plugged in"),
        ),
        ({"state": "ended"}, ("ENDED", "played to its end")),
    ],
)
@pytest.mark.usefixtures("page")
def test_states_are_words(browser, fake_camera, status, texts) -> None:
    badge, hint = texts
    fake_camera.current = replace(fake_camera.current, **status)
    assert eventually(lambda: find(browser, "#status").text == badge)
    assert hint in find(browser, "#hint").text


def test_the_first_picture_may_come_late(browser, fake_camera, serve) -> None:
    server = serve(fake_camera)
    browser.get(server.url)
    assert eventually(lambda: viewers(server) == 1)
    assert find(browser, "#notice").is_displayed()
    fake_camera.play()
    assert changes(browser)


def test_nothing_comes_from_another_host_and_nothing_is_complained_about(browser, page) -> None:
    assert changes(browser)
    names = browser.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert len(names) > 3
    assert {name[: len(page.url) + 1] for name in names} == {f"{page.url}/"}
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("size", [(375, 812), (320, 568), (1280, 800), (1920, 1080)])
def test_it_fits_without_scrolling_sideways(browser, fake_camera, page, size) -> None:
    fake_camera.current = replace(fake_camera.current, name="A camera with quite a long name " * 3)
    resize(browser, *size)
    assert eventually(lambda: find(browser, "#source").text.startswith("A camera"))
    inner, needed = browser.execute_script("return [innerWidth, document.documentElement.scrollWidth]")
    assert inner == size[0]
    assert needed <= inner
    picture = find(browser, "#picture").rect
    assert picture["width"] >= 0.6 * size[0]


def test_it_follows_the_theme(browser, page) -> None:
    colours = []
    for scheme in ("light", "dark"):
        resize(browser, 1280, 800, scheme)
        colours.append(find(browser, "body").value_of_css_property("background-color"))
    assert colours[0] != colours[1]


def test_with_reduced_motion_bars_jump(browser, page) -> None:
    def duration() -> str:
        return find(browser, ".fill").value_of_css_property("transition-duration")

    assert duration() == "0.12s"
    features = [{"name": "prefers-reduced-motion", "value": "reduce"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    assert duration() == "0s"


def test_a_lost_server_shows_a_banner_and_comes_back_by_itself(browser, fake_camera, page, serve) -> None:
    assert not find(browser, "#banner").is_displayed()
    page.stop()
    assert eventually(lambda: find(browser, "#banner").is_displayed())
    assert find(browser, "#status").text == "NO CONNECTION"
    assert texts(browser, "#faces .face") == []
    assert texts(browser, "#fps") == ["–"]
    assert not find(browser, "#picture").is_displayed()  # an old picture could be taken for a live one
    assert find(browser, "#notice").is_displayed()
    serve(fake_camera, port=page.port)
    assert eventually(lambda: not find(browser, "#banner").is_displayed())
    assert changes(browser)
    assert eventually(lambda: texts(browser, "#faces .label") == ["happy", "sad"])


def test_a_stream_that_was_cut_off_is_taken_up_again(browser, fake_camera, page) -> None:
    assert changes(browser)
    page.hang_up()
    assert eventually(lambda: viewers(page) == 0)
    assert eventually(lambda: viewers(page) == 1)
    assert changes(browser)


def test_a_hidden_tab_gives_its_stream_up_and_takes_it_again(browser, page) -> None:
    assert eventually(lambda: viewers(page) == 1)
    tab = browser.current_window_handle
    browser.switch_to.new_window("tab")
    assert eventually(lambda: viewers(page) == 0)
    browser.close()
    browser.switch_to.window(tab)
    assert eventually(lambda: viewers(page) == 1)
    assert changes(browser)


def test_when_all_places_are_taken_the_page_says_so_and_waits(browser, fake_camera, serve, watch) -> None:
    fake_camera.play()
    server = serve(fake_camera, max_streams=1)
    first = watch(server)
    browser.get(server.url)
    assert eventually(lambda: "Too many viewers" in find(browser, "#notice").text)
    assert texts(browser, "#faces .label") == ["happy", "sad"]
    first.close()
    assert changes(browser)
    assert not find(browser, "#notice").is_displayed()


def test_a_placeholder_is_shown_as_any_picture(browser, fake_camera, page) -> None:
    fake_camera.pause()
    jpeg = fake_camera.publish().jpeg
    fake_camera.snapshots.publish(Snapshot(jpeg))
    assert eventually(lambda: texts(browser, "#faces .face") == [])
    assert not find(browser, "#no-face").is_displayed()  # nobody looked for one


ASKED = """
return performance.getEntriesByType('resource').filter((entry) => entry.name.includes(arguments[0])).length
"""


def event_places(server) -> bool:
    """Whether there is a place for one more reader of events."""
    try:
        with urlopen(Request(f"{server.url}/api/events", method="HEAD")):
            return True
    except HTTPError as refused:
        refused.close()
        return False


def test_the_page_listens_instead_of_asking_again_and_again(browser, fake_camera, page) -> None:
    asked = browser.execute_script(ASKED, "/api/state")
    seen = set()

    def ten_states() -> bool:
        fake_camera.faces = (face_showing(EXPRESSIONS[len(seen) % 7], 1),)
        seen.add(fake_camera.snapshots.peek()[0])
        return len(seen) > 30

    assert eventually(ten_states)
    assert eventually(lambda: texts(browser, "#faces .label") == [fake_camera.faces[0].label])
    assert browser.execute_script(ASKED, "/api/state") <= asked + 1  # 30 pictures are 1.5 s: ten questions


def test_without_events_the_page_asks_and_takes_them_when_there_is_a_place(browser, fake_camera, serve) -> None:
    fake_camera.play()
    server = serve(fake_camera, max_streams=1)
    with urlopen(f"{server.url}/api/events"):
        browser.get(server.url)
        assert eventually(lambda: texts(browser, "#faces .label") == ["happy", "sad"])
        asked = browser.execute_script(ASKED, "/api/state")
        assert eventually(lambda: browser.execute_script(ASKED, "/api/state") > asked + 3)
    assert eventually(lambda: event_places(server))
    assert eventually(lambda: not event_places(server))  # the page has taken it


def test_a_hidden_tab_gives_its_events_up_too(browser, fake_camera, serve) -> None:
    fake_camera.play()
    server = serve(fake_camera, max_streams=1)
    browser.get(server.url)
    assert eventually(lambda: not event_places(server))
    tab = browser.current_window_handle
    browser.switch_to.new_window("tab")
    assert eventually(lambda: event_places(server))
    browser.close()
    browser.switch_to.window(tab)
    assert eventually(lambda: not event_places(server))


def test_with_a_token_the_page_works_and_hides_it(browser, fake_camera, serve) -> None:
    fake_camera.play()
    server = serve(fake_camera, token="correct-horse-battery")
    browser.get(server.url)
    assert find(browser, "h1").text == "Unauthorized"
    browser.get_log("browser")  # says 401
    find(browser, "[name=token]").send_keys("correct-horse-battery\n")
    assert eventually(lambda: texts(browser, "#faces .label") == ["happy", "sad"])
    assert changes(browser)
    assert browser.current_url == f"{server.url}/"
    assert browser.execute_script("return document.cookie") == ""
    browser.get(server.url)
    assert eventually(lambda: texts(browser, "#faces .label") == ["happy", "sad"])
    assert browser.get_log("browser") == []
    browser.delete_all_cookies()

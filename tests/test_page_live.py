"""The live page in a real Chromium."""

from __future__ import annotations

import socket
from dataclasses import replace
from urllib.request import urlopen

import pytest

from mien.outputs.base import OutputStatus
from mien.types import EXPRESSIONS, Snapshot
from tests.page import appears, asked, changes, click, find, lists, says, shows, texts, vanishes, viewers
from tests.patience import wait_for
from tests.web_fakes import FakeCamera, face_showing, free_port, resize

pytestmark = pytest.mark.browser


class FakeOutputs:
    """Two live outputs, one of which has no receiver."""

    def __init__(self) -> None:
        self.listed = [
            OutputStatus("osc://127.0.0.1:9000", "connected", sent=5),
            OutputStatus("mqtt://***@broker", "waiting", "Connection refused", dropped=7),
        ]

    def status(self) -> list[OutputStatus]:
        return self.listed


@pytest.fixture
def page(browser, fake_camera: FakeCamera, serve):
    """The page with live video and two faces in its list."""
    fake_camera.play()
    server = serve(fake_camera, port=free_port())
    browser.get(server.url)
    wait_for(lambda: len(texts(browser, "#faces .face")) == 2)
    return server


def test_the_picture_is_displayed_and_moves(browser, page) -> None:
    changes(browser)
    picture = find(browser, "#picture")
    assert picture.get_property("width") == 320
    assert picture.accessible_name
    vanishes(browser, "#notice")


def test_faces_are_listed_with_label_probability_and_bars(browser, page) -> None:
    cards = browser.find_elements("css selector", "#faces .face")
    assert [card.get_attribute("data-label") for card in cards] == ["happy", "sad"]
    lists(browser, "#faces .who", ["Face 1", "Face 2"])
    lists(browser, "#faces .label", ["happy", "sad"])
    lists(browser, "#faces .confidence", ["82\u202f%", "82\u202f%"])
    lists(browser, ".face:first-child .name", list(EXPRESSIONS))
    lists(browser, ".face:first-child .value", ["3", "3", "3", "82", "3", "3", "3"])


def test_the_bars_are_as_long_as_their_probabilities(browser, page) -> None:
    width = "return arguments[0].getBoundingClientRect()"
    track = browser.execute_script(width, find(browser, '.face:first-child [data-expression="happy"] .track'))
    fill = find(browser, '.face:first-child [data-expression="happy"] .fill')

    def settled() -> bool:
        return browser.execute_script(width, fill)["right"] == pytest.approx(
            track["left"] + 0.82 * track["width"], abs=1
        )

    wait_for(settled)


def test_the_header_says_what_is_shown(browser, page) -> None:
    shows(browser, "#status", "LIVE")
    shows(browser, "#source-name", "Fake camera")
    shows(browser, "#fps", "30")
    shows(browser, "#latency", "12")
    shows(browser, "#viewers", "1 viewer")


def test_each_figure_has_a_tooltip(browser, page) -> None:
    title = find(browser, ".figures div:has(#latency)").get_attribute("title")
    assert "from receiving a frame until its picture is ready, without camera and network" in title


def test_a_face_that_leaves_is_removed_from_the_list_and_the_others_stay(browser, fake_camera, page) -> None:
    second = find(browser, '.face[data-id="2"]')
    fake_camera.faces = (face_showing("surprise", 2),)
    lists(browser, "#faces .label", ["surprise"])
    assert find(browser, ".face") == second  # the same element: its bars keep moving


def test_the_page_says_when_there_is_no_face(browser, fake_camera, page) -> None:
    vanishes(browser, "#no-face")
    fake_camera.faces = ()
    appears(browser, "#no-face")
    shows(browser, "#no-face", "NO FACE")
    says(browser, "#hint", "No face detected")


RECONNECTING = {
    "state": "reconnecting",
    "reason": "no frame for 5 s",
    "retry_in_s": 2.4,
    "failing": "source",
    "kind": "webcam",
}


def test_each_state_is_described_in_words(browser, fake_camera, page) -> None:
    for status, badge, hint in (
        ({"state": "demo"}, "DEMO", ""),
        ({"state": "file"}, "FILE", ""),
        (RECONNECTING, "RECONNECTING 3 s", "No frame for 5 s. Check that the camera is plugged in"),
        ({"state": "ended", "reason": None}, "ENDED", "The file has ended"),
    ):
        fake_camera.current = replace(fake_camera.current, **status)
        shows(browser, "#status", badge)
        says(browser, "#hint", hint)


def test_the_first_picture_may_arrive_late(browser, fake_camera, serve) -> None:
    server = serve(fake_camera)
    browser.get(server.url)
    wait_for(lambda: viewers(server) == 1)
    appears(browser, "#notice")
    fake_camera.play()
    changes(browser)


def test_the_page_loads_nothing_from_other_hosts_and_logs_no_errors(browser, page) -> None:
    changes(browser)
    names = browser.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert len(names) > 3
    assert {name[: len(page.url) + 1] for name in names} == {f"{page.url}/"}
    assert browser.get_log("browser") == []


def test_the_page_fits_without_horizontal_scrolling(browser, fake_camera, page) -> None:
    fake_camera.current = replace(fake_camera.current, name="A camera with quite a long name " * 3)
    wait_for(lambda: find(browser, "#source-name").text.startswith("A camera"))
    for width, height in ((375, 812), (320, 568), (1280, 800), (1920, 1080)):
        resize(browser, width, height)

        def fits(width: int = width) -> bool:
            inner, needed = browser.execute_script("return [innerWidth, document.documentElement.scrollWidth]")
            return inner == width >= needed and find(browser, "#picture").rect["width"] >= 0.6 * width

        wait_for(fits, f"a page that fits into {width} pixels")


def test_the_page_follows_the_theme(browser, page) -> None:
    def ground() -> str:
        return find(browser, "body").value_of_css_property("background-color")

    light = ground()
    resize(browser, 1280, 800, "dark")
    wait_for(lambda: ground() != light)


def test_with_reduced_motion_bars_change_without_transition(browser, page) -> None:
    def duration() -> str:
        return find(browser, ".fill").value_of_css_property("transition-duration")

    assert duration() == "0.12s"
    features = [{"name": "prefers-reduced-motion", "value": "reduce"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    wait_for(lambda: duration() == "0s")


def test_a_lost_server_shows_a_banner_until_the_page_reconnects(browser, fake_camera, page, serve) -> None:
    vanishes(browser, "#banner")
    page.stop()
    appears(browser, "#banner")
    shows(browser, "#status", "NO CONNECTION")
    lists(browser, "#faces .face", [])
    lists(browser, "#fps", ["–"])
    vanishes(browser, "#picture")  # an old picture could be mistaken for a live one
    appears(browser, "#notice")
    serve(fake_camera, port=page.port)
    vanishes(browser, "#banner")
    changes(browser)
    lists(browser, "#faces .label", ["happy", "sad"])


def test_a_restarted_server_with_a_token_asks_for_it(browser, fake_camera, page, serve) -> None:
    page.stop()
    appears(browser, "#banner")
    serve(fake_camera, port=page.port, token="correct-horse-battery")
    lists(browser, "h1", ["Unauthorized"])
    appears(browser, "[name=token]")


def test_an_interrupted_stream_is_resumed(browser, fake_camera, page) -> None:
    changes(browser)
    cut_off = page._cheroot.open_connections.copy()
    page.hang_up()
    wait_for(lambda: not cut_off & page._cheroot.open_connections, "the end of all connections there were")
    wait_for(lambda: viewers(page) == 1)
    changes(browser)


def test_a_hidden_tab_closes_its_stream_and_reopens_it(browser, page) -> None:
    wait_for(lambda: viewers(page) == 1)
    tab = browser.current_window_handle
    browser.switch_to.new_window("tab")
    wait_for(lambda: viewers(page) == 0)
    browser.close()
    browser.switch_to.window(tab)
    wait_for(lambda: viewers(page) == 1)
    changes(browser)


def test_when_all_slots_are_taken_the_page_says_so_and_waits(browser, fake_camera, serve, watch) -> None:
    fake_camera.play()
    server = serve(fake_camera, max_streams=1)
    first = watch(server)
    browser.get(server.url)
    says(browser, "#notice", "Too many viewers")
    lists(browser, "#faces .label", ["happy", "sad"])
    shows(browser, "#status", "TOO MANY VIEWERS")
    first.close()
    changes(browser)
    vanishes(browser, "#notice")


def test_a_placeholder_is_displayed_like_any_picture(browser, fake_camera, page) -> None:
    fake_camera.pause()
    jpeg = fake_camera.publish().jpeg
    fake_camera.snapshots.publish(Snapshot(jpeg))
    lists(browser, "#faces .face", [])
    vanishes(browser, "#no-face")  # faces were not searched


def test_picture_and_overlay_always_belong_to_the_same_frame(browser, fake_camera, page) -> None:
    script = """
    const [picture, overlay] = ["picture", "overlay"].map((id) => document.getElementById(id));
    const probe = new OffscreenCanvas(1, 1).getContext("2d");
    const seen = [];
    document.addEventListener("mien:frame", ({ detail }) => {
      if (seen.at(-1)?.[1] === detail.state.frame.index % 256) return; // sent again, as when there is no new one
      probe.drawImage(picture, 10, 10, 1, 1, 0, 0, 1, 1);
      seen.push([probe.getImageData(0, 0, 1, 1).data[0], detail.state.frame.index % 256,
                 Number(picture.dataset.frame) % 256, Number(overlay.dataset.frame) % 256]);
      if (seen.length === 20) arguments[0](seen);
    });
    """
    seen = browser.execute_async_script(script)
    browser.get_log("browser")  # a hint about frequent pixel readback
    for shade, state, picture, overlay in seen:
        assert abs(shade - state) <= 2  # the fake camera encodes the index as a gray level; JPEG rounds
        assert state == picture == overlay
    assert len({state for _, state, _, _ in seen}) == 20


BOXED = """
const overlay = document.getElementById("overlay");
const copy = new OffscreenCanvas(overlay.width, overlay.height).getContext("2d");
copy.drawImage(overlay, 0, 0);
const { data } = copy.getImageData(0, 0, overlay.width, overlay.height);
let [left, right] = [overlay.width, 0];
for (let i = 3; i < data.length; i += 4) if (data[i] > 0) {
  const x = ((i - 3) / 4) % overlay.width;
  left = Math.min(left, x);
  right = Math.max(right, x);
}
const scale = Math.min(overlay.width / 320, overlay.height / 240);
return [left, right].map((x) => (x - (overlay.width - 320 * scale) / 2) / scale);
"""
"""The left and right ends of the overlay's drawing, in pixels of the frame."""


def test_the_boxes_lie_on_the_faces_also_when_mirrored(browser, fake_camera, page) -> None:
    fake_camera.faces = (face_showing("happy", 1, x=40),)
    lists(browser, "#faces .label", ["happy"])
    wait_for(lambda: browser.execute_script(BOXED) == pytest.approx([40, 140], abs=3))
    click(browser, "#mirror")
    wait_for(lambda: browser.execute_script(BOXED) == pytest.approx([180, 280], abs=3))
    assert find(browser, "#picture").value_of_css_property("transform").startswith("matrix(-1")
    click(browser, "#mirror")
    wait_for(lambda: browser.execute_script(BOXED) == pytest.approx([40, 140], abs=3))


PARTS = """
const done = arguments[1];
import("/static/multipart.js").then(async ({ PartReader }) => {
  const parts = [];
  const reader = new PartReader((part) => parts.push(part));
  const text = '\\r\\n\\r\\n--frame\\r\\nContent-Type: image/jpeg\\r\\nX-Mien-State: {"n": 1}\\r\\n' +
    'Content-Length: 9\\r\\n\\r\\nab\\r\\n\\r\\n--c\\r\\n--frame\\r\\nContent-Length: 0\\r\\n\\r\\n\\r\\n' +
    '--frame\\r\\ncontent-length: 3\\r\\nx-mien-state: {"n": 3}\\r\\n\\r\\nxyz\\r\\n--frame\\r\\nContent-Len';
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at += arguments[0]) reader.push(bytes.subarray(at, at + arguments[0]));
  done(await Promise.all(parts.map(async ({ state, jpeg }) => [state, await jpeg.text()])));
});
"""


def test_the_stream_is_parsed_whatever_its_chunks(browser, page) -> None:
    for size in (1, 2, 7, 64, 1000):
        parts = browser.execute_async_script(PARTS, size)
        assert parts == [[{"n": 1}, "ab\r\n\r\n--c"], [None, ""], [{"n": 3}, "xyz"]], size


def test_the_stream_requested_before_the_modules_loaded_is_the_one_displayed(browser, page) -> None:
    assert browser.execute_script("return window.earlyConnection.answer.then((answer) => answer.ok && answer.bodyUsed)")
    wait_for(lambda: viewers(page) == 1)


def test_one_connection_carries_everything(browser, fake_camera, page) -> None:
    def asks_nothing_else() -> bool:
        browser.execute_script("performance.clearResourceTimings()")
        published = fake_camera.snapshots.peek()[0]
        wait_for(lambda: fake_camera.snapshots.peek()[0] > published + 20)
        return asked(browser, "/api/") == 0

    wait_for(asks_nothing_else)  # for the state it asks only while no picture comes, as on a busy computer
    assert viewers(page) == 1


def test_a_server_that_stops_responding_counts_as_lost(browser, fake_camera, page, serve) -> None:
    page.stop()
    with socket.create_server(("127.0.0.1", page.port)):  # accepts connections and sends nothing
        appears(browser, "#banner")
    serve(fake_camera, port=page.port)
    vanishes(browser, "#banner")
    changes(browser)


def test_without_javascript_the_picture_is_displayed(page) -> None:
    with urlopen(page.url) as answer:
        html = answer.read().decode()
    assert 'src="video_feed"' in html.partition("<noscript>")[2].partition("</noscript>")[0]


def test_with_a_token_the_page_works_and_hides_it(browser, fake_camera, serve) -> None:
    fake_camera.play()
    server = serve(fake_camera, token="correct-horse-battery")
    browser.get(server.url)
    shows(browser, "h1", "Unauthorized")
    browser.get_log("browser")  # says 401
    find(browser, "[name=token]").send_keys("correct-horse-battery\n")
    lists(browser, "#faces .label", ["happy", "sad"])
    changes(browser)
    assert browser.current_url == f"{server.url}/"
    assert browser.execute_script("return document.cookie") == ""
    browser.get(server.url)
    lists(browser, "#faces .label", ["happy", "sad"])
    assert browser.get_log("browser") == []
    browser.delete_all_cookies()


def test_outputs_are_listed_with_their_state_only_if_there_are_any(browser, fake_camera: FakeCamera, serve) -> None:
    outputs = FakeOutputs()
    server = serve(fake_camera, port=free_port(), outputs=outputs)
    fake_camera.play()
    browser.get(server.url)
    lists(
        browser,
        "#outputs li",
        ["osc://127.0.0.1:9000 connected, 5 sent", "mqtt://***@broker waiting, 0 sent, 7 dropped"],
    )
    assert find(browser, "#outputs li:last-child").get_attribute("title") == "Connection refused."
    outputs.listed = []
    vanishes(browser, "#outputs-line")

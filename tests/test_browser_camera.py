"""The browser's camera: its frames are sent to the program one at a time and answered with boxes."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from tests.browser_camera import CHOOSE, Program, choose_camera, demo_pictures, film, set_permission
from tests.page import SHADE, appears, asked, click, find, lists, press, says, shows, texts, vanishes, viewers
from tests.patience import PATIENCE_S, scaled, stays, wait_for
from tests.web_fakes import free_port

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module", autouse=True)
def demo_is_filmed(camera_file):
    film(camera_file, demo_pictures())


@pytest.fixture
def program() -> Program:
    return Program()


@pytest.fixture
def page(with_camera, fake_camera, serve, program):
    fake_camera.play()
    server = serve(fake_camera, port=free_port(), answers=CHOOSE, **program.parts)
    set_permission(with_camera, server)
    with_camera.get(server.url)
    shows(with_camera, "#status", "LIVE")
    yield server
    with_camera.get("about:blank")


def test_frames_are_sent_one_at_a_time_and_shown_with_their_answers(with_camera, page, program) -> None:
    choose_camera(with_camera)
    shows(with_camera, "#source-name", "This browser's camera")
    wait_for(lambda: len(program.sizes) > 10)
    assert set(program.sizes) == {(640, 480)}
    assert program.most_at_once == 1
    assert len(program.keys) == 1
    lists(with_camera, "#faces .label", ["happy"])
    shows(with_camera, "#status", "LIVE")
    wait_for(lambda: with_camera.execute_script(SHADE) > 0)
    wait_for(lambda: float(texts(with_camera, "#fps")[0]) > 0)
    wait_for(lambda: viewers(page) == 0)  # the program's own picture is not requested meanwhile
    lists(with_camera, "#timeline-face", ["Face 1"])


def test_meanwhile_the_program_s_own_source_may_be_idle_and_its_state_stays_visible(with_camera, page, program) -> None:
    choose_camera(with_camera)
    wait_for(lambda: len(program.sizes) > 3)
    with_camera.execute_script("performance.clearResourceTimings()")
    program.privacy.switch(True)
    appears(with_camera, "#privacy-badge")
    assert asked(with_camera, "/api/state") == asked(with_camera, "/api/frames") == 0


def test_nothing_is_sent_while_paused(with_camera, page, program) -> None:
    choose_camera(with_camera)
    wait_for(lambda: len(program.sizes) > 3)
    press(with_camera, "p")
    shows(with_camera, "#status", "PAUSED")
    sent = len(program.sizes)
    stays(lambda: len(program.sizes) <= sent + 1, 0.7)  # one may have been in flight
    press(with_camera, "p")
    wait_for(lambda: len(program.sizes) > sent + 3)


def test_returning_to_the_program_s_source_releases_the_camera(with_camera, page, program) -> None:
    choose_camera(with_camera)
    wait_for(lambda: len(program.sizes) > 3)
    click(with_camera, "#source")
    wait_for(lambda: texts(with_camera, "#source-list button") != [])
    click(with_camera, "#source-list li:last-child button")
    shows(with_camera, "#source-name", "Fake camera")
    sent = len(program.sizes)
    stays(lambda: len(program.sizes) <= sent + 1, 0.7)
    wait_for(lambda: viewers(page) == 1)


def test_choosing_the_camera_again_starts_new_numbers(with_camera, page, program) -> None:
    for number in (1, 2):
        choose_camera(with_camera)
        lists(with_camera, "#faces .who", [f"Face {number}"])
    assert len(program.keys) == 2


STARTS = """
const done = arguments[0];
import("/static/browser_camera.js").then(async ({ BrowserCamera }) => {
  const streams = ["red", "blue"].map((color) => {
    const canvas = document.createElement("canvas");
    const pen = canvas.getContext("2d");
    setInterval(() => {
      pen.fillStyle = color;
      pen.fillRect(0, 0, 300, 150);
    }, 20);
    return canvas.captureStream();
  });
  const given = [];
  navigator.mediaDevices.getUserMedia = () => new Promise((give) => given.push(give));
  const camera = new BrowserCamera({ isWanted: () => false });
  const first = camera.start();
  camera.stop();
  const second = camera.start();
  given[1](streams[1]);
  given[0](streams[0]);
  await first;
  const failed = await second.catch((error) => error.message);
  const states = () => streams.map((stream) => stream.getTracks()[0].readyState);
  const before = states();
  camera.stop();
  done([failed, before, states()]);
});
"""


def test_of_two_starts_the_later_one_gets_and_releases_the_camera(with_camera, page) -> None:
    failed, running, stopped = with_camera.execute_async_script(STARTS)
    assert failed is None
    assert running == ["ended", "live"]
    assert stopped == ["ended", "ended"]


def test_a_busy_program_is_asked_again(with_camera, fake_camera, serve, program) -> None:
    fake_camera.play()
    busy = threading.Event()
    busy.set()
    too_many = {
        "/api/analyze": lambda: ({"error": "4 images are being analyzed already."}, 429) if busy.is_set() else None
    }
    server = serve(fake_camera, answers=too_many, **program.parts)
    set_permission(with_camera, server)
    with_camera.get(server.url)
    choose_camera(with_camera)
    says(with_camera, "#banner", "as soon as there is capacity")
    busy.clear()
    lists(with_camera, "#faces .label", ["happy"])
    vanishes(with_camera, "#banner")
    with_camera.get_log("browser")  # says 429
    with_camera.get("about:blank")


HASTE = """
const timeout = AbortSignal.timeout.bind(AbortSignal);
AbortSignal.timeout = () => timeout(arguments[0]);
"""
"""Sets the timeout of each request in milliseconds."""


def test_an_unresponsive_program_is_asked_again(with_camera, fake_camera, serve, program) -> None:
    fake_camera.play()
    asked, go_on = threading.Event(), threading.Event()

    def hang_once() -> None:
        if not asked.is_set():
            asked.set()
            go_on.wait(PATIENCE_S)

    server = serve(fake_camera, answers={"/api/analyze": hang_once}, **program.parts)
    set_permission(with_camera, server)
    with_camera.get(server.url)
    with_camera.execute_script(HASTE, scaled(1000))
    choose_camera(with_camera)
    assert asked.wait(PATIENCE_S)
    lists(with_camera, "#faces .label", ["happy"])
    go_on.set()
    with_camera.get("about:blank")


# ---- which camera, and how

TWO_CAMERAS = """
const { mediaDevices } = navigator;
const [list, open] = ["enumerateDevices", "getUserMedia"].map((name) => mediaDevices[name].bind(mediaDevices));
window.wanted = [];
mediaDevices.enumerateDevices = async () =>
  (await list()).filter(({ kind }) => kind === "videoinput").flatMap((device) => [
    { kind: "videoinput", deviceId: device.deviceId, label: "Front" },
    { kind: "videoinput", deviceId: "rear", label: "Rear" },
  ]);
mediaDevices.getUserMedia = async ({ video }) => {
  wanted.push([video.width.ideal, video.height.ideal, video.deviceId?.exact ?? null]);
  if (video.deviceId?.exact === "unplugged") throw new DOMException("", "OverconstrainedError");
  return open({ video: { width: video.width, height: video.height } });
};
"""
"""A second camera, which shows the same, and what the page asks for."""


@pytest.fixture
def two_cameras(with_camera):
    script = {"source": TWO_CAMERAS}
    added = with_camera.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", script)
    yield
    with_camera.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


def mirrored(browser) -> bool:
    return browser.execute_script("return document.body.classList.contains('mirrored')")


def test_camera_size_and_mirror_are_chosen_and_remembered(with_camera, two_cameras, page, program) -> None:
    from selenium.webdriver.support.select import Select

    assert not mirrored(with_camera)
    choose_camera(with_camera)
    wait_for(lambda: len(program.sizes) > 3)
    assert mirrored(with_camera)
    click(with_camera, "#source")
    lists(with_camera, "#camera-device option", ["Front", "Rear"])
    says(with_camera, "#camera-granted", "640 × 480")
    lists(with_camera, "#source-menu [aria-current=true]", ["Use my camera"])
    Select(find(with_camera, "#camera-device")).select_by_visible_text("Rear")
    wait_for(lambda: with_camera.execute_script("return wanted") == [[640, 480, None], [640, 480, "rear"]])
    Select(find(with_camera, "#camera-size")).select_by_value("1080")
    wait_for(lambda: with_camera.execute_script("return wanted.at(-1)") == [1920, 1080, "rear"])
    click(with_camera, "#camera-mirror")
    wait_for(lambda: not mirrored(with_camera))
    with_camera.refresh()
    shows(with_camera, "#status", "LIVE")
    choose_camera(with_camera)
    wait_for(lambda: with_camera.execute_script("return wanted") == [[1920, 1080, "rear"]])
    shows(with_camera, "#source-name", "This browser's camera")
    assert not mirrored(with_camera)
    press(with_camera, "m")
    wait_for(lambda: mirrored(with_camera))
    click(with_camera, "#source")
    wait_for(lambda: texts(with_camera, "#source-list button") != [])
    click(with_camera, "#source-list button")
    shows(with_camera, "#source-name", "Fake camera")
    assert not mirrored(with_camera)


def test_a_camera_that_is_no_longer_there_is_replaced(with_camera, two_cameras, page, program) -> None:
    with_camera.execute_script("localStorage.setItem('mien.choices', JSON.stringify({ device: 'unplugged', size: 7 }))")
    with_camera.refresh()
    shows(with_camera, "#status", "LIVE")
    choose_camera(with_camera)
    wait_for(lambda: len(program.sizes) > 3)
    assert with_camera.execute_script("return wanted") == [[640, 480, "unplugged"], [640, 480, None]]


def test_the_demo_offers_the_browser_s_camera_on_the_stage(with_camera, fake_camera, page, program) -> None:
    lists(with_camera, "#steps button", [])
    fake_camera.current = replace(fake_camera.current, name="Demo", state="demo")
    lists(with_camera, "#steps button", ["Use my camera"])
    click(with_camera, "#steps button")
    shows(with_camera, "#source-name", "This browser's camera")
    wait_for(lambda: len(program.sizes) > 3)
    lists(with_camera, "#steps button", [])


# ---- a browser without a camera


@pytest.mark.parametrize(
    ("camera", "badge", "words", "retries"),
    [
        ("denied", "CAMERA REFUSED", "Allow it in the browser's site settings", True),
        ("missing", "NO CAMERA", "finds no camera", True),
        ("insecure", "CAMERA REFUSED", "opened as localhost or over HTTPS", False),
    ],
)
def test_without_a_camera_the_page_says_what_to_do(
    browser, with_camera, fake_camera, serve, camera, badge, words, retries
) -> None:
    fake_camera.play()
    server = serve(fake_camera, answers=CHOOSE)
    if camera == "denied":
        browser = with_camera
    set_permission(browser, server, "denied" if camera == "denied" else "granted")
    browser.get(server.url)
    shows(browser, "#status", "LIVE")
    if camera == "insecure":  # as in a page opened by http from another computer
        browser.execute_script("Object.defineProperty(navigator, 'mediaDevices', {value: undefined})")
    choose_camera(browser)
    shows(browser, "#status", badge)
    says(browser, "#notice", words)
    lists(browser, "#faces .face", [])
    lists(browser, "#steps button", ["Try again"] * retries + ["Choose another source"])
    if camera == "denied":
        set_permission(browser, server, "granted")
        click(browser, "#steps button")
        shows(browser, "#status", "LIVE")
    click(browser, "#steps button:last-child" if camera != "denied" else "#source")
    wait_for(lambda: texts(browser, "#source-list button") != [])
    # In one step, because the page may redraw its list at any time.
    browser.execute_script("document.querySelector('#source-list li:last-child button').click()")
    shows(browser, "#status", "LIVE")
    browser.execute_cdp_cmd("Browser.resetPermissions", {})
    browser.get("about:blank")

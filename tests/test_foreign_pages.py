"""Pages of other sites in a real browser: none of them opens the camera."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pytest
from selenium.webdriver.common.by import By

from mien.types import SourceStatus
from tests.page import find, lists
from tests.patience import wait_for
from tests.web_fakes import FakeCamera

ELEMENTS = {
    "iframe": '<iframe src="{}"></iframe>',
    "object": '<object data="{}" type="text/html"></object>',
    "embed": '<embed src="{}" type="text/html">',
    "image": '<img src="{}">',
    "video": '<video src="{}" autoplay></video>',
    "script": '<script src="{}"></script>',
    "style sheet": '<link rel="stylesheet" href="{}">',
    "prefetch": '<link rel="prefetch" href="{}">',
    "preload": '<link rel="preload" as="fetch" href="{}">',
    "form": '<iframe name="f"></iframe><form action="{}" target="f"></form><script>document.forms[0].submit()</script>',
    "fetch": '<script>fetch("{}", {{mode: "no-cors"}})</script>',
    "events": '<script>new EventSource("{}")</script>',
}


class Foreign(BaseHTTPRequestHandler):
    """Serves a page at /, and redirects /to/NAME/ADDRESS to that address; other paths are missing.

    So no page can contain itself, which would load without end.
    """

    server: Any

    def do_GET(self) -> None:
        path = urlsplit(self.path).path  # without the question mark that a form adds
        _, to, *rest = path.split("/", 3)
        redirects = to == "to"
        self.send_response(HTTPStatus.FOUND if redirects else HTTPStatus.OK if path == "/" else HTTPStatus.NOT_FOUND)
        if redirects:
            name, address = map(unquote, rest)
            self.send_header("Location", address)
            self.server.redirected.append((name, address))
        self.send_header("Content-Type", "text/html")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        with suppress(OSError):  # the browser has left
            self.wfile.write(self.server.page.encode() if path == "/" else b"")

    def log_message(self, *_: object) -> None:
        pass


pytestmark = pytest.mark.browser


@pytest.fixture
def foreign() -> Iterator[Any]:
    """A web server with a `page`; what it has `redirected`, and where."""
    server: Any
    with ThreadingHTTPServer(("127.0.0.1", 0), Foreign) as server:
        server.page, server.redirected = "", []
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("redirects", [False, True], ids=["direct", "redirected"])
@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])  # another site, and another port of the same one
def test_no_element_of_a_foreign_page_opens_the_camera(
    fake_camera: FakeCamera, serve, foreign, browser, name: str, redirects: bool
) -> None:
    opened: list[str] = []
    fake_camera.current = SourceStatus("Webcam 0", "resting")
    fake_camera.publish()
    paths = ("/", "/video_feed")
    server = serve(fake_camera, answers={path: lambda path=path: opened.append(path) for path in paths})
    here = f"http://127.0.0.1:{foreign.server_port}"
    for path in paths:
        address = f"http://{name}:{server.port}{path}"
        addresses = {
            element: f"{here}/to/{quote(element)}/{quote(address, safe='')}" if redirects else address
            for element in ELEMENTS
        }
        foreign.page = "<!doctype html>" + "".join(text.format(addresses[each]) for each, text in ELEMENTS.items())
        browser.get(f"{here}/")
        assert len(browser.find_elements(By.TAG_NAME, "iframe")) == 2
        if redirects:
            wait_for(lambda found=address: {(each, found) for each in ELEMENTS} <= set(foreign.redirected))
    browser.execute_async_script("setTimeout(arguments[0], 300)")
    assert fake_camera.asked == 0
    assert opened == []


def test_a_link_on_a_foreign_page_opens_the_page(fake_camera: FakeCamera, serve, foreign, browser) -> None:
    fake_camera.current = SourceStatus("Webcam 0", "resting")
    server = serve(fake_camera)
    foreign.page = f'<!doctype html><a href="http://localhost:{server.port}/">Mien</a>'
    browser.get(f"http://127.0.0.1:{foreign.server_port}/")
    browser.find_element(By.TAG_NAME, "a").click()
    wait_for(lambda: browser.title == "Mien")
    assert fake_camera.asked > 0


BARS = '<!doctype html><iframe src="http://localhost:{}/?view=bars"></iframe>'


def test_a_page_that_the_user_has_named_may_show_the_bars_in_a_frame(fake_camera, serve, foreign, browser) -> None:
    fake_camera.play()
    here = f"http://127.0.0.1:{foreign.server_port}"
    pictures: list[str] = []
    answers = {path: lambda path=path: pictures.append(path) for path in ("/api/frames", "/video_feed")}
    server = serve(fake_camera, embed=(here, "https://class.example"), answers=answers)
    foreign.page = BARS.format(server.port)
    browser.get(f"{here}/")
    browser.switch_to.frame(0)
    lists(browser, "#faces .label", ["happy", "sad"])
    assert not find(browser, "header").is_displayed()
    assert not find(browser, ".stage").is_displayed()
    assert pictures == []  # no picture reaches such a page
    browser.switch_to.default_content()


def test_a_page_that_was_not_named_neither_shows_the_bars_nor_opens_the_camera(
    fake_camera, serve, foreign, browser
) -> None:
    fake_camera.current = SourceStatus("Webcam 0", "resting")
    fake_camera.publish()
    server = serve(fake_camera, embed=("https://class.example",))
    foreign.page = BARS.format(server.port)
    browser.get(f"http://127.0.0.1:{foreign.server_port}/")
    wait_for(lambda: any("frame-ancestors" in entry["message"] for entry in browser.get_log("browser")), "a refusal")
    assert fake_camera.asked == 0

"""The page for programs: its routes, and examples that do what they say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from jsonschema import Draft202012Validator

from mien.images.codecs import decode_image
from mien.sources.catalog import SourceCatalog
from mien.types import Analysis
from tests.outputs_fake import page_server, playing
from tests.page import appears, click, find, says, shows, texts, vanishes
from tests.patience import wait_for
from tests.test_openapi import DOCUMENT, IMAGE, PATHS, SCHEMAS, NoWebcams
from tests.web_fakes import FakeCamera, face_showing, free_port
from web import AppOptions, create_app
from web.programs import EXAMPLES, describe, example

FOLDER = Path(__file__).parent.parent / "templates" / "programs"
CODE = {key: (FOLDER / name).read_text(encoding="utf-8") for key, name in EXAMPLES.items()}
ROUTES = describe(DOCUMENT)
TOKEN = "correct-horse-battery"


def analyze(data: bytes) -> Analysis:
    height, width = decode_image(data).shape[:2]
    return Analysis(width, height, (face_showing("happy"),))


# ---- the routes


def test_every_route_is_listed_with_its_meaning() -> None:
    page = create_app(FakeCamera()).test_client().get("/programs").text
    listed = re.findall(r'data-method="(\w+)" data-path="([^"]+)"', page)
    assert listed == [(method.upper(), path) for path, methods in PATHS.items() for method in methods]
    assert "The faces in an image, or in up to 16 images." in page


def test_whatever_changes_something_is_asked_about() -> None:
    assert {route.method for route in ROUTES if not route.changes} == {"GET", "POST"}
    assert [route.path for route in ROUTES if not route.changes and route.method == "POST"] == ["/api/analyze"]


@pytest.mark.parametrize("name", SCHEMAS)
def test_an_example_matches_its_schema(name: str) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    Draft202012Validator(schema).validate(example(SCHEMAS[name], SCHEMAS))


def test_the_answers_of_the_page_are_those_of_the_schemas() -> None:
    state = next(json.loads(route.answer) for route in ROUTES if route.path == "/api/state")
    assert state["faces"][0]["label"] == "angry"
    assert json.loads(next(route.body_example for route in ROUTES if route.path == "/api/source")) == {"source": "demo"}


@pytest.mark.parametrize(("token", "count"), [(None, 0), (TOKEN, 1)])
def test_the_page_says_that_a_token_is_required(token: str | None, count: int) -> None:
    client = create_app(FakeCamera(), AppOptions(token=token)).test_client()
    page = client.get("/programs", headers={"Authorization": f"Bearer {token}"}).text
    assert page.count('data-text="programsToken"') == count
    assert TOKEN not in page


# ---- the examples


@pytest.mark.parametrize("token", [None, TOKEN])
def test_the_example_in_python_prints_faces(serve, fake_camera, token: str | None) -> None:
    fake_camera.play()
    server = serve(fake_camera, token=token)
    code = CODE["python"].replace("http://localhost:5000/", f"{server.url}/")
    code = code.replace('TOKEN = ""', f'TOKEN = "{token or ""}"')
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as peer:
        try:
            assert peer.stdout
            lines = [peer.stdout.readline().split()[:2] for _ in range(2)]
        finally:
            peer.kill()
    assert lines == [["1", "happy"], ["2", "sad"]]


class Table(list[Any]):
    """A Table DAT."""

    def appendRow(self, row: Any) -> None:  # noqa: N802
        self.append(list(row))


def test_the_example_for_touchdesigner_fills_its_table(serve, fake_camera) -> None:
    fake_camera.publish()
    server = serve(fake_camera)
    table, asked = Table(), []

    class WebClient:
        def request(self, *values: Any, **more: Any) -> None:
            asked.append((values, more))

    operators = {"faces": table, "webclient1": WebClient()}
    names: dict[str, Any] = {"op": operators.__getitem__}
    exec(compile(CODE["touchDesigner"].replace("http://localhost:5000/", f"{server.url}/"), "callbacks", "exec"), names)
    names["ask"]()
    [((address, method), more)] = asked
    assert (method, more) == ("GET", {"header": {}})
    with urlopen(address) as answer:
        names["onResponse"](None, {"code": 200, "message": "OK"}, {}, answer.read(), 1)
    assert table[0] == ["id", "label", "confidence", "x", "y", "w", "h"]
    assert [row[:2] for row in table[1:]] == [[1, "happy"], [2, "sad"]]
    assert all(len(row) == 7 for row in table)


def test_the_flow_for_node_red_can_be_imported() -> None:
    flow = json.loads(CODE["nodeRed"])
    [tab, *nodes] = flow
    assert tab["type"] == "tab"
    ids = [node["id"] for node in flow]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[0-9a-f]{16}", each) for each in ids)
    assert [node["type"] for node in nodes] == ["inject", "function", "http request", "function", "debug"]
    for node, after in zip(nodes, [*nodes[1:], None], strict=True):
        assert node["z"] == tab["id"]
        assert {"x", "y", "name"} <= node.keys()
        assert node["wires"] == ([[after["id"]]] if after else [])
    assert nodes[2]["ret"] == "obj"
    assert nodes[2]["url"] == "http://localhost:5000/api/state"


STUB = """
<canvas></canvas><script>
const width = 640, height = 360, CENTER = "center", drawn = [];
const createCanvas = () => {}, noStroke = () => {}, textAlign = () => {}, textSize = () => {}, background = () => {};
const fill = () => {}, circle = (x, y, size) => drawn.push(size), text = (word) => (document.title = word);
%s
setup();
setInterval(draw, 50);
</script>
"""
"""The functions of p5.js that the sketch uses."""


@pytest.mark.browser
def test_the_sketch_for_p5_draws_what_the_output_sends(browser) -> None:
    port = free_port()
    sketch = CODE["p5"].replace("8765", str(port))
    with page_server(STUB % sketch) as url, playing(f"ws://127.0.0.1:{port}", "surprise"):
        browser.get(url)
        wait_for(lambda: browser.title == "surprise", "the label of the face")
        assert browser.execute_script("return drawn.at(-1)") >= 20


RUN = "return new Function('msg', arguments[0])({ payload: arguments[1] })"


@pytest.mark.browser
def test_the_functions_of_the_flow_ask_with_the_token_and_list_faces(browser, fake_camera) -> None:
    browser.get("about:blank")
    token, labels = (node["func"] for node in json.loads(CODE["nodeRed"]) if node["type"] == "function")
    assert browser.execute_script(RUN, token, None)["headers"] == {}
    with_token = token.replace('TOKEN = ""', f'TOKEN = "{TOKEN}"')
    assert browser.execute_script(RUN, with_token, None)["headers"] == {"Authorization": f"Bearer {TOKEN}"}
    fake_camera.publish()
    state = create_app(fake_camera).test_client().get("/api/state").json
    found = browser.execute_script(RUN, labels, state)["payload"]
    assert [(face["id"], face["label"]) for face in found] == [(1, "happy"), (2, "sad")]


# ---- in a browser


def route(method: str, path: str) -> str:
    return f'.route[data-method="{method}"][data-path="{path}"]'


@pytest.fixture
def page(browser, fake_camera, serve):
    """The page, reached by the link of the live page."""
    fake_camera.play()
    server = serve(fake_camera, analyze=analyze, catalog=SourceCatalog(webcams=NoWebcams()))
    browser.get(server.url)
    click(browser, '.foot a[href="programs"]')
    says(browser, ".programs", "Other programs can ask Mien")
    return server


@pytest.mark.browser
def test_the_page_tries_routes_and_asks_once_before_changes(browser, page, fake_camera, tmp_path) -> None:
    assert not [text for text in texts(browser, ".programs h3, .programs button, .programs p") if text == "undefined"]
    codes = texts(browser, ".example pre")
    assert all("localhost:5000" not in code for code in codes)
    assert sum(f"{page.url}/" in code for code in codes) == 3
    assert json.loads(codes[list(EXAMPLES).index("nodeRed")])

    state = route("GET", "/api/state")
    click(browser, f"{state} button")
    says(browser, f"{state} .result-status", "200 OK, application/json")
    assert json.loads(find(browser, f"{state} .result pre").text)["source"]["name"] == "Fake camera"

    events = route("GET", "/api/events")
    click(browser, f"{events} button")
    says(browser, f"{events} .result pre", '"label": "happy"')

    image = tmp_path / "image.png"
    image.write_bytes(IMAGE)
    faces = route("POST", "/api/analyze")
    find(browser, f"{faces} [type=file]").send_keys(str(image))
    click(browser, f"{faces} button")
    says(browser, f"{faces} .result pre", '"width": 320')
    vanishes(browser, "#ask")

    again = route("POST", "/api/source/again")
    click(browser, f"{again} button")
    appears(browser, "#ask")
    click(browser, "#ask-no")
    vanishes(browser, "#ask")
    assert fake_camera.switched == []
    click(browser, f"{again} button")
    click(browser, "#ask-yes")
    says(browser, f"{again} .result-status", "200 OK")
    assert len(fake_camera.switched) == 1
    click(browser, f"{again} button")
    wait_for(lambda: len(fake_camera.switched) == 2, "no second question")

    session = route("GET", "/api/sessions/{session}")
    find(browser, f"{session} [name=session]").send_keys("<b>")
    click(browser, f"{session} button")
    says(browser, f"{session} .result-status", "404")
    assert find(browser, f"{session} .result").find_elements("css selector", "b") == []


@pytest.mark.browser
def test_an_example_is_copied(browser, page) -> None:
    browser.execute_cdp_cmd(
        "Browser.grantPermissions",
        {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"], "origin": page.url},
    )
    try:
        click(browser, '[data-example="python"] .copy')
        shows(browser, "#note", "Copied.")
        copied = browser.execute_async_script("navigator.clipboard.readText().then(arguments[0])")
    finally:
        browser.execute_cdp_cmd("Browser.resetPermissions", {})
    assert copied == CODE["python"].replace("http://localhost:5000/", f"{page.url}/")

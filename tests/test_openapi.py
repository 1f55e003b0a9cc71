"""The OpenAPI description is correct: it has every route, and every answer matches it."""

from __future__ import annotations

import itertools
import json
import re
import threading
from dataclasses import replace
from io import BytesIO

import cv2
import numpy as np
import pytest
from jsonschema import Draft202012Validator

from mien.images.codecs import decode_image, encode_jpeg, encode_png, jpeg_to_png
from mien.sources.catalog import SourceCatalog
from mien.sources.webcam import Webcams
from mien.types import Analysis, Snapshot
from tests.patience import PATIENCE_S
from tests.web_fakes import FakeCamera, face_showing
from web import AppOptions, create_app
from web.openapi import document, openapi_path

IMAGE = encode_png(np.full((240, 320, 3), 90, np.uint8))
TOKEN = "correct-horse-battery"

DOCUMENT = document(create_app(FakeCamera()))
PATHS, SCHEMAS = DOCUMENT["paths"], DOCUMENT["components"]["schemas"]


def analyze(data: bytes) -> Analysis:
    height, width = decode_image(data).shape[:2]
    return Analysis(width, height, (face_showing("happy"),))


class NoWebcams(Webcams):
    def find(self, in_use: int | None = None) -> dict[int, str]:
        return {}


def png(snapshot: Snapshot) -> bytes:
    return jpeg_to_png(snapshot.jpeg)


def explain(pixels, faces) -> list[bytes]:
    return [encode_png(np.zeros((48, 48, 4), np.uint8)) for _ in faces]


def build(camera: FakeCamera, **options):
    options.setdefault("catalog", SourceCatalog(webcams=NoWebcams()))
    return create_app(camera, AppOptions(analyze=analyze, to_png=png, explain=explain, **options))


@pytest.fixture
def client(fake_camera):
    return build(fake_camera).test_client()


def check(answer, path: str, method: str = "get") -> None:
    """Check an answer against the description of its route and status."""
    described = PATHS[path][method]["responses"][str(answer.status_code)]
    assert answer.mimetype in described["content"]
    for header in described.get("headers", ()):
        assert answer.headers[header]
    schema = described["content"][answer.mimetype].get("schema")
    if schema:
        Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(answer.json)


# ---- the description itself


def test_every_route_is_described_and_nothing_else(fake_camera) -> None:
    routes = {
        (openapi_path(rule.rule), method.lower())
        for rule in build(fake_camera).url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.endpoint != "static"
    }
    assert routes == {(path, method) for path, methods in PATHS.items() for method in methods}


def test_its_schemas_are_valid_and_all_are_used() -> None:
    for schema in SCHEMAS.values():
        Draft202012Validator.check_schema(schema)
    text = json.dumps(DOCUMENT)
    named = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert named == set(SCHEMAS)


def test_a_missing_or_additional_field_is_detected(client, fake_camera) -> None:
    fake_camera.publish()
    state = client.get("/api/state").json
    validator = Draft202012Validator({**SCHEMAS["State"], "components": DOCUMENT["components"]})
    assert validator.is_valid(state)
    assert not validator.is_valid(state | {"more": 1})
    for name in state:
        assert not validator.is_valid({key: value for key, value in state.items() if key != name})
    state["faces"][0]["label"] = "bored"
    assert not validator.is_valid(state)


def test_it_is_served_as_json_and_as_a_page(client) -> None:
    answer = client.get("/api/openapi.json")
    assert answer.json == DOCUMENT
    check(answer, "/api/openapi.json")
    check(client.get("/model-card"), "/model-card")
    check(client.get("/api/controls"), "/api/controls")
    page = client.get("/api")
    check(page, "/api")
    for name in itertools.chain(PATHS, SCHEMAS):
        assert name in page.text
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=|https?://", page.text)
    anchors = set(re.findall(r'href="#(\w+)"', page.text))
    assert anchors <= set(re.findall(r'id="(\w+)"', page.text))


# ---- the answers


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/api/state", "/api/state?viewer=me", "/api/snapshot.png", "/api/explain"]
)
def test_answers_match_while_pictures_arrive(client, fake_camera, path: str) -> None:
    fake_camera.publish()
    answer = client.get(path)
    assert answer.status_code == 200
    check(answer, path.partition("?")[0])


@pytest.mark.parametrize("path", ["/healthz", "/api/state", "/api/snapshot.png", "/api/explain"])
@pytest.mark.parametrize("picture", [None, Snapshot(b"placeholder")])
def test_answers_match_while_no_pictures_arrive(client, fake_camera, path: str, picture) -> None:
    if picture:
        fake_camera.snapshots.publish(picture)
    fake_camera.current = replace(fake_camera.current, state="reconnecting", reason="unplugged", retry_in_s=1.5)
    answer = client.get(path)
    assert answer.status_code == (200 if path == "/api/state" else 503)
    assert "unplugged" in answer.text
    check(answer, path)


@pytest.mark.parametrize("path", ["/video_feed", "/api/frames", "/api/events"])
def test_streams_and_their_refusal_match(fake_camera, path: str) -> None:
    fake_camera.publish()
    client = build(fake_camera, max_streams=1).test_client()
    first, second = client.get(path), client.get(path)
    assert (first.status_code, second.status_code) == (200, 503)
    check(first, path)
    check(second, path)
    first.close()


def test_an_event_matches_the_state(fake_camera) -> None:
    fake_camera.publish()
    with build(fake_camera).test_client().get("/api/events?viewer=me") as answer:
        event = next(block for block in answer.response if b"data: " in block).decode()
    state = json.loads(event.partition("data: ")[2])
    Draft202012Validator({**SCHEMAS["State"], "components": DOCUMENT["components"]}).validate(state)


BROKEN = IMAGE[:60]


@pytest.mark.parametrize(
    ("images", "code"), [((IMAGE,), 200), ((IMAGE, b"text", BROKEN), 200), ((), 400), ((IMAGE,) * 17, 413)]
)
def test_image_forms_match(client, images, code: int) -> None:
    data = {"image": [(BytesIO(image), "a.png") for image in images]}
    answer = client.post("/api/analyze", data=data, content_type="multipart/form-data")
    assert answer.status_code == code
    check(answer, "/api/analyze", "post")


@pytest.mark.parametrize(("body", "code"), [(IMAGE, 200), (b"text", 415), (BROKEN, 422)])
def test_image_bodies_match(client, body: bytes, code: int) -> None:
    answer = client.post("/api/analyze", data=body, content_type="image/png")
    assert answer.status_code == code
    check(answer, "/api/analyze", "post")


def test_refusal_of_too_many_images_matches(fake_camera) -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(data: bytes) -> Analysis:
        entered.set()
        assert leave.wait(PATIENCE_S)
        return analyze(data)

    app = create_app(fake_camera, AppOptions(analyze=slow, max_analyses=1))
    post = {"data": IMAGE, "content_type": "image/png"}
    first = threading.Thread(target=lambda: app.test_client().post("/api/analyze", **post))
    first.start()
    assert entered.wait(PATIENCE_S)
    answer = app.test_client().post("/api/analyze", **post)
    leave.set()
    first.join(PATIENCE_S)
    assert answer.status_code == 429
    check(answer, "/api/analyze", "post")


@pytest.mark.parametrize("folder", [False, True])
def test_the_list_of_sources_matches(fake_camera, tmp_path, folder: bool) -> None:
    (tmp_path / "a.mp4").write_bytes(b"\0\0\0\x18ftypisom\0\0\0\0mp42isom")
    client = build(fake_camera, catalog=SourceCatalog(tmp_path if folder else None, NoWebcams())).test_client()
    answer = client.get("/api/sources")
    check(answer, "/api/sources")
    assert answer.json["files"] == (["a.mp4"] if folder else None)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"source":"demo"}', 200),
        (b"{", 400),
        (b'{"source":"/etc/passwd"}', 403),
        (b'{"source":"7"}', 422),
        (b'{"source":"%s"}' % (b"x" * 9000), 413),
    ],
)
def test_answers_to_a_choice_of_source_match(client, body: bytes, code: int) -> None:
    answer = client.post("/api/source", data=body, content_type="application/json")
    assert answer.status_code == code
    check(answer, "/api/source", "post")
    answer = client.post("/api/source", data=body, content_type="text/plain")
    assert answer.status_code == 415
    check(answer, "/api/source", "post")


@pytest.mark.parametrize(("path", "method"), [(path, method) for path, ways in PATHS.items() for method in ways])
def test_refusals_of_every_route_match(fake_camera, path: str, method: str) -> None:
    client = build(fake_camera, token=TOKEN).test_client()
    for code, headers in ((401, {}), (403, {"Host": "evil.example"})):
        answer = client.open(path, method=method, headers=headers)
        assert answer.status_code == code
        check(answer, path, method)


# ---- the picture as PNG


def test_the_snapshot_is_the_newest_picture(client, fake_camera) -> None:
    for shade in (40, 200):
        fake_camera.publish(encode_jpeg(np.full((240, 320, 3), shade, np.uint8)))
        answer = client.get("/api/snapshot.png")
        pixels = cv2.imdecode(np.frombuffer(answer.data, np.uint8), cv2.IMREAD_COLOR)
        assert answer.data.startswith(b"\x89PNG")
        assert pixels.shape == (240, 320, 3)
        assert abs(float(pixels.mean()) - shade) < 3


def test_a_snapshot_is_encoded_once_for_all_requests(fake_camera) -> None:
    encoded = []
    app = create_app(fake_camera, AppOptions(to_png=lambda snapshot: encoded.append(snapshot) or b"png"))
    for _ in range(2):
        fake_camera.publish()
        for _ in range(3):
            assert app.test_client().get("/api/snapshot.png").data == b"png"
    assert len(encoded) == 2

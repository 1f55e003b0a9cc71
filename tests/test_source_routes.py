"""Choosing the source over HTTP: the answers, and attempts that must be refused."""

from __future__ import annotations

import json
import threading

import pytest

from mien.errors import SourceError
from mien.sources.catalog import SourceCatalog
from mien.sources.webcam import Webcams
from tests.patience import PATIENCE_S
from web import AppOptions, create_app

JSON = "application/json"
SECRET = "s3cret"


class TwoWebcams(Webcams):
    def find(self, in_use: int | None = None) -> dict[int, str]:
        return {0: "Webcam 0 (HD)", 1: "Webcam 1"}


@pytest.fixture
def media(tmp_path):
    folder = tmp_path / "media"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.mp4", "sub/b.jpg", ".hidden.mp4"):
        (folder / name).write_bytes(b"GIF89a")
    (tmp_path / "secret.mp4").write_bytes(b"GIF89a")
    (folder / "out.mp4").symlink_to(tmp_path / "secret.mp4")
    return folder


@pytest.fixture
def client(fake_camera, media):
    return create_app(
        fake_camera, AppOptions(catalog=SourceCatalog(media, TwoWebcams()), explain=lambda *_: [])
    ).test_client()


def choose(client, source, **options):
    return client.post("/api/source", json={"source": source}, **options)


def test_the_list_contains_demo_webcams_and_files(client) -> None:
    answer = client.get("/api/sources")
    assert answer.json == {
        "sources": [
            {"source": "demo", "name": "Demo"},
            {"source": "0", "name": "Webcam 0 (HD)"},
            {"source": "1", "name": "Webcam 1"},
        ],
        "files": ["a.mp4", "sub/b.jpg"],
        "current": "0",
    }


@pytest.mark.parametrize(("in_use", "current"), [(None, None), ("demo", "demo"), ("rtsp://me:s3cret@camera/", None)])
def test_the_list_names_the_open_source(client, fake_camera, in_use: str | None, current: str | None) -> None:
    fake_camera.in_use = in_use
    assert client.get("/api/sources").json["current"] == current


def test_an_open_file_is_listed_by_its_name_relative_to_the_folder(client, fake_camera, media) -> None:
    fake_camera.in_use = str(media / "sub" / "b.jpg")
    assert client.get("/api/sources").json["current"] == "sub/b.jpg"


def test_the_list_does_not_reveal_the_path_of_the_folder(client, media) -> None:
    assert str(media.parent) not in client.get("/api/sources").text


@pytest.mark.parametrize("source", ["demo", "1", "http://camera/stream", "rtsp://me:s3cret@camera/live", " demo "])
def test_the_camera_switches_to_the_chosen_source(client, fake_camera, source: str) -> None:
    answer = choose(client, source)
    assert answer.status_code == 200
    assert fake_camera.switched == [source.strip()]
    assert answer.json["source"]["state"] == "live"
    assert set(answer.json["source"]) == set(client.get("/api/state").json["source"])


def test_a_file_is_chosen_by_its_name_relative_to_the_folder(client, fake_camera, media) -> None:
    assert choose(client, "sub/b.jpg").status_code == 200
    assert fake_camera.switched == [str(media / "sub" / "b.jpg")]


@pytest.mark.parametrize(
    "source",
    [
        "../secret.mp4",
        "sub/../../secret.mp4",
        "out.mp4",
        "/etc/passwd",
        "/dev/video0",
        ".hidden.mp4",
        "..\\secret.mp4",
        "%2e%2e/secret.mp4/..",
        "file:///etc/passwd",
        "file:/etc/passwd",
        "ftp://host/a.mp4",
        "gopher://host/1",
        "concat:/etc/passwd",
        "tcp://127.0.0.1:22",
        "auto",
    ],
)
def test_forbidden_sources_answer_403_and_change_nothing(client, fake_camera, source: str) -> None:
    answer = choose(client, source)
    assert answer.status_code == 403
    assert answer.json["error"].endswith(".")
    assert fake_camera.switched == []


def test_without_a_folder_no_file_can_be_chosen(fake_camera) -> None:
    client = create_app(fake_camera, AppOptions(catalog=SourceCatalog(webcams=TwoWebcams()))).test_client()
    assert client.get("/api/sources").json["files"] is None
    answer = choose(client, "a.mp4")
    assert (answer.status_code, fake_camera.switched) == (403, [])
    assert "--media" in answer.json["error"]


def test_an_address_without_scheme_is_answered_with_the_one_that_was_meant(client, fake_camera) -> None:
    answer = choose(client, f"me:{SECRET}@192.168.1.5/video")
    assert answer.status_code == 422
    assert answer.json["error"].endswith("did you mean http://***@192.168.1.5/video?")
    assert fake_camera.switched == []


@pytest.mark.parametrize("source", ["b.mp4", "7", "http://", "rtsp:///live"])
def test_missing_sources_answer_422_and_change_nothing(client, fake_camera, source: str) -> None:
    assert choose(client, source).status_code == 422
    assert fake_camera.switched == []


def test_a_source_that_cannot_be_opened_answers_422_with_the_reason(client, fake_camera) -> None:
    for reason, sentence in (("webcam 1 is busy", "Webcam 1 is busy."), ("http://a: no video", "http://a: no video.")):
        fake_camera.error = SourceError(reason)
        answer = choose(client, "1")
        assert (answer.status_code, answer.json) == (422, {"error": sentence})


@pytest.mark.parametrize(
    "source",
    ["", "   ", "demo\n0", "demo\0", "a\x1b[31m.mp4", "\u202eabc.mp4", "\ud800", "a\u2028b", "x" * 2049, "é" * 4000],
)
def test_text_that_is_not_a_source_answers_400(client, fake_camera, source: str) -> None:
    answer = client.post("/api/source", data=json.dumps({"source": source}), content_type=JSON)
    assert answer.status_code in (400, 413)
    assert fake_camera.switched == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"demo",
        b"{",
        b'"demo"',
        b"null",
        b"[]",
        b'["source"]',
        b"{}",
        b'{"source": null}',
        b'{"source": 0}',
        b'{"source": true}',
        b'{"source": ["demo"]}',
        b'{"source": {"source": "demo"}}',
        b'{"source": "demo", "more": 1}',
        b'{"Source": "demo"}',
        b"[" * 8000,
        b'{"source":' * 800,
        b"\xff\xfe",
        b'{"source": "\xff"}',
    ],
)
def test_a_body_of_another_form_answers_400(client, fake_camera, body: bytes) -> None:
    answer = client.post("/api/source", data=body, content_type=JSON)
    assert answer.status_code == 400
    assert '{"source": "demo"}' in answer.json["error"]
    assert fake_camera.switched == []


@pytest.mark.parametrize("size", [8193, 1_000_000])
def test_a_huge_body_answers_413(client, fake_camera, size: int) -> None:
    body = b'{"source": "%s"}' % (b"x" * size)
    assert client.post("/api/source", data=body, content_type=JSON).status_code == 413
    assert fake_camera.switched == []


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_content_types_of_html_forms_answer_415(client, fake_camera, kind: str) -> None:
    answer = client.post("/api/source", data=b'{"source": "demo"}', content_type=kind)
    assert answer.status_code == 415
    assert fake_camera.switched == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example"},
    ],
)
def test_a_foreign_page_cannot_choose(client, fake_camera, headers: dict[str, str]) -> None:
    assert choose(client, "demo", headers=headers).status_code == 403
    assert fake_camera.switched == []


def test_without_the_token_nothing_is_listed_or_chosen(fake_camera) -> None:
    catalog = SourceCatalog(webcams=TwoWebcams())
    client = create_app(fake_camera, AppOptions(catalog=catalog, token="correct-horse-battery")).test_client()
    assert choose(client, "demo").status_code == 401
    assert client.get("/api/sources").status_code == 401
    assert fake_camera.switched == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
def test_other_methods_are_not_allowed(client, fake_camera, method: str) -> None:
    answer = client.open("/api/source?source=demo", method=method, json={"source": "demo"})
    assert answer.status_code == 405
    assert fake_camera.switched == []


def test_one_source_is_chosen_at_a_time(client, fake_camera) -> None:
    opening, go_on = threading.Event(), threading.Event()
    switch = fake_camera.switch

    def slowly(source: str):
        opening.set()
        assert go_on.wait(PATIENCE_S)
        return switch(source)

    fake_camera.switch = slowly
    first = threading.Thread(target=choose, args=(client, "0"))
    first.start()
    assert opening.wait(PATIENCE_S)
    answer = choose(client.application.test_client(), "demo")
    go_on.set()
    first.join(PATIENCE_S)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
    assert fake_camera.switched == ["0"]
    fake_camera.switch = switch
    assert choose(client, "demo").status_code == 200


def test_a_password_in_a_url_is_never_returned_or_logged(tmp_path, caplog) -> None:
    from camera import VideoCamera
    from tests.fakes import FakePipeline, network_camera

    with network_camera() as url, VideoCamera("demo", FakePipeline()) as camera, caplog.at_level("DEBUG"):
        client = create_app(camera, AppOptions(catalog=SourceCatalog(webcams=TwoWebcams()))).test_client()
        secret = url.replace("http://", f"http://me:{SECRET}@")
        answers = [choose(client, f"{secret}/missing"), choose(client, f"{secret}/video?key={SECRET}")]
        answers += [client.get("/api/state"), client.get("/api/sources"), client.get("/healthz")]
    assert [answer.status_code for answer in answers[:2]] == [422, 200]
    assert "***" in answers[1].json["source"]["name"]
    assert SECRET not in "".join(answer.text for answer in answers) + caplog.text


def test_without_a_catalog_there_are_no_sources(fake_camera) -> None:
    client = create_app(fake_camera).test_client()
    assert client.get("/api/sources").status_code == 404
    assert choose(client, "demo").status_code == 404
    assert client.post("/api/source/again").status_code == 404


# ---- opening the same source again


def test_the_open_source_is_opened_again(client, fake_camera, media) -> None:
    fake_camera.in_use = str(media / "a.mp4")
    answer = client.post("/api/source/again")
    assert answer.status_code == 200
    assert fake_camera.switched == [str(media / "a.mp4")]
    fake_camera.error = SourceError("a.mp4 is gone")
    answer = client.post("/api/source/again")
    assert (answer.status_code, answer.json) == (422, {"error": "a.mp4 is gone."})


def test_an_idle_source_is_opened_for_the_next_viewer_instead(client, fake_camera) -> None:
    fake_camera.in_use = None
    assert client.post("/api/source/again").json["source"]["name"] == "Fake camera"
    assert fake_camera.switched == []
    assert fake_camera.asked == 1


# ---- requests that keep the source awake


@pytest.mark.parametrize(
    ("path", "asks"),
    [
        ("/", True),
        ("/api/state", True),
        ("/api/snapshot.png", True),
        ("/api/explain", True),
        ("/healthz", False),
        ("/api/sources", False),
        ("/api/sources/thumbnail?file=a.mp4", False),
        ("/api", False),
        ("/api/openapi.json", False),
        ("/static/app.js", False),
        ("/nothing", False),
    ],
)
def test_only_some_routes_keep_the_camera_awake(client, fake_camera, path: str, asks: bool) -> None:
    fake_camera.publish()
    client.get(path).close()
    assert (fake_camera.asked > 0) == asks


@pytest.mark.parametrize("path", ["/video_feed", "/api/frames", "/api/events"])
def test_streams_keep_the_camera_awake_while_somebody_reads(client, fake_camera, path: str) -> None:
    fake_camera.publish()
    with client.get(path) as answer:
        stream = iter(answer.response)
        for _ in range(3):
            next(stream)
        before = fake_camera.asked
        fake_camera.publish()
        next(stream)
        assert fake_camera.asked > before > 0
        before = fake_camera.asked
        fake_camera.publish()
        assert fake_camera.asked == before  # it was not read


def test_an_idle_source_is_healthy(client, fake_camera) -> None:
    from mien.types import SourceStatus

    fake_camera.current = SourceStatus("Webcam 0", "resting", "no viewers")
    answer = client.get("/healthz")
    idle = {"ok": True, "state": "resting", "reason": None, "not_written": []}
    assert (answer.status_code, answer.json) == (200, idle)
    assert fake_camera.asked == 0

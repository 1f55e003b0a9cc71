"""The page, the interface, the errors and the headers, through Flask's test client."""

from __future__ import annotations

import gzip
import re
import socket
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.recording.video import Saving
from mien.types import EXPRESSIONS, Frame, Snapshot, SourceStatus
from tests.web_fakes import FakeCamera, face_showing
from web import AppOptions, create_app, security, state

ROOT = Path(__file__).resolve().parent.parent
STYLE = (ROOT / "static" / "style.css").read_text()


@pytest.fixture
def app(fake_camera: FakeCamera):
    return create_app(fake_camera, AppOptions(model_name="my <model>.json", detector_name="yunet"))


@pytest.fixture
def client(app):
    return app.test_client()


# ---- the page


def test_the_page_names_the_model_and_lists_the_seven_expressions_in_order(client) -> None:
    page = client.get("/").text
    assert "my &lt;model&gt;.json" in page
    assert re.search(r"Detector:.*yunet", page)
    assert re.findall(r'data-expression="(\w+)"', page) == list(EXPRESSIONS)
    assert "are not stored" in (ROOT / "static" / "texts" / "en.json").read_text()


def test_everything_the_page_refers_to_is_served_locally(client) -> None:
    page = client.get("/").text
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    modules = {f"static/{path.name}" for path in (ROOT / "static").glob("*.js")}
    assert modules | {"static/style.css", "static/favicon.svg", "model-card"} <= set(addresses)
    for address in sorted(set(addresses) - {"video_feed", "api/session.csv"}):
        assert address.startswith(("static/", "model-card", "sessions", "programs"))
        with client.get(f"/{address}") as answer:
            assert answer.status_code == 200


PARTS_OF_THE_PAGE = [
    path.relative_to(ROOT).as_posix()
    for room in ("static", "templates")
    for path in (ROOT / room).rglob("*")
    if path.is_file()
]


def read(name: str) -> str:
    return (ROOT / name).read_text()


@pytest.mark.parametrize("name", PARTS_OF_THE_PAGE)
def test_every_address_is_relative_so_that_the_page_works_below_any_path(name: str) -> None:
    found = re.findall(
        r"""["'`]/(?:api|static|video_feed|model-card|healthz)?\b.*|(?:href|src)="/|url_for""", read(name)
    )
    assert found == []


@pytest.mark.parametrize(
    ("path", "root"),
    [("/", "./"), ("/nothing", "./"), ("/static/none.js", "../"), ("/a/b/c", "../../"), ("/a/", "../")],
)
def test_error_pages_lead_back_to_the_page_from_any_depth(client, path: str, root: str) -> None:
    page = client.open(path, method="GET" if path != "/" else "DELETE").text
    assert f'href="{root}"' in page
    assert f'href="{root}static/style.css"' in page


@pytest.mark.parametrize("name", PARTS_OF_THE_PAGE)
def test_nothing_names_another_host(name: str) -> None:
    text = read(name).replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"(https?:)?//[\w-]+\.\w", text)


def test_the_model_card_is_rendered_with_the_limits_first(client) -> None:
    page = " ".join(client.get("/model-card").text.split())
    assert "Do not use it to judge people" in page
    titles = re.findall(r"<h3>(.*?)</h3>", page)
    assert titles[:2] == ["What it is for, and what not", "Limits"]
    assert "<table" in page
    assert not re.search(r"&lt;!--|\]\(|<img|<a (?!href=\"\./\")", page)


def test_the_page_has_no_inline_script_or_style(client) -> None:
    page = client.get("/").text
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", page)


def test_it_works_from_any_working_directory(fake_camera, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert create_app(fake_camera).test_client().get("/").status_code == 200


def test_two_apps_share_nothing(fake_camera) -> None:
    other = FakeCamera()
    other.current = replace(other.current, name="Other")
    names = [
        create_app(camera).test_client().get("/api/state").json["source"]["name"] for camera in (fake_camera, other)
    ]
    assert names == ["Fake camera", "Other"]


# ---- the state


def test_the_state_is_that_of_the_newest_picture(client, fake_camera) -> None:
    fake_camera.publish()
    fake_camera.current = SourceStatus("Webcam 0", "live", fps=np.float32(29.97))  # type: ignore[arg-type]
    frame = fake_camera.publish().frame
    state = client.get("/api/state").json
    faces, version = state.pop("faces"), state.pop("settings_version")
    assert version == client.get("/api/controls").json["settings_version"]
    assert state == {
        "source": {
            "name": "Webcam 0",
            "state": "live",
            "truth": "happy",
            "truths": ["happy", None],
            "reason": None,
            "retry_in_s": None,
            "kind": None,
            "failing": None,
        },
        "fps": 30.0,
        "latency_ms": 12.3,
        "timing_ms": {"detect": 2.5},
        "viewers": 0,
        "detector": "yunet",
        "frame": {
            "index": 1,
            "captured_at": frame.captured_at,
            "media_time_s": None,
            "width": 320,
            "height": 240,
        },
        "recording": {
            "on": False,
            "since": None,
            "rows": 0,
            "name": None,
            "error": None,
            "session": None,
            "people": 0,
            "video": False,
            "video_error": None,
        },
        "saving": None,
        "privacy": False,
        "rare": None,
        "detectors": [],
        "privacy_locked": False,
        "privacy_lifted_at": None,
        "baselines": [],
        "outputs": [],
        "sessions_version": 0,
    }
    assert [face["id"] for face in faces] == [1, 2]
    assert faces[0] | {"probabilities": None, "raw": None} == {
        "id": 1,
        "box": {"x": 40, "y": 50, "w": 100, "h": 110},
        "label": "happy",
        "confidence": 0.82,
        "unsure": False,
        "people_share": None,
        "probabilities": None,
        "raw": None,
        "quality": None,
        "quality_reason": None,
        "found_by": None,
        "landmarks": None,
        "head": None,
        "rest": None,
    }
    for kind in ("probabilities", "raw"):
        assert list(faces[0][kind]) == list(EXPRESSIONS)
        assert faces[0][kind]["happy"] == 0.82
        assert sum(faces[0][kind].values()) == pytest.approx(1, abs=1e-4)


def test_the_order_of_the_seven_expressions_is_kept_in_json(client, fake_camera) -> None:
    fake_camera.publish()
    text = client.get("/api/state").text
    assert text.index('"source"') < text.index('"fps"') < text.index('"faces"')


def test_smoothed_and_raw_values_are_separate(client, fake_camera) -> None:
    smoothed, raw = face_showing("sad"), face_showing("fear")
    fake_camera.faces = (replace(smoothed, raw=raw.probabilities),)
    fake_camera.publish()
    (face,) = client.get("/api/state").json["faces"]
    assert (face["label"], face["id"]) == ("sad", None)
    assert face["probabilities"]["sad"] == face["raw"]["fear"] == 0.82


def test_there_is_a_state_before_the_first_picture(client) -> None:
    state = client.get("/api/state").json
    assert state["frame"] is None
    assert state["latency_ms"] is None
    assert (state["faces"], state["timing_ms"]) == ([], {})


def test_a_placeholder_has_no_frame_and_no_faces(client, fake_camera) -> None:
    fake_camera.publish()
    fake_camera.snapshots.publish(Snapshot(b"placeholder"))
    fake_camera.current = SourceStatus("Webcam 0", "reconnecting", "no frame for 5 s", retry_in_s=1.26)
    state = client.get("/api/state").json
    assert state["source"] == {
        "name": "Webcam 0",
        "state": "reconnecting",
        "truth": None,
        "truths": [],
        "reason": "no frame for 5 s",
        "retry_in_s": 1.3,
        "kind": None,
        "failing": None,
    }
    assert (state["frame"], state["faces"]) == (None, [])


def test_a_picture_of_the_source_before_is_not_described_as_one_of_this_source(client, fake_camera) -> None:
    fake_camera.publish()
    assert client.get("/api/state").json["faces"]
    fake_camera.current = SourceStatus("clip.mp4", "file", stream=2)
    state = client.get("/api/state").json
    assert (state["source"]["name"], state["frame"], state["faces"]) == ("clip.mp4", None, [])
    assert (state["latency_ms"], state["source"]["truth"]) == (None, None)


def test_without_faces_the_list_is_empty(client, fake_camera) -> None:
    fake_camera.faces = ()
    fake_camera.publish()
    assert client.get("/api/state").json["faces"] == []


# ---- health


def picture(captured_at: float) -> Snapshot:
    return Snapshot(b"jpeg", Frame(np.zeros((2, 2, 3), np.uint8), captured_at=captured_at))


@pytest.mark.parametrize(
    ("snapshot", "status", "trouble"),
    [
        (picture(99), SourceStatus("x", "live"), None),
        (picture(99), SourceStatus("x", "file"), None),
        (picture(99), SourceStatus("x", "demo"), None),
        (picture(96), SourceStatus("x", "live"), None),
        (picture(93), SourceStatus("x", "live"), "no new frame for 7 s"),
        (None, SourceStatus("x", "live"), "no frame has arrived yet"),
        (Snapshot(b"placeholder"), SourceStatus("x", "live"), "no frame has arrived yet"),
        (picture(99), SourceStatus("x", "reconnecting", "camera unplugged"), "camera unplugged"),
        (picture(99), SourceStatus("x", "ended"), "the source is ended"),
    ],
)
def test_a_fault_is_reported_with_its_reason(snapshot, status, trouble) -> None:
    assert state.trouble(snapshot, status, now_s=100) == trouble


def test_healthz_answers_200_while_frames_flow(client, fake_camera) -> None:
    assert client.get("/healthz").status_code == 503
    fake_camera.publish()
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json) == (
        200,
        {"ok": True, "state": "live", "reason": None, "not_written": []},
    )


def test_healthz_says_what_is_not_written_any_more(app, fake_camera) -> None:
    fake_camera.publish()
    fake_camera.saving = Saving("out.mp4", "out.mp4 cannot be written any more: it was moved or deleted")
    answer = app.test_client().get("/healthz")
    assert (answer.status_code, answer.json["not_written"]) == (200, [fake_camera.saving.error])


def test_healthz_answers_503_with_the_reason(client, fake_camera) -> None:
    fake_camera.publish()
    fake_camera.current = SourceStatus("x", "reconnecting", "camera unplugged")
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json["reason"]) == (503, "camera unplugged")


# ---- errors


@pytest.mark.parametrize(
    ("method", "path", "code"), [("GET", "/nothing", 404), ("POST", "/", 405), ("GET", "/static/none.js", 404)]
)
def test_browsers_get_an_error_page(client, method: str, path: str, code: int) -> None:
    answer = client.open(path, method=method)
    assert answer.status_code == code
    assert answer.mimetype == "text/html"
    assert "Back to the picture" in answer.text


@pytest.mark.parametrize(("method", "path", "code"), [("GET", "/api/nothing", 404), ("POST", "/api/state", 405)])
def test_programs_get_errors_as_json(client, method: str, path: str, code: int) -> None:
    answer = client.open(path, method=method)
    assert answer.status_code == code
    assert answer.json["error"]
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_405_names_the_allowed_methods(client) -> None:
    assert "GET" in client.post("/api/state").headers["Allow"]


@pytest.mark.parametrize("path", ["/api/state", "/healthz"])
def test_an_internal_error_is_a_500_without_details(app, fake_camera, path: str, caplog) -> None:
    def broken() -> SourceStatus:
        raise RuntimeError("secret path")

    fake_camera.status = broken
    answer = app.test_client().get(path)
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "secret path" in caplog.text


# ---- headers and hosts


@pytest.mark.parametrize("path", ["/", "/api/state", "/healthz", "/nothing", "/static/app.js"])
def test_every_response_has_the_security_headers(client, path: str) -> None:
    with client.get(path) as answer:
        headers = answer.headers
    for name, value in security.HEADERS.items():
        assert headers[name] == value
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["Content-Security-Policy"].startswith("default-src 'none';")


def test_static_texts_are_compressed_for_clients_that_accept_it(client) -> None:
    plain = client.get("/static/app.js", buffered=True)
    assert "Content-Encoding" not in plain.headers
    packed = client.get("/static/app.js", headers={"Accept-Encoding": "br, gzip"}, buffered=True)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) == int(packed.headers["Content-Length"]) < len(plain.data) / 2
    assert plain.headers["Vary"] == packed.headers["Vary"] == "Accept-Encoding"
    again = {"Accept-Encoding": "gzip", "If-None-Match": packed.headers["ETag"]}
    assert client.get("/static/app.js", headers=again, buffered=True).status_code == 304
    for path in ("/", "/api/state", "/static/nothing.js"):
        assert "Content-Encoding" not in client.get(path, headers={"Accept-Encoding": "gzip"}, buffered=True).headers
    refused = client.get("/static/app.js", headers={"Accept-Encoding": "gzip;q=0"}, buffered=True)
    assert refused.data == plain.data


def test_live_answers_are_not_cached_and_static_files_are_revalidated(client) -> None:
    for path in ("/", "/api/state", "/healthz"):
        assert client.get(path).headers["Cache-Control"] == "no-store"
    with client.get("/static/app.js") as script:
        assert script.headers["Cache-Control"] == "no-cache"
        known = {"If-None-Match": script.headers["ETag"]}
    with client.get("/static/app.js", headers=known) as again:
        assert again.status_code == 304


@pytest.mark.parametrize(
    ("host", "named", "code"),
    [
        ("127.0.0.1", "localhost", 200),
        ("127.0.0.1", "localhost:8080", 200),
        ("127.0.0.1", "127.0.0.1:5000", 200),
        ("localhost", "LOCALHOST:5000", 200),
        ("::1", "[::1]:5000", 200),
        ("127.0.0.1", "evil.example:5000", 403),
        ("127.0.0.1", "localhost.evil.example", 403),
        ("127.0.0.1", "127.0.0.1.evil.example", 403),
        ("127.0.0.1", "localhost@evil.example", 403),
        ("127.0.0.1", "local host", 403),
        ("127.0.0.1", "[::1", 403),
        ("127.0.0.1", "192.168.1.4:5000", 403),
        ("127.0.0.1", "mine.example", 200),
        ("0.0.0.0", "mine.example:5000", 200),
        ("0.0.0.0", "camera.example:5000", 403),
        ("0.0.0.0", "192.168.1.4:5000", 200),
        ("0.0.0.0", "[fd00::7]:5000", 200),
        ("0.0.0.0", "localhost:5000", 200),
        ("0.0.0.0", "[::1", 403),
        ("0.0.0.0", "192.168.1.4.evil.example", 403),
        ("0.0.0.0", socket.gethostname() + ":5000", 200),
        ("0.0.0.0", socket.gethostname() + ".evil.example", 403),
        ("192.168.1.4", "192.168.1.4:5000", 200),
        ("camera.example", "camera.example:5000", 200),
    ],
)
def test_only_accepted_host_names_are_answered(fake_camera, host: str, named: str, code: int) -> None:
    client = create_app(fake_camera, AppOptions(host=host, token="t" * 16, names=("mine.example",))).test_client()
    headers = {"Host": named, "Authorization": f"Bearer {'t' * 16}"}
    for path in ("/", "/api/state"):
        assert client.get(path, headers=headers).status_code == code


# ---- colors


def luminance(color: str) -> float:
    """Relative luminance, https://www.w3.org/TR/WCAG22/#dfn-relative-luminance ."""
    shares = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_colors_have_enough_contrast_in_both_themes(theme: int) -> None:
    block = STYLE.split("prefers-color-scheme: dark")[theme]
    colors = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
    for name in EXPRESSIONS:  # bars: 3:1
        assert min(contrast(colors[name], colors[ground]) for ground in ("track", "panel")) >= 3, name
    assert len({colors[name] for name in EXPRESSIONS}) == 7
    texts = [("text", "page"), ("text", "panel"), ("muted", "page"), ("muted", "panel"), ("muted", "stage")]
    for text, ground in [*texts, ("warn", "warn-page")]:  # text: AA
        assert contrast(colors[text], colors[ground]) >= 4.5, (text, ground)


def test_a_fresh_picture_is_healthy_with_the_real_clock(client, fake_camera) -> None:
    fake_camera.snapshots.publish(picture(time.time() - 1))
    assert client.get("/healthz").status_code == 200
    fake_camera.snapshots.publish(picture(time.time() - 60))
    assert client.get("/healthz").status_code == 503

"""Where the program runs: below a path, on IPv6, without folders it could write; and what its texts give away."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

import main
from mien import process
from mien.errors import ImageError, RecordingError, ServerError, SettingsError, SourceError
from mien.names import PrintableFormatter
from mien.settings import Settings, read_settings
from mien.sources.catalog import SourceCatalog
from mien.types import SourceStatus
from tests.page import texts
from tests.patience import wait_for
from tests.web_fakes import free_port
from web import AppOptions, create_app
from web.own_stream import is_own_address
from web.server import Server
from web.texts import public

TOKEN = "correct-horse-battery"
ROOT = Path(main.__file__).parent

# ---- below a path


@pytest.mark.parametrize(
    ("base_path", "path", "headers"),
    [
        ("/mien", "/mien/", {}),  # a proxy that passes the path on
        ("/mien", "/", {}),  # one that removes it
        ("/a/b-c", "/a/b-c/", {}),
        ("", "/", {"X-Forwarded-Prefix": "/mien"}),
        ("", "/", {"X-Forwarded-Prefix": "/mien/"}),
        ("", "/", {}),
    ],
)
def test_the_page_and_the_api_answer_below_a_path(fake_camera, base_path: str, path: str, headers) -> None:
    fake_camera.publish()
    client = create_app(fake_camera, AppOptions(base_path=base_path, token=TOKEN)).test_client()
    answer = client.get(f"{path}?token={TOKEN}", headers=headers)
    prefix = base_path or headers.get("X-Forwarded-Prefix", "").rstrip("/")
    assert answer.status_code == 200
    assert f"Path={prefix or '/'};" in answer.headers["Set-Cookie"]
    bearer = {**headers, "Authorization": f"Bearer {TOKEN}"}
    for name in ("api/state", "static/app.js", "healthz", "model-card", "api"):
        with client.get(path + name, headers=bearer) as found:
            assert found.status_code == 200, name
    described = client.get(f"{path}api/openapi.json", headers=bearer).json
    assert described["servers"] == [{"url": prefix or "/"}]


def test_the_path_without_its_slash_leads_to_the_page(fake_camera) -> None:
    client = create_app(fake_camera, AppOptions(base_path="/mien")).test_client()
    answer = client.get("/mien?x=1")
    assert (answer.status_code, answer.headers["Location"]) == (308, "/mien/?x=1")
    assert client.get("/mienfoo/").status_code == 404
    assert client.get("/mien/mien/").status_code == 404


@pytest.mark.parametrize(
    "prefix", ["//evil.example", "https://evil.example", "/a//b", "/..", "/a/./b", "javascript:1", '/"><x', "/a b", "x"]
)
def test_a_prefix_that_is_no_plain_path_is_ignored(fake_camera, prefix: str) -> None:
    answer = create_app(fake_camera).test_client().get("/api/openapi.json", headers={"X-Forwarded-Prefix": prefix})
    assert answer.json["servers"] == [{"url": "/"}]


@pytest.mark.parametrize(
    ("given", "kept"), [("/mien", "/mien"), ("mien/", "/mien"), ("/a/b/", "/a/b"), ("/", ""), ("", "")]
)
def test_the_option_takes_any_slashes(given: str, kept: str) -> None:
    assert read_settings(["--base-path", given], {}).base_path == kept


@pytest.mark.parametrize("given", ["/a b", "/../x", "/a?b", "http://x/", "/ä"])
def test_the_option_takes_plain_paths_only(given: str) -> None:
    with pytest.raises(SettingsError, match="--base-path"):
        read_settings(["--base-path", given], {})


@pytest.mark.browser
def test_in_a_browser_the_page_works_below_a_path(fake_camera, serve, browser) -> None:
    fake_camera.play()
    server = serve(fake_camera, base_path="/mien")
    browser.get(f"{server.url}/mien")
    wait_for(lambda: len(texts(browser, "#faces .face")) == 2)
    assert browser.current_url == f"{server.url}/mien/"
    loaded = browser.execute_script("return performance.getEntriesByType('resource').map(({ name }) => name)")
    assert len(loaded) > 10
    assert all(name.startswith((f"{server.url}/mien/", "blob:")) for name in loaded)


# ---- hosts


def test_an_ipv6_address_may_be_given_in_brackets(fake_camera) -> None:
    host = read_settings(["--host", "[::1]"], {}).host
    assert host == "::1"
    try:
        with Server(create_app(fake_camera, AppOptions(host=host)), host, 0) as server:
            assert server.url == f"http://localhost:{server.port}"
            fake_camera.close()
    except ServerError as error:
        pytest.skip(f"this computer has no IPv6: {error}")


OWN = [
    ("http://localhost:5000/video_feed", "127.0.0.1", True),
    ("HTTP://LocalHost:5000/api/frames", "127.0.0.1", True),
    ("http://user:secret@127.0.0.1:5000/", "127.0.0.1", True),
    ("http://2130706433:5000/", "127.0.0.1", True),
    ("http://127.1:5000/", "127.0.0.1", True),
    ("http://[::ffff:127.0.0.1]:5000/", "127.0.0.1", True),
    ("http://0.0.0.0:5000/", "127.0.0.1", True),
    ("http://127.0.0.1:5000/", "0.0.0.0", True),
    ("http://127.0.0.9:5000/", "0.0.0.0", True),
    ("http://127.0.0.9:5000/", "127.0.0.1", False),
    ("http://localhost:5001/video_feed", "127.0.0.1", False),
    ("http://localhost/video_feed", "127.0.0.1", False),
    ("rtsp://localhost:5000/stream", "127.0.0.1", False),
    ("http://192.0.2.7:5000/", "0.0.0.0", False),
    ("http://[::1:5000/", "127.0.0.1", False),
    ("demo", "127.0.0.1", False),
    ("0", "127.0.0.1", False),
]


@pytest.mark.parametrize(("url", "host", "own"), OWN)
def test_the_program_recognizes_its_own_address(url: str, host: str, own: bool) -> None:
    assert is_own_address(url, host, 5000) == own


def test_the_default_port_of_a_scheme_counts() -> None:
    assert is_own_address("http://localhost/video_feed", "127.0.0.1", 80)
    assert is_own_address("https://localhost/video_feed", "127.0.0.1", 443)


def test_the_program_s_own_pictures_are_no_source(fake_camera, serve) -> None:
    server = serve(fake_camera, catalog=SourceCatalog())
    body = json.dumps({"source": f"http://localhost:{server.port}/video_feed"}).encode()
    with pytest.raises(HTTPError) as refused:
        urlopen(Request(f"{server.url}/api/source", body, {"Content-Type": "application/json"}))
    with refused.value as answer:
        assert answer.code == 403
        assert "program itself" in answer.read().decode()
    assert fake_camera.switched == []


def test_the_program_does_not_start_with_its_own_pictures() -> None:
    port = free_port()
    settings = Settings(source=f"http://127.0.0.1:{port}/video_feed", port=port)
    with pytest.raises(SettingsError, match="program itself"):
        main.check_early(main.Components(settings))


# ---- folders


def test_without_a_folder_for_temporary_files_lines_are_not_filtered(monkeypatch, capfd) -> None:
    def none() -> None:
        raise FileNotFoundError("no usable temporary directory found")

    monkeypatch.setattr(tempfile, "TemporaryFile", none)
    with process.without_notes(b"INFO"):
        os.write(2, b"INFO: a note\n")
    assert capfd.readouterr().err == "INFO: a note\n"


def test_messages_need_neither_a_home_nor_a_temporary_folder() -> None:
    code = (
        "import os, pathlib, tempfile\n"
        "def none(*_): raise RuntimeError('no home')\n"
        "def lost(*_): raise FileNotFoundError('gone')\n"
        "pathlib.Path.home, pathlib.Path.cwd, tempfile.gettempdir = none, lost, lost\n"
        "from web.texts import public\n"
        "print(public('/srv/data/x.csv: no space'))\n"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (found.stdout, found.returncode) == ("x.csv: no space\n", 0), found.stderr


PRINTING = {
    "main": "main.COMMANDS['methods'] = lambda words: print(NAME) or 0; sys.exit(main.main(['methods']))",
    "training": "from training import __main__ as program; program._load = lambda command: "
    "SimpleNamespace(run=lambda options: print(NAME)); sys.exit(program.main(['train', '--data', 'x']))",
}


@pytest.mark.parametrize("program", PRINTING)
def test_what_a_terminal_cannot_express_is_escaped(program: str) -> None:
    code = f"import sys, main; from types import SimpleNamespace; NAME = 'M\xfcller \u9854'; {PRINTING[program]}"
    environ = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert (found.stdout, found.returncode) == ("M\\xfcller \\u9854\n", 0), found.stderr


# ---- texts


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/anna/records/session.csv: no space left", "session.csv: no space left"),
        ("cannot read '/opt/mien/model.onnx'", "cannot read 'model.onnx'"),
        ("expected a folder, found /srv/a b/c", "expected a folder, found a b/c"),
        (f"{ROOT}/model.json is broken", "model.json is broken"),
        (f"{Path.home()}/my videos/x.mp4: broken", "my videos/x.mp4: broken"),
        (f"{tempfile.gettempdir()}/mien-1/x", "mien-1/x"),
        (r"C:\Users\Anna\x.mp4: broken", "x.mp4: broken"),
        (r"\\server\share\x.mp4: broken", "x.mp4: broken"),
        ("rtsp://camera.example/a/b/c: not found", "rtsp://camera.example/a/b/c: not found"),
        ("/dev/video0 is busy", "/dev/video0 is busy"),
        ("expected image/* or image/png", "expected image/* or image/png"),
        ("use /api/jobs/x instead", "use /api/jobs/x instead"),
        ("a/b.mp4: broken", "a/b.mp4: broken"),
        ("1/2 of it, 30/s", "1/2 of it, 30/s"),
        ("two\nlines\x1b[2J\x00\u202e\x9b", r"two\nlines\x1b[2J\x00\u202e\x9b"),
        ("naïve – “quoted” 顔", "naïve – “quoted” 顔"),
    ],
)
def test_a_message_names_files_without_folders_and_controls_nothing(text: str, shown: str) -> None:
    assert public(text) == shown


def test_no_answer_contains_a_path_or_a_control_character(fake_camera) -> None:
    secret = "/srv/secret/place/x.mp4\x1b[31m: broken\nFORGED: line"

    def broken(_: bytes) -> None:
        raise ImageError(secret)

    class Recorder:
        def start(self) -> None:
            raise RecordingError(secret)

        def status(self) -> None:
            raise AssertionError

    fake_camera.current = SourceStatus("clip\x1b[2J.mp4", "reconnecting", reason=secret)
    fake_camera.error = SourceError(secret)
    options = AppOptions(analyze=broken, catalog=SourceCatalog())
    client = create_app(fake_camera, options).test_client()
    recording = create_app(fake_camera, replace(options, recorder=Recorder())).test_client()
    answers = [
        client.get("/api/state"),
        client.get("/healthz"),
        client.get("/api/snapshot.png"),
        client.post("/api/analyze", data=b"x", content_type="image/png"),
        client.post("/api/source", json={"source": "demo"}),
        recording.post("/api/record", json={"on": True}),
    ]
    for answer in answers:
        assert "/srv" not in answer.text
        assert "secret/" not in answer.text
        assert not any(char < " " and char != "\n" for char in answer.text)
        assert "\\u001b" not in answer.text
    assert "x.mp4" in answers[1].json["reason"]


def test_a_log_line_is_one_line_without_control_characters() -> None:
    record = logging.LogRecord("mien", logging.INFO, "", 0, "%s: opened", ("a\nFORGED\x1b[2J\udce9",), None)
    assert PrintableFormatter().format(record) == r"a\nFORGED\x1b[2J\xe9: opened"
    try:
        raise ValueError("first\nsecond\x1b[0m")
    except ValueError:
        record = logging.LogRecord("mien", logging.ERROR, "", 0, "it failed", (), sys.exc_info())
    lines = PrintableFormatter().format(record).split("\n")
    assert lines[:2] == ["it failed", "Traceback (most recent call last):"]
    assert all(line.isprintable() for line in lines)

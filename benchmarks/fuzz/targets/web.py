"""HTTP: the bytes of requests, their paths, queries and headers, JSON bodies and multipart forms."""

from __future__ import annotations

import io
import json
import re
import socket
from collections.abc import Callable
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from flask import Flask
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from benchmarks.fuzz.mutations import WORDS, mutated, mutated_json
from benchmarks.fuzz.target import Call, Target
from mien.cnn.logit_adjustment import LogitAdjustment
from mien.errors import DetectorError, SourceMissingError
from mien.images.codecs import decode_image, encode_jpeg, encode_png
from mien.images.privacy import Privacy
from mien.queue.scheduler import Scheduler
from mien.queue.service import FileQueue
from mien.queue.uploads import Limits
from mien.recording.csv_log import CsvRecorder
from mien.settings import AnalysisSettings
from mien.sources.catalog import SourceCatalog
from mien.stream.latest import Latest
from mien.types import Analysis, Box, Face, Frame, Snapshot, SourceStatus
from web import AppOptions, attempts, create_app, schemas
from web.schemas import Body as JsonBody

STREAMS = ("text/event-stream", "multipart/x-mixed-replace")
"""Answers that do not end."""

TOKEN = "correct-horse-battery"
FACE = Face(Box(4, 5, 60, 60), np.full(7, 1 / 7, np.float32), np.full(7, 1 / 7, np.float32), id=1)


class StubCamera:
    """A camera with one picture, which ends each stream after it."""

    in_use: str | None = "0"
    saving = None

    def __init__(self) -> None:
        pixels = np.full((120, 160, 3), 90, np.uint8)
        self.snapshots: Latest[Snapshot] = Latest()
        frame = Frame(pixels, 0, captured_at=1790000000.0)
        self.snapshots.publish(Snapshot(encode_jpeg(pixels), frame, Analysis(160, 120, (FACE,))))
        self.snapshots.close()

    def status(self) -> SourceStatus:
        """Live."""
        return SourceStatus("Webcam 0", "live", fps=30.0)

    def keep_awake(self) -> None:
        """It is never idle."""

    def switch(self, source: str) -> SourceStatus:
        """Refuse what no source is called."""
        if "://" in source:
            raise SourceMissingError("no camera")
        return SourceStatus(source, "live")

    def show_again(self) -> None:
        """It shows one picture only."""


class StubDetectors:
    """One detector that may be chosen, and one that is broken."""

    current = "haar"
    available = ("haar", "broken")

    def switch(self, name: str) -> None:
        """Refuse any but one."""
        if name != "haar":
            raise DetectorError(f"expected an installed detector, found {name!r}")


def _analyze(data: bytes, *, landmarks: bool = False) -> Analysis:
    height, width = decode_image(data).shape[:2]
    return Analysis(width, height, (FACE,))


def app_of(folder: Path, cleanup: ExitStack, **more: Any) -> Flask:
    """The whole app; files are taken, but not analyzed."""
    cleanup.enter_context(mock.patch.object(Scheduler, "_advance"))
    cleanup.enter_context(mock.patch.object(attempts, "DELAY_S", 0.0))
    cleanup.enter_context(mock.patch.object(socket, "getaddrinfo", _numbers_only(socket.getaddrinfo)))
    (folder / "media").mkdir(parents=True)
    (folder / "media" / "a.gif").write_bytes(b"GIF89a")
    catalog = SourceCatalog(folder / "media", mock.Mock(find=lambda in_use: {0: "Webcam"}))
    recorder = CsvRecorder(folder / "sessions")
    cleanup.callback(recorder.stop)
    jobs = FileQueue(AnalysisSettings, limits=Limits(jobs=50, free_bytes=0))
    cleanup.callback(jobs.close)
    options = AppOptions(
        analyze=_analyze,
        follow=lambda key, data, *, landmarks=False: _analyze(data),
        to_png=lambda snapshot: encode_png(np.zeros((4, 4, 3), np.uint8)),
        explain=lambda pixels, faces: [encode_png(np.zeros((48, 48, 4), np.uint8)) for _ in faces],
        catalog=catalog,
        recorder=recorder,
        privacy=Privacy(),
        adjustment=LogitAdjustment(np.full(7, 1 / 7), tau=0.5),
        detectors=StubDetectors(),
        jobs=jobs,
        max_streams=10**6,  # the in-process client never closes a stream
        **more,
    )
    return create_app(StubCamera(), options)


def _numbers_only(look_up: Callable[..., Any]) -> Callable[..., Any]:
    """Name service without a network."""

    def numbers_only(name: Any, port: Any, *rest: Any, **more: Any) -> Any:
        return look_up(name, port, *rest[:3], **{**more, "flags": socket.AI_NUMERICHOST})

    return numbers_only


def _ask(app: Flask, path: str, method: str, **more: Any) -> None:
    """Send a request; a 500 counts as a crash with its cause, and so does a missing answer."""
    app.testing = True  # exceptions are passed on
    client = app.test_client(use_cookies=False)
    with client.open(path, method=method, **more) as answer:
        if answer.status_code == 500 or answer.status_code > 507:
            raise AssertionError(f"answered with {answer.status_code}")
        for _ in islice(answer.response, 1 if answer.mimetype in STREAMS else None):
            pass


def _bodies() -> list[type[JsonBody]]:
    return [
        each
        for each in vars(schemas).values()
        if isinstance(each, type) and issubclass(each, JsonBody) and each is not JsonBody
    ]


def _json_bodies(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    app = app_of(folder, cleanup)
    routes = _routes(app, {"POST", "PATCH", "PUT"})
    examples = [each.EXAMPLE for each in _bodies()] + [{"name": "a.mp4", "bytes": 10, "on": True}]
    paths = st.sampled_from(routes).map(lambda route: f"{route[1]} {route[0]}".encode())

    def call(data: bytes) -> None:
        head, _, body = data.partition(b"\n")
        method, _, path = head.decode().partition(" ")
        _ask(app, path, method, data=body, content_type="application/json")

    return st.tuples(paths, mutated_json(examples)).map(b"\n".join), call


def _routes(app: Flask, methods: set[str]) -> list[tuple[str, str]]:
    """Path and method of each route; values in paths are examples."""
    found = []
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<int:\w+>", "1", rule.rule).replace("<path:filename>", "app.js")
        for method in sorted((rule.methods or set()) & methods):
            found.append((re.sub(r"<\w+>", "abc", path), method))
    return found


HEADERS = {
    "Host": ("localhost:5000", "127.0.0.1", "[::1]:5000", "evil.example", "localhost:x", "[::1", "localhost@evil"),
    "Origin": ("http://localhost:5000", "null", "https://evil.example", "http://", "file://"),
    "Range": ("bytes=0-0", "bytes=-5", "bytes=5-", "bytes=9-1", "bytes=0-0,2-3", "lines=1-2"),
    "If-Range": ('"x"', "Thu, 26 Nov 2026 04:00:00 GMT", "Thu, 99 Nov 99999 04:00:00 GMT"),
    "If-None-Match": ("*", '"x", W/"y"', '"'),
    "If-Modified-Since": ("Thu, 26 Nov 2026 04:00:00 GMT", "0", "-1"),
    "Forwarded": ("for=127.0.0.1;host=evil", "proto=https;host=[::1"),
    "X-Forwarded-For": ("127.0.0.1", "evil, 1.2.3.4"),
    "X-Forwarded-Prefix": ("/mien", "//evil.example", "/../x", "/mien/"),
    "X-Forwarded-Host": ("evil.example",),
    "Authorization": (f"Bearer {TOKEN}", "Bearer", "Basic OjpAQA==", "Basic !", "Digest x=y,,=", "bearer  \xff"),
    "Cookie": ("mien=1", "a=b; c", ";;;=", "x" * 4000, 'a="\\377"'),
    "Sec-Fetch-Site": ("same-origin", "cross-site", "none", "same-site"),
    "Sec-Fetch-Dest": ("document", "iframe", "image"),
    "Sec-Fetch-Mode": ("navigate", "no-cors"),
    "Accept": ("text/html", "*/*;q=x", "application/json;q=-1", ",;q=,"),
    "Accept-Language": ("de;q=0.5,en", ";;"),
    "Accept-Encoding": ("gzip", "identity;q=0"),
    "Content-Type": (
        "application/json",
        "multipart/form-data",
        "image/png; charset=\xff",
        "text/plain; charset=utf-7",
        "/",
    ),
    "Content-Length": ("0", "5", "99999999"),
    "Last-Event-ID": ("abc-1", "-", "x-99999999999999999999"),
    "User-Agent": ("x",),
    "Upgrade": ("websocket",),
}
PARAMETERS = {
    "token": (TOKEN, "wrong"),
    "track": ("camera-1-key", "a"),
    "landmarks": ("0", "1", "2"),
    "viewer": ("abc", ""),
    "group": ("g" * 22, "g"),
    "id": ("abc", "a,b"),
    "offset": ("0", "-1", "1e3", "²"),
    "name": ("a.mp4", "../x"),
    "if": ("x",),
}


def _plain(values: tuple[str, ...]) -> SearchStrategy[str]:
    """Values of a header as a server hands them on: latin-1 without line ends."""
    text = st.one_of(st.sampled_from(values), st.sampled_from(WORDS), st.text(max_size=12))
    return text.map(lambda value: re.sub(r"[\r\n\0]", "", value.encode("utf-8", "surrogatepass").decode("latin-1")))


def _requests(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    with_token = app_of(folder / "a", cleanup, token=TOKEN, host="0.0.0.0", names=("mien.example",), base_path="/mien")
    without = app_of(folder / "b", cleanup)
    routes = [
        *_routes(without, {"GET", "HEAD", "DELETE", "POST", "OPTIONS"}),
        ("/mien/api/state", "GET"),
        ("/static/../app.js", "GET"),
    ]
    pair = st.sampled_from(sorted(HEADERS)).flatmap(lambda name: st.tuples(st.just(name), _plain(HEADERS[name])))
    value = st.sampled_from(sorted(PARAMETERS)).flatmap(
        lambda name: st.tuples(
            st.just(name), st.one_of(st.sampled_from(PARAMETERS[name]), st.sampled_from(WORDS), st.text(max_size=12))
        )
    )
    tail = st.one_of(st.just(""), st.just(""), _plain(("/", "/%2e%2e/x", "%00", "//x", "/1")))
    request = st.fixed_dictionaries(
        {
            "route": st.sampled_from(routes),
            "tail": tail,
            "query": st.lists(value, max_size=3),
            "headers": st.lists(pair, max_size=4),
            "app": st.booleans(),
        }
    )

    def call(data: bytes) -> None:
        asked = json.loads(data)
        path, method = asked["route"]
        query = {name: text.encode("utf-8", "surrogatepass") for name, text in asked["query"]}
        app = with_token if asked["app"] else without
        environ = {f"HTTP_{name.upper().replace('-', '_')}": text for name, text in asked["headers"]}
        for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            if f"HTTP_{name}" in environ:
                environ[name] = environ.pop(f"HTTP_{name}")
        _ask_as_server(app, path + asked["tail"], method, query, environ)

    return request.map(lambda value: json.dumps(value).encode()), call


def _ask_as_server(app: Flask, path: str, method: str, query: dict[str, bytes], headers: dict[str, str]) -> None:
    """Call the app as the web server does: what the test client would refuse to send arrives too."""
    from urllib.parse import unquote_to_bytes, urlencode

    environ = {
        **{"REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": unquote_to_bytes(path).decode("latin-1")},
        **{
            "QUERY_STRING": urlencode(query),
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "5000",
            "REMOTE_ADDR": "127.0.0.1",
        },
        **{
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(b"12345"),
            "wsgi.errors": io.StringIO(),
        },
        **{"wsgi.version": (1, 0), "wsgi.multithread": True, "wsgi.multiprocess": False, "wsgi.run_once": False},
        **{"HTTP_HOST": "localhost:5000", **headers},
    }
    app.testing = True
    status, most = "", None

    def start(line: str, fields: list[tuple[str, str]], error: object = None) -> Callable[[bytes], object]:
        nonlocal status, most
        status = line
        most = 1 if dict(fields).get("Content-Type", "").startswith(STREAMS) else None
        if any(set(name + text) & set("\r\n\0") for name, text in fields):
            raise AssertionError("a header is split")
        return lambda data: None

    parts = app(environ, start)
    for _ in islice(parts, most):
        pass
    parts.close()  # type: ignore[attr-defined]
    if status.startswith("500"):
        raise AssertionError(f"answered with {status}")


def _multipart(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    app = app_of(folder, cleanup)
    png = encode_png(np.zeros((8, 8, 3), np.uint8))
    seeds = []
    for field, name in (("image", "a.png"), ("file", "b/c.png"), ("image", "d.jpg")):
        disposition = f'Content-Disposition: form-data; name="{field}"; filename="{name}"'
        part = f"--XX\r\n{disposition}\r\nContent-Type: image/png\r\n\r\n"
        seeds += [part.encode() + png + b"\r\n--XX--\r\n", (part.encode() + png + b"\r\n") * 2 + b"--XX--\r\n"]
    seeds.append(b'--XX\r\nContent-Disposition: form-data; name="x"\r\n\r\ntext\r\n' + seeds[0])
    words = [b"--XX", b"--XX--", b"\r\n", b"\r\n\r\n", b"filename*=utf-8''%ff%00", b'name="', b"Content-Length: 5\r\n"]
    words += [
        b"Content-Transfer-Encoding: base64\r\n",
        b"Content-Type: multipart/mixed; boundary=YY\r\n",
        b"charset=rot13",
    ]
    paths, kinds = (
        ("/api/analyze", "/api/jobs", "/api/jobs?name=x"),
        ("boundary=XX", 'boundary="XX"', "boundary=", "", "boundary=X\xff"),
    )
    head = st.tuples(st.sampled_from(paths), st.sampled_from(kinds[:1] * 8 + kinds))

    def call(data: bytes) -> None:
        head, _, body = data.partition(b"\n")
        path, _, kind = head.decode("latin-1").partition(" ")
        _ask(app, path, "POST", data=body, content_type=f"multipart/form-data; {kind}")

    lines = head.map(lambda pair: f"{pair[0]} {pair[1]}".encode("latin-1"))
    return st.tuples(lines, mutated(seeds, words)).map(b"\n".join), call


TARGETS = (
    Target("http-requests", 8000, _requests, clear=()),
    Target("http-json", 6000, _json_bodies, clear=()),
    Target("http-multipart", 4000, _multipart, clear=()),
)

"""Requests byte by byte: what is ambiguous is refused before the app sees it, and no body exceeds its limit."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.exceptions import HTTPException

import web.server
from mien.images.codecs import encode_png
from mien.types import Analysis
from tests.patience import PATIENCE_S, scaled
from tests.web_fakes import FakeCamera, face_showing
from web import AppOptions, create_app
from web.body import Body, BodyError
from web.framing import FramingError, Head, check_head, read_head
from web.limits import MAX_BODY_BYTES, MAX_JSON_BYTES
from web.server import Server
from web.sessions import MAX_CHANGE_BYTES

IMAGE = encode_png(np.full((240, 320, 3), 90, np.uint8))

HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
SWITCH = b'{"on": true}'
POST = b"POST /api/privacy HTTP/1.1\r\n"
LENGTH = b"Content-Length: 12\r\n"


def ask(port: int, *pieces: bytes, half_close: bool = True) -> bytes:
    """Everything that the server answers to these bytes, until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as client:
        answer = b""
        try:
            for piece in pieces:
                client.sendall(piece)
            if half_close:
                client.shutdown(socket.SHUT_WR)
        except OSError:  # refused meanwhile
            pass
        try:
            while data := client.recv(65536):
                answer += data
        except ConnectionError:
            pass
        return answer


def statuses(answer: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)]


class CountedPrivacy:
    """Counts what reaches the app."""

    on = locked = False
    lifted_at = None
    switched = 0

    def switch(self, on: bool) -> None:
        self.switched += 1


def analyze(data: bytes) -> Analysis:
    return Analysis(320, 240, (face_showing("happy"),))


@pytest.fixture(scope="module")
def program() -> Iterator[tuple[CountedPrivacy, int]]:
    """What a running server has switched, and its port."""
    camera, privacy = FakeCamera(), CountedPrivacy()
    with pytest.MonkeyPatch.context() as patch:  # as `patient_program` does, which comes after this one
        patch.setattr(web.server, "SOCKET_TIMEOUT_S", scaled(web.server.SOCKET_TIMEOUT_S))
        server = Server(create_app(camera, AppOptions(privacy=privacy)), port=0)
    with server:
        yield privacy, server.port
        camera.close()


# ---- framing

AMBIGUOUS = {
    "two lengths": POST + HOST + JSON + LENGTH + b"Content-Length: 3\r\n",
    "two equal lengths": POST + HOST + JSON + LENGTH + LENGTH,
    "lengths in a list": POST + HOST + JSON + b"Content-Length: 12, 12\r\n",
    "a length with a sign": POST + HOST + JSON + b"Content-Length: +12\r\n",
    "a negative length": POST + HOST + JSON + b"Content-Length: -12\r\n",
    "a length with an underscore": POST + HOST + JSON + b"Content-Length: 1_2\r\n",
    "a hexadecimal length": POST + HOST + JSON + b"Content-Length: 0xc\r\n",
    "a fraction": POST + HOST + JSON + b"Content-Length: 12.0\r\n",
    "an empty length": POST + HOST + JSON + b"Content-Length:\r\n",
    "an absurd length": POST + HOST + JSON + b"Content-Length: " + b"9" * 40 + b"\r\n",
    "length and chunks": POST + HOST + JSON + LENGTH + CHUNKED,
    "chunks and length": POST + HOST + JSON + CHUNKED + LENGTH,
    "two codings": POST + HOST + JSON + CHUNKED + CHUNKED,
    "an empty coding": POST + HOST + JSON + b"Transfer-Encoding:\r\n",
    "chunks in HTTP/1.0": b"POST /api/privacy HTTP/1.0\r\n" + HOST + JSON + CHUNKED,
    "a coding with a control character": POST + HOST + JSON + b"Transfer-Encoding: \x0bchunked\r\n",
    "two hosts": POST + HOST + b"Host: evil.example\r\n" + JSON + LENGTH,
    "no host": POST + JSON + LENGTH,
    "a name with a space": POST + HOST + JSON + b"Content-Length : 12\r\n",
    "a name after a space": POST + b" " + HOST + JSON + LENGTH,
    "a folded line": POST + HOST + JSON + b"X-Long: a\r\n b\r\n" + LENGTH,
    "a folded host": POST + b"Host:\r\n localhost\r\n" + JSON + LENGTH,
    "a line without a colon": POST + HOST + b"Nothing\r\n" + JSON + LENGTH,
    "an empty name": POST + HOST + b": nothing\r\n" + JSON + LENGTH,
    "a null byte in a value": POST + HOST + b"X-Null: a\x00b\r\n" + JSON + LENGTH,
    "a null byte in a name": POST + HOST + b"X-\x00Null: a\r\n" + JSON + LENGTH,
    "a bare carriage return": POST + HOST + b"X-A: a\rX-B: b\r\n" + JSON + LENGTH,
    "a bare line feed": POST + HOST + b"X-A: a\n" + JSON + LENGTH,
    "an escape character": POST + HOST + b"X-A: \x1b[2J\r\n" + JSON + LENGTH,
    "a null byte in the address": POST.replace(b"privacy", b"pri\x00vacy") + HOST + JSON + LENGTH,
    "a carriage return in the address": POST.replace(b"privacy", b"pri\rvacy") + HOST + JSON + LENGTH,
    "a tab in the request line": POST.replace(b" HTTP", b"\tHTTP") + HOST + JSON + LENGTH,
    "two spaces in the request line": POST.replace(b" HTTP", b"  HTTP") + HOST + JSON + LENGTH,
    "a version with a sign": POST.replace(b"1.1", b"+1.1") + HOST + JSON + LENGTH,
    "a version of words": POST.replace(b"HTTP/1.1", b"HTTP/x") + HOST + JSON + LENGTH,
    "no version": POST.replace(b" HTTP/1.1", b"") + HOST + JSON + LENGTH,
    "a bracket that is not closed": POST.replace(b"/api", b"//[") + HOST + JSON + LENGTH,
    "an address of another host": POST.replace(b"/api", b"http://evil.example/api") + HOST + JSON + LENGTH,
    "options of another host": b"OPTIONS http://evil.example/api/privacy HTTP/1.1\r\n" + HOST + JSON + LENGTH,
    "a path without a slash": POST.replace(b"/api", b"api") + HOST + JSON + LENGTH,
    "two origins": POST + HOST + b"Origin: http://localhost\r\nOrigin: http://evil.example\r\n" + JSON + LENGTH,
    "two tokens": POST + HOST + b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n" + JSON + LENGTH,
    "two types": POST + HOST + JSON + b"Content-Type: text/plain\r\n" + LENGTH,
    "two empty lines before": b"\r\n\r\n" + POST + HOST + JSON + LENGTH,
}


@pytest.mark.parametrize("head", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_an_ambiguous_request_is_refused_before_the_app(program, head: bytes) -> None:
    privacy, port = program
    privacy.switched = 0
    body = b"c\r\n" + SWITCH + b"\r\n0\r\n\r\n" if b"chunked" in head else SWITCH
    assert statuses(ask(port, head + b"\r\n" + body)) == [400]
    assert privacy.switched == 0


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (POST + HOST + JSON + b"Transfer-Encoding: gzip, chunked\r\n", 501),
        (POST + HOST + JSON + b"Transfer-Encoding: identity\r\n", 501),
        (POST + HOST + JSON + LENGTH + b"Expect: 200-ok\r\n", 417),
        (POST + HOST + JSON + LENGTH + b"X-Some: thing\r\n" * 200, 431),
        (POST.replace(b"1.1", b"2.0") + HOST + JSON + LENGTH, 505),
    ],
)
def test_what_is_not_supported_is_refused_with_its_own_status(program, head: bytes, status: int) -> None:
    assert statuses(ask(program[1], head + b"\r\n" + SWITCH)) == [status]


@pytest.mark.parametrize(
    "request_bytes",
    [
        POST + HOST + JSON + LENGTH + b"\r\n" + SWITCH,
        b"\r\n" + POST + HOST + JSON + LENGTH + b"\r\n" + SWITCH,
        POST + b"host:localhost\r\n" + JSON + b"content-length:\t 012 \r\n\r\n" + SWITCH,
        POST + HOST + JSON + LENGTH + b"X-Text: caf\xe9 \t tab\r\nX-Empty:\r\n\r\n" + SWITCH,
        b"POST /api/privacy HTTP/1.0\r\n" + HOST + JSON + LENGTH + b"\r\n" + SWITCH,
        POST + HOST + JSON + CHUNKED + b"\r\nC\r\n" + SWITCH + b"\r\n0\r\n\r\n",
        POST + HOST + JSON + CHUNKED + b'\r\n5;a="b"\r\n{"on"\r\n007 ;x\r\n: true}\r\n000\r\nX-Trailer: a\r\n\r\n',
        POST + HOST + JSON + b"Transfer-Encoding: Chunked\r\n\r\nC\r\n" + SWITCH + b"\r\n0\r\n\r\n",
        POST + HOST + JSON + LENGTH + b"Content_Length: 3\r\nX_Forwarded_Prefix: /x\r\n\r\n" + SWITCH,
        POST + HOST + JSON + LENGTH + b"X-Forwarded-For: a\r\nX-Forwarded-For: b\r\n\r\n" + SWITCH,
    ],
    ids=["plain", "empty line", "lower case", "latin", "old", "chunk", "chunks", "case", "underscores", "list"],
)
def test_a_clear_request_is_answered(program, request_bytes: bytes) -> None:
    privacy, port = program
    privacy.switched = 0
    assert statuses(ask(port, request_bytes)) == [200]
    assert privacy.switched == 1


@pytest.mark.parametrize(
    "chunks",
    [
        b"+c\r\n" + SWITCH + b"\r\n0\r\n\r\n",
        b"0xc\r\n" + SWITCH + b"\r\n0\r\n\r\n",
        b"-1\r\n" + SWITCH + b"\r\n0\r\n\r\n",
        b" c\r\n" + SWITCH + b"\r\n0\r\n\r\n",
        b"c\n" + SWITCH + b"\n0\n\n",
        b"c\r\n" + SWITCH + b"xx0\r\n\r\n",
        b"c;\x00\r\n" + SWITCH + b"\r\n0\r\n\r\n",
        b"c;" + b"x" * 1000 + b"\r\n" + SWITCH + b"\r\n0\r\n\r\n",
        b"1" * 30 + b"\r\n",
        b"\r\n" + SWITCH + b"\r\n0\r\n\r\n",
        b"c\r\n" + SWITCH[:6],
        b"c\r\n" + SWITCH + b"\r\n",
        b"c\r\n" + SWITCH + b"\r\n0\r\nX-Trailer: " + b"x" * 10_000 + b"\r\n\r\n",
        b"c\r\n" + SWITCH + b"\r\n0\r\nnever ended",
    ],
)
def test_malformed_chunks_never_reach_the_app(program, chunks: bytes) -> None:
    privacy, port = program
    privacy.switched = 0
    assert statuses(ask(port, POST + HOST + JSON + CHUNKED + b"\r\n" + chunks)) == [400]
    assert privacy.switched == 0


def test_nothing_after_a_chunked_body_counts_as_a_request(program) -> None:
    privacy, port = program
    privacy.switched = 0
    hidden = POST + HOST + JSON + LENGTH + b"\r\n" + SWITCH
    answer = ask(
        port,
        POST + HOST + JSON + CHUNKED + b"\r\nC\r\n" + SWITCH + b"\r\n0\r\n\r\n" + hidden,
    )
    assert statuses(answer) == [200]
    assert privacy.switched == 1


def test_two_requests_on_one_connection_are_both_answered(program) -> None:
    privacy, port = program
    privacy.switched = 0
    one = POST + HOST + JSON + LENGTH + b"\r\n" + SWITCH
    assert statuses(ask(port, one + one)) == [200, 200]


@given(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from(list(AMBIGUOUS.values()))), max_size=6))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_clear_head_or_a_framing_error(pieces: list[bytes]) -> None:
    stream = BytesIO(b"".join(pieces))
    found: Head | str
    try:
        lines = read_head(stream.readline, 4096)
        found = check_head(lines) if lines else Head(0, waits=False)
    except FramingError as error:
        found = f"{error.status}: {error}"
    if isinstance(found, Head):
        assert found.length is None or 0 <= found.length < 10**18
    else:
        assert found[:3] in ("400", "413", "414", "417", "431", "501")
        assert found.isascii()


@given(st.binary(max_size=200), st.sampled_from([None, 0, 5, 100]), st.integers(1, 64))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_body_or_a_body_error(data: bytes, length: int | None, piece: int) -> None:
    body = Body(BytesIO(data), length)
    received = b""
    try:
        while part := body.read(piece):
            received += part
        assert body.finished
        assert length in (None, len(received))
    except BodyError:
        assert not body.finished
    assert len(received) <= len(data)


def test_the_rest_of_a_body_is_discarded_up_to_a_limit() -> None:
    rest = Body(BytesIO(bytes(200_000)), 200_000)
    rest.read(10)
    assert rest.discard(1_000_000, PATIENCE_S)
    assert not Body(Endless(), 10**9).discard(1_000_000)  # without receiving anything
    stream = Endless()
    assert not Body(stream, None).discard(1_000_000, PATIENCE_S)
    assert 1_000_000 < stream.count < 1_200_000
    assert not Body(Endless(), None).discard(10**15, max_s=0.01)
    assert not Body(BytesIO(b"cut off"), 100).discard(1000)


# ---- size


def routes(app) -> list[tuple[str, str]]:
    """Every method and address of an app, and some that do not exist."""
    found = [
        (method, re.sub("<[^>]+>", "x" * 22, rule.rule))
        for rule in app.url_map.iter_rules()
        for method in sorted(rule.methods - {"OPTIONS"})
    ]
    return [*found, ("POST", "/nothing"), ("POST", "/"), ("PUT", "/api/state")]


class Endless:
    """A connection on which a body never ends; counts what is read of it."""

    def __init__(self) -> None:
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        assert 0 <= size <= 1 << 20, "all of it was asked for at once"
        self.count += size
        return bytes(size)

    def readline(self, size: int = -1) -> bytes:
        return b"7fffffff\r\n"


@pytest.mark.parametrize("framing", ["length", "chunks"])
@pytest.mark.parametrize("mimetype", ["application/json", "image/png", "multipart/form-data; boundary=b", "text/plain"])
def test_no_route_receives_more_than_its_limit(fake_camera, framing: str, mimetype: str) -> None:
    fake_camera.publish()
    options = {"analyze": analyze, "follow": lambda key, data, **_: analyze(data), "privacy": CountedPrivacy()}
    app = create_app(fake_camera, AppOptions(**options))
    tried = routes(app)
    assert len(tried) > 20
    most = 0
    for method, path in tried:
        stream = Endless()
        environ = {"wsgi.input": Body(stream, None if framing == "chunks" else 10**12)}
        if framing == "chunks":
            environ |= {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
        else:
            environ["CONTENT_LENGTH"] = str(10**12)
        with app.test_client().open(path, method=method, content_type=mimetype, environ_overrides=environ) as answer:
            limit = declared_limit(app, method, path)
            assert stream.count <= limit + 1, (method, path)
            assert answer.status_code == 413 or stream.count == 0, (method, path)
            most = max(most, stream.count)
    if framing == "chunks":
        assert most == {"image/png": MAX_BODY_BYTES + 1, "application/json": MAX_CHANGE_BYTES + 1}.get(mimetype, most)
    else:
        assert most == 0


def declared_limit(app, method: str, path: str) -> int:
    """What a route may receive at most."""
    try:
        endpoint, _ = app.url_map.bind("localhost").match(path, method)
    except HTTPException:
        return MAX_JSON_BYTES
    view = app.view_functions[endpoint]
    return view.operation.max_bytes if hasattr(view, "operation") else MAX_JSON_BYTES


def test_a_chunked_body_of_exactly_the_limit_is_accepted_and_one_more_byte_is_not(fake_camera, serve) -> None:
    server = serve(fake_camera, privacy=CountedPrivacy())
    for more, status in ((0, 200), (1, 413)):
        body = SWITCH + b" " * (MAX_JSON_BYTES - len(SWITCH) + more)
        chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        answer = ask(server.port, POST + HOST + JSON + CHUNKED + b"\r\n" + chunks)
        assert statuses(answer) == [status]
        assert (status == 200) or b"at most 8192 bytes" in answer


def test_many_tiny_chunks_are_refused(fake_camera, serve) -> None:
    server = serve(fake_camera, analyze=analyze)
    head = b"POST /api/analyze HTTP/1.1\r\nContent-Type: image/png\r\n" + HOST + CHUNKED + b"\r\n"
    assert statuses(ask(server.port, head, b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n")) == [400]
    body = IMAGE.ljust(200_000, b"\0")
    pieces = b"".join(b"64\r\n%s\r\n" % body[at : at + 100] for at in range(0, len(body), 100))
    assert statuses(ask(server.port, head, pieces + b"0\r\n\r\n")) == [200]


def test_the_body_is_asked_for_only_if_it_is_wanted(fake_camera, serve) -> None:
    server = serve(fake_camera, analyze=analyze)
    head = b"POST /api/analyze HTTP/1.1\r\nContent-Type: %s\r\nExpect: 100-continue\r\n" + HOST
    wanted = head % b"image/png" + b"Content-Length: %d\r\n\r\n" % len(IMAGE)
    assert statuses(ask(server.port, wanted, IMAGE)) == [100, 200]
    for unwanted in (
        head % b"image/png" + b"Content-Length: 99999999\r\n\r\n",
        head % b"text/plain" + b"Content-Length: 100\r\n\r\n",
        (head % b"text/plain").replace(b"/api/analyze", b"/nothing") + CHUNKED + b"\r\n",
    ):
        answer = ask(server.port, unwanted, half_close=False)  # the server does not wait for the body
        assert statuses(answer)[0] in (413, 415, 404)
        assert b"Connection: close" in answer


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_a_huge_chunk_costs_no_memory(fake_camera, serve) -> None:
    server = serve(fake_camera, analyze=analyze, privacy=CountedPrivacy())

    def resident_kb() -> int:
        return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1])

    piece = bytes(2**20)
    before_kb = resident_kb()
    most_kb = 0
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as client:
        client.sendall(POST + HOST + JSON + CHUNKED + b"\r\n%x\r\n" % (600 * 2**20))
        try:
            for _ in range(600):
                client.sendall(piece)
                most_kb = max(most_kb, resident_kb())
        except OSError:  # refused, and the connection closed
            pass
    assert most_kb - before_kb < 100_000, "of 600 MB; other threads of this process need some, too"
    with urlopen(f"{server.url}/api/state") as answer:
        assert answer.status == 200

"""The bytes of HTTP requests: the check of their heads, and the server on the loopback interface."""

from __future__ import annotations

import io
import logging
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from hypothesis.strategies import SearchStrategy

from benchmarks.fuzz.mutations import mutated
from benchmarks.fuzz.target import Call, Target
from benchmarks.fuzz.targets.web import app_of
from web.body import Body, BodyError
from web.framing import FramingError, check_head, read_head
from web.server import MAX_HEADER_BYTES, Server

JSON = b"Host: localhost:5000\r\nContent-Type: application/json\r\n"
REQUESTS = (
    b"GET / HTTP/1.1\r\nHost: localhost:5000\r\nConnection: close\r\n\r\n",
    b"POST /api/privacy HTTP/1.1\r\n" + JSON + b'Content-Length: 11\r\n\r\n{"on":true}',
    b"POST /api/privacy HTTP/1.1\r\n" + JSON + b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"on"\r\n6;a=b\r\n:true}\r\n'
    b"0\r\nTrailer: x\r\n\r\n",
    b"POST /api/analyze HTTP/1.1\r\nHost: localhost:5000\r\nContent-Type: image/png\r\nExpect: 100-continue\r\n"
    b"Content-Length: 4\r\n\r\n\x89PNG",
    b"GET /api/state?viewer=%41 HTTP/1.1\r\nHost: [::1]:5000\r\nCookie: a=b\r\nX-Forwarded-Prefix: /mien\r\n\r\n" * 2,
    b"HEAD /static/app.js HTTP/1.0\r\nRange: bytes=0-3\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\nCONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
)
FRAMING_WORDS = (
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b"\0",
        b" ",
        b"\t",
        b":",
        b"Content-Length: 5\r\n",
        b"Content-Length: +5\r\n",
    ),
    *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n", b"Host: a\r\n", b"HTTP/1.1"),
    *(b"http://localhost/", b"//[", b"/%", b"/%zz", b"ffffffffffffffff\r\n", b"Expect: 100-continue\r\n", b"HTTP/9.9"),
    *(b"Connection: keep-alive\r\n", b"Connection: upgrade\r\n", b" folded\r\n", b"\xff\xfe"),
    *(b"x" * 70000, b"A: b\r\n" * 250),
)


def _framing(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    def call(data: bytes) -> None:
        stream = io.BytesIO(data)
        while lines := read_head(stream.readline, MAX_HEADER_BYTES):
            head = check_head(lines)
            if re.search(rb"[\0\x0b]|\r(?!\n)|(?<!\r)\n", b"".join(lines)):
                raise AssertionError("a head with bare line ends or control characters is accepted")
            Body(stream, head.length).read()

    return mutated(REQUESTS, FRAMING_WORDS), call


class _Keep(logging.Handler):
    def __init__(self, kept: list[logging.LogRecord]) -> None:
        super().__init__(logging.WARNING)
        self._kept = kept

    def emit(self, record: logging.LogRecord) -> None:
        self._kept.append(record)


def _server(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    app = app_of(folder, cleanup)
    server = cleanup.enter_context(Server(app, port=0))
    logged: list[logging.LogRecord] = []
    log = logging.getLogger("web.server")
    handler = _Keep(logged)
    log.addHandler(handler)
    cleanup.callback(log.removeHandler, handler)
    logging.disable(logging.NOTSET)

    def call(data: bytes) -> None:
        logged.clear()
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            answer = b"".join(_exchange(connection, data))
        if logged and logged[0].exc_info:
            raise logged[0].exc_info[1] or AssertionError
        if re.search(rb"^HTTP/1\.1 5(?!0[1357])", answer, re.MULTILINE):
            raise AssertionError(answer[:60])
        if answer and not answer.startswith(b"HTTP/1.1 "):
            raise AssertionError("no HTTP answer")

    return mutated(REQUESTS, FRAMING_WORDS), call


def _exchange(connection: socket.socket, data: bytes) -> Iterator[bytes]:
    try:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(65536):
            yield part
    except ConnectionError:  # refused and closed before all of it was sent
        return


TARGETS = (
    Target("http-framing", 10000, _framing, clear=(FramingError, BodyError)),
    Target("http-server", 3000, _server),
)

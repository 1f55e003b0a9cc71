"""A small web server on this computer that answers as a test wants, over http or https."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import parse_http_list, parse_keqv_list

import numpy as np

from mien.images.codecs import encode_jpeg
from tests.patience import PATIENCE_S

CERTIFICATE = Path(__file__).with_name("localhost.pem")
"""Of localhost and 127.0.0.1, signed by itself, with its key."""
OTHER_CERTIFICATE = Path(__file__).with_name("elsewhere.pem")
"""Of elsewhere.example, signed by itself, with its key."""


class Request(BaseHTTPRequestHandler):
    """What an answer gets: a request, and ways to answer it."""

    protocol_version = "HTTP/1.1"
    server: Any

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        self.server.connections.add(self.client_address)
        self.server.answer(self)

    def send(self, body: bytes, kind: str = "image/jpeg", status: int = 200, **headers: str) -> None:
        """Answer with a body of known length."""
        self.send_response(status)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **given}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def stream(self, jpegs: list[bytes]) -> None:
        """Answer with Motion JPEG."""
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=x")
        self.send_header("Connection", "close")
        self.end_headers()
        for jpeg in jpegs:
            self.wfile.write(b"--x\r\nContent-Type: image/jpeg\r\n\r\n" + jpeg + b"\r\n")
        self.close_connection = True

    def cut(self) -> None:
        """Close the connection without an answer."""
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def web_camera(answer: Callable[[Request], None], certificate: Path | None = None) -> Iterator[tuple[str, Any]]:
    """A web server; yields its address, "http://127.0.0.1:PORT", and the server with what was `asked`."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Request)
    server.answer, server.asked, server.connections = answer, [], set()
    server.daemon_threads = True
    server.stopping = threading.Event()
    server.handle_error = lambda *_: None  # the reader disconnected
    if certificate is not None:
        wrap(server, certificate)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}", server
    finally:
        server.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE_S)


def wrap(server: Any, certificate: Path) -> None:
    """Let a server speak TLS; each handshake takes place in the thread of its connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)


def gray_jpeg(level: int = 120) -> bytes:
    """A gray image of 64 x 48 pixels."""
    return encode_jpeg(np.full((48, 64, 3), level, np.uint8))


def needs_basic(user: str, password: str, then: Callable[[Request], None]) -> Callable[[Request], None]:
    """An answer only for those who know the password, by Basic."""
    expected = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def answer(request: Request) -> None:
        if request.headers.get("Authorization") == expected:
            then(request)
        else:
            request.send(b"no", "text/plain", 401, WWW_Authenticate='Basic realm="camera"')

    return answer


def needs_digest(
    user: str,
    password: str,
    then: Callable[[Request], None],
    *,
    algorithm: str = "MD5",
    quality: str = ', qop="auth"',
    realm: str = "a camera",
) -> Callable[[Request], None]:
    """An answer only for those who know the password, by Digest; each nonce is good for three answers."""
    used = [0]
    name, quoted = algorithm.replace("-", "").lower(), realm.replace("\\", "\\\\").replace('"', '\\"')

    def digest(text: str) -> str:
        return hashlib.new(name, text.encode()).hexdigest()

    def is_right(header: str, path: str) -> bool:
        fields = parse_keqv_list(parse_http_list(header.removeprefix("Digest ")))
        first, second = digest(f"{user}:{realm}:{password}"), digest(f"GET:{path}")
        number = ":".join(fields[each] for each in ("nc", "cnonce", "qop")) + ":" if quality else ""
        response = digest(f"{first}:{fields['nonce']}:{number}{second}")
        given = [fields[each] for each in ("username", "realm", "uri", "response")]
        return given == [user, realm, path, response]

    def answer(request: Request) -> None:
        header = request.headers.get("Authorization") or ""
        right = header.startswith("Digest ") and is_right(header, request.path)
        nonce = re.search('nonce="n([0-9]+)"', header)
        fresh = nonce is not None and int(nonce[1]) == used[0] // 3
        if right and fresh:
            used[0] += 1
            then(request)
        else:
            stale = ", stale=true" if right else ""
            challenge = f'Digest realm="{quoted}", nonce="n{used[0] // 3}", algorithm={algorithm}{quality}{stale}'
            request.send(b"no", "text/plain", 401, WWW_Authenticate=challenge)

    return answer

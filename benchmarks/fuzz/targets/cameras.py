"""What a hostile camera sends: challenges that ask for the password."""

from __future__ import annotations

import http.client
import io
import re
from contextlib import ExitStack
from pathlib import Path

from hypothesis.strategies import SearchStrategy

from benchmarks.fuzz.mutations import WORDS, mutated
from benchmarks.fuzz.target import Call, Target
from mien.addresses import parse_address
from mien.sources.http_login import Login

PASSWORD = "Sw0rdf1sh"
CHALLENGES = (
    b'WWW-Authenticate: Basic realm="camera"\r\n\r\n',
    b'WWW-Authenticate: Digest realm="camera", nonce="abc", qop="auth,auth-int", algorithm=MD5, opaque="x"\r\n\r\n',
    b'WWW-Authenticate: Digest realm="IP \\"Camera\\"", nonce="0f3a", algorithm=SHA-256, qop="auth", stale=TRUE\r\n'
    b'WWW-Authenticate: Digest realm="camera", nonce="0f3a"\r\nWWW-Authenticate: Basic realm="camera"\r\n\r\n',
    b'WWW-Authenticate: Negotiate, Digest realm="a, b=c", nonce="x", Basic realm="camera"\r\n\r\n',
    b'WWW-Authenticate: Digest realm="folded",\r\n nonce="abc"\r\n\r\n',
)
SYNTAX = (
    *(b'"', b"\\", b'\\"', b",", b"=", b", ", b"\r\n ", b"\r\n\t", b"\r", b"\n", b"\0", b"\xff", b"\xc3\xa9"),
    *(b"Digest ", b"Basic ", b"nonce=", b'nonce=""', b"qop=", b"algorithm=", b"algorithm=MD5-sess", b"stale=true"),
    *(b"x=" * 2000, b"nonce=a, " * 500, b'"' * 999, b", Basic" * 500, b'\r\nAuthorization: "'),
)


def _login(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    address = parse_address(f"http://admin:{PASSWORD}@192.168.1.5/video?size=1")

    def call(data: bytes) -> None:
        challenges = http.client.parse_headers(io.BytesIO(data)).get_all("WWW-Authenticate") or []
        login = Login.chosen(address, challenges)
        if login is None:
            return
        for number in (1, 2):
            _check_answer(login.answer(address.target), number)

    return mutated(CHALLENGES, [*SYNTAX, *(word.encode("utf-8", "surrogatepass") for word in WORDS)]), call


def _check_answer(answer: str, number: int) -> None:
    """An answer is one line, and says who asks but not the password."""
    answer.encode("latin-1")
    if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", answer):
        raise AssertionError("an answer with control characters is sent")
    if PASSWORD in answer:
        raise AssertionError("an answer with the password is sent")
    if answer.startswith("Digest ") and "nc=" in answer and f"nc={number:08x}" not in answer:
        raise AssertionError("the answers are not counted")
    if not re.fullmatch(r'Basic [\w+/=]+|Digest username="admin"(, \w+=("([^"\\]|\\.)*"|[\w-]+))+', answer):
        raise AssertionError("an answer that is none")


TARGETS = (Target("camera-login", 5000, _login, clear=(http.client.HTTPException,)),)

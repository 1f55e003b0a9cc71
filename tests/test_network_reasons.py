"""Network cameras that do not answer as they should: each has its own message, and none shows a password."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable

import numpy as np
import pytest

from mien.errors import SourceError, SourceLoginError, SourceMissingError
from mien.sources import network, open_source
from tests.clips import write_video
from tests.patience import scaled
from tests.rtsp_camera import rtsp_camera
from tests.web_camera import Request, gray_jpeg, needs_basic, web_camera
from tests.web_fakes import free_port

SECRET = "s3cret"
GRAY = np.full((48, 64, 3), 120, np.uint8)


def refusal_of(url: str) -> str:
    """Why a source cannot be opened; it may be tried again."""
    with pytest.raises(SourceError) as caught:
        open_source(url).close()
    assert not isinstance(caught.value, SourceMissingError)
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None
    return str(caught.value)


def status(number: int) -> Callable[[Request], None]:
    return lambda request: request.send(b"no", "text/plain", number)


def redirect(target: str) -> Callable[[Request], None]:
    return lambda request: request.send(b"", status=302, Location=target)


ANSWERS = [
    (status(401), r"a user and a password are needed \(401\): http://USER:PASSWORD@127.0.0.1:\d+/\.\.\.$"),
    (needs_basic("me", "other", status(200)), r"a user and a password are needed \(401\)"),
    (status(403), r"refuses access \(403\)"),
    (status(404), r"nothing at this path \(404\)"),
    (status(410), r"nothing at this path \(410\)"),
    (status(503), r"answers 503 Service Unavailable"),
    (status(599), r"answers 599: "),
    (lambda request: request.send(b"<!DOCTYPE html><title>Login</title>", "text/html"), r"found a web page \(HTML\)"),
    (lambda request: request.send(b"<html>", "image/jpeg"), r"found a web page \(HTML\)"),
    (lambda request: request.send(b'{"error": "no"}', "application/json"), r"found a text file"),
    (lambda request: request.send(b""), r"found nothing \(0 bytes\)"),
    (lambda request: request.send(bytes(range(200)), "video/mp4"), r"found a file of an unknown type"),
    (lambda request: request.send(gray_jpeg()[:300]), r"JPEG image is broken or cut off"),
    (lambda request: request.stream([b"no image"] * 3), r"found a file of an unknown type|stopped|found"),
    (redirect("/again"), r"at most 5 redirects, found more"),
    (redirect("rtsp://127.0.0.1/"), r"a redirect to an http or https address, found another"),
    (redirect("file:///etc/passwd"), r"a redirect to an http or https address, found another"),
    (redirect(""), r"at most 5 redirects, found more"),
    (lambda request: request.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n"), r"answers in another way than http"),
    (Request.cut, r"the connection was closed|cannot be reached"),
]


@pytest.mark.parametrize(("answer", "message"), ANSWERS, ids=[message[:30] for _, message in ANSWERS])
def test_each_answer_without_video_has_its_own_message(answer, message):
    with web_camera(answer) as (url, _):
        found = refusal_of(f"{url}/video?key={SECRET}")
    assert found.startswith(url)
    assert re.search(message, found), found


def test_a_wrong_password_is_said_after_one_attempt():
    camera = web_camera(needs_basic("me", "other", status(200)))
    with camera as (url, server), pytest.raises(SourceLoginError, match=r"user or password is wrong \(401\)"):
        open_source(url.replace("//", f"//me:{SECRET}@"))
    assert len([login for _, login in server.asked if login]) == 1, "cameras lock the account after a few"


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        ("401 Unauthorized", r"a user and a password are needed \(401\): rtsp://USER:PASSWORD@"),
        ("403 Forbidden", r"refuses access \(403\)"),
        ("404 Not Found", r"nothing at this path \(404\)"),
        ("500 Internal Server Error", r"answers 500 Internal"),
        ("454 Session Not Found", r"answers 4"),
    ],
)
def test_an_rtsp_camera_that_refuses_says_why(refusal, message):
    with rtsp_camera([GRAY], refusal=refusal) as (url, _):
        assert re.search(message, refusal_of(f"{url}?key={SECRET}"))


def test_an_rtsp_camera_with_another_password_says_so():
    with rtsp_camera([GRAY], login="me:other") as (url, _), pytest.raises(SourceLoginError, match="is wrong") as caught:
        open_source(url.replace("//", f"//me:{SECRET}@"))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("scheme", ["http", "https", "rtsp", "rtsps"])
@pytest.mark.parametrize("fault", ["refused", "unknown", "silent"])
def test_a_camera_that_is_not_there_says_what_to_check(monkeypatch, scheme, fault):
    if fault == "silent":  # the others are to be said, not waited for
        monkeypatch.setattr(network, "URL_TIMEOUT_S", 0.5)
    with socket.create_server(("127.0.0.1", free_port())) as silent:
        port = silent.getsockname()[1]
        if fault == "refused":
            silent.close()
        host = "nowhere.invalid" if fault == "unknown" else "127.0.0.1"
        begun_s = time.monotonic()
        found = refusal_of(f"{scheme}://me:{SECRET}@{host}:{port}/video")
    if fault == "silent":
        assert time.monotonic() - begun_s < scaled(5)
    expected = {
        "refused": f"nothing listens on port {port} there: check the port",
        "unknown": "no computer is called nowhere.invalid: check the name",
        "silent": "no answer within 0.5 s: check the address",
    }
    assert expected[fault] in found


@pytest.mark.parametrize("scheme", ["https", "rtsps"])
def test_a_port_without_encryption_is_named(scheme):
    with web_camera(status(200)) as (url, _):
        assert f"without encryption, or with one that is outdated: try {scheme[:-1]}://" in refusal_of(
            url.replace("http", scheme)
        )


def test_a_web_server_is_no_rtsp_camera():
    with web_camera(status(200)) as (url, _):
        assert "answers in another way than rtsp: check port and scheme" in refusal_of(url.replace("http", "rtsp"))


@pytest.mark.parametrize("part", ["head", "snapshot", "stream"])
def test_an_answer_that_comes_byte_by_byte_is_given_up_in_time(monkeypatch, part):
    monkeypatch.setattr(network, "URL_TIMEOUT_S", 0.5)

    def drip(request: Request) -> None:
        if part == "snapshot":
            request.send(gray_jpeg()[:50], Content_Length="100000")
        elif part == "stream":
            request.stream([])
            request.wfile.write(b"--x\r\nContent-Type: image/jpeg\r\n\r\n")
        else:
            request.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not request.server.stopping.wait(0.1):
            request.wfile.write(b"x")

    with web_camera(drip) as (url, _):
        begun_s = time.monotonic()
        assert re.search(r"no answer within 0.5 s|sent no picture for 0.5 s", refusal_of(url))
        assert time.monotonic() - begun_s < scaled(5)


def test_a_redirect_is_followed_and_the_password_goes_to_no_other_server():
    with web_camera(lambda request: request.send(gray_jpeg())) as (elsewhere, there):

        def lead(request: Request) -> None:
            request.send(b"", status=307, Location="/here" if request.path == "/" else f"{elsewhere}/there")

        with (
            web_camera(needs_basic("me", SECRET, lead)) as (url, here),
            open_source(url.replace("//", f"//me:{SECRET}@")) as source,
        ):
            assert source.read().width == 64
            assert source.name == f"{url.replace('//', '//***@')}/"
    assert [path for path, _ in here.asked] == ["/", "/", "/here"]
    assert there.asked[0] == ("/there", None)


def test_a_file_behind_a_redirect_is_played(tmp_path):
    video = write_video(tmp_path / "a.mp4", [GRAY] * 5).read_bytes()

    def answer(request: Request) -> None:
        if request.path == "/":
            request.send(b"", status=301, Location="/a.mp4")
        else:
            request.send(video, "video/mp4")

    with web_camera(answer) as (url, _), open_source(f"{url}/", loop=False, paced=False) as source:
        assert abs(source.read().pixels_bgr.mean() - 120) < 6
        assert source.state == "file"


def test_a_login_is_not_needed_for_what_is_public():
    with web_camera(lambda request: request.send(gray_jpeg())) as (url, server):
        open_source(url.replace("//", f"//me:{SECRET}@")).close()
    assert server.asked == [("/", None)], "a password is sent only to those who ask for it"

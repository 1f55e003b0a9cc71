"""Cameras that give one image for each request, polled as a live source."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from camera import VideoCamera
from mien.errors import SourceError
from mien.images import codecs
from mien.images.codecs import encode_jpeg, encode_png
from mien.sources import open_source, snapshots
from mien.sources.snapshots import FASTEST_S, SLOWEST_S, SnapshotSource
from mien.stream.config import Timeouts
from tests.fakes import FakeClock, FakePipeline
from tests.patience import PATIENCE_S, wait_for
from tests.web_camera import Request, gray_jpeg, needs_basic, needs_digest, web_camera

TRICKY = "p@ss/w#rd?1"


def changing(request: Request) -> None:
    """A new image for each request."""
    request.server.sent = getattr(request.server, "sent", 0) + 1
    request.send(gray_jpeg(10 * request.server.sent))


def test_the_newest_image_is_requested_ten_times_a_second_over_one_connection():
    clock = FakeClock()
    with web_camera(changing) as (url, server), open_source(f"{url}/shot.jpg", clock=clock) as source:
        assert isinstance(source, SnapshotSource)
        assert (source.state, source.name, source.spec) == ("live", f"{url}/shot.jpg", f"{url}/shot.jpg")
        begun_s = clock.now_s
        frames = [source.read() for _ in range(6)]
        assert clock.now_s - begun_s == pytest.approx(5 * FASTEST_S)
        assert [round(frame.pixels_bgr.mean() / 10) for frame in frames] == [1, 2, 3, 4, 5, 6]
        assert [frame.index for frame in frames] == list(range(6))
        assert {frame.media_time_s for frame in frames} == {None}
        assert len(server.asked) == 6
        assert len(server.connections) == 1
    source.close()
    with pytest.raises(SourceError, match="closed"):
        source.read()


def test_snapshots_need_no_package_for_videos(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with web_camera(changing) as (url, _), open_source(url) as source:
        assert source.read().width == 64


@pytest.mark.parametrize("tagged", [False, True])
def test_an_image_that_does_not_change_is_requested_less_often_and_decoded_once(monkeypatch, tagged):
    decoded = []
    monkeypatch.setattr(
        snapshots, "decode_image", lambda data, **limits: decoded.append(limits) or codecs.decode_image(data, **limits)
    )
    levels = [50] * 6 + [90] * 2

    def answer(request: Request) -> None:
        level = levels[len(request.server.asked) - 1]
        if tagged and request.headers.get("If-None-Match") == f'"{level}"':
            request.send(b"", status=304)
        else:
            request.send(gray_jpeg(level), ETag=f'"{level}"') if tagged else request.send(gray_jpeg(level))

    clock = FakeClock()
    with web_camera(answer) as (url, server), open_source(url, clock=clock) as source:
        frames = [source.read() for _ in levels]
    assert clock.slept_s == pytest.approx([0.1, 0.2, 0.4, SLOWEST_S, SLOWEST_S, SLOWEST_S, FASTEST_S])
    assert len(decoded) == 2
    assert [round(frame.pixels_bgr.mean()) for frame in frames] == levels
    assert len(server.connections) == 1


@pytest.mark.parametrize("image", ["PNG", "chunked", "closed"])
def test_other_images_and_framings_are_read_too(image):
    def answer(request: Request) -> None:
        data = gray_jpeg()
        if image == "PNG":
            request.send(encode_png(np.full((48, 64, 3), 120, np.uint8)), "application/octet-stream")
            return
        request.send_response(200)
        request.send_header("Content-Type", "image/jpeg")
        request.send_header(*(("Transfer-Encoding", "chunked") if image == "chunked" else ("Connection", "close")))
        request.end_headers()
        request.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data) if image == "chunked" else data)

    with web_camera(answer) as (url, _), open_source(url) as source:
        assert [round(source.read().pixels_bgr.mean()) for _ in range(3)] == [120] * 3


LOGINS = {
    "Basic": needs_basic("me", TRICKY, changing),
    "Digest": needs_digest("me", TRICKY, changing),
    "Digest of a camera with a quoted name": needs_digest("me", TRICKY, changing, realm='IP "Camera" \\ 2'),
    "Digest without qop": needs_digest("me", TRICKY, changing, quality=""),
    "Digest SHA-256": needs_digest("me", TRICKY, changing, algorithm="SHA-256"),
    "Digest with a choice": needs_digest("me", TRICKY, changing, quality=', qop="auth,auth-int"'),
}


@pytest.mark.parametrize("way", LOGINS)
def test_a_password_of_any_kind_opens_the_camera(way, caplog, capfd):
    caplog.set_level("DEBUG")
    with web_camera(LOGINS[way]) as (url, server):
        with open_source(url.replace("//", f"//me:{TRICKY}@"), clock=FakeClock()) as source:
            assert [source.read().index for _ in range(8)] == list(range(8))
            assert source.name == url.replace("//", "//***@") + "/"
        assert len(server.asked) <= 12, "the password is sent along, without a refusal each time"
    assert not [each for each in (TRICKY, "p%40ss", "w#rd") if each in caplog.text + capfd.readouterr().err]


def test_a_camera_that_begins_to_refuse_is_an_error_with_its_reason():
    answers = iter([changing, lambda request: request.send(b"<html>Login", "text/html"), changing, Request.cut])

    def answer(request: Request) -> None:
        next(answers, Request.cut)(request)

    with web_camera(answer) as (url, _), open_source(url, clock=FakeClock()) as source:
        source.read()
        with pytest.raises(SourceError, match=r"found a web page \(HTML\)"):
            source.read()
        source.read()
        with pytest.raises(SourceError, match=r"the connection was closed|cannot be reached"):
            source.read()


def test_a_connection_that_the_camera_closes_between_images_is_opened_again():
    def answer(request: Request) -> None:
        changing(request)
        request.close_connection = True  # without saying so in a header

    with web_camera(answer) as (url, server), open_source(url, clock=FakeClock()) as source:
        assert [source.read().index for _ in range(4)] == [0, 1, 2, 3]
    assert len(server.connections) == 4


def test_images_obey_the_limits_of_bytes_and_pixels(monkeypatch):
    monkeypatch.setattr(snapshots, "MAX_IMAGE_BYTES", 5_000)
    noise = np.random.default_rng(1).integers(0, 255, (90, 120, 3), np.uint8)

    def endless(request: Request) -> None:
        request.send(gray_jpeg(), Content_Length=str(10**12))
        while True:
            request.wfile.write(bytes(65_536))

    for answer in (lambda request: request.send(encode_jpeg(noise, 100)), endless):
        with web_camera(answer) as (url, _), pytest.raises(SourceError, match="at most 5000 bytes"):
            open_source(url)
    bomb = bytearray(encode_png(np.zeros((1, 1, 3), np.uint8)))
    bomb[16:24] = (20_000).to_bytes(4, "big") * 2
    bombs = web_camera(lambda request: request.send(bytes(bomb)))
    with bombs as (url, _), pytest.raises(SourceError, match="400 megapixels"):
        open_source(url)


def test_a_camera_that_comes_back_is_shown_again():
    down = [False]
    timeouts = Timeouts(hang_after_s=PATIENCE_S, open_within_s=PATIENCE_S, backoff_s=(0.01, 0.05))

    def answer(request: Request) -> None:
        request.send(b"busy", "text/plain", 503) if down[0] else changing(request)

    with web_camera(answer) as (url, server), VideoCamera(url, FakePipeline(), timeouts=timeouts) as camera:
        wait_for(lambda: camera.status().state == "live" and getattr(server, "sent", 0) > 2)
        down[0] = True
        wait_for(lambda: camera.status().state == "reconnecting")
        assert "503 Service Unavailable" in (camera.status().reason or "")
        down[0] = False
        wait_for(lambda: camera.status().state == "live")

"""Certificates of network cameras are verified unless the user says otherwise; passwords reach each kind of camera."""

from __future__ import annotations

import av
import numpy as np
import pytest

from mien.errors import SourceError
from mien.sources import network_video, open_source
from mien.sources.network import StreamSource
from tests.clips import write_video
from tests.rtsp_camera import rtsp_camera
from tests.web_camera import (
    CERTIFICATE,
    OTHER_CERTIFICATE,
    Request,
    gray_jpeg,
    needs_basic,
    needs_digest,
    web_camera,
)

GRAY = np.full((48, 64, 3), 120, np.uint8)
TRICKY = "p@ss/w#rd?1"
KINDS = ("/snapshot", "/stream", "/file.mp4", "/list.m3u8")
UNVERIFIED = r"its certificate cannot be verified \(.+\): --insecure accepts it unverified$"


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, bytes]:
    """A video, and the same as an HLS stream."""
    folder = tmp_path_factory.mktemp("served")
    path = write_video(folder / "file.mp4", [GRAY] * 20, codec="libx264")
    with av.open(str(path)) as source, av.open(str(folder / "list.m3u8"), "w", format="hls") as container:
        copy = container.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = copy
                container.mux(packet)
    return {f"/{each.name}": each.read_bytes() for each in folder.iterdir()}


def serving(files: dict[str, bytes]):
    def answer(request: Request) -> None:
        if request.path == "/snapshot":
            request.send(gray_jpeg())
        elif request.path == "/stream":
            request.stream([gray_jpeg()] * 50)
        else:
            request.send(files[request.path], "application/octet-stream")

    return answer


def level(url: str, **options: object) -> float:
    with open_source(url, loop=False, paced=False, **options) as source:
        return source.read().pixels_bgr.mean()


@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_that_cannot_be_verified_is_refused_unless_insecure(files, kind):
    with web_camera(serving(files), CERTIFICATE) as (url, server):
        with pytest.raises(SourceError, match=UNVERIFIED):
            open_source(f"{url}{kind}")
        assert not server.asked
        assert abs(level(f"{url}{kind}", insecure=True) - 120) < 6


@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_of_an_authority_that_is_trusted_is_accepted(files, monkeypatch, kind):
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with web_camera(serving(files), CERTIFICATE) as (url, _):
        assert abs(level(f"{url}{kind}") - 120) < 6


def test_a_certificate_for_another_host_is_refused(files, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(OTHER_CERTIFICATE))
    with web_camera(serving(files), OTHER_CERTIFICATE) as (url, _), pytest.raises(SourceError, match=UNVERIFIED):
        open_source(f"{url}/snapshot")
    with rtsp_camera([GRAY], certificate=OTHER_CERTIFICATE) as (url, _), pytest.raises(SourceError, match=UNVERIFIED):
        open_source(url)


def test_parts_of_a_stream_are_verified_too(files, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    (part,) = [name[1:] for name in files if name.endswith(".ts")]
    with web_camera(serving(files), OTHER_CERTIFICATE) as (elsewhere, there):
        playlist = files["/list.m3u8"].replace(part.encode(), f"{elsewhere}/{part}".encode())
        with web_camera(serving({"/list.m3u8": playlist}), CERTIFICATE) as (url, _):
            with pytest.raises(SourceError, match=UNVERIFIED):
                level(f"{url}/list.m3u8")
            assert not there.asked
            assert abs(level(f"{url}/list.m3u8", insecure=True) - 120) < 6


def test_an_encrypted_stream_whose_parts_cannot_be_verified_is_named(files, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    key = b'#EXT-X-KEY:METHOD=AES-128,URI="key"\n#EXTINF'
    answers = {**files, "/key": bytes(16), "/list.m3u8": files["/list.m3u8"].replace(b"#EXTINF", key, 1)}
    expected = r"without encryption of its parts .* only --insecure plays it"
    with web_camera(serving(answers), CERTIFICATE) as (url, _), pytest.raises(SourceError, match=expected):
        open_source(f"{url}/list.m3u8")


@pytest.mark.parametrize("trusted", [False, True])
def test_rtsp_over_tls_is_verified(monkeypatch, trusted):
    with rtsp_camera([GRAY] * 100, certificate=CERTIFICATE) as (url, camera):
        if trusted:
            monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        else:
            with pytest.raises(SourceError, match=UNVERIFIED):
                open_source(url)
            assert not camera.asked
        with open_source(url, insecure=not trusted) as source:
            assert isinstance(source, StreamSource)
            assert abs(source.read().pixels_bgr.mean() - 120) < 6


def test_no_redirect_leads_from_https_to_http(files, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with web_camera(serving(files)) as (plain, there):

        def answer(request: Request) -> None:
            request.send(b"", status=302, Location=f"{plain}/snapshot")

        with web_camera(answer, CERTIFICATE) as (url, _):
            with pytest.raises(SourceError, match="expected https, but it redirects to http://"):
                open_source(url)
            assert not there.asked
            assert abs(level(url, insecure=True) - 120) < 6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("needs", [needs_basic, needs_digest])
def test_a_password_reaches_every_kind_of_source(files, kind, needs, caplog, capfd):
    caplog.set_level("DEBUG")
    with web_camera(needs("me", TRICKY, serving(files))) as (url, _):
        assert abs(level(url.replace("//", f"//me:{TRICKY}@") + kind) - 120) < 6
    assert not [each for each in (TRICKY, "p%40ss", "w#rd") if each in caplog.text + capfd.readouterr().err]


def test_a_password_reaches_an_rtsp_camera():
    with (
        rtsp_camera([GRAY] * 10, login=f"me:{TRICKY}") as (url, _),
        open_source(url.replace("rtsp://", f"RTSP://me:{TRICKY}@")) as source,
    ):
        assert source.name == url.replace("//", "//***@")
        assert abs(source.read().pixels_bgr.mean() - 120) < 6


def test_the_authorities_of_the_system_are_found(monkeypatch, tmp_path):
    monkeypatch.setattr(network_video, "AUTHORITIES", (str(tmp_path / "none"), str(CERTIFICATE)))
    monkeypatch.setattr(network_video.ssl, "get_default_verify_paths", lambda: type("Paths", (), {"cafile": None}))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    assert network_video.authorities() == str(CERTIFICATE)
    monkeypatch.setattr(network_video, "AUTHORITIES", ())
    assert network_video.authorities() is None

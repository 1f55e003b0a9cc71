"""What an address may deliver: video, and nothing that opens another file, another address or a port."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest

from mien.errors import SourceEndedError, SourceError
from mien.images.codecs import encode_jpeg
from mien.sources import decoder, network, network_video, open_source
from mien.sources.files import VideoSource
from mien.sources.network import StreamSource
from mien.stream.config import Services, Timeouts
from mien.stream.switcher import Switcher
from tests.clips import write_video
from tests.patience import PATIENCE_S, scaled
from tests.rtsp_camera import rtsp_camera

GRAY = np.full((48, 64, 3), 120, np.uint8)


@contextmanager
def serving(
    answers: dict[str, bytes], content_type: str = "application/octet-stream"
) -> Iterator[tuple[str, list[str]]]:
    """A web server with these answers by path; yields its address and the paths requested so far."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = answers.get(self.path)
            if body is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def secret(tmp_path):
    """A video of this computer that no address may make Mien open."""
    return write_video(tmp_path / "secret.avi", [GRAY] * 5, codec="mjpeg")


def test_an_rtsp_camera_is_read_over_its_own_connection():
    pictures = [np.full((48, 64, 3), level, np.uint8) for level in range(40, 240, 10)]
    with rtsp_camera(pictures) as (url, camera), open_source(url) as source:
        assert isinstance(source, StreamSource)
        levels = [source.read().pixels_bgr.mean() for _ in range(10)]
    assert levels == pytest.approx(range(40, 140, 10), abs=6)
    assert all("TCP" in transport for transport in camera.transports)


def test_a_session_description_opens_no_port():
    text = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 50044 RTP/AVP 26\n"
    begun_s = time.monotonic()
    with serving({"/camera": text.encode()}, "application/sdp") as (url, _), pytest.raises(SourceError):
        open_source(f"{url}/camera")
    assert time.monotonic() - begun_s < network.URL_TIMEOUT_S, "refused, not waited for"


@pytest.mark.parametrize(
    "scheme", ["file://{}", "{}", "concat:{}", "subfile,,start,0,end,0,,:{}", "data:text/plain,{}"]
)
def test_a_playlist_reaches_no_file_of_this_computer(secret, scheme):
    part = scheme.format(secret)
    playlist = f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.2,\n{part}\n#EXT-X-ENDLIST\n"
    with (
        serving({"/list.m3u8": playlist.encode()}, "application/vnd.apple.mpegurl") as (url, _),
        pytest.raises(SourceError),
    ):
        open_source(f"{url}/list.m3u8")


@pytest.mark.parametrize(
    "text", ["ffconcat version 1.0\nfile '{}'\n", "<MPD><BaseURL>{}</BaseURL></MPD>", "<html>{}</html>"]
)
def test_lists_and_pages_are_no_video(secret, text):
    with serving({"/a.mp4": text.format(secret).encode()}) as (url, asked), pytest.raises(SourceError):
        open_source(f"{url}/a.mp4")
    assert set(asked) == {"/a.mp4"}


def test_a_playlist_of_parts_on_the_same_server_is_played(tmp_path):
    part = write_video(tmp_path / "part.ts", [GRAY] * 25, codec="libx264").read_bytes()
    playlist = b"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\npart.ts\n#EXT-X-ENDLIST\n"
    with (
        serving({"/list.m3u8": playlist, "/part.ts": part}) as (url, _),
        open_source(f"{url}/list.m3u8", loop=False, paced=False) as source,
    ):
        assert isinstance(source, VideoSource)
        assert abs(source.read().pixels_bgr.mean() - 120) < 6


def hls(*lines: str) -> bytes:
    return "\n".join(["#EXTM3U", "#EXT-X-VERSION:3", *lines, ""]).encode()


def segment(name: str, *lines: str) -> bytes:
    return hls("#EXT-X-TARGETDURATION:1", *lines, "#EXTINF:1.0,", name, "#EXT-X-ENDLIST")


def write_sound(path: Path, codec: str, form: str) -> bytes:
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=48000, layout="stereo")
        layout = "fltp" if codec != "libmp3lame" else "s16p"
        size = stream.codec_context.frame_size or 1024
        for at in range(0, 48000, size):
            samples = np.zeros((2, size), np.float32 if layout == "fltp" else np.int16)
            block = av.AudioFrame.from_ndarray(samples, format=layout, layout="stereo")
            block.sample_rate, block.pts = 48000, at
            container.mux(stream.encode(block))
        container.mux(stream.encode())
    return path.read_bytes()


def level_of(url: str) -> float:
    """The mean of the first picture of a video on a server, once it has been played to its end."""
    with open_source(url, loop=False, paced=False) as source, pytest.raises(SourceEndedError):
        level = source.read().pixels_bgr.mean()
        while True:
            source.read()
    return level


@pytest.mark.parametrize("rendition", ["separate sound", "sound alone"])
@pytest.mark.parametrize(
    ("suffix", "codec", "form"),
    [("aac", "aac", "adts"), ("mp3", "libmp3lame", "mp3"), ("ac3", "ac3", "ac3"), ("ec3", "eac3", "eac3")],
)
def test_a_stream_with_sound_in_files_apart_is_played(tmp_path, suffix, codec, form, rendition):
    variants = ["#EXT-X-STREAM-INF:BANDWIDTH=900000", "video.m3u8"]
    if rendition == "sound alone":
        variants = ["#EXT-X-STREAM-INF:BANDWIDTH=64000", "sound.m3u8", *variants]
    else:
        variants[0] += ',AUDIO="a"'
        variants.insert(0, '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="a",DEFAULT=YES,URI="sound.m3u8"')
    answers = {
        "/list.m3u8": hls(*variants),
        "/video.m3u8": segment("part.ts"),
        "/sound.m3u8": segment(f"part.{suffix}"),
        "/part.ts": write_video(tmp_path / "part.ts", [GRAY] * 25, codec="libx264").read_bytes(),
        f"/part.{suffix}": write_sound(tmp_path / f"part.{suffix}", codec, form),
    }
    with serving(answers) as (url, _):
        assert abs(level_of(f"{url}/list.m3u8") - 120) < 6


def test_a_stream_with_subtitles_is_played(tmp_path):
    answers = {
        "/list.m3u8": hls(
            '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="s",DEFAULT=YES,LANGUAGE="en",URI="text.m3u8"',
            '#EXT-X-STREAM-INF:BANDWIDTH=900000,SUBTITLES="s"',
            "video.m3u8",
        ),
        "/video.m3u8": segment("part.ts"),
        "/text.m3u8": segment("part.vtt"),
        "/part.ts": write_video(tmp_path / "part.ts", [GRAY] * 25, codec="libx264").read_bytes(),
        "/part.vtt": b"WEBVTT\n\n00:00.000 --> 00:00.900\nHello\n",
    }
    with serving(answers) as (url, _):
        assert abs(level_of(f"{url}/list.m3u8") - 120) < 6


def encrypted(folder: Path, key_url: str) -> dict[str, bytes]:
    """An HLS stream that is encrypted by AES-128."""
    part = write_video(folder / "part.ts", [GRAY] * 25, codec="libx264")
    (folder / "key.ts").write_bytes(bytes(range(16)))
    (folder / "key.txt").write_text(f"{key_url}\n{folder / 'key.ts'}\n")
    options = {"hls_key_info_file": str(folder / "key.txt"), "hls_time": "9", "hls_playlist_type": "vod"}
    with (
        av.open(str(part)) as source,
        av.open(str(folder / "list.m3u8"), "w", format="hls", options=options) as container,
    ):
        copy = container.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = copy
                container.mux(packet)
    return {f"/{path.name}": path.read_bytes() for path in folder.iterdir() if path.suffix in (".m3u8", ".ts")}


def test_an_encrypted_stream_is_played(tmp_path):
    answers = encrypted(tmp_path, "key.ts")
    assert b"METHOD=AES-128" in answers["/list.m3u8"]
    with serving(answers) as (url, asked):
        assert abs(level_of(f"{url}/list.m3u8") - 120) < 6
    assert "/key.ts" in asked


@pytest.mark.parametrize("scheme", ["{}", "file:{}", "crypto:{}", "crypto+file:{}"])
@pytest.mark.parametrize("which", ["part", "key"])
def test_encryption_reaches_no_file_of_this_computer(tmp_path, scheme, which):
    """The same stream, except that its part or its key is a file here: where it were opened, it would be played."""
    answers = encrypted(tmp_path, scheme.format(tmp_path / "key.ts") if which == "key" else "key.ts")
    if which == "part":
        (name,) = [each[1:] for each in answers if each.startswith("/list") and each.endswith(".ts")]
        local = scheme.format(tmp_path / name).encode()
        answers["/list.m3u8"] = answers["/list.m3u8"].replace(name.encode(), local)
    with serving(answers) as (url, _), pytest.raises(SourceError):
        open_source(f"{url}/list.m3u8", loop=False, paced=False).read()


def test_what_is_decrypted_comes_from_an_allowed_protocol(tmp_path):
    encrypted(tmp_path, "key.ts")
    (part,) = tmp_path.glob("list*.ts")
    options = (("decryption_key", bytes(range(16)).hex()), ("decryption_iv", bytes(16).hex()))
    allowed = decoder.Access(network_video.FORMATS, (*network_video.PROTOCOLS, "file"), options=options)
    with decoder.open_container(f"crypto+file:{part}", allowed) as container:
        assert container.streams.video
    with pytest.raises(av.error.FFmpegError):
        decoder.open_container(f"crypto+file:{part}", replace(allowed, protocols=network_video.PROTOCOLS))


def test_pictures_of_a_camera_have_the_limit_of_images(monkeypatch):
    monkeypatch.setattr(decoder, "MAX_IMAGE_PIXELS", 64 * 48)
    large = np.zeros((480, 640, 3), np.uint8)
    for picture, fits in ((GRAY, True), (large, False)):
        part = b"--x\r\nContent-Type: image/jpeg\r\n\r\n" + encode_jpeg(picture) + b"\r\n"
        with serving({"/": part * 9 + b"--x--\r\n"}, "multipart/x-mixed-replace; boundary=x") as (url, _):
            if fits:
                with open_source(f"{url}/") as source:
                    assert isinstance(source, StreamSource)
                    assert source.read().width == 64
            else:
                with pytest.raises(SourceError):
                    open_source(f"{url}/")


def test_a_camera_that_sends_no_picture_leaves_the_previous_source(monkeypatch):
    monkeypatch.setattr(network, "URL_TIMEOUT_S", scaled(0.5))
    headers = b"--x\r\nContent-Type: image/jpeg\r\n\r\n"

    def open_any(spec, wanted):
        return open_source(spec, paced=spec == "demo", wanted=wanted)

    switcher = Switcher(
        "demo", open_any, idle_after_s=None, services=Services(), timeouts=Timeouts(open_within_s=PATIENCE_S)
    )
    try:
        switcher.start()
        with serving({"/": headers}, "multipart/x-mixed-replace; boundary=x") as (url, _), pytest.raises(SourceError):
            switcher.switch(f"{url}/")
        sequence, _ = switcher.frames.wait(after=0, timeout_s=PATIENCE_S)
        assert switcher.frames.wait(after=sequence, timeout_s=PATIENCE_S)[0] > sequence
        assert switcher.status().name == "Demo"
    finally:
        switcher.stop()

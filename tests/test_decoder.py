"""Videos as files really are: odd pixels, turned, trimmed, HDR, absurd rates, cover pictures, and limits."""

from __future__ import annotations

import os
import sys
import time
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from mien.batch.frames import read_frames
from mien.batch.inputs import find_inputs
from mien.errors import MienError, SourceEndedError, SourceMissingError
from mien.images import codecs
from mien.images.animation import media_type
from mien.sources import decoder, open_source
from mien.sources.files import ImageSource
from mien.sources.upright import tone_curve, turned
from tests.clips import trim_by_edit_list, turn_by_metadata, write_video
from tests.patience import scaled

RED, GREEN, BLUE, WHITE = (0, 0, 255), (0, 255, 0), (255, 0, 0), (255, 255, 255)


def quarters(width: int = 64, height: int = 48) -> np.ndarray:
    """Red and green above blue and white."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2], pixels[: height // 2, width // 2 :] = RED, GREEN
    pixels[height // 2 :, : width // 2], pixels[height // 2 :, width // 2 :] = BLUE, WHITE
    return pixels


def corners(pixels: np.ndarray) -> str:
    """The colors of the corners, from the upper left in reading order: rgbw for `quarters`."""
    names = {RED: "r", GREEN: "g", BLUE: "b", WHITE: "w"}
    found = [pixels[y, x].astype(int) for y in (3, -4) for x in (3, -4)]
    return "".join(min(names.items(), key=lambda each: abs(each[0] - color).sum())[1] for color in found)


def played(path: Path) -> list[np.ndarray]:
    """All frames of the live program, which are those of `analyze`."""
    frames = []
    with (
        open_source(str(path), loop=False, paced=False) as source,
        pytest.raises(SourceEndedError, match="played to its end"),
    ):
        while True:
            frames.append(source.read().pixels_bgr)
    analyzed = [frame.pixels_bgr for frame in read_frames(path)]
    assert len(analyzed) == len(frames), "`analyze` sees the same frames"
    assert all(np.array_equal(one, other) for one, other in zip(frames, analyzed, strict=True))
    return frames


def encoded(path: Path, pictures: list[np.ndarray], codec: str = "libx264", **context: object) -> Path:
    """A video at 25 per second whose codec context has these values."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"x265-params": "log-level=none"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p10le" if codec == "libx265" else "yuv420p"
        for name, value in context.items():
            setattr(stream.codec_context, name, value)
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("aspect", "size"),
    [("64:45", (91, 48)), ("8:9", (57, 48)), ("1:1", (64, 48)), ("200:1", (64, 48)), ("1:200", (64, 48))],
)
def test_pixels_that_are_not_square_are_made_so_unless_absurd(tmp_path, aspect, size):
    path = encoded(tmp_path / "a.mkv", [quarters()] * 3, sample_aspect_ratio=Fraction(aspect.replace(":", "/")))
    frames = played(path)
    assert [(frame.shape[1], frame.shape[0]) for frame in frames] == [size] * 3
    assert corners(frames[0]) == "rgbw"


TURNS = {
    (1, 0, 0, 1): "rgbw",
    (0, 1, -1, 0): "brwg",  # a quarter turn clockwise
    (-1, 0, 0, -1): "wbgr",
    (0, -1, 1, 0): "gwrb",
    (-1, 0, 0, 1): "grwb",  # mirrored, as by some front cameras
    (1, 0, 0, -1): "bwrg",
    (0, 1, 1, 0): "rbgw",
    (0, -1, -1, 0): "wgbr",
}


@pytest.mark.parametrize("turn", TURNS)
def test_frames_are_turned_and_mirrored_as_the_file_asks(tmp_path, turn):
    path = turn_by_metadata(write_video(tmp_path / "phone.mp4", [quarters()] * 3), turn)
    frame = played(path)[0]
    assert corners(frame) == TURNS[turn]
    assert frame.shape == ((48, 64, 3) if turn[0] else (64, 48, 3))


def test_a_matrix_of_zeros_changes_nothing():
    assert corners(turned(quarters(), (0,) * 9)) == "rgbw"


def test_a_video_trimmed_by_an_edit_list_counts_as_whole(tmp_path):
    path = trim_by_edit_list(encoded(tmp_path / "a.mp4", [quarters()] * 50), 0.5)
    assert 20 <= len(played(path)) <= 30


def test_a_cover_picture_is_not_played(tmp_path):
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        sound = container.add_stream("aac", rate=44100)
        for _ in range(20):
            samples = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
            samples.rate = 44100
            container.mux(sound.encode(samples))
        container.mux(cover.encode(av.VideoFrame.from_ndarray(quarters(), format="bgr24")))
        container.mux([*cover.encode(), *sound.encode()])
    with pytest.raises(SourceMissingError, match="found only a cover picture"):
        open_source(str(path))


def test_a_title_in_any_encoding_is_no_error(tmp_path):
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "Cafeteria"
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(quarters(), format="bgr24")))
        container.mux(stream.encode())
    path.write_bytes(path.read_bytes().replace(b"Cafeteria", b"Caf\xe9teria"[:9]))
    assert len(played(path)) == 1


@pytest.mark.parametrize(("fps", "last_s"), [(1000, 59 / 25), (960, 59 / 960)])
def test_a_rate_of_a_thousand_is_not_believed_while_slow_motion_is(tmp_path, fps, last_s):
    path = tmp_path / "fast.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for _ in range(60):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(quarters(), format="bgr24")))
        container.mux(stream.encode())
    with open_source(str(path), loop=False, paced=False) as source:
        times_s = [source.read().media_time_s for _ in range(60)]
    assert times_s[-1] == pytest.approx(last_s)


# --- animated images


def save_animation(path: Path, count: int = 3) -> Path:
    pictures = [Image.fromarray(np.full((32, 48, 3), 40 + 60 * number, np.uint8)) for number in range(count)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100)
    return path


@pytest.mark.parametrize("suffix", ["gif", "png", "avif"])
def test_an_animated_image_is_played(tmp_path, suffix, caplog):
    caplog.set_level("INFO")
    path = save_animation(tmp_path / f"a.{suffix}")
    assert [each.is_image for each in find_inputs([str(path)]).found] == [False]
    assert [round(frame.mean(), -1) for frame in played(path)] == [40, 100, 160]
    assert "contrary" not in caplog.text


@pytest.mark.parametrize("suffix", ["gif", "png"])
def test_a_still_image_in_such_a_format_is_an_image(tmp_path, suffix):
    path = save_animation(tmp_path / f"a.{suffix}", 1)
    assert [each.is_image for each in find_inputs([str(path)]).found] == [True]
    with open_source(str(path)) as source:
        assert isinstance(source, ImageSource)


def test_an_animated_webp_shows_its_first_picture_and_the_log_says_so(tmp_path, caplog):
    caplog.set_level("INFO")
    path = save_animation(tmp_path / "a.webp")
    with open_source(str(path)) as source:
        assert round(source.read().pixels_bgr.mean(), -1) == 40
    assert "a.webp is animated: only its first picture is shown" in caplog.text
    caplog.clear()
    assert find_inputs([str(path)]).found[0].is_image
    assert "a.webp is animated: only its first picture is analyzed" in caplog.text


def test_motion_jpeg_without_a_container_is_played(tmp_path):
    pictures = [codecs.encode_jpeg(np.full((48, 64, 3), level, np.uint8)) for level in (40, 100, 160)]
    path = tmp_path / "a.jpg"
    path.write_bytes(b"".join(pictures))
    assert [round(frame.mean(), -1) for frame in played(path)] == [40, 100, 160]


def with_preview(jpeg: bytes) -> bytes:
    """A JPEG with a smaller one in its EXIF data, as cameras write it."""
    exif = b"Exif\0\0" + codecs.encode_jpeg(quarters(32, 24))
    return jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:]


HEADERS = b"\r\n--frame\r\nContent-Type: image/jpeg\r\n\r\n"


@pytest.mark.parametrize("name", ["a.mjpeg", "a.jpg"])
@pytest.mark.parametrize(
    ("change", "gap"),
    [(with_preview, b""), (bytes, b"\0" * 16), (bytes, HEADERS), (with_preview, HEADERS)],
    ids=["previews", "padding", "headers", "both"],
)
def test_motion_jpeg_with_previews_or_bytes_between_its_pictures_is_played(tmp_path, name, change, gap):
    pictures = [codecs.encode_jpeg(np.full((48, 64, 3), level, np.uint8)) for level in (40, 100, 160)]
    (tmp_path / name).write_bytes(gap.join(change(each) for each in pictures))
    assert [round(frame.mean(), -1) for frame in played(tmp_path / name)] == [40, 100, 160]


def test_a_photo_with_a_preview_of_its_own_size_in_front_is_an_image(tmp_path):
    preview = codecs.encode_jpeg(quarters())
    exif = b"Exif\0\0" + preview + preview
    photo = codecs.encode_jpeg(quarters())
    data = photo[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + photo[2:]
    (tmp_path / "a.jpg").write_bytes(data)
    with open_source(str(tmp_path / "a.jpg")) as source:
        assert isinstance(source, ImageSource)


@pytest.mark.parametrize("mark", [b"", b"\xff\xe2\0\x06MPF\0"])
def test_a_photo_with_a_preview_or_depth_map_behind_it_is_an_image(tmp_path, mark):
    photo, other = codecs.encode_jpeg(quarters()), codecs.encode_jpeg(quarters() if mark else quarters(32, 24))
    (tmp_path / "a.jpg").write_bytes(photo[:2] + mark + photo[2:] + other)
    with open_source(str(tmp_path / "a.jpg")) as source:
        assert isinstance(source, ImageSource)
        assert corners(source.read().pixels_bgr) == "rgbw"


@pytest.mark.parametrize("suffix", ["gif", "png", "jpg"])
def test_a_damaged_animation_is_an_image_or_a_video_but_no_other_error(tmp_path, suffix):
    if suffix == "jpg":
        whole = codecs.encode_jpeg(quarters()) * 2
    else:
        whole = save_animation(tmp_path / f"whole.{suffix}").read_bytes()
    for length in range(1, len(whole), 7):
        (tmp_path / f"cut.{suffix}").write_bytes(whole[:length])
        kind = media_type(tmp_path / f"cut.{suffix}")
        assert kind is None or kind.media in ("image", "video", "other")


# --- HDR


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_is_reduced_so_that_gray_keeps_its_order_and_white_is_white(transfer):
    curve = tone_curve(transfer).astype(int)
    assert curve[0] == 0
    assert curve[-1] == 255
    assert (np.diff(curve) >= 0).all()
    white = {16: 0.58, 18: 0.75}[transfer]  # diffuse white: Rec. ITU-R BT.2408, table 1
    assert 225 <= curve[round(255 * white)] <= 250


@pytest.mark.parametrize("transfer", [1, 2, 13])
def test_other_video_is_left_as_it_is(transfer):
    assert tone_curve(transfer) is None


def test_a_hdr_video_is_shown_as_bright_as_it_was_meant(tmp_path):
    gray = np.full((48, 64, 3), 98, np.uint8)  # 0.384 in PQ: 26 nits, 0.126 of diffuse white
    path = encoded(tmp_path / "a.mp4", [gray] * 3, "libx265", color_trc=16, color_primaries=9, colorspace=9)
    for frame in played(path):
        assert abs(frame.mean() - 255 * (1.055 * 0.126 ** (1 / 2.4) - 0.055)) < 8


def test_a_hdr_video_goes_on_at_once_when_it_begins_anew(tmp_path):
    pictures = [np.full((720, 1280, 3), level, np.uint8) for level in (60, 98, 140)]
    path = encoded(tmp_path / "a.mp4", pictures, "libx265", color_trc=16, color_primaries=9, colorspace=9)
    times_s, durations_s = [], []
    with open_source(str(path), loop=True, paced=False) as source:
        for _ in range(5 * len(pictures)):
            begun_s = time.perf_counter()
            times_s.append(source.read().media_time_s)
            durations_s.append(time.perf_counter() - begun_s)
    assert times_s == pytest.approx([0, 0.04, 0.08] * 5)
    anew_s = durations_s[len(pictures) :: len(pictures)]
    assert min(anew_s) < scaled(0.5), anew_s  # a busy computer may delay some of them


@pytest.mark.parametrize("way", ["file", "url"])
def test_without_av_a_video_says_what_to_install(tmp_path, monkeypatch, way):
    path = write_video(tmp_path / "a.mp4", [quarters()] * 3)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MienError, match=r"expected the package av .* pip install av installs it"):
        open_source(str(path) if way == "file" else "rtsp://127.0.0.1:9/")


# --- limits


def test_a_video_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    path = encoded(tmp_path / "large.mp4", [quarters()] * 3)
    monkeypatch.setattr(decoder, "MAX_IMAGE_PIXELS", 64 * 48 - 1)
    with pytest.raises(SourceMissingError, match=r"cut off|found 64x48"):
        open_source(str(path))


@pytest.mark.parametrize(
    ("aspect", "found"), [(8, "found 512x48 with square pixels"), (Fraction(1, 8), None), (200, None)]
)
def test_the_limit_counts_pixels_as_they_are_shown(tmp_path, monkeypatch, aspect, found):
    path = encoded(tmp_path / "wide.mkv", [quarters()] * 3, sample_aspect_ratio=Fraction(aspect))
    monkeypatch.setattr(decoder, "MAX_IMAGE_PIXELS", 8 * 64 * 48 - 1)
    if found is None:
        assert len(played(path)) == 3
        return
    with pytest.raises(SourceMissingError, match=found):
        open_source(str(path))


def test_pictures_that_grow_within_a_video_are_widened_within_the_limit(tmp_path, monkeypatch):
    path = tmp_path / "grows.mjpeg"
    wide = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\x08\0\1\0\0"  # pixels 8 times as wide as high
    jpegs = [codecs.encode_jpeg(quarters(size, size)) for size in (32, 32, 80, 80)]
    path.write_bytes(b"".join(each[:2] + wide + each[20:] for each in jpegs))
    monkeypatch.setattr(decoder, "MAX_IMAGE_PIXELS", 20_000)
    found = decoder.Decoder(decoder.open_container(str(path), decoder.Access(("mjpeg",), ("file",))), "grows")
    with found, pytest.raises(decoder.SourceError, match="cannot be decoded further"):
        while (picture := found.read()) is not None:
            assert found.pixels(picture).shape == (32, 256, 3)


def test_pictures_that_grow_within_a_video_are_not_decoded(tmp_path, monkeypatch):
    path = tmp_path / "grows.mjpeg"
    path.write_bytes(b"".join(codecs.encode_jpeg(quarters(size, size)) for size in (32, 32, 400, 400)))
    monkeypatch.setattr(decoder, "MAX_IMAGE_PIXELS", 100 * 100)
    found = decoder.Decoder(decoder.open_container(str(path), decoder.Access(("mjpeg",), ("file",))), "grows")
    with found, pytest.raises(decoder.SourceError, match="cannot be decoded further"):
        while found.read() is not None:
            pass


def test_only_the_demuxer_of_the_type_is_tried(tmp_path):
    inner = write_video(tmp_path / "inner.avi", [quarters()] * 3, codec="mjpeg")
    for name, text in {
        "a.mp4": f"ffconcat version 1.0\nfile '{inner}'\n",
        "b.avi": f"#EXTM3U\n#EXTINF:1,\nfile://{inner}\n#EXT-X-ENDLIST\n",
    }.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(av.error.FFmpegError):
            decoder.open_container(str(tmp_path / name), decoder.Access(("mov", "avi"), ("file",)))
        with pytest.raises(SourceMissingError, match="a playlist"):
            open_source(str(tmp_path / name))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has file names of any bytes")
@pytest.mark.parametrize("name", [b"caf\xe9.mp4", b"\xff\xfe.mp4", b"new\nline\x1b[2J.mp4", b"a:b%03d.mp4", b"-i.mp4"])
def test_a_video_with_a_name_of_any_bytes_is_played(tmp_path, name):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    write_video(tmp_path / "plain.mp4", [quarters()] * 3).rename(path)
    with open_source(str(path)) as source:
        frames = list(islice(iter(source.read, None), 4))
    assert [corners(frame.pixels_bgr) for frame in frames] == ["rgbw"] * 4
    assert source.name.encode("utf-8")
    assert source.name.isprintable()


def test_a_stream_that_appears_meanwhile_does_not_break_the_end() -> None:
    class Container:
        def demux(self, video):
            yield from (video, video)
            raise IndexError("list index out of range")  # as PyAV does when it counts the streams again

    assert list(decoder.packets_of(Container(), "packet")) == ["packet"] * 2

"""What a file is by its first bytes, and that every way in asks for it."""

import io
import os
import sys
import tarfile
import zipfile
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from mien.batch.inputs import NOT_A_FILE, find_inputs
from mien.errors import NotAnImageError, SourceForbiddenError, SourceMissingError
from mien.filetypes import HEAD_BYTES, describe, identify, read_head
from mien.images.codecs import decode_image
from mien.sources import open_source
from mien.sources.catalog import MediaFolder
from tests.clips import write_video

GRAY = np.full((32, 32, 3), 90, np.uint8)
HTML = b"\xef\xbb\xbf\n <!DOCTYPE html><html><body>404</body></html>"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n"
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(300)


def saved(form, **options):
    file = io.BytesIO()
    Image.fromarray(GRAY).save(file, form, **options)
    return file.getvalue()


def zipped():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.jpg", saved("JPEG"))
    return file.getvalue()


def tarred():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.jpg"))
    return file.getvalue()


@pytest.mark.parametrize(
    ("head", "name", "media", "usable"),
    [
        (saved("JPEG"), "JPEG", "image", True),
        (saved("PNG"), "PNG", "image", True),
        (saved("WEBP"), "WebP", "image", True),
        (saved("GIF"), "GIF", "image", True),
        (saved("BMP"), "BMP", "image", True),
        (saved("ICO"), "icon", "image", False),
        (saved("JPEG2000"), "JPEG 2000", "image", False),
        (saved("PPM"), "Netpbm", "image", False),
        (HEIC, "HEIC", "image", False),
        (b"\0\0\0\x18ftypmif1\0\0\0\0heicmif1", "HEIC", "image", False),
        *(
            (b"\0\0\0\x18ftyp" + major + b"\0\0\0\0mif1miaf", "HEIC", "image", False)
            for major in (b"avci", b"vvic", b"j2ki", b"jpeg", b"miaf", b"MiHE", b"MiHB", b"unif")
        ),
        (b"\0\0\0\x1cftypMA1B\0\0\0\0avifmif1miaf", "AVIF", "image", False),
        *(
            (b"\0\0\0\x18ftypXAVC\0\0\0\0mif1" + brand, "MP4", "video", True)
            for brand in (b"isom", b"iso2", b"iso6", b"mp41", b"mp42", b"avc1")
        ),
        (b"\0\0\0\x14ftypdash\0\0\0\0iso9", "MP4", "video", True),
        (b"\xff\x0a\x00", "JPEG XL", "image", False),
        (b"\0\0\0\x0cJXL \r\n\x87\n\0", "JPEG XL", "image", False),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "Canon raw", "image", False),
        (b'<?xml version="1.0"?><svg xmlns="x"/>', "SVG", "image", False),
        (b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42", "M4A", "audio", False),
        (b"RIFF\0\0\0\0WAVEfmt ", "WAV", "audio", False),
        (b"ID3\x04\0\0", "MP3", "audio", False),
        (b"\xff\xfb\x90\x64", "MP3", "audio", False),
        (b"fLaC\0", "FLAC", "audio", False),
        (zipped(), "ZIP", "other", False),
        (tarred(), "tar", "other", False),
        (b"\x1f\x8b\x08", "gzip", "other", False),
        (saved("PDF"), "PDF document", "other", False),
        (HTML, "web page (HTML)", "other", False),
        (LFS, "Git LFS pointer", "other", False),
        (b"ffconcat version 1.0\nfile a.mp4\n", "playlist", "other", False),
        (b"#EXTM3U\nfile:///etc/passwd\n", "playlist", "other", False),
        (b"v=0\r\nm=video 5004 RTP/AVP 96\r\n", "session description (SDP)", "other", False),
        ("Grüße".encode() * 999, "text file", "other", False),
        ("Grüße".encode("utf-16"), "text file", "other", False),
        (b"", "empty file", "other", False),
        (b"\0\0\0\x18stypmsdh\0\0\0\0msdhmsix", "QuickTime", "video", True),
        (b"\0\0\0\x18uuid" + bytes(16), "QuickTime", "video", True),
        (b"IMKH\1\1\0\0" + bytes(32) + b"\0\0\1\xba", "MPEG", "video", True),
        (bytes(70) + b"\1\xba\x44", "MPEG", "video", True),
        (b"DHAV\xfd\0\0\0", "DAV", "video", True),
        (b"x" * 203 + (b"\x47" + b"y" * 203) * 5, "MPEG-TS", "video", True),
        (b"x" * 100 + (b"\x47" + b"y" * 187) * 6, "MPEG-TS", "video", True),
        (b"\0\0\0\1\x40\1\x0c\1", "H.265", "video", True),
        (b"\0\0\1\x67\x42\0\x1e", "H.264", "video", True),
    ],
)
def test_a_type_is_known_by_its_first_bytes(head, name, media, usable):
    kind = identify(head[:HEAD_BYTES])
    assert (kind.name, kind.media, kind.usable) == (name, media, usable)
    assert describe(head[:HEAD_BYTES]).startswith(kind.text if head else "nothing")


@pytest.mark.parametrize(
    ("suffix", "codec", "name"),
    [
        ("mp4", "mpeg4", "MP4"),
        ("mov", "mpeg4", "QuickTime"),
        ("3gp", "mpeg4", "MP4"),
        ("avi", "mpeg4", "AVI"),
        ("mkv", "mpeg4", "Matroska"),
        ("webm", "libvpx-vp9", "Matroska"),
        ("flv", "flv", "FLV"),
        ("wmv", "wmv2", "Windows Media"),
        ("mpg", "mpeg2video", "MPEG"),
        ("ts", "mpeg2video", "MPEG-TS"),
        ("m2ts", "mpeg2video", "MPEG-TS"),
        ("m2v", "mpeg2video", "MPEG-2"),
        ("m4v", "mpeg4", "MPEG-4"),
        ("h264", "libx264", "H.264"),
        ("nut", "mpeg4", "NUT"),
        ("mxf", "mpeg2video", "MXF"),
        ("ivf", "libvpx-vp9", "IVF"),
        ("y4m", "rawvideo", "Y4M"),
    ],
)
def test_every_container_is_known_and_read_by_its_demuxer(tmp_path, suffix, codec, name):
    path = tmp_path / f"clip.{suffix}"
    with av.open(str(path), "w", format={"m4v": "m4v", "m2ts": "mpegts"}.get(suffix)) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), format="bgr24")))
        container.mux(stream.encode())
    kind = identify(read_head(path))
    assert (kind.name, kind.media, kind.usable) == (name, "video", True)
    with av.open(str(path), format=kind.ffmpeg) as container:
        assert len(list(container.decode(video=0))) >= 3


def as_recorder(data: bytes) -> bytes:
    return b"IMKH\1\1\0\0" + bytes(32) + data


def after_zeros(data: bytes) -> bytes:
    return bytes(100) + data


def with_parity(data: bytes) -> bytes:
    return b"".join(data[at : at + 188] + b"\xff" * 16 for at in range(0, len(data), 188))


@pytest.mark.parametrize(
    ("suffix", "changed"), [("mpg", as_recorder), ("mpg", after_zeros), ("ts", with_parity)], ids=["IMKH", "0", "204"]
)
def test_recordings_of_surveillance_cameras_and_broadcasts_are_played(tmp_path, suffix, changed):
    path = write_video(tmp_path / f"clip.{suffix}", [GRAY] * 5, codec="libx264")
    path.write_bytes(changed(path.read_bytes()))
    with open_source(str(path), loop=False, paced=False) as source:
        assert abs(source.read().pixels_bgr.mean() - 90) < 6


@pytest.mark.parametrize("head", [bytes(2000), b"\x01\x02\x03" * 99, b"\0\0\x01\0\0\0", b"\0\0\0\x01", b"\xff", b"\0"])
def test_anything_else_is_unknown_and_shown_as_ascii(head):
    assert identify(head[:HEAD_BYTES]) is None
    assert describe(head).isascii()
    assert describe(head).isprintable()


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 7, 11, 12, 16, 17, 64])
def test_a_beginning_of_any_length_is_no_error(length):
    for head in (saved("JPEG"), HEIC, tarred(), HTML, LFS, b"\0\0\0\x01\x67\x42", b"\x47" * 64):
        describe(head[:length])


REFUSED = {
    "photo.heic": (HEIC, "a HEIC image: convert it to JPEG or PNG"),
    "photo.jpg": (HEIC, "a HEIC image: convert it to JPEG or PNG"),
    "clip.mp4": (LFS, "a Git LFS pointer: run git lfs pull"),
    "page.jpg": (HTML, "a web page"),
    "archive.mp4": (zipped(), "a ZIP archive: unpack it"),
    "document.png": (saved("PDF"), "a PDF document"),
    "sound.mp4": (b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42", "an M4A sound file"),
    "list.mp4": (b"ffconcat version 1.0\nfile a.mp4\n", "a playlist"),
    "camera.mp4": (b"v=0\nm=video 5004 RTP/AVP 96\n", "a session description"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_video_or_image_is_refused_by_its_type_at_every_way_in(tmp_path, name):
    data, says = REFUSED[name]
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(SourceMissingError, match=says):
        open_source(str(path))
    with pytest.raises(NotAnImageError, match=says):
        decode_image(data)
    if path.suffix != ".heic":
        assert MediaFolder(tmp_path).names() == []
        with pytest.raises(SourceForbiddenError, match=says):
            MediaFolder(tmp_path).find(name)


def test_photos_that_cannot_be_read_are_named_where_a_folder_is_analyzed(tmp_path):
    (tmp_path / "photo.heic").write_bytes(HEIC)
    (tmp_path / "notes.txt").write_text("notes")
    reasons = {Path(name).name: reason for name, reason in find_inputs([str(tmp_path)]).skipped}
    assert reasons["photo.heic"] == "a HEIC image: convert it to JPEG or PNG"
    assert "by its name" in reasons["notes.txt"]


def test_a_file_is_what_its_content_says_and_the_log_names_it(tmp_path, caplog):
    caplog.set_level("INFO")
    video = write_video(tmp_path / "clip.mp4", [GRAY] * 3).rename(tmp_path / "clip.jpg")
    (tmp_path / "photo.mp4").write_bytes(saved("JPEG"))
    assert [each.is_image for each in find_inputs([str(video), str(tmp_path / "photo.mp4")]).found] == [False, True]
    assert "clip.jpg is an MP4 video, contrary to its name" in caplog.text
    caplog.clear()
    with open_source(str(tmp_path / "photo.mp4")) as source:
        assert source.read().pixels_bgr.shape == (32, 32, 3)
    assert "photo.mp4 is a JPEG image, contrary to its name" in caplog.text


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_a_pipe_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(OSError, match="no regular file"):
        read_head(tmp_path / "pipe.mp4")
    found = find_inputs([str(tmp_path)])
    assert not found.found
    assert [reason for _, reason in found.skipped] == [NOT_A_FILE]

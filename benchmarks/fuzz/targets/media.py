"""Decoders behind limits: images, animations and videos, with broken bytes and with sizes that are not theirs."""

from __future__ import annotations

import random
import struct
import zlib
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from benchmarks.fuzz.mutations import break_bytes, mutated
from benchmarks.fuzz.target import Call, Target
from mien.batch.frames import Sampling, read_frames
from mien.filetypes import HEAD_BYTES, describe, identify
from mien.images.animation import media_type, note_about
from mien.images.codecs import decode_image, image_size
from mien.images.resize import fit_within
from mien.sources.decoder import Decoder, file_type, open_video_file

PICTURES = 6
SIDES = (0, 1, 2, 49, 65, 255, 4096, 7000, 16383, 65535, 2**24, 2**31 - 1, 2**31, 2**32 - 1)


def pictures() -> list[np.ndarray]:
    """A square that moves over noise: uint8 (48, 64, 3)."""
    noise = np.random.default_rng(0).integers(0, 60, (48, 64, 3)).astype(np.uint8)
    made = []
    for number in range(PICTURES):
        picture = noise.copy()
        picture[10:30, 4 * number : 4 * number + 20] = (40, 160, 220)
        made.append(picture)
    return made


def images() -> list[bytes]:
    """One picture in every format, also lossless, progressive, gray, with a palette and with opacity."""
    one = pictures()[0]
    ways: list[tuple[str, list[int]]] = [(suffix, []) for suffix in (".png", ".jpg", ".gif", ".bmp", ".webp")]
    ways += [(".webp", [cv2.IMWRITE_WEBP_QUALITY, 101]), (".jpg", [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])]
    ways += [(".jpg", [cv2.IMWRITE_JPEG_RST_INTERVAL, 2])]
    made = [cv2.imencode(suffix, one, options)[1].tobytes() for suffix, options in ways]
    made += [cv2.imencode(suffix, one[..., 0])[1].tobytes() for suffix in (".png", ".jpg", ".bmp")]
    made.append(cv2.imencode(".png", np.dstack([one, one[..., 0]]))[1].tobytes())
    made.append(cv2.imencode(".png", one.astype(np.uint16) << 8)[1].tobytes())
    made.append(cv2.imencode(".png", one[..., 0], [cv2.IMWRITE_PNG_BILEVEL, 1])[1].tobytes())
    return made


def resized(data: bytes, width: int, height: int) -> bytes:
    """The same image with a header that states another size, and the right checksum where there is one."""
    image = bytearray(data)
    if image[:4] == b"\x89PNG":
        image[16:24] = struct.pack(">II", width % 2**32, height % 2**32)
        image[29:33] = struct.pack(">I", zlib.crc32(image[12:29]))
    elif image[:3] == b"GIF":
        image[6:10] = struct.pack("<HH", width % 2**16, height % 2**16)
    elif image[:2] == b"BM":
        image[18:26] = struct.pack("<II", width % 2**32, height % 2**32)
    elif image[:4] == b"RIFF":
        image[26:30] = struct.pack("<HH", width % 2**14, height % 2**14)
    else:
        start = max(image.find(b"\xff\xc0"), image.find(b"\xff\xc2"))
        image[start + 5 : start + 9] = struct.pack(">HH", height % 2**16, width % 2**16)
    return bytes(image)


def _broken_images() -> SearchStrategy[bytes]:
    seeds = images()

    def make(seed: int) -> bytes:
        dice = random.Random(seed)
        if dice.random() < 0.15:
            return resized(dice.choice(seeds), dice.choice(SIDES), dice.choice(SIDES))
        data = break_bytes(dice, seeds)
        return with_checksums(data) if dice.random() < 0.5 else data

    return st.integers(0, 2**63 - 1).map(make)


def with_checksums(data: bytes) -> bytes:
    """A PNG file with the right checksums, so that broken chunks reach the decoder; others as they are."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    image, at = bytearray(data), 8
    while at + 12 <= len(image):
        end = at + 8 + int.from_bytes(image[at : at + 4], "big")
        if end + 4 > len(image):
            break
        image[end : end + 4] = struct.pack(">I", zlib.crc32(image[at + 4 : end]))
        at = end + 4
    return bytes(image)


def _images(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    def call(data: bytes) -> None:
        image_size(data)
        fit_within(decode_image(data), 1920)

    return _broken_images(), call


def _types(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    seeds = [*images(), *(data[:HEAD_BYTES] for data in videos(folder))]
    seeds += [
        b"\x47" * 1,
        (b"\x47" + bytes(187)) * 6,
        b"<html>",
        "Text, ä".encode("utf-16"),
        b"\0\0\0\x18ftypheic\0\0\0\0mif1",
    ]

    def call(data: bytes) -> None:
        head = data[:HEAD_BYTES]
        identify(head)
        describe(head)

    return mutated(seeds), call


def videos(folder: Path) -> list[bytes]:
    """The pictures in every container and codec that this build of FFmpeg writes."""
    ways = (
        *(("a.mp4", "mpeg4"), ("b.mp4", "libx264"), ("c.mov", "mjpeg"), ("d.mkv", "libx264"), ("e.webm", "libvpx-vp9")),
        *(("f.webm", "libvpx"), ("g.avi", "mpeg4"), ("h.avi", "mjpeg"), ("i.ts", "mpeg2video"), ("j.flv", "flv")),
        *(
            ("k.wmv", "wmv2"),
            ("l.mxf", "mpeg2video"),
            ("m.h264", "libx264"),
            ("n.mjpeg", "mjpeg"),
            ("o.mpg", "mpeg1video"),
        ),
        *(("p.gif", "gif"), ("q.apng", "apng"), ("r.nut", "mpeg4"), ("s.y4m", "wrapped_avframe"), ("t.ivf", "libvpx")),
        *(
            ("u.mp4", "libx265"),
            ("v.mp4", "libaom-av1"),
            ("w.ogv", "libtheora"),
            ("x.3gp", "h263"),
            ("y.m2ts", "libx264"),
        ),
    )
    made = []
    for name, codec in ways:
        try:
            made.append(_write(folder / name, codec))
        except (av.error.FFmpegError, ValueError, OSError):
            continue  # not in this build
    return made


def _write(path: Path, codec: str) -> bytes:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"x265-params": "log-level=none"})
        stream.width, stream.height = 64, 48
        formats = {"mjpeg": "yuvj420p", "gif": "rgb8", "apng": "rgb24"}
        stream.pix_fmt = formats.get(codec, "yuv420p")
        for number, picture in enumerate(pictures()):
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path.read_bytes()


def _silence(cleanup: ExitStack) -> None:
    """FFmpeg would print what it thinks of each input."""
    cleanup.callback(av.logging.set_level, av.logging.get_level())
    av.logging.set_level(None)


def _videos(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    path = folder / "video"
    _silence(cleanup)

    def call(data: bytes) -> None:
        path.write_bytes(data)
        kind = file_type(path)
        with Decoder(open_video_file(path, kind), path.name) as decoder:
            while (picture := decoder.read()) is not None and picture.decoded is not None:
                decoder.pixels(picture)
            _ = decoder.duration_s, decoder.interval_s

    return mutated(videos(folder)), call


def _frames(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    path = folder / "video"
    _silence(cleanup)

    def call(data: bytes) -> None:
        path.write_bytes(data)
        frames = read_frames(path, Sampling(fps=None if len(data) % 2 else 5.0, start_s=0.1 * (len(data) % 3)))
        try:
            for _ in islice(frames, 3 * PICTURES):
                pass
        finally:
            frames.close()

    return mutated(videos(folder)), call


def _animations(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    path = folder / "animation"
    _silence(cleanup)
    seeds = [
        data for data in videos(folder) if data[:4] in (b"GIF8", b"\x89PNG", b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xdb")
    ]

    def call(data: bytes) -> None:
        path.write_bytes(data)
        media_type(path)
        note_about(path)
        kind = file_type(path)
        if kind.media == "image":
            decode_image(data)
            return
        with Decoder(open_video_file(path, kind), path.name) as decoder:
            while (picture := decoder.read()) is not None:
                decoder.pixels(picture)

    return mutated([*seeds, *images()[:7]], [b"acTL", b"fcTL", b"VP8X", b"\x21\xf9\x04", b"MPF\0"]), call


TARGETS = (
    Target("file-types", 8000, _types),
    Target("images", 12000, _images),
    Target("animations", 3000, _animations),
    Target("videos", 5000, _videos),
    Target("video-frames", 3000, _frames),
)

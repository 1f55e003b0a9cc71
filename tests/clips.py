"""Short videos for tests of offline analysis, written with PyAV."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np

from mien.sources.demo import DemoSource

TICKS_PER_S = 1000


def demo_pictures(count: int, people: int = 1) -> list[np.ndarray]:
    """The demo's pictures, uint8 (480, 640, 3), 30 per second."""
    demo = DemoSource(count=people, paced=False)
    return [frame.pixels_bgr for frame in islice(iter(demo.read, None), count)]


def write_video(
    path: Path, pictures: Iterable[np.ndarray], times_s: Sequence[float] | None = None, codec: str = "mpeg4"
) -> Path:
    """Write pictures, blue-green-red, at these times in seconds; by default 25 per second."""
    pictures = list(pictures)
    times = [i / 25 for i in range(len(pictures))] if times_s is None else times_s
    height, width = pictures[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, TICKS_PER_S)
        stream.codec_context.bit_rate = 8_000_000
        for picture, time_s in zip(pictures, times, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = round(time_s * TICKS_PER_S), Fraction(1, TICKS_PER_S)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def rotate_by_metadata(path: Path, width: int, height: int) -> Path:
    """Ask players of an MP4 file to turn its pictures by 90 degrees clockwise, as phones do."""
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40  # after version, times, number, duration, layer and volume: ISO/IEC 14496-12
    one = 1 << 16
    struct.pack_into(">9i", data, matrix, 0, one, 0, -one, 0, 0, height * one, 0, 1 << 30)
    path.write_bytes(data)
    return path


def damage(path: Path, *frames: int) -> Path:
    """Overwrite the data of these frames with zeros."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        places = [(packets[number].pos, packets[number].size) for number in frames]
    data = bytearray(path.read_bytes())
    for position, size in places:
        data[position : position + size] = bytes(size)
    path.write_bytes(data)
    return path


def files_of(folder: Path) -> dict[str, bytes]:
    """The content of all files of a folder and those below it, by path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

"""Short videos for tests of offline analysis, written with PyAV."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np

from mien.sources.demo import DemoSource

TICKS_PER_S = 1000
SOUND_RATE = 48_000


def demo_pictures(count: int, people: int = 1) -> list[np.ndarray]:
    """The demo's pictures, uint8 (480, 640, 3), 30 per second."""
    demo = DemoSource(count=people, paced=False)
    return [frame.pixels_bgr for frame in islice(iter(demo.read, None), count)]


def write_video(
    path: Path,
    pictures: Iterable[np.ndarray],
    times_s: Sequence[float] | None = None,
    codec: str = "mpeg4",
    sound: str | None = None,
    options: Mapping[str, str] | None = None,
) -> Path:
    """Write pictures, blue-green-red, at these times in seconds, by default 25 per second.

    sound: codec of a noise; options: of the encoder of the pictures.
    """
    pictures = list(pictures)
    times = [i / 25 for i in range(len(pictures))] if times_s is None else times_s
    height, width = pictures[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=dict(options or {}))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, TICKS_PER_S)
        stream.codec_context.bit_rate = 8_000_000
        heard = None if sound is None else container.add_stream(sound, rate=SOUND_RATE, layout="mono")
        for picture, time_s in zip(pictures, times, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = round(time_s * TICKS_PER_S), Fraction(1, TICKS_PER_S)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if heard is not None:
            for block in _noise(times[-1] + 0.04, heard.codec_context.frame_size or 1024):
                container.mux(heard.encode(block))
            container.mux(heard.encode())
    return path


def _noise(length_s: float, block: int) -> Iterator[av.AudioFrame]:
    """A noise of low frequencies, which any codec keeps."""
    length = round(SOUND_RATE * length_s)
    levels = np.convolve(np.random.default_rng(0).normal(0, 3000, length), np.ones(30) / 30**0.5, "same")
    for start in range(0, length - block, block):
        values = levels[start : start + block].astype(np.int16)
        frame = av.AudioFrame.from_ndarray(values[np.newaxis], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, start, Fraction(1, SOUND_RATE)
        yield frame


def rotate_by_metadata(path: Path, width: int, height: int) -> Path:
    """Ask players of an MP4 file to turn its pictures by 90 degrees clockwise, as phones do."""
    return turn_by_metadata(path, (0, 1, -1, 0), (height, 0))


def turn_by_metadata(path: Path, turn: tuple[int, int, int, int], shift: tuple[int, int] = (0, 0)) -> Path:
    """Ask players of an MP4 file to show (x, y) at (a x + c y, b x + d y), shifted, with turn = (a, b, c, d)."""
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40  # after version, times, number, duration, layer and volume: ISO/IEC 14496-12
    one = 1 << 16
    (a, b, c, d), (x, y) = turn, shift
    struct.pack_into(">9i", data, matrix, a * one, b * one, 0, c * one, d * one, 0, x * one, y * one, 1 << 30)
    path.write_bytes(data)
    return path


def trim_by_edit_list(path: Path, share: float) -> Path:
    """Ask players of an MP4 file to show only this share of it; its writer must have made an edit list."""
    data = bytearray(path.read_bytes())
    duration = data.index(b"elst") + 4 + 8  # after version and number of entries: ISO/IEC 14496-12, 8.6.6
    (whole,) = struct.unpack_from(">I", data, duration)
    struct.pack_into(">I", data, duration, round(share * whole))
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


def results(out: Path) -> dict[str, bytes]:
    """All files except the list of jobs, whose order differs; without the command, which names the folder."""
    files = files_of(out)
    del files["jobs.jsonl"]
    for name in files:
        if name.endswith("mien.json"):
            files[name] = json.dumps({**json.loads(files[name]), "command": None}).encode()
    return files

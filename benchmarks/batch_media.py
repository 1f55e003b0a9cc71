"""Videos and images to measure `analyze` with."""

from __future__ import annotations

import shutil
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.loops import CLIP, clip_frames

SIZE = 640, 360
FRAMES = 472
KINDS = ("png", "jpg", "webp", "gif", "bmp", "tif")


def write_clip(path: Path, frames: int = FRAMES) -> None:
    """Copy the clip, or write a video of the demo: 640x360, one face."""
    if CLIP.is_file() and frames == FRAMES:
        shutil.copy(CLIP, path)
        return
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, SIZE)
    for pixels_bgr in clip_frames(*SIZE, count=frames):
        writer.write(pixels_bgr)
    writer.release()


def write_copies(folder: Path, copies: int) -> int:
    """Write copies of the clip to a folder; the number of all their frames."""
    folder.mkdir(parents=True)
    for number in range(copies):
        write_clip(folder / f"clip{number:02d}.mp4")
    return copies * FRAMES


def write_looped(path: Path, clip: Path, minutes: float) -> int:
    """Write the packets of a clip again and again, without encoding them anew; the number of frames."""
    import av

    with av.open(str(path), "w") as written:
        stream: Any = None
        frames, offset = 0, 0
        while True:
            with av.open(str(clip)) as read:
                video = read.streams.video[0]
                if stream is None:
                    stream = written.add_stream_from_template(video)
                assert video.time_base is not None
                length = (video.duration or 0) + round(Fraction(1, 10) / video.time_base)
                for packet in read.demux(video):
                    if packet.dts is None or packet.pts is None:
                        continue
                    packet.dts, packet.pts, packet.stream = packet.dts + offset, packet.pts + offset, stream
                    written.mux(packet)
                    frames += 1
            offset += length
            if offset * video.time_base >= minutes * 60:
                return frames


def write_images(folder: Path, count: int) -> None:
    """Write images of all kinds; every fifth is broken in one of the ways in which files are broken."""
    folder.mkdir(parents=True)
    pixels_bgr = clip_frames(*SIZE, count=1)[0]
    whole = {kind: cv2.imencode(f".{kind}", pixels_bgr)[1].tobytes() for kind in KINDS}
    broken = _broken(whole)
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        path = folder / f"{number:04d}.{kind}"
        if number % 5:
            path.write_bytes(whole[kind])
        elif isinstance(data := broken[number // 5 % len(broken)], bytes):
            path.with_suffix(".jpg").write_bytes(data)
        else:
            path.with_suffix(".png").symlink_to(folder / f"nowhere-{number}.png")  # cannot be read


def _broken(whole: dict[str, bytes]) -> list[bytes | None]:
    """Contents of broken images; None for one that cannot be read."""
    huge = bytearray(whole["png"])
    huge[16:24] = struct.pack(">II", 100_000, 100_000)
    noise = np.random.default_rng(0).integers(0, 255, 5000, np.uint8).tobytes()
    cut = [whole[kind][: len(whole[kind]) // 2] for kind in ("jpg", "png", "webp", "bmp", "gif")]
    return [b"", b"a text\n", bytes(huge), noise, b"\xff\xd8\xff", b"%PDF-1.7\n", b"PK\x03\x04" + noise, *cut, None]

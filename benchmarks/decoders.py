"""Decoding files: PyAV, as Mien uses it, beside OpenCV's decoder: `python -m benchmarks.decoders [--rounds 5]`.

Both are FFmpeg. Measured in alternating rounds on the same videos, up to pixels in blue-green-red: processor time for a
frame, frames a second, and the time to open a video and decode its first frame, which is the pause at each loop.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

import av
import cv2
import numpy as np

from benchmarks.loops import clip_frames
from mien.sources.decoder import Decoder, file_type, open_video_file

FRAMES = 240
VIDEOS = {
    "H.264 640x360": ("libx264", 640, 360),
    "H.264 1280x720": ("libx264", 1280, 720),
    "H.264 1920x1080": ("libx264", 1920, 1080),
    "H.265, HDR, 1920x1080": ("libx265", 1920, 1080),
    "Motion JPEG 1280x720": ("mjpeg", 1280, 720),
}
_FORMATS = {"libx264": "yuv420p", "libx265": "yuv420p10le", "mjpeg": "yuvj420p"}
_PQ, _BT2020 = 16, 9  # Rec. ITU-T H.273, tables 2 to 4


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print a table; 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(argv)
    print("| video | decoder | processor, ms a frame | frames a second | to the first frame, ms |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, (codec, width, height)) in enumerate(VIDEOS.items()):
            path = Path(folder, f"{number}.mkv")
            _write(path, codec, width, height)
            found: dict[str, list[tuple[float, float, float]]] = {"OpenCV": [], "PyAV": []}
            for _ in range(options.rounds):
                found["OpenCV"].append(_measure(_opencv_frames, path))
                found["PyAV"].append(_measure(_pyav_frames, path))
            for decoder, rounds in found.items():
                processor_s, elapsed_s, first_s = (median(column) for column in zip(*rounds, strict=True))
                figures = f"{1000 * processor_s / FRAMES:.2f} | {FRAMES / elapsed_s:.0f} | {1000 * first_s:.1f}"
                print(f"| {name} | {decoder} | {figures} |", flush=True)
    return 0


def _write(path: Path, codec: str, width: int, height: int) -> None:
    pictures = clip_frames(width, height, count=FRAMES)
    with av.open(str(path), "w") as container:
        options = {"preset": "veryfast", "x265-params": "log-level=none"} if codec != "mjpeg" else {}
        stream: av.VideoStream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, _FORMATS[codec]
        if codec == "libx265":
            context = stream.codec_context
            context.color_trc, context.color_primaries, context.colorspace = _PQ, _BT2020, _BT2020
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(pictures[number % len(pictures)], format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _measure(frames: Callable[[Path], Iterator[np.ndarray]], path: Path) -> tuple[float, float, float]:
    """(processor time, elapsed time, time to the first frame) of a video in seconds."""
    processor_s, start_s = time.process_time(), time.perf_counter()
    iterator = frames(path)
    next(iterator)
    first_s = time.perf_counter() - start_s
    count = 1 + sum(1 for _ in iterator)
    assert count == FRAMES, count
    return time.process_time() - processor_s, time.perf_counter() - start_s, first_s


def _opencv_frames(path: Path) -> Iterator[np.ndarray]:
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    while True:
        is_read, pixels = capture.read()
        if not is_read:
            break
        yield pixels
    capture.release()


def _pyav_frames(path: Path) -> Iterator[np.ndarray]:
    with Decoder(open_video_file(path, file_type(path)), path.name) as decoder:
        while (picture := decoder.read()) is not None:
            yield decoder.pixels(picture)


if __name__ == "__main__":
    raise SystemExit(main())

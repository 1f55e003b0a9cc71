"""What decoding uploads in a process of its own would cost: `python -m benchmarks.decoding_process`.

A decoder that dies would then take only that process with it. The two ways are timed in turn, on the picture of a
camera, 1280x720 as JPEG; pixels come back in shared memory, which is the fastest way.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory
from statistics import median

import cv2
import numpy as np
import psutil

from mien.errors import ImageError
from mien.images.codecs import MAX_IMAGE_PIXELS, decode_image, encode_jpeg
from mien.sources.demo import DemoSource

SIZE = (1280, 720)
NOISE = 4.0
"""Standard deviation of a webcam's noise indoors, in gray levels: without it the file is much smaller than theirs."""
MB = 2**20


class DecodingProcess:
    """Decodes images in another process, which stays; one call at a time.

    with DecodingProcess() as process:
        pixels_bgr = process.decode(data)
    """

    def __init__(self) -> None:
        context = get_context("spawn")  # the program has threads, with which a fork is not safe
        self._memory = SharedMemory(create=True, size=3 * MAX_IMAGE_PIXELS)
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, self._memory.name), daemon=True)
        self._process.start()

    def decode(self, data: bytes) -> np.ndarray:
        """As `mien.images.codecs.decode_image`; raises ImageError."""
        self._connection.send_bytes(data)
        answer = self._connection.recv()
        if isinstance(answer, str):
            raise ImageError(answer)
        return np.ndarray(answer, np.uint8, self._memory.buf).copy()

    @property
    def resident_mb(self) -> float:
        """Memory of the process, without what it shares with this one."""
        return float(psutil.Process(self._process.pid).memory_full_info().uss / MB)

    def __enter__(self) -> DecodingProcess:
        """The process itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._process.kill()
        self._process.join()
        self._memory.close()
        self._memory.unlink()


def serve(connection: Connection, name: str) -> None:
    """Decode what arrives, until the other end is closed.

    Args:
        connection: Image files arrive; shapes, or messages of errors, go back.
        name: Of the shared memory for the pixels.
    """
    memory = SharedMemory(name)
    while True:
        try:
            pixels = decode_image(connection.recv_bytes())
        except EOFError:
            return
        except ImageError as error:
            connection.send(str(error))
            continue
        np.ndarray(pixels.shape, np.uint8, memory.buf)[:] = pixels
        connection.send(pixels.shape)


def measure(pairs: int) -> list[str]:
    """Time both ways in turn.

    Args:
        pairs: How often.

    Returns:
        The rows of a table.
    """
    picture = cv2.resize(DemoSource().render(1.0)[0], SIZE, interpolation=cv2.INTER_LINEAR)
    noise = np.random.default_rng(0).normal(0, NOISE, picture.shape)
    data = encode_jpeg(np.clip(picture + noise, 0, 255).astype(np.uint8))
    with DecodingProcess() as process:
        ways: dict[str, Callable[[bytes], np.ndarray]] = {"here": decode_image, "another process": process.decode}
        assert all((decode(data) == decode_image(data)).all() for decode in ways.values())
        times_ms: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(pairs):
            for way, decode in ways.items():
                start_s = time.perf_counter()
                decode(data)
                times_ms[way].append((time.perf_counter() - start_s) * 1000)
        memory_mb = process.resident_mb
    more_ms = [there - here for here, there in zip(times_ms["here"], times_ms["another process"], strict=True)]
    rows = [
        f"| {way} | {median(each):.2f} | {np.percentile(each, 95):.2f} | {np.percentile(each, 99):.2f} |"
        for way, each in {**times_ms, "difference of pairs": more_ms}.items()
    ]
    return [
        f"{pairs} pairs, JPEG of {SIZE[0]}x{SIZE[1]}, {len(data) / 1000:.0f} kB\n",
        *("| decoded | median, ms | 95 %, ms | 99 %, ms |", "|---|---|---|---|", *rows),
        f"\nThe other process takes {memory_mb:.0f} MB.",
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decoding_process", description=__doc__)
    parser.add_argument("--pairs", type=int, default=400)
    print("\n".join(measure(parser.parse_args(argv).pairs)))


if __name__ == "__main__":
    main()

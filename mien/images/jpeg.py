"""The structure of JPEG files, as far as it is needed before they are decoded."""

from __future__ import annotations

import re
from collections.abc import Iterator

MAX_SCANS = 64
"""Scans of a JPEG. Progressive files have about ten, at most a few dozen. Each may cost 30 ms at 50 megapixels even if
it holds nothing, so that a file of 0.2 MB could occupy the decoder for minutes."""

MAX_SEGMENTS = 100_000
"""Most segments of a JPEG or chunks of a PNG: millions of them would keep the program busy for seconds."""

_MARKER = re.compile(rb"\xff([\x02-\xcf\xd8-\xfe])")  # no stuffing, TEM, RST or fill bytes: they have no length

_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA


def count_scans(data: bytes, most: int = MAX_SCANS) -> int:
    """Count the scans of a JPEG file as the decoder meets them, without decoding.

    https://www.w3.org/Graphics/JPEG/itu-t81.pdf , B.1 and B.2

    Args:
        data: The file.
        most: Stop counting above this.

    Returns:
        The number of scans up to the end of the first image, at most `most` + 1; that too for too many segments.
    """
    scans = 0
    for marker, _ in _markers(data):
        if marker is None:
            return most + 1
        if marker == _EOI:  # others may follow, such as a preview or a short video
            break
        scans += marker == _SOS
        if scans > most:
            break
    return scans


def first_scan_and_end(data: bytes) -> tuple[int, int] | None:
    """Where the first scan of a JPEG begins, and where its first image ends; what segments contain does not count.

    Args:
        data: The file.

    Returns:
        Positions after the two markers; None where one of them is missing, or there are too many segments.
    """
    scan = None
    for marker, position in _markers(data):
        if marker == _SOS and scan is None:
            scan = position
        elif marker == _EOI:
            return None if scan is None else (scan, position)
    return None


def _markers(data: bytes) -> Iterator[tuple[int | None, int]]:
    """Each marker with the position after it; the marker is None, and the last one, if there are too many."""
    position = 2
    for _ in range(MAX_SEGMENTS):
        found = _MARKER.search(data, position)
        if found is None:
            return
        marker, position = found[1][0], found.end()
        yield marker, position
        if marker not in (_SOI, _EOI):
            position += max(2, int.from_bytes(data[position : position + 2], "big"))
    yield None, position

"""The structure of JPEG files, as far as it is needed before they are decoded."""

from __future__ import annotations

import re

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
    scans, position = 0, 2
    for _ in range(MAX_SEGMENTS):
        found = _MARKER.search(data, position)
        if found is None or found[1][0] == _EOI:  # others may follow, such as a preview or a short video
            return scans
        marker, position = found[1][0], found.end()
        if marker == _SOS:
            scans += 1
            if scans > most:
                return scans
        if marker != _SOI:
            position += max(2, int.from_bytes(data[position : position + 2], "big"))
    return most + 1

"""Which image files are animated: their pictures are played as a video."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mien.errors import ImageError
from mien.filetypes import MJPEG, FileType, identify, read_head
from mien.images.codecs import MAX_IMAGE_BYTES, MAX_SEGMENTS, image_size
from mien.images.jpeg import first_scan_and_end

_PNG_SIGNATURE_BYTES = 8
_GIF_HEADER_BYTES = 13
_MPF = b"MPF\0"
"""Marks a JPEG file with further pictures of the same scene, such as a depth map: CIPA DC-007."""
_START_OF_JPEG = b"\xff\xd8\xff"
_MAX_GAP_BYTES = 1024
"""Between two pictures of Motion JPEG, such as padding, or the boundary and headers of a stream that was stored."""


def media_type(path: Path) -> FileType | None:
    """The type of a file as `identify` finds it, except that an animated image is a video.

    Args:
        path: The file.

    Returns:
        None if the type is unknown.

    Raises:
        OSError: It cannot be read.
    """
    kind = identify(read_head(path))
    check = _CHECKS.get(kind.name) if kind is not None and kind.media == "image" else None
    if kind is None or check is None:
        return kind
    with path.open("rb") as file:
        is_animated = check(file.read(MAX_IMAGE_BYTES))
    if not is_animated:
        return kind
    return MJPEG if kind.name == "JPEG" else replace(kind, media="video", text=f"an animated {kind.name}")


def note_about(path: Path) -> str | None:
    """What of an image will not be seen.

    Args:
        path: The file.

    Returns:
        Such as "is animated: only its first picture is"; None where nothing is left out.

    Raises:
        OSError: It cannot be read.
    """
    head = read_head(path)
    # FFmpeg decodes no animated WebP. https://developers.google.com/speed/webp/docs/riff_container : flags of VP8X
    is_animated_webp = head[8:16] == b"WEBPVP8X" and bool(head[20:21] and head[20] & 2)
    return "is animated: only its first picture is" if is_animated_webp else None


def _png(data: bytes) -> bool:
    """Whether an animation control chunk stands before the picture: https://www.w3.org/TR/png-3/#acTL-chunk."""
    position = _PNG_SIGNATURE_BYTES
    for _ in range(MAX_SEGMENTS):
        kind = data[position + 4 : position + 8]
        if kind == b"acTL":
            return int.from_bytes(data[position + 8 : position + 12], "big") > 1
        if kind in (b"IDAT", b"IEND", b""):
            return False
        position += 12 + int.from_bytes(data[position : position + 4], "big")
    return False


def _gif(data: bytes) -> bool:
    """Whether there are two pictures: https://www.w3.org/Graphics/GIF/spec-gif89a.txt."""
    pictures = 0
    position = _GIF_HEADER_BYTES + _color_table_bytes(data, 10)
    for _ in range(MAX_SEGMENTS):
        block = data[position : position + 1]
        if block == b",":  # a picture: its place and size, colors, and a byte before its data
            pictures += 1
            position += 11 + _color_table_bytes(data, position + 9)
        elif block == b"!":  # an extension
            position += 2
        else:
            break
        if pictures > 1:
            break
        while position < len(data) and data[position]:
            position += 1 + data[position]
        position += 1
    return pictures > 1


def _color_table_bytes(data: bytes, position: int) -> int:
    flags = data[position] if position < len(data) else 0
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _jpeg(data: bytes) -> bool:
    """Whether a picture of the same size follows closely, as in Motion JPEG without a container."""
    found = first_scan_and_end(data)
    if found is None or _MPF in data[: found[0]]:
        return False
    end = found[1]
    start = data.find(_START_OF_JPEG, end, end + _MAX_GAP_BYTES + len(_START_OF_JPEG))
    if start < 0:
        return False
    try:
        return image_size(data) == image_size(data[start:])
    except ImageError:
        return False


_CHECKS: dict[str, Callable[[bytes], bool]] = {"PNG": _png, "GIF": _gif, "JPEG": _jpeg}

"""Decode images within limits, and encode JPEG and PNG.

The size is read from the header before anything is decoded, so a small file that would unpack to a huge picture (a
decompression bomb) is refused at no cost. So are JPEG files of hundreds of scans; whatever else is within the limits
takes at most about a second for 50 megapixels (PNG, WebP, GIF, BMP, with any number of further frames or texts).
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

import cv2
import numpy as np

from mien.errors import ImageError, ImageTooLargeError, NotAnImageError
from mien.filetypes import HEAD_BYTES, describe, identify
from mien.images.jpeg import MAX_SCANS, MAX_SEGMENTS, count_scans

MAX_IMAGE_BYTES = 32 * 1024 * 1024
MAX_IMAGE_PIXELS = 50_000_000
"""The largest phone cameras in common use store 48 megapixels; decoded that is 150 MB."""

# Each failure is reported once, as an ImageError: OpenCV would print it, too.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

FORMATS = "JPEG, PNG, WebP, GIF or BMP"

JPEG_SIGNATURE = b"\xff\xd8"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

_PNG_CHUNKS = frozenset((b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND"))

_JPEG_MARKER = re.compile(rb"\xff([^\xff])")  # of several 0xFF in a row, all but the last are fill bytes
_JPEG_SIZE_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0..SOF15 without DHT, JPG and DAC
_JPEG_BARE_MARKERS = frozenset((0x01, *range(0xD0, 0xD9)))  # TEM, RST0..RST7, SOI: no length follows


def image_format(head: bytes) -> str | None:
    """Detect the format of an image file.

    Args:
        head: The first bytes of the file, as many as `mien.filetypes.identify` needs.

    Returns:
        "JPEG", "PNG", "WebP", "GIF" or "BMP"; None for anything else.
    """
    kind = identify(head)
    return kind.name if kind is not None and kind.media == "image" and kind.usable else None


def image_size(data: bytes) -> tuple[int, int]:
    """Read the size of an image from its header, without decoding.

    Args:
        data: The image file.

    Returns:
        Width and height in pixels, before any EXIF rotation.

    Raises:
        NotAnImageError: The format is unknown.
        ImageError: The header is truncated or contains zero.
    """
    head = data[:HEAD_BYTES]
    name = image_format(head)
    if name is None:
        raise NotAnImageError(f"expected a {FORMATS} image, found {describe(head)}")
    try:
        size = _SIZE_READERS[name](data)
    except struct.error:  # cut off
        size = None
    if size is None or size[0] <= 0 or size[1] <= 0:
        raise ImageError(f"the {name} image is broken: its header gives no size")
    return size


def decode_image(data: bytes, *, max_bytes: int = MAX_IMAGE_BYTES, max_pixels: int = MAX_IMAGE_PIXELS) -> np.ndarray:
    """Decode an image file in memory, rotated according to its EXIF orientation.

    Args:
        data: The image file.
        max_bytes: Largest file accepted.
        max_pixels: Largest picture accepted, width times height.

    Returns:
        uint8 (height, width, 3), blue-green-red; transparency is dropped, an animation gives its first picture.

    Raises:
        ImageTooLargeError: A limit is exceeded.
        NotAnImageError: The format is unknown.
        ImageError: The file is broken.
    """
    if len(data) > max_bytes:
        raise ImageTooLargeError(f"expected an image of at most {max_bytes} bytes, found {len(data)}")
    width, height = image_size(data)
    if width * height > max_pixels:
        raise ImageTooLargeError(
            f"expected an image of at most {max_pixels / 1e6:g} megapixels, "
            f"found {width}x{height}, {width * height / 1e6:.0f} megapixels"
        )
    if data.startswith(JPEG_SIGNATURE) and count_scans(data) > MAX_SCANS:
        raise ImageTooLargeError(f"expected a JPEG image with at most {MAX_SCANS} scans, found more")
    if data.startswith(PNG_SIGNATURE):
        picture = _png_picture(data)
        if picture is None:
            raise ImageError("the PNG image is broken or cut off")
        data = picture
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageError(f"the image cannot be decoded: {error.err or error}") from error
    if pixels is None:
        raise ImageError(f"the {image_format(data[:HEAD_BYTES])} image is broken or cut off")
    return pixels


def read_image(path: Path, *, max_bytes: int = MAX_IMAGE_BYTES, max_pixels: int = MAX_IMAGE_PIXELS) -> np.ndarray:
    """Decode an image file on disk as `decode_image` does; a file that is too large is not read.

    Args:
        path: The image file.
        max_bytes, max_pixels: As for `decode_image`.

    Returns:
        uint8 (height, width, 3), blue-green-red.

    Raises:
        OSError, ImageError: The file cannot be read, or as for `decode_image`.
    """
    size_bytes = path.stat().st_size
    if size_bytes > max_bytes:
        raise ImageTooLargeError(f"expected an image of at most {max_bytes} bytes, found {size_bytes}")
    return decode_image(path.read_bytes(), max_bytes=max_bytes, max_pixels=max_pixels)


def encode_jpeg(pixels_bgr: np.ndarray, quality: int = 80) -> bytes:
    """Encode pixels as a JPEG file.

    Args:
        pixels_bgr: uint8, (height, width, 3) blue-green-red or (height, width) gray.
        quality: 1 to 100.

    Returns:
        The bytes of the file.

    Raises:
        ImageError: The pixels cannot be encoded, as over 65,500 on a side.
    """
    return _encode(".jpg", pixels_bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])


def encode_png(pixels_bgr: np.ndarray) -> bytes:
    """Encode pixels as a PNG file.

    Args:
        pixels_bgr: uint8, (height, width, 3) blue-green-red, (height, width, 4) with opacity, or (height, width) gray.

    Returns:
        The bytes of the file.

    Raises:
        ImageError: The pixels cannot be encoded.
    """
    return _encode(".png", pixels_bgr, [])


def jpeg_to_png(jpeg: bytes) -> bytes:
    """Convert a JPEG file to PNG.

    Args:
        jpeg: The bytes of the file.

    Raises:
        ImageError: As for `decode_image`.
    """
    return encode_png(decode_image(jpeg))


def _encode(extension: str, pixels: np.ndarray, options: list[int]) -> bytes:
    try:
        ok, buffer = cv2.imencode(extension, pixels, options)
    except cv2.error as error:
        raise ImageError(f"cannot encode {pixels.dtype} pixels of shape {pixels.shape}: {error.err}") from error
    if not ok:
        raise ImageError(f"cannot encode {pixels.dtype} pixels of shape {pixels.shape} as {extension}")
    return buffer.tobytes()


def _png_size(data: bytes) -> tuple[int, int] | None:
    # https://www.w3.org/TR/png-3/#11IHDR : the first chunk is IHDR and begins with width and height
    return _two(">II", data, 16) if data[12:16] == b"IHDR" else None


def _png_picture(data: bytes) -> bytes | None:
    """A PNG file without what its picture does not need; None if a chunk is shorter than it says, or IEND is missing.

    OpenCV allocates as much as a chunk claims, up to 2 GB, before it checks whether that much is there. Texts and
    profiles would be unpacked although nobody uses them, and libpng prints their names with all control characters.
    """
    kept, position, kind = [data[: len(PNG_SIGNATURE)]], len(PNG_SIGNATURE), b""
    for _ in range(MAX_SEGMENTS):
        if kind == b"IEND" or position + 12 > len(data):
            break
        kind = data[position + 4 : position + 8]
        end = position + 12 + int.from_bytes(data[position : position + 4], "big")  # length, type, data, checksum
        if kind in _PNG_CHUNKS:
            kept.append(data[position:end])
        position = end
    return b"".join(kept) if kind == b"IEND" and position <= len(data) else None


def _gif_size(data: bytes) -> tuple[int, int]:
    return _two("<HH", data, 6)


def _bmp_size(data: bytes) -> tuple[int, int]:
    is_short = data[14:18] == b"\x0c\0\0\0"  # the short header of OS/2 has 16-bit sizes
    width, height = _two("<HH" if is_short else "<ii", data, 18)
    return width, abs(height)  # a negative height means that the top row comes first


def _webp_size(data: bytes) -> tuple[int, int] | None:
    # https://developers.google.com/speed/webp/docs/riff_container : lossy, lossless and extended files differ
    chunk = data[12:16]
    if len(data) < 30:
        return None
    if chunk == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if chunk == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 ":
        width, height = _two("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    # Walk from marker to marker as the decoder does. Whole segments are skipped, so that the thumbnail inside an EXIF
    # segment is not mistaken for the picture itself.
    position = 2
    for _ in range(MAX_SEGMENTS):
        found = _JPEG_MARKER.search(data, position)
        if found is None:
            return None
        marker, position = found[1][0], found.end()
        if marker == 0x00 or marker in _JPEG_BARE_MARKERS:
            continue
        if marker in (0xD9, 0xDA):  # the image data begins, or the file ends, without a size
            return None
        if marker in _JPEG_SIZE_MARKERS:
            height, width = _two(">HH", data, position + 3)
            return width, height
        position += max(2, int.from_bytes(data[position : position + 2], "big"))
    return None


def _two(form: str, data: bytes, position: int) -> tuple[int, int]:
    """Two numbers in the form that `struct` describes. struct.error where the data ends before."""
    first, second = struct.unpack_from(form, data, position)
    return first, second


_SIZE_READERS = {"PNG": _png_size, "GIF": _gif_size, "BMP": _bmp_size, "WebP": _webp_size, "JPEG": _jpeg_size}

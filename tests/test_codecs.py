"""Decoding and encoding images: every format, every limit, every kind of damage."""

import contextlib
import random
import struct
import time
import zlib

import cv2
import numpy as np
import pytest

from mien.errors import ImageError, ImageTooLargeError, NotAnImageError
from mien.filetypes import HEAD_BYTES
from mien.images import codecs
from mien.images.codecs import decode_image, encode_jpeg, encode_png, image_format, image_size, read_image
from mien.images.jpeg import MAX_SCANS, MAX_SEGMENTS, count_scans
from tests.patience import scaled

FORMATS = {".jpg": "JPEG", ".png": "PNG", ".webp": "WebP", ".gif": "GIF", ".bmp": "BMP"}
SIZES = [(1, 1), (1, 7), (64, 48), (301, 200)]


def picture(width=64, height=48):
    """Four quarters of different gray: it differs when rotated or mirrored."""
    pixels = np.full((height, width, 3), 40, np.uint8)
    pixels[: height // 2, width // 2 :] = 100
    pixels[height // 2 :, : width // 2] = 160
    pixels[height // 2 :, width // 2 :] = 220
    return pixels


def encoded(extension, pixels, *options):
    ok, data = cv2.imencode(extension, pixels, list(options))
    assert ok
    return data.tobytes()


def exif(orientation, preview=b""):
    """An APP1 segment with the orientation of the camera."""
    tiff = b"MM\x00\x2a\x00\x00\x00\x08" + struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 0)
    body = b"Exif\x00\x00" + tiff + preview
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def forged_png(width, height):
    data = bytearray(encoded(".png", picture(1, 1)))
    data[16:24] = struct.pack(">II", width, height)
    return bytes(data)


def forged_jpeg(width, height):
    data = bytearray(encoded(".jpg", picture(16, 16)))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def forged_gif(width, height):
    data = bytearray(encoded(".gif", picture(16, 16)))
    data[6:10] = struct.pack("<HH", width, height)
    return bytes(data)


def forged_bmp(width, height):
    data = bytearray(encoded(".bmp", picture(16, 16)))
    data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


def forged_webp(width, height):
    body = b"VP8X" + struct.pack("<I", 10) + b"\x00" * 4
    body += (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


@pytest.fixture
def never_decodes(monkeypatch):
    def imdecode(*_):
        pytest.fail("the image was decoded although its header forbids it")

    monkeypatch.setattr(codecs.cv2, "imdecode", imdecode)


@pytest.mark.parametrize("extension", FORMATS)
@pytest.mark.parametrize("size", SIZES)
def test_every_format_is_recognized_measured_and_decoded(extension, size):
    data = encoded(extension, picture(*size))
    assert image_format(data[:HEAD_BYTES]) == FORMATS[extension]
    assert image_size(data) == size
    pixels = decode_image(data)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (size[1], size[0], 3)


@pytest.mark.parametrize(
    "data",
    [
        encoded(".jpg", picture(), cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        encoded(".jpg", picture()[:, :, 0]),
        encoded(".jpg", picture(), cv2.IMWRITE_JPEG_RST_INTERVAL, 1),
        encoded(".png", picture()[:, :, 0]),
        encoded(".png", np.dstack([picture(), np.full((48, 64), 9, np.uint8)])),
        encoded(".png", picture().astype(np.uint16) * 257),
        encoded(".webp", picture(), cv2.IMWRITE_WEBP_QUALITY, 101),
        encoded(".webp", picture(), cv2.IMWRITE_WEBP_QUALITY, 95),
        encoded(".webp", np.dstack([picture(), picture()[:, :, 0]]), cv2.IMWRITE_WEBP_QUALITY, 80),
    ],
    ids=["progressive", "gray", "restarts", "gray-png", "alpha", "16-bit", "webp-lossless", "webp-lossy", "webp-alpha"],
)
def test_variants_of_a_format_give_the_same_picture(data):
    assert image_size(data) == (64, 48)
    difference = np.abs(decode_image(data).astype(int) - picture())
    assert np.median(difference) <= 2


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda p: p),
        (2, lambda p: p[:, ::-1]),
        (3, lambda p: p[::-1, ::-1]),
        (4, lambda p: p[::-1]),
        (5, lambda p: p.transpose(1, 0, 2)),
        (6, lambda p: np.rot90(p, -1)),
        (7, lambda p: p.transpose(1, 0, 2)[::-1, ::-1]),
        (8, np.rot90),
    ],
)
def test_exif_orientation_is_honored(orientation, upright):
    plain = encoded(".jpg", picture(), cv2.IMWRITE_JPEG_QUALITY, 100)
    turned = plain[:2] + exif(orientation) + plain[2:]
    expected = upright(decode_image(plain))
    found = decode_image(turned)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 8


def test_the_preview_inside_exif_is_not_taken_for_the_picture():
    plain = encoded(".jpg", picture())
    with_preview = plain[:2] + exif(1, preview=encoded(".jpg", picture(8, 6))) + plain[2:]
    assert image_size(with_preview) == (64, 48)


@pytest.mark.parametrize("forged", [forged_png, forged_jpeg, forged_gif, forged_bmp, forged_webp])
def test_a_decompression_bomb_is_refused_before_decoding(forged, never_decodes):
    data = forged(12000, 9000)
    begun_s = time.thread_time()  # processor time, not wall time: this computer may be busy with other tasks
    with pytest.raises(ImageTooLargeError, match=r"at most 50 megapixels, found 12000x9000, 108 megapixels"):
        decode_image(data)
    assert time.thread_time() - begun_s < scaled(0.05)


def test_a_top_down_bitmap_is_measured(never_decodes):
    with pytest.raises(ImageTooLargeError):
        decode_image(forged_bmp(12000, -9000))


@pytest.mark.parametrize(("limit", "fits"), [(64 * 48, True), (64 * 48 - 1, False)])
def test_the_pixel_limit_is_exact(limit, fits):
    data = encode_png(picture())
    if fits:
        assert decode_image(data, max_pixels=limit).shape == (48, 64, 3)
    else:
        with pytest.raises(ImageTooLargeError):
            decode_image(data, max_pixels=limit)


def test_the_byte_limit_is_exact(never_decodes, monkeypatch):
    data = encode_png(picture())
    with pytest.raises(ImageTooLargeError, match=f"at most {len(data) - 1} bytes, found {len(data)}"):
        decode_image(data, max_bytes=len(data) - 1)
    monkeypatch.undo()
    assert decode_image(data, max_bytes=len(data)).shape == (48, 64, 3)


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"hello, I am text" * 20, b"BM is how this letter begins, and it goes on and on", b"<svg></svg>"],
    ids=["empty", "one byte", "text", "BM text", "svg"],
)
def test_data_that_is_not_an_image_is_reported_as_such(data):
    with pytest.raises(NotAnImageError, match="expected a JPEG, PNG, WebP, GIF or BMP image, found"):
        decode_image(data)


@pytest.mark.parametrize("extension", FORMATS)
def test_a_truncated_image_is_reported_as_broken(extension):
    data = encoded(extension, np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))
    for length in [*range(1, 64), len(data) // 2, len(data) - 30]:
        with pytest.raises(ImageError):
            decode_image(data[:length])


@pytest.mark.parametrize("extension", FORMATS)
def test_damaged_bytes_give_a_picture_or_an_image_error(extension):
    data = encoded(extension, picture(40, 40))
    chance = random.Random(1)
    for _ in range(60):
        damaged = bytearray(data)
        for _ in range(chance.randint(1, 8)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        with contextlib.suppress(ImageError):
            assert decode_image(bytes(damaged), max_pixels=1_000_000).ndim == 3


@pytest.mark.parametrize("data", [forged_png(0, 5), forged_gif(5, 0), forged_jpeg(0, 5), forged_bmp(-5, 5)])
def test_a_header_without_a_size_is_broken(data):
    with pytest.raises(ImageError, match="header gives no size"):
        decode_image(data)


def test_read_image_does_not_read_a_file_over_the_limit(tmp_path):
    path = tmp_path / "big.png"
    with path.open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    with pytest.raises(ImageTooLargeError):
        read_image(path)
    path.write_bytes(encode_png(picture()))
    assert np.array_equal(read_image(path), picture())
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "none.png")


def test_png_keeps_every_pixel_and_jpeg_comes_close():
    pixels = np.random.default_rng(0).integers(0, 256, (33, 47, 3), dtype=np.uint8)
    assert np.array_equal(decode_image(encode_png(pixels)), pixels)
    smooth = cv2.GaussianBlur(pixels, (0, 0), 5)
    assert np.abs(decode_image(encode_jpeg(smooth, 95)).astype(int) - smooth).mean() < 4
    assert len(encode_jpeg(pixels, 20)) < len(encode_jpeg(pixels, 90))


def test_pixels_that_no_jpeg_can_hold_are_an_image_error():
    with pytest.raises(ImageError, match="cannot encode"):
        encode_jpeg(np.zeros((1, 70_000, 3), np.uint8))
    with pytest.raises(ImageError, match="cannot encode"):
        encode_png(np.zeros((0, 5, 3), np.uint8))


def png_with_a_chunk_that_claims(length, at):
    """A complete PNG in which one chunk claims another length."""
    data = bytearray(encode_png(np.zeros((8, 8, 3), np.uint8)))
    position = data.index(at) - 4
    data[position : position + 4] = length.to_bytes(4, "big")
    return bytes(data)


@pytest.mark.parametrize("at", [b"IDAT", b"IEND"])
@pytest.mark.parametrize("length", [2**31 - 1, 2**32 - 1, 10_000])
def test_no_memory_is_allocated_for_the_claimed_size_of_a_png_chunk(at, length, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(ImageError, match="broken or cut off"):
        decode_image(png_with_a_chunk_that_claims(length, at))


@pytest.mark.parametrize("bare", [b"\xff\x00", b"\xff\xd0", b"\xff\xff\xff\x01"])
def test_a_jpeg_with_endless_markers_is_refused(bare, monkeypatch):
    monkeypatch.setattr(codecs, "MAX_SEGMENTS", 50)
    jpeg = encode_jpeg(np.zeros((20, 30, 3), np.uint8))
    assert image_size(jpeg[:2] + bare * 40 + jpeg[2:]) == (30, 20)
    with pytest.raises(ImageError, match="gives no size"):
        image_size(jpeg[:2] + bare * 50 + jpeg[2:])


def test_a_png_with_endless_chunks_is_refused(monkeypatch):
    monkeypatch.setattr(codecs, "MAX_SEGMENTS", 50)
    png = encode_png(np.zeros((20, 30, 3), np.uint8))
    chunk = b"\0\0\0\0" + b"teXt" + zlib.crc32(b"teXt").to_bytes(4, "big")
    assert decode_image(png[:33] + chunk * 40 + png[33:]).shape == (20, 30, 3)
    with pytest.raises(ImageError, match="broken or cut off"):
        decode_image(png[:33] + chunk * 50 + png[33:])


def progressive(scans, side=64):
    """A valid progressive JPEG whose last scan is repeated; none of the copies changes anything."""
    data = encoded(".jpg", picture(side, side), cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    last = data.rindex(b"\xff\xda")
    more = scans - count_scans(data)
    assert more >= 0
    return data[:-2] + data[last:-2] * more + data[-2:]


@pytest.mark.parametrize(
    ("data", "scans"),
    [
        (encoded(".jpg", picture()), 1),
        (encoded(".jpg", picture(), cv2.IMWRITE_JPEG_RST_INTERVAL, 1), 1),
        (progressive(10), 10),
        (progressive(12) + progressive(50), 12),  # a second image after the first one
        (progressive(12).replace(b"\xff\xda", b"\xff\xff\xff\xda"), 12),  # fill bytes
        (progressive(12)[:2] + exif(1, progressive(60)) + progressive(12)[2:], 12),  # a preview
    ],
    ids=["baseline", "restarts", "progressive", "two images", "fill bytes", "preview"],
)
def test_the_scans_of_a_jpeg_are_counted_without_decoding(data, scans, never_decodes):
    assert count_scans(data) == scans


@pytest.mark.parametrize("scans", [MAX_SCANS + 1, 1000])
def test_a_jpeg_with_too_many_scans_is_refused_before_decoding(scans, never_decodes):
    with pytest.raises(ImageTooLargeError, match="scans"):
        decode_image(progressive(scans))


def test_a_jpeg_with_as_many_scans_as_allowed_is_decoded():
    assert decode_image(progressive(MAX_SCANS)).shape == (64, 64, 3)


def test_segments_after_the_size_are_limited_too(never_decodes):
    data = encoded(".jpg", picture())
    at = data.index(b"\xff\xda")
    with pytest.raises(ImageTooLargeError):
        decode_image(data[:at] + b"\xff\xe0\0\2" * (MAX_SEGMENTS + 1) + data[at:])


def png_chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@pytest.mark.parametrize(
    "chunk",
    [
        png_chunk(b"iCCP", b"\x1b[2Jname\0\0" + zlib.compress(b"x")),
        png_chunk(b"zTXt", b"\x1b[2J\0\0" + zlib.compress(bytes(9_000_000))) * 3,
        png_chunk(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(bytes(9_000_000))) * 3,
        png_chunk(b"acTL", bytes(8)),
        png_chunk(b"\x1b[2J", b"x"),
    ],
    ids=["profile", "text", "international text", "animation", "unknown"],
)
def test_what_a_png_has_beside_its_picture_is_neither_unpacked_nor_printed(chunk, capfd):
    data = encoded(".png", picture())
    assert np.array_equal(decode_image(data[:33] + chunk + data[33:] + b"more"), picture())
    assert capfd.readouterr() == ("", "")


def test_the_orientation_of_a_png_is_kept():
    data = encoded(".png", picture())
    data = data[:33] + png_chunk(b"eXIf", exif(6)[10:]) + data[33:]
    assert np.array_equal(decode_image(data), cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
    assert decode_image(data).shape == (64, 48, 3)

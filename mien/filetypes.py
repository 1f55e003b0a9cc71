"""What a file is, judging by its first bytes and never by its name: image, video, sound, or none of these.

Everything that takes a file asks here: sources, uploads, `analyze`, `--media`. A file whose type is unknown is refused,
since the decoders of FFmpeg would otherwise guess, and play a tile of a photo or the pictures inside an archive.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

HEAD_BYTES = 1024
"""Bytes that `identify` needs; it works with fewer, as in a file that is shorter."""

Media = Literal["image", "video", "audio", "other"]

VIDEO_SUFFIXES = {".3gp", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4"}
VIDEO_SUFFIXES |= {".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".webm", ".wmv"}
IMAGE_SUFFIXES = {".bmp", ".jfif", ".jpeg", ".jpg", ".png", ".webp"}
SUFFIXES = frozenset(VIDEO_SUFFIXES | IMAGE_SUFFIXES)
"""Names of files that are looked for in folders; what each is, its content tells."""
_EITHER = {".gif", ".mjpeg", ".mjpg"}


@dataclass(frozen=True, slots=True)
class FileType:
    """A type of files.

    Args:
        name: For people, such as "JPEG" or "MP4".
        media: What it contains. A GIF is an image; whether it is animated, only the whole file tells.
        text: The type in a sentence, such as "an MP4 video".
        advice: What to do with a file that cannot be used; empty for one that can.
        ffmpeg: The demuxer of FFmpeg that reads it, for videos and for images that may be animated; else empty.

    Example:
        kind = identify(data)
        if kind is None or kind.media != "image":
            raise NotAnImageError(f"expected an image, found {describe(data)}")
    """

    name: str
    media: Media
    text: str
    advice: str = ""
    ffmpeg: str = ""

    @property
    def usable(self) -> bool:
        """Whether the program reads files of this type."""
        return not self.advice and self.media in ("image", "video")

    def contradicts(self, path: Path) -> bool:
        """Whether the name of a file says image for a video, or video for an image.

        Args:
            path: The file.
        """
        suffix = path.suffix.lower()
        if self.media == "video":
            return suffix in IMAGE_SUFFIXES and "animated" not in self.text
        return suffix in VIDEO_SUFFIXES - _EITHER


def _image(name: str, ffmpeg: str = "") -> FileType:
    return FileType(_bare(name), "image", f"{name} image", ffmpeg=ffmpeg)


def _unread_image(name: str) -> FileType:
    return FileType(_bare(name), "image", f"{name} image", "convert it to JPEG or PNG")


def _video(name: str, ffmpeg: str) -> FileType:
    return FileType(_bare(name), "video", f"{name} video", ffmpeg=ffmpeg)


def _audio(name: str) -> FileType:
    return FileType(_bare(name), "audio", f"{name} sound file", "it contains no picture")


def _archive(name: str) -> FileType:
    return FileType(_bare(name), "other", f"{name} archive", "unpack it")


def _other(name: str, advice: str = "give a video or an image") -> FileType:
    return FileType(_bare(name), "other", name, advice)


def _bare(name: str) -> str:
    return name.partition(" ")[2]


EMPTY = _other("an empty file", "copy it again")
MJPEG = _video("an MJPEG", "mjpeg")
"""JPEG images one after the other; `identify` sees only the first: see `mien.images.animation`."""

_MPEG = _video("an MPEG", "mpeg")
_QUICKTIME = "mov"
_MP4 = _video("an MP4", _QUICKTIME)
_MOV = _video("a QuickTime", _QUICKTIME)
_HEIC = _unread_image("a HEIC")
_AVIF = _unread_image("an AVIF")
_PAGE = _other("a web page (HTML)", "the download failed, or needs a login: download the file itself")
_SVG = _unread_image("an SVG")

_BEGINNINGS: tuple[tuple[bytes, FileType], ...] = (
    (b"\xff\xd8\xff", _image("a JPEG")),
    (b"\x89PNG\r\n\x1a\n", _image("a PNG", "apng")),
    (b"GIF87a", _image("a GIF", "gif")),
    (b"GIF89a", _image("a GIF", "gif")),
    (b"II*\0", _unread_image("a TIFF")),
    (b"MM\0*", _unread_image("a TIFF")),
    (b"II+\0", _unread_image("a TIFF")),
    (b"MM\0+", _unread_image("a TIFF")),
    (b"\xff\x0a", _unread_image("a JPEG XL")),
    (b"\0\0\0\x0cJXL \r\n\x87\n", _unread_image("a JPEG XL")),
    (b"\0\0\0\x0cjP  \r\n\x87\n", _unread_image("a JPEG 2000")),
    (b"\xff\x4f\xff\x51", _unread_image("a JPEG 2000")),
    (b"8BPS", _unread_image("a Photoshop")),
    (b"v/1\x01", _unread_image("an OpenEXR")),
    (b"#?RADIANCE", _unread_image("a Radiance HDR")),
    (b"qoif", _unread_image("a QOI")),
    (b"DDS ", _unread_image("a DDS")),
    (b"icns", _unread_image("an ICNS")),
    (b"IIRO", _unread_image("an Olympus raw")),
    (b"IIU\0", _unread_image("a Panasonic raw")),
    (b"FUJIFILMCCD-RAW", _unread_image("a Fujifilm raw")),
    (b"\x1aE\xdf\xa3", _video("a Matroska", "matroska")),  # WebM too
    (b"FLV\x01", _video("an FLV", "flv")),
    (b"OggS", _video("an Ogg", "ogg")),  # sound too, which its streams tell
    (b"0&\xb2u\x8ef\xcf\x11\xa6\xd9\0\xaa\0b\xcel", _video("a Windows Media", "asf")),
    (b".RMF", _video("a RealMedia", "rm")),
    (b"\x06\x0e+4\x02\x05\x01\x01\x0d\x01\x02", _video("an MXF", "mxf")),
    (b"DKIF", _video("an IVF", "ivf")),
    (b"YUV4MPEG2", _video("a Y4M", "yuv4mpegpipe")),
    (b"nut/multimedia container\0", _video("a NUT", "nut")),
    (b"\xb7\xd8\0\x20\x37\x49\xda\x11\xa6\x4e\0\x07\xe9\x5e\xad\x8d", _video("a WTV", "wtv")),
    (b"\x1f\x07\0", _video("a DV", "dv")),
    (b"\0\0\x01\xba", _MPEG),
    (b"IMKH", _MPEG),  # recorders of Hikvision: 40 bytes before it
    (b"DHAV", _video("a DAV", "dhav")),  # recorders of Dahua
    (b"\0\0\x01\xb3", _video("an MPEG-2", "mpegvideo")),
    (b"\0\0\x01\xb0", _video("an MPEG-4", "m4v")),
    (b"\0\0\x01\0\0\0\x01\x20", _video("an MPEG-4", "m4v")),
    (b"ID3", _audio("an MP3")),
    (b"fLaC", _audio("a FLAC")),
    (b"#!AMR", _audio("an AMR")),
    (b"MThd", _audio("a MIDI")),
    (b"caff", _audio("a CAF")),
    (b".snd", _audio("an AU")),
    (b"ADIF", _audio("an AAC")),
    (b"%PDF-", _other("a PDF document", "export its pictures as JPEG or PNG")),
    (b"PK\x03\x04", _archive("a ZIP")),
    (b"PK\x05\x06", _archive("a ZIP")),
    (b"\x1f\x8b", _archive("a gzip")),
    (b"BZh", _archive("a bzip2")),
    (b"\xfd7zXZ\0", _archive("an xz")),
    (b"(\xb5/\xfd", _archive("a Zstandard")),
    (b"7z\xbc\xaf'\x1c", _archive("a 7-Zip")),
    (b"Rar!\x1a\x07", _archive("an RAR")),
    (b"version https://git-lfs", _other("a Git LFS pointer", "run git lfs pull for the file itself")),
    (b"#EXTM3U", _other("a playlist", "give the files it names")),
    (b"ffconcat version", _other("a playlist", "give the files it names")),
    (b"[playlist]", _other("a playlist", "give the files it names")),
    (b"v=0\n", _other("a session description (SDP)", "give the address of the camera")),
    (b"v=0\r\n", _other("a session description (SDP)", "give the address of the camera")),
    (b"\x89HDF\r\n\x1a\n", _other("an HDF5 file")),
    (b"\x93NUMPY", _other("a NumPy array", "save it as PNG")),
    (b"SQLite format 3\0", _other("a database")),
    (b"\x7fELF", _other("a program")),
)

_RIFF = {
    b"WEBP": _image("a WebP"),
    b"AVI ": _video("an AVI", "avi"),
    b"AVIX": _video("an AVI", "avi"),
    b"WAVE": _audio("a WAV"),
}
_BMP_HEADERS = frozenset((12, 40, 52, 56, 64, 108, 124))
"""Sizes of the header that follows: texts may begin with "BM" too."""

_HEIC_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"))
_HEIF_BRAND = b"mif1"
"""Among the brands of any image in HEIF, whatever its codec: ISO/IEC 23008-12, 10.2.1."""
_MP4_BRANDS = frozenset((b"isom", *(b"iso%d" % number for number in range(2, 7)), b"mp41", b"mp42", b"avc1"))
_BRANDS = {
    **dict.fromkeys((b"M4A ", b"M4B ", b"M4P ", b"F4A "), _audio("an M4A")),
    b"avif": _AVIF,
    b"avis": _video("an animated AVIF", _QUICKTIME),
    b"qt  ": _MOV,
    b"crx ": _unread_image("a Canon raw"),
}
_QUICKTIME_BOXES = frozenset((b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp", b"moof", b"sidx", b"uuid"))
"""Files older than `ftyp`, and parts of streams, begin with one of these: QuickTime File Format, ISO/IEC 14496-12."""

_START_CODE = re.compile(rb"\0{2,3}\x01")
_H264_UNITS = frozenset((1, 5, 6, 7, 8, 9))  # ITU-T H.264, table 7-1
_HEVC_UNITS = frozenset((32, 33, 34, 35, 39))  # ITU-T H.265, table 7-1


def identify(head: bytes) -> FileType | None:
    """Detect the type of a file.

    Args:
        head: The first HEAD_BYTES bytes of the file, or all of a shorter one.

    Returns:
        None if the type is unknown.
    """
    if not head:
        return EMPTY
    for beginning, found in _BEGINNINGS:
        if head.startswith(beginning):
            return found
    return next((kind for check in _CHECKS if (kind := check(head)) is not None), None)


def read_head(path: Path) -> bytes:
    """The first bytes of a file, for `identify` and `describe`.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be read, or is no regular file: opening a pipe would block.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def describe(head: bytes) -> str:
    """What a file is, for the end of a sentence such as "expected a video, found ...".

    Args:
        head: As for `identify`.

    Returns:
        Such as "a HEIC image: convert it to JPEG or PNG"; for an unknown type how the file begins, as printable ASCII.
    """
    if not head:
        return "nothing (0 bytes)"
    kind = identify(head)
    if kind is not None:
        return f"{kind.text}: {kind.advice}" if kind.advice else kind.text
    return f"a file of an unknown type that begins with {head[:8]!r}"


def _riff(head: bytes) -> FileType | None:
    return _RIFF.get(head[8:12]) if head[:4] in (b"RIFF", b"RF64") else None


def _bitmap(head: bytes) -> FileType | None:
    is_bitmap = head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS
    return _image("a BMP") if is_bitmap else None


def _iso_media(head: bytes) -> FileType | None:
    """MP4 and its relatives: the brands in the first box tell which (ISO/IEC 14496-12, 4.3)."""
    if head[4:8] in _QUICKTIME_BOXES:
        return _MOV
    if head[4:8] != b"ftyp":
        return None
    length = min(int.from_bytes(head[:4], "big"), len(head))
    major = head[8:12]
    brands = {major, *(head[at : at + 4] for at in range(16, length - 3, 4))}
    if major in _BRANDS:
        return _BRANDS[major]
    if major in _HEIC_BRANDS or (_HEIF_BRAND in brands and not brands & _MP4_BRANDS):
        return _AVIF if brands & {b"avif", b"avis"} else _HEIC
    return _MP4


def _transport_stream(head: bytes) -> FileType | None:
    """Each packet of 188 bytes begins with 0x47; on Blu-ray discs four more bytes stand before it, in DVB 16 after it.

    A recording may begin within a packet: then more packets have to follow.
    """
    for first in range(204):
        packets = 2 if first in (0, 4) else 5
        for length in (188, 192, 204):
            starts = head[first::length]
            if len(starts) >= packets and starts == b"\x47" * len(starts):
                return _video("an MPEG-TS", "mpegts")
    return None


def _program_stream(head: bytes) -> FileType | None:
    """Some recorders write zeros before the first start code, as ISO/IEC 13818-1 lets them between packs."""
    return _MPEG if re.match(rb"\0{2,}\x01\xba", head) else None


def _bare_stream(head: bytes) -> FileType | None:
    """Video without a container begins with a start code and a unit of a known type."""
    code = _START_CODE.match(head)
    if code is None or len(head) < code.end() + 2:
        return None
    unit = head[code.end()]
    if head[code.end() + 1] == 1 and unit & 0x81 == 0 and unit >> 1 in _HEVC_UNITS:
        return _video("an H.265", "hevc")
    return _video("an H.264", "h264") if unit & 0x80 == 0 and unit & 0x1F in _H264_UNITS else None


def _icon(head: bytes) -> FileType | None:
    is_icon = head[:4] in (b"\0\0\x01\0", b"\0\0\x02\0") and 0 < int.from_bytes(head[4:6], "little") < 256
    return _unread_image("an icon") if is_icon and head[9:10] == b"\0" else None


def _netpbm(head: bytes) -> FileType | None:
    return _unread_image("a Netpbm") if re.match(rb"P[1-7][ \t\r\n#]", head) else None


def _audio_frames(head: bytes) -> FileType | None:
    """MP3 and AAC without tags: a frame begins with 11 or 12 bits that are set."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    layer = head[1] >> 1 & 3
    if layer == 0 and head[1] & 0xF0 == 0xF0:
        return _audio("an AAC")
    is_mp3 = layer == 1 and head[1] >> 3 & 3 != 1 and head[2] >> 4 not in (0, 15) and head[2] >> 2 & 3 != 3
    return _audio("an MP3") if is_mp3 else None


def _aiff(head: bytes) -> FileType | None:
    return _audio("an AIFF") if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC") else None


def _tar(head: bytes) -> FileType | None:
    return _archive("a tar") if head[257:262] == b"ustar" else None


def _markup(head: bytes) -> FileType | None:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(b"<svg") or (text.startswith(b"<?xml") and b"<svg" in text):
        return _SVG
    return _PAGE if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<?xml", b"<!--")) else None


def _text(head: bytes) -> FileType | None:
    """Text of any kind: nothing but printable characters, or UTF-16."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif re.search(rb"[\0-\x08\x0e-\x1a\x1c-\x1f\x7f]", head):
        return None
    else:
        encoding = "utf-8"
    try:
        head[: len(head) // 2 * 2 if encoding == "utf-16" else len(head)].decode(encoding)
    except UnicodeDecodeError as error:
        if error.start == 0 or error.start < len(head) - 4:  # else a character may be cut off at the end
            return None
    return _other("a text file")


_CHECKS: tuple[Callable[[bytes], FileType | None], ...] = (
    _riff,
    _bitmap,
    _iso_media,
    _transport_stream,
    _program_stream,
    _icon,
    _bare_stream,
    _netpbm,
    _aiff,
    _tar,
    _audio_frames,
    _markup,
    _text,
)

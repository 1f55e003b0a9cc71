"""Open files of networks with bounds on size, depth and time, and name what they are where they are something else.

No library reads a file before these checks: a model file often comes from a stranger.
"""

from __future__ import annotations

import json
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from mien.errors import ModelError
from mien.names import printable

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
ZIP_SIGNATURE = b"PK\x03\x04"
ZIP_ERRORS = (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError, ValueError)
"""What `zipfile` raises for a broken archive, or one that is packed in another way."""

MAX_JSON_BYTES = 32 << 20
"""Of an architecture; that of a network of 800 layers has about 1 MB."""

MAX_JSON_DEPTH = 100
MAX_WEIGHTS_BYTES = 2 << 30

_MAX_CAUSE_CHARS = 300
_START_BYTES = 512

_TEXTS: tuple[tuple[tuple[bytes, ...], str], ...] = (
    ((b"version https://git-lfs",), "a Git LFS pointer instead of the file; `git lfs pull` fetches it"),
    (
        (b"<!doctype html", b"<html", b"<head", b"<!--"),
        "a web page (HTML) instead of the file; download the file itself",
    ),
    ((b"<?xml", b"<error"), "an XML document, such as the error of a download"),
    ((b"backend:", b"class_name:", b"config:"), "YAML, which Keras no longer reads; save the network as .h5 or .keras"),
    ((b"{", b"[", b'"'), "JSON text"),
)
"""How texts begin, without white space and in lower case."""

_PICKLE = "a Python pickle, which would run code; save the network with Keras, as .h5 or .keras"
_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, HDF5_SIGNATURE, "an HDF5 file"),
    *((0, b"\x80" + bytes([protocol]), _PICKLE) for protocol in range(2, 6)),
    (0, b"\x1f\x8b", "a gzip archive; unpack it"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it"),
    (0, b"Rar!", "a RAR archive; unpack it"),
    (0, b"BZh", "a bzip2 archive; unpack it"),
    (0, b"\xfd7zXZ\x00", "an xz archive; unpack it"),
    (0, b"\x28\xb5\x2f\xfd", "a zstd archive; unpack it"),
    (257, b"ustar", "a tar archive; unpack it"),
    (4, b"TFL3", "a network compiled for LiteRT, without its Keras network, which was .h5, .keras or .json"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"\x89PNG", "a PNG picture"),
    (0, b"%PDF", "a PDF document"),
    (0, b"MZ", "a Windows program"),
    (0, b"\x7fELF", "a program"),
)
"""Where the bytes are that identify a format, and its name."""

_SUFFIXES = {
    ".onnx": "an ONNX network; expected one of Keras",
    ".pb": "a TensorFlow graph; expected one of Keras, such as the whole SavedModel folder",
    ".pbtxt": "a TensorFlow graph as text; expected one of Keras",
    ".pt": "a PyTorch file; expected one of Keras",
    ".pth": "a PyTorch file; expected one of Keras",
    ".ckpt": "a checkpoint; expected one of Keras, as .h5 or .keras",
    ".index": "the index of a TensorFlow checkpoint; expected .h5 or .keras",
}


def check_regular(path: Path, *, folder: bool = False) -> None:
    """Refuse what is missing, or is no regular file: opening a named pipe would wait forever.

    Args:
        path: Of the file.
        folder: Whether a folder is accepted too.

    Raises:
        ModelError: Naming what is there instead.
    """
    expected = f"{path}: expected a file of a trained network, found"
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise ModelError(f"{expected} no such file") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{expected} {getattr(error, 'strerror', None) or error}") from error
    kinds = {
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
        stat.S_IFDIR: "a directory",
    }
    found = kinds.get(stat.S_IFMT(mode))
    if found and not (folder and stat.S_ISDIR(mode)):
        raise ModelError(f"{expected} {found}")


def read_bytes(path: Path, limit: int) -> bytes:
    """Read a whole file of at most `limit` bytes.

    Raises:
        ModelError: It is missing, empty, too large, not a regular file, or not readable.
    """
    data = read_start(path, limit + 1)
    if len(data) > limit:
        size = path.stat().st_size
        raise ModelError(f"{path}: expected at most {limit >> 20} MB, found {size >> 20} MB")
    return data


def read_start(path: Path, size: int = _START_BYTES) -> bytes:
    """Read the first `size` bytes of a file.

    Raises:
        ModelError: It is missing, empty, not a regular file, or not readable.
    """
    check_regular(path)
    try:
        with path.open("rb") as file:
            data = file.read(size)
    except OSError as error:
        raise ModelError(
            f"{path}: expected a file of a trained network, found {error.strerror or str(error)}"
        ) from error
    if not data:
        raise ModelError(f"{path}: expected a file of a trained network, found an empty file")
    return data


def check_size(path: Path) -> None:
    """Refuse a file of weights that is too large to be that of a network for faces.

    Raises:
        ModelError: It has more than MAX_WEIGHTS_BYTES.
    """
    size = path.stat().st_size
    if size > MAX_WEIGHTS_BYTES:
        raise ModelError(f"{path}: expected at most {MAX_WEIGHTS_BYTES >> 20} MB of weights, found {size >> 20} MB")


@contextmanager
def temporary_file(path: Path, name: str, parts: Iterable[bytes]) -> Iterator[Path]:
    """A copy of a file, or of something inside it, in a temporary folder that is removed afterwards.

    Args:
        path: The file, for messages.
        name: Of the copy.
        parts: The content; errors in reading it are ModelErrors already.

    Raises:
        ModelError: There is no folder for temporary files, or no room in it.
    """
    with _written(path):
        temporary = tempfile.TemporaryDirectory(prefix="mien-", ignore_cleanup_errors=True)
    with temporary as folder:
        copy = Path(folder) / name
        with _written(path), copy.open("wb") as file:
            file.writelines(parts)
        yield copy


@contextmanager
def _written(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        expected = "expected a folder for temporary files (TMPDIR) with room for its weights"
        raise ModelError(f"{path}: {expected}, found none: {error.strerror or error}") from error


def parts_of(file: IO[bytes]) -> Iterator[bytes]:
    """The content of an open file in parts of a megabyte."""
    return iter(lambda: file.read(1 << 20), b"")


def name_content(path: Path, start: bytes) -> str:
    """What a file is, with what to do about it, for a message.

    Args:
        path: Its name and, for ZIP archives, its content matter too.
        start: Its first bytes.

    Returns:
        Such as "a Git LFS pointer instead of the file; `git lfs pull` fetches it"; a few bytes of it where nothing is
        recognized.
    """
    if start.startswith((ZIP_SIGNATURE, b"PK\x05\x06")):
        return _name_zip(path)
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    named = next((name for signatures, name in _TEXTS if text.startswith(signatures)), None)
    named = named or next((name for at, mark, name in _SIGNATURES if start[at : at + len(mark)] == mark), None)
    return named or _SUFFIXES.get(path.suffix.lower()) or f"one that starts with {start[:8]!r}"


def _name_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [entry.filename for entry in archive.infolist()[:1000]]
    except ZIP_ERRORS:
        return "a broken or truncated ZIP archive (of a .keras file?)"
    if "config.json" in names and any(name.endswith(".h5") for name in names):
        return "a .keras archive"
    if any(name.endswith("data.pkl") for name in names):
        return "a PyTorch file, which contains a pickle that would run code; expected one of Keras"
    if any(name.endswith(".npy") for name in names):
        return "an archive of NumPy arrays"
    return "a ZIP archive; unpack it"


def parse_document(data: bytes, path: Path) -> dict[str, Any]:
    """Parse the description of a network, which is not trusted.

    Args:
        data: JSON text.
        path: For messages.

    Returns:
        An object with class_name and config.

    Raises:
        ModelError: It is something else, or nested too deeply.
    """
    try:
        document = json.loads(data.decode("utf-8-sig"))
        if isinstance(document, str):  # json.dump(model.to_json(), file) writes JSON in JSON
            document = json.loads(document)
    except (ValueError, RecursionError) as error:
        named = name_content(path, data[:_START_BYTES])
        if named.startswith(("one that", "JSON")):
            named = f"none: {short_cause(error)}"
        raise ModelError(f"{path}: expected a network as JSON text, .h5 or .keras, found {named}") from error
    if not isinstance(document, dict) or not {"class_name", "config"} <= document.keys():
        found = f"the keys {sorted(document)[:5]}" if isinstance(document, dict) else type(document).__name__
        raise ModelError(f"{path}: expected class_name and config of a network, as model.to_json() has, found {found}")
    if any(depth == MAX_JSON_DEPTH for depth, _ in enumerate(_levels(document))):
        raise ModelError(f"{path}: expected at most {MAX_JSON_DEPTH} levels of JSON, found more")
    return document


def _levels(node: Any) -> Iterator[list[Any]]:
    """The dictionaries and lists of each level of nesting, from the outside."""
    level = [node]
    while level:
        yield level
        values = (value for one in level for value in (one.values() if isinstance(one, dict) else one))
        level = [value for value in values if isinstance(value, dict | list)]


def short_cause(error: BaseException) -> str:
    """The message of a library's error, shortened to one line."""
    innermost = str(error).rsplit("Exception encountered:", maxsplit=1)[-1]  # Keras prints the whole config first
    line = printable(" ".join(innermost.split()) or type(error).__name__)
    return line if len(line) <= _MAX_CAUSE_CHARS else f"{line[:_MAX_CAUSE_CHARS]} ..."

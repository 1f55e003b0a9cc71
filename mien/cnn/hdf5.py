"""Checks of an HDF5 file before any of its content is read: bounded, and without links to other files."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

from mien.cnn.files import HDF5_SIGNATURE, MAX_WEIGHTS_BYTES, check_size, name_content, read_start
from mien.errors import ModelError

MAX_OBJECTS = 50_000
"""Groups and arrays of one file; a network of 800 layers with its optimizer has about 8,000."""

MAX_ATTRIBUTE_VALUES = 100_000
"""Of one attribute, such as the list of the layers."""

_HEAP = b"GCOL\x01\0\0\0"
_MESSAGES = {1: 8, 2: 8, 3: 9}
"""Versions of the message of an attribute, and how many bytes are before its name."""
_VARIABLE = 9
"""Class of types of variable length."""
_PIECE_HEADER_BYTES, _LENGTH_BYTES = 16, 8

MAX_REST_BYTES = 64 << 20
"""Of a file without its arrays: attributes, names and what deleting has left."""


def check_hdf5(path: Path) -> None:
    """Refuse what is not HDF5 by its first bytes, or too large.

    Raises:
        ModelError: Naming what it is.
    """
    start = read_start(path)
    if not start.startswith(HDF5_SIGNATURE):
        raise ModelError(f"{path}: expected an HDF5 file of weights, found {name_content(path, start)}")
    check_size(path)
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        if not _heaps_are_sound(data):
            raise ModelError(f"{path}: expected a complete HDF5 file, found one with a broken heap of texts")


def _heaps_are_sound(data: mmap) -> bool:
    """Whether the library will come to the end of each heap of texts, in which it would loop at a piece without length.

    https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html , III.E: disk format of global heaps
    """
    if len(data) < 16:
        return True  # the library says what is missing
    if data[14 if data[8] < 2 else 10] != _LENGTH_BYTES:  # in the superblock, by its version
        return False
    at = data.find(_HEAP)
    while at >= 0:
        end = at + int.from_bytes(data[at + 8 : at + 16], "little")
        piece = at + _PIECE_HEADER_BYTES
        while piece + _PIECE_HEADER_BYTES <= min(end, len(data)):
            length = int.from_bytes(data[piece + 8 : piece + 16], "little")
            is_used = data[piece : piece + 2] != b"\0\0"
            whole = _PIECE_HEADER_BYTES + -(-length // 8) * 8 if is_used else length
            if whole < _PIECE_HEADER_BYTES or piece + whole > end:
                return False
            piece += whole
        at = data.find(_HEAP, at + len(_HEAP))
    return True


class Texts:
    """The lengths of the texts of attributes, before the library reads them: it would allocate any length.

        with Texts(path) as texts:
            texts.are_sound("layer_names")

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._data = mmap(file.fileno(), 0, access=ACCESS_READ)
        self._found: dict[str, bool] = {}

    def __enter__(self) -> Texts:
        """Nothing else is needed to begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._data.close()

    def are_sound(self, name: str) -> bool:
        """Whether no text in the attributes of this name claims to be longer than the file.

        Args:
            name: Of the attributes; all groups may have one.
        """
        if name not in self._found:
            lengths = list(self._lengths(name.encode("utf-8", "surrogateescape") + b"\0"))
            self._found[name] = bool(lengths) and max(lengths) <= len(self._data)
        return self._found[name]

    def _lengths(self, name: bytes) -> Iterator[int]:
        """Lengths of the texts in all attributes of this name.

        https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html , IV.A.2.m: the attribute message
        """
        at = self._data.find(name)
        while at >= 0:
            for version, header_bytes in _MESSAGES.items():
                start = at - header_bytes
                if start >= 0 and self._data[start] == version and self._number(start + 2, 2) == len(name):
                    yield from self._lengths_in(start, at, 8 if version == 1 else 1)
            at = self._data.find(name, at + 1)

    def _lengths_in(self, start: int, at: int, unit: int) -> Iterator[int]:
        """Lengths of the texts in one attribute, whose parts have multiples of `unit` bytes."""
        parts = [-(-self._number(start + here, 2) // unit) * unit for here in (2, 4, 6)]
        kind, space, values = (at + size for size in itertools.accumulate(parts))
        if self._number(kind, 1) & 15 != _VARIABLE:
            return
        rank, dimensions = self._number(space + 1, 1), space + (8 if self._number(space, 1) == 1 else 4)
        count = math.prod(self._number(dimensions + 8 * number, 8) for number in range(rank))
        for number in range(min(count, MAX_ATTRIBUTE_VALUES)):
            yield self._number(values + 16 * number, 4)

    def _number(self, at: int, size: int) -> int:
        return int.from_bytes(self._data[at : at + size], "little")


def check_content(file: Any, size_bytes: int) -> None:
    """Refuse content that would read other files, or take much more memory than a network needs.

    Args:
        file: An open h5py.File, of which nothing has been read.
        size_bytes: Of the file.

    Raises:
        ModelError: What was found; without the file's name.
        OSError: Its structure is broken.
    """
    import h5py

    objects = array_bytes = stored_bytes = 0

    # Returning something ends a visit; an exception would not pass through h5py.
    def link_to_refuse(name: str, link: Any) -> str | None:
        elsewhere = isinstance(link, h5py.ExternalLink | h5py.SoftLink)
        return f"expected arrays in the file itself, found a link at {_short(name)}" if elsewhere else None

    def object_to_refuse(name: str, item: Any) -> str | None:
        nonlocal objects, array_bytes, stored_bytes
        objects += 1
        if objects > MAX_OBJECTS:
            return f"expected at most {MAX_OBJECTS} groups and arrays, found more"
        reason = _attributes_to_refuse(item, texts, size_bytes)
        if reason is not None or not isinstance(item, h5py.Dataset):
            return reason
        array_bytes += (item.size or 0) * item.dtype.itemsize
        stored_bytes += item.id.get_storage_size()
        return _array_to_refuse(name, item, array_bytes)

    try:
        with Texts(Path(os.fsdecode(file.filename))) as texts:
            refused = object_to_refuse("", file) or file.visititems_links(link_to_refuse)
            refused = refused or file.visititems(object_to_refuse)
    except (SystemError, RuntimeError, KeyError, TypeError, ValueError) as error:  # how h5py finds a broken structure
        raise OSError("its structure is broken") from error
    if refused is not None:
        raise ModelError(refused)
    if size_bytes - stored_bytes > MAX_REST_BYTES:
        found = (size_bytes - stored_bytes) >> 20
        raise ModelError(f"expected at most {MAX_REST_BYTES >> 20} MB beside the arrays, found {found} MB")


def _attributes_to_refuse(item: Any, texts: Texts, size_bytes: int) -> str | None:
    """What is wrong with an attribute that takes much time and memory to read: a broken file may state any size."""
    for name in item.attrs:
        stored = item.attrs.get_id(name)
        count = 0 if stored.shape is None else math.prod(stored.shape)
        if count > MAX_ATTRIBUTE_VALUES or count * stored.dtype.itemsize > min(MAX_REST_BYTES, size_bytes):
            return f"expected at most {MAX_ATTRIBUTE_VALUES} values in an attribute, found more in {_short(name)}"
        if count and stored.dtype.hasobject and not texts.are_sound(name):
            return f"expected texts that are shorter than the file, found a longer one in {_short(name)}"
    return None


def _array_to_refuse(name: str, item: Any, array_bytes: int) -> str | None:
    """What is wrong with an array; array_bytes: the size of this one and of all before."""
    if item.external or item.is_virtual:
        return f"expected arrays in the file itself, found one in another file at {_short(name)}"
    if item.dtype.hasobject:  # whose length is not known before it is read
        return f"expected arrays of numbers, found one of texts or lists at {_short(name)}"
    if array_bytes > MAX_WEIGHTS_BYTES:
        return f"expected at most {MAX_WEIGHTS_BYTES >> 20} MB of arrays, found more"
    return None


def _short(name: str) -> str:
    return ascii(name[-80:])

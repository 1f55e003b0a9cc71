"""Checks of an HDF5 file before any of its content is read: bounded, and without links to other files."""

from __future__ import annotations

import math
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
        if (found := _large_attribute(item)) is not None:
            return f"expected at most {MAX_ATTRIBUTE_VALUES} values in an attribute, found more in {_short(found)}"
        if not isinstance(item, h5py.Dataset):
            return None
        if item.external or item.is_virtual:
            return f"expected arrays in the file itself, found one in another file at {_short(name)}"
        array_bytes += (item.size or 0) * item.dtype.itemsize
        stored_bytes += item.id.get_storage_size()
        if array_bytes > MAX_WEIGHTS_BYTES:
            return f"expected at most {MAX_WEIGHTS_BYTES >> 20} MB of arrays, found more"
        return None

    try:
        refused = object_to_refuse("", file) or file.visititems_links(link_to_refuse)
        refused = refused or file.visititems(object_to_refuse)
    except (SystemError, RuntimeError, KeyError, TypeError, ValueError) as error:  # how h5py finds a broken structure
        raise OSError("its structure is broken") from error
    if refused is not None:
        raise ModelError(refused)
    if size_bytes - stored_bytes > MAX_REST_BYTES:
        found = (size_bytes - stored_bytes) >> 20
        raise ModelError(f"expected at most {MAX_REST_BYTES >> 20} MB beside the arrays, found {found} MB")


def _large_attribute(item: Any) -> str | None:
    """The name of an attribute that would take much time and memory to read: a broken file may state any size."""
    for name in item.attrs:
        stored = item.attrs.get_id(name)
        count = math.prod(stored.shape or ())
        if count > MAX_ATTRIBUTE_VALUES or count * stored.dtype.itemsize > MAX_REST_BYTES:
            return str(name)
    return None


def _short(name: str) -> str:
    return ascii(name[-80:])

"""Checks of an HDF5 file before any of its content is read: bounded, and without links to other files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mien.cnn.files import HDF5_SIGNATURE, MAX_WEIGHTS_BYTES, check_size, name_content, read_start
from mien.errors import ModelError

MAX_OBJECTS = 50_000
"""Groups and arrays of one file; a network of 800 layers with its optimizer has about 8,000."""

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


def check_content(file: Any, size_bytes: int) -> None:
    """Refuse content that would read other files, or take much more memory than a network needs.

    Args:
        file: An open h5py.File, of which nothing has been read.
        size_bytes: Of the file.

    Raises:
        ModelError: What was found; without the file's name.
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
        if not isinstance(item, h5py.Dataset):
            return None
        if item.external or item.is_virtual:
            return f"expected arrays in the file itself, found one in another file at {_short(name)}"
        array_bytes += (item.size or 0) * item.dtype.itemsize
        stored_bytes += item.id.get_storage_size()
        if array_bytes > MAX_WEIGHTS_BYTES:
            return f"expected at most {MAX_WEIGHTS_BYTES >> 20} MB of arrays, found more"
        return None

    refused = file.visititems_links(link_to_refuse) or file.visititems(object_to_refuse)
    if refused is not None:
        raise ModelError(refused)
    if size_bytes - stored_bytes > MAX_REST_BYTES:
        found = (size_bytes - stored_bytes) >> 20
        raise ModelError(f"expected at most {MAX_REST_BYTES >> 20} MB beside the arrays, found {found} MB")


def _short(name: str) -> str:
    return ascii(name[-80:])

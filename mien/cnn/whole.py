"""Networks in one file (`.h5`, `.hdf5`, `.keras`) or folder (SavedModel): the architecture beside the weights."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mien import app
from mien.cnn import savedmodel
from mien.cnn.files import (
    HDF5_SIGNATURE,
    MAX_JSON_BYTES,
    MAX_WEIGHTS_BYTES,
    ZIP_ERRORS,
    ZIP_SIGNATURE,
    check_regular,
    check_size,
    name_content,
    parse_document,
    parts_of,
    read_bytes,
    read_start,
    temporary_file,
)
from mien.cnn.hdf5 import check_content, check_hdf5
from mien.errors import ModelError

SHIPPED_MODEL, SHIPPED_WEIGHTS = app.FOLDER / "model.json", app.FOLDER / "model_weights.h5"

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
"""The members of a .keras archive."""


def is_whole(model_file: Path) -> bool:
    """Whether a file, judged by its first bytes, may contain a whole network: HDF5, a .keras archive, or a folder.

    Raises:
        ModelError: It is missing, empty, not a regular file, or not readable.
    """
    check_regular(model_file, folder=True)
    return model_file.is_dir() or read_start(model_file).startswith((HDF5_SIGNATURE, ZIP_SIGNATURE))


def weights_of(model_file: str | Path, weights_file: str | Path | None) -> Path:
    """Which file has the weights of a network.

    Args:
        model_file: Its architecture, or the whole network.
        weights_file: None for the weights in `model_file`, or for the shipped ones beside a model.json. The shipped
            ones count as none for a whole network.

    Raises:
        ModelError: `model_file` is needed to decide, and is missing or not readable.
    """
    given = SHIPPED_WEIGHTS if weights_file is None else Path(weights_file)
    if given == SHIPPED_WEIGHTS and Path(model_file) != SHIPPED_MODEL and is_whole(Path(model_file)):
        return Path(model_file)
    return given


def read_document(path: Path) -> dict[str, Any]:
    """Read the description of a network: model.json, or that inside a whole network.

    Returns:
        A parsed model.json.

    Raises:
        ModelError: The file is something else, and what it is.
    """
    check_regular(path, folder=True)
    if path.is_dir():
        return savedmodel.read_document(path)
    start = read_start(path)
    if start.startswith(HDF5_SIGNATURE):
        return _read_hdf5(path)
    if start.startswith(ZIP_SIGNATURE):
        return _read_archive(path)
    return parse_document(read_bytes(path, MAX_JSON_BYTES), path)


@contextmanager
def weights_in_hdf5(path: Path) -> Iterator[Path]:
    """The weights of a network as an HDF5 file: the file itself, or that inside a .keras archive, as a temporary copy.

    Raises:
        ModelError: The file is something else, and what it is.
    """
    if not read_start(path).startswith(ZIP_SIGNATURE):
        check_hdf5(path)
        yield path
        return
    with temporary_file(path, WEIGHTS, _unpacked(path)) as copy:
        check_hdf5(copy)
        yield copy


def digest_of(path: Path) -> bytes:
    """SHA-256 of a file or SavedModel folder.

    Raises:
        OSError: It cannot be read.
        ModelError: It is missing, too large, not a regular file, or another folder.
    """
    check_regular(path, folder=True)
    if path.is_dir():
        return hashlib.sha256(b"".join(digest_of(file) for file in savedmodel.files_of(path))).digest()
    check_size(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _read_hdf5(path: Path) -> dict[str, Any]:
    check_hdf5(path)
    import h5py

    try:
        with h5py.File(path, "r") as file:
            check_content(file, path.stat().st_size)
            config = file.attrs.get("model_config")
            version = file.attrs.get("keras_version", "")
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise ModelError(f"{path}: expected a complete HDF5 file, found a broken or truncated one") from error
    if config is None:
        raise ModelError(
            f"{path}: expected a whole network, found weights alone; give its architecture as --model model.json and "
            "this file as --weights"
        )
    data = config if isinstance(config, bytes) else str(config).encode("utf-8", "surrogateescape")
    document = parse_document(data, path)
    version = version.decode("utf-8", "replace") if isinstance(version, bytes) else str(version)
    return {"keras_version": version, **document} if version else document


def _read_archive(path: Path) -> dict[str, Any]:
    with _opened(path) as archive:
        if CONFIG not in archive.namelist():
            found = name_content(path, ZIP_SIGNATURE)
            raise ModelError(f"{path}: expected a network of Keras, found {found}")
        document = parse_document(archive.read(_entry(archive, path, CONFIG, MAX_JSON_BYTES)), path)
        metadata: Any = {}
        if METADATA in archive.namelist():
            try:
                metadata = json.loads(archive.read(_entry(archive, path, METADATA, MAX_JSON_BYTES)))
            except (ValueError, RecursionError):
                metadata = {}
    version = str(metadata.get("keras_version", "")) if isinstance(metadata, dict) else ""
    return {"keras_version": version, **document} if version.startswith("2") else document


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except ZIP_ERRORS as error:
        raise ModelError(f"{path}: expected a complete .keras archive, found a broken or truncated one") from error


def _unpacked(path: Path) -> Iterator[bytes]:
    """The weights inside a .keras archive, in parts."""
    with _opened(path) as archive, archive.open(_entry(archive, path, WEIGHTS, MAX_WEIGHTS_BYTES)) as packed:
        yield from parts_of(packed)


def _entry(archive: zipfile.ZipFile, path: Path, name: str, limit: int) -> zipfile.ZipInfo:
    """A member of a .keras archive; ModelError where it is missing or would be too large."""
    try:
        entry = archive.getinfo(name)
    except KeyError as error:
        found = name_content(path, ZIP_SIGNATURE)
        raise ModelError(f"{path}: expected a .keras archive with {name}, found {found}") from error
    if entry.file_size > limit:
        raise ModelError(f"{path}: expected at most {limit >> 20} MB of {name}, found {entry.file_size >> 20} MB")
    return entry

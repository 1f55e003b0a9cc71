"""Files and folders named by URLs, such as s3://bucket/interviews: the package fsspec reads and writes them."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from mien.errors import MienError, SettingsError, one_line
from mien.masking import without_login

WEB = ("http", "https")
"""Servers that list no folders; "?" in their URLs is no pattern."""

VERSIONS = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "modified", "created")
"""What file systems call a mark that changes with the content of a file, the most reliable first."""


State = tuple[int | None, str | None]
"""Size of a file in bytes, and what changes with its content; None for what its server does not say."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file that a URL names.

    Args:
        url: Of the file.
        below: Its path below the folder that was named, otherwise its name.
        state: Of the file, as the folder lists it; None if it does not.
    """

    url: str
    below: str
    state: State | None = None


def is_url(word: str) -> bool:
    """Whether a word is a URL and not a path: it begins with a scheme and `://`."""
    return re.match(r"[a-z][a-z0-9+.-]+://", word, re.IGNORECASE) is not None


def join(url: str, *names: str) -> str:
    """The URL of something below a folder."""
    return "/".join((url.rstrip("/"), *names))


def find_files(url: str) -> list[RemoteFile]:
    """Find the files that a URL names: a file, those of a folder and the folders below it, or those of a pattern.

    Args:
        url: Hidden files, whose names begin with a dot, are left out unless they are named.

    Returns:
        Sorted by URL; empty if there are none.

    Raises:
        SettingsError: fsspec, or its package for this scheme, is missing.
        MienError: The files cannot be listed.
    """
    if urlsplit(url).scheme.lower() in WEB:
        return [RemoteFile(url, _name(url))]
    system, path = _open(url)
    with _explained(url, "listed"):
        is_pattern = glob.has_magic(path)
        tops = [path]
        if is_pattern:
            tops = [top for top in sorted(system.glob(path)) if "/." not in top or "/." in path]
        return [file for top in tops for file in _below(system, top, None if is_pattern else url)]


def _below(system: Any, top: str, typed: str | None) -> Iterator[RemoteFile]:
    """The files of a folder, or the one file; their URLs begin as the folder was typed, if it was."""
    for path, facts in sorted(system.find(top, detail=True).items()):
        below = path.removeprefix(top).strip("/")
        if any(part.startswith(".") for part in below.split("/")):
            continue
        start = system.unstrip_protocol(top) if typed is None else typed
        state = _state(facts) if facts else None
        yield RemoteFile(join(start, below) if below else start, below or PurePosixPath(path).name, state)


def file_state(url: str) -> State:
    """The state of a file. Raises MienError if there is none, or it cannot be reached."""
    system, path = _open(url)
    with _explained(url, "read"):
        return _state(system.info(path))


def _state(facts: Mapping[str, Any]) -> State:
    version = next((str(facts[name]) for name in VERSIONS if facts.get(name) is not None), None)
    return facts.get("size"), version


def download(url: str, path: Path) -> None:
    """Copy a file to this computer. Raises MienError if it cannot be read."""
    system, remote = _open(url)
    with _explained(url, "read"):
        system.get_file(remote, str(path))


def upload(path: Path, url: str) -> None:
    """Copy a file of this computer to a URL. Raises MienError if it cannot be written."""
    system, remote = _open(url)
    with _explained(url, "written"):
        system.makedirs(remote.rpartition("/")[0], exist_ok=True)
        system.put_file(str(path), remote)


def list_names(url: str) -> set[str]:
    """The names of what a folder contains; none if there is no such folder. Raises MienError if it cannot be listed."""
    system, path = _open(url)
    with _explained(url, "listed"):
        system.invalidate_cache(path)
        try:
            return {PurePosixPath(each).name for each in system.ls(path, detail=False)} - {""}
        except FileNotFoundError:
            return set()


def remove(url: str) -> None:
    """Remove a file or a folder with all its files, if there is one. Raises MienError if it cannot be removed."""
    system, path = _open(url)
    with _explained(url, "removed"):
        if system.exists(path):
            system.rm(path, recursive=True)


def _name(url: str) -> str:
    return PurePosixPath(unquote(urlsplit(url).path)).name or "file"


def _open(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it."""
    shown = without_login(url)
    try:
        from fsspec.core import url_to_fs
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"{shown}: expected the package fsspec to read and write URLs, found none; "
            "pip install -r requirements-dask.txt installs it"
        ) from error
    try:
        system, path = url_to_fs(url)
    except (ValueError, ImportError) as error:  # an unknown scheme; a package of the user's that is missing
        raise SettingsError(
            f"{shown}: expected a URL that fsspec can open, found: {one_line(error).replace(url, shown)}"
        ) from error
    except Exception as error:
        raise MienError(f"{shown} cannot be opened: {one_line(error).replace(url, shown)}") from error
    return system, path


@contextmanager
def _explained(url: str, what: str) -> Iterator[None]:
    """Turn any error into a MienError of one line: each file system raises its own."""
    what = f"{without_login(url)} cannot be {what}"
    try:
        yield
    except FileNotFoundError as error:
        raise MienError(f"{what}: there is no such file or folder") from error
    except Exception as error:
        raise MienError(f"{what}: {one_line(error).replace(url, without_login(url))}") from error

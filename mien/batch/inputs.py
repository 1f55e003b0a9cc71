"""What is to be analyzed: files, folders, patterns and lists become a list of inputs, each once and with its folder."""

from __future__ import annotations

import codecs
import glob
import logging
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from mien.batch.urls import State, find_files, is_url
from mien.errors import MienError, SettingsError
from mien.filetypes import IMAGE_SUFFIXES, SUFFIXES, describe, identify, read_head
from mien.images.animation import media_type, note_about
from mien.masking import without_login
from mien.names import printable

log = logging.getLogger(__name__)

IMAGES = "images"
"""Folder of the results of all images of one call."""

NO_FILE = "there is no such file or folder"
NO_MATCH = "no file or folder matches it"
EMPTY = "there is no video or image in this folder"
OTHER = "neither a video nor an image, judging by its name"
LINK = "a link to a folder, which is searched only if it is named itself"
RESULT = "in the folder of the results"
NOT_A_FILE = "not a file but a pipe, socket or device"

_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}

RESERVED = frozenset(
    {IMAGES, "inputs.csv", "summary.csv", "jobs.jsonl", "jobs.part", "mien.json"}
    | {"report.html", "report-strips.png", "report-shares.png"}
)
"""What the folder of all results contains beside those of the videos."""
FOLDER_BYTES = 200
"""Most file systems allow names of 255 bytes; a folder that is not complete has a longer one."""


@dataclass(frozen=True, slots=True)
class Input:
    """One file to analyze.

    Args:
        path: Where it is; of a URL only the name, until it is downloaded.
        name: Its name in tables: as it was typed, with "/" between folders; bytes that are no UTF-8 as "\\udc..".
        folder: Name of the folder for its results, below the folder for all results.
        is_image: Whether it is a single image; all images share a folder.
        url: Where it is, if not on this computer.
        state: Its size and version there, if they are known already.
    """

    path: Path
    name: str
    folder: str = ""
    is_image: bool = False
    url: str | None = None
    state: State | None = None


@dataclass(frozen=True, slots=True)
class Inputs:
    """What was found.

    Args:
        found: Files to analyze, in the order in which they were named; those of a folder sorted by path.
        skipped: Files of folders that are neither video nor image, links to folders in them, and what was named below
            the folder of the results: (name, reason).
        missing: Words that name nothing: (word, reason).
    """

    found: tuple[Input, ...]
    skipped: tuple[tuple[str, str], ...]
    missing: tuple[tuple[str, str], ...]


def find_inputs(words: Sequence[str], lines: Iterable[str] = (), leave_out: Path | str | None = None) -> Inputs:
    """Find the files that the words of a command line name.

    Args:
        words: Files, folders (searched with all folders below them), patterns such as `videos/*.mp4`, URLs of these, or
            `-` for the lines of a list.
        lines: The lines that `-` stands for, each a file, folder or pattern.
        leave_out: A folder or URL of which nothing is taken, such as that of the results.

    Returns:
        Each file once, however often it is named.

    Raises:
        SettingsError: A package that reads URLs is missing.
    """
    found: dict[str, Input] = {}
    skipped: dict[str, str] = {}
    missing: dict[str, str] = {}
    searched: list[str] = []
    outside = Path(os.path.realpath(leave_out)) if isinstance(leave_out, Path) else None
    for word in _with_lists(words, lines):
        if is_url(word):
            _add_urls(word, leave_out if isinstance(leave_out, str) else None, found, skipped, missing)
            continue
        matches = _matches(word)
        if not matches:
            missing[storable(word)] = NO_MATCH if glob.has_magic(word) else NO_FILE
        for match in matches:
            if _is_special(match):
                missing[storable(match.as_posix())] = NOT_A_FILE
                continue
            if outside is not None and (real := Path(os.path.realpath(match))).is_relative_to(outside):
                if match == Path(word) and real != outside:
                    skipped[storable(match.as_posix())] = RESULT
                continue
            is_folder = os.path.isdir(match)  # noqa: PTH112  Path.is_dir raises in a closed folder
            files = _files_below(match, outside, skipped, missing) if is_folder else [match]
            reasons = {} if not is_folder else {file: reason for file in files if (reason := _why_skipped(file))}
            skipped |= {storable(file.as_posix()): reason for file, reason in reasons.items()}
            searched += [storable(match.as_posix())] if is_folder else []
            media = [file for file in files if file not in reasons]
            if not media:
                missing.setdefault(storable(match.as_posix()), EMPTY)
            for file in media:
                below = Path(file.name) if file == match else file.relative_to(match)
                each = Input(file, storable(file.as_posix()), below.with_suffix("").as_posix(), _is_image(file))
                found.setdefault(os.path.realpath(file), each)
    for name in (*(each.name for each in found.values()), *searched):
        skipped.pop(name, None)
    return Inputs(tuple(_in_folders(found.values())), tuple(skipped.items()), tuple(missing.items()))


def decode_list(data: bytes, encoding: str) -> list[str]:
    """The lines of a list of files, as programs of any system write it.

    Args:
        data: Text with a byte order mark (UTF-8 or UTF-16, as PowerShell writes), or without one in `encoding`.
        encoding: Such as "utf-8"; bytes that are invalid in it stay part of a name.

    Raises:
        SettingsError: It is UTF-16 without a byte order mark, or no text.
    """
    errors = "surrogateescape"
    for mark, marked in _MARKS.items():
        if data.startswith(mark):
            data, encoding = data.removeprefix(mark), marked
            errors = "surrogateescape" if marked == "utf-8" else "surrogatepass"  # lone ones are valid on Windows
    try:
        text = data.decode(encoding, errors)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise SettingsError("-: expected a list of files, one per line, in UTF-8 or UTF-16 with a byte order mark")
    return re.split(r"\r?\n", text)


def _with_lists(words: Iterable[str], lines: Iterable[str]) -> Iterator[str]:
    for word in words:
        if word == "-":
            yield from (text for line in lines if (text := line.strip("\r\n")))
        else:
            yield word


def _matches(word: str) -> list[Path]:
    if not word:  # as from an empty variable of the shell; it would be the current folder
        return []
    if os.path.exists(word):  # noqa: PTH110  Path.exists raises where a folder is closed or the name is too long
        return [Path(word)]
    try:
        return [Path(each) for each in sorted(glob.glob(word, recursive=True))]  # noqa: PTH207  it may be absolute
    except ValueError:  # no file can have such a name, as one with half of a pair of UTF-16
        return []


def _add_urls(
    word: str, leave_out: str | None, found: dict[str, Input], skipped: dict[str, str], missing: dict[str, str]
) -> None:
    """Add what a URL names; the name alone says what is an image, because to look into each file costs a request."""
    try:
        files = find_files(word)
    except SettingsError:
        raise
    except MienError as error:
        missing[without_login(word)] = str(error)
        return
    if not files:
        missing[without_login(word)] = NO_MATCH if glob.has_magic(word) else NO_FILE
    for file in files:
        path = PurePosixPath(file.below)
        if leave_out is not None and file.url.startswith(leave_out.rstrip("/") + "/"):
            if file.url == word:
                skipped[storable(without_login(word))] = RESULT
            continue
        if file.url != word and path.suffix.lower() not in SUFFIXES:
            skipped[without_login(file.url)] = OTHER
            continue
        is_image, folder = path.suffix.lower() in IMAGE_SUFFIXES, path.with_suffix("").as_posix()
        each = Input(Path(path.name), storable(without_login(file.url)), folder, is_image, file.url, file.state)
        found.setdefault(file.url, each)


def storable(text: str) -> str:
    """A text that any file can store, even if it has a name whose bytes are no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _files_below(folder: Path, leave_out: Path | None, skipped: dict[str, str], missing: dict[str, str]) -> list[Path]:
    """Sorted by path; hidden ones, whose names begin with a dot, are left out.

    Adds links to folders to `skipped`, as they could lead anywhere, and unreadable folders to `missing`.
    """

    def unreadable(error: OSError) -> None:
        missing[storable(Path(error.filename).as_posix())] = f"this folder cannot be read: {error.strerror}"

    files = []
    for parent, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = [
            name
            for name in sorted(folders)  # the system names them in any order
            if not name.startswith(".")
            and (leave_out is None or Path(os.path.realpath(Path(parent, name))) != leave_out)
        ]
        links = sorted(path for name in folders if (path := Path(parent, name)).is_symlink())
        skipped |= {storable(path.as_posix()): LINK for path in links}  # os.walk does not enter them
        files += [Path(parent, name) for name in names if not name.startswith(".")]
    return sorted(files, key=Path.as_posix)


def _is_special(path: Path) -> bool:
    """Whether opening it could wait for ever, as for a pipe."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # the analysis will say why
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _is_image(path: Path) -> bool:
    """By the content, as everywhere, and where that is of no known format by the name; an animated image is a video."""
    try:
        kind = media_type(path)
        if kind is None or kind.media not in ("image", "video"):
            return path.suffix.lower() in IMAGE_SUFFIXES
        if kind.contradicts(path):
            log.info("%s is %s, contrary to its name", printable(path.as_posix()), kind.text)
        note = note_about(path) if kind.media == "image" else None
        if note:
            log.info("%s %s analyzed", printable(path.as_posix()), note)
        return kind.media == "image"
    except OSError:  # the analysis will say why
        return False


def _why_skipped(path: Path) -> str | None:
    """Why a file of a folder is no input; a photo or sound of a type that cannot be used is named, to be noticed."""
    if _is_special(path):
        return NOT_A_FILE
    if path.suffix.lower() in SUFFIXES:
        return None
    try:
        head = read_head(path)
    except OSError:
        return OTHER
    kind = identify(head)
    return describe(head) if kind is not None and kind.media != "other" and not kind.usable else OTHER


def file_name(text: str) -> str:
    """A text as the name of a file or folder on any system, without suffix; empty if nothing of it is left."""
    data = text.replace("/", "-").encode("utf-8", "surrogatepass")[:FOLDER_BYTES]
    return data.decode("utf-8", "ignore").lstrip(".").rstrip(". ")  # Windows drops dots at the end


class Names:
    """Gives each file or folder a name that no other has, even where upper and lower case are the same.

        names = Names({"images"})
        names.take("anna"), names.take("Anna")  # ("anna", "Anna-2")

    Args:
        taken: Names that are not given.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = {name.casefold() for name in taken}
        self._numbers: Counter[str] = Counter()

    def take(self, wanted: str) -> str:
        """The name, or, if it is taken, NAME-2, NAME-3, ...

        Args:
            wanted: The name.
        """
        name = wanted
        while name.casefold() in self._taken:
            self._numbers[wanted.casefold()] += 1
            name = f"{wanted}-{self._numbers[wanted.casefold()] + 1}"
        self._taken.add(name.casefold())
        return name


def _in_folders(found: Iterable[Input]) -> Iterator[Input]:
    """Give each video a folder of its own."""
    names = Names(RESERVED)
    for each in found:
        folder = IMAGES if each.is_image else names.take(file_name(each.folder) or "video")
        yield replace(each, folder=folder)

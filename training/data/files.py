"""Read images and tables from files; ValueError and DataError say in words what could not be read."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from mien.cnn.files import name_content
from mien.errors import MienError
from mien.filetypes import describe, identify, read_head

CSV_SIDE_PX = 48
_START_BYTES = 4096
_IMAGE_SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp"),
    *(".tif", ".tiff", ".pgm", ".ppm", ".pnm", ".gif"),
}
_SYSTEM_FILES = {"thumbs.db", "desktop.ini"}
"""Files that operating systems leave in folders of pictures."""


class DataError(MienError):
    """The data set is missing, empty, or does not have the expected layout."""


def is_hidden(name: str) -> bool:
    """Return whether to ignore a file or folder: .DS_Store, .ipynb_checkpoints, __MACOSX, Thumbs.db and the like."""
    return name.startswith((".", "__")) or name.lower() in _SYSTEM_FILES


def files_under(folder: Path) -> list[Path]:
    """Return all files of a folder and its subfolders, sorted, without hidden ones; links to folders are not followed.

    Raises:
        DataError: A folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from error

    found: list[Path] = []
    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not is_hidden(name)]
        found += [Path(parent, name) for name in names if not is_hidden(name)]
    return sorted(found)


def read_image(path: Path) -> np.ndarray:
    """Read an image as gray, upright by its EXIF data: uint8 (height, width).

    Raises:
        ValueError: It is not an image, is broken, or cannot be opened; of an image in another format, which.
    """
    named = path.suffix.lower() in _IMAGE_SUFFIXES
    try:
        head = read_head(path)  # first: to open a pipe would wait forever
        data = np.frombuffer((path.read_bytes() if named else b"") or b"\0", np.uint8)
    except OSError as error:
        raise ValueError(error.strerror or "cannot be opened") from error
    try:
        image = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    except cv2.error:  # too large for OpenCV, or broken in a way its decoder does not expect
        image = None
    if image is None:
        kind = identify(head)
        if kind is not None and kind.media == "image" and not kind.usable:
            raise ValueError(describe(head))
        raise ValueError("not a readable image" if named else "its name is not that of an image")
    return image


def resized(image: np.ndarray, side_px: int) -> np.ndarray:
    """Resize a gray image, uint8 (height, width), to (side_px, side_px); the aspect ratio is not kept."""
    if image.shape == (side_px, side_px):
        return image
    interpolation = cv2.INTER_AREA if image.shape[0] > side_px else cv2.INTER_LINEAR
    return cv2.resize(image, (side_px, side_px), interpolation=interpolation)


def read_rows(path: Path, needed: set[str], expected: str) -> Iterator[tuple[int, dict[str, str | None]]]:
    """Yield (number from 1, row by column name) of a CSV file; names are stripped and in lower case.

    Args:
        path: Of the file.
        needed: Columns that must be there.
        expected: Describes them in the message.

    Raises:
        DataError: A column is missing, or the file is not a table or cannot be read.
    """
    csv.field_size_limit(1 << 20)
    try:
        with path.open("rb") as file:
            start = file.read(_START_BYTES)
        opened = path.open(newline="", encoding=_encoding(start), errors="replace")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    named = name_content(path, start)
    if not named.startswith(("one that", "JSON")):  # as which a header in quotes begins
        opened.close()
        raise DataError(f"{path}: expected a folder, or a CSV file with {expected}; found {named}")
    with opened as file:
        reader = csv.DictReader(file, delimiter=_delimiter(start, needed))
        try:
            reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
            if not needed <= set(reader.fieldnames):
                found = ",".join(reader.fieldnames)[:200] or "an empty file"
                raise DataError(f"{path}: expected {expected}; found {found}")
            yield from enumerate(reader, start=1)
        except csv.Error as error:
            raise DataError(
                f"{path}: expected a table, found a broken row after line {reader.line_num}: {error}"
            ) from error


def _encoding(start: bytes) -> str:
    """The encoding of a text that begins so: UTF-16 by its mark, or by the zeros between its letters; else UTF-8."""
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    for encoding, zeros, letters in (("utf-16-le", start[1::2], start[::2]), ("utf-16-be", start[::2], start[1::2])):
        if len(start) > 2 and not any(zeros) and all(letters):
            return encoding
    return "utf-8-sig"


def _delimiter(start: bytes, needed: set[str]) -> str:
    """What separates the columns: the first of comma, semicolon and tab with which the header has what is needed."""
    header = start.decode(_encoding(start), "replace").partition("\n")[0].lower()
    for delimiter in ",;\t":
        if needed <= {name.strip().strip('"').strip() for name in header.split(delimiter)}:
            return delimiter
    return ","


def parse_pixels(text: str | None) -> np.ndarray:
    """Parse the column `pixels` of FER-2013's CSV.

    Args:
        text: 2304 whole numbers 0 to 255, separated by spaces.

    Returns:
        Gray, uint8 (48, 48).

    Raises:
        ValueError: It is anything else.
    """
    words = (text or "").split()
    if len(words) != CSV_SIDE_PX**2:
        raise ValueError(f"expected {CSV_SIDE_PX**2} pixels, found {len(words)}")
    try:
        values = np.array(words, np.int64)
    except (ValueError, OverflowError):
        raise ValueError("expected whole numbers 0..255 as pixels, found something else") from None
    if values.min() < 0 or values.max() > 255:
        raise ValueError(f"expected pixels 0..255, found {values.min()}..{values.max()}")
    return values.astype(np.uint8).reshape(CSV_SIDE_PX, CSV_SIDE_PX)

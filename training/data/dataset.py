"""Read FER-2013 from image folders or from Kaggle's CSV files.

Goodfellow et al., "Challenges in representation learning: a report on three machine learning contests" (2013).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mien.labels import expression_of
from mien.types import EXPRESSIONS
from training.data.files import (
    CSV_SIDE_PX,
    DataError,
    files_under,
    is_hidden,
    parse_pixels,
    read_image,
    read_rows,
    resized,
)
from training.data.splits import HELD_OUT, OFFICIAL, Dataset, Split, hold_out

CSV_CODES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The codes 0 to 6 of the CSV's column `emotion`; another order than that of EXPRESSIONS."""

_FOLDERS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "val", "valid", "dev", "publictest"), "validation"),
    **dict.fromkeys(("test", "testing", "privatetest"), "test"),
}
"""Accepted names of the folders of a split data set, and the splits they contain."""

_MAX_DEPTH = 3
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")

_VALIDATION_SHARE = _TEST_SHARE = 0.1


@dataclass(slots=True)
class _Collector:
    """Collects the readable images of each split, and a line for each unreadable one."""

    side_px: int
    official: bool = False
    rows: dict[str, list[tuple[np.ndarray, int, str]]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    def add(self, split: str, image: np.ndarray, label: int, name: str) -> None:
        self.rows.setdefault(split, []).append((resized(image, self.side_px), label, name))

    def split(self, name: str) -> Split:
        rows = self.rows.pop(name, [])
        labels = np.array([label for _, label, _ in rows], np.int64)
        names = tuple(row_name for _, _, row_name in rows)
        images = np.empty((len(rows), self.side_px, self.side_px, 1), np.uint8)
        for i in reversed(range(len(rows))):  # frees each as it is copied, so that memory holds large images only once
            images[i, :, :, 0] = rows.pop()[0]
        return Split(images, labels, names)


def load_dataset(source: str | Path, *, side_px: int = CSV_SIDE_PX, seed: int = 0) -> Dataset:
    """Read a folder tree (`train/<expression>/*`, `test/<expression>/*`) or a Kaggle CSV (`emotion,pixels[,Usage]`).

    FER-2013's file names split its test images: PublicTest_* is validation, PrivateTest_* is test. Otherwise a folder
    `validation/` is used, or else 10 % of the training images, stratified by expression; their exact duplicates go with
    them. A tree of the seven folders alone is split by a hash of the pixels: 80 % train, 10 % validation, 10 % test.
    Folders may be nested, their names in upper or lower case, also those of `mien.labels.ALIASES`, perhaps after a
    number ("3_happiness"), and all of them one to three folders deeper. Hidden files are ignored. A CSV is of UTF-8 or
    UTF-16, with commas, semicolons or tabs.

    Args:
        source: The folder or the CSV file.
        side_px: Images of any size, in color or gray, are converted to gray and resized to this side.
        seed: Of the validation images that are taken from the training images.

    Raises:
        DataError: The layout is not as expected, or an expression has no training images.
    """
    path = Path(source)
    collector = _Collector(side_px)
    if path.is_dir():
        _read_folders(path, collector)
    elif path.is_file():
        _read_csv(path, collector)
    else:
        raise DataError(f"{path}: expected a folder with train/ and test/, or a CSV file; found nothing there")
    train, validation, test = (collector.split(name) for name in ("train", "validation", "test"))
    skipped = f" ({len(collector.skipped)} skipped, first {collector.skipped[0]})" if collector.skipped else ""
    if not len(train):
        raise DataError(f"{path}: expected training images, found none that can be read{skipped}")
    named = OFFICIAL if collector.official else ("validation", "test")
    if not len(validation):
        train, validation = hold_out(train, _VALIDATION_SHARE, seed)
        named = HELD_OUT, named[1]
    missing = [expression for expression, n in train.counts().items() if n == 0]
    if missing:
        raise DataError(
            f"{path}: expected training images of all seven expressions, found none of {', '.join(missing)}{skipped}"
        )
    if not len(validation):
        raise DataError(f"{path}: expected two images of an expression or more, to hold one out; found one of each")
    return Dataset(train, validation, test, tuple(collector.skipped), named)


def duplicates(dataset: Dataset) -> dict[str, int]:
    """Count the exact duplicates between the splits; return numbers of images by description."""
    labels_of: dict[str, set[int]] = {}
    for digest, label in zip(dataset.train.hashes(), dataset.train.labels, strict=True):
        labels_of.setdefault(digest, set()).add(int(label))
    counts = {"distinct images in Training": len(labels_of)}
    for name, split in zip(dataset.named, (dataset.validation, dataset.test), strict=True):
        images = zip(split.hashes(), split.labels, strict=True)
        also = [(digest, label) for digest, label in images if digest in labels_of]
        counts[f"{name} images also in Training"] = len(also)
        counts[f"{name} images also in Training, with other labels only"] = sum(
            int(label) not in labels_of[digest] for digest, label in also
        )
    public = set(dataset.validation.hashes()) - set(labels_of)
    counts[f"{dataset.named[1]} images also in {dataset.named[0]}, but not in Training"] = sum(
        digest in public for digest in dataset.test.hashes()
    )
    return counts


def _read_folders(root: Path, collector: _Collector) -> None:
    """Read folders of splits, or the seven folders of expressions alone."""
    folders = named = _folders_in(root)
    for _ in range(_MAX_DEPTH):  # archives often contain a folder around everything
        if len(folders) == 1 and folders[0].name.lower() not in _FOLDERS and _expression_of(folders[0]) is None:
            (root,) = folders
            folders = _folders_in(root)
    splits = [folder for folder in folders if folder.name.lower() in _FOLDERS]
    loose = [folder for folder in folders if _expression_of(folder) is not None]
    if loose and not splits:
        for image, label, path in _images_of(root, collector):
            collector.add(_split_by_hash(image), image, label, str(path))
        return
    if loose or not any(_FOLDERS[folder.name.lower()] == "train" for folder in splits):
        found = ", ".join(folder.name for folder in (folders or named)[:10]) or "no folder"
        if packed := [entry.name for entry in root.iterdir() if entry.suffix.lower() in _ARCHIVES]:
            found += f", but {packed[0]}, an archive; unpack it"
        raise DataError(f"{root}: expected the folders train/ and test/, or those of the seven alone; found {found}")
    for folder in splits:
        split = _FOLDERS[folder.name.lower()]
        for image, label, path in _images_of(folder, collector):
            public = split == "test" and path.name.startswith(OFFICIAL[0])
            is_official = folder.name.lower() in ("publictest", "privatetest")
            collector.official |= is_official or (split == "test" and path.name.startswith(OFFICIAL))
            collector.add("validation" if public else split, image, label, str(path))


def _images_of(folder: Path, collector: _Collector) -> Iterator[tuple[np.ndarray, int, Path]]:
    """Yield (image, label, path) of all readable images in the folders of the expressions."""
    classes = _folders_in(folder)
    labels = {entry: _expression_of(entry) for entry in classes}
    unknown = sorted(entry.name for entry, label in labels.items() if label is None)
    if unknown or not classes:
        found = ", ".join(unknown[:10]) or "none"
        raise DataError(f"{folder}: expected folders named {', '.join(EXPRESSIONS)}; found {found}")
    numbers = {entry: EXPRESSIONS.index(label) for entry, label in labels.items() if label is not None}
    for entry in sorted(classes, key=lambda entry: (numbers[entry], entry.name)):
        for path in files_under(entry):
            try:
                yield read_image(path), numbers[entry], path
            except ValueError as error:
                collector.skipped.append(f"{path}: {error}")


def _expression_of(folder: Path) -> str | None:
    """The expression that a folder is named after, such as "happy" of "3_Happiness"; None for another name."""
    return expression_of(re.sub(r"^\d+[\s._-]+", "", folder.name))


def _folders_in(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not is_hidden(entry.name))


def _split_by_hash(image: np.ndarray) -> str:
    """Return the split of an image by its pixels: copies stay together, and added images move no other."""
    digest = hashlib.blake2b(f"{image.shape}".encode() + image.tobytes(), digest_size=4).digest()
    share = int.from_bytes(digest, "big") / 2**32
    if share < _TEST_SHARE:
        return "test"
    return "validation" if share < _TEST_SHARE + _VALIDATION_SHARE else "train"


def _read_csv(path: Path, collector: _Collector) -> None:
    usages = {"training": "train", "publictest": "validation", "privatetest": "test"}
    for number, row in read_rows(path, {"emotion", "pixels"}, "the columns emotion,pixels and perhaps Usage"):
        name = f"{path.name} row {number}"
        try:
            label = EXPRESSIONS.index(expression_of(row["emotion"] or "") or CSV_CODES[_code(row["emotion"])])
            image = parse_pixels(row["pixels"])
            usage = "train" if "usage" not in row else usages[(row["usage"] or "").strip().lower()]
        except KeyError as error:
            collector.skipped.append(f"{name}: expected Usage Training, PublicTest or PrivateTest, found {error}")
        except ValueError as error:
            collector.skipped.append(f"{name}: {error}")
        else:
            collector.add(usage, image, label, name)
            collector.official |= usage != "train"


def _code(text: str | None) -> int:
    """The code of a cell, also where a program has written it as a fraction: "6.0"."""
    match = re.fullmatch(r"\s*([0-9]{1,3})(?:\.0*)?\s*", text or "", re.ASCII)
    code = -1 if match is None else int(match[1])
    if not 0 <= code < len(CSV_CODES):
        raise ValueError(f"expected an emotion code 0..6, found {text!r}")
    return code

"""FER-2013 from image folders or from the Kaggle CSV files, as arrays.

Goodfellow et al., "Challenges in representation learning: a report on three machine learning contests" (2013).
"""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from mien.expressions import EXPRESSIONS, MienError

CSV_CODES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""What the codes 0..6 of the CSV's `emotion` column mean: another order than that of EXPRESSIONS."""

CSV_SIDE_PX = 48
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".pgm"}
VALIDATION_SHARE = 0.1


class DataError(MienError):
    """The data set is missing, empty, or not laid out as expected."""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Images and their labels.

    images: uint8 (n, side, side, 1), gray, 0..255. labels: int64 (n,), indices into EXPRESSIONS.
    names: where each image comes from (a path, or "file.csv row 12").
    """

    images: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def counts(self) -> dict[str, int]:
        """Number of images of each expression."""
        per_class = np.bincount(self.labels, minlength=len(EXPRESSIONS))
        return {expression: int(n) for expression, n in zip(EXPRESSIONS, per_class, strict=True)}

    def take(self, indices: np.ndarray) -> Split:
        """The images at these positions, in this order."""
        return Split(self.images[indices], self.labels[indices], tuple(self.names[i] for i in indices))

    def hashes(self) -> list[str]:
        """A digest of each image's pixels: equal for exact duplicates, whatever their names or labels."""
        return [hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest() for image in self.images]


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """What fits (train), what selects (validation: PublicTest) and what is reported (test: PrivateTest).

    test is empty where the source has none. skipped: one line for each image or row that could not be read.
    """

    train: Split
    validation: Split
    test: Split
    skipped: tuple[str, ...] = ()


@dataclass(slots=True)
class _Collector:
    """Gathers readable images by split and the reasons for those that are not."""

    side_px: int
    rows: dict[str, list[tuple[np.ndarray, int, str]]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    def add(self, split: str, image: np.ndarray, label: int, name: str) -> None:
        if image.shape != (self.side_px, self.side_px):
            shrinks = image.shape[0] > self.side_px
            interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            image = cv2.resize(image, (self.side_px, self.side_px), interpolation=interpolation)
        self.rows.setdefault(split, []).append((image, label, name))

    def split(self, name: str) -> Split:
        rows = self.rows.get(name, [])
        images = np.empty((len(rows), self.side_px, self.side_px, 1), np.uint8)
        for i, (image, _, _) in enumerate(rows):
            images[i, :, :, 0] = image
        labels = np.array([label for _, label, _ in rows], np.int64)
        return Split(images, labels, tuple(row_name for _, _, row_name in rows))


def load_dataset(source: str | Path, *, side_px: int = CSV_SIDE_PX, seed: int = 0) -> Dataset:
    """Read a folder tree (`train/<expression>/*`, `test/<expression>/*`) or a Kaggle CSV (`emotion,pixels[,Usage]`).

    FER-2013's own names decide where a test image belongs: PublicTest_* validates, PrivateTest_* tests.
    Without them a folder `validation/` validates, else 10 % of the training images do: the same for a
    seed, stratified by expression, and exact duplicates stay on one side.
    Images are made gray and scaled to side_px. What can not be read is named in `skipped`.
    Raises DataError where the layout is not as expected.
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
    if not len(train):
        raise DataError(f"{path}: expected training images, found none that can be read")
    if not len(validation):
        train, validation = hold_out(train, VALIDATION_SHARE, seed)
    missing = [expression for expression, n in train.counts().items() if n == 0]
    if missing:
        raise DataError(
            f"{path}: expected training images of all seven expressions, found none of {', '.join(missing)}"
        )
    return Dataset(train, validation, test, tuple(collector.skipped))


def groups(split: Split) -> np.ndarray:
    """For each image the position of the first one with the same pixels: int (n,)."""
    first_with_hash: dict[str, int] = {}
    return np.array([first_with_hash.setdefault(digest, i) for i, digest in enumerate(split.hashes())], int)


def hold_out(split: Split, share: float, seed: int) -> tuple[Split, Split]:
    """(rest, held out): about `share` of each expression; exact duplicates stay together on one side."""
    group = groups(split)
    rng = np.random.default_rng(seed)
    held = np.zeros(len(split), bool)
    for label in range(len(EXPRESSIONS)):
        leaders = np.flatnonzero((split.labels == label) & (group == np.arange(len(split))))
        chosen = rng.permutation(leaders)[: round(share * len(leaders))]
        held |= np.isin(group, chosen)
    return split.take(np.flatnonzero(~held)), split.take(np.flatnonzero(held))


def not_in(split: Split, others: Split) -> Split:
    """The images of `split` that do not stand, pixel for pixel, in `others`."""
    known = set(others.hashes())
    return split.take(np.array([i for i, digest in enumerate(split.hashes()) if digest not in known], np.int64))


def duplicates(dataset: Dataset) -> dict[str, int]:
    """How far the splits overlap, counted by exact pixels: what is counted -> images."""
    label_of = dict(zip(dataset.train.hashes(), dataset.train.labels, strict=True))
    counts = {"distinct images in Training": len(label_of)}
    for name, split in (("PublicTest", dataset.validation), ("PrivateTest", dataset.test)):
        images = zip(split.hashes(), split.labels, strict=True)
        also = [(digest, label) for digest, label in images if digest in label_of]
        counts[f"{name} images also in Training"] = len(also)
        counts[f"{name} images also in Training, with another label"] = sum(label_of[d] != label for d, label in also)
    return counts


def _read_folders(root: Path, collector: _Collector) -> None:
    folders = {entry.name.lower(): entry for entry in root.iterdir() if entry.is_dir()}
    if "train" not in folders:
        found = ", ".join(sorted(folders)) or "no folder"
        raise DataError(f"{root}: expected the folders train/ and test/, found {found}")
    for split, names in {"train": ("train",), "validation": ("validation", "val", "valid"), "test": ("test",)}.items():
        for name in names:
            if name in folders:
                _read_split(folders[name], split, collector)


def _read_split(folder: Path, split: str, collector: _Collector) -> None:
    classes = {entry.name.lower(): entry for entry in folder.iterdir() if entry.is_dir()}
    unknown = sorted(set(classes) - set(EXPRESSIONS))
    if unknown or not classes:
        found = ", ".join(unknown) or "none"
        raise DataError(f"{folder}: expected folders named {', '.join(EXPRESSIONS)}; found {found}")
    for label, expression in enumerate(EXPRESSIONS):
        if expression not in classes:
            continue
        for path in sorted(p for p in classes[expression].iterdir() if p.suffix.lower() in IMAGE_SUFFIXES):
            image = cv2.imdecode(np.frombuffer(path.read_bytes() or b"\0", np.uint8), cv2.IMREAD_GRAYSCALE)
            if image is None:
                collector.skipped.append(f"{path}: not a readable image")
                continue
            public = split == "test" and path.name.startswith("PublicTest")
            collector.add("validation" if public else split, image, label, str(path))


def _read_csv(path: Path, collector: _Collector) -> None:
    usages = {"training": "train", "publictest": "validation", "privatetest": "test"}
    csv.field_size_limit(1 << 20)
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        reader = csv.DictReader(file)
        reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
        if not {"emotion", "pixels"} <= set(reader.fieldnames):
            found = ",".join(reader.fieldnames) or "an empty file"
            raise DataError(f"{path}: expected the columns emotion,pixels and perhaps Usage; found {found}")
        for number, row in enumerate(reader, start=1):
            name = f"{path.name} row {number}"
            try:
                label = EXPRESSIONS.index(CSV_CODES[_code(row["emotion"])])
                image = parse_pixels(row["pixels"])
                usage = "train" if "usage" not in row else usages[(row["usage"] or "").strip().lower()]
            except KeyError as error:
                collector.skipped.append(f"{name}: expected Usage Training, PublicTest or PrivateTest, found {error}")
            except ValueError as error:
                collector.skipped.append(f"{name}: {error}")
            else:
                collector.add(usage, image, label, name)


def _code(text: str | None) -> int:
    try:
        code = int(text or "")
    except ValueError:
        code = -1
    if not 0 <= code < len(CSV_CODES):
        raise ValueError(f"expected an emotion code 0..6, found {text!r}")
    return code


def parse_pixels(text: str | None) -> np.ndarray:
    """The CSV's pixel text as a gray image, uint8 (48, 48). Raises ValueError for anything else."""
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

"""Votes of several people for each image, in addition to the label of its folder.

FER+ (Barsoum, Zhang, Canton Ferrer and Zhang, "Training deep networks for facial expression recognition with
crowd-sourced label distribution", 2016) asked ten people about each image of FER-2013.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mien.types import EXPRESSIONS
from training.data.batches import one_hot
from training.data.files import DataError, read_rows
from training.data.splits import HELD_OUT, Dataset, Split

VOTED = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise", "contempt", "unknown", "nf")
"""The columns of a table of votes: EXPRESSIONS in its order, then what the network has no output for; nf: no face."""

SEVEN = len(EXPRESSIONS)
CONTEMPT = VOTED.index("contempt")
MIN_VOTES = 3
"""An image with fewer votes for the seven expressions is ambiguous."""

_OFFICIAL_SPLITS = ("Training", "PublicTest", "PrivateTest")

_Row = tuple[int, dict[str, str | None]]
"""Number of a row of a table, from 1, and its cells by column."""

_Find = Callable[[str, str, int], np.ndarray]
"""Name of a split, name of an image and its label -> its votes, int (10,)."""


@dataclass(frozen=True, slots=True)
class Joined:
    """How many images of a split have votes.

    Attributes:
        split: Its name in the table.
        images: Number of its images.
        voted: Those with votes.
        ambiguous: Those with votes, but fewer than MIN_VOTES for the seven expressions.

    Example:
        dataset, joined = with_votes(dataset, Path("votes.csv"))
        print(*joined, sep="\n")
        print(f"{joined[0].voted / joined[0].images:.1%} of the training images have votes")
    """

    split: str
    images: int
    voted: int
    ambiguous: int

    def __str__(self) -> str:
        return f"{self.split}: votes for {self.voted} of {self.images} images, {self.ambiguous} of them ambiguous"


def with_votes(dataset: Dataset, table: Path) -> tuple[Dataset, tuple[Joined, ...]]:
    """Add the votes of a table to a data set.

    Args:
        dataset: From image folders or from a Kaggle CSV.
        table: A CSV file with the columns split, file and those of VOTED, which is joined by split and file name,
            and by folder where it has that column too; or FER+'s fer2013new.csv, whose rows have the order of the
            Kaggle CSV.

    Returns:
        The data set with votes, and counts of each split.

    Raises:
        DataError: The file is neither, has other values than whole numbers, or belongs to other images.
    """
    rows = list(read_rows(table, set(VOTED), "the columns split,file or Usage, and " + ",".join(VOTED)))
    if not rows:
        raise DataError(f"{table}: expected rows of votes, found none")
    columns = set(rows[0][1])
    if {"split", "file"} <= columns:
        find = _by_name(table, rows)
    elif "usage" in columns:
        find = _by_row(table, rows)
    else:
        raise DataError(f"{table}: expected the columns split,file or Usage beside the votes; found neither")
    training, public, private = _OFFICIAL_SPLITS
    # Images that were held out of training are training images there.
    names = training, training if dataset.named[0] == HELD_OUT else public, private
    splits, joined = [], []
    for name, split in zip(names, (dataset.train, dataset.validation, dataset.test), strict=True):
        found = [find(name, image, label) for image, label in zip(split.names, split.labels, strict=True)]
        votes = np.array(found, np.int64).reshape(-1, len(VOTED))
        splits.append(replace(split, votes=votes))
        if len(votes):
            voted, few = votes.sum(axis=1) > 0, ambiguous(splits[-1])
            joined.append(Joined(name, len(votes), int(voted.sum()), int((voted & few).sum())))
    if not any(one.voted for one in joined):
        example = dataset.train.names[0]
        raise DataError(f"{table}: expected votes for the images of the data set, such as {example}; found none")
    return replace(dataset, train=splits[0], validation=splits[1], test=splits[2]), tuple(joined)


def shares(split: Split) -> np.ndarray:
    """Return the shares of the seven expressions in the votes of each image.

    Args:
        split: Images with votes.

    Returns:
        float32 (n, 7), rows sum to 1; the one-hot label of an image that is ambiguous or has no votes.
    """
    seven = votes_of(split)[:, :SEVEN].astype(np.float32)
    total = seven.sum(axis=1, keepdims=True)
    return np.where(total >= MIN_VOTES, seven / np.maximum(total, 1), one_hot(split.labels))


def ambiguous(split: Split) -> np.ndarray:
    """Return which images with votes have fewer than MIN_VOTES for the seven expressions: bool (n,)."""
    return votes_of(split)[:, :SEVEN].sum(axis=1) < MIN_VOTES


def clear_majority(split: Split) -> np.ndarray:
    """Return what most people see, by the protocol of the FER+ paper.

    Single votes are removed; an image has a majority if its largest count exceeds half of the remaining votes and is
    one of the eight expressions, contempt included.

    Args:
        split: Images with votes.

    Returns:
        int (n,), indices into VOTED; -1 for no majority.
    """
    votes = votes_of(split)
    kept = np.where(votes > 1, votes, 0)
    largest = kept.argmax(axis=1)
    counts = (kept.max(axis=1) * 2 > kept.sum(axis=1)) & (largest <= CONTEMPT)
    return np.where(counts, largest, -1)


def votes_of(split: Split) -> np.ndarray:
    """Return the votes, int (n, 10) as in VOTED, zeros for images without. Raise ValueError for a split without."""
    if split.votes is None:
        raise ValueError("expected a split with votes, found one without")
    return split.votes


def _by_name(table: Path, rows: list[_Row]) -> _Find:
    """Find votes by split, file name and, if the table has that column, folder."""
    known: dict[tuple[str, ...], np.ndarray] = {}
    columns = [column for column in ("split", "file", "folder") if column in rows[0][1]]
    for number, row in rows:
        key = tuple((row[column] or "").strip().lower() for column in columns)
        if key in known:
            raise DataError(f"{table}: expected each file once in a split, found {key[1]} again in row {number}")
        known[key] = _counts(table, number, row)
    none = np.zeros(len(VOTED), np.int64)

    def find(split: str, image: str, label: int) -> np.ndarray:
        key = (split.lower(), Path(image).name.lower(), EXPRESSIONS[label])
        return known.get(key[: len(columns)], none)

    return find


def _by_row(table: Path, rows: list[_Row]) -> _Find:
    """Find votes by the row number in the Kaggle CSV: 12 for "fer2013.csv row 12"."""

    def find(split: str, image: str, label: int) -> np.ndarray:
        _, separator, digits = image.rpartition(" row ")
        if not separator or not digits.isdecimal():
            raise DataError(
                f"{table}: expected a Kaggle CSV as data set, whose rows this table follows; found the image {image}. "
                "A table for image folders has the columns split and file"
            )
        number = int(digits)
        if number > len(rows):
            raise DataError(f"{table}: expected a row for each of the CSV's images, found no row {number}")
        row = rows[number - 1][1]
        usage = (row["usage"] or "").strip()
        if usage.lower() != split.lower():
            raise DataError(f"{table} row {number}: expected Usage {split} as of the image, found {usage!r}")
        return _counts(table, number, row)

    return find


def _counts(table: Path, number: int, row: dict[str, str | None]) -> np.ndarray:
    try:
        counts = np.array([int(row[column] or "") for column in VOTED], np.int64)
    except (ValueError, OverflowError):
        counts = np.array([-1])
    if counts.min() < 0:
        found = ",".join(str(row[column]) for column in VOTED)
        raise DataError(f"{table} row {number}: expected whole numbers from 0 as votes, found {found}")
    return counts

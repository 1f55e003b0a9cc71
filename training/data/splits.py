"""Images with their labels, and how they are split: into held-out images, and into folds for cross-validation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mien.types import EXPRESSIONS
from training.recipe import RunError

OFFICIAL = "PublicTest", "PrivateTest"
HELD_OUT = "held out of training"


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Images and their labels.

    Attributes:
        images: Gray uint8 (n, side, side, 1).
        labels: int64 (n,), indices into EXPRESSIONS.
        names: The origin of each image: a path, or "file.csv row 12".
        votes: Of several people for each image, int (n, 10) in the order of `training.data.votes.VOTED`, or None.

    Example:
        happy = split.take(split.labels == EXPRESSIONS.index("happy"))
        print(len(happy), happy.names[0])
        plt.imshow(happy.images[0, :, :, 0])
    """

    images: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    votes: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def counts(self) -> dict[str, int]:
        """Return the number of images of each expression."""
        per_class = np.bincount(self.labels, minlength=len(EXPRESSIONS))
        return {expression: int(n) for expression, n in zip(EXPRESSIONS, per_class, strict=True)}

    def take(self, indices: np.ndarray) -> Split:
        """Return some of the images; indices: their positions, int (m,), or a mask, bool (n,)."""
        votes = None if self.votes is None else self.votes[indices]
        return Split(self.images[indices], self.labels[indices], tuple(np.array(self.names, object)[indices]), votes)

    def digest(self) -> str:
        """Return twelve hexadecimal digits that identify images, labels and votes in their order."""
        digest = hashlib.sha256(np.ascontiguousarray(self.images).data)  # without a copy of the images
        digest.update(np.ascontiguousarray(self.labels).data)
        if self.votes is not None:
            digest.update(np.ascontiguousarray(self.votes).data)
        return digest.hexdigest()[:12]

    def hashes(self) -> list[str]:
        """Return a digest of each image's pixels: equal for exact duplicates, whatever their names or labels."""
        return [hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest() for image in self.images]


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """The three splits of a data set.

    Attributes:
        train: Trains the network.
        validation: Chooses epoch and calibration; of FER-2013, PublicTest.
        test: Is reported; of FER-2013, PrivateTest. Empty where the source has none.
        skipped: One line for each image or row that could not be read.
        named: Names of validation and test: OFFICIAL for FER-2013, else "validation" and "test", or HELD_OUT for images
            taken from the training images, which another network may have been trained on.

    Example:
        dataset = load_dataset("data/fer2013")
        print(len(dataset.train), len(dataset.validation), len(dataset.test))
        print(dataset.named, *dataset.skipped, sep="\n")
    """

    train: Split
    validation: Split
    test: Split
    skipped: tuple[str, ...] = ()
    named: tuple[str, str] = OFFICIAL


def groups(split: Split) -> np.ndarray:
    """Group exact duplicates: for each image, the position of the first one with the same pixels, int (n,)."""
    first_with_hash: dict[str, int] = {}
    return np.array([first_with_hash.setdefault(digest, i) for i, digest in enumerate(split.hashes())], int)


def hold_out(split: Split, share: float, seed: int) -> tuple[Split, Split]:
    """Hold out a share of each expression; exact duplicates stay together.

    Of an expression with two or more distinct images at least one is held out; a single image stays.

    Args:
        split: The images.
        share: About this share is held out, 0 to 1.
        seed: Of the choice.

    Returns:
        The rest, and the images that are held out.
    """
    group = groups(split)
    rng = np.random.default_rng(seed)
    held = np.zeros(len(split), bool)
    for label in range(len(EXPRESSIONS)):
        leaders = np.flatnonzero((split.labels == label) & (group == np.arange(len(split))))
        wanted = max(round(share * len(leaders)), int(len(leaders) > 1))
        chosen = rng.permutation(leaders)[:wanted]
        held |= np.isin(group, chosen)
    return split.take(~held), split.take(held)


def fold_of(split: Split, count: int, seed: int) -> np.ndarray:
    """Return the fold of each image, int (n,), 0 to count - 1, stratified by expression.

    Exact duplicates share a fold; the same seed gives the same folds.

    Args:
        split: The images.
        count: Number of folds.
        seed: Of the assignment.

    Raises:
        RunError: There are fewer than two folds, or fewer distinct images of an expression than folds.
    """
    group = groups(split)
    fold_of_group = np.full(len(split), -1)
    rng = np.random.default_rng(seed)
    for label, expression in enumerate(EXPRESSIONS):
        leaders = rng.permutation(np.flatnonzero((split.labels == label) & (group == np.arange(len(split)))))
        if not 2 <= count <= len(leaders):
            raise RunError(f"folds: expected 2 to {len(leaders)}, the distinct images of {expression}; found {count}")
        fold_of_group[leaders] = np.arange(len(leaders)) % count
    return np.asarray(fold_of_group[group])


def folds(split: Split, count: int, seed: int) -> Iterator[tuple[Split, Split]]:
    """Yield training and validation images of each fold of a split; count, seed, errors: as `fold_of`."""
    fold = fold_of(split, count, seed)
    for i in range(count):
        yield split.take(fold != i), split.take(fold == i)


def not_in(split: Split, others: Split) -> Split:
    """Return the images of a split whose pixels are not those of one of the others."""
    known = set(others.hashes())
    return split.take(np.array([digest not in known for digest in split.hashes()], bool))

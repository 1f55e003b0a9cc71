"""Stratified folds of the training images, for cross-validation and for teachers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mien.types import EXPRESSIONS
from training.data.dataset import Split, groups
from training.recipe import RunError


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
    """Split images for cross-validation; each image validates once.

    Args:
        split: The images.
        count: Number of folds.
        seed: Of the assignment.

    Yields:
        Training and validation images of each fold.

    Raises:
        RunError: As `fold_of` does.
    """
    fold = fold_of(split, count, seed)
    for i in range(count):
        yield split.take(np.flatnonzero(fold != i)), split.take(np.flatnonzero(fold == i))

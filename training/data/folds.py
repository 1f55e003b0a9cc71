"""Training images in parts: what one part of them teaches is tried on the others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mien.types import EXPRESSIONS
from training.data.dataset import Split, groups
from training.recipe import RunError


def fold_of(split: Split, count: int, seed: int) -> np.ndarray:
    """For each image its fold, int (n,), 0 to count - 1: exact duplicates are in the same one.

    Stratified by expression, the same for a seed. Raises RunError for fewer than 2 folds or fewer distinct images
    of an expression than folds.
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
    """`count` times (what fits, what validates): each image validates once; exact duplicates stay on one side.

    Raises RunError as `fold_of`.
    """
    fold = fold_of(split, count, seed)
    for i in range(count):
        yield split.take(np.flatnonzero(fold != i)), split.take(np.flatnonzero(fold == i))

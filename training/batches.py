"""A split as the batches that `fit` takes."""

from __future__ import annotations

import math

import keras
import numpy as np

from mien.expressions import EXPRESSIONS
from training.dataset import Split

BALANCES = ("none", "weights", "sampling")
"""How rare expressions are helped: not at all, by the weight of their images, or by how often they are drawn."""


class Batches(keras.utils.PyDataset):
    """A split in a new order each epoch; the order depends on seed and epoch alone, so a resumed run repeats it.

    Gives images uint8 (batch, side, side, 1) and one-hot labels float32 (batch, 7). balance "weights": also the
    weight of each image in the loss, float32 (batch,), inverse to the size of its class and 1 on average over the
    split. balance "sampling": an epoch has as many images as before, but of every expression the same number.
    multiple: of which every batch holds one, for as many devices; up to multiple - 1 images wait for the next epoch.
    """

    def __init__(self, split: Split, batch_size: int, seed: int, balance: str = "none", multiple: int = 1) -> None:
        super().__init__()
        self.split = split
        self.batch_size = batch_size
        self.seed = seed
        self.balance = balance
        self.multiple = multiple
        self.weights = class_weights(split.labels)
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Shuffle, and where asked draw, for this epoch."""
        rng = np.random.default_rng((self.seed, epoch))
        order = self._draw_evenly(rng) if self.balance == "sampling" else rng.permutation(len(self.split))
        self.order = order[: len(order) // self.multiple * self.multiple]

    def __len__(self) -> int:
        return math.ceil(len(self.order) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        labels = self.split.labels[chosen]
        batch = (self.split.images[chosen], one_hot(labels))
        return (*batch, self.weights[labels]) if self.balance == "weights" else batch

    def _draw_evenly(self, rng: np.random.Generator) -> np.ndarray:
        """Positions of as many images as the split has: all of a class before any of it again."""
        present = [label for label in range(len(EXPRESSIONS)) if (self.split.labels == label).any()]
        quota = math.ceil(len(self.split) / len(present))
        drawn = []
        for label in present:
            members = np.flatnonzero(self.split.labels == label)
            rounds = math.ceil(quota / len(members))
            drawn.append(np.concatenate([rng.permutation(members) for _ in range(rounds)])[:quota])
        return rng.permutation(np.concatenate(drawn))[: len(self.split)]


def class_weights(labels: np.ndarray) -> np.ndarray:
    """float32 (7,): total / (classes * images of the class), so that every class weighs the same; 0 for none."""
    counts = np.bincount(labels, minlength=len(EXPRESSIONS))
    present = counts > 0
    weights = np.zeros(len(EXPRESSIONS), np.float32)
    weights[present] = len(labels) / (present.sum() * counts[present])
    return weights


def one_hot(labels: np.ndarray) -> np.ndarray:
    """float32 (n, 7) with a one where the label is."""
    return np.eye(len(EXPRESSIONS), dtype=np.float32)[labels]

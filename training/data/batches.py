"""A split as the batches that `fit` takes.

Mixup: what is learnt from is two images at once, and so are the labels.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from mien.types import EXPRESSIONS
from training.data.dataset import Split


class Batches(keras.utils.PyDataset):
    """A split in a new order each epoch; the order depends on seed and epoch alone, so a resumed run repeats it.

    Gives images uint8 (batch, side, side, 1) and what is to be learnt of them, float32 (batch, 7): from `targets`,
    (n, 7), by default the one-hot labels. balance "weights": also the weight of each image in the loss, float32
    (batch,), inverse to the size of its class and 1 on average over the split. balance "sampling": an epoch has as
    many images as before, but of every expression the same number.
    multiple: of which every batch holds one, for as many devices; up to multiple - 1 images wait for the next epoch.

    mixup above 0: also how much of each image stays in the mix (`MixUp`), and labels and weights are mixed.
    folds: the fold of each image, int (n,); then all images of a batch are of one fold, which it tells, and those
    that would not fill a batch wait for the next epoch. With either, images become `inputs`.
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        seed: int,
        balance: str = "none",
        multiple: int = 1,
        *,
        mixup: float = 0.0,
        folds: np.ndarray | None = None,
        targets: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        self.targets = one_hot(split.labels) if targets is None else targets
        self.mixup = mixup
        self.folds = folds
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
        if self.folds is not None:
            order = self._by_fold(order, self.folds, rng)
        self.order = order[: len(order) // self.multiple * self.multiple]
        self.shares = draw_shares(self.mixup, len(self.order), rng)

    def __len__(self) -> int:
        return math.ceil(len(self.order) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        places = slice(index * self.batch_size, (index + 1) * self.batch_size)
        chosen, share = self.order[places], self.shares[places]
        labels = self.split.labels[chosen]
        fold = None if self.folds is None else self.folds[chosen]
        batch = (self.inputs(self.split.images[chosen], share, fold), mixed(self.targets[chosen], share))
        return (*batch, mixed(self.weights[labels], share)) if self.balance == "weights" else batch

    def inputs(self, images: np.ndarray, share: np.ndarray | None = None, fold: np.ndarray | None = None) -> Any:
        """What the trainer takes: the images alone, or by name images, "share" of each in its mix, and "fold"."""
        count = len(images)
        more = {"share": np.ones(count, np.float32) if share is None else share} if self.mixup > 0 else {}
        if self.folds is not None:
            more["fold"] = np.zeros(count, np.int32) if fold is None else fold.astype(np.int32)
        return {"images": images, **more} if more else images

    def _by_fold(self, order: np.ndarray, folds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The same order in batches of one fold each, shuffled; what does not fill a batch is left out."""
        size = self.batch_size
        members = [order[folds[order] == i] for i in np.unique(folds)]
        batches = [own[: len(own) // size * size].reshape(-1, size) for own in members]
        return rng.permutation(np.concatenate(batches)).ravel()

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


class MixUp(keras.layers.Layer):
    """Lays over each image of a batch the one at its mirrored place in the batch; does nothing outside training.

    Zhang et al., "mixup: beyond empirical risk minimization" (2018). Input: images float32 (n, h, w, 1) and the share
    of each that stays, float32 (n,); 1 for all of it. Batches are shuffled, so the first with the last is as random a
    pair as any. `mixed` does the same with the labels.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)

    def call(self, inputs: tuple[Any, Any], training: bool = False) -> Any:
        """Mixed images while training, the same images otherwise."""
        images, share = inputs
        if not training:
            return images
        share = ops.reshape(share, (-1, 1, 1, 1))
        return share * images + (1 - share) * ops.flip(images, axis=0)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """That of the images."""
        return input_shape[0]


def mixed(values: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Labels (n, 7) or weights (n,) mixed as MixUp mixes the images of their batch."""
    kept = share.reshape(-1, *[1] * (values.ndim - 1))
    return np.asarray(kept * values + (1 - kept) * values[::-1], np.float32)


def draw_shares(alpha: float, count: int, rng: np.random.Generator) -> np.ndarray:
    """float32 (count,): from a Beta(alpha, alpha) distribution, as the paper draws them; ones for alpha 0."""
    return rng.beta(alpha, alpha, count).astype(np.float32) if alpha > 0 else np.ones(count, np.float32)

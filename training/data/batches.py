"""Batches for `fit`: shuffled, balanced, mixed by mixup, or of one fold each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from mien.types import EXPRESSIONS
from training.data.splits import Split


@dataclass(eq=False)
class Batches(keras.utils.PyDataset):
    """A split in a new order each epoch; the order depends only on seed and epoch, so a resumed run repeats it.

    Each item is (inputs, targets), or (inputs, targets, weights) with balance "weights". Inputs: images uint8
    (batch, side, side, 1), or with mixup or folds a dict, see `inputs`. Targets: float32 (batch, 7). Weights: of each
    image in the loss, float32 (batch,).

    Attributes:
        split: The images.
        batch_size: Images per batch.
        seed: Of the order.
        balance: "weights" weights each image inversely to the size of its class, 1 on average; "sampling" draws the
            same number of images of every expression, in an epoch of unchanged length.
        multiple: The size of every batch is a multiple of this, so that all devices get equal shares; up to
            multiple - 1 images are left out of an epoch.
        mixup: Alpha of mixup; above 0, targets and weights are mixed as `MixUp` mixes the images.
        folds: Of each image, int (n,); then each batch has images of one fold, and images that fill no batch are left
            out of an epoch.
        targets: float32 (n, 7), by default the one-hot labels.

    Example:
        batches = Batches(dataset.train, 64, seed=0, balance="weights")
        images, targets, weights = batches[0]
        batches.start_epoch(1)
    """

    split: Split
    batch_size: int
    seed: int
    balance: str = "none"
    multiple: int = 1
    mixup: float = 0.0
    folds: np.ndarray | None = None
    targets: np.ndarray | None = None

    def __post_init__(self) -> None:
        super().__init__()
        self._targets = one_hot(self.split.labels) if self.targets is None else self.targets
        self._weights = class_weights(self.split.labels)
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Draw the order of an epoch, and the shares of its mixes."""
        rng = np.random.default_rng((self.seed, epoch))
        order = self._draw_evenly(rng) if self.balance == "sampling" else rng.permutation(len(self.split))
        if self.folds is not None:
            order = self._by_fold(order, self.folds, rng)
        self.order = order[: len(order) // self.multiple * self.multiple]
        self.shares = draw_shares(self.mixup, len(self.order), rng)

    def __len__(self) -> int:
        return math.ceil(len(self.order) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        batch_slice = slice(index * self.batch_size, (index + 1) * self.batch_size)
        chosen, share = self.order[batch_slice], self.shares[batch_slice]
        fold = None if self.folds is None else self.folds[chosen]
        batch = (self.inputs(self.split.images[chosen], share, fold), mixed(self._targets[chosen], share))
        return (*batch, mixed(self._weights[self.split.labels[chosen]], share)) if self.balance == "weights" else batch

    def inputs(self, images: np.ndarray, share: np.ndarray | None = None, fold: np.ndarray | None = None) -> Any:
        """Return the trainer's input.

        Args:
            images: uint8 (n, side, side, 1).
            share: The share that mixup keeps of each, float32 (n,); by default 1.
            fold: Of each image, int (n,); by default 0.

        Returns:
            The images, or with mixup or folds a dict with the keys "images", "share" and "fold".
        """
        more = {}
        if self.mixup > 0:
            more["share"] = np.ones(len(images), np.float32) if share is None else share
        if self.folds is not None:
            more["fold"] = np.zeros(len(images), np.int32) if fold is None else fold.astype(np.int32)
        return {"images": images, **more} if more else images

    def _by_fold(self, order: np.ndarray, folds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Reorder into shuffled batches of one fold each, without images that fill no batch."""
        size = self.batch_size
        members = [order[folds[order] == i] for i in np.unique(folds)]
        batches = [fold[: len(fold) // size * size].reshape(-1, size) for fold in members]
        return rng.permutation(np.concatenate(batches)).ravel()

    def _draw_evenly(self, rng: np.random.Generator) -> np.ndarray:
        """Draw as many positions as the split has, equally per class; none of a class twice before all of it once."""
        labels = self.split.labels
        present = np.unique(labels)
        quota = math.ceil(len(labels) / len(present))
        drawn = []
        for members in (np.flatnonzero(labels == label) for label in present):
            rounds = math.ceil(quota / len(members))
            drawn.append(np.concatenate([rng.permutation(members) for _ in range(rounds)])[:quota])
        return rng.permutation(np.concatenate(drawn))[: len(labels)]


def class_weights(labels: np.ndarray) -> np.ndarray:
    """Return the weight of each class in the loss, so that all classes weigh the same.

    Args:
        labels: Int (n,), indices into EXPRESSIONS.

    Returns:
        total / (classes * images of the class), float32 (7,); 0 for a class without images.
    """
    counts = np.bincount(labels, minlength=len(EXPRESSIONS))
    weights = len(labels) / ((counts > 0).sum() * np.maximum(counts, 1))
    return np.where(counts > 0, weights, 0).astype(np.float32)


def one_hot(labels: np.ndarray) -> np.ndarray:
    """Return the one-hot labels, float32 (n, 7), of indices into EXPRESSIONS, int (n,)."""
    return np.eye(len(EXPRESSIONS), dtype=np.float32)[labels]


class MixUp(keras.layers.Layer):
    """Mixes the first image of a batch with the last one, and so on; does nothing outside training.

    Zhang et al., "mixup: beyond empirical risk minimization" (2018). Input: images float32 (n, h, w, 1) and the share
    that each keeps, float32 (n,), 0 to 1. Batches are shuffled, so these pairs are random. `mixed` does the same with
    the targets.

    Example:
        share = draw_shares(0.2, len(images), rng)
        images = MixUp()((images, share), training=True)
        targets = mixed(targets, share)
    """

    def __init__(self) -> None:
        super().__init__(dtype="float32")

    def call(self, inputs: tuple[Any, Any], training: bool = False) -> Any:
        """Return mixed images in training, the same images otherwise."""
        images, share = inputs
        if not training:
            return images
        share = ops.reshape(share, (-1, 1, 1, 1))
        return share * images + (1 - share) * ops.flip(images, axis=0)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the images."""
        return input_shape[0]


def mixed(values: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Mix targets or weights as MixUp mixes the images of their batch.

    Args:
        values: float32 (n, 7) or (n,), of a batch.
        share: The share that each keeps, float32 (n,), 0 to 1.

    Returns:
        float32, of the shape of `values`.
    """
    kept = share.reshape(-1, *[1] * (values.ndim - 1))
    return np.asarray(kept * values + (1 - kept) * values[::-1], np.float32)


def draw_shares(alpha: float, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `count` shares of mixup by `rng`, float32, from Beta(alpha, alpha) (Zhang et al., 2018); 1 for alpha 0."""
    return rng.beta(alpha, alpha, count).astype(np.float32) if alpha > 0 else np.ones(count, np.float32)

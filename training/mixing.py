"""Mixup: what is learnt from is two images at once, and so are the labels."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


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

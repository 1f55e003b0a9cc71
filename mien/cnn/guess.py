"""Guess from a network's own layers which range of pixels it was trained on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mien.cnn.feeding import PIXELS, Pixels, feed

_MAX_DIVERGENCE = 1.0
_MIN_MARGIN = 0.3
_SCALES_BYTES = 1 / 64
"""A scale below this expects pixels 0..255, one from 1/2 on, pixels 0..1 (or already -1..1)."""


def guess_pixels(network: Any, faces: np.ndarray) -> tuple[Pixels, str] | None:
    """Guess the range of pixels from a scaling layer at the beginning, or from the first batch normalization.

    Batch normalization stores mean and variance of its inputs over the training images. The range whose means and
    variances on a few faces are nearest, by the Kullback-Leibler divergence of normal distributions, the median
    over channels, is that of training.

    Args:
        network: A built Keras network.
        faces: float32 0..255 (n, height, width, channels), as its input.

    Returns:
        The range, and what tells it; None where nothing does.
    """
    import keras

    from mien.cnn.graph import flatten

    layers = keras.layers
    graph = flatten(network)
    for layer in graph.layers:
        kind = type(layer).__name__
        if isinstance(layer, layers.Rescaling) and np.ndim(layer.scale) == 0:
            scale = abs(float(layer.scale))
            return ("0..255", "its Rescaling layer") if scale < _SCALES_BYTES else _of_unit_scale(scale, layer.offset)
        if kind in ("MeanImage", "Standardize"):
            return "0..255", f"its {kind} layer"
        if isinstance(layer, layers.Normalization):
            means, variances = (np.asarray(value, np.float64).ravel() for value in (layer.mean, layer.variance))
            return _nearest(keras, graph, layer, faces, (means, variances), "its Normalization layer")
        if isinstance(layer, layers.BatchNormalization) and layer.axis in (-1, 1, 3):
            stored = (np.asarray(layer.moving_mean, np.float64), np.asarray(layer.moving_variance, np.float64))
            if not stored[0].any():  # was never trained
                return None
            return _nearest(keras, graph, layer, faces, stored, "its first batch normalization")
    return None


def _of_unit_scale(scale: float, offset: Any) -> tuple[Pixels, str] | None:
    """What a layer expects that maps 0..1 to -1..1."""
    if scale == 2 and np.ndim(offset) == 0 and float(offset) == -1:
        return "0..1", "its Rescaling layer"
    return None


def _nearest(
    keras: Any, graph: Any, layer: Any, faces: np.ndarray, stored: tuple[np.ndarray, np.ndarray], teller: str
) -> tuple[Pixels, str] | None:
    """The range of pixels with which the layer's inputs have the stored means and variances; None if none is near."""
    axes = (layer.axis,) if isinstance(layer.axis, int) else tuple(layer.axis)  # each place on them has its own values
    before = keras.Model(graph.inputs[0], layer._inbound_nodes[-1].input_tensors[0])  # the call in this copy
    divergences = []
    for pixels in PIXELS:
        inputs = np.asarray(keras.ops.convert_to_numpy(before(feed(faces, pixels), training=False)), np.float64)
        inputs = np.moveaxis(inputs, axes, range(-len(axes), 0))
        inputs = inputs.reshape(-1, math.prod(inputs.shape[inputs.ndim - len(axes) :]))
        divergences.append(_divergence(inputs.mean(axis=0), inputs.var(axis=0), *stored))
    first, second, *_ = np.sort(divergences)
    if not first < _MAX_DIVERGENCE or second - first < _MIN_MARGIN:
        return None
    return PIXELS[int(np.argmin(divergences))], teller


def _divergence(means: np.ndarray, variances: np.ndarray, stored_means: np.ndarray, stored: np.ndarray) -> float:
    """Median over channels of the Kullback-Leibler divergence of normal distributions."""
    variances, stored = np.maximum(variances, 1e-12), np.maximum(stored, 1e-12)
    each = (np.log(stored / variances) + (variances + (means - stored_means) ** 2) / stored - 1) / 2
    return float(np.median(each))

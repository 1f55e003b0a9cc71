"""A moving average of the weights, which validates better than the weights themselves while these still jump about."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


class WeightAverage(keras.layers.Layer):
    """Holds the averages beside the weights, so that checkpoints keep both; what passes through stays as it is."""

    def __init__(self, network: keras.Model) -> None:
        super().__init__(dtype="float32")
        self.averages = [
            self.add_weight(shape=weight.shape, initializer="zeros", trainable=False, name=f"average_{i}")
            for i, weight in enumerate(network.weights)
        ]

    def call(self, outputs: Any) -> Any:
        """The same."""
        return outputs


class AverageWeights(keras.callbacks.Callback):
    """Averages after each epoch; the network has its averages while it is validated and its best weights are saved.

    Polyak and Juditsky, "Acceleration of stochastic approximation by averaging" (1992); once an epoch as Izmailov et
    al., "Averaging weights leads to wider optima and better generalization" (2018), but with weights that fade. All
    of a network's weights are averaged, mean and variance of its normalisations too. keep: share of the average that
    an epoch leaves, 0..1; over the first epochs it is their plain mean. Stands behind the callback that saves the
    best and before the one that backs up.
    """

    def __init__(self, network: keras.Model, layer: WeightAverage, keep: float) -> None:
        super().__init__()
        self.network = network
        self.layer = layer
        self.keep = keep
        self._epoch = 0
        self._raw: list[np.ndarray] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Remember which."""
        self._epoch = epoch

    def on_test_begin(self, logs: Any = None) -> None:
        """The epoch's training is done: average, and validate the average."""
        keep = min(self.keep, self._epoch / (self._epoch + 1))
        self._raw = [ops.convert_to_numpy(weight) for weight in self.network.weights]
        for average, weight, raw in zip(self.layer.averages, self.network.weights, self._raw, strict=True):
            mean = keep * ops.convert_to_numpy(average) + (1 - keep) * raw
            average.assign(mean)
            weight.assign(mean.copy())  # JAX would find one array in two places, and may give neither away

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Go on training the weights themselves."""
        for weight, raw in zip(self.network.weights, self._raw, strict=True):
            weight.assign(raw)

"""The costs of a network: parameters, multiply-adds, and time for one face."""

from __future__ import annotations

import math
import os
import statistics
import timeit
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from model import FacialExpressionModel


@dataclass(frozen=True, slots=True)
class Costs:
    """The costs of a network.

    Attributes:
        network: Its name.
        parameters: Number of all weights.
        multiply_adds: Of convolutions and dense layers, for one face.
        ms_per_face: Median time for one face at a time, in milliseconds.
        measured_on: Processor cores and backend of the computer that it was measured on.

    Example:
        costs = measure(FacialExpressionModel())
        print(f"{costs.parameters:,} parameters, {costs.flops / 1e6:.0f} MFLOPs, {costs.ms_per_face:.1f} ms")
    """

    network: str
    parameters: int
    multiply_adds: int
    ms_per_face: float
    measured_on: str

    @property
    def flops(self) -> int:
        """Floating point operations for one face; a multiply-add counts as two."""
        return 2 * self.multiply_adds


def measure(model: FacialExpressionModel, calls: int = 50) -> Costs:
    """Measure a loaded network, its time by `calls` of `model.predict` with one uint8 face."""
    face = np.random.default_rng(0).integers(0, 256, (1, *model.input_size_px), np.uint8)
    model.warm_up()
    times_s = timeit.repeat(lambda: model.predict(face), number=1, repeat=calls)
    return Costs(
        network=model.network.name,
        parameters=model.network.count_params(),
        multiply_adds=multiply_adds(model.network),
        ms_per_face=round(1000 * statistics.median(times_s), 3),
        measured_on=f"{os.cpu_count()} processor cores, {keras.backend.backend()}",
    )


def multiply_adds(network: keras.Model) -> int:
    """Count the multiply-adds of all convolutions and dense layers for one image.

    Each output value costs as many as its kernel has weights. Biases, normalization, activations and pooling add
    little and are not counted.
    """
    return sum(_of_layer(layer) for layer in network._flatten_layers(include_self=False))


def _of_layer(layer: Any) -> int:
    if isinstance(layer, keras.layers.Dense):
        return math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:-1])
    if isinstance(layer, keras.layers.SeparableConv2D):
        kernels = math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape)
        return kernels * math.prod(layer.output.shape[1:3])
    if isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
        return math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:3])
    return 0

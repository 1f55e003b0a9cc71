"""Run a Keras network: one function for any number of faces, compiled if the backend is TensorFlow."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mien.cnn.loader import import_keras
from mien.errors import ModelError
from mien.types import EXPRESSIONS

log = logging.getLogger(__name__)

# After these layers, probabilities are still probabilities and logits still logits.
_KEEP_PROBABILITIES = ("Flatten", "Reshape", "Dropout", "AveragePooling2D", "GlobalAveragePooling2D", "Average")


class KerasRuntime:
    """A Keras network, ready to compute.

    Args:
        network: A built Keras network.
        file: The model.json that it was loaded from, for messages.

    Attributes:
        name: For messages.
        input_shape: (height, width, channels) of the network's input.
        outputs: Number of its outputs.

    Raises:
        ModelError: The network does not turn one gray or color image into one row of outputs.
    """

    name = "Keras"

    def __init__(self, network: Any, file: str | Path) -> None:
        self.input_shape = _input_shape(network, file)
        self._call = _compile(probabilities_of(network, file), self.input_shape)
        self.outputs = int(network.output_shape[1])

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Compute probabilities.

        Args:
            pixels: The network's input, float32 (n, height, width, channels).

        Returns:
            float32 (n, outputs), in the order of the network's outputs.
        """
        return self._call(pixels)


def probabilities_of(network: Any, file: str | Path) -> Callable[[Any], Any]:
    """Build a function from a network to probabilities, with a softmax added if the network returns logits.

    Sigmoids, which judge each expression by itself, are divided by their sum: their order stays the same.

    Args:
        network: A built Keras network.
        file: The model.json that it was loaded from, for messages.

    Returns:
        A function of tensors: (n, height, width, channels) to float32 (n, outputs).

    Raises:
        ModelError: The network does not have one row of outputs, or its last layer has another activation.
    """
    shape = network.output_shape
    if not isinstance(shape, tuple) or len(shape) != 2 or shape[0] is not None or (shape[1] or 0) < 2:
        raise ModelError(f"{file}: {expected_outputs(len(EXPRESSIONS))}, found {shape}")
    end = _last_activation(network, file)
    ops = import_keras().ops

    def probabilities(pixels: Any) -> Any:
        outputs = ops.cast(network(pixels, training=False), "float32")
        if end == "sigmoid":
            return outputs / ops.maximum(ops.sum(outputs, axis=-1, keepdims=True), 1e-30)
        return outputs if end == "softmax" else ops.softmax(outputs)

    return probabilities


def freeze(function: Callable[[Any], Any], shape: tuple[int | None, ...]) -> Any:
    """Compile a function of tensors with TensorFlow, with its variables as constants.

    Only then does TensorFlow fold batch normalization into convolutions and keep the weights in the processor's layout
    instead of converting them in each call, which halves the time; and only then can it be converted for LiteRT.

    Args:
        function: Of one float32 tensor.
        shape: Of the tensor; None for any number.

    Returns:
        A concrete function that returns a list of outputs.

    Raises:
        Exception: A custom layer may hold something that cannot become a constant.
    """
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    return convert_variables_to_constants_v2(_traced(function, shape))


def _compile(function: Callable[[Any], Any], input_shape: tuple[int, int, int]) -> Callable[[np.ndarray], np.ndarray]:
    """Compile a function of tensors into one of arrays, once for any n: `network.predict` costs 37 ms more per call."""
    keras = import_keras()
    if keras.backend.backend() != "tensorflow":
        ops = keras.ops
        return lambda pixels: np.asarray(ops.convert_to_numpy(function(ops.convert_to_tensor(pixels))))
    import tensorflow as tf

    try:
        frozen = freeze(function, (None, *input_shape))
    except Exception as error:  # slower, equally correct
        log.info("the weights could not be frozen, so inference is slower: %s", error)
        compiled = _traced(function, (None, *input_shape))
        return lambda pixels: np.asarray(compiled(tf.constant(pixels)))
    return lambda pixels: np.asarray(frozen(tf.constant(pixels))[0])


def _traced(function: Callable[[Any], Any], shape: tuple[int | None, ...]) -> Any:
    import tensorflow as tf

    return tf.function(
        function, input_signature=[tf.TensorSpec(shape, tf.float32)], autograph=False
    ).get_concrete_function()


def _input_shape(network: Any, file: str | Path) -> tuple[int, int, int]:
    """(height, width, channels) of the network's input; ModelError unless it takes one gray or color image."""
    shape = network.input_shape
    is_image = isinstance(shape, tuple) and len(shape) == 4 and None not in shape[1:] and shape[3] in (1, 3)
    if not is_image:
        raise ModelError(f"{file}: expected an input of (None, height, width, 1 or 3), found {shape}")
    return int(shape[1]), int(shape[2]), int(shape[3])


def expected_outputs(count: int) -> str:
    """What a network must return, for messages."""
    return f"expected an output of (None, {count}), one for each of {', '.join(EXPRESSIONS)}"


def _last_activation(network: Any, file: str | Path) -> str:
    """The activation that the outputs come from: softmax, sigmoid, or linear for logits."""
    for layer in reversed(network.layers):
        if hasattr(layer, "layers"):
            return _last_activation(layer, file)
        kind = type(layer).__name__
        if kind == "Softmax":
            return "softmax"
        if kind in _KEEP_PROBABILITIES:
            continue
        activation = layer.get_config().get("activation", "linear")
        if activation == "log_softmax":  # a softmax undoes its logarithm
            return "linear"
        if activation in ("softmax", "sigmoid", "linear"):
            return str(activation)
        raise ModelError(
            f"{file}: expected softmax, sigmoid or no activation in the last layer, found {activation!r}: its outputs "
            "are no probabilities"
        )
    return "linear"

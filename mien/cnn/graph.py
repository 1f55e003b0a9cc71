"""The graph of a Keras network: its logits and feature maps, through nested networks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mien.cnn.loader import import_keras
from mien.errors import ModelError

_PASSING = ("Pooling", "Dropout")
"""Layers with these words in their names only reduce or thin out the maps of the previous layer."""


def flatten(network: Any) -> Any:
    """Copy a network as one graph without nested networks.

    Args:
        network: A built Keras network.

    Returns:
        A network with the same layers and weights, which are shared, not copied.
    """
    keras = import_keras()

    def call(layer: Any, *tensors: Any, **options: Any) -> Any:
        if isinstance(layer, keras.Model):
            return flatten(layer).call(*tensors, **options)
        return layer(*tensors, **options)

    graph = keras.Model(_alone(network.inputs), _alone(network.outputs))
    return keras.models.clone_model(graph, clone_function=lambda layer: layer, call_function=call)


def find_logits(graph: Any) -> tuple[Any, Any]:
    """Find the logits: what a softmax at the end turns into probabilities, or the output if there is no softmax.

    Args:
        graph: A network without nested networks.

    Returns:
        A tensor, and the dense layer that computes the logits from it; None if the tensor itself is the logits.
    """
    keras = import_keras()
    output = graph.outputs[0]
    layer, before = made_by(output)
    if isinstance(layer, (keras.layers.Activation, keras.layers.Softmax)) and before[0].shape == output.shape:
        output = before[0]
        layer, before = made_by(output)
    if isinstance(layer, keras.layers.Dense):
        return before[0], layer
    return output, None


def find_feature_maps(graph: Any, min_side_share: float) -> tuple[Any, str]:
    """Find the last feature maps that are fine enough.

    Feature maps are the output of a convolution, or of a later layer other than pooling or dropout.

    Args:
        graph: A network without nested networks.
        min_side_share: Smallest side of the maps, as a share of the input's side.

    Returns:
        The maps (n, h, w, channels), or the finest ones if none is fine enough, and the name of their layer.

    Raises:
        ModelError: The network has no convolution.
    """
    known: dict[int, bool] = {}
    min_px = min_side_share * graph.inputs[0].shape[1]
    finest: tuple[Any, str] | None = None
    for tensor, layer, _ in _backwards(graph):
        passes = any(word in type(layer).__name__ for word in _PASSING)
        if len(tensor.shape) != 4 or passes or not _after_convolution(tensor, known):
            continue
        if tensor.shape[1] >= min_px:
            return tensor, layer.name
        if finest is None or tensor.shape[1] > finest[0].shape[1]:
            finest = tensor, layer.name
    if finest is None:
        raise ModelError(f"Grad-CAM: expected a network with a convolution, found none in {graph.name}")
    return finest


def made_by(tensor: Any) -> tuple[Any, list[Any]]:
    """The layer that made a tensor of a network, and the tensors it made it from.

    Uses the tensor's history, because `layer.input` belongs to the first call of the layer, and Keras calls the layers
    of a Sequential again for each layer that is added.

    Args:
        tensor: A symbolic tensor of a built network.
    """
    layer, call, _ = tensor._keras_history
    return layer, list(layer._inbound_nodes[call].input_tensors)


def _backwards(graph: Any) -> Iterator[tuple[Any, Any, list[Any]]]:
    """Every tensor once, nearest to the output first, with the result of `made_by`."""
    waiting = list(graph.outputs)
    seen = set()
    while waiting:
        tensor = waiting.pop(0)
        if id(tensor) not in seen:
            seen.add(id(tensor))
            layer, before = made_by(tensor)
            yield tensor, layer, before
            waiting += before


def _after_convolution(tensor: Any, known: dict[int, bool]) -> bool:
    """Whether a convolution (weights (h, w, channels, filters)) made the tensor or one it is made from."""
    if id(tensor) not in known:
        layer, before = made_by(tensor)
        weights = getattr(layer, "weights", ())  # an operation that is not a layer has none
        here = any(len(weight.shape) == 4 for weight in weights)
        known[id(tensor)] = here or any(_after_convolution(one, known) for one in before)
    return known[id(tensor)]


def _alone(tensors: list[Any]) -> Any:
    return tensors[0] if len(tensors) == 1 else tensors

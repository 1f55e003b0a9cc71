"""A Keras network taken apart: its tensors from the end to the start, its scores, its feature maps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mien.errors import ModelError
from mien.keras_files import import_keras

_PASSING = ("Pooling", "Dropout")
"""In the name of a layer whose maps are but a smaller or thinned copy of the maps before it."""


def flatten(network: Any) -> Any:
    """The same layers, weights shared, as one graph without networks inside; the network itself stays as it is."""
    keras = import_keras()

    def call(layer: Any, *tensors: Any, **options: Any) -> Any:
        if isinstance(layer, keras.Model):
            return flatten(layer).call(*tensors, **options)
        return layer(*tensors, **options)

    graph = keras.Model(_alone(network.inputs), _alone(network.outputs))
    return keras.models.clone_model(graph, clone_function=lambda layer: layer, call_function=call)


def scores(graph: Any) -> tuple[Any, Any]:
    """(a tensor, a dense layer or None): the layer's sums of the tensor, or the tensor, are the scores of the outputs.

    Scores are what a softmax at the end turns into probabilities; the output itself where no such end is found.
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


def feature_maps(graph: Any, least_side: float) -> tuple[Any, str]:
    """(the last feature maps (n, h, w, channels) that are fine enough, the name of the layer that makes them).

    least_side: how many places a side, as a share of the input's; where no maps have so many, the finest.
    Maps are what a convolution, or a later layer that is no pooling or dropout, makes.
    Raises ModelError for a network without a convolution.
    """
    known: dict[int, bool] = {}
    least_px = least_side * graph.inputs[0].shape[1]
    finest: tuple[Any, str] | None = None
    for tensor, layer, _ in _backwards(graph):
        passes = any(word in type(layer).__name__ for word in _PASSING)
        if len(tensor.shape) != 4 or passes or not _behind_convolution(tensor, known):
            continue
        if tensor.shape[1] >= least_px:
            return tensor, layer.name
        if finest is None or tensor.shape[1] > finest[0].shape[1]:
            finest = tensor, layer.name
    if finest is None:
        raise ModelError(f"Grad-CAM: expected a network with a convolution, found none in {graph.name}")
    return finest


def made_by(tensor: Any) -> tuple[Any, list[Any]]:
    """(the layer that made a tensor of a network, the tensors it made it of).

    By the tensor's history, as `layer.input` is that of the layer's first call, and Keras calls the layers of a
    Sequential anew for each that it adds.
    """
    layer, call, _ = tensor._keras_history
    return layer, list(layer._inbound_nodes[call].input_tensors)


def _backwards(graph: Any) -> Iterator[tuple[Any, Any, list[Any]]]:
    """Each tensor once, nearest to the output first, with `made_by`."""
    waiting = list(graph.outputs)
    seen = set()
    while waiting:
        tensor = waiting.pop(0)
        if id(tensor) not in seen:
            seen.add(id(tensor))
            layer, before = made_by(tensor)
            yield tensor, layer, before
            waiting += before


def _behind_convolution(tensor: Any, known: dict[int, bool]) -> bool:
    """Whether a convolution, told by its weights (h, w, channels, filters), made the tensor or what it is made of."""
    if id(tensor) not in known:
        layer, before = made_by(tensor)
        weights = getattr(layer, "weights", ())  # an operation that is no layer has none
        here = any(len(weight.shape) == 4 for weight in weights)
        known[id(tensor)] = here or any(_behind_convolution(one, known) for one in before)
    return known[id(tensor)]


def _alone(tensors: list[Any]) -> Any:
    return tensors[0] if len(tensors) == 1 else tensors

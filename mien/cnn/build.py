"""Build the Keras network of a description that is not trusted: only layers of Keras, in bounded memory and time."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import Any

from mien.cnn.files import MAX_WEIGHTS_BYTES, short_cause
from mien.cnn.keras2 import named_objects, upgrade
from mien.errors import ModelError

MAX_WEIGHTS = MAX_WEIGHTS_BYTES // 8
"""Numbers in a network: 268 million; VGG-16 has 138."""

MAX_VALUES = 8 << 20
"""Numbers in the output of a layer for one face; VGG-16 has 3.2 million at most."""

MAX_SIDE_PX = 1024
MAX_PRODUCTS = 200e9
"""Multiplications of one face: several seconds on one core; EfficientNetB7 has 37 billion."""

_RUNS_CODE = ("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")
_OWN = ("LocalBinaryPatterns", "MeanImage", "Standardize")
_NETWORKS = ("Sequential", "Functional", "Model")
_POLICIES = ("DTypePolicy", "FloatDTypePolicy")
_VALUES = ("__keras_tensor__", "__tuple__", "__ellipsis__", "__numpy__", "__tensor__")
"""How Keras writes the arguments of calls."""


def build_network(keras: Any, document: dict[str, Any]) -> Any:
    """Build the untrained network that a document describes.

    Args:
        keras: The package.
        document: A parsed model.json of any Keras since 2.0.

    Returns:
        A built network.

    Raises:
        ModelError: A layer is unknown or would run code, the network is too large, or Keras cannot build it.
    """
    import mien.cnn.layers  # noqa: F401  registers the layers of this project with Keras

    config = upgrade(document)
    _check_classes(keras, config)
    try:
        with _without_memory(keras) as scope:
            network = keras.saving.deserialize_keras_object(config, safe_mode=True)
            _check_network(keras, network)
            scope.accepted = True
    except ModelError:
        raise
    except Exception as error:  # a broken config can fail in any way
        raise ModelError(f"Keras cannot build this network: {short_cause(error)}") from error
    return network


class _without_memory:  # noqa: N801 - used like a function
    """Layers that are built inside get memory for their weights only at the end, and only if `accepted`."""

    def __init__(self, keras: Any) -> None:
        self.accepted = False
        self._scope = keras.StatelessScope(initialize_variables=False)

    def __enter__(self) -> _without_memory:
        self._scope.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        # Keras offers no public way to forget variables that wait for their memory.
        from keras.src.backend.common import global_state
        from keras.src.backend.common.variables import initialize_all_variables

        self._scope.__exit__(*error)
        if self.accepted:
            initialize_all_variables()
        else:
            global_state.set_global_attribute("uninitialized_variables", [])


def _check_classes(keras: Any, config: dict[str, Any]) -> None:
    """ModelError unless every object is a layer or operation of Keras or of this project, whatever its spelling."""
    refused = {getattr(keras.layers, name, None) for name in _RUNS_CODE}
    for name, module, registered in named_objects(config):
        if registered.startswith("mien>"):
            if registered.removeprefix("mien>") not in _OWN or keras.saving.get_registered_object(registered) is None:
                raise ModelError(f"expected layers of Keras 3, found {registered[:80]!a}")
            continue
        if name in _VALUES or (name, module) == ("slice", "builtins"):
            continue
        if name in _NETWORKS and (module in ("keras", "keras.models") or module.startswith("keras.src.models.")):
            continue
        if name in _POLICIES and module == "keras":
            continue
        found = _class_of(keras, module, name)
        if found in refused:
            raise ModelError(f"a layer of class {name} is refused: it would run code stored in or named by the file")
        if not (isinstance(found, type) and issubclass(found, keras.Operation)):
            raise ModelError(f"expected layers of Keras 3, found {short_cause(ValueError(name))}")


def _class_of(keras: Any, module: str, name: str) -> Any:
    """What Keras would take for a class, without importing anything; None for another."""
    if module in ("keras.layers", "keras"):
        return getattr(keras.layers, name, None)
    if module.startswith(("keras.src.ops.", "keras.src.layers.", "keras.ops")):
        return vars(sys.modules.get(module, object)).get(name)
    return None


def _check_network(keras: Any, network: Any) -> None:
    """ModelError unless this is a network with an input shape, of a bounded size."""
    if not isinstance(network, keras.Model):
        raise ModelError(f"expected a network, found a {type(network).__name__}")
    if not network.built:
        raise ModelError("expected a network with an input shape, found none")
    weights = sum(math.prod(weight.shape) for weight in network.weights)
    if weights > MAX_WEIGHTS:
        raise ModelError(f"expected at most {MAX_WEIGHTS >> 20} million weights, found {weights / 1e6:.0f} million")
    shape = network.input_shape
    if isinstance(shape, tuple) and any((side or 0) > MAX_SIDE_PX for side in shape[1:]):
        raise ModelError(f"expected an input of at most {MAX_SIDE_PX}x{MAX_SIDE_PX} pixels, found {shape}")
    products = 0.0
    for layer, output in _outputs(network):
        values = math.prod(side or 1 for side in output[1:])
        if values > MAX_VALUES:
            raise ModelError(f"expected at most {MAX_VALUES} values from a layer, found {values} from {layer.name}")
        kernel = max((math.prod(weight.shape) for weight in layer.weights), default=0)
        products += kernel * math.prod(side or 1 for side in output[1:-1])
    if products > MAX_PRODUCTS:
        raise ModelError(
            f"expected at most {MAX_PRODUCTS / 1e9:.0f} billion multiplications, found {products / 1e9:.0f} billion"
        )


def _outputs(network: Any) -> Iterator[tuple[Any, tuple[int | None, ...]]]:
    """Each call of a layer, also in networks inside, with the shape of its outputs."""
    for layer in network.layers:
        if hasattr(layer, "layers"):
            yield from _outputs(layer)
            continue
        for node in layer._inbound_nodes:
            for output in node.outputs:
                yield layer, tuple(output.shape)

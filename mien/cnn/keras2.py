"""Convert the model.json of any Keras since 2.0 to what Keras 3 reads, and refuse what would run code.

Works on dictionaries, without importing Keras. Only what is needed to run a trained network is kept: initializers,
regularizers, constraints, losses and optimizers differ most between versions, and are not needed.

The formats:
- Keras 3: every object names its `module`; nodes of a functional network are dictionaries of args and kwargs.
- Keras 3 in HDF5: the same nodes, but no object names its module.
- tf.keras 2.13 to 2.15 and tf_keras: with `module`, otherwise as the next.
- tf.keras 2.2 to 2.12 (`"keras_version": "2.2.4-tf"`, ...): no `module`, `batch_input_shape`, nodes are lists.
- keras 2.0 to 2.2: the same, but the config of a Sequential is the plain list of its layers.
- keras 1: other names of layers and arguments; it is refused by its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from mien.errors import ModelError
from mien.names import printable

Config = dict[str, Any]

_ALIASES = {"BatchNormalizationV1": "BatchNormalization", "BatchNormalizationV2": "BatchNormalization"}
_FUNCTIONAL = ("Model", "Functional")
_OWN = "mien>"
_TRAINING_ONLY = ("_initializer", "_regularizer", "_constraint")

# Arguments that some or all layers of Keras 3 no longer have, with the values that may be removed: layers that still
# have the argument use the same value by default.
_REMOVED: dict[str, tuple[Any, ...]] = {
    "adjustment": (None,),
    "fused": (None, True, False),
    "groups": (1,),
    "noise_shape": (None,),
    "output_padding": (None,),
    "rng_type": ("stateful", "stateless", "legacy_stateful"),  # of augmentation, which does nothing in inference
    "time_major": (False,),
    "virtual_batch_size": (None,),
}

_RUNS_CODE = "it would run code stored in or named by the file"
_OLD_OPERATION = "it is a raw TensorFlow operation, which only the Keras version that wrote it can rebuild"
_REFUSED = {
    "lambda": _RUNS_CODE,
    "tfsmlayer": _RUNS_CODE,
    "torchmodulewrapper": _RUNS_CODE,
    "jaxlayer": _RUNS_CODE,
    "flaxlayer": _RUNS_CODE,
    "tensorflowoplayer": _OLD_OPERATION,
    "tfoplambda": _OLD_OPERATION,
    "slicingoplambda": _OLD_OPERATION,
    "classmethod": _OLD_OPERATION,
    "instancemethod": _OLD_OPERATION,
    "instanceproperty": _OLD_OPERATION,
}
"""By `bare_name`; that other names are harmless is checked by `mien.cnn.build`, which knows the classes of Keras."""

_TRUSTED_PACKAGES = ("keras", "tf_keras", "tensorflow", "builtins", "mien")

_KERAS_1_LAYERS = (
    *("AtrousConvolution1D", "AtrousConvolution2D", "Convolution1D", "Convolution2D", "Convolution3D", "Highway"),
    *("Deconvolution2D", "MaxoutDense", "Merge", "SeparableConvolution2D", "TimeDistributedDense"),
)
_KERAS_1_ARGUMENTS = {"nb_filter", "border_mode", "dim_ordering", "output_dim", "W_regularizer"}

MAX_LAYERS = 1000
"""EfficientNetB7 has 813; Keras needs 20 ms or more to build one."""


def upgrade(document: Config) -> Config:
    """Convert the config of a network to what Keras 3 deserializes.

    Args:
        document: A parsed model.json, which is not changed.

    Returns:
        The config for Keras 3, without what only training needs.

    Raises:
        ModelError: A layer is refused.
        KeyError, TypeError, ValueError, AttributeError, IndexError: The structure is not that of a network.
    """
    _check_names(document)
    _refuse_keras_1(document)
    is_keras_3 = str(document.get("keras_version", "")).startswith("3")
    is_keras_2 = not is_keras_3 and ("keras_version" in document or "module" not in document)
    network = _upgrade_layer(document, is_keras_2)
    _unwrap_ends(network["config"])
    return network


def named_objects(node: Any) -> Iterator[tuple[str, str, str]]:
    """Find every object below a node of a config.

    Args:
        node: A parsed model.json, or a part of it.

    Yields:
        Class name, module and registered name of each; the module "keras" and the name "" where none is there.
    """
    if isinstance(node, dict):
        if "class_name" in node:
            yield str(node["class_name"]), str(node.get("module") or "keras"), str(node.get("registered_name") or "")
        for value in node.values():
            yield from named_objects(value)
    elif isinstance(node, list):
        for value in node:
            yield from named_objects(value)


def bare_name(name: str) -> str:
    """A class name without what serializers put around it: "lambda" of "Custom>Lambda" and "keras.layers.LAMBDA"."""
    return re.split(r"[.>/:]", name)[-1].strip().strip("_").casefold()


def _check_names(document: Config) -> None:
    """ModelError for layers that would run code, by each name that an object has, and for too many layers."""
    if (found := _count_layers(document)) > MAX_LAYERS:
        raise ModelError(f"expected at most {MAX_LAYERS} layers, found {found}")
    for name, module, registered in named_objects(document):
        for each in (name, registered):
            if (cause := _REFUSED.get(bare_name(each))) is not None:
                raise ModelError(f"a layer of class {_short(each)} is refused: {cause}")
        if module.split(".")[0].strip() not in _TRUSTED_PACKAGES:
            raise ModelError(f"{_short(name)} of {_short(module)} is refused: {_RUNS_CODE}")


def _count_layers(node: Any) -> int:
    """The number of entries in all lists of layers below a node of a config."""
    if isinstance(node, list):
        return sum(map(_count_layers, node))
    if not isinstance(node, dict):
        return 0
    config = node.get("config")
    own = config if isinstance(config, list) else config.get("layers") if isinstance(config, dict) else None
    return (len(own) if isinstance(own, list) else 0) + sum(map(_count_layers, node.values()))


def _refuse_keras_1(document: Config) -> None:
    """ModelError for the dialect of Keras 1, whose layers have other names and arguments."""
    version = str(document.get("keras_version", ""))
    old = version.startswith(("0.", "1."))
    if not old:
        old = any(name in _KERAS_1_LAYERS for name, _, _ in named_objects(document))
    if old or _has_key(document.get("config"), _KERAS_1_ARGUMENTS):
        found = f"Keras {_short(version)}" if version.startswith(("0.", "1.")) else "Keras 1"
        raise ModelError(
            f"expected a network of Keras 2 or 3, found the dialect of {found}; load it with Keras 2.0 to 2.2, which "
            "reads both, and save it again"
        )


def _has_key(node: Any, keys: set[str]) -> bool:
    """Whether a layer's config below a node has one of the keys."""
    if isinstance(node, list):
        return any(_has_key(each, keys) for each in node)
    if not isinstance(node, dict):
        return False
    config = node.get("config")
    is_old = (
        isinstance(config, dict) and "class_name" in node and node["class_name"] != "Embedding" and keys & config.keys()
    )
    return bool(is_old) or any(_has_key(each, keys) for each in node.values())


def _short(text: str) -> str:
    """A name from the file, for a message: printable and not long."""
    shown = printable(text)
    return shown if len(shown) <= 80 else f"{shown[:80]}..."


def _upgrade_layer(layer: Config, is_keras_2: bool) -> Config:
    """Convert one layer or network with everything inside it."""
    name = str(layer["class_name"])
    name = _ALIASES.get(name, name)
    config = layer["config"]
    if isinstance(config, list):
        config = {"name": name.lower(), "layers": config}
    config = {key: value for key, value in config.items() if not key.endswith(_TRAINING_ONLY)}
    upgraded = {key: value for key, value in layer.items() if key not in ("compile_config", "keras_version", "backend")}
    if is_keras_2:
        module = "keras" if name in ("Sequential", *_FUNCTIONAL) else "keras.layers"
        name = "Model" if name in _FUNCTIONAL else name
        upgraded.update(class_name=name, module=module, registered_name=None)
        upgraded.pop("build_config", None)  # each layer is built when it is added
        _upgrade_arguments(name, config)
    elif "module" not in layer:
        upgraded.update(_named_module(name))
    if "dtype" in config:
        config["dtype"] = _full_precision(config["dtype"])
    _free_batch(name, config)
    if "layers" in config:
        config["layers"] = [_upgrade_layer(inner, is_keras_2) for inner in config["layers"]]
        if is_keras_2 and name == "Sequential":
            config["layers"] = _with_input_layer(layer, config["layers"])
        elif is_keras_2:
            _upgrade_graph(config)
    for key, value in config.items():  # TimeDistributed and other wrappers
        if isinstance(value, dict) and key in ("layer", "forward_layer", "backward_layer"):
            config[key] = _upgrade_layer(value, is_keras_2)
    upgraded["config"] = config
    return upgraded


def _named_module(class_name: str) -> Config:
    """The keys that name a class in Keras 3, which leaves them out where it writes HDF5."""
    if class_name.startswith(_OWN):
        return {"class_name": class_name.removeprefix(_OWN), "module": "mien.cnn.layers", "registered_name": class_name}
    module = "keras" if class_name in ("Sequential", *_FUNCTIONAL) else "keras.layers"
    name = "Model" if class_name in _FUNCTIONAL else class_name
    return {"class_name": name, "module": module, "registered_name": None}


def _upgrade_arguments(class_name: str, config: Config) -> None:
    """Rename, convert and remove arguments of one Keras 2 layer, in place."""
    batch_shape = config.pop("batch_input_shape", None)
    if class_name == "InputLayer":
        config["batch_shape"] = batch_shape or config.get("batch_shape")
    if class_name == "BatchNormalization" and isinstance(config.get("axis"), list):
        (config["axis"],) = config["axis"]
    if class_name == "LeakyReLU" and "alpha" in config:
        config["negative_slope"] = config.pop("alpha")
    if class_name.startswith("SpatialDropout"):
        config.pop("trainable", None)
    if "hard_sigmoid" in (config.get("activation"), config.get("recurrent_activation")):
        raise ModelError(
            f"hard_sigmoid of layer {config.get('name')} is refused: Keras 3 computes a different function"
        )
    for argument, harmless in _REMOVED.items():
        if argument in config and config[argument] in harmless:
            del config[argument]


def _full_precision(dtype: Any) -> Any:
    """Data type of a layer; float32 instead of half precision, which is slow and imprecise on a CPU."""
    if isinstance(dtype, dict) and dtype.get("class_name") in ("DTypePolicy", "Policy", "PolicyV1"):
        dtype = dtype["config"]["name"]
    half = ("float16", "bfloat16", "mixed_float16", "mixed_bfloat16", "infer", "_infer")
    return "float32" if dtype in half else dtype


def _free_batch(class_name: str, config: Config) -> None:
    """Let a network that was saved for a fixed number of images take any number, in place."""
    for key in ("batch_shape", "batch_input_shape", "build_input_shape"):
        shape = config.get(key)
        if isinstance(shape, list | tuple) and shape and (class_name == "InputLayer" or key != "batch_shape"):
            config[key] = [None, *shape[1:]]
    if config.get("stateful") is True:
        raise ModelError(f"layer {_short(str(config.get('name')))} is refused: it keeps its state between images")


def _with_input_layer(network: Config, upgraded_layers: list[Config]) -> list[Config]:
    """The layers of a Sequential, preceded by an InputLayer made from `batch_input_shape` of the first layer."""
    original = network["config"] if isinstance(network["config"], list) else network["config"]["layers"]
    first = original[0]["config"] if original else {}
    if "batch_input_shape" not in first or original[0]["class_name"] == "InputLayer":
        return upgraded_layers
    shape = [None, *list(first["batch_input_shape"])[1:]]
    config = {"batch_shape": shape, "dtype": "float32", "name": f"{first['name']}_input"}
    input_layer = {"module": "keras.layers", "class_name": "InputLayer", "config": config, "registered_name": None}
    return [input_layer, *upgraded_layers]


def _upgrade_graph(config: Config) -> None:
    """Convert the edges of a functional Keras 2 network, in place.

    Keras 2 counts the calls of a nested network from 1, because its definition was call 0; Keras 3 counts from 0 as for
    any layer, except in the outputs, where it expects the old count of a functional network.
    """
    inner_networks = {layer["name"] for layer in config["layers"] if "layers" in layer["config"]}
    inner_sequentials = {layer["name"] for layer in config["layers"] if layer["class_name"] == "Sequential"}
    for layer in config["layers"]:
        layer["inbound_nodes"] = [
            [_from_call_0(edge, inner_networks) for edge in node] for node in layer["inbound_nodes"]
        ]
    config["output_layers"] = [_from_call_0(edge, inner_sequentials) for edge in _edges(config["output_layers"])]
    _unwrap_ends(config)


def _from_call_0(edge: list[Any], inner_networks: set[str]) -> list[Any]:
    """An edge [layer, call, output, ...] with the call counted as in Keras 3."""
    name, call, *rest = edge
    return [name, call - 1 if name in inner_networks else call, *rest]


def _edges(ends: list[Any]) -> list[Any]:
    """The inputs or outputs of a network as a list of edges, even if a single one is not in a list."""
    return [ends] if isinstance(ends[0], str) else ends


def _unwrap_ends(config: Config) -> None:
    """Take a single input or output out of its list, so that the network takes and returns plain arrays."""
    for end in ("input_layers", "output_layers"):
        ends = config.get(end)
        if isinstance(ends, list) and len(ends) == 1:
            (config[end],) = ends

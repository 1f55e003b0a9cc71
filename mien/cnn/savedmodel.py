"""Read the SavedModel folders of Keras 2 as data: architecture from keras_metadata.pb, weights from the checkpoint.

The graph in saved_model.pb is not run: it may contain operations that read and write files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mien.cnn.files import MAX_JSON_BYTES, MAX_WEIGHTS_BYTES, check_regular, parse_document, read_bytes
from mien.cnn.keras2 import MAX_LAYERS
from mien.errors import ModelError

METADATA = "keras_metadata.pb"
GRAPH = "saved_model.pb"
VARIABLES = "variables/variables"

_NODES, _NODE_PATH, _NODE_METADATA = 1, 3, 5  # fields of SavedMetadata and SavedObject
_BYTES_FIELD = 2  # wire type of texts and messages, https://protobuf.dev/programming-guides/encoding/


def files_of(folder: Path) -> list[Path]:
    """The files of a SavedModel folder that determine its network, in a fixed order.

    Raises:
        ModelError: It is another folder, or was not written by Keras 2.
    """
    if not (folder / GRAPH).exists():
        inside = sorted(entry.name for entry in folder.iterdir())[:5] if folder.is_dir() else []
        found = f"a directory with {', '.join(map(ascii, inside))}" if inside else "an empty directory"
        raise ModelError(f"{folder}: expected a file of a trained network, or a SavedModel folder, found {found}")
    if not (folder / METADATA).exists():
        raise ModelError(
            f"{folder}: expected a SavedModel with Keras' description of its layers ({METADATA}), found a graph alone, "
            "as Keras 3 exports it; save the network with model.save('name.keras')"
        )
    data = sorted((folder / VARIABLES).parent.glob("variables.data-*"))
    files = [folder / METADATA, (folder / VARIABLES).with_suffix(".index"), *data]
    for file in files:
        check_regular(file)
    if sum(file.stat().st_size for file in files) > MAX_WEIGHTS_BYTES:
        raise ModelError(f"{folder}: expected at most {MAX_WEIGHTS_BYTES >> 20} MB, found more")
    return files


def read_document(folder: Path) -> dict[str, Any]:
    """The description of the network, as a parsed model.json of Keras 2.

    Raises:
        ModelError: The folder is something else, or broken.
    """
    metadata, *_ = files_of(folder)
    root = parse_document(_nodes(metadata).get("root", b""), metadata)
    config = {"class_name": root["class_name"], "config": _without_tuples(root["config"])}
    return config | {"keras_version": str(root.get("keras_version", "2"))}


def load_weights(network: Any, folder: Path) -> None:
    """Assign every weight of the network from the checkpoint.

    Args:
        network: A built Keras 3 network of the folder's description.
        folder: The SavedModel.

    Raises:
        ModelError: The checkpoint is broken, or lacks a weight or has another one of another shape.
    """
    files_of(folder)
    import numpy as np

    try:
        from tensorflow.train import load_checkpoint
    except ImportError as error:
        raise ModelError(f"{folder}: expected TensorFlow to read a SavedModel, found none") from error
    try:
        reader = load_checkpoint(str(folder / VARIABLES))
        key_of = _keys(reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"))
        shapes = reader.get_variable_to_shape_map()
        paths = _paths(folder / METADATA)
        found = set()
        for path, name, weight in _weights(network, paths):
            key = key_of.get(f"{path}.{name}", "")
            if shapes.get(key) != list(weight.shape):
                expected = f"{path}.{name} of shape {tuple(weight.shape)}"
                raise ModelError(f"{folder}: expected {expected}, found {shapes.get(key, 'none')}")
            weight.assign(np.asarray(reader.get_tensor(key)))
            found.add(key)
    except ModelError:
        raise
    except Exception as error:  # TensorFlow's own errors, of any kind
        raise ModelError(f"{folder}: expected a complete checkpoint, found a broken one") from error
    saved = {key for path, key in key_of.items() if re.match(r"root\.layer_with_weights-\d+\.", path)}
    if saved - found:
        raise ModelError(f"{folder}: expected {len(found)} arrays of weights, found {len(saved)}")


def _nodes(metadata: Path) -> dict[str, bytes]:
    """What keras_metadata.pb says about each object, as JSON, by the object's path."""
    data = read_bytes(metadata, MAX_JSON_BYTES)
    try:
        return {
            next(_messages(node, _NODE_PATH)).decode("utf-8", "replace"): next(_messages(node, _NODE_METADATA))
            for node in _messages(data, _NODES)
        }
    except (ValueError, IndexError, StopIteration, RuntimeError) as error:
        raise ModelError(f"{metadata}: expected Keras' description of a network, found a broken one") from error


def _paths(metadata: Path) -> dict[tuple[str, str], str]:
    """The path of each layer by the path of its network and its name."""
    paths = {}
    for path, text in _nodes(metadata).items():
        parent, _, own = path.rpartition(".")
        if own.startswith("layer"):
            paths[parent, str(json.loads(text).get("name"))] = path
    return paths


def _keys(object_graph: bytes) -> dict[str, str]:
    """The key of each array of a checkpoint by its path from the root, through layers with weights only."""
    from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

    nodes = TrackableObjectGraph.FromString(object_graph).nodes
    keys = {}
    waiting = [("root", 0)]
    for _ in range(MAX_LAYERS):  # a graph from a stranger may have circles
        if not waiting:
            break
        path, number = waiting.pop()
        for child in nodes[number].children:
            inside = f"{path}.{child.local_name}"
            if child.local_name.startswith("layer_with_weights-"):
                waiting.append((inside, child.node_id))
                continue
            for attribute in nodes[child.node_id].attributes:
                keys[inside] = attribute.checkpoint_key
    return keys


def _weights(network: Any, paths: dict[tuple[str, str], str], parent: str = "root") -> Iterator[tuple[str, str, Any]]:
    """The path of each weight's layer, the weight's name there, and the weight."""
    for layer in network.layers:
        if not layer.weights:
            continue
        path = paths.get((parent, layer.name), f"{parent}.{layer.name}")
        if hasattr(layer, "layers"):
            yield from _weights(layer, paths, path)
            continue
        for weight in layer.weights:
            renamed = type(layer).__name__ == "DepthwiseConv2D" and weight.name == "kernel"
            yield path, "depthwise_kernel" if renamed else weight.name, weight


def _without_tuples(node: Any) -> Any:
    """The same with lists, as in model.json, instead of marked tuples."""
    if isinstance(node, dict):
        if node.keys() == {"class_name", "items"} and node["class_name"] == "__tuple__":
            return _without_tuples(node["items"])
        return {key: _without_tuples(value) for key, value in node.items()}
    return [_without_tuples(value) for value in node] if isinstance(node, list) else node


def _messages(data: bytes, wanted: int) -> Iterator[bytes]:
    """The contents of a field of a protobuf message; ValueError or IndexError for other data."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        if tag & 7 == 0:
            _, at = _varint(data, at)
        elif tag & 7 == _BYTES_FIELD:
            size, at = _varint(data, at)
            if at + size > len(data):
                raise ValueError("truncated")
            if tag >> 3 == wanted:
                yield data[at : at + size]
            at += size
        else:
            at += {1: 8, 5: 4}[tag & 7] if tag & 7 in (1, 5) else len(data) + 1
    if at > len(data):
        raise ValueError("truncated")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("no varint")

"""Load a network from model.json and weights of Keras 2 or Keras 3, and check that all weights were loaded.

Keras is imported on first use: its import takes seconds, and `--help` and invalid options should not wait for it.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mien.cnn import savedmodel
from mien.cnn.build import build_network
from mien.cnn.files import check_regular, parts_of, short_cause, temporary_file
from mien.cnn.hdf5 import check_content
from mien.cnn.whole import read_document, weights_in_hdf5
from mien.errors import ModelError
from mien.process import standard_error_lock


def import_keras() -> Any:
    """Import Keras without TensorFlow's start-up messages, unless the user has set their level."""
    if "keras" in sys.modules or "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        import keras

        return keras
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    with _quiet_standard_error():
        import keras

        keras.backend.backend()
    return keras


@contextmanager
def _quiet_standard_error() -> Iterator[None]:
    """Silence file descriptor 2: TensorFlow writes about oneDNN there before its log level takes effect.

    A background thread does not silence it while Python writes there, too: see `copy_standard_error`.
    """
    if threading.current_thread() is not threading.main_thread() and _standard_error() == 2:
        yield
        return
    with standard_error_lock:
        sys.stderr.flush()
        kept = os.dup(2)
        nothing = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nothing, 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nothing)


def _standard_error() -> int:
    """The file descriptor that Python writes to; -1 for none, as in a notebook."""
    try:
        return sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):
        return -1


def load_network(model_json_file: str | Path, model_weights_file: str | Path) -> Any:
    """Load a network with its trained weights.

    No code from the files is run: Lambda layers and similar ones are refused.

    Args:
        model_json_file: Written by `model.to_json()` of Keras 3, tf.keras 2.x or keras 2.x, or a whole network:
            HDF5, a .keras archive, or a SavedModel folder of Keras 2.
        model_weights_file: HDF5 written by `model.save(...)`, by `save_weights("x.h5")` of Keras 2, or by
            `save_weights("x.weights.h5")`, or the whole network again; the content decides, not the name.

    Returns:
        A built, uncompiled Keras 3 network.

    Raises:
        ModelError: A file is missing or broken, or the two do not match; one line with file and cause.
    """
    json_path, weights_path = Path(model_json_file), Path(model_weights_file)
    network = _read_architecture(json_path)
    _load_weights(network, weights_path, json_path)
    return network


def _read_architecture(path: Path) -> Any:
    """The untrained network that a file describes."""
    document = read_document(path)
    keras = import_keras()
    try:
        return build_network(keras, document)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    except (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError) as error:  # of `upgrade`
        raise ModelError(f"{path}: Keras cannot build this network: {short_cause(error)}") from error


def _load_weights(network: Any, path: Path, json_path: Path) -> None:
    """Load the weights; ModelError unless every weight of the file and of the network has its counterpart."""
    check_regular(path, folder=path == json_path)
    if path.is_dir():
        savedmodel.load_weights(network, path)
    else:
        with weights_in_hdf5(path) as file:
            _load_hdf5(network, file, path, json_path)
    keras = import_keras()
    for weight in network.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
            raise ModelError(f"{path}: expected numbers, found NaN or infinity in {weight.path}")


def _load_hdf5(network: Any, hdf5: Path, path: Path, json_path: Path) -> None:
    """Load weights from `hdf5`, which is `path` or from inside it."""
    import h5py

    with _named_in_errors(path, json_path), h5py.File(hdf5, "r") as file:
        check_content(file, hdf5.stat().st_size)
        if "layer_names" in file.attrs or "layer_names0" in file.attrs or "model_weights" in file:
            suffix, options = ".h5", _check_legacy(file, network)
        elif "layers" in file or "_layer_checkpoint_dependencies" in file:
            suffix, options = ".weights.h5", _check_native(file, network)
        else:
            raise ModelError(f"expected weights as Keras saves them, found HDF5 holding {sorted(file)[:5]}")
    with _named(hdf5, suffix) as named, _named_in_errors(path, json_path):
        network.load_weights(named, **options)


@contextmanager
def _named_in_errors(path: Path, json_path: Path) -> Iterator[None]:
    """Raise what goes wrong with weights as a ModelError that names their file."""
    try:
        yield
    except ModelError as error:
        raise ModelError(f"{path} does not fit {json_path}: {error}") from error
    except OSError as error:
        raise ModelError(
            f"{path}: expected a complete HDF5 file, found a broken or truncated one: {short_cause(error)}"
        ) from error
    except Exception as error:  # ValueError for shapes, KeyError or RuntimeError for broken groups
        raise ModelError(f"{path} does not fit {json_path}: {short_cause(error)}") from error


def _check_legacy(file: Any, network: Any) -> dict[str, bool]:
    """Options to load whole-model HDF5 or weights of Keras 2; ModelError unless as many layers have weights.

    By name if the names agree, because Keras versions may order the branches of a network differently; else by order.
    """
    group = file.get("model_weights", file)
    saved = [name for name in _attribute_list(group, "layer_names") if _attribute_list(group[name], "weight_names")]
    expected = [layer.name for layer in network.layers if layer.weights]
    if len(saved) != len(expected):
        raise ModelError(f"expected weights for {_some(expected)}, found {_some(saved)}")
    return {"by_name": True} if set(saved) == set(expected) else {}


def _check_native(file: Any, network: Any) -> dict[str, bool]:
    """Options to load `*.weights.h5`; ModelError if it has more weights than the network, which Keras ignores."""
    found = 0

    def count(path: str, item: Any) -> None:
        nonlocal found
        parts = path.split("/")
        of_layers = parts[0] in ("layers", "_layer_checkpoint_dependencies") and "vars" in parts
        of_generator = any(part.endswith("generator") for part in parts)  # seeds of dropout and augmentation
        found += hasattr(item, "shape") and of_layers and not of_generator

    file.visititems(count)
    if found > len(network.weights):
        raise ModelError(f"expected {len(network.weights)} arrays of weights, found {found}")
    return {}


def _attribute_list(group: Any, name: str) -> list[str]:
    """A list of names stored as an attribute, which Keras splits into name0, name1, ... if it is long."""
    attributes = group.attrs  # their number is not to be believed: in a broken file it may be billions
    split = itertools.takewhile(attributes.__contains__, (f"{name}{i}" for i in itertools.count()))
    chunks = [*([name] if name in attributes else []), *split]
    values = [value for chunk in chunks for value in attributes[chunk]]
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


@contextmanager
def _named(path: Path, suffix: str) -> Iterator[Path]:
    """The file with the suffix that Keras expects of its format: itself, or a temporary copy."""
    if path.name.endswith(suffix) and path.name.endswith(".weights.h5") == (suffix == ".weights.h5"):
        yield path
        return
    with temporary_file(path, f"model{suffix}", _parts(path)) as copy:
        yield copy


def _parts(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from parts_of(file)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error


def _some(names: list[str]) -> str:
    """Number of layers and a few of their names, for a message."""
    listed = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    return f"{len(names)} layers ({listed})" if names else "none"

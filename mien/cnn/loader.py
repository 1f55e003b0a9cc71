"""Load a network from model.json and weights of Keras 2 or Keras 3, and check that all weights were loaded.

Keras is imported on first use: its import takes seconds, and `--help` and invalid options should not wait for it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mien.cnn.keras2 import named_objects, upgrade
from mien.errors import ModelError

_MAX_CAUSE_CHARS = 300
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


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
        model_json_file: Written by `model.to_json()` of Keras 3, tf.keras 2.x or keras 2.x.
        model_weights_file: HDF5 written by `model.save(...)`, by `save_weights("x.h5")` of Keras 2, or by
            `save_weights("x.weights.h5")`; the content decides, not the name.

    Returns:
        A built, uncompiled Keras 3 network.

    Raises:
        ModelError: A file is missing or broken, or the two do not match; one line with file and cause.
    """
    json_path, weights_path = Path(model_json_file), Path(model_weights_file)
    network = _read_architecture(json_path)
    _load_weights(network, weights_path, json_path)
    return network


def stored_facts(model_json_file: str | Path) -> dict[str, Any]:
    """What model.json stores beside the architecture, such as "expressions" and "tau"; Keras ignores these keys.

    Args:
        model_json_file: The file.

    Raises:
        ModelError: The file does not describe a network.
    """
    document = _read_document(Path(model_json_file))
    return {key: value for key, value in document.items() if key not in ("class_name", "config", "module")}


def stored_labels(model_json_file: str | Path) -> list[str] | None:
    """Order of the outputs, which `training` stores in model.json as "expressions".

    Args:
        model_json_file: The file.

    Returns:
        Names of the outputs; None if they are missing.

    Raises:
        ModelError: The file does not describe a network.
    """
    labels = stored_facts(model_json_file).get("expressions")
    return [str(label) for label in labels] if isinstance(labels, list) else None


def _read_document(path: Path) -> dict[str, Any]:
    """The content of model.json, checked to describe a network."""
    try:
        document = json.loads(_read_bytes(path).decode("utf-8-sig"))
        if isinstance(document, str):  # json.dump(model.to_json(), file) writes JSON in JSON
            document = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: expected a network as JSON text, found none: {_cause(error)}") from error
    if not isinstance(document, dict) or not {"class_name", "config"} <= document.keys():
        found = f"the keys {sorted(document)[:5]}" if isinstance(document, dict) else type(document).__name__
        raise ModelError(f"{path}: expected class_name and config of a network, as model.to_json() has, found {found}")
    return document


def _read_architecture(path: Path) -> Any:
    """The untrained network that model.json describes."""
    document = _read_document(path)
    keras = import_keras()
    import mien.cnn.layers  # noqa: F401  registers the layers of this project with Keras

    try:
        config = upgrade(document)
        unknown = {name for name, module in named_objects(config) if module == "keras.layers"} - set(dir(keras.layers))
        if unknown:
            raise ModelError(f"expected layers of Keras 3, found {', '.join(sorted(unknown))}")
        network = keras.saving.deserialize_keras_object(config, safe_mode=True)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    except Exception as error:  # a broken config can fail in any way
        raise ModelError(f"{path}: Keras cannot build this network: {_cause(error)}") from error
    if not isinstance(network, keras.Model):
        raise ModelError(f"{path}: expected a network, found a {type(network).__name__}")
    if not network.built:
        raise ModelError(f"{path}: expected a network with an input shape, found none")
    return network


def _load_weights(network: Any, path: Path, json_path: Path) -> None:
    """Load the weights; ModelError unless every weight of the file and of the network has its counterpart."""
    _check_hdf5(path)
    import h5py

    try:
        with h5py.File(path, "r") as file:
            if "layer_names" in file.attrs or "layer_names0" in file.attrs or "model_weights" in file:
                suffix, options = ".h5", _check_legacy(file, network)
            elif "layers" in file or "_layer_checkpoint_dependencies" in file:
                suffix, options = ".weights.h5", _check_native(file, network)
            else:
                raise ModelError(f"expected weights as Keras saves them, found HDF5 holding {sorted(file)[:5]}")
        with _named(path, suffix) as named:
            network.load_weights(named, **options)
    except ModelError as error:
        raise ModelError(f"{path} does not fit {json_path}: {error}") from error
    except OSError as error:
        raise ModelError(
            f"{path}: expected a complete HDF5 file, found a broken or truncated one: {_cause(error)}"
        ) from error
    except Exception as error:  # ValueError for shapes, KeyError or RuntimeError for broken groups
        raise ModelError(f"{path} does not fit {json_path}: {_cause(error)}") from error
    keras = import_keras()
    for weight in network.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
            raise ModelError(f"{path}: expected numbers, found NaN or infinity in {weight.path}")


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
    chunks = [key for key in (name, *(f"{name}{i}" for i in range(len(group.attrs)))) if key in group.attrs]
    values = [value for chunk in chunks for value in group.attrs[chunk]]
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


@contextmanager
def _named(path: Path, suffix: str) -> Iterator[Path]:
    """The file with the suffix that Keras expects of its format: itself, or a temporary copy."""
    if path.name.endswith(suffix) and path.name.endswith(".weights.h5") == (suffix == ".weights.h5"):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="mien-") as folder:
        copy = Path(folder) / f"model{suffix}"
        shutil.copyfile(path, copy)
        yield copy


def _check_hdf5(path: Path) -> None:
    """ModelError unless the file begins with the signature of HDF5."""
    start = _read_bytes(path, len(_HDF5_SIGNATURE))
    if start != _HDF5_SIGNATURE:
        hint = " (a .keras archive?)" if start.startswith(b"PK") else ""
        raise ModelError(f"{path}: expected an HDF5 file of weights, found one that starts with {start!r}{hint}")


def _read_bytes(path: Path, size: int = -1) -> bytes:
    """The first `size` bytes of a file, by default all; ModelError if it is missing, empty or not readable."""
    try:
        with path.open("rb") as file:
            data = file.read(size)
    except FileNotFoundError as error:
        raise ModelError(f"{path}: expected a file of a trained network, found no such file") from error
    except OSError as error:
        found = "a directory" if path.is_dir() else error.strerror or str(error)
        raise ModelError(f"{path}: expected a file of a trained network, found {found}") from error
    if not data:
        raise ModelError(f"{path}: expected a file of a trained network, found an empty file")
    return data


def _cause(error: BaseException) -> str:
    """The message of a library's error, shortened to one line."""
    innermost = str(error).rsplit("Exception encountered:", maxsplit=1)[-1]  # Keras prints the whole config first
    line = " ".join(innermost.split()) or type(error).__name__
    return line if len(line) <= _MAX_CAUSE_CHARS else f"{line[:_MAX_CAUSE_CHARS]} ..."


def _some(names: list[str]) -> str:
    """Number of layers and a few of their names, for a message."""
    listed = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    return f"{len(names)} layers ({listed})" if names else "none"

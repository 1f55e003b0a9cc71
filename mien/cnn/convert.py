"""Compile a Keras network for LiteRT; needs TensorFlow.

`python -m mien.cnn.convert MODEL.JSON WEIGHTS.H5 OUT.TFLITE` is the process that `mien.cnn.cache` starts.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

import mien
from mien.cnn.cache import FAILED, CompiledCache
from mien.cnn.facts import stored_facts, stored_labels
from mien.cnn.frozen import freeze, probabilities_of
from mien.cnn.litert import LiteRtRuntime, UnusableError, compiled_file, source_digest, write_compiled
from mien.cnn.loader import import_keras, load_network
from mien.errors import ModelError

PRECISIONS = ("float32", "float16", "int8", "int8 activations")
"""Precisions of the weights; "int8 activations" computes in integers, where "int8" converts them in each call."""

CHOSEN = ("int8", "float16")
"""Tried in this order: int8 is smallest, quickest, and changes one label in 400 (`python -m benchmarks.runtimes`); a
network whose answers it changes too much is compiled with float16."""

TOLERANCE = 0.02
"""Largest difference of a probability to Keras', as a mean over faces."""


class ConversionError(ModelError):
    """A network cannot be compiled for LiteRT."""


def compile_network(network: Any, model_json_file: Path, model_weights_file: Path, to: Path | None = None) -> Path:
    """Compile a network for LiteRT and write the file.

    Args:
        network: The Keras network of both files.
        model_json_file: Architecture.
        model_weights_file: Weights.
        to: The file to write; by default beside model.json, as model.tflite.

    Returns:
        The file.

    Raises:
        ConversionError: The converter fails, its result differs from Keras, or TensorFlow is not Keras' backend.
        OSError: The file cannot be written.
    """
    to = compiled_file(model_json_file) if to is None else to
    labels = stored_labels(model_json_file)
    content, precision = _most_compact(network, model_json_file)
    write_compiled(
        to,
        content,
        source=source_digest(model_json_file, model_weights_file),
        precision=precision,
        labels=None if labels is None else tuple(labels),
        tau=float(stored_facts(model_json_file).get("tau", 0.0)),
        version=mien.__version__,
    )
    return to


def convert(
    network: Any,
    file: str | Path,
    precision: str,
    examples: np.ndarray | None = None,
    count: int | None = 1,
) -> bytes:
    """Convert a Keras network to a LiteRT model, which returns probabilities.

    Args:
        network: A built Keras network.
        file: The model.json that it was loaded from, for messages.
        precision: One of PRECISIONS.
        examples: For "int8 activations": inputs of the network, float32 (n, height, width, channels), whose
            activations give the ranges of the integers.
        count: How many images the model takes at once; None for any number.

    Returns:
        The LiteRT model: float32 (count, height, width, channels) to float32 (count, 7).

    Raises:
        ConversionError: The converter fails, or TensorFlow is not Keras' backend.
    """
    backend = import_keras().backend.backend()
    if backend != "tensorflow":
        raise ConversionError(f"expected Keras on TensorFlow to compile for LiteRT, found it on {backend}")
    import tensorflow as tf

    log = logging.getLogger("absl")
    level = log.level
    log.setLevel(logging.ERROR)  # it recommends an object that freezing makes unnecessary
    try:
        # With its variables, instead of constants, the converter fails or loses them.
        frozen = freeze(probabilities_of(network, file), (count, *network.input_shape[1:]))
        converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
        if precision != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if precision == "int8 activations" and examples is not None:
            converter.representative_dataset = lambda: ([example[np.newaxis]] for example in examples)
        return bytes(converter.convert())
    except ModelError:
        raise
    except Exception as error:  # any operation may be unknown to LiteRT
        cause = " ".join(str(error).split())[:300]
        raise ConversionError(f"{file}: the network cannot be compiled for LiteRT: {cause}") from error
    finally:
        log.setLevel(level)


def _most_compact(network: Any, file: Path) -> tuple[bytes, str]:
    """The LiteRT model of the first precision that keeps the network's answers, and the precision."""
    noise = np.random.default_rng(0).uniform(0, 255, (8, *network.input_shape[1:])).astype(np.float32)
    pixels = np.concatenate([noise, noise / 255])  # of either scale
    expected = np.asarray(probabilities_of(network, file)(pixels))
    for precision in CHOSEN:
        content = convert(network, file, precision)
        try:
            found = LiteRtRuntime(content, precision)(pixels)
        except UnusableError as error:
            raise ConversionError(f"{file}: {error}") from error
        difference = np.abs(found - expected).max(axis=1).mean()
        if difference <= TOLERANCE:  # False for NaN
            return content, precision
    raise ConversionError(f"{file}: compiled for LiteRT, the network differs from Keras by {difference:.2g}")


def main(model_json_file: Path, model_weights_file: Path, to: Path) -> None:
    """Compile a network into the cache; where that is impossible, write the reason there."""
    with suppress(AttributeError, OSError):  # Windows has no nice; there the parent lowers the priority
        os.nice(10)
    try:
        compile_network(load_network(model_json_file, model_weights_file), model_json_file, model_weights_file, to)
    except ModelError as error:
        to.with_suffix(FAILED).write_text(" ".join(str(error).split()) + "\n", encoding="utf-8")
    CompiledCache(to.parent).clean()


if __name__ == "__main__":
    main(*(Path(word) for word in sys.argv[1:4]))

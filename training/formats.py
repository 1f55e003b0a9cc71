"""`python -m training export`: write a trained network for other programs, and check what was written.

TensorFlow.js is not among the formats: the newest version of its converter, tensorflowjs 4.22.0, needs
tensorflow-decision-forests, whose newest version, 1.12.0, is for TensorFlow 2.19.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import keras
import numpy as np

from mien.cnn.convert import ConversionError, compile_network
from mien.cnn.frozen import probabilities_of
from mien.cnn.litert import UnusableError, compiled_file, open_compiled, source_digest
from mien.cnn.loader import load_network
from mien.sources.demo_faces import FACE_WIDTH, DemoFaces
from training.inputs import load_model, writable
from training.recipe import RunError

CHECKED_FACES = 100
LIGHTS = (1.0, 0.7, 0.85, 1.15, 1.3)

Answers = Callable[[np.ndarray], np.ndarray]
"""From the network's input, float32 (n, height, width, channels), to its output (n, 7)."""


@dataclass(frozen=True, slots=True)
class Source:
    """The network to export.

    Attributes:
        network: The Keras network.
        model_file: Its model.json.
        weights_file: Its weights.
    """

    network: keras.Model
    model_file: Path
    weights_file: Path


def run(options: argparse.Namespace) -> None:
    """Write a network in another format; print the largest difference to Keras on a few faces."""
    model = load_model(options)
    source = Source(model.network, options.model, options.weights)
    suffix, write = FORMATS[options.format]
    to = options.out or options.model.with_suffix(suffix)
    try:
        answers = write(source, writable(to))
    except ModuleNotFoundError as error:
        needed = f"--format {options.format}: expected the packages of requirements-train.txt, found no {error.name}"
        raise RunError(f"{needed}; pip install -r requirements-train.txt installs them") from error
    pixels = model.as_input(_demo_faces(model.input_size_px))
    difference = np.abs(answers(pixels) - _expected(options.format, source, pixels)).max()
    print(f"wrote {to}, which differs from Keras by at most {difference:.1g} on {CHECKED_FACES} faces")


def _demo_faces(size_px: tuple[int, int]) -> np.ndarray:
    """Return CHECKED_FACES of the demo's faces at several brightnesses, uint8 (n, height, width)."""
    textures = DemoFaces.load().textures
    margin_px = round(textures.shape[-1] * (1 - FACE_WIDTH) / 2)
    inner = textures[..., margin_px:-margin_px, margin_px:-margin_px]
    faces = inner.reshape(-1, *inner.shape[2:])
    small = [cv2.resize(face, size_px[::-1], interpolation=cv2.INTER_AREA) for face in faces]
    return np.stack([cv2.convertScaleAbs(face, alpha=light) for light in LIGHTS for face in small])[:CHECKED_FACES]


def also_compile(model_file: Path, weights_file: Path) -> None:
    """Compile a network that was just written for LiteRT, beside its model.json; print one line.

    Args:
        model_file: Architecture.
        weights_file: Weights.
    """
    file = compiled_file(model_file)
    try:
        compile_network(load_network(model_file, weights_file), model_file, weights_file)
    except (ConversionError, OSError) as error:
        file.unlink(missing_ok=True)  # of an older network
        print(f"wrote no {file}, so that the program runs it on Keras: {error}")
    else:
        print(f"wrote {file}, the same network for LiteRT")


def _expected(kind: str, source: Source, pixels: np.ndarray) -> np.ndarray:
    """What Keras answers: probabilities for LiteRT, else what the network itself returns, which may be logits."""
    call = probabilities_of(source.network, source.model_file) if kind == "litert" else source.network
    return np.asarray(keras.ops.convert_to_numpy(call(pixels)))


def _write_litert(source: Source, to: Path) -> Answers:
    compile_network(source.network, source.model_file, source.weights_file, to)
    try:
        return open_compiled(to, source_digest(source.model_file, source.weights_file))
    except UnusableError as error:
        raise RunError(str(error)) from error


def _write_onnx(source: Source, to: Path) -> Answers:
    import onnxruntime
    import tf2onnx  # noqa: F401  Keras would say of itself that it is missing

    _export(source.network, to, "onnx")
    session = onnxruntime.InferenceSession(str(to), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda pixels: np.asarray(session.run(None, {name: pixels})[0])


def _write_saved_model(source: Source, to: Path) -> Answers:
    _export(source.network, to, "tf_saved_model")
    layer = keras.layers.TFSMLayer(str(to), call_endpoint="serve")
    return lambda pixels: np.asarray(layer(pixels))


def _export(network: keras.Model, to: Path, kind: str) -> None:
    """Let Keras write a format."""
    try:
        with warnings.catch_warnings(action="ignore", category=FutureWarning):  # of a name that NumPy 2 gives again
            network.export(str(to), format=kind, verbose=False)
    except Exception as error:  # any operation may be unknown to the converter, or the backend
        cause = " ".join(str(error).split())[:300]
        raise RunError(f"the network cannot be exported as {kind}: {cause}") from error


FORMATS: dict[str, tuple[str, Callable[[Source, Path], Answers]]] = {
    "litert": (".tflite", _write_litert),
    "onnx": (".onnx", _write_onnx),
    "savedmodel": (".savedmodel", _write_saved_model),
}
"""The ending of each format's file or folder, and what writes it and returns its answers."""

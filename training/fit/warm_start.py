"""Start training from a trained network, such as the shipped one."""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import keras
import numpy as np

from mien.cnn.facts import stored_facts, stored_outputs, stored_pixels
from mien.cnn.feeding import DEFAULT, Pixels, wanted_pixels
from mien.cnn.frozen import KerasRuntime
from mien.cnn.graph import flatten
from mien.cnn.guess import guess_pixels
from mien.cnn.layers import Standardize
from mien.cnn.loader import load_network
from mien.cnn.whole import digest_of
from mien.labels import OutputLabels
from mien.reading_check import choose_pixels, read_demo_faces
from mien.types import EXPRESSIONS
from training.data.splits import Split
from training.fit.devices import device_count, predict_all
from training.heads import OTHER_HEAD
from training.recipe import SIDES_PX, RunError


@dataclass(frozen=True, slots=True)
class FedAs:
    """How a network from elsewhere was trained, where its file does not say it.

    Attributes:
        labels: What its outputs mean; None for what its file says.
        pixels: The range of its pixels; None for what its file or its layers say.

    Example:
        network, digest = starting_network(file, file, FedAs(pixels="-1..1"))
    """

    labels: OutputLabels | None = None
    pixels: Pixels | None = None


def fed_as(options: argparse.Namespace) -> FedAs:
    """What --labels, --pixels and --input-scale say. Raise RunError where they contradict each other."""
    try:
        labels = None if options.labels is None else OutputLabels.of(options.labels)
        return FedAs(labels, wanted_pixels(options.fed_pixels, options.input_scale))
    except ValueError as error:
        raise RunError(str(error)) from error


def starting_network(model_file: Path, weights_file: Path, fed: FedAs | None = None) -> tuple[keras.Model, str]:
    """Load a network to start from: model_file, its model.json, and weights_file.

    One that was fed otherwise than this project's networks gets a scaling layer at its beginning, and its outputs are
    put in the order of EXPRESSIONS, so that what is exported needs neither --pixels nor --labels.

    Returns:
        The network, all of it trainable, and a digest of its files, that of its other head included, for the recipe.

    Raises:
        ModelError: The files cannot be loaded.
        RunError: Its input is not one square gray face, or its output not the probabilities of the seven expressions.
    """
    fed = fed or FedAs()
    network = load_network(model_file, weights_file)
    shape = network.input_shape
    low, high = SIDES_PX
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[1] != shape[2] or shape[3] != 1:
        raise RunError(f"{model_file}: expected a network for square gray faces (n, side, side, 1), found {shape}")
    if not low <= (shape[1] or 0) <= high:
        raise RunError(f"{model_file}: expected a network for faces of {low} to {high} pixels, found {shape[1]}")
    if network.output_shape != (None, len(EXPRESSIONS)):
        raise RunError(f"{model_file}: expected the seven expressions as outputs, found {network.output_shape}")
    labels = fed.labels or stored_outputs(model_file)
    if not labels.is_permutation:
        found = ", ".join(name or "none" for name in labels.expressions)
        raise RunError(f"{model_file}: expected each of the seven expressions as one output, found {found}")
    outputs = network.predict(np.zeros((device_count(), *shape[1:]), np.float32), verbose=0)
    if outputs.min() < 0 or not np.allclose(outputs.sum(axis=1), 1, atol=1e-3):
        raise RunError(f"{model_file}: expected a network that ends in a softmax, found sums of {outputs.sum(axis=1)}")
    pixels = fed.pixels or stored_pixels(model_file)
    if pixels is None and "training" not in stored_facts(model_file):
        pixels = _pixels_of(network, labels, model_file)
    if pixels not in (None, DEFAULT):
        print(f"the network is fed with pixels {pixels}; what is exported takes 0..255")
        network = _with_scaling(network, pixels)
    if labels.expressions != EXPRESSIONS:
        _reorder(network, labels.order)
    thaw(network)
    files = [model_file, *([weights_file] if weights_file != model_file else []), model_file.parent / OTHER_HEAD]
    content = b"".join(digest_of(file) if file.is_dir() else file.read_bytes() for file in files if file.exists())
    if pixels not in (None, DEFAULT) or labels.expressions != EXPRESSIONS:
        content += f"{pixels} {labels.expressions}".encode()
    return network, hashlib.sha256(content).hexdigest()[:12]


def _pixels_of(network: keras.Model, labels: OutputLabels, model_file: Path) -> Pixels:
    """The range of pixels that the network's layers and the demo's faces tell."""
    runtime = KerasRuntime(network, model_file)
    readings = read_demo_faces(runtime, runtime.input_shape, partial(guess_pixels, network))
    return choose_pixels(readings, labels, None)


def _with_scaling(network: keras.Model, pixels: Pixels | None) -> keras.Model:
    """The same network with a layer at its beginning that converts pixels 0..255 to the range that it takes."""
    layers: dict[Pixels | None, keras.layers.Layer] = {
        "0..1": keras.layers.Rescaling(1 / 255),
        "-1..1": keras.layers.Rescaling(1 / 127.5, offset=-1.0),
        "standardize": Standardize(),
    }
    image = keras.layers.Input(network.input_shape[1:])
    graph = flatten(keras.Model(image, network(layers[pixels](image))))
    return keras.Model(graph.inputs[0], graph.outputs[0], name=network.name)


def _reorder(network: keras.Model, order: list[int]) -> None:
    """Put the outputs of the last dense layer in another order. Raise RunError for another last layer."""
    last, *before = reversed(network.layers)
    if isinstance(last, (keras.layers.Activation, keras.layers.Softmax)) and before:
        last = before[0]
    if not isinstance(last, keras.layers.Dense):
        raise RunError(f"{network.name}: expected a dense layer at the end, to sort its outputs, found {last.name}")
    last.set_weights([weights[..., order] for weights in last.get_weights()])


def freeze_convolutions(network: keras.Model) -> None:
    """Freeze every layer that outputs feature maps: convolutions and their batch normalization, mean and variance too.

    Raises:
        RunError: No layer is left to train.
    """
    for layer in network.layers:
        layer.trainable = all(len(output.shape) != 4 for output in keras.tree.flatten(layer.output))
    if not network.trainable_weights:
        raise RunError("freeze: expected dense layers after the convolutions, found none to train")


def thaw(network: keras.Model) -> None:
    """Make every layer trainable; setting `trainable` of a Sequential does not change its layers."""
    for layer in network._flatten_layers():
        layer.trainable = True


def own_predictions(network: keras.Model, images: np.ndarray) -> np.ndarray:
    """Predict images (n, side, side, 1), 0 to 255, averaged with their mirror images, as targets for training further.

    They reduce the weight of labels that disagree with what was learned from all others (Furlanello et al., "Born-again
    neural networks", 2018).

    Returns:
        float32 (n, 7); of two heads (`training.fit.two_heads`), (n, 2, 7).
    """
    return np.asarray((predict_all(network, images) + predict_all(network, images[:, :, ::-1])) / 2, np.float32)


def accuracy(network: keras.Model, split: Split) -> float:
    """Return the share of a split's images that the network labels correctly; its outputs are those of EXPRESSIONS."""
    return float((predict_all(network, split.images).argmax(axis=1) == split.labels).mean())

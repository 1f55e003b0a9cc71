"""Start training from a trained network, such as the shipped one."""

from __future__ import annotations

import hashlib
from pathlib import Path

import keras
import numpy as np

from mien.cnn.facts import stored_labels
from mien.cnn.loader import load_network
from mien.types import EXPRESSIONS
from training.data.splits import Split
from training.fit.devices import device_count, predict_all
from training.heads import OTHER_HEAD
from training.recipe import SIDES_PX, RunError


def starting_network(model_file: Path, weights_file: Path) -> tuple[keras.Model, str]:
    """Load a network to start from: model_file, its model.json, and weights_file.

    Returns:
        The network, all of it trainable, and a digest of its files, that of its other head included, for the recipe.

    Raises:
        ModelError: The files cannot be loaded.
        RunError: Its input is not one square gray face, or its output not the probabilities of the seven expressions
            in the order of EXPRESSIONS.
    """
    network = load_network(model_file, weights_file)
    shape = network.input_shape
    low, high = SIDES_PX
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[1] != shape[2] or shape[3] != 1:
        raise RunError(f"{model_file}: expected a network for square gray faces (n, side, side, 1), found {shape}")
    if not low <= (shape[1] or 0) <= high:
        raise RunError(f"{model_file}: expected a network for faces of {low} to {high} pixels, found {shape[1]}")
    if network.output_shape != (None, len(EXPRESSIONS)):
        raise RunError(f"{model_file}: expected the seven expressions as outputs, found {network.output_shape}")
    labels = [label.strip().lower() for label in stored_labels(model_file) or EXPRESSIONS]
    if tuple(labels) != EXPRESSIONS:
        raise RunError(
            f"{model_file}: expected outputs in the order {', '.join(EXPRESSIONS)}; found {', '.join(labels)}"
        )
    outputs = network.predict(np.zeros((device_count(), *shape[1:]), np.float32), verbose=0)
    if outputs.min() < 0 or not np.allclose(outputs.sum(axis=1), 1, atol=1e-3):
        raise RunError(f"{model_file}: expected a network that ends in a softmax, found sums of {outputs.sum(axis=1)}")
    thaw(network)
    files = [model_file, weights_file, model_file.parent / OTHER_HEAD]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files if file.is_file())).hexdigest()
    return network, digest[:12]


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

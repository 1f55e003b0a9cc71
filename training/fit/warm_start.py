"""Training on from a trained network, such as the shipped one, with images of one's own."""

from __future__ import annotations

import hashlib
from pathlib import Path

import keras
import numpy as np

from mien.cnn.loader import load_network, stored_labels
from mien.types import EXPRESSIONS
from training.data.dataset import Split
from training.fit.devices import answers, device_count
from training.heads import OTHER_HEAD
from training.recipe import SIDES_PX, RunError


def starting_network(model_file: Path, weights_file: Path) -> tuple[keras.Model, str]:
    """(the network of both files, all of it trainable; a digest of them and of its other head, for the recipe).

    Raises ModelError for files that can not be loaded, RunError for a network that takes anything but one square gray
    face, or gives anything but the probabilities of the seven expressions in the order of EXPRESSIONS.
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
    """Leave every layer that gives maps (convolutions and their normalisation) as it is; the dense ones learn.

    A frozen batch normalisation also keeps its mean and variance. Raises RunError where nothing is left to learn.
    """
    for layer in network.layers:
        layer.trainable = all(len(output.shape) != 4 for output in keras.tree.flatten(layer.output))
    if not network.trainable_weights:
        raise RunError("freeze: expected dense layers behind the convolutions, found none that could learn")


def thaw(network: keras.Model) -> None:
    """Let every layer learn. Setting `trainable` of a Sequential alone would leave its layers as they are."""
    for layer in network._flatten_layers():
        layer.trainable = True


def own_answers(network: keras.Model, images: np.ndarray) -> np.ndarray:
    """What it says of each image, as the mean of the image and its mirror image: float32 (n, 7), rows sum to 1.

    Of two heads (`training.fit.two_heads`) it is (n, 2, 7).

    Labels that disagree with all that was learnt from the others count less in its answers than in the data (Furlanello
    et al., "Born-again neural networks", 2018). images: (n, side, side, 1), 0..255.
    """
    return np.asarray((answers(network, images) + answers(network, images[:, :, ::-1])) / 2, np.float32)


def accuracy(network: keras.Model, split: Split) -> float:
    """Share of the images that the network labels right."""
    return float((answers(network, split.images).argmax(axis=1) == split.labels).mean())

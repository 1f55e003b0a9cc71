"""Look into a network: its diagram, first filters and feature maps, and checks before training."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np

from training.data.batches import one_hot
from training.data.splits import Split
from training.evaluate.metrics import score
from training.fit.fitting import build
from training.recipe import Recipe


def diagram(network: keras.Model) -> str:
    """Return the network as text: one line per layer with its output shape and number of parameters."""
    lines = [f"{'input':<32} {_shape(network.input_shape):>14}"]
    for layer in network.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        count = f"{layer.count_params():,}" if layer.count_params() else ""
        lines.append(f"{layer.name:<32} {_shape(layer.output.shape):>14} {count:>12}")
    return "\n".join(lines)


def draw(network: keras.Model, path: Path) -> Path | None:
    """Write Keras' diagram of a network as a PNG file; return its path, None without pydot or the program Graphviz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        keras.utils.plot_model(network, str(path), show_shapes=True, rankdir="TB", dpi=60)
    except (ImportError, OSError):
        return None
    return path if path.is_file() else None


def block_outputs(network: keras.Model, images: np.ndarray) -> dict[str, np.ndarray]:
    """Return a network's feature maps of images (n, h, w, 1): float32 (n, h', w', c), by "block 1", "block 2", ..."""
    pools = [layer.output for layer in network.layers if isinstance(layer, keras.layers.MaxPooling2D)]
    outputs = keras.Model(network.inputs[0], pools)(images.astype(np.float32), training=False)
    values = keras.tree.flatten(outputs)
    return {f"block {i}": keras.ops.convert_to_numpy(value) for i, value in enumerate(values, start=1)}


def first_filters(network: keras.Model) -> np.ndarray:
    """Return the kernels of the first convolution: float32 (height, width, filters)."""
    first = next(layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D))
    return keras.ops.convert_to_numpy(first.kernel)[:, :, 0]


def initial_loss(network: keras.Model, split: Split) -> float:
    """Return an untrained network's mean cross-entropy on a split; it must be near ln 7 = 1.95, a uniform guess."""
    return score(network.predict(split.images, batch_size=256, verbose=0), split.labels).nll


def overfit(recipe: Recipe, split: Split, *, images: int = 56, epochs: int = 30) -> list[float]:
    """Train on a few images, without augmentation or dropout; return the training accuracy after each epoch.

    It must reach 1: a network that cannot memorize a few images is broken, or its input is.

    Args:
        recipe: Names the network.
        split: Where the images are taken from.
        images: Number of images.
        epochs: Number of epochs.

    Raises:
        RunError: The recipe is not accepted.
    """
    rng = np.random.default_rng(recipe.seed)
    few = split.take(rng.permutation(len(split))[:images])
    plain = dataclasses.replace(recipe, conv_dropout=0.0, dense_dropout=0.0, l2=0.0)
    network, _ = build(plain, few.images.mean(axis=0))
    network.compile(keras.optimizers.Adam(1e-3), "categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    result = network.fit(few.images, one_hot(few.labels), batch_size=28, epochs=epochs, verbose=0)
    return [float(accuracy) for accuracy in result.history["accuracy"]]


def _shape(shape: tuple[Any, ...]) -> str:
    return "x".join(map(str, shape[1:]))

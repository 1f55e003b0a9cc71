"""Temperature scaling: one number that makes a network's confidence honest, and leaves its answers as they are.

Guo et al., "On calibration of modern neural networks" (2017).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np

from mien.cnn.loader import load_network
from mien.types import EXPRESSIONS
from training.data.dataset import load_dataset
from training.evaluate.metrics import score
from training.export import export_calibrated
from training.options import add_data, add_network, report_data, square_model, warn_of_known_images
from training.recipe import RunError

LOWEST, HIGHEST = 0.25, 4.0
STEPS = 60


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature, 0.25 to 4, at which the mean confidence is the share of right answers.

    probabilities: (n, 7), of images the network was not fitted on. labels: int (n,). Above 1 the network was too
    sure of itself, below 1 not sure enough. Found by bisection, as confidence falls with the temperature. After Clarté
    et al., "Expectation consistency for calibration of neural networks" (2023): the smallest negative log-likelihood,
    which Guo et al. look for, left a network fitted to softened labels too sure (MODEL_CARD.md).
    """
    accuracy = (probabilities.argmax(axis=1) == labels).mean()
    low, high = np.log(LOWEST), np.log(HIGHEST)
    for _ in range(STEPS):
        middle = (low + high) / 2
        if at_temperature(probabilities, np.exp(middle)).max(axis=1).mean() > accuracy:
            low = middle
        else:
            high = middle
    return float(np.exp((low + high) / 2))


def at_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """What softmax(logits / temperature) would give, from softmax(logits): float64 (n, 7)."""
    powers = np.log(np.clip(probabilities.astype(np.float64), 1e-30, 1)) / temperature
    powers = np.exp(powers - powers.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def fold_into(network: keras.Model, temperature: float) -> None:
    """Divide the weights of the last layer by the temperature, and so its logits: nothing else need know of it.

    Raises RunError for a network that does not end in a dense layer with a softmax.
    """
    last = network.layers[-1]
    if not isinstance(last, keras.layers.Dense) or last.activation is not keras.activations.softmax:
        raise RunError(f"{network.name}: expected a dense layer with a softmax at the end, found {last.name}")
    last.set_weights([weights / np.float32(temperature) for weights in last.get_weights()])


def add_options(parser: argparse.ArgumentParser) -> None:
    """Data, network, and where the calibrated one goes."""
    add_data(parser)
    add_network(parser)
    parser.add_argument("--export", type=Path, help="folder for the calibrated files (default: over the old ones)")


def run(options: argparse.Namespace) -> None:
    """make an exported network's confidence honest: fit a temperature on PublicTest and write it into its weights"""
    model, side_px = square_model(options)
    if model.output_order != sorted(model.output_order):
        raise RunError(f"{options.model}: expected outputs in the order {', '.join(EXPRESSIONS)}, found another")
    dataset = load_dataset(options.data, side_px=side_px)
    report_data(dataset)
    warn_of_known_images(dataset)
    labels = dataset.validation.labels
    before = model.predict(dataset.validation.images)
    temperature = fit_temperature(before, labels)
    for when, probabilities in (("before", before), ("after", at_temperature(before, temperature))):
        s = score(probabilities, labels)
        print(f"{when}: NLL {s.nll:.4f}, ECE {s.ece:.4f} on {s.n} images ({dataset.named[0]})")
    network = load_network(options.model, options.weights)
    fold_into(network, temperature)
    folder = options.export or options.model.parent
    model_file, weights_file = export_calibrated(network, options.model, temperature, folder)
    print(f"temperature {temperature:.4f}; wrote {model_file} and {weights_file}")

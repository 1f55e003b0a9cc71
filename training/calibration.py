"""Temperature scaling: one number that makes a network's confidence honest, and leaves its answers as they are.

Guo et al., "On calibration of modern neural networks" (2017).
"""

from __future__ import annotations

import keras
import numpy as np

from training.recipe import RunError

LOWEST, HIGHEST = 0.25, 4.0
STEPS = 60


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature, 0.25 to 4, with the smallest negative log-likelihood of the labels.

    probabilities: (n, 7), of images the network was not fitted on. labels: int (n,). Above 1 the network was too
    sure of itself, below 1 not sure enough. Found by golden-section search (Kiefer, 1953): there is one minimum.
    """
    golden = (5**0.5 - 1) / 2
    low, high = np.log(LOWEST), np.log(HIGHEST)
    for _ in range(STEPS):
        left, right = high - golden * (high - low), low + golden * (high - low)
        if _nll(at_temperature(probabilities, np.exp(left)), labels) < _nll(
            at_temperature(probabilities, np.exp(right)), labels
        ):
            high = right
        else:
            low = left
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


def _nll(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return float(-np.log(np.clip(probabilities[np.arange(len(labels)), labels], 1e-12, 1)).mean())

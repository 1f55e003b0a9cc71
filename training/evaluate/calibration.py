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

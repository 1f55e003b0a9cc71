"""The two heads (last layers) of a network: `people` predicts the shares of votes, `folders` the folder's label.

The exported network has one of them as its last layer. The other one is stored in OTHER_HEAD next to model.json, so
that both can be measured and trained further.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from training.data.votes import SEVEN
from training.recipe import HEADS, RunError

OTHER_HEAD = "other_head.npz"


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A dense layer with softmax: kernel float32 (units, 7), bias float32 (7,).

    Example:
        head = head_of(network)
        milder = head.divided(1.5)  # the same labels with less confidence
        probabilities = milder.probabilities(features)
    """

    kernel: np.ndarray
    bias: np.ndarray

    def shifted(self, by: np.ndarray) -> Head:
        """Return a head with `by`, (7,), added to the bias."""
        return Head(self.kernel, (self.bias + by).astype(np.float32))

    def divided(self, temperature: float) -> Head:
        """Return a head with all weights, and so its logits, divided by the temperature."""
        return Head(self.kernel / np.float32(temperature), self.bias / np.float32(temperature))

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Return probabilities, float32 (n, 7), of the layer's input (n, units)."""
        return softmax(features @ self.kernel + self.bias).astype(np.float32)


@dataclass(frozen=True, slots=True)
class HeadFacts:
    """What model.json says about the last layer of a network that was trained with two heads.

    Attributes:
        head: Its name, one of HEADS.
        base_rates: Of each expression, its mean share in the head's targets for the training images.
        tau: Of the logit adjustment that its bias contains, see `training.evaluate.calibration`.

    Raises:
        ValueError: Another head, or base rates that are not seven above 0.

    Example:
        about = HeadFacts("people", base_rates(dataset.train, "people"))
        export(network, Path("runs/people"), about=about)
        read_heads(network, Path("runs/people/model.json"))[0] == about
    """

    head: str
    base_rates: tuple[float, ...]
    tau: float = 0.0

    def __post_init__(self) -> None:
        if self.head not in HEADS:
            raise ValueError(f"head: expected {' or '.join(HEADS)}, found {self.head!r}")
        if len(self.base_rates) != SEVEN or min(self.base_rates) <= 0:
            raise ValueError(f"shares: expected seven above 0, found {self.base_rates}")


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the softmax of logits (n, 7)."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def last_layer(network: keras.Model) -> keras.layers.Dense:
    """Return the dense layer with softmax that the network ends with. Raise RunError for another network."""
    last = network.layers[-1]
    if not isinstance(last, keras.layers.Dense) or last.activation is not keras.activations.softmax:
        raise RunError(f"{network.name}: expected a dense layer with softmax at the end, found {last.name}")
    return last


def head_of(network: keras.Model) -> Head:
    """Return the network's last layer. Raise RunError if it is not a dense layer with softmax."""
    return Head(*last_layer(network).get_weights())


def set_head(network: keras.Model, head: Head) -> None:
    """Set the weights of the network's last layer to those of a head. Raise RunError as `head_of`."""
    last_layer(network).set_weights([head.kernel, head.bias])


def predict_heads(network: keras.Model, heads: Mapping[str, Head], images: np.ndarray) -> dict[str, np.ndarray]:
    """Predict images (n, side, side, 1) with several heads in place of a network's last layer.

    Returns:
        Probabilities by head, float32 (n, 7).

    Raises:
        RunError: The network does not end with a dense layer with softmax.
    """
    trunk = keras.Model(network.inputs[0], last_layer(network).input)
    features = trunk.predict(images, batch_size=256, verbose=0)
    return {name: head.probabilities(features) for name, head in heads.items()}


def write_other_head(folder: Path, name: str, head: Head) -> Path:
    """Write the head that is not exported, its name one of HEADS, into the network's folder; return the file's path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / OTHER_HEAD
    np.savez_compressed(path, head=name, kernel=head.kernel, bias=head.bias)
    return path


def read_other_head(folder: Path) -> tuple[str, Head] | None:
    """Read (name, head) that `write_other_head` wrote; None where there is none. Raise RunError for another file."""
    path = folder / OTHER_HEAD
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as found:
            name, head = str(found["head"]), Head(found["kernel"], found["bias"])
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"{path}: expected the other head of a network, found another file ({error})") from error
    if name not in HEADS or head.kernel.shape[1:] != (SEVEN,) or head.bias.shape != (SEVEN,):
        raise RunError(f"{path}: expected a head of {' or '.join(HEADS)} with seven outputs, found {name!r}")
    return name, head

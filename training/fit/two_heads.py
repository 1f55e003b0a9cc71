"""Train two heads on one trunk: one learns the shares of people's votes, the other the folder's label."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from mien.types import EXPRESSIONS
from training.data.batches import one_hot
from training.data.splits import Split
from training.data.votes import CONTEMPT, SEVEN, clear_majority, shares
from training.heads import HEADS, Head, last_layer
from training.recipe import Recipe

_SHARES, _LABEL, _MAJORITY = 0, 1, 2
"""Rows of the targets: shares of votes, label of the folder, clear majority."""


def two_headed(network: keras.Model, folders: Head) -> keras.Model:
    """Build a model that shares all layers with the network and outputs both heads, float32 (n, 2, 7), as HEADS.

    The network's own last layer, dense with softmax, is the head `people`; `folders` are the weights of the other one.
    """
    own = last_layer(network)
    other = keras.layers.Dense(len(EXPRESSIONS), activation="softmax", dtype="float32", name="folders")
    outputs = [own.output, other(own.input)]
    other.set_weights([folders.kernel, folders.bias])
    both = keras.layers.Reshape((len(HEADS), len(EXPRESSIONS)))(keras.layers.Concatenate(dtype="float32")(outputs))
    return keras.Model(network.inputs[0], both, name="heads")


def folders_head(trainer: keras.Model) -> Head:
    """Return the head `folders` of a trainer that contains a model built by `two_headed`."""
    return Head(*trainer.get_layer("heads").get_layer("folders").get_weights())


def targets_of(split: Split) -> np.ndarray:
    """Return the targets of both heads.

    Label and majority are one-hot. The majority is zero where there is none, and uniform where it is contempt, for
    which the network has no output.

    Args:
        split: Images with votes.

    Returns:
        float32 (n, 3, 7), rows _SHARES, _LABEL and _MAJORITY.
    """
    majority = clear_majority(split)
    third = np.zeros((len(split), SEVEN), np.float32)
    known = (majority >= 0) & (majority < SEVEN)
    third[known] = one_hot(majority[known])
    third[majority == CONTEMPT] = 1 / SEVEN
    return np.stack([shares(split), one_hot(split.labels), third], axis=1)


class TwoLosses(keras.losses.Loss):
    """people_weight * cross-entropy with the shares of votes + folder_weight * cross-entropy with the label.

    Only the labels are smoothed by label_smoothing. With teachers, the votes count 1 - distil_weight as much, and a
    layer adds the teachers' part (`training.fit.distillation`).

    Args:
        recipe: Has the weights and the smoothing.
        distilled: Whether the head `people` also learns from teachers.

    Example:
        model = two_headed(network, head_of(network))
        model.compile("adamw", TwoLosses(recipe), metrics=[MajorityAccuracy(), *METRICS])
        model.fit(split.images, targets_of(split))
    """

    def __init__(self, recipe: Recipe, *, distilled: bool = False) -> None:
        super().__init__(name="two_losses")
        self.recipe = recipe
        self.people_weight = recipe.people_weight * (1 - recipe.distil_weight if distilled else 1)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss (n,) of targets (n, 3, 7) and predictions (n, 2, 7)."""
        smooth = self.recipe.label_smoothing
        labels = y_true[:, _LABEL] * (1 - smooth) + smooth / SEVEN
        people = keras.losses.categorical_crossentropy(y_true[:, _SHARES], y_pred[:, 0])
        folders = keras.losses.categorical_crossentropy(labels, y_pred[:, 1])
        return self.people_weight * people + self.recipe.folder_weight * folders


def majority_hits(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Return which of the images with a clear majority the head `people` names right, and which images have one.

    Args:
        y_true, y_pred: As in `TwoLosses`.

    Returns:
        Both float32 (n,), 0 or 1. Contempt is a majority that the network cannot name.
    """
    majority = ops.cast(y_true[:, _MAJORITY], "float32")
    named = ops.one_hot(ops.argmax(y_pred[:, 0], axis=-1), SEVEN)
    hit = ops.sum(named * majority, axis=-1) > 0.5  # contempt gives a seventh
    return ops.cast(hit, "float32"), ops.sum(majority, axis=-1)


class MajorityAccuracy(keras.metrics.Mean):
    """Accuracy of the head `people` on images with a clear majority, by the protocol of the FER+ paper.

    Example:
        accuracy = MajorityAccuracy()
        accuracy.update_state(targets_of(split), model.predict(split.images))
        print(float(accuracy.result()))
    """

    def __init__(self) -> None:
        super().__init__(name="accuracy")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch of targets (n, 3, 7) and predictions (n, 2, 7)."""
        hit, counts = majority_hits(y_true, y_pred)
        super().update_state(hit, sample_weight=counts)


def folder_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Return the accuracy of the head `folders`, 0 or 1 for each image; y_true, y_pred: as in `TwoLosses`."""
    return keras.metrics.categorical_accuracy(y_true[:, _LABEL], y_pred[:, 1])


def share_error(y_true: Any, y_pred: Any) -> Any:
    """Return the mean absolute difference of shares and people's probabilities; y_true, y_pred: as in `TwoLosses`."""
    return ops.mean(ops.abs(y_true[:, _SHARES] - y_pred[:, 0]), axis=-1)


METRICS = folder_accuracy, share_error


def base_rates(split: Split, head: str) -> tuple[float, ...]:
    """Return the mean share of each expression in a split's targets for a head of HEADS, at least a millionth."""
    targets = shares(split) if head == "people" else one_hot(split.labels)
    return tuple(float(max(share, 1e-6)) for share in targets.mean(axis=0, dtype=np.float64))

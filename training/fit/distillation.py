"""Knowledge distillation: a network learns the probabilities that an ensemble of larger ones predicts.

Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network" (2015). Each image is labeled by teachers that
were not trained on it (`training.fit.teach`). They see the same augmented, mixed view as the student (Beyer et al.,
"Knowledge distillation: a good teacher is patient and consistent", 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops


@dataclass(frozen=True, slots=True, eq=False)
class Teachers:
    """An ensemble of teachers for each fold of the training images.

    Attributes:
        networks: For each fold, the networks that were not trained on it.
        fold: Of each training image, int (n,).
        digest: Of the files they were read from, for the recipe.

    Example:
        teachers = read_teachers([Path("runs/teacher")], dataset.train)
        recipe = Recipe(teachers=teachers.digest)
        network = fit(recipe, dataset, Path("runs/student"), teachers=teachers)
    """

    networks: tuple[tuple[keras.Model, ...], ...]
    fold: np.ndarray
    digest: str


class Distill(keras.layers.Layer):
    """Adds weight * temperature^2 * KL(teachers || student) to the training loss; returns the student's probabilities.

    Input: the student's probabilities (n, 7), its view of the images (n, h, w, 1), and their fold, int (n,), which all
    images of a batch share. Student and ensemble, whose probabilities are averaged, are softened by the temperature.
    The layer holds copies of the teachers' weights: JAX would compile weights that are not the model's into the step,
    as gigabytes of constants. Checkpoints leave them out.

    Example:
        images, fold = keras.Input((48, 48, 1)), keras.Input((), dtype="int32")
        taught = Distill(teachers, weight=0.9, temperature=4.0)((student(images), images, fold))
        trainer = keras.Model([images, fold], taught)
    """

    def __init__(self, teachers: Teachers, weight: float, temperature: float) -> None:
        super().__init__(dtype="float32")
        self.weight = weight
        self.temperature = temperature
        self._ensembles = tuple(
            partial(_predict_mean, tuple(self._copy(network) for network in networks)) for networks in teachers.networks
        )

    def _copy(self, network: keras.Model) -> Callable[[Any], Any]:
        """Copy a teacher's weights into the layer; return a function from a view to its probabilities (n, 7)."""
        variables = [*network.trainable_variables, *network.non_trainable_variables]
        copies = [
            self.add_weight(shape=v.shape, dtype=v.dtype, initializer="zeros", trainable=False, name=f"teacher_{i}")
            for i, v in enumerate(variables)
        ]
        for copy, value in zip(copies, variables, strict=True):
            copy.assign(ops.convert_to_numpy(value))
        return partial(_predict, network.stateless_call, copies, len(network.trainable_variables))

    def call(self, inputs: tuple[Any, Any, Any], training: bool = False) -> Any:
        """Return the student's probabilities unchanged."""
        student, view, fold = inputs
        if training:
            teacher = ops.stop_gradient(ops.switch(fold[0], self._ensembles, view))
            target, predicted = (_log_softened(p, self.temperature) for p in (teacher, student))
            divergence = ops.mean(ops.sum(ops.exp(target) * (target - predicted), axis=-1))
            self.add_loss(self.weight * self.temperature**2 * divergence)
        return student

    def save_own_variables(self, store: Any) -> None:
        """Save nothing: the teachers have their own files."""

    def load_own_variables(self, store: Any) -> None:
        """Load nothing, see `save_own_variables`."""

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the student's probabilities."""
        return input_shape[0]


def _predict_mean(teachers: Sequence[Callable[[Any], Any]], view: Any) -> Any:
    return ops.mean(ops.stack([teacher(view) for teacher in teachers]), axis=0)


def _predict(call: Callable[..., Any], variables: Sequence[Any], trainable: int, view: Any) -> Any:
    values = [ops.convert_to_tensor(variable) for variable in variables]
    probabilities, _ = call(values[:trainable], values[trainable:], view, training=False)
    return ops.cast(probabilities, "float32")


def _log_softened(probabilities: Any, temperature: float) -> Any:
    return ops.log_softmax(ops.log(ops.clip(probabilities, 1e-7, 1.0)) / temperature)

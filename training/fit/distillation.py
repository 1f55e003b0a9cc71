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
        networks: For each fold, the networks that were not trained on it; of the same architectures in each.
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

    Input: the student's probabilities (n, 7), or those of two heads (n, 2, 7), of which the first is taught; its view
    of the images (n, h, w, 1), and their fold, int (n,), which all images of a batch share. Student and ensemble, whose
    probabilities are averaged, are softened by the temperature. The layer holds copies of the teachers' weights: JAX
    would compile weights that are not the model's into the step, as gigabytes of constants. The copies of all folds are
    stacked, so that a step contains each teacher once. Checkpoints leave them out.

    Example:
        images, fold = keras.Input((48, 48, 1)), keras.Input((), dtype="int32")
        taught = Distill(teachers, weight=0.9, temperature=4.0)((student(images), images, fold))
        trainer = keras.Model([images, fold], taught)
    """

    def __init__(self, teachers: Teachers, weight: float, temperature: float) -> None:
        super().__init__(dtype="float32")
        self.weight = weight
        self.temperature = temperature
        self._ensemble = [self._copy(networks) for networks in zip(*teachers.networks, strict=True)]

    def _copy(self, networks: Sequence[keras.Model]) -> Callable[[Any, Any], Any]:
        """Copy a teacher's weights of all folds into the layer.

        Args:
            networks: The same network, trained without each of the folds.

        Returns:
            A function from a view (n, h, w, 1) and a fold to the teacher's probabilities (n, 7).
        """
        copies = []
        for i, variables in enumerate(zip(*(_variables(network) for network in networks), strict=True)):
            values = np.stack([ops.convert_to_numpy(variable) for variable in variables])
            copies.append(
                self.add_weight(
                    shape=values.shape,
                    dtype=variables[0].dtype,
                    initializer="zeros",
                    trainable=False,
                    name=f"teacher_{i}",
                )
            )
            copies[-1].assign(values)
        first = networks[0]
        return partial(_predict, first.stateless_call, copies, len(first.trainable_variables))

    def call(self, inputs: tuple[Any, Any, Any], training: bool = False) -> Any:
        """Return the student's probabilities unchanged."""
        student, view, fold = inputs
        if training:
            teacher = ops.mean(ops.stack([predict(view, fold[0]) for predict in self._ensemble]), axis=0)
            taught = student if len(student.shape) == 2 else student[:, 0]
            target, predicted = (_log_softened(p, self.temperature) for p in (ops.stop_gradient(teacher), taught))
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


def _variables(network: keras.Model) -> list[Any]:
    return [*network.trainable_variables, *network.non_trainable_variables]


def _predict(call: Callable[..., Any], stacked: Sequence[Any], trainable: int, view: Any, fold: Any) -> Any:
    values = [ops.take(ops.convert_to_tensor(variables), fold, axis=0) for variables in stacked]
    probabilities, _ = call(values[:trainable], values[trainable:], view, training=False)
    return ops.cast(probabilities, "float32")


def _log_softened(probabilities: Any, temperature: float) -> Any:
    return ops.log_softmax(ops.log(ops.clip(probabilities, 1e-7, 1.0)) / temperature)

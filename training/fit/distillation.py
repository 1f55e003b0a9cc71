"""Distillation: a network learns what an ensemble of larger ones says of images that none of them was fitted on.

Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network" (2015). Teachers come from
`training.fit.teach`. They see the same augmented, mixed view as the student (Beyer et al., "Knowledge
distillation: a good teacher is patient and consistent", 2022).
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
    """networks: for each fold those that were not fitted on it. fold: of each training image, int (n,).

    digest: of the files they came from, for the recipe.
    """

    networks: tuple[tuple[keras.Model, ...], ...]
    fold: np.ndarray
    digest: str


class Distil(keras.layers.Layer):
    """Adds weight * temperature^2 * KL(teachers || student) to the loss while training; passes the student's answer on.

    Input: the student's probabilities (n, 7), the view it had of the images (n, h, w, 1), and their fold, int (n,),
    the same for all of a batch. Both answers are softened by the temperature. Several teachers speak with the mean of
    their probabilities. The layer has copies of their weights, as JAX would compile weights that are not the
    model's own into the step, gigabytes of constants; checkpoints leave them out.
    """

    def __init__(self, teachers: Teachers, weight: float, temperature: float) -> None:
        super().__init__(dtype="float32")
        self.weight = weight
        self.temperature = temperature
        self._verdicts = tuple(
            partial(_mean_answer, tuple(self._asked(network) for network in networks)) for networks in teachers.networks
        )

    def _asked(self, network: keras.Model) -> Callable[[Any], Any]:
        """What a teacher says of a view: probabilities (n, 7)."""
        variables = [*network.trainable_variables, *network.non_trainable_variables]
        own = [
            self.add_weight(shape=v.shape, dtype=v.dtype, initializer="zeros", trainable=False, name=f"teacher_{i}")
            for i, v in enumerate(variables)
        ]
        for variable, value in zip(own, variables, strict=True):
            variable.assign(ops.convert_to_numpy(value))
        return partial(_answer, network.stateless_call, own, len(network.trainable_variables))

    def call(self, inputs: tuple[Any, Any, Any], training: bool = False) -> Any:
        """The student's probabilities as they are."""
        student, view, fold = inputs
        if training:
            teacher = ops.stop_gradient(ops.switch(fold[0], self._verdicts, view))
            soft, own = (_log_softened(p, self.temperature) for p in (teacher, student))
            divergence = ops.mean(ops.sum(ops.exp(soft) * (soft - own), axis=-1))
            self.add_loss(self.weight * self.temperature**2 * divergence)
        return student

    def save_own_variables(self, store: Any) -> None:
        """Nothing: the teachers have files of their own."""

    def load_own_variables(self, store: Any) -> None:
        """Nothing: as `save_own_variables`."""

    def compute_output_shape(self, input_shape: Any) -> Any:
        """That of the student's probabilities."""
        return input_shape[0]


def _mean_answer(teachers: Sequence[Callable[[Any], Any]], view: Any) -> Any:
    return ops.mean(ops.stack([teacher(view) for teacher in teachers]), axis=0)


def _answer(call: Callable[..., Any], variables: Sequence[Any], trainable: int, view: Any) -> Any:
    values = [ops.convert_to_tensor(variable) for variable in variables]
    answer, _ = call(values[:trainable], values[trainable:], view, training=False)
    return ops.cast(answer, "float32")


def _log_softened(probabilities: Any, temperature: float) -> Any:
    return ops.log_softmax(ops.log(ops.clip(probabilities, 1e-7, 1.0)) / temperature)

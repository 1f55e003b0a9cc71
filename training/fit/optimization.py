"""What a recipe optimizes, and how: loss and metrics, and the optimizer with its schedule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from training.fit import two_heads
from training.recipe import Recipe


def make_objective(recipe: Recipe, *, distilled: bool) -> dict[str, Any]:
    """Choose loss and metrics; the metric "accuracy" chooses the best epoch.

    Args:
        recipe: Says what to learn: labels or votes, with which smoothing and weights.
        distilled: Whether the network also learns from teachers, whose loss a layer adds.

    Returns:
        Arguments of `compile`.
    """
    if recipe.votes:
        return {
            "loss": two_heads.TwoLosses(recipe, distilled=distilled),
            "metrics": [two_heads.MajorityAccuracy(), *two_heads.METRICS],
        }
    return {
        "loss": keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        "loss_weights": [1 - recipe.distil_weight] if distilled else None,
        "metrics": ["accuracy"],
    }


def make_optimizer(recipe: Recipe, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """Build the optimizer with its schedule of learning rates.

    Args:
        recipe: Names the optimizer, its highest learning rate and the schedule.
        steps_per_epoch: Batches in an epoch.
    """
    rate: Any = recipe.learning_rate
    if recipe.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0,
            decay_steps=max(1, round((recipe.epochs - recipe.warmup_epochs) * steps_per_epoch)),
            warmup_target=recipe.learning_rate,
            warmup_steps=round(recipe.warmup_epochs * steps_per_epoch),
        )
    makers: dict[str, Callable[[], keras.optimizers.Optimizer]] = {
        "adamw": lambda: keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay),
        "adam": lambda: keras.optimizers.Adam(rate),
        "sgd": lambda: keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay),
        "rmsprop": lambda: keras.optimizers.RMSprop(rate),
    }
    return makers[recipe.optimizer]()

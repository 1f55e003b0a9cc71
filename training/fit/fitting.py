"""Train a network by a recipe, in a run folder, resumable after a kill at any moment."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mien.cnn.layers import MeanImage
from training.data.augment import Augment
from training.data.batches import Batches, MixUp, one_hot
from training.data.splits import Dataset, Split
from training.fit import two_heads
from training.fit.callbacks import (
    AverageWeights,
    Checkpoint,
    EarlyStop,
    History,
    StartEpoch,
    TimeLeft,
    WeightAverage,
    halve_on_plateau,
)
from training.fit.devices import device_count
from training.fit.distillation import Distill, Teachers
from training.fit.graph_edits import computing_in, pool_first, pool_last
from training.fit.optimization import make_objective, make_optimizer
from training.fit.warm_start import own_predictions
from training.heads import HEADS, Head, head_of
from training.networks import NETWORKS, TEACHERS, Style
from training.recipe import Recipe, RunError
from training.run_folder import epochs_since_best, read_history, start_run

_VALIDATION_BATCH = 256
_POOLED_IMAGES = 1024
"""Images on which mean and variance are measured where pooling moves before batch normalization."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A run that is ready for `run.trainer.fit(**run.arguments)`.

    Attributes:
        trainer: Augmentation and `network`, compiled.
        arguments: Of `trainer.fit`.
        history: The epochs that were finished before, see `read_history`.
        finished: Whether nothing is left to do.
        sample: Images for `training.fit.graph_edits`, None where it needs none.

    Example:
        run = prepare(Recipe(network="elu"), dataset, Path("runs/elu"))
        run.trainer.fit(**run.arguments)
        network = run.best()
    """

    recipe: Recipe
    network: keras.Model
    trainer: keras.Model
    arguments: dict[str, Any]
    history: list[dict[str, float]]
    finished: bool
    best_file: Path
    sample: np.ndarray | None = None

    def best(self) -> keras.Model:
        """Return the network of the best epoch, in float32 and with its layers in the usual order."""
        self.trainer.load_weights(self.best_file)
        plain = self.network if self.recipe.precision == "float32" else computing_in("float32", self.network)
        return pool_last(plain, self.sample) if self.recipe.pool_first else plain

    def best_heads(self) -> dict[str, Head]:
        """Return both heads of the best epoch, by name. Raise ValueError for a run without votes."""
        self.trainer.load_weights(self.best_file)
        return {"people": head_of(self.network), "folders": two_heads.folders_head(self.trainer)}


def build(
    recipe: Recipe,
    mean_image: np.ndarray | None = None,
    start: keras.Model | None = None,
    teachers: Teachers | None = None,
    folders: Head | None = None,
) -> tuple[keras.Model, keras.Model]:
    """Build the network to export, and the trainer: augmentation followed by the same network.

    Args:
        recipe: All choices that decide the result.
        mean_image: (side, side, 1), 0 to 255, for networks with pixels="mean_image".
        start: A trained network to use instead of a new one.
        teachers: To distill.
        folders: With votes, the initial head for the folders' labels; by default a copy of the network's own head,
            which becomes that of people.

    Returns:
        (network, trainer). The trainer's input is that of `Batches.inputs`; with votes it outputs both heads'
        probabilities, see `training.fit.two_heads`.
    """
    keras.utils.set_random_seed(recipe.seed)
    network = start if start is not None else _make_network(recipe)
    if mean_image is not None:
        for layer in network.layers:
            if isinstance(layer, MeanImage):
                layer.mean.assign(mean_image)
    images = keras.Input((recipe.side_px, recipe.side_px, 1), name="images")
    more = {}
    view = Augment(**_values(recipe, Augment.STRENGTHS), seed=recipe.seed)(images)
    if recipe.mixup > 0:
        more["share"] = keras.Input((), name="share")
        view = MixUp()((view, more["share"]))
    model = two_heads.two_headed(network, folders or head_of(network)) if recipe.votes else network
    outputs = model(view)
    if teachers is not None:
        more["fold"] = keras.Input((), dtype="int32", name="fold")
        weight = recipe.distil_weight * (recipe.people_weight if recipe.votes else 1)
        outputs = Distill(teachers, weight, recipe.distil_temperature)((outputs, view, more["fold"]))
    if recipe.ema > 0:
        outputs = WeightAverage(model)(outputs)
    return network, keras.Model({"images": images, **more} if more else images, outputs)


def _make_network(recipe: Recipe) -> keras.Model:
    """Build an untrained network whose layers compute in the recipe's precision."""
    usual = keras.config.dtype_policy()
    keras.config.set_dtype_policy(recipe.precision)
    try:
        style = _values(recipe, [field.name for field in dataclasses.fields(Style)])
        network = (NETWORKS | TEACHERS)[recipe.network](recipe.side_px, **style)
        return pool_first(network) if recipe.pool_first else network
    finally:
        keras.config.set_dtype_policy(usual)


def prepare(
    recipe: Recipe,
    dataset: Dataset,
    run_folder: Path,
    *,
    start: keras.Model | None = None,
    teachers: Teachers | None = None,
    folders: Head | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Run:
    """Build and compile a run, new or resumed.

    The folder has recipe.json, data.json, history.csv (one row per epoch), best.weights.h5 and backup/. A run may be
    resumed with another number of epochs, even a finished one. With several devices (`training.fit.devices`), images
    that do not fill them all are left out: of the validation images always the same ones.

    Args:
        recipe: All choices that decide the result.
        dataset: Its train and validation splits are used.
        run_folder: Created if missing.
        start, teachers, folders: As in `build`.
        callbacks: Called before the last one, which reports the time left.

    Raises:
        RunError: The folder holds a run with another recipe, other images or no checkpoint, or batches do not fit
            devices or folds.
    """
    devices = device_count()
    folds = None if teachers is None else teachers.fold
    _check_batches(recipe, dataset, devices, folds)
    mean_image = dataset.train.images.mean(axis=0) if recipe.pixels == "mean_image" and start is None else None
    sample = None
    if recipe.pool_first and not recipe.freeze:  # frozen batch normalization keeps its mean and variance
        chosen = np.random.default_rng(recipe.seed).permutation(len(dataset.train))[:_POOLED_IMAGES]
        sample = dataset.train.images[chosen]
    edited = start
    if edited is not None:
        edited = pool_first(edited, sample) if recipe.pool_first else edited
        edited = edited if recipe.precision == "float32" else computing_in(recipe.precision, edited)
    network, trainer = build(recipe, mean_image, edited, teachers, folders)
    start_run(run_folder, recipe, f"{dataset.train.digest()} {dataset.validation.digest()}")
    best_file = run_folder / "best.weights.h5"
    history = read_history(run_folder)
    stopped = recipe.early_stop > 0 and epochs_since_best(history) >= recipe.early_stop
    finished = (len(history) >= recipe.epochs or stopped) and best_file.is_file()
    targets = _targets(recipe, dataset.train)
    if start is not None and recipe.self_distil > 0 and not finished:
        source = two_heads.two_headed(start, folders or head_of(start)) if recipe.votes else start
        learned = targets[:, : len(HEADS)] if recipe.votes else targets  # a view: each head learns its own predictions
        learned += recipe.self_distil * (own_predictions(source, dataset.train.images) - learned)
    batches = Batches(
        dataset.train, recipe.batch_size, recipe.seed, recipe.balance, devices, recipe.mixup, folds, targets
    )
    validation = dataset.validation.take(np.arange(len(dataset.validation) // devices * devices))
    trainer.compile(
        optimizer=make_optimizer(recipe, len(batches)),
        **make_objective(recipe, distilled=teachers is not None),
        jit_compile="auto" if keras.backend.backend() == "jax" else False,
    )
    trainer.optimizer.build(trainer.trainable_variables)  # so that checkpoints include its state
    checkpoint = Checkpoint(run_folder / "backup", len(batches))
    if len(history) > 1 and not finished and not checkpoint.exists():
        raise RunError(f"{run_folder}: expected a checkpoint to resume from, found none; choose another run folder")
    best = keras.callbacks.ModelCheckpoint(
        str(best_file),
        monitor="val_accuracy",
        mode="max",
        save_best_only=True,
        save_weights_only=True,
        initial_value_threshold=max((row["val_accuracy"] for row in history), default=None),
    )
    averaged = trainer.get_layer("heads") if recipe.votes else network
    averages = [layer for layer in trainer.layers if isinstance(layer, WeightAverage)]
    arguments = {
        "x": batches,
        "epochs": recipe.epochs,
        "shuffle": False,  # Batches shuffles, in an order that can be repeated
        "validation_data": (batches.inputs(validation.images), _targets(recipe, validation)),
        "validation_batch_size": _VALIDATION_BATCH // devices * devices,
        "callbacks": [
            StartEpoch(batches),
            best,
            *(AverageWeights(averaged, layer, recipe.ema) for layer in averages),
            History(run_folder),
            *([halve_on_plateau(run_folder, recipe.learning_rate)] if recipe.schedule == "plateau" else []),
            *([EarlyStop(run_folder, recipe.early_stop)] if recipe.early_stop else []),
            checkpoint,
            *callbacks,
            TimeLeft(recipe.epochs),
        ],
    }
    return Run(recipe, network, trainer, arguments, history, finished, best_file, sample)


def fit(
    recipe: Recipe, dataset: Dataset, run_folder: Path, *, report: Callable[[str], None] = print, **options: Any
) -> keras.Model:
    """Train a network, or resume its run.

    Args:
        recipe, dataset, run_folder: As in `prepare`.
        report: Called with each line of progress.
        **options: Further arguments of `prepare`.

    Returns:
        The network of the best epoch on the validation images.

    Raises:
        RunError: As `prepare`.
    """
    run = prepare(recipe, dataset, run_folder, **options)
    finish(run, report)
    return run.best()


def finish(run: Run, report: Callable[[str], None] = print) -> None:
    """Train the remaining epochs of a run that `prepare` returned; report: called with each line of progress."""
    folder = run.best_file.parent
    if run.finished:
        report(f"{folder} has finished its {len(run.history)} epochs")
        return
    if run.history:
        report(f"resuming {folder} after {len(run.history)} epochs")
    run.trainer.fit(**run.arguments)


def _targets(recipe: Recipe, split: Split) -> np.ndarray:
    """Return the targets of a split: one-hot labels, or with votes those of both heads."""
    return two_heads.targets_of(split) if recipe.votes else one_hot(split.labels)


def _check_batches(recipe: Recipe, dataset: Dataset, devices: int, folds: np.ndarray | None) -> None:
    """Raise RunError where batches cannot be split among the devices, or filled from each of the folds."""
    if recipe.batch_size % devices:
        raise RunError(f"batch_size: expected a multiple of the {devices} devices, found {recipe.batch_size}")
    images = min(len(dataset.train), len(dataset.validation))
    if images < devices:
        raise RunError(f"expected an image to train and one to validate for each of {devices} devices, found {images}")
    if folds is not None and np.bincount(folds).min() < recipe.batch_size:
        found = f"{np.bincount(folds).min()} images in the smallest fold of the teachers"
        raise RunError(f"batch_size: expected at most {found}, found {recipe.batch_size}")


def _values(recipe: Recipe, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(recipe, name) for name in names}

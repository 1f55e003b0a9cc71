"""How a network is fitted: one recipe, written down with the run, resumable after a kill at any moment."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mien.expressions import MienError
from mien.layers import MeanImage
from training.augment import Augment
from training.batches import BALANCES, Batches, one_hot
from training.callbacks import EarlyEnd, History, Plateau, StartEpoch, epochs_since_best, read_history
from training.dataset import Dataset
from training.networks import NETWORKS, PIXELS, Style

OPTIMIZERS = ("adamw", "adam", "sgd", "rmsprop")
SCHEDULES = ("cosine", "plateau", "constant")
SIDES_PX = (32, 350)


class RunError(MienError):
    """A training run can not start or go on as asked."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides how a run goes; stored as recipe.json beside its checkpoints.

    optimizer: adamw (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019), adam (Kingma and Ba,
    2015), sgd with Nesterov momentum 0.9 (Sutskever et al., 2013) or rmsprop (Tieleman and Hinton, 2012);
    weight_decay belongs to adamw and sgd, l2 to the loss of any.
    schedule: cosine (the learning rate rises for `warmup_epochs` and then falls along a cosine to zero at `epochs`),
    plateau (halved when the validation loss has not fallen for four epochs) or constant.
    early_stop: end after so many epochs without a better validation accuracy; 0 for never.
    label_smoothing after Szegedy et al., "Rethinking the inception architecture" (2016).
    conv_dropout, dense_dropout, l2, batch_norm, pixels: as in `training.networks.Style`. flip to erase: as in
    `training.augment.Augment`. balance: as in `training.batches.BALANCES`. side_px: of the input, 32 to 350.
    """

    network: str = "six_layer"
    epochs: int = 40
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    warmup_epochs: float = 1.0
    label_smoothing: float = 0.05
    conv_dropout: float = 0.2
    dense_dropout: float = 0.3
    rotation_deg: float = 10.0
    shift: float = 0.06
    scale: float = 0.1
    contrast: float = 0.2
    erase: float = 0.0
    flip: bool = True
    side_px: int = 48
    seed: int = 0
    optimizer: str = "adamw"
    schedule: str = "cosine"
    early_stop: int = 0
    l2: float = 0.0
    batch_norm: bool = True
    vertical_flip: bool = False
    shear: float = 0.0
    pixels: str = "scale"
    balance: str = "none"

    def __post_init__(self) -> None:
        choices = {
            "network": tuple(NETWORKS),
            "optimizer": OPTIMIZERS,
            "schedule": SCHEDULES,
            "pixels": PIXELS,
            "balance": BALANCES,
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise RunError(f"{name}: expected one of {', '.join(known)}; found {getattr(self, name)!r}")
        if self.epochs < 1 or self.batch_size < 2:
            raise RunError(
                f"expected at least 1 epoch and batches of 2 images, found {self.epochs} and {self.batch_size}"
            )
        if not SIDES_PX[0] <= self.side_px <= SIDES_PX[1]:
            raise RunError(f"side_px: expected {SIDES_PX[0]} to {SIDES_PX[1]} pixels, found {self.side_px}")


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A run that is ready for `run.trainer.fit(**run.arguments)`.

    network: what is exported; trainer: the same behind the augmentation, compiled. history: the epochs that were
    finished before; finished: nothing is left to do.
    """

    network: keras.Model
    trainer: keras.Model
    arguments: dict[str, Any]
    history: list[dict[str, float]]
    finished: bool
    best_file: Path

    def best(self) -> keras.Model:
        """The network with the weights of its best validation accuracy."""
        self.trainer.load_weights(self.best_file)
        return self.network


def build(recipe: Recipe, mean_image: np.ndarray | None = None) -> tuple[keras.Model, keras.Model]:
    """(network, trainer): the network to export, and the same network behind the augmentation layer.

    mean_image: (side, side, 1), 0..255, what a network with pixels="mean_image" subtracts.
    """
    keras.utils.set_random_seed(recipe.seed)
    network = NETWORKS[recipe.network](recipe.side_px, **_some_of(recipe, _names_of(Style)))
    if mean_image is not None:
        for layer in network.layers:
            if isinstance(layer, MeanImage):
                layer.mean.assign(mean_image)
    augment = Augment(**_some_of(recipe, Augment.STRENGTHS), seed=recipe.seed)
    return network, keras.Sequential([keras.Input((recipe.side_px, recipe.side_px, 1)), augment, network])


def prepare(
    recipe: Recipe,
    dataset: Dataset,
    run_folder: Path,
    *,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Run:
    """Build and compile the run in `run_folder`, new or to be gone on with.

    The folder holds recipe.json, history.csv (one row an epoch), best.weights.h5 and, until the run has
    finished, backup/. A folder with another recipe is refused with RunError, but for `epochs`: a longer or
    shorter run may go on from the same place.
    """
    _claim(run_folder, recipe)
    mean_image = dataset.train.images.mean(axis=0) if recipe.pixels == "mean_image" else None
    network, trainer = build(recipe, mean_image)
    batches = Batches(dataset.train, recipe.batch_size, recipe.seed, recipe.balance)
    trainer.compile(
        optimizer=make_optimizer(recipe, len(batches)),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        metrics=["accuracy"],
        jit_compile="auto" if keras.backend.backend() == "jax" else False,
    )
    trainer.optimizer.build(trainer.trainable_variables)  # checkpoints hold its state too
    best_file = run_folder / "best.weights.h5"
    history = read_history(run_folder)
    stopped = recipe.early_stop > 0 and epochs_since_best(history) >= recipe.early_stop
    best_accuracy = max((row["val_accuracy"] for row in history), default=None)
    arguments = {
        "x": batches,
        "epochs": recipe.epochs,
        "shuffle": False,  # Batches does, in an order that can be repeated
        "validation_data": (dataset.validation.images, one_hot(dataset.validation.labels)),
        "validation_batch_size": 256,
        "callbacks": [
            StartEpoch(batches),
            keras.callbacks.ModelCheckpoint(
                str(best_file),
                monitor="val_accuracy",
                save_best_only=True,
                save_weights_only=True,
                initial_value_threshold=best_accuracy,
            ),
            History(run_folder),
            *([Plateau(run_folder, recipe.learning_rate)] if recipe.schedule == "plateau" else []),
            *([EarlyEnd(run_folder, recipe.early_stop)] if recipe.early_stop else []),
            keras.callbacks.BackupAndRestore(str(run_folder / "backup"), double_checkpoint=True),
            *callbacks,
        ],
    }
    finished = (len(history) >= recipe.epochs or stopped) and best_file.is_file()
    return Run(network, trainer, arguments, history, finished, best_file)


def fit(
    recipe: Recipe,
    dataset: Dataset,
    run_folder: Path,
    *,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    report: Callable[[str], None] = print,
) -> keras.Model:
    """Train, or go on with, the run in `run_folder`, and return the network with its best validated weights."""
    run = prepare(recipe, dataset, run_folder, callbacks=callbacks)
    if run.finished:
        report(f"{run_folder} has finished its {len(run.history)} epochs")
    else:
        if run.history:
            report(f"going on with {run_folder} after {len(run.history)} epochs")
        run.trainer.fit(**run.arguments)
    return run.best()


def make_optimizer(recipe: Recipe, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """The optimizer with its schedule of learning rates."""
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


def _names_of(kind: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def _some_of(recipe: Recipe, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(recipe, name) for name in names}


def _claim(run_folder: Path, recipe: Recipe) -> None:
    """Write the recipe into a new folder; refuse a folder that holds another one.

    What an older recipe.json does not name was, when it was written, as its default is now.
    """
    run_folder.mkdir(parents=True, exist_ok=True)
    path = run_folder / "recipe.json"
    wanted = dataclasses.asdict(recipe)
    if path.is_file():
        found = {**dataclasses.asdict(Recipe()), **json.loads(path.read_text())}
        differing = sorted(name for name in wanted if name != "epochs" and found[name] != wanted[name])
        if differing:
            changes = ", ".join(f"{name} {found[name]} there, {wanted[name]} asked" for name in differing)
            raise RunError(f"{run_folder} holds a run with another recipe ({changes}); choose another --run folder")
    path.write_text(json.dumps(wanted, indent=2) + "\n")

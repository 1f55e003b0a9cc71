"""How a network is fitted: one recipe, written down with the run, resumable after a kill at any moment."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mien.expressions import EXPRESSIONS, MienError
from training.augment import Augment
from training.dataset import Dataset, Split
from training.networks import NETWORKS


class RunError(MienError):
    """A training run can not start or go on as asked."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides how a run goes; stored as recipe.json beside its checkpoints.

    Optimizer: AdamW (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019); the learning rate
    rises for `warmup_epochs` and then falls along a cosine to zero at `epochs`.
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

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            raise RunError(f"expected a network named {', '.join(NETWORKS)}; found {self.network!r}")
        if self.epochs < 1 or self.batch_size < 2:
            raise RunError(
                f"expected at least 1 epoch and batches of 2 images, found {self.epochs} and {self.batch_size}"
            )


class Batches(keras.utils.PyDataset):
    """A split in a new order each epoch; the order depends on seed and epoch alone, so a resumed run repeats it.

    Gives images uint8 (batch, side, side, 1) and one-hot labels float32 (batch, 7).
    """

    def __init__(self, split: Split, batch_size: int, seed: int) -> None:
        super().__init__()
        self.split = split
        self.batch_size = batch_size
        self.seed = seed
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Shuffle for this epoch."""
        self.order = np.random.default_rng((self.seed, epoch)).permutation(len(self.split))

    def __len__(self) -> int:
        return math.ceil(len(self.split) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        return self.split.images[chosen], one_hot(self.split.labels[chosen])


class StartEpoch(keras.callbacks.Callback):
    """Ties shuffling, augmentation and dropout to (seed, epoch), so that a resumed run equals an unbroken one."""

    def __init__(self, batches: Batches) -> None:
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Set the order of the images and the state of every random generator in the model."""
        self.batches.start_epoch(epoch)
        generators = [
            layer.seed_generator
            for layer in self.model._flatten_layers()
            if getattr(layer, "seed_generator", None) is not None
        ]
        states = np.random.default_rng((self.batches.seed, epoch, 1)).integers(0, 2**31, (len(generators), 2))
        for generator, state in zip(generators, states, strict=True):
            generator.state.assign(state.astype(str(generator.state.dtype)))


class History(keras.callbacks.Callback):
    """Adds one row an epoch to history.csv. Keras' CSVLogger does the same but keeps the file open for ever."""

    def __init__(self, run_folder: Path) -> None:
        super().__init__()
        self.path = run_folder / "history.csv"
        self._start_s = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Start the clock."""
        self._start_s = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write epoch, accuracy, loss, val_accuracy, val_loss, seconds."""
        row = {"epoch": epoch, **(logs or {}), "seconds": round(time.perf_counter() - self._start_s, 1)}
        new = not self.path.is_file()
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)


def one_hot(labels: np.ndarray) -> np.ndarray:
    """float32 (n, 7) with a one where the label is."""
    return np.eye(len(EXPRESSIONS), dtype=np.float32)[labels]


def build(recipe: Recipe) -> tuple[keras.Model, keras.Model]:
    """(network, trainer): the network to export, and the same network behind the augmentation layer, compiled."""
    keras.utils.set_random_seed(recipe.seed)
    network = NETWORKS[recipe.network](
        recipe.side_px, conv_dropout=recipe.conv_dropout, dense_dropout=recipe.dense_dropout
    )
    changes = {name: getattr(recipe, name) for name in ("flip", "rotation_deg", "shift", "scale", "contrast", "erase")}
    trainer = keras.Sequential(
        [keras.Input((recipe.side_px, recipe.side_px, 1)), Augment(**changes, seed=recipe.seed), network]
    )
    return network, trainer


def fit(
    recipe: Recipe,
    dataset: Dataset,
    run_folder: Path,
    *,
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
    report: Callable[[str], None] = print,
) -> keras.Model:
    """Train, or go on with, the run in `run_folder`, and return the network with its best validated weights.

    The folder holds recipe.json, history.csv (one row an epoch), best.weights.h5 and, until the run has
    finished, backup/. A folder with another recipe is refused, but for `epochs`: a longer or
    shorter run may go on from the same place.
    """
    _claim(run_folder, recipe)
    network, trainer = build(recipe)
    batches = Batches(dataset.train, recipe.batch_size, recipe.seed)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        decay_steps=max(1, round((recipe.epochs - recipe.warmup_epochs) * len(batches))),
        warmup_target=recipe.learning_rate,
        warmup_steps=round(recipe.warmup_epochs * len(batches)),
    )
    trainer.compile(
        optimizer=keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        metrics=["accuracy"],
        jit_compile="auto" if keras.backend.backend() == "jax" else False,
    )
    trainer.optimizer.build(trainer.trainable_variables)  # checkpoints hold its state too
    best_file = run_folder / "best.weights.h5"
    history = read_history(run_folder)
    if len(history) >= recipe.epochs and best_file.is_file():
        report(f"{run_folder} has finished its {recipe.epochs} epochs")
    else:
        if history:
            report(f"going on with {run_folder} after {len(history)} epochs")
        trainer.fit(
            batches,
            epochs=recipe.epochs,
            shuffle=False,  # Batches does, in an order that can be repeated
            validation_data=(dataset.validation.images, one_hot(dataset.validation.labels)),
            validation_batch_size=256,
            callbacks=[
                StartEpoch(batches),
                keras.callbacks.ModelCheckpoint(
                    str(best_file),
                    monitor="val_accuracy",
                    save_best_only=True,
                    save_weights_only=True,
                    initial_value_threshold=max((row["val_accuracy"] for row in history), default=None),
                ),
                History(run_folder),
                keras.callbacks.BackupAndRestore(str(run_folder / "backup"), double_checkpoint=True),
                *callbacks,
            ],
        )
    trainer.load_weights(best_file)
    return network


def read_history(run_folder: Path) -> list[dict[str, float]]:
    """One dict for each finished epoch: epoch, accuracy, loss, val_accuracy, val_loss; its last row counts."""
    path = run_folder / "history.csv"
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        rows = {row["epoch"]: row for row in csv.DictReader(file)}
    return [{name: float(value or 0) for name, value in row.items()} for row in rows.values()]


def _claim(run_folder: Path, recipe: Recipe) -> None:
    """Write the recipe into a new folder; refuse a folder that holds another one."""
    run_folder.mkdir(parents=True, exist_ok=True)
    path = run_folder / "recipe.json"
    wanted = dataclasses.asdict(recipe)
    if path.is_file():
        found = json.loads(path.read_text())
        differing = sorted(name for name in wanted if name != "epochs" and found.get(name) != wanted[name])
        if differing:
            changes = ", ".join(f"{name} {found.get(name)} there, {wanted[name]} asked" for name in differing)
            raise RunError(f"{run_folder} holds a run with another recipe ({changes}); choose another --run folder")
    path.write_text(json.dumps(wanted, indent=2) + "\n")

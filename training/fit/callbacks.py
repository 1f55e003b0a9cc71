"""Keras callbacks of a run, and the moving average of its weights.

What the callbacks do depends only on the epoch and on history.csv, so a run that was killed resumes exactly.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from training.data.batches import Batches
from training.run_folder import epochs_since_best, read_history


class StartEpoch(keras.callbacks.Callback):
    """Seeds shuffling, augmentation and dropout with (seed, epoch), so that a resumed run equals an unbroken one.

    Example:
        batches = Batches(split, 64, seed=0)
        model.fit(batches, shuffle=False, callbacks=[StartEpoch(batches)])
    """

    def __init__(self, batches: Batches) -> None:
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Set the order of the images and the state of all random generators of the model."""
        self.batches.start_epoch(epoch)
        layers = self.model._flatten_layers()
        generators = [g for layer in layers if (g := getattr(layer, "seed_generator", None)) is not None]
        rng = np.random.default_rng((self.batches.seed, epoch, 1))
        states = rng.integers(0, 2**31, (len(generators), 2))
        for generator, state in zip(generators, states, strict=True):
            generator.state.assign(state.astype(str(generator.state.dtype)))
        # PyTorch's dropout draws from the global generator.
        keras.utils.set_random_seed(int(rng.integers(2**31)))


class Checkpoint(keras.callbacks.BackupAndRestore):
    """Keras' checkpoint after each epoch, kept after the last one, and safe against a kill while it is written.

    Keras writes the epoch into a second file after the weights: a kill between the two would train an epoch twice, and
    a kill during the second would leave it unreadable. So the epoch is read from the optimizer's step count instead.

    Example:
        checkpoint = Checkpoint(Path("runs/mine/backup"), len(batches))
        print("resumes" if checkpoint.exists() else "starts")
        model.fit(batches, callbacks=[checkpoint])
    """

    def __init__(self, folder: Path, steps_per_epoch: int) -> None:
        super().__init__(str(folder), double_checkpoint=True, delete_checkpoint=False)
        self.folder = folder
        self.steps_per_epoch = steps_per_epoch

    def exists(self) -> bool:
        """Return whether there is a checkpoint to resume from."""
        return any(self.folder.glob("latest.weights.h5*"))

    def on_train_begin(self, logs: Any = None) -> None:
        """Resume after the last finished epoch."""
        for epoch_file in self.folder.glob("*.json*"):
            epoch_file.unlink()
        super().on_train_begin(logs)
        self.model._initial_epoch = int(self.model.optimizer.iterations) // self.steps_per_epoch

    def on_train_end(self, logs: Any = None) -> None:
        """Keep the newest checkpoint, delete the one before it."""
        for previous in self.folder.glob("*.bkp"):
            previous.unlink()


class History(keras.callbacks.Callback):
    """Appends epoch, accuracy, loss, val_accuracy, val_loss and seconds of each epoch to history.csv.

    Keras' CSVLogger does the same but never closes the file.

    Example:
        model.fit(batches, validation_data=validation, callbacks=[History(Path("runs/mine"))])
        read_history(Path("runs/mine"))[-1]["val_accuracy"]
    """

    def __init__(self, run_folder: Path) -> None:
        super().__init__()
        self.path = run_folder / "history.csv"
        self._start_s = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Start the clock."""
        self._start_s = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write the row."""
        row = {"epoch": epoch, **(logs or {}), "seconds": round(time.perf_counter() - self._start_s, 1)}
        new = not self.path.is_file()
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)


def halve_on_plateau(run_folder: Path, learning_rate: float) -> keras.callbacks.Callback:
    """Return a callback that halves the learning rate whenever the validation loss has not decreased for four epochs.

    Like Keras' ReduceLROnPlateau, but from the history in run_folder, without a state that a kill could lose. Must
    follow History, as it adds the learning rate to the logs. learning_rate: the first one.
    """

    def rate_of(epoch: int, current: float) -> float:
        losses = [row["val_loss"] for row in read_history(run_folder) if row["epoch"] < epoch]
        return learning_rate * 0.5 ** count_plateaus(losses)

    return keras.callbacks.LearningRateScheduler(rate_of)


def count_plateaus(losses: list[float]) -> int:
    """Count how often the validation losses, one for each epoch, did not fall by 0.0001 for four epochs in a row."""
    best, waited, plateaus = float("inf"), 0, 0
    for loss in losses:
        if loss < best - 1e-4:
            best, waited = loss, 0
            continue
        waited += 1
        if waited == 4:
            plateaus, waited = plateaus + 1, 0
    return plateaus


class EarlyStop(keras.callbacks.Callback):
    """Ends the run when the validation accuracy has not increased for `patience` epochs; must follow History.

    Example:
        folder = Path("runs/mine")
        model.fit(batches, epochs=100, callbacks=[History(folder), EarlyStop(folder, patience=5)])
    """

    def __init__(self, run_folder: Path, patience: int) -> None:
        super().__init__()
        self.run_folder = run_folder
        self.patience = patience

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Stop the training where it is due."""
        self.model.stop_training = epochs_since_best(read_history(self.run_folder)) >= self.patience


class TimeLeft(keras.callbacks.Callback):
    """Reports before each epoch but the first how long the remaining ones take, by the mean time of those done.

    Example:
        model.fit(batches, epochs=40, callbacks=[TimeLeft(40)])
        # 3 of 40 epochs done, about 1:14:00 left
    """

    def __init__(self, epochs: int, report: Callable[[str], None] = print, clock: Callable[[], float] = time.monotonic):
        super().__init__()
        self.epochs = epochs
        self.report = report
        self.clock = clock

    def on_train_begin(self, logs: Any = None) -> None:
        """Reset: epochs from before a resumption do not count."""
        self._first: tuple[int, float] | None = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Report, before Keras' line for the epoch."""
        if self._first is None:
            self._first = epoch, self.clock()
            return
        first_epoch, start_s = self._first
        left_s = (self.clock() - start_s) / (epoch - first_epoch) * (self.epochs - epoch)
        self.report(f"{epoch} of {self.epochs} epochs done, about {timedelta(seconds=round(left_s))} left")


class WeightAverage(keras.layers.Layer):
    """Holds the averages of a network's weights, so that checkpoints contain both; returns its input.

    Example:
        average = WeightAverage(network)
        trainer = keras.Model(network.inputs, average(network.outputs[0]))
        trainer.fit(batches, validation_data=validation, callbacks=[AverageWeights(network, average, keep=0.9)])
    """

    def __init__(self, network: keras.Model) -> None:
        super().__init__(dtype="float32")
        self.averages = [
            self.add_weight(shape=weight.shape, initializer="zeros", trainable=False, name=f"average_{i}")
            for i, weight in enumerate(network.weights)
        ]

    def call(self, outputs: Any) -> Any:
        """Return the input."""
        return outputs


class AverageWeights(keras.callbacks.Callback):
    """Averages the weights after each epoch; the average is what is validated and saved as the best.

    The average validates better than the weights while these still change a lot. Polyak and Juditsky, "Acceleration of
    stochastic approximation by averaging" (1992); once per epoch as in Izmailov et al., "Averaging weights leads to
    wider optima and better generalization" (2018), but exponential. Mean and variance of batch normalization are
    averaged too. Must follow the callback that saves the best weights and precede the checkpoint. The example is that
    of `WeightAverage`.

    Args:
        network: The network whose weights are averaged.
        layer: Holds the averages.
        keep: Share of the previous average that an epoch keeps, 0 to 1; the first epochs have their plain mean.
    """

    def __init__(self, network: keras.Model, layer: WeightAverage, keep: float) -> None:
        super().__init__()
        self.network = network
        self.layer = layer
        self.keep = keep
        self._epoch = 0
        self._raw: list[np.ndarray] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Remember the epoch."""
        self._epoch = epoch

    def on_test_begin(self, logs: Any = None) -> None:
        """After an epoch's training: average, and validate the average."""
        keep = min(self.keep, self._epoch / (self._epoch + 1))
        self._raw = self.network.get_weights()
        for average, weight, raw in zip(self.layer.averages, self.network.weights, self._raw, strict=True):
            mean = keep * ops.convert_to_numpy(average) + (1 - keep) * raw
            average.assign(mean)
            weight.assign(mean.copy())  # JAX could not donate an array that two variables share

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Restore the weights themselves for the next epoch."""
        self.network.set_weights(self._raw)

"""`python -m benchmarks.training`: what augmentation costs beside the arithmetic of a step, and memory over the epochs.

Two fits of the same network in alternating blocks of one run: the real one, whose batches are gathered, changed at
random and learnt, and one that learns a single batch, unchanged, again and again: nothing but the arithmetic. Both
through `fit`, with the same optimizer and loss. Images are random: neither time nor memory depends on what they show.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import psutil

from mien.expressions import EXPRESSIONS
from training.batches import one_hot
from training.dataset import Dataset, Split
from training.fitting import build, make_optimizer, prepare
from training.recipe import Recipe

BAR = 0.95
EARLY_EPOCH, LATE_EPOCH = 6, 12


class OneBatch(keras.utils.PyDataset):
    """The same arrays, so many times."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, steps: int) -> None:
        super().__init__()
        self.batch = images, one_hot(labels)
        self.steps = steps

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.batch


class Memory(keras.callbacks.Callback):
    """Resident memory in MB at the end of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.after_epoch_mb: list[float] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Read it."""
        self.after_epoch_mb.append(psutil.Process().memory_info().rss / 2**20)


def random_data(images: int, side_px: int) -> Dataset:
    """So many random images to train, one batch to validate, none to test."""
    rng = np.random.default_rng(0)

    def split(n: int) -> Split:
        pixels = rng.integers(0, 256, (n, side_px, side_px, 1), np.uint8)
        return Split(pixels, rng.integers(0, len(EXPRESSIONS), n), tuple(map(str, range(n))))

    return Dataset(split(images), split(64), split(0))


def measure_speed(recipe: Recipe, steps: int, blocks: int, folder: Path) -> tuple[float, list[float], float]:
    """(images a second of the real fit, its rate over that of the arithmetic alone in each pair of blocks, and the
    same of processor seconds over all blocks, which other programs on the computer hardly disturb; a GPU has none).
    """
    data = random_data(steps * recipe.batch_size, recipe.side_px)
    run = prepare(recipe, data, folder)
    batches = run.arguments["x"]
    bare, _ = build(recipe)
    bare.compile(
        make_optimizer(recipe, steps),
        keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        metrics=["accuracy"],
        jit_compile=run.trainer.jit_compile,
    )
    size = recipe.batch_size
    same = OneBatch(data.train.images[:size].astype(np.float32), data.train.labels[:size], steps)

    def real() -> None:
        run.trainer.fit(batches, epochs=1, verbose=0, shuffle=False)

    def arithmetic() -> None:
        bare.fit(same, epochs=1, verbose=0, shuffle=False)

    real()
    arithmetic()
    ratios, real_s = [], []
    processor_s = {real: 0.0, arithmetic: 0.0}
    for block in range(blocks):
        pair = {}
        for work in (real, arithmetic) if block % 2 else (arithmetic, real):
            start_s, start_processor_s = time.perf_counter(), time.process_time()
            work()
            pair[work] = time.perf_counter() - start_s
            processor_s[work] += time.process_time() - start_processor_s
        ratios.append(pair[arithmetic] / pair[real])
        real_s.append(pair[real])
    return steps * size / statistics.median(real_s), ratios, processor_s[arithmetic] / processor_s[real]


def measure_memory(recipe: Recipe, folder: Path) -> tuple[float, float]:
    """Resident memory in MB after epochs EARLY_EPOCH and LATE_EPOCH, each of four batches, checkpoints and all."""
    memory = Memory()
    run = prepare(recipe, random_data(4 * recipe.batch_size, recipe.side_px), folder, callbacks=[memory])
    run.trainer.fit(**run.arguments, verbose=0)
    return memory.after_epoch_mb[EARLY_EPOCH - 1], memory.after_epoch_mb[LATE_EPOCH - 1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("--network", default="six_layer")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=8, help="batches in a block (%(default)s)")
    parser.add_argument("--blocks", type=int, default=8, help="pairs of blocks (%(default)s)")
    options = parser.parse_args()
    recipe = Recipe(network=options.network, batch_size=options.batch_size, epochs=LATE_EPOCH)
    with tempfile.TemporaryDirectory() as folder:
        rate, ratios, of_processor = measure_speed(recipe, options.steps, options.blocks, Path(folder, "speed"))
        print(f"{recipe.network}, batches of {recipe.batch_size}, {keras.backend.backend()}, {recipe.in_words()}")
        print(
            f"{rate:.0f} images a second with augmentation; over the arithmetic alone, same run, {len(ratios)} pairs:"
        )
        ordered = ", ".join(f"{ratio:.3f}" for ratio in sorted(ratios))
        median = f"median {statistics.median(ratios):.3f} (bar {BAR}), by processor seconds {of_processor:.3f}"
        print(f"{median}; all {ordered}", flush=True)
        early_mb, late_mb = measure_memory(recipe, Path(folder, "memory"))
        print(f"memory {early_mb:.0f} MB after epoch {EARLY_EPOCH}, {late_mb:.0f} MB after epoch {LATE_EPOCH}")


if __name__ == "__main__":
    main()

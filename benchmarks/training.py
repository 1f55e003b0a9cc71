"""`python -m benchmarks.training`: what augmentation costs beside the arithmetic of a step, and memory over the epochs.

Two fits of the same network in alternating blocks of one run: the real one, whose batches are gathered, changed at
random and learned, and one that learns a single batch, unchanged, again and again: nothing but the arithmetic. Both
through `fit`, with the same optimizer and loss. With --pool-first or --precision also the real fit without them, in the
same run. Images are random: neither time nor memory depends on what they show.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import psutil

from mien.errors import MienError
from mien.types import EXPRESSIONS
from training.data.batches import one_hot
from training.data.splits import Dataset, Split
from training.fit.fitting import Run, build, prepare
from training.fit.optimization import make_optimizer
from training.recipe import PRECISIONS, Recipe

_BAR = 0.95
_EARLY_EPOCH, _LATE_EPOCH = 6, 12


class _OneBatch(keras.utils.PyDataset):
    """One batch, repeated."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, steps: int) -> None:
        super().__init__()
        self.batch = images, one_hot(labels)
        self.steps = steps

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.batch


class _Memory(keras.callbacks.Callback):
    """Records the resident memory in MB at the end of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.after_epoch_mb: list[float] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Record it."""
        self.after_epoch_mb.append(psutil.Process().memory_info().rss / 2**20)


def _random_data(images: int, side_px: int) -> Dataset:
    """Draw random images to train, one batch to validate, none to test."""
    rng = np.random.default_rng(0)

    def split(n: int) -> Split:
        pixels = rng.integers(0, 256, (n, side_px, side_px, 1), np.uint8)
        return Split(pixels, rng.integers(0, len(EXPRESSIONS), n), tuple(map(str, range(n))))

    return Dataset(split(images), split(64), split(0))


def _measure_speed(recipe: Recipe, steps: int, blocks: int, folder: Path) -> tuple[float, list[float], float]:
    """Return (images a second of the real fit, its rate over that of the arithmetic alone in each pair of blocks, the
    same of processor seconds over all blocks, which other programs on the computer hardly disturb; a GPU has none).
    """
    data = _random_data(steps * recipe.batch_size, recipe.side_px)
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
    same = _OneBatch(data.train.images[:size].astype(np.float32), data.train.labels[:size], steps)

    def real() -> None:
        run.trainer.fit(batches, epochs=1, verbose=0, shuffle=False)

    def arithmetic() -> None:
        bare.fit(same, epochs=1, verbose=0, shuffle=False)

    (real_s, bare_s), (real_processor_s, bare_processor_s) = _take_turns((real, arithmetic), blocks)
    ratios = [bare / real for bare, real in zip(bare_s, real_s, strict=True)]
    return steps * size / statistics.median(real_s), ratios, sum(bare_processor_s) / sum(real_processor_s)


def _measure_gain(recipe: Recipe, plain: Recipe, steps: int, blocks: int, folder: Path) -> list[float]:
    """Return how many times as many images a second `recipe` fits as `plain` does, in each pair of blocks."""
    data = _random_data(steps * recipe.batch_size, recipe.side_px)
    runs = [prepare(one, data, folder / name) for one, name in ((recipe, "asked"), (plain, "plain"))]

    def fit(run: Run) -> None:
        run.trainer.fit(run.arguments["x"], epochs=1, verbose=0, shuffle=False)

    (asked_s, plain_s), _ = _take_turns([partial(fit, run) for run in runs], blocks)
    return [slow / quick for slow, quick in zip(plain_s, asked_s, strict=True)]


def _take_turns(works: Sequence[Callable[[], None]], blocks: int) -> tuple[list[list[float]], list[list[float]]]:
    """Return (seconds, processor seconds) of each work in each block after the first; the order changes."""
    seconds: list[list[float]] = [[] for _ in works]
    processor_s: list[list[float]] = [[] for _ in works]
    for block in range(-1, blocks):
        for i in range(len(works))[:: 1 if block % 2 else -1]:
            start_s, start_processor_s = time.perf_counter(), time.process_time()
            works[i]()
            if block >= 0:
                seconds[i].append(time.perf_counter() - start_s)
                processor_s[i].append(time.process_time() - start_processor_s)
    return seconds, processor_s


def _measure_memory(recipe: Recipe, folder: Path) -> tuple[float, float]:
    """Return the resident memory in MB after epochs _EARLY_EPOCH and _LATE_EPOCH of four batches each."""
    memory = _Memory()
    run = prepare(recipe, _random_data(4 * recipe.batch_size, recipe.side_px), folder, callbacks=[memory])
    run.trainer.fit(**run.arguments, verbose=0)
    return memory.after_epoch_mb[_EARLY_EPOCH - 1], memory.after_epoch_mb[_LATE_EPOCH - 1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("--network", default="six_layer")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=8, help="batches in a block (%(default)s)")
    parser.add_argument("--blocks", type=int, default=8, help="pairs of blocks (%(default)s)")
    parser.add_argument("--precision", default="float32", choices=PRECISIONS)
    parser.add_argument("--pool-first", action="store_true")
    options = parser.parse_args()
    plain = Recipe(network=options.network, batch_size=options.batch_size, epochs=_LATE_EPOCH)
    recipe = replace(plain, precision=options.precision, pool_first=options.pool_first)
    with tempfile.TemporaryDirectory() as folder:
        rate, ratios, of_processor = _measure_speed(recipe, options.steps, options.blocks, Path(folder, "speed"))
        print(f"{recipe.network}, batches of {recipe.batch_size}, {keras.backend.backend()}, {recipe.in_words()}")
        print(
            f"{rate:.0f} images a second with augmentation; over the arithmetic alone, same run, {len(ratios)} pairs:"
        )
        ordered = ", ".join(f"{ratio:.3f}" for ratio in sorted(ratios))
        median = f"median {statistics.median(ratios):.3f} (bar {_BAR}), by processor seconds {of_processor:.3f}"
        print(f"{median}; all {ordered}", flush=True)
        if recipe != plain:
            gains = sorted(_measure_gain(recipe, plain, options.steps, options.blocks, Path(folder, "gain")))
            all_gains = ", ".join(f"{gain:.2f}" for gain in gains)
            print(f"{statistics.median(gains):.2f} times as quick as {plain.in_words()}; all {all_gains}", flush=True)
        early_mb, late_mb = _measure_memory(recipe, Path(folder, "memory"))
        print(f"memory {early_mb:.0f} MB after epoch {_EARLY_EPOCH}, {late_mb:.0f} MB after epoch {_LATE_EPOCH}")


if __name__ == "__main__":
    try:
        main()
    except MienError as error:
        raise SystemExit(str(error)) from None

"""What LiteRT and its precisions change in the answers, and in the time: `python -m benchmarks.runtimes`.

PublicTest (never PrivateTest: this is for choosing), the folders' labels and, with --votes, what most people see. Times
are medians of rounds in which all variants take turns, so that a busy computer slows all; ratios are medians of the
ratios of each round. Without --data only times are measured.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from mien.cnn.convert import CHOSEN, PRECISIONS, convert
from mien.cnn.frozen import KerasRuntime
from mien.cnn.litert import LiteRtRuntime
from mien.errors import MienError
from model import FacialExpressionModel
from training.data.dataset import load_dataset
from training.data.splits import Dataset
from training.data.votes import with_votes
from training.evaluate.metrics import score
from training.evaluate.votes import score_votes

EXAMPLES = 300
"""Training faces whose activations give the ranges of integers."""

FACES = 5
"""In a frame, to compare one call with one for each face."""

MAX_LOST_ACCURACY, MAX_LOST_ECE, MIN_SAME_LABEL, MAX_DIFFERENCE = 0.002, 0.005, 0.995, 0.02
"""What a compiled network may lose against Keras: a precision is chosen only within all four."""

Run = Callable[[np.ndarray], np.ndarray]


class AnyNumber:
    """A LiteRT model that takes all faces of a frame in one call; it is prepared again for another number of faces."""

    def __init__(self, content: bytes, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_content=content, num_threads=threads)
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]
        self._count = 0

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """From float32 (n, height, width, channels) to float32 (n, 7)."""
        if len(pixels) != self._count:
            self._interpreter.resize_tensor_input(self._input, pixels.shape)
            self._interpreter.allocate_tensors()
            self._count = len(pixels)
        self._interpreter.set_tensor(self._input, pixels)
        self._interpreter.invoke()
        return np.asarray(self._interpreter.get_tensor(self._output))


def main() -> None:
    """Print the table of answers and those of times."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.runtimes", description=__doc__)
    parser.add_argument("--data", type=Path, help="FER-2013, such as data/fer2013")
    parser.add_argument("--votes", type=Path, help="CSV of several people's votes for each image")
    parser.add_argument("--model", type=Path, default=Path("model.json"))
    parser.add_argument("--weights", type=Path, default=Path("model_weights.h5"))
    parser.add_argument("--rounds", type=int, default=60, help="of the times (%(default)s)")
    options = parser.parse_args()
    try:
        model = FacialExpressionModel(options.model, options.weights, runtime="keras")
        dataset = None
        if options.data:
            dataset = load_dataset(options.data, side_px=model.input_size_px[0])
            dataset = with_votes(dataset, options.votes)[0] if options.votes else dataset
        contents = compiled(model, dataset)
        if dataset is not None:
            compare_answers(model, contents, dataset)
        compare_times(model, contents, options.rounds)
    except MienError as error:
        raise SystemExit(str(error)) from None


def compiled(model: FacialExpressionModel, dataset: Dataset | None) -> dict[str, bytes]:
    """LiteRT models by precision; with activations in int8 only where there are faces for their ranges."""
    examples = None
    if dataset is not None:
        chosen = np.random.default_rng(0).choice(len(dataset.train), min(EXAMPLES, len(dataset.train)), replace=False)
        examples = model.as_input(dataset.train.images[np.sort(chosen), ..., 0])
    wanted = [precision for precision in PRECISIONS if examples is not None or precision != "int8 activations"]
    return {precision: convert(model.network, "the network", precision, examples) for precision in wanted}


def compare_answers(model: FacialExpressionModel, contents: Mapping[str, bytes], dataset: Dataset) -> None:
    """Print accuracy, calibration error, and differences to Keras, of each precision."""
    split = dataset.validation
    faces = split.images[..., 0]
    expected = model.predict(faces)
    pixels, order = model.as_input(faces), model.output_order
    print(f"{len(split)} images of {dataset.named[0]}\n")
    print("| runtime | MB | folder labels | ECE | people's majority | ECE | same label | difference | within limits |")
    print("|---|---|---|---|---|---|---|---|---|")
    answers = {"Keras": expected}
    answers |= {name: LiteRtRuntime(content, name)(pixels)[:, order] for name, content in contents.items()}
    before = score(expected, split.labels)
    for name, found in answers.items():
        now = score(found, split.labels)
        same = (found.argmax(axis=1) == expected.argmax(axis=1)).mean()
        difference = np.abs(found - expected).max(axis=1).mean()
        votes = score_votes(found, split) if split.votes is not None else None
        people = f"{votes.accuracy:.2%} | {votes.ece:.4f}" if votes else "- | -"
        good = (
            before.accuracy - now.accuracy <= MAX_LOST_ACCURACY
            and now.ece - before.ece <= MAX_LOST_ECE
            and same >= MIN_SAME_LABEL
            and difference <= MAX_DIFFERENCE
        )
        size = f"{len(contents[name]) / 1e6:.1f}" if name in contents else "-"
        print(
            f"| {name} | {size} | {now.accuracy:.2%} | {now.ece:.4f} | {people} | {same:.2%} | {difference:.4f} | "
            f"{'yes' if good else 'no'} |",
            flush=True,
        )


def compare_times(model: FacialExpressionModel, contents: Mapping[str, bytes], rounds: int) -> None:
    """Print the times of one face and of several, with one thread and two."""
    faces = np.random.default_rng(0).integers(0, 256, (FACES, *model.input_size_px), np.uint8)
    pixels = model.as_input(faces)
    any_number = convert(model.network, "the network", CHOSEN[0], count=None)
    runs: dict[str, Run] = {"Keras": KerasRuntime(model.network, "the network")}
    for threads in (1, 2):
        word = f"{threads} thread{'s' if threads > 1 else ''}"
        for name, content in contents.items():
            runs[f"{name}, {word}"] = LiteRtRuntime(content, name, threads)
        runs[f"{CHOSEN[0]}, {word}, faces in one call"] = AnyNumber(any_number, threads)
    for count in (1, FACES):
        times_ms = interleaved(runs, pixels[:count], rounds)
        print(f"\n{count} face{'s' if count > 1 else ''}, {rounds} rounds\n")
        print("| runtime | ms | of Keras |\n|---|---|---|")
        for name, each in times_ms.items():
            ratio = statistics.median(mine / keras for mine, keras in zip(each, times_ms["Keras"], strict=True))
            print(f"| {name} | {statistics.median(each):.2f} | {ratio:.2f} |", flush=True)


def interleaved(runs: Mapping[str, Run], pixels: np.ndarray, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each call, one call of each in every round."""
    for run in runs.values():
        run(pixels)
    times_ms: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start_s = time.perf_counter()
            run(pixels)
            times_ms[name].append((time.perf_counter() - start_s) * 1000)
    return times_ms


if __name__ == "__main__":
    main()

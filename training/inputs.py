"""What several commands read, and what they print about it: the data set, the votes, the network."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from mien.cnn.feeding import DEFAULT
from mien.errors import ModelError
from mien.names import printable
from model import FacialExpressionModel
from training.data.dataset import load_dataset
from training.data.splits import HELD_OUT, Dataset
from training.data.votes import ambiguous, with_votes

_SKIPPED_SHOWN = 20


def read_data(options: argparse.Namespace, side_px: int, seed: int = 0, *, drop_ambiguous: bool = False) -> Dataset:
    """Read --data and, where given, --votes; print how many images there are, and which could not be read.

    Args:
        options: Of the command.
        side_px: Side of the images.
        seed: Of the images that are held out for validation.
        drop_ambiguous: Without the training images that have too few votes.
    """
    dataset = load_dataset(options.data, side_px=side_px, seed=seed)
    print(f"{len(dataset.train)} images to train, {len(dataset.validation)} to validate, {len(dataset.test)} to test")
    report_skipped(dataset.skipped)
    if getattr(options, "votes_file", None) is None:
        return dataset
    dataset, joined = with_votes(dataset, options.votes_file)
    for line in joined:
        print(line)
    if not drop_ambiguous:
        return dataset
    left_out = ambiguous(dataset.train)
    print(f"left out {left_out.sum()} ambiguous images of {joined[0].images} to train")
    return dataclasses.replace(dataset, train=dataset.train.take(~left_out))


def warn_of_known_images(dataset: Dataset) -> None:
    """Print a warning where the network may have been trained on the images that it is measured on."""
    if dataset.named[0] == HELD_OUT:
        print("these images were held out of training: a network trained elsewhere may have memorized them")


def report_skipped(lines: Sequence[str]) -> None:
    """Print how many images were skipped, and the first of them."""
    if lines:
        print(f"skipped {len(lines)} that cannot be read:")
    for line in lines[:_SKIPPED_SHOWN]:
        print(f"  {printable(line)}")
    if len(lines) > _SKIPPED_SHOWN:
        print(f"  and {len(lines) - _SKIPPED_SHOWN} more")


def load_model(options: argparse.Namespace) -> FacialExpressionModel:
    """Load --model and --weights, with --labels, --pixels and --input-scale; print the pixels if they are unusual.

    Raises:
        ModelError: The network cannot be loaded.
    """
    model = FacialExpressionModel(
        options.model,
        options.weights,
        labels=options.labels,
        pixels=options.fed_pixels,
        input_scale=options.input_scale,
        runtime="keras",
    )
    if model.pixels != DEFAULT:
        print(f"the network is fed with pixels {model.pixels}")
    return model


def square_model(options: argparse.Namespace) -> tuple[FacialExpressionModel, int]:
    """Load a network as `load_model`.

    Returns:
        The network, and the side of its input in pixels.

    Raises:
        ModelError: The network cannot be loaded, or its input is not square.
    """
    model = load_model(options)
    height_px, width_px = model.input_size_px
    if height_px != width_px:
        raise ModelError(f"{options.model}: expected a network for square faces, found {width_px}x{height_px}")
    return model, height_px


def writable(path: Path) -> Path:
    """Create the folder of a file to write; return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path

"""Options that several commands share, and what they read and print."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mien.errors import ModelError
from mien.options import SWITCH, Kind
from model import FacialExpressionModel
from training.data.dataset import HELD_OUT, Dataset, load_dataset
from training.data.votes import ambiguous, with_votes
from training.recipe import DISTILLATION, START, VOTES, Recipe, recipe_options

SKIPPED_SHOWN = 20


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add --data."""
    layout = "folder with train/ and test/, or with the seven expressions' folders, or a Kaggle CSV"
    parser.add_argument("--data", type=Path, required=True, help=layout)


def add_votes(parser: argparse.ArgumentParser) -> None:
    """Add --votes."""
    layout = "CSV of several people's votes for each image, by split and file name; or FER+'s own, beside a Kaggle CSV"
    parser.add_argument("--votes", dest="votes_file", type=Path, metavar="FILE", help=layout)


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
    kept = np.flatnonzero(~ambiguous(dataset.train))
    print(f"left out {len(dataset.train) - len(kept)} ambiguous images of {joined[0].images} to train")
    return dataclasses.replace(dataset, train=dataset.train.take(kept))


def warn_of_known_images(dataset: Dataset) -> None:
    """Print a warning where the network may have been trained on the images that it is measured on."""
    if dataset.named[0] == HELD_OUT:
        print("these images were held out of training: a network trained elsewhere may have memorized them")


def report_skipped(lines: Sequence[str]) -> None:
    """Print how many images were skipped, and the first of them."""
    if lines:
        print(f"skipped {len(lines)} that cannot be read:")
    for line in lines[:SKIPPED_SHOWN]:
        print(f"  {line}")
    if len(lines) > SKIPPED_SHOWN:
        print(f"  and {len(lines) - SKIPPED_SHOWN} more")


def add_network(parser: argparse.ArgumentParser) -> None:
    """Add --model and --weights."""
    parser.add_argument("--model", type=Path, default=Path("model.json"), help="%(default)s")
    parser.add_argument("--weights", type=Path, default=Path("model_weights.h5"), help="%(default)s")


def square_model(options: argparse.Namespace) -> tuple[FacialExpressionModel, int]:
    """Load --model and --weights.

    Returns:
        The network, and the side of its input in pixels.

    Raises:
        ModelError: The network cannot be loaded, or its input is not square.
    """
    model = FacialExpressionModel(options.model, options.weights)
    height_px, width_px = model.input_size_px
    if height_px != width_px:
        raise ModelError(f"{options.model}: expected a network for square faces, found {width_px}x{height_px}")
    return model, height_px


def add_run(parser: argparse.ArgumentParser, default: Path) -> None:
    """Add --run, --export and --devices."""
    parser.add_argument("--run", type=Path, default=default, help="checkpoints; the same folder resumes (%(default)s)")
    text = "folder for model.json and model_weights.h5 (default: that of the run)"
    parser.add_argument("--export", type=Path, help=text)
    add_devices(parser)


def add_devices(parser: argparse.ArgumentParser) -> None:
    """Add --devices."""
    text = "split each batch among so many, or all (default: all where Keras can, on its jax backend, else 1)"
    parser.add_argument("--devices", metavar="N|all", help=text)


def add_recipe(
    parser: argparse.ArgumentParser, without: Collection[str] = (START, DISTILLATION, VOTES), **defaults: Any
) -> None:
    """Add an option for each field of the recipe, except those of the groups `without`; defaults: other defaults."""
    for each in recipe_options():
        if each.group in without:
            continue
        default = defaults.get(each.name, each.default)
        text = f"{each.help} (%(default)s)"
        if each.kind is SWITCH:
            parser.add_argument(each.flag, action=argparse.BooleanOptionalAction, default=default, help=text)
        else:
            parse, metavar = _parser_of(each.kind), each.kind.metavar
            parser.add_argument(each.flag, type=parse, metavar=metavar, default=default, help=text)


def _parser_of(kind: Kind) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            return kind.parse(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected {kind.expected}, found {text!r}") from None

    return parse


def recipe_of(options: argparse.Namespace, **fixed: Any) -> Recipe:
    """Build the recipe of the options; fixed: fields that are no options."""
    names = [field.name for field in dataclasses.fields(Recipe)]
    return Recipe(**{name: getattr(options, name) for name in names if hasattr(options, name)}, **fixed)


def add_out(parser: argparse.ArgumentParser, default: Path, shipped: Path) -> None:
    """Add --out, and --in-place, which overwrites the shipped file instead."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--out", type=Path, default=default, help="file to write (%(default)s)")
    text = f"overwrite the file that the program uses, {shipped.name}"
    where.add_argument("--in-place", dest="out", action="store_const", const=shipped, help=text)


def writable(path: Path) -> Path:
    """Create the folder of a file to write; return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path

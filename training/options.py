"""What several commands ask for and say."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mien.errors import ModelError
from model import FacialExpressionModel
from training.data.dataset import HELD_OUT, Dataset
from training.data.votes import ambiguous, with_votes
from training.recipe import SPECIAL, Recipe

RECIPE_HELP = {
    "network": "six_layer, elu, shallow, hybrid_lbp, or a teacher: resnet18, vgg10",
    "side_px": "side of the square input in pixels, 32 to 350",
    "optimizer": "adamw, adam, sgd (with Nesterov momentum) or rmsprop",
    "schedule": "of the learning rate: cosine, plateau or constant",
    "early_stop": "end after so many epochs without a better validation accuracy, 0 for never",
    "weight_decay": "of adamw and sgd",
    "l2": "weight of the squared weights in the loss",
    "pixels": "what the network does to pixels first: scale, mean_image (subtract it) or standardize (each image)",
    "balance": "help for rare expressions: none, weights (in the loss) or sampling (draw all as often)",
    "rotation_deg": "largest rotation in degrees",
    "shift": "largest shift as a share of the side",
    "scale": "largest zoom in or out as a share",
    "shear": "largest slide of top against bottom as a share of the height",
    "contrast": "largest change of contrast as a share; that of brightness is 64 times as many levels",
    "erase": "share of images that lose a rectangle",
    "coarse": "share of images that lose detail, as small or blurred faces have",
    "gamma": "largest change of the logarithm of gamma",
    "people_weight": "how much the loss of the head that learns votes counts",
    "folder_weight": "how much the loss of the head that learns the folders' labels counts",
    "drop_ambiguous": "leave out images with fewer than three votes for the seven, instead of taking their label",
    "mixup": "alpha of mixup, 0 for none",
    "ema": "share of the averaged weights that an epoch leaves, 0 for no average",
    "precision": "of the arithmetic while fitting: float32 or mixed_bfloat16",
    "distil_weight": "how much the teachers' answers count beside the labels",
    "distil_temperature": "by which answers of teachers and student are softened",
    "self_distil": "share of each label that the starting network's own answer replaces",
    "pool_first": "fit with pooling before normalisation, which is quicker; exported is the usual order",
    "freeze": "convolutions stay as they are, dense layers learn",
}
SHOWN = 20


def add_data(parser: argparse.ArgumentParser) -> None:
    """--data."""
    layout = "folder with train/ and test/, or with the seven expressions' folders, or a Kaggle CSV"
    parser.add_argument("--data", type=Path, required=True, help=layout)


def add_votes(parser: argparse.ArgumentParser) -> None:
    """--votes."""
    layout = "CSV of several people's votes for each image, by split and file name; or FER+'s own, beside a Kaggle CSV"
    parser.add_argument("--votes", dest="votes_file", type=Path, metavar="FILE", help=layout)


def join_votes(dataset: Dataset, table: Path, *, drop_ambiguous: bool = False) -> Dataset:
    """The data set with votes, and without ambiguous training images where asked; prints how many there are."""
    dataset, joined = with_votes(dataset, table)
    for line in joined:
        print(line)
    if not drop_ambiguous:
        return dataset
    kept = np.flatnonzero(~ambiguous(dataset.train))
    print(f"left out {len(dataset.train) - len(kept)} ambiguous images of {joined[0].images} to train")
    return dataclasses.replace(dataset, train=dataset.train.take(kept))


def add_network(parser: argparse.ArgumentParser) -> None:
    """--model and --weights."""
    parser.add_argument("--model", type=Path, default=Path("model.json"), help="%(default)s")
    parser.add_argument("--weights", type=Path, default=Path("model_weights.h5"), help="%(default)s")


def square_model(options: argparse.Namespace) -> tuple[FacialExpressionModel, int]:
    """(the network of --model and --weights, the side of the square faces it takes, pixels).

    Raises ModelError for one that takes others: images are made square.
    """
    model = FacialExpressionModel(options.model, options.weights)
    height_px, width_px = model.input_size_px
    if height_px != width_px:
        raise ModelError(f"{options.model}: expected a network for square faces, found {width_px}x{height_px}")
    return model, height_px


def add_run(parser: argparse.ArgumentParser, default: Path) -> None:
    """--run and --export."""
    parser.add_argument("--run", type=Path, default=default, help="checkpoints; the same folder resumes (%(default)s)")
    exported = "where model.json and model_weights.h5 go (default: the run's folder)"
    parser.add_argument("--export", type=Path, help=exported)
    add_devices(parser)


def add_devices(parser: argparse.ArgumentParser) -> None:
    """--devices."""
    text = "split each batch among so many, or all (default: all where Keras can, on its jax backend, else 1)"
    parser.add_argument("--devices", metavar="N|all", help=text)


def add_recipe(parser: argparse.ArgumentParser, without: Collection[str] = SPECIAL, **defaults: Any) -> None:
    """An option for each field of the recipe but those `without`."""
    for setting in dataclasses.fields(Recipe):
        if setting.name in without:
            continue
        option = "--" + setting.name.replace("_", "-")
        default = defaults.get(setting.name, setting.default)
        text = f"{RECIPE_HELP.get(setting.name, setting.name.replace('_', ' '))} (%(default)s)"
        if setting.type == "bool":
            parser.add_argument(option, action=argparse.BooleanOptionalAction, default=default, help=text)
        else:
            kind = {"int": int, "float": float, "str": str}[str(setting.type)]
            parser.add_argument(option, type=kind, default=default, help=text)


def recipe_of(options: argparse.Namespace, **fixed: Any) -> Recipe:
    """The recipe the options ask for; `fixed`: fields that are no options."""
    names = [setting.name for setting in dataclasses.fields(Recipe)]
    return Recipe(**{name: getattr(options, name) for name in names if hasattr(options, name)}, **fixed)


def report_data(dataset: Dataset) -> None:
    """Print how many images there are, and which could not be read."""
    print(f"{len(dataset.train)} images to train, {len(dataset.validation)} to validate, {len(dataset.test)} to test")
    report_skipped(dataset.skipped)


def warn_of_known_images(dataset: Dataset) -> None:
    """Print a warning where figures would be those of images that the network may have been fitted on."""
    if dataset.named[0] == HELD_OUT:
        print("these are training images set aside: a network fitted on other parts of them may know them by heart")


def report_skipped(lines: Sequence[str]) -> None:
    """Print how many were skipped, and the first of them by name."""
    if not lines:
        return
    print(f"skipped {len(lines)} that can not be read:")
    for line in lines[:SHOWN]:
        print(f"  {line}")
    if len(lines) > SHOWN:
        print(f"  and {len(lines) - SHOWN} more")


def add_out(parser: argparse.ArgumentParser, default: Path, shipped: Path) -> None:
    """Add --out, and --in-place, which overwrites the shipped file instead."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--out", type=Path, default=default, help="file to write (%(default)s)")
    text = f"overwrite the file that the program uses, {shipped.name}"
    where.add_argument("--in-place", dest="out", action="store_const", const=shipped, help=text)


def writable(path: Path) -> Path:
    """Return the path, in a folder that exists now."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path

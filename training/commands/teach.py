"""`python -m training teach`."""

from __future__ import annotations

import argparse
from pathlib import Path

from training.data.dataset import load_dataset
from training.fit.devices import use_devices
from training.fit.teach import teach
from training.options import add_data, add_devices, add_recipe, recipe_of, report_data


def add_options(parser: argparse.ArgumentParser) -> None:
    """Data, folds, folder and the recipe of the teacher."""
    add_data(parser)
    folder = "for train --teachers; the same folder resumes (%(default)s)"
    parser.add_argument("--run", type=Path, default=Path("runs/teacher"), help=folder)
    parser.add_argument("--folds", type=int, default=5, help="parts of the training images (%(default)s)")
    add_devices(parser)
    add_recipe(parser, network="resnet18")


def run(options: argparse.Namespace) -> None:
    """fit a teacher once for each fold of the training images, without that fold, so that it can judge it"""
    use_devices(options.devices)
    recipe = recipe_of(options)
    dataset = load_dataset(options.data, side_px=recipe.side_px, seed=recipe.seed)
    report_data(dataset)
    share = teach(recipe, dataset, options.run, options.folds)
    print(f"{share:.2%} of the training images labelled right by the network that has not seen them")

"""`python -m training search`."""

from __future__ import annotations

import argparse
from pathlib import Path

from training.data.dataset import load_dataset
from training.fit.devices import use_devices
from training.fit.search import as_table, parse_grid, search
from training.options import add_data, add_devices, add_recipe, recipe_of, report_data


def add_options(parser: argparse.ArgumentParser) -> None:
    """Data, folds, the grid and the recipe it varies."""
    add_data(parser)
    parser.add_argument("--run", type=Path, default=Path("runs/search"), help="results; the same folder resumes")
    parser.add_argument("--folds", type=int, default=3, help="parts of the training images (%(default)s)")
    parser.add_argument(
        "--grid", nargs="+", required=True, metavar="NAME=VALUE,...", help="fields of the recipe with their values"
    )
    add_devices(parser)
    add_recipe(parser)


def run(options: argparse.Namespace) -> None:
    """compare recipes by cross-validation over the training images; prints a table, saves it and a plot"""
    use_devices(options.devices)
    base, grid = recipe_of(options), parse_grid(options.grid)
    dataset = load_dataset(options.data, side_px=base.side_px, seed=base.seed)
    report_data(dataset)
    results = search(base, grid, dataset.train, options.run, count=options.folds)
    print(as_table(results))
    print(f"wrote search.json, search.md and search.png in {options.run}")

"""`python -m training [train]`."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from training.data.dataset import load_dataset
from training.export import export
from training.fit.devices import use_devices
from training.fit.fitting import fit
from training.fit.teach import read_teachers
from training.options import add_data, add_recipe, add_run, recipe_of, report_data
from training.recipe import OF_A_START, OF_VOTES
from training.run_folder import read_history


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command to its parser."""
    add_data(parser)
    add_run(parser, Path("runs/default"))
    add_recipe(parser, (*OF_A_START, *OF_VOTES, "teachers"))
    folders = "distil the teachers that teach trained in these folders"
    parser.add_argument("--teachers", dest="teacher_folders", type=Path, nargs="+", metavar="DIR", help=folders)


def run(options: argparse.Namespace) -> None:
    """train a network and export its best epoch on the validation images"""
    use_devices(options.devices)
    recipe = recipe_of(options)
    dataset = load_dataset(options.data, side_px=recipe.side_px, seed=recipe.seed)
    report_data(dataset)
    teachers = None
    if options.teacher_folders:
        teachers = read_teachers(options.teacher_folders, dataset.train, recipe.precision)
        recipe = replace(recipe, teachers=teachers.digest)
    network = fit(recipe, dataset, options.run, teachers=teachers)
    folder = options.export or options.run
    model_file, weights_file = export(network, folder, recipe=recipe, epochs=len(read_history(options.run)))
    print(f"wrote {model_file} and {weights_file}")

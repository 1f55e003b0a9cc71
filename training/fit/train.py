"""`python -m training [train]`."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from training.export import export
from training.fit.devices import use_devices
from training.fit.fitting import fit
from training.fit.teach import read_teachers
from training.options import add_data, add_recipe, add_run, read_data, recipe_of
from training.recipe import START, VOTES
from training.run_folder import read_history


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command to its parser."""
    add_data(parser)
    add_run(parser, Path("runs/default"))
    add_recipe(parser, (START, VOTES))
    folders = "distill the teachers that teach trained in these folders"
    parser.add_argument("--teachers", dest="teacher_folders", type=Path, nargs="+", metavar="DIR", help=folders)


def run(options: argparse.Namespace) -> None:
    """train a network and export its best epoch on the validation images"""
    use_devices(options.devices)
    recipe = recipe_of(options)
    dataset = read_data(options, recipe.side_px, recipe.seed)
    teachers = None
    if options.teacher_folders:
        teachers = read_teachers(options.teacher_folders, dataset.train, recipe.precision)
        recipe = replace(recipe, teachers=teachers.digest)
    network = fit(recipe, dataset, options.run, teachers=teachers)
    folder = options.export or options.run
    model_file, weights_file = export(network, folder, recipe=recipe, epochs=len(read_history(options.run)))
    print(f"wrote {model_file} and {weights_file}")

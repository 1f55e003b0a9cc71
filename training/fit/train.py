"""`python -m training [train]`: fit a network by a recipe, and export it."""

from __future__ import annotations

import argparse
from dataclasses import replace

import keras

from training.data.splits import Dataset
from training.export import export
from training.fit.devices import use_devices
from training.fit.distillation import Teachers
from training.fit.fitting import fit
from training.fit.teach import read_teachers
from training.formats import also_compile
from training.inputs import read_data
from training.options import recipe_of
from training.recipe import Recipe
from training.run_folder import read_history


def run(options: argparse.Namespace) -> None:
    """Train a network, and export its best epoch on the validation images."""
    use_devices(options.devices)
    recipe = recipe_of(options)
    dataset = read_data(options, recipe.side_px, recipe.seed)
    recipe, teachers = with_teachers(options, recipe, dataset)
    write(options, recipe, fit(recipe, dataset, options.run, teachers=teachers))


def with_teachers(options: argparse.Namespace, recipe: Recipe, dataset: Dataset) -> tuple[Recipe, Teachers | None]:
    """Read --teachers.

    Args:
        options: Of the command.
        recipe: Of the student.
        dataset: Its training images are those of the teachers.

    Returns:
        The recipe, which names the teachers, and the teachers; None without.

    Raises:
        RunError: See `read_teachers`.
    """
    if not options.teacher_folders:
        return recipe, None
    teachers = read_teachers(options.teacher_folders, dataset.train, recipe.precision)
    return replace(recipe, teachers=teachers.digest), teachers


def write(options: argparse.Namespace, recipe: Recipe, network: keras.Model) -> None:
    """Export the network of a run, and print where it is.

    Args:
        options: Of the command: --export, or else --run, is the folder.
        recipe: That the network was trained by.
        network: The network.
    """
    epochs = len(read_history(options.run))
    model_file, weights_file = export(network, options.export or options.run, recipe=recipe, epochs=epochs)
    print(f"wrote {model_file} and {weights_file}")
    also_compile(model_file, weights_file)

"""`python -m training finetune`."""

from __future__ import annotations

import argparse

import keras

from training.data.splits import Dataset
from training.export import export_heads, read_heads
from training.fit.devices import use_devices
from training.fit.distillation import Teachers
from training.fit.fitting import finish, fit, prepare
from training.fit.train import with_teachers, write
from training.fit.two_heads import base_rates
from training.fit.warm_start import accuracy, fed_as, freeze_convolutions, starting_network, thaw
from training.formats import also_compile
from training.heads import OTHER_HEAD, HeadFacts, set_head
from training.inputs import read_data
from training.options import recipe_of
from training.recipe import Recipe
from training.run_folder import read_history


def run(options: argparse.Namespace) -> None:
    """Train a trained network further, and export it."""
    use_devices(options.devices)
    start, digest = starting_network(options.model, options.weights, fed_as(options))
    side_px = start.input_shape[1]
    votes = options.votes_file.name if options.votes_file else ""
    recipe = recipe_of(options, network=start.name, side_px=side_px, start=digest, votes=votes)
    dataset = read_data(options, side_px, recipe.seed, drop_ambiguous=recipe.drop_ambiguous)
    recipe, teachers = with_teachers(options, recipe, dataset)
    if recipe.freeze:
        freeze_convolutions(start)
    if options.votes_file:
        _run_with_votes(options, recipe, dataset, start, teachers)
        return
    before = accuracy(start, dataset.validation)
    network = fit(recipe, dataset, options.run, start=start, teachers=teachers)
    print(f"accuracy on the validation images: {before:.1%} before, {accuracy(network, dataset.validation):.1%} after")
    thaw(network)  # for those who start from the exported files
    write(options, recipe, network)


def _run_with_votes(
    options: argparse.Namespace, recipe: Recipe, dataset: Dataset, start: keras.Model, teachers: Teachers | None
) -> None:
    """Train two heads; export one, and write the other into a file beside it."""
    _, heads = read_heads(start, options.model)
    if "people" in heads:
        set_head(start, heads["people"])
    run = prepare(recipe, dataset, options.run, start=start, teachers=teachers, folders=heads.get("folders"))
    finish(run)
    network = run.best()
    thaw(network)
    folder = options.export or options.run
    about = HeadFacts(options.head, base_rates(dataset.train, options.head))
    epochs = len(read_history(options.run))
    files = export_heads(network, folder, run.best_heads(), about, recipe=recipe, epochs=epochs)
    print(f"wrote {files[0]} and {files[1]} with the head of {options.head}, and {folder / OTHER_HEAD}")
    also_compile(*files)

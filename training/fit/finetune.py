"""`python -m training finetune`."""

from __future__ import annotations

import argparse
from pathlib import Path

from training.data.dataset import load_dataset
from training.export import export
from training.fit.devices import use_devices
from training.fit.fitting import fit
from training.fit.warm_start import accuracy, freeze_convolutions, starting_network, thaw
from training.options import add_data, add_network, add_recipe, add_run, recipe_of, report_data
from training.recipe import OF_TEACHERS
from training.run_folder import read_history

OF_THE_NETWORK = (
    "start",
    "network",
    "side_px",
    "conv_dropout",
    "dense_dropout",
    "l2",
    "batch_norm",
    "pixels",
)
"""Fields of the recipe that the starting network has decided."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Data, the network to start from, and what of the recipe is still open."""
    add_data(parser)
    add_network(parser)
    add_run(parser, Path("runs/finetune"))
    add_recipe(parser, (*OF_THE_NETWORK, *OF_TEACHERS), learning_rate=1e-4, epochs=8, warmup_epochs=0.5)


def run(options: argparse.Namespace) -> None:
    """train on from the shipped network, or another one, with images of your own, and export it"""
    use_devices(options.devices)
    start, digest = starting_network(options.model, options.weights)
    side_px = start.input_shape[1]
    recipe = recipe_of(options, network=start.name, side_px=side_px, start=digest)
    dataset = load_dataset(options.data, side_px=side_px, seed=recipe.seed)
    report_data(dataset)
    if recipe.freeze:
        freeze_convolutions(start)
    before = accuracy(start, dataset.validation)
    network = fit(recipe, dataset, options.run, start=start)
    print(f"accuracy on the validation images: {before:.1%} before, {accuracy(network, dataset.validation):.1%} after")
    thaw(network)  # whoever starts from the exported files decides anew
    folder = options.export or options.run
    model_file, weights_file = export(network, folder, recipe=recipe, epochs=len(read_history(options.run)))
    print(f"wrote {model_file} and {weights_file}")

"""`python -m training calibrate`."""

from __future__ import annotations

import argparse
from pathlib import Path

from mien.expressions import EXPRESSIONS
from mien.keras_files import load_network
from training.data.dataset import load_dataset
from training.evaluate.calibration import at_temperature, fit_temperature, fold_into
from training.evaluate.metrics import score
from training.export import export_calibrated
from training.options import add_data, add_network, report_data, square_model, warn_of_known_images
from training.recipe import RunError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Data, network, and where the calibrated one goes."""
    add_data(parser)
    add_network(parser)
    parser.add_argument("--export", type=Path, help="folder for the calibrated files (default: over the old ones)")


def run(options: argparse.Namespace) -> None:
    """make an exported network's confidence honest: fit a temperature on PublicTest and write it into its weights"""
    model, side_px = square_model(options)
    if model.output_order != sorted(model.output_order):
        raise RunError(f"{options.model}: expected outputs in the order {', '.join(EXPRESSIONS)}, found another")
    dataset = load_dataset(options.data, side_px=side_px)
    report_data(dataset)
    warn_of_known_images(dataset)
    labels = dataset.validation.labels
    before = model.predict(dataset.validation.images)
    temperature = fit_temperature(before, labels)
    for when, probabilities in (("before", before), ("after", at_temperature(before, temperature))):
        s = score(probabilities, labels)
        print(f"{when}: NLL {s.nll:.4f}, ECE {s.ece:.4f} on {s.n} images ({dataset.named[0]})")
    network = load_network(options.model, options.weights)
    fold_into(network, temperature)
    folder = options.export or options.model.parent
    model_file, weights_file = export_calibrated(network, options.model, temperature, folder)
    print(f"temperature {temperature:.4f}; wrote {model_file} and {weights_file}")

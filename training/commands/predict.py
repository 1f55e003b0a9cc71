"""`python -m training predict`."""

from __future__ import annotations

import argparse
from pathlib import Path

from mien.expressions import ModelError
from model import FacialExpressionModel
from training.commands.options import add_network, report_skipped
from training.prediction import predict_to_csv


def add_options(parser: argparse.ArgumentParser) -> None:
    """What to label, by which network, into which file."""
    parser.add_argument("source", type=Path, help="folder of face images, or a CSV file with a column pixels")
    parser.add_argument("--out", type=Path, default=Path("predictions.csv"), help="the labels (%(default)s)")
    add_network(parser)


def run(options: argparse.Namespace) -> None:
    """label images that have no label: a folder of faces, or a CSV file such as Kaggle's test.csv"""
    model = FacialExpressionModel(options.model, options.weights)
    height_px, width_px = model.input_size_px
    if height_px != width_px:
        raise ModelError(f"{options.model}: expected a network for square faces, found {width_px}x{height_px}")
    outcome = predict_to_csv(model.predict, options.source, options.out, height_px)
    report_skipped(outcome.skipped)
    print(f"wrote {options.out} with {outcome.labelled} labels")

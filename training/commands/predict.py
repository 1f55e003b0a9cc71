"""`python -m training predict`."""

from __future__ import annotations

import argparse
from pathlib import Path

from training.evaluate.predict import predict_to_csv
from training.options import add_network, report_skipped, square_model


def add_options(parser: argparse.ArgumentParser) -> None:
    """What to label, by which network, into which file."""
    parser.add_argument("source", type=Path, help="folder of face images, or a CSV file with a column pixels")
    parser.add_argument("--out", type=Path, default=Path("predictions.csv"), help="the labels (%(default)s)")
    add_network(parser)


def run(options: argparse.Namespace) -> None:
    """label images that have no label: a folder of faces, or a CSV file such as Kaggle's test.csv"""
    model, side_px = square_model(options)
    outcome = predict_to_csv(model.predict, options.source, options.out, side_px)
    report_skipped(outcome.skipped)
    print(f"wrote {options.out} with {outcome.labelled} labels")

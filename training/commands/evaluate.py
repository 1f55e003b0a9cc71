"""`python -m training evaluate`."""

from __future__ import annotations

import argparse
from pathlib import Path

from model import FacialExpressionModel
from training.commands.options import add_data, add_network, report_data
from training.costs import measure
from training.dataset import load_dataset
from training.evaluation import evaluate
from training.export import read_origin
from training.report import Report, write_into_card


def add_options(parser: argparse.ArgumentParser) -> None:
    """Data, network, and where the figures go."""
    add_data(parser)
    add_network(parser)
    parser.add_argument(
        "--out", type=Path, default=Path("runs/evaluation"), help="folder for JSON, Markdown and plots (%(default)s)"
    )
    parser.add_argument("--json", type=Path, help="also write the figures to this file, such as docs/figures/NAME.json")
    parser.add_argument("--card", type=Path, help="put the figures into this model card, between its markers")


def run(options: argparse.Namespace) -> None:
    """print and save accuracy, macro-F1, calibration, confusion and costs of an exported network"""
    model = FacialExpressionModel(options.model, options.weights)
    dataset = load_dataset(options.data, side_px=model.input_size_px[0])
    report_data(dataset)
    recipe, epochs = read_origin(options.model)
    report = Report(evaluate(model.predict, dataset, flip=True), costs=measure(model), epochs=epochs, recipe=recipe)
    print(report.as_markdown())
    print("wrote " + ", ".join(str(path) for path in report.write(options.out)))
    if options.json:
        report.write_json(options.json)
    if options.card:
        write_into_card(options.card, report.as_markdown())

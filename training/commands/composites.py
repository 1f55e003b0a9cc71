"""`python -m training composites`."""

from __future__ import annotations

import argparse
from pathlib import Path

from training.assets.composites import composite_sheet, write_sheet
from training.data.dataset import load_dataset
from training.options import add_data, add_network, square_model


def add_options(parser: argparse.ArgumentParser) -> None:
    """Data, network, and the file to write."""
    add_data(parser)
    add_network(parser)
    parser.add_argument("--out", type=Path, default=Path("mien/demo_faces.png"))


def run(options: argparse.Namespace) -> None:
    """compute the seven average faces of the built-in demo from the training images"""
    model, side_px = square_model(options)
    dataset = load_dataset(options.data, side_px=side_px)
    write_sheet(composite_sheet(dataset.train, model.predict), options.out)
    print(f"wrote {options.out}")

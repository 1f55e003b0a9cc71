"""`python -m training card`."""

from __future__ import annotations

import argparse
from pathlib import Path

from mien.expressions import ModelError
from training.evaluate.report import CARD_BEGIN, CARD_END, TABLE_BEGIN, TABLE_END, Report, comparison, write_into_card


def add_options(parser: argparse.ArgumentParser) -> None:
    """The files of figures, and the card."""
    parser.add_argument("figures", type=Path, nargs="+", help="JSON files that evaluate wrote, one for each row")
    parser.add_argument("--details", action="store_true", help="all figures of one network instead of the table")
    parser.add_argument("--card", type=Path, help="put the text into this model card, between its markers")


def run(options: argparse.Namespace) -> None:
    """print networks side by side from the figures that evaluate wrote, or all figures of one, for the model card"""
    reports = [Report.read_json(path) for path in options.figures]
    if options.details and len(reports) != 1:
        raise ModelError(f"--details: expected the figures of one network, found {len(reports)} files")
    text, markers = comparison(reports), (TABLE_BEGIN, TABLE_END)
    if options.details:
        text, markers = reports[0].as_markdown(), (CARD_BEGIN, CARD_END)
    print(text)
    if options.card:
        write_into_card(options.card, text, *markers)

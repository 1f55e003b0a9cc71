"""The figures in MODEL_CARD.md are those of the committed JSON files, and their recipes those of the networks."""

from pathlib import Path

import pytest

from training.evaluate.report import CARD_BEGIN, CARD_END, TABLE_BEGIN, TABLE_END, Report, comparison
from training.export import read_origin

ROOT = Path(__file__).parent.parent
FIGURES = sorted((ROOT / "docs" / "figures").glob("*.json"))
SHIPPED = ROOT / "docs" / "figures" / "six_layer.json"


def between(begin, end):
    text = (ROOT / "MODEL_CARD.md").read_text(encoding="utf-8")
    return text.partition(begin)[2].partition(end)[0].lstrip("\n")


def test_the_table_of_networks_is_made_from_the_committed_figures():
    reports = [Report.read_json(path) for path in FIGURES]
    assert between(TABLE_BEGIN, TABLE_END) == (comparison(reports) if reports else "")


@pytest.mark.skipif(not SHIPPED.is_file(), reason="evaluate --json docs/figures/six_layer.json has not been run yet")
def test_the_details_are_those_of_the_shipped_network():
    report = Report.read_json(SHIPPED)
    assert between(CARD_BEGIN, CARD_END) == report.as_markdown()
    assert (report.recipe, report.epochs) == read_origin(ROOT / "model.json")


@pytest.mark.parametrize("path", FIGURES, ids=lambda path: path.stem)
def test_every_row_shows_how_the_network_was_trained(path):
    report = Report.read_json(path)
    assert report.recipe is not None
    assert report.epochs
    assert "PrivateTest clean" in report.sets

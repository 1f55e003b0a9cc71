import argparse
import dataclasses
import json

import numpy as np
import pytest

from mien.cnn.loader import import_keras
from mien.errors import ModelError
from mien.types import EXPRESSIONS
from model import FacialExpressionModel
from tests.test_metrics import probabilities_for
from tests.test_votes import voted
from training.evaluate import plots
from training.evaluate.costs import Costs, measure, multiply_adds
from training.evaluate.end_to_end import EndToEnd
from training.evaluate.metrics import FLIPPED, score
from training.evaluate.quality import Bin, QualityScores, Threshold
from training.evaluate.report import CARD_BEGIN, CARD_END, HeadScores, Report, comparison, write_card
from training.evaluate.votes import score_votes
from training.export import export, read_origin
from training.recipe import Recipe

keras = import_keras()


@pytest.fixture
def report():
    labels = np.arange(7).repeat(4)
    right, wrong = (
        score(probabilities_for(labels, 0.8), labels),
        score(probabilities_for(np.roll(labels, 1), 0.8), labels),
    )
    sets = {"PublicTest": right, "PrivateTest": wrong, f"PrivateTest{FLIPPED}": right}
    return Report(
        sets, Costs("tiny", 1234, 5_000_000, 1.25, "2 processor cores, tensorflow"), 3, Recipe(learning_rate=5e-4)
    )


def test_arithmetic_is_counted_from_shapes():
    layers = keras.layers
    inner = keras.Sequential([layers.Input((8, 8, 6)), layers.DepthwiseConv2D(3, padding="same")])
    network = keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(6, 3, padding="same"),  # 9 * 1 * 6 weights at 64 positions
            inner,  # 9 * 6 weights at 64 positions
            layers.MaxPooling2D(2),
            layers.SeparableConv2D(4, 3, strides=2, padding="same"),  # (9 * 6 + 6 * 4) weights at 4 positions
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(7),  # 16 * 7
        ]
    )
    assert multiply_adds(network) == 54 * 64 + 54 * 64 + 78 * 4 + 112


def test_costs_of_a_loaded_network(tmp_path):
    layers = keras.layers
    network = keras.Sequential([layers.Input((8, 8, 1)), layers.Flatten(), layers.Dense(7, activation="softmax")])
    costs = measure(FacialExpressionModel(*export(network, tmp_path)), calls=3)
    assert (costs.parameters, costs.multiply_adds, costs.flops) == (65 * 7, 64 * 7, 2 * 64 * 7)
    assert costs.ms_per_face > 0


def test_a_report_survives_its_json(report, tmp_path):
    report.write_json(tmp_path / "a.json")
    again = Report.read_json(tmp_path / "a.json")
    assert again.as_markdown() == report.as_markdown()
    assert (again.recipe, again.epochs) == (report.recipe, 3)


def test_figures_without_a_recipe_are_read(report, tmp_path):
    path = tmp_path / "a.json"
    report.write_json(path)
    document = json.loads(path.read_text())
    del document["network"]["recipe"]
    path.write_text(json.dumps(document))
    assert "| tiny | ? | 3 |" in comparison([Report.read_json(path)])


def test_results_in_frames_by_people_come_before_those_by_folders(report, tmp_path):
    rows = EndToEnd("haar", 80, 200, 100, 50, 60, 130), EndToEnd("haar", 80, 180, 90, 60, 61, 120, by="people")
    report = dataclasses.replace(report, end_to_end=rows)
    report.write_json(tmp_path / "a.json")
    text = Report.read_json(tmp_path / "a.json").as_markdown()
    people, folders = text.split("right is what most people see")[1].split("right is the label of the folder")
    assert "| haar | 80 px | 50.0% (of 180) | 33.3% | 66.7% | 67.8% | -1.1 | 66.7% |" in people
    assert "| haar | 80 px | 50.0% (of 200) |" in folders
    assert "right is" not in dataclasses.replace(report, end_to_end=()).as_markdown()


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"network": {}, "sets": {}}'])
def test_another_file_is_reported(text, tmp_path):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(ModelError, match="expected the figures that evaluate wrote"):
        Report.read_json(path)
    with pytest.raises(ModelError, match="No such file"):
        Report.read_json(tmp_path / "missing.json")


def test_what_the_quality_of_a_face_is_worth_is_reported(report, tmp_path):
    bins = tuple(Bin(name, 10, value, value - 0.1) for name, value in (("worst fifth", 0.3), ("best fifth", 0.9)))
    scores = QualityScores("PublicTest", bins, bins[:1], (Threshold(0.6, 0.2, 0.7, 0.55, 0.8),))
    with_quality = dataclasses.replace(report, quality=scores)
    with_quality.write_json(tmp_path / "evaluation.json")
    assert Report.read_json(tmp_path / "evaluation.json").quality == scores
    text = with_quality.as_markdown()
    assert "60.0 points above" in text
    assert "| 0.60 | 20% | 70% | 55% | 80% |" in text
    assert "Quality of degraded faces" not in report.as_markdown()


def test_markdown_reports_flip_averaging_separately_and_names_the_convention(report):
    text = report.as_markdown()
    headline, apart = text.split("mirror image", 1)
    assert FLIPPED not in headline
    assert f"| PrivateTest{FLIPPED} | 28 | 100.00% |" in apart
    assert "5.0 million multiply-adds" in text
    assert "10.0 MFLOPs where each counts as two" in text


def test_networks_are_compared_side_by_side(report):
    rows = comparison([report, report]).splitlines()
    recipe = "adamw 0.0005 cosine, batch 64, dropout 0.2/0.3, smoothing 0.05, flip, rotation 10°, shift 6 %"
    assert rows[2].startswith(
        f"| tiny | {recipe}, scale 10 %, contrast 20 % | 3 | 1,234 | 100.00% | 75.00% |  | 0.750 | 0.050 |"
    )
    assert rows[2].endswith(" | 1.2 | 5.0 |")
    assert rows[2].count("100.00%") == 1, "agreement with votes was not measured"
    assert len(rows) == 4
    assert len({row.count("|") for row in rows}) == 1


@pytest.mark.parametrize(
    ("names", "expected"), [(("as shipped",), "66.67%"), (("as shipped", "people's head, tau 0"), "100.00%")]
)
def test_networks_with_a_votes_head_are_compared_by_votes_with_it(names, expected, report):
    split = voted({"happiness": 9}, {"fear": 9}, {"neutral": 9})
    happy, fear, neutral = (EXPRESSIONS.index(name) for name in ("happy", "fear", "neutral"))
    answers = [probabilities_for(predicted, 0.8) for predicted in ([happy, neutral, neutral], [happy, fear, neutral])]
    pairs = zip(names, answers, strict=False)
    heads = tuple(HeadScores(name, {"PrivateTest": score_votes(predicted, split)}, {}) for name, predicted in pairs)
    row = comparison([dataclasses.replace(report, heads=heads)]).splitlines()[2]
    assert f"| {expected} | 1.2 |" in row


def test_a_network_without_private_test_names_the_set_of_its_figures(report):
    alone = Report({"PublicTest": report.sets["PublicTest"]}, report.costs)
    assert "| 100.00% | 100.00% (PublicTest) |  | 1.000 |" in comparison([alone])


def test_the_card_is_filled_in_between_its_markers(tmp_path):
    card = tmp_path / "card.md"
    card.write_text(f"before\n{CARD_BEGIN}\nold\n{CARD_END}\nafter\n")
    old, new = card.read_text(), f"before\n{CARD_BEGIN}\nnew\n{CARD_END}\nafter\n"
    options = argparse.Namespace(card=card, in_place=False)
    write_card(options, tmp_path / "copies", "new\n")
    assert ((tmp_path / "copies" / "card.md").read_text(), card.read_text()) == (new, old)
    options.in_place = True
    for _ in range(2):
        write_card(options, tmp_path, "new\n")
    assert card.read_text() == new
    card.write_text("no markers")
    with pytest.raises(ModelError, match="expected the markers"):
        write_card(options, tmp_path, "new\n")
    assert card.read_text() == "no markers"


def test_the_recipe_is_stored_in_the_model_file_or_beside_it(tmp_path):
    layers = keras.layers
    network = keras.Sequential([layers.Input((8, 8, 1)), layers.Flatten(), layers.Dense(7, activation="softmax")])
    model_file, _ = export(network, tmp_path)
    assert read_origin(model_file) == (None, None)
    (tmp_path / "history.csv").write_text("epoch,loss\n0,2\n1,1\n1,1\n")
    (tmp_path / "recipe.json").write_text('{"optimizer": "sgd"}')
    assert read_origin(model_file) == (Recipe(optimizer="sgd"), 2)
    export(network, tmp_path, recipe=Recipe(optimizer="adam"), epochs=9)
    assert read_origin(model_file) == (Recipe(optimizer="adam"), 9)
    assert FacialExpressionModel(model_file, tmp_path / "model_weights.h5").network.name == network.name


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"optimizer": "adam", "learning_rate": 5e-4, "schedule": "constant"}, "adam 0.0005 constant, batch 64, "),
        ({"start": "abc", "freeze": True, "network": "any"}, "from trained weights, convolutions frozen, smoothing"),
        ({"flip": False, "rotation_deg": 0, "shift": 0, "scale": 0, "contrast": 0}, "smoothing 0.05"),
        ({"balance": "weights", "erase": 0.25, "l2": 1e-4}, "erase 25 %, balance by weights"),
    ],
)
def test_a_recipe_is_summarized_in_few_words(changes, words):
    assert words in Recipe(**changes).in_words()


def test_confusion_shows_share_and_count():
    counts = np.zeros((7, 7), int)
    counts[0, 1], counts[0, 0] = 1, 3
    texts = [text.get_text() for text in plots.confusion(counts, "PrivateTest").axes[0].texts]
    assert texts[:2] == ["75%\n3", "25%\n1"]


def test_reliability_shows_the_accuracy_of_each_bin(report):
    scores = report.sets["PrivateTest"]
    upper, lower = plots.reliability(scores, "PrivateTest").axes
    assert [bar.get_height() for bar in upper.patches] == [accuracy for n, _, accuracy in scores.bins if n]
    assert [bar.get_height() for bar in lower.patches] == [n for n, _, _ in scores.bins]
    assert "ECE" in upper.get_title()

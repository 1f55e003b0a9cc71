import json

import numpy as np
import pytest

from mien.types import EXPRESSIONS
from training.data.splits import Dataset, Split
from training.evaluate.metrics import (
    FLIPPED,
    Scores,
    calibration_error,
    evaluate,
    score,
    wilson_interval,
)
from training.evaluate.report import as_markdown


def probabilities_for(predicted, confidence):
    rows = np.full((len(predicted), 7), (1 - confidence) / 6)
    rows[np.arange(len(predicted)), predicted] = confidence
    return rows


def test_perfect_predictions_have_perfect_scores():
    labels = np.arange(7).repeat(3)
    s = score(probabilities_for(labels, 1.0), labels)
    assert (s.n, s.accuracy, s.macro_f1) == (21, 1.0, pytest.approx(1.0))
    assert s.ece == pytest.approx(0)
    assert s.nll == pytest.approx(0, abs=1e-9)
    assert (s.confusion == 3 * np.eye(7)).all()


def test_scores_follow_from_known_counts():
    labels = np.array([0, 0, 0, 1, 1, 2])
    predicted = np.array([0, 0, 1, 1, 0, 2])
    s = score(probabilities_for(predicted, 0.7), labels)
    assert s.accuracy == pytest.approx(4 / 6)
    assert s.recall[:3] == pytest.approx((2 / 3, 1 / 2, 1))
    assert s.precision[:3] == pytest.approx((2 / 3, 1 / 2, 1))
    assert s.confusion[0, 1] == 1, "rows are true, columns predicted"
    assert s.ece == pytest.approx(abs(0.7 - 4 / 6))
    assert s.nll == pytest.approx(-(4 * np.log(0.7) + 2 * np.log(0.05)) / 6)


def test_calibration_error_of_overconfidence():
    labels = np.zeros(10, int)
    predicted = np.array([0] * 5 + [1] * 5)
    assert score(probabilities_for(predicted, 0.9), labels).ece == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"), [(5, 10, 0.237, 0.763), (0, 10, 0.0, 0.278), (10, 10, 0.722, 1.0)]
)
def test_wilson_interval(successes, n, low, high):
    assert wilson_interval(successes, n) == (pytest.approx(low, abs=1e-3), pytest.approx(high, abs=1e-3))


@pytest.mark.parametrize(("shape", "n"), [((0, 7), 0), ((3, 6), 3), ((2, 7), 3)])
def test_wrong_shapes_are_reported(shape, n):
    with pytest.raises(ValueError, match="expected probabilities"):
        score(np.ones(shape), np.zeros(n, int))


def split(values, labels):
    images = np.array(values, np.uint8).reshape(-1, 1, 1, 1)
    return Split(images, np.array(labels), tuple(f"{v}-{i}" for i, v in enumerate(values)))


def test_the_clean_set_excludes_training_images():
    train, public = split([1, 2, 3], [0, 1, 2]), split([7], [3])
    private = split([2, 8, 9], [1, 4, 5])

    def predict(images):
        return probabilities_for(np.where(images[:, 0, 0, 0] == 9, 5, 1), 0.8)

    scores = evaluate(predict, Dataset(train, public, private))
    assert {name: s.n for name, s in scores.items()} == {"PublicTest": 1, "PrivateTest": 3, "PrivateTest clean": 2}
    assert scores["PrivateTest"].accuracy == pytest.approx(2 / 3)
    assert scores["PrivateTest clean"].accuracy == pytest.approx(1 / 2)
    text = as_markdown(scores)
    assert "| PrivateTest | 3 | 66.67% |" in text
    assert all(f"| {expression} |" in text for expression in EXPRESSIONS)


def test_a_missing_set_is_omitted():
    nothing = split([], [])
    scores = evaluate(
        lambda images: probabilities_for(np.zeros(len(images), int), 0.9), Dataset(nothing, split([1], [0]), nothing)
    )
    assert set(scores) == {"PublicTest"}
    assert "PublicTest; rows" in as_markdown(scores)


def test_flip_averaging_is_reported_separately():
    """A network that rates a bright left edge angry and a bright right edge sad, with varying confidence."""
    images = np.zeros((2, 2, 2, 1), np.uint8)
    images[0, :, 0] = 255
    images[1, :, 1] = 255
    private = Split(images, np.array([0, 0]), ("a", "b"))

    def predict(faces):
        left = faces[:, 0, 0, 0] > 0
        probabilities = np.zeros((len(faces), 7))
        probabilities[:, 0] = np.where(left, 0.9, 0.2)
        probabilities[:, 5] = 1 - probabilities[:, 0]
        return probabilities

    scores = evaluate(predict, Dataset(split([3], [0]), split([], []), private), flip=True)
    assert list(scores) == ["PrivateTest", "PrivateTest clean", f"PrivateTest{FLIPPED}", f"PrivateTest clean{FLIPPED}"]
    assert scores["PrivateTest"].accuracy == 0.5
    assert scores[f"PrivateTest{FLIPPED}"].accuracy == 1.0


def test_bins_hold_every_image_once_and_give_the_error():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(7), 200)
    labels = rng.integers(0, 7, 200)
    bins = score(probabilities, labels).bins
    assert len(bins) == 15
    assert sum(n for n, _, _ in bins) == 200
    assert bins[0] == (0, 0.0, 0.0), "the largest of seven probabilities is at least 1/7"
    assert all(i / 15 <= confidence <= (i + 1) / 15 for i, (n, confidence, _) in enumerate(bins) if n)
    gaps = sum(n * abs(confidence - accuracy) for n, confidence, accuracy in bins) / 200
    assert calibration_error(bins) == pytest.approx(gaps)


def test_scores_survive_json():
    labels = np.arange(7).repeat(2)
    s = score(probabilities_for(labels[::-1], 0.6), labels)
    back = Scores.from_dict(json.loads(json.dumps(s.as_dict())))
    assert back.as_dict() == s.as_dict()

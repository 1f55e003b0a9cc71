"""Scores against votes, from counts that can be checked by hand."""

import dataclasses
import json

import numpy as np
import pytest

from mien.types import EXPRESSIONS
from tests.test_votes import voted
from training.evaluate.calibration import TAUS, adjusted, at_temperature, choose_tau, fit_temperature_to_votes
from training.evaluate.doubt import THRESHOLDS, Doubt, Tenth, measure_doubt
from training.evaluate.doubt import as_markdown as doubt_as_markdown
from training.evaluate.metrics import calibration_bins, calibration_error
from training.evaluate.votes import VoteScores, agreement, as_markdown, score_votes

HAPPY, NEUTRAL, FEAR = (EXPRESSIONS.index(name) for name in ("happy", "neutral", "fear"))


def sure_of(*labels, confidence=0.8):
    rows = np.full((len(labels), 7), (1 - confidence) / 6)
    rows[np.arange(len(labels)), labels] = confidence
    return rows


def test_contempt_counts_as_wrong_and_images_without_a_majority_do_not_count():
    split = voted({"happiness": 9}, {"fear": 9}, {"fear": 9}, {"contempt": 9}, {"happiness": 5, "neutral": 5})
    s = score_votes(sure_of(HAPPY, FEAR, HAPPY, HAPPY, HAPPY), split)
    assert (s.n, s.accuracy) == (4, 0.5)
    assert s.balanced_recall == pytest.approx((1 + 0.5) / 2), "over the expressions present"
    assert s.recall[FEAR] == 0.5
    assert s.precision[HAPPY] == 0.5
    assert s.confusion[FEAR][HAPPY] == 1
    assert s.shown == 4, "nine votes for contempt are none for the seven expressions"


def test_share_error_and_calibration_compare_with_shares():
    split = voted({"happiness": 8, "neutral": 2}, {"happiness": 8, "neutral": 2})
    predicted = np.zeros((2, 7))
    predicted[:, HAPPY], predicted[:, NEUTRAL] = 0.7, 0.3
    s = score_votes(predicted, split)
    assert s.share_error == pytest.approx(0.2 / 7, abs=1e-6)
    assert s.ece == pytest.approx(0.1, abs=1e-6)
    predicted[:, HAPPY], predicted[:, NEUTRAL] = 0.8, 0.2
    assert score_votes(predicted, split).ece == pytest.approx(0, abs=1e-6)


def test_gaps_of_different_sign_cancel_only_within_a_bin():
    def error(probabilities, target):
        return calibration_error(calibration_bins(probabilities.max(axis=1), agreement(probabilities, target)))

    target = np.eye(7)[[HAPPY, FEAR]]
    assert error(sure_of(HAPPY, HAPPY, confidence=0.5), target) == pytest.approx(0)
    apart = np.vstack([sure_of(HAPPY, confidence=0.9), sure_of(HAPPY, confidence=0.4)])
    assert error(apart, target) == pytest.approx((0.1 + 0.4) / 2)


def test_without_clear_majorities_there_are_no_scores():
    assert score_votes(sure_of(HAPPY), voted({"happiness": 5, "neutral": 5})) is None


def test_scores_survive_json():
    s = score_votes(sure_of(HAPPY), voted({"happiness": 9}))
    assert VoteScores.from_dict(json.loads(json.dumps(s.as_dict()))) == s


def test_the_table_has_a_row_for_each_head_and_set_and_details_of_one_set():
    s = score_votes(sure_of(NEUTRAL, HAPPY), voted({"neutral": 9}, {"neutral": 9}))
    text = as_markdown({"one": {"A": s, "B": s}, "two": {"A": s}}, "B")
    assert text.count("| one | A | 2 | 50.00% |") == 1
    assert text.count("| 0.500 |") >= 3
    assert text.count("rows are what most people see") == 1


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_the_temperature_that_fits_the_votes_is_found(temperature):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (3000, 7))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    votes = np.array([rng.multinomial(10, row) for row in true])
    split = dataclasses.replace(voted(*[{}] * len(votes)), votes=np.hstack([votes, np.zeros((len(votes), 3), int)]))
    found = fit_temperature_to_votes(at_temperature(true, 1 / temperature), split)
    assert found == pytest.approx(temperature, rel=0.05)


def test_adjusting_is_reversible_and_favors_rare_expressions():
    rates = np.array([0.1, 0.01, 0.09, 0.3, 0.3, 0.1, 0.1])
    before = sure_of(HAPPY, FEAR)
    after = adjusted(before, rates, 0.5)
    assert (after[:, 1] > before[:, 1]).all()
    np.testing.assert_allclose(adjusted(after, rates, -0.5), before, atol=1e-9)
    np.testing.assert_allclose(adjusted(before, rates, 1.0).sum(axis=1), 1)


def test_tau_maximizes_the_sum_and_is_the_smallest_of_equals():
    rates = np.full(7, 0.15)
    rates[FEAR] = 0.1
    split = voted(*[{"happiness": 9}] * 9, {"fear": 9})
    wrong = sure_of(*[HAPPY] * 10, confidence=0.4)
    wrong[9, FEAR] = 0.399  # nearly right: a small tau is enough
    assert choose_tau(wrong, split, rates) == TAUS[1]
    assert choose_tau(sure_of(*[HAPPY] * 9, FEAR), split, rates) == 0


def test_a_tau_that_loses_too_many_neutral_faces_is_not_chosen():
    rates = np.full(7, 0.1)
    rates[NEUTRAL] = 0.4
    split = voted(*[{"neutral": 9}] * 10, {"fear": 9})
    predicted = sure_of(*[NEUTRAL] * 11, confidence=0.4)
    predicted[:5, FEAR], predicted[10, FEAR] = 0.35, 0.39  # the tau that finds the only fear loses no neutral face yet
    predicted[:2, FEAR] = 0.395
    assert choose_tau(predicted, split, rates) > 0
    assert choose_tau(predicted, split, rates, neutral_recall=0.9) == 0
    assert choose_tau(predicted, split, rates, neutral_recall=0.8) > 0


@pytest.fixture
def doubted():
    """Three faces: half of the people or more agree about the first two, and the network is sure of the first alone."""
    split = voted({"happiness": 9, "neutral": 1}, {"fear": 5, "neutral": 5}, {"fear": 2, "neutral": 8}, {"contempt": 9})
    predicted = np.vstack([sure_of(HAPPY, confidence=0.9), sure_of(FEAR, FEAR, HAPPY, confidence=0.42)])
    people = np.vstack([sure_of(HAPPY, confidence=0.88), sure_of(FEAR, FEAR, HAPPY, confidence=0.32)])
    return measure_doubt(predicted, people, split)


def test_a_threshold_is_judged_by_whether_people_disagree_about_the_unsure_faces(doubted):
    rows = {row.below: row for row in doubted.unsure}
    assert tuple(rows) == THRESHOLDS
    assert (rows[0.4].share, rows[0.4].disputed, rows[0.4].settled) == (0, 0, pytest.approx(2 / 3))
    assert rows[0.5].share == pytest.approx(2 / 3), "the face with votes for contempt alone does not count"
    assert (rows[0.5].disputed, rows[0.5].settled) == (0.5, 1)
    assert doubted.highest is None, "half are not most"


def test_the_number_of_people_is_compared_with_how_many_agree(doubted):
    assert doubted.error == pytest.approx((0.02 + 0.18 + 0.12) / 3, abs=1e-6)
    assert doubted.tenths == (Tenth(3, 2, pytest.approx(0.35)), Tenth(9, 1, pytest.approx(0.9)))


def test_the_tables_of_doubt_name_their_sets_and_survive_json(doubted):
    again = Doubt.from_dict(json.loads(json.dumps(dataclasses.asdict(doubted))))
    assert again == doubted
    text = doubt_as_markdown({"A": doubted, "B": again}, "A", "B")
    assert "Unsure faces, A. " in text
    assert "What the page says of a face, B" in text
    assert "| of 10 people agree | 3.5 | 9.0 |" in text
    assert "| 0.50 | 67% | 50% | 100% |" in text

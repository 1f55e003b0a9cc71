"""Logit adjustment: a setting takes effect at once and survives a round trip."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mien.cnn.logit_adjustment import LogitAdjustment, read_adjustment
from mien.errors import ModelError
from mien.types import EXPRESSIONS

RATES = np.array([0.086, 0.017, 0.036, 0.263, 0.328, 0.148, 0.122])


def probabilities(rows: int = 50) -> np.ndarray:
    return np.random.default_rng(0).dirichlet(np.ones(7), rows).astype(np.float32)


def test_by_default_nothing_changes():
    raw = probabilities()
    assert LogitAdjustment(RATES, tau=0.35)(raw) is raw


@pytest.mark.parametrize("rare", [0.0, 0.2, 0.5, 1.0])
def test_probabilities_are_divided_by_base_rates_to_the_power_of_the_difference(rare):
    adjustment = LogitAdjustment(RATES, tau=0.5)
    adjustment.rare = rare
    raw = probabilities()
    expected = raw * RATES ** (0.5 - rare)
    adjusted = adjustment(raw)
    assert adjusted.dtype == np.float32
    assert np.allclose(adjusted, expected / expected.sum(axis=1, keepdims=True), atol=1e-6)


def test_adjusting_back_restores_the_probabilities():
    raw, adjustment = probabilities(), LogitAdjustment(RATES, tau=0.5)
    adjustment.rare = 1.0
    more = adjustment(raw)
    back = LogitAdjustment(RATES, tau=1.0)
    back.rare = 0.5
    assert np.allclose(back(more), raw, atol=1e-6)


@pytest.mark.parametrize("rare", [0.0, 0.45, 1.0])
def test_the_shares_of_people_do_not_depend_on_the_rare_setting(rare):
    raw, adjustment = probabilities(), LogitAdjustment(RATES, tau=0.45, from_votes=True)
    adjustment.rare = rare
    without = LogitAdjustment(RATES, tau=0.45)
    without.rare = 0.0
    found = adjustment.people_shares(adjustment(raw))
    assert found.dtype == np.float32
    assert np.allclose(found, without(raw), atol=1e-6)


def test_without_votes_there_are_no_shares_of_people():
    assert LogitAdjustment(RATES, tau=0.45).people_shares(probabilities()) is None


def test_more_even_base_rates_raise_fear():
    adjustment, fear = LogitAdjustment(RATES, tau=0.0), EXPRESSIONS.index("fear")
    shares = []
    for rare in (0.0, 0.5, 1.0):
        adjustment.rare = rare
        shares.append(adjustment(probabilities())[:, fear].mean())
    assert shares[0] < shares[1] < shares[2]


def test_without_faces_the_result_is_empty():
    adjustment = LogitAdjustment(RATES, tau=0.0)
    adjustment.rare = 1.0
    assert adjustment(np.empty((0, 7), np.float32)).shape == (0, 7)


@pytest.mark.parametrize("rare", [-0.01, 1.01, float("nan")])
def test_other_values_are_refused(rare):
    adjustment = LogitAdjustment(RATES, tau=0.0)
    with pytest.raises(ValueError, match="expected 0 to 1"):
        adjustment.rare = rare
    assert adjustment.rare == 0.0


def model_json(tmp_path, **facts):
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"class_name": "Sequential", "config": {}, **facts}))
    return path


def test_base_rates_are_read_from_model_json(tmp_path):
    shares = dict(zip(EXPRESSIONS, map(float, RATES), strict=True))
    adjustment = read_adjustment(model_json(tmp_path, shares=shares, tau=0.4))
    assert adjustment is not None
    assert adjustment.rare == adjustment.tau == 0.4


@pytest.mark.parametrize(("head", "known"), [({"head": "people"}, True), ({"head": "folders"}, False), ({}, False)])
def test_only_the_head_that_learned_votes_knows_the_shares_of_people(tmp_path, head, known):
    shares = dict(zip(EXPRESSIONS, map(float, RATES), strict=True))
    adjustment = read_adjustment(model_json(tmp_path, shares=shares, **head))
    assert (adjustment.people_shares(probabilities()) is not None) == known


def test_without_base_rates_there_is_no_adjustment(tmp_path):
    assert read_adjustment(model_json(tmp_path)) is None


@pytest.mark.parametrize(
    "facts",
    [
        {"shares": {"angry": 1}},
        {"shares": dict.fromkeys(EXPRESSIONS, 0)},
        {"shares": dict.fromkeys(EXPRESSIONS, "a")},
        {"shares": dict.fromkeys(EXPRESSIONS, 0.1), "tau": 2},
        {"shares": dict.fromkeys(EXPRESSIONS, 0.1), "tau": None},
        {"shares": dict.fromkeys(EXPRESSIONS, 10**400)},
        {"shares": dict.fromkeys(EXPRESSIONS, 0.1), "tau": 10**400},
        {"shares": [0.1] * 7},
        {"shares": None},
    ],
)
def test_invalid_base_rates_are_named(tmp_path, facts):
    with pytest.raises(ModelError, match=r"model\.json: expected shares"):
        read_adjustment(model_json(tmp_path, **facts))

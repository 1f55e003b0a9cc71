"""Faces that are spoiled on purpose, and how well their quality predicts a right label."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mien.analysis.face_measures import FaceReader
from mien.analysis.quality import QualityModel
from mien.sources.demo_faces import DemoFaces
from mien.types import QUALITY_REASONS
from training.data.degrade import degrade, degraded_faces
from training.data.splits import Split
from training.data.votes import VOTED
from training.evaluate.quality import (
    Measured,
    QualityScores,
    as_markdown,
    measure_degraded,
    reasons_by_cause,
    score_quality,
    with_majority,
)

SEVEN = len(QUALITY_REASONS)


class Dark:
    """Measures in which nothing but the light varies: the network is right about half of the dark faces."""

    @staticmethod
    def measured(n: int = 400) -> Measured:
        measures = np.full((n, SEVEN), -2.0)
        dark = np.arange(n) < n // 2
        measures[dark, QUALITY_REASONS.index("dark")] = np.linspace(4, 2, dark.sum())
        causes = tuple(("dark",) if each else () for each in dark)
        return Measured(measures, ~dark | (np.arange(n) % 2 == 0), causes)


def split_of(images: np.ndarray, votes: list[list[int]]) -> Split:
    names = tuple(f"face {i}" for i in range(len(images)))
    return Split(images[..., np.newaxis], np.zeros(len(images), int), names, np.array(votes))


def votes_for(name: str, count: int = 10) -> list[int]:
    return [count if each == name else 0 for each in VOTED]


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    tile = DemoFaces.load().textures[0, 0]
    return np.ascontiguousarray(tile[32:128:2, 32:128:2])


@pytest.mark.parametrize("cause", QUALITY_REASONS)
@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_a_spoiled_face_has_a_box_in_its_picture(image, cause, strength) -> None:
    for seed in range(4):
        face = degrade(image, [cause], np.random.default_rng(seed), strength)
        height, width = face.pixels_bgr.shape[:2]
        assert face.pixels_bgr.dtype == np.uint8
        assert 0 <= face.box.x < face.box.x + face.box.w <= width
        assert 0 <= face.box.y < face.box.y + face.box.h <= height
        assert (face.roll_deg != 0) == (cause == "turned away")
        assert cause == "covered" or face.covered == 0  # what covers a corner covers no feature


def test_the_same_seed_spoils_in_the_same_way(image) -> None:
    split = split_of(np.stack([image] * 30), [votes_for("anger")] * 30)
    first, second = (list(degraded_faces(split, np.random.default_rng(3))) for _ in range(2))
    assert [causes for _, causes in first] == [causes for _, causes in second]
    assert all((a.pixels_bgr == b.pixels_bgr).all() for (a, _), (b, _) in zip(first, second, strict=True))
    assert {len(causes) for _, causes in first} == {0, 1, 2}


def test_only_images_that_people_agree_on_count(image) -> None:
    votes = [votes_for("anger"), votes_for("contempt"), [1] * len(VOTED), votes_for("happiness")]
    kept = with_majority(split_of(np.stack([image] * 4), votes))
    assert kept.names == ("face 0", "face 3")

    class Angry:
        input_size_px = (48, 48)
        adjustment = None

        def predict(self, faces):
            return np.tile(np.eye(7, dtype=np.float32)[0], (len(faces), 1))

    measured = measure_degraded(Angry(), kept, QualityModel.stored().reader)
    assert measured.right.tolist() == [True, False]
    assert measured.measures.shape == (2, SEVEN)


def test_accuracy_is_counted_by_fifths_reasons_and_thresholds() -> None:
    scores = score_quality(Dark.measured(), "PublicTest")
    assert [each.n for each in scores.fifths] == [80] * 5
    assert scores.fifths[0].value < scores.fifths[-1].value
    assert scores.gap == pytest.approx(0.5)
    assert {each.name: each.n for each in scores.reasons} == {"dark": 200, "none": 200}
    assert scores.thresholds[-1].right == 1
    assert [row.wrong for row in scores.thresholds if row.share] == pytest.approx(
        [0.5] * len(scores.thresholds), abs=0.1
    )


def test_scores_survive_their_dictionary_and_are_printed() -> None:
    scores = score_quality(Dark.measured(), "PublicTest")
    assert QualityScores.from_dict(dataclasses.asdict(scores)) == scores
    text = as_markdown(scores)
    assert "50.0 points above" in text
    assert text.count("\n| worst fifth |") == text.count("\n| dark |") == text.count("\n| 0.60 |") == 1
    with pytest.raises(KeyError):
        QualityScores.from_dict({"name": "PublicTest"})


def test_reasons_are_counted_by_what_was_done() -> None:
    rows = reasons_by_cause(Dark.measured(), QualityModel.stored()).splitlines()
    dark = next(row for row in rows if row.startswith("| dark"))
    assert dark.split("|")[2:-1][QUALITY_REASONS.index("dark")].strip() == "100%"
    assert rows[-1].split("|")[-2].strip() == "100%"


def test_penalties_are_found_again_and_never_negative() -> None:
    from training.assets.quality import decreasing_regression, fit_penalties

    rng = np.random.default_rng(0)
    x = rng.uniform(0, 2, (20000, 2))
    right = rng.random(len(x)) < 1 / (1 + np.exp(-(2 - 1.5 * x[:, 0] + 0.7 * x[:, 1])))
    weights = decreasing_regression(x, right)
    assert weights[1] == pytest.approx(1.5, abs=0.15)
    assert weights[2] == 0, "a higher measure cannot make a face better"
    measured = Dark.measured()
    fitted = fit_penalties(measured.measures, measured.right)
    assert fitted["slopes"].shape == fitted["knots"].shape == (SEVEN, 3)
    assert fitted["slopes"].min() >= 0
    assert fitted["slopes"][QUALITY_REASONS.index("dark")].max() > 0


def test_a_reader_is_fitted_without_landmarks_too(image) -> None:
    from training.assets.quality import fit_reader

    class Nothing:
        name = "nothing"

        def detect(self, pixels_bgr):
            return []

    weights = fit_reader(split_of(np.stack([image] * 40), [votes_for("anger")] * 40), Nothing())
    pose, covered = FaceReader(weights).read(image)
    assert np.isfinite([pose.yaw, pose.roll_deg, covered]).all()

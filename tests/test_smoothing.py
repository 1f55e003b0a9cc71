import itertools

import numpy as np
import pytest

from mien.analysis.smoothing import EXPIRE_AFTER_S, SWITCH_THRESHOLD_S, ExpressionSmoother
from mien.types import EXPRESSIONS


def distribution(**probabilities):
    """Seven probabilities: those named, with the rest shared evenly by the others."""
    rest = (1 - sum(probabilities.values())) / (7 - len(probabilities))
    return np.array([probabilities.get(name, rest) for name in EXPRESSIONS], np.float32)


def labels(rows, fps=30.0, start_s=0.0):
    smoother = ExpressionSmoother()
    shown = []
    for i, row in enumerate(rows):
        smoother.update(row, start_s + i / fps)
        shown.append(smoother.label)
    return shown


def changes(shown):
    return sum(a != b for a, b in itertools.pairwise(shown))


@pytest.mark.parametrize("fps", [10, 30, 60])
def test_probabilities_are_smoothed_in_time_not_in_frames(fps):
    calm, joy = np.eye(7, dtype=np.float32)[4], np.eye(7, dtype=np.float32)[3]
    smoother = ExpressionSmoother()
    assert (smoother.update(calm, 0.0) == calm).all()
    for i in range(1, fps // 2 + 1):
        smoothed = smoother.update(joy, i / fps)
    assert smoothed.dtype == np.float32
    assert smoothed.sum() == pytest.approx(1, abs=1e-5)
    assert smoothed[3] == pytest.approx(1 - np.exp(-0.5 / 0.25), abs=0.01)


@pytest.mark.parametrize("first", EXPRESSIONS)
def test_the_first_frame_sets_the_label(first):
    assert labels([distribution(**{first: 0.5})], start_s=1.7e9) == [first]


@pytest.mark.parametrize("fps", [5, 15, 30, 120])
def test_a_clear_change_takes_effect_within_0_4_s(fps):
    before, after = [distribution(sad=0.8)] * fps, [distribution(surprise=0.8)] * fps
    shown = labels(before + after, fps)
    assert shown[: fps + 1] == ["sad"] * (fps + 1), "one frame is not enough"
    assert shown[fps + int(0.4 * fps)] == "surprise"
    assert changes(shown) == 1


@pytest.mark.parametrize("fps", [2, 5, 10, 30, 120])
def test_a_single_frame_changes_nothing(fps):
    shown = labels([distribution(sad=0.8)] * fps + [distribution(happy=0.99)] + [distribution(sad=0.8)] * fps, fps)
    assert set(shown) == {"sad"}


@pytest.mark.parametrize("fps", [10, 30, 60])
@pytest.mark.parametrize(("ratio", "expected_s"), [(12, 0.3), (4, 0.42), (2, 0.76), (1.5, 0.92)])
def test_the_clearer_a_change_the_sooner_it_takes_effect(ratio, expected_s, fps):
    sad = 0.6 / (1 + ratio)
    shown = labels([distribution(sad=0.6)] * fps + [distribution(sad=sad, fear=0.6 - sad)] * 2 * fps, fps)
    assert changes(shown) == 1
    assert shown.index("fear") / fps == pytest.approx(1 + expected_s, abs=0.02 + 1 / fps)


def test_of_two_rising_expressions_the_more_probable_is_shown():
    for first, second in (("angry", "surprise"), ("surprise", "angry")):
        shown = labels([distribution(sad=0.9)] * 30 + [distribution(sad=0.1, **{first: 0.3, second: 0.5})] * 30)
        assert list(dict.fromkeys(shown)) == ["sad", second]


@pytest.mark.parametrize("noise", [0.02, 0.05, 0.1])
def test_two_equally_probable_expressions_do_not_alternate(noise):
    """One minute: the raw label changes hundreds of times, the smoother one twelve times at most."""
    rng = np.random.default_rng(1)
    rows = []
    for shift in rng.normal(0, noise, 60 * 30):
        sad = float(np.clip(0.4 + shift, 0, 0.8))
        rows.append(distribution(sad=sad, fear=0.8 - sad))
    raw = [EXPRESSIONS[int(row.argmax())] for row in rows]
    assert changes(raw) > 300
    assert changes(labels(rows)) <= 12


@pytest.mark.parametrize("seed", range(4))
def test_slow_noise_around_a_tie_causes_few_changes(seed):
    """As in real video, errors of adjacent frames are correlated: log-odds drift around 0 within 0.3 s. One minute."""
    rng = np.random.default_rng(seed)
    keep = np.exp(-1 / (30 * 0.3))
    rows, log_odds = [], 0.0
    for push in rng.normal(0, 0.6 * np.sqrt(1 - keep**2), 60 * 30):
        log_odds = keep * log_odds + push
        sad = float(0.8 / (1 + np.exp(-log_odds)))
        rows.append(distribution(sad=sad, fear=0.8 - sad))
    raw = changes([EXPRESSIONS[int(row.argmax())] for row in rows])
    assert raw > 100
    assert changes(labels(rows)) < raw / 6


@pytest.mark.parametrize("fps", [1, 1.5, 2, 5])
def test_at_low_frame_rates_two_frames_change_the_label(fps):
    assert labels([distribution(sad=0.8)] * 3 + [distribution(surprise=0.8)] * 3, fps) == ["sad"] * 4 + ["surprise"] * 2


def test_a_label_is_never_less_than_half_as_probable_as_another_expression():
    """10,000 sequences at 1 to 60 frames a second, from uniform noise to one-hot outputs."""
    rng = np.random.default_rng(0)
    for _ in range(10_000):
        rows = rng.dirichlet(np.full(7, 10 ** rng.uniform(-1.5, 1)), size=12).astype(np.float32)
        interval_s = 1 / rng.uniform(1, 60)
        smoother = ExpressionSmoother()
        for i, row in enumerate(rows):
            smoothed = smoother.update(row, i * interval_s)
            assert smoothed[EXPRESSIONS.index(smoother.label)] >= 0.4999 * smoothed.max()


def test_evidence_for_the_current_label_is_weighed_too():
    fear, sad = distribution(sad=0.3, fear=0.45), distribution(sad=0.45, fear=0.3)
    pulse = int(0.7 * SWITCH_THRESHOLD_S * 30)
    pulses = ([fear] * pulse + [sad] * pulse) * 5
    assert set(labels([sad] * 30 + pulses)) == {"sad"}


def test_a_face_that_returns_after_a_while_starts_anew():
    smoother = ExpressionSmoother()
    smoother.update(distribution(sad=0.9), 0.0)
    happy = distribution(happy=0.9)
    assert (smoother.update(happy, EXPIRE_AFTER_S + 0.1) == happy).all()
    assert smoother.label == "happy"


def test_a_clock_set_back_is_harmless():
    smoother = ExpressionSmoother()
    smoother.update(distribution(sad=0.9), 10.0)
    smoothed = smoother.update(distribution(happy=0.9), 9.0)
    assert smoother.label == "sad"
    assert smoothed.sum() == pytest.approx(1, abs=1e-5)

import numpy as np
import pytest

from mien.cnn.loader import import_keras
from tests.synthetic import write_folders
from training.__main__ import main
from training.evaluate.gradcam_deletion import (
    FILLS,
    PLAIN,
    SELECTIONS,
    as_text,
    highest,
    masking_drops,
    mean_with_interval,
)
from training.export import export
from training.networks import NETWORKS

import_keras()


def left_edge(images):
    """Probabilities of a network that rates images angry by the brightness of their left fifth only."""
    brightness = images[:, :, :2].mean(axis=(1, 2, 3)) / 255
    probabilities = np.zeros((len(images), 7))
    probabilities[:, 0], probabilities[:, 1] = 0.5 + brightness / 2, 0.5 - brightness / 2
    return probabilities


def edge_faces(n):
    images = np.zeros((n, 10, 10, 1), np.uint8)
    images[:, :, :2] = 255
    return images


def drops_of(heat):
    return masking_drops(left_edge, lambda images, labels: np.repeat(heat[None], len(images), 0), edge_faces(30))


def test_hiding_the_decisive_pixels_lowers_the_score_most():
    heat = np.zeros((10, 10))
    heat[:, :2] = 1
    drops = drops_of(heat)["mean"]
    assert tuple(drops) == SELECTIONS
    assert drops[SELECTIONS[0]] == pytest.approx(0.4, abs=0.01), "from 1 to 0.5 + 0.2 / 2"
    assert drops[SELECTIONS[1]].mean() == pytest.approx(0.08, abs=0.03), "a fifth of that"
    assert drops[SELECTIONS[2]].mean() < 0.3


def test_a_wrong_heat_map_shows_no_drop():
    heat = np.zeros((10, 10))
    heat[:, 5:7] = 1
    drops = drops_of(heat)["mean"]
    assert drops[SELECTIONS[0]] == pytest.approx(0, abs=1e-9)
    assert drops[SELECTIONS[1]].mean() > 0.05


def test_every_selection_hides_equally_many_pixels_with_the_same_fill():
    seen = []

    def predict(images):
        seen.append(images)
        return left_edge(images)

    rng = np.random.default_rng(1)
    images = rng.integers(0, 100, (4, 10, 10, 1)).astype(np.uint8)
    images[:, ::2, ::2] = 255
    heat = rng.random((4, 10, 10))
    drops = masking_drops(predict, lambda *_: heat, images, plain=lambda *_: 1 - heat)
    assert tuple(drops) == FILLS
    assert all(tuple(ways) == (*SELECTIONS, PLAIN) for ways in drops.values())
    _, *hidden = seen
    means, blurs = hidden[: len(SELECTIONS) + 1], hidden[len(SELECTIONS) + 1 :]
    for by_mean, by_blur in zip(means, blurs, strict=True):
        changed = by_mean != images
        assert (changed.sum(axis=(1, 2, 3)) >= 18).all(), "a fifth of 100, less what was equal to the mean"
        assert (changed.sum(axis=(1, 2, 3)) <= 20).all()
        assert len(np.unique(by_mean[0][changed[0]])) == 1
        assert len(np.unique(by_blur[0][by_blur[0] != images[0]])) > 5
        assert not ((by_blur != images) & ~changed & (images != np.round(images.mean((1, 2, 3), keepdims=True)))).any()


def test_no_images_give_no_drops():
    drops = masking_drops(left_edge, lambda *_: np.zeros((0, 10, 10)), edge_faces(0))
    assert [values.shape for ways in drops.values() for values in ways.values()] == [(0,)] * len(FILLS) * len(
        SELECTIONS
    )


@pytest.mark.parametrize("heat", [np.zeros((5, 4)), np.arange(20.0).reshape(5, 4)])
def test_exactly_a_fifth_is_selected_even_from_equal_values(heat):
    mask = highest(heat)
    assert mask.sum() == 4
    assert heat[mask].min() >= heat[~mask].max()


def test_mean_with_interval_and_its_text():
    assert mean_with_interval(np.array([0.0, 1.0] * 50)) == (0.5, pytest.approx(0.0985, abs=1e-3))
    values = np.array([0.1, 0.3])
    text = as_text({"blur": {SELECTIONS[0]: values + 0.2, SELECTIONS[1]: values, SELECTIONS[2]: values}})
    assert "2 images, 20% of the pixels hidden, filled with the image, blurred" in text
    assert f"{SELECTIONS[0]} more than {SELECTIONS[1]}: 0.200 (0.200 to 0.200)" in text


def test_the_command_prints_all_selections(tmp_path, capsys):
    data = write_folders(tmp_path / "data", train=1)
    model_file, weights_file = export(NETWORKS["shallow"](32), tmp_path)
    words = ["masking", "--data", str(data), "--model", str(model_file), "--weights", str(weights_file)]
    assert main([*words, "--images", "5"]) == 0
    printed = capsys.readouterr().out
    assert "5 images" in printed
    assert all(printed.count(f"  {way}: ") == len(FILLS) for way in (*SELECTIONS, PLAIN))

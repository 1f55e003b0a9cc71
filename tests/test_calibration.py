import json
import re

import numpy as np
import pytest

from mien.cnn.loader import import_keras
from mien.types import EXPRESSIONS
from model import FacialExpressionModel
from tests.synthetic import write_folders
from tests.tiny_networks import scatter_weights
from training.__main__ import main
from training.data.dataset import load_dataset
from training.evaluate.calibration import HIGHEST, LOWEST, at_temperature, fit_temperature, fold_into
from training.export import export
from training.recipe import RunError

keras = import_keras()


def drawn(temperature, n=4000):
    """Probabilities that are off by this temperature, and labels drawn from the true ones."""
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, (n, 7))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (true.cumsum(axis=1) > rng.uniform(size=(n, 1))).argmax(axis=1)
    return at_temperature(true, 1 / temperature), labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7])
def test_the_temperature_of_over_and_underconfidence_is_found(temperature):
    assert fit_temperature(*drawn(temperature)) == pytest.approx(temperature, rel=0.05)


@pytest.mark.parametrize(("shift", "expected"), [(0, LOWEST), (1, HIGHEST)])
def test_always_right_and_always_wrong_keep_the_temperature_within_bounds(shift, expected):
    labels = np.arange(7)
    probabilities = 0.3 * np.eye(7)[(labels + shift) % 7] + 0.1
    assert fit_temperature(probabilities, labels) == pytest.approx(expected, rel=1e-3)


def tiny():
    layers = keras.layers
    body = [layers.Rescaling(1 / 255), layers.AveragePooling2D(4), layers.Flatten()]
    last = layers.Dense(7, activation="softmax")
    return scatter_weights(keras.Sequential([layers.Input((48, 48, 1)), *body, last]))


def test_folded_weights_give_the_same_labels_with_another_confidence():
    network = tiny()
    images = np.random.default_rng(0).integers(0, 256, (5, 48, 48, 1)).astype(np.float32)
    before = keras.ops.convert_to_numpy(network(images))
    fold_into(network, 2.5)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(network(images)), at_temperature(before, 2.5), atol=1e-6)


def test_a_network_without_a_softmax_at_the_end_is_reported():
    network = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(7)])
    with pytest.raises(RunError, match="expected a dense layer with softmax"):
        fold_into(network, 2.0)


def test_the_command_writes_the_temperature_into_the_weights(tmp_path, capsys):
    data = write_folders(tmp_path / "data")
    files = export(tiny(), tmp_path)
    images = load_dataset(data).validation.images
    before = FacialExpressionModel(*files, runtime="keras").predict(images)
    words = ["calibrate", "--data", str(data), "--model", str(files[0]), "--weights", str(files[1])]
    assert main([*words, "--in-place"]) == 0
    printed = capsys.readouterr().out
    assert "on 14 images (PublicTest)" in printed
    assert "may have memorized them" not in printed
    temperature = json.loads(files[0].read_text())["temperature"]
    assert f"temperature {temperature:.4f}" in printed
    after = FacialExpressionModel(*files, runtime="keras").predict(images)
    np.testing.assert_allclose(after, at_temperature(before, temperature), atol=1e-5)
    assert main([*words, "--export", str(tmp_path / "again")]) == 0
    further = float(re.search(r"temperature ([\d.]+);", capsys.readouterr().out)[1])
    whole = json.loads((tmp_path / "again" / "model.json").read_text())["temperature"]
    assert whole == pytest.approx(temperature * further, rel=1e-3), "the total divisor of the trained weights"
    files[0].write_text(json.dumps({**json.loads(files[0].read_text()), "expressions": list(reversed(EXPRESSIONS))}))
    before = FacialExpressionModel(*files, runtime="keras").predict(images)
    assert main([*words, "--in-place"]) == 0
    stored = json.loads(files[0].read_text())
    assert stored["expressions"] == list(reversed(EXPRESSIONS)), "the outputs stay where they are"
    found = FacialExpressionModel(*files, runtime="keras").predict(images)
    assert (found.argmax(axis=1) == before.argmax(axis=1)).all()


def test_a_whole_network_is_calibrated_and_says_how_it_is_fed(tmp_path, capsys):
    data, whole, out = write_folders(tmp_path / "data"), tmp_path / "whole.keras", tmp_path / "out"
    tiny().save(whole)
    labels = ("disgust", "angry", *EXPRESSIONS[2:])
    words = ["calibrate", "--data", str(data), "--model", str(whole), "--pixels", "-1..1", "--labels", ",".join(labels)]
    assert main([*words, "--in-place"]) == 2
    assert "--in-place: expected model.json, found a whole network" in capsys.readouterr().err
    assert main([*words, "--export", str(out)]) == 0
    assert "fed with pixels -1..1" in capsys.readouterr().out
    stored = json.loads((out / "model.json").read_text())
    assert (stored["pixels"], stored["expressions"]) == ("-1..1", list(labels))
    images = load_dataset(data).validation.images
    before = FacialExpressionModel(whole, pixels="-1..1", labels=labels, runtime="keras").predict(images)
    after = FacialExpressionModel(out / "model.json", out / "model_weights.h5", runtime="keras").predict(images)
    np.testing.assert_allclose(after, at_temperature(before, stored["temperature"]), atol=1e-5)
    few = ",".join([*EXPRESSIONS[:6], "neutral=none"])
    assert main([*words[:-1], few.replace("neutral,", ""), "--export", str(out)]) == 2
    assert "labels: expected 7, one for each output, found 6" in capsys.readouterr().err


def test_images_held_out_of_training_are_reported(tmp_path, capsys):
    data = write_folders(tmp_path / "data", public=0, private=0)
    files = export(tiny(), tmp_path)
    words = ["calibrate", "--data", str(data), "--model", str(files[0]), "--weights", str(files[1])]
    assert main([*words, "--in-place"]) == 0
    printed = capsys.readouterr().out
    assert "a network trained elsewhere may have memorized them" in printed
    assert "(held out of training)" in printed

"""How a network was fed: chosen, guessed from its layers, and checked on the demo's faces."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import tiny_networks as tiny

import mien
from mien.batch.provenance import describe
from mien.cnn import feeding
from mien.cnn.feeding import PIXELS, feed, wanted_pixels
from mien.cnn.guess import guess_pixels
from mien.cnn.loader import import_keras
from mien.errors import ModelError
from mien.labels import OutputLabels
from mien.reading_check import Readings, demo_faces
from mien.settings import AnalysisSettings, read_settings
from mien.types import EXPRESSIONS
from model import FacialExpressionModel

keras = import_keras()
ROOT = Path(__file__).parent.parent
SIDE_PX = 16
RANGES = {"0..255": (0, 255), "0..1": (0, 1), "-1..1": (-1, 1)}


@pytest.fixture
def lines(caplog) -> Callable[[], list[str]]:
    """What is logged about pixels."""
    caplog.set_level(logging.INFO)
    return lambda: [line for line in (record.getMessage() for record in caplog.records) if "pixels" in line]


def faces() -> np.ndarray:
    return demo_faces((SIDE_PX, SIDE_PX)).reshape(-1, SIDE_PX, SIDE_PX, 1).astype(np.float32)


def reader(pixels: str) -> Any:
    """A network that names all of the demo's faces right, but only with this range of pixels: others saturate it."""
    center, half = {"0..1": (0.5, 0.25), "-1..1": (0.0, 0.5), "0..255": (128.0, 64.0), "standardize": (0.0, 1.0)}[
        pixels
    ]
    network = keras.Sequential(
        [
            keras.layers.InputLayer((SIDE_PX, SIDE_PX, 1)),
            keras.layers.Dense(1),
            keras.layers.Activation("tanh"),
            keras.layers.Flatten(),
            keras.layers.Dense(7, activation="softmax"),
        ]
    )
    network.layers[0].set_weights([np.float32([[1 / half]]), np.float32([-center / half])])
    features = np.tanh((feed(faces(), pixels).reshape(21, -1) - center) / half)
    features = np.hstack([features, np.ones((21, 1))])
    targets = np.tile(20 * np.eye(7), (3, 1))
    solved = np.linalg.lstsq(features, targets, rcond=None)[0].astype(np.float32)
    network.layers[-1].set_weights([solved[:-1], solved[-1]])
    return network


def normalized(pixels: str, *, direct: bool) -> Any:
    """A network whose first batch normalization has the statistics of training with this range of pixels."""
    image = keras.layers.Input((SIDE_PX, SIDE_PX, 1))
    keras.utils.set_random_seed(3)
    inputs = image if direct else keras.layers.Conv2D(8, 3, activation="relu")(image)
    norm = keras.layers.BatchNormalization()
    outputs = keras.layers.Dense(7, activation="softmax")(keras.layers.Flatten()(norm(inputs)))
    network = keras.Model(image, outputs)
    if not direct:
        network.layers[1].bias.assign(np.linspace(-0.3, 0.3, 8))
    seen = np.asarray(keras.Model(image, inputs)(feed(0.8 * faces() + 20, pixels)))  # similar faces, not the same
    norm.moving_mean.assign(seen.mean(axis=(0, 1, 2)))
    norm.moving_variance.assign(seen.var(axis=(0, 1, 2)))
    return network


@pytest.mark.parametrize("pixels", PIXELS)
def test_each_range_of_pixels_is_what_its_name_says(pixels):
    gray = np.random.default_rng(0).integers(0, 256, (4, 9, 9)).astype(np.float32)
    gray[0].flat[:2] = 0, 255
    fed = feed(gray, pixels)
    assert fed.dtype == np.float32
    if pixels == "standardize":
        np.testing.assert_allclose(fed.mean(axis=(1, 2)), 0, atol=1e-5)
        np.testing.assert_allclose(fed.std(axis=(1, 2)), 1, atol=1e-5)
        assert not feed(np.full((1, 9, 9), 7, np.float32), pixels).any(), "a uniform face must not be divided by 0"
    else:
        np.testing.assert_allclose((fed.min(), fed.max()), RANGES[pixels], atol=1e-6)


@pytest.mark.parametrize(
    ("pixels", "input_scale", "expected"),
    [
        (None, None, None),
        (None, 1, "0..255"),
        (None, 255, "0..1"),
        ("0..1", 255, "0..1"),
        ("0..255", 1, "0..255"),
        ("-1..1", None, "-1..1"),
        ("standardize", None, "standardize"),
    ],
)
def test_the_input_scale_is_a_name_of_two_ranges(pixels, input_scale, expected):
    assert wanted_pixels(pixels, input_scale) == expected


@pytest.mark.parametrize(
    ("pixels", "input_scale", "message"),
    [
        ("-1..1", 255, r"pixels: expected 0\.\.1, which the input scale 255 means, .* found -1\.\.1"),
        ("0..1", 1, r"pixels: expected 0\.\.255, which the input scale 1 means"),
        ("0..2", None, r"pixels: expected 0\.\.255, 0\.\.1, -1\.\.1 or standardize, found '0\.\.2'"),
        (None, 2, "input scale: expected 1 or 255, found 2"),
    ],
)
def test_contradictions_are_refused(pixels, input_scale, message):
    with pytest.raises(ModelError, match=message):
        FacialExpressionModel(pixels=pixels, input_scale=input_scale)


def test_the_settings_know_the_same_ranges():
    declared = get_args(get_args(get_type_hints(AnalysisSettings)["pixels"])[0])
    assert declared == PIXELS == get_args(feeding.Pixels)
    for pixels in PIXELS:
        assert read_settings(["--pixels", pixels], {}).pixels == pixels
        assert read_settings([f"--pixels={pixels}"], {}).pixels == pixels
        assert read_settings([], {"MIEN_PIXELS": pixels}).pixels == pixels


@pytest.mark.parametrize("pixels", PIXELS)
def test_the_network_sees_the_range(tmp_path, pixels):
    files = tiny.write_keras_3(tiny.sequential(keras), tmp_path)
    model = FacialExpressionModel(*files, pixels=pixels)
    given = tiny.faces()
    assert model.pixels == pixels
    np.testing.assert_allclose(model.as_input(given)[..., 0], feed(given.astype(np.float32), pixels), atol=1e-6)
    expected = model.network(feed(given.astype(np.float32)[..., np.newaxis], pixels), training=False)
    np.testing.assert_allclose(model.predict(given), expected, atol=1e-5)


@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize("pixels", PIXELS)
def test_the_first_batch_normalization_tells_the_range(pixels, direct):
    found = guess_pixels(normalized(pixels, direct=direct), faces())
    assert found == (pixels, "its first batch normalization")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("axis", [1, 2, 3, (1, 2), (1, 2, 3), None])
def test_a_normalization_of_any_axes_tells_the_range(axis, channels):
    image = keras.layers.Input((SIDE_PX, SIDE_PX, channels))
    norm = keras.layers.Normalization(axis=axis)
    seen = np.repeat(faces(), channels, axis=3)
    norm.adapt(feed(0.8 * seen + 20, "0..1"))
    network = keras.Model(image, keras.layers.Flatten()(norm(image)))
    assert guess_pixels(network, seen) == ("0..1", "its Normalization layer")


def test_a_batch_normalization_over_rows_tells_the_range_too(tmp_path):
    image = keras.layers.Input((SIDE_PX, SIDE_PX, 1))
    maps = keras.layers.Conv2D(8, 3, activation="relu", kernel_initializer="ones")(image)
    norm = keras.layers.BatchNormalization(axis=1)
    network = keras.Model(image, keras.layers.Dense(7, "softmax")(keras.layers.Flatten()(norm(maps))))
    seen = np.asarray(keras.Model(image, maps)(feed(faces(), "0..1")))
    norm.moving_mean.assign(seen.mean(axis=(0, 2, 3)))
    norm.moving_variance.assign(seen.var(axis=(0, 2, 3)))
    assert FacialExpressionModel(*tiny.write_keras_3(network, tmp_path)).pixels == "0..1"


def test_a_network_whose_layers_cannot_be_judged_loads(tmp_path, monkeypatch):
    def fail(*_: Any) -> None:
        raise ValueError("shapes")

    monkeypatch.setattr("model.guess_pixels", fail)
    assert FacialExpressionModel(*tiny.write_keras_3(tiny.sequential(keras), tmp_path), runtime="keras").pixels


def starting_with(*first: Any) -> Any:
    body = [keras.layers.Flatten(), keras.layers.Dense(7)]
    return keras.Sequential([keras.layers.InputLayer((SIDE_PX, SIDE_PX, 1)), *first, *body])


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (lambda layers: layers.Rescaling(1 / 255), "0..255"),
        (lambda layers: layers.Rescaling(1 / 127.5, offset=-1), "0..255"),
        (lambda layers: layers.Rescaling(2.0, offset=-1), "0..1"),
        (lambda layers: layers.Rescaling(1.5), None),
        (lambda layers: keras.Sequential([layers.Rescaling(1 / 255), layers.ReLU()]), "0..255"),
        (lambda layers: layers.Normalization(mean=0.5, variance=0.06), "0..1"),
        (lambda layers: layers.BatchNormalization(), None),  # never trained
        (lambda layers: layers.ReLU(), None),
    ],
)
def test_scaling_layers_tell_the_range(first, expected):
    found = guess_pixels(starting_with(first(keras.layers)), faces())
    assert (found and found[0]) == expected


def test_what_the_layers_tell_is_used_and_said(tmp_path, lines):
    files = tiny.write_keras_3(normalized("-1..1", direct=False), tmp_path)
    assert FacialExpressionModel(*files).pixels == "-1..1"
    assert lines() == [
        "the network is fed with pixels -1..1, as its first batch normalization tells; --pixels chooses others"
    ]


def test_a_line_says_that_the_layers_tell_something_else(tmp_path, lines):
    files = tiny.write_keras_3(normalized("-1..1", direct=False), tmp_path)
    assert FacialExpressionModel(*files, input_scale=255).pixels == "0..1"
    (line,) = lines()
    assert line.endswith("fed with pixels 0..1, but its first batch normalization tells --pixels -1..1")


@pytest.mark.parametrize("right", ["0..1", "-1..1"])
def test_a_line_says_when_another_range_reads_the_demo_much_better(tmp_path, lines, right):
    files = tiny.write_keras_3(reader(right), tmp_path)
    assert FacialExpressionModel(*files, pixels="0..255").pixels == "0..255"
    (line,) = lines()
    assert line.startswith("fed with pixels 0..255, the network names ")
    assert line.endswith(f"with --pixels {right}, 100 %")


@pytest.mark.parametrize("right", PIXELS)
def test_there_is_no_line_with_the_right_range(tmp_path, lines, right):
    FacialExpressionModel(*tiny.write_keras_3(reader(right), tmp_path), pixels=right)
    assert not lines()


def test_there_is_no_line_for_the_shipped_network_and_it_is_not_checked(lines, monkeypatch):
    monkeypatch.setattr("model.read_demo_faces", lambda *_: pytest.fail("this takes time"))
    assert FacialExpressionModel().pixels == "0..255"
    assert not lines()


def test_the_answer_is_kept_in_the_cache(tmp_path, lines, monkeypatch):
    files = tiny.write_keras_3(normalized("-1..1", direct=False), tmp_path)
    monkeypatch.setattr("mien.cnn.cache.CompiledCache.compile_later", lambda *_: None)
    FacialExpressionModel(*files, cache=tmp_path / "cache")
    (kept,) = (tmp_path / "cache").glob("*.readings.json")
    monkeypatch.setattr("model.read_demo_faces", lambda *_: pytest.fail("this takes time"))
    assert FacialExpressionModel(*files, cache=tmp_path / "cache").pixels == "-1..1"
    assert len(lines()) == 2
    monkeypatch.undo()
    kept.write_text("{", encoding="utf-8")
    monkeypatch.setattr("mien.cnn.cache.CompiledCache.compile_later", lambda *_: None)
    assert FacialExpressionModel(*files, cache=tmp_path / "cache").pixels == "-1..1"
    assert Readings.load(kept) is not None


def test_labels_count_in_the_check():
    right = tuple(range(7)) * 3
    readings = Readings(dict.fromkeys(PIXELS, (0,) * 21) | {"0..1": right})
    assert readings.better(OutputLabels(), "0..255") == "0..1"
    assert readings.better(OutputLabels(), "0..1") is None
    assert readings.better(OutputLabels.of(EXPRESSIONS[::-1]), "0..255") is None
    assert readings.right(OutputLabels.of("angry,disgust,fear"), "0..1") == 1, "of three expressions, all are right"


def test_model_json_may_store_the_range(tmp_path, lines):
    files = tiny.write_keras_3(tiny.sequential(keras), tmp_path)
    document = json.loads(files[0].read_text()) | {"pixels": "standardize"}
    files[0].write_text(json.dumps(document))
    assert FacialExpressionModel(*files).pixels == "standardize"
    assert FacialExpressionModel(*files, pixels="0..1").pixels == "0..1"
    files[0].write_text(json.dumps(document | {"pixels": "\x1b[2J" * 99}))
    with pytest.raises(ModelError, match=r"model\.json: pixels: expected one of") as caught:
        FacialExpressionModel(*files)
    assert str(caught.value).isprintable()


def test_the_python_functions_take_a_network(tmp_path):
    """`app.load` gives the class under another name of its module; both are the same code."""
    model = mien.FacialExpressionModel(*tiny.write_keras_3(reader("-1..1"), tmp_path), pixels="-1..1")
    photo = np.full((120, 160, 3), 128, np.uint8)
    assert mien.analyze_image(photo, detector="haar", model=model).faces == ()
    camera = mien.open_camera("demo", detector="haar", model=model)
    assert camera._pipeline.classifier is model


def test_the_provenance_says_the_range(tmp_path):
    files = tiny.write_keras_3(tiny.sequential(keras), tmp_path)
    settings = read_settings(["--model", str(files[0]), "--weights", str(files[1]), "--pixels", "-1..1"], {})
    from mien.batch.analysis import load_pipeline

    described = describe(settings, load_pipeline(settings))
    assert described["network"]["pixels"] == "-1..1"
    assert described["settings"]["pixels"] == "-1..1"

"""Files of Keras 3, tf_keras and the classic programs load with every weight in place."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tiny_networks as tiny

from mien.cnn.keras2 import upgrade
from mien.cnn.loader import import_keras, load_network

keras = import_keras()


@pytest.fixture(scope="module")
def tf_keras() -> Any:
    return pytest.importorskip("tf_keras", reason="writes files of Keras 2; in requirements for development")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return tiny.write_keras_3(tiny.sequential(keras), tmp_path)


def answers(network: Any, size_px: int = tiny.SIZE_PX, channels: int = 1) -> np.ndarray:
    pixels = np.repeat(tiny.faces(size_px=size_px)[..., np.newaxis].astype(np.float32), channels, axis=-1)
    return np.asarray(network(pixels, training=False))


def half_precision(keras: Any) -> Any:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        return tiny.sequential(keras)
    finally:
        keras.config.set_dtype_policy("float32")


def with_augmentation(keras: Any) -> Any:
    layers = keras.layers
    image = layers.InputLayer((tiny.SIZE_PX, tiny.SIZE_PX, 1))
    augmentation = [layers.RandomFlip("horizontal"), layers.RandomRotation(0.1), layers.RandomContrast(0.1)]
    body = [layers.Flatten(), layers.Dropout(0.5), layers.Dense(7, activation="softmax")]
    return tiny.scatter_weights(keras.Sequential([image, *augmentation, *body]))


def network_last(keras: Any) -> Any:
    """A functional network whose output is that of a Sequential inside."""
    layers = keras.layers
    head = keras.Sequential([layers.Dense(5), layers.Dense(7, activation="softmax")])
    image = layers.Input((tiny.SIZE_PX, tiny.SIZE_PX, 1))
    return tiny.scatter_weights(keras.Model(image, head(layers.Flatten()(layers.Rescaling(1 / 255)(image)))))


def compiled(keras: Any) -> Any:
    network = tiny.sequential(keras)
    network.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return network


NETWORKS = [tiny.sequential, tiny.residual, network_last, with_augmentation, compiled]


@pytest.mark.parametrize("name", ["model_weights.h5", "w.weights.h5", "renamed.h5", "renamed.weights.h5", "renamed"])
@pytest.mark.parametrize("build", NETWORKS)
def test_keras_3(build: Any, name: str, tmp_path: Path) -> None:
    network = build(keras)
    written = tmp_path / {"renamed.h5": "w.weights.h5"}.get(name, "model_weights.h5" if "renamed" in name else name)
    if written.name.endswith(".weights.h5"):
        network.save_weights(written)
    else:
        network.save(written, include_optimizer=False)
    weights = shutil.move(written, tmp_path / name)
    loaded = load_network(tiny.write_json(network, tmp_path), weights)
    np.testing.assert_allclose(answers(loaded), answers(network), atol=1e-6)


def test_a_single_input_or_output_in_a_list_is_unwrapped(tmp_path: Path) -> None:
    network = tiny.residual(keras)
    listed = keras.Model(network.inputs, network.outputs)
    loaded = load_network(*tiny.write_keras_3(listed, tmp_path))
    np.testing.assert_allclose(answers(loaded), answers(network), atol=1e-6)


def test_half_precision_runs_in_float32(tmp_path: Path) -> None:
    network = half_precision(keras)
    loaded = load_network(*tiny.write_keras_3(network, tmp_path))
    assert {layer.compute_dtype for layer in loaded.layers} == {"float32"}
    np.testing.assert_allclose(answers(loaded), answers(network).astype(np.float32), atol=0.02)


@pytest.mark.parametrize("name", ["weights_only.h5", "whole.h5", "native.weights.h5"])
@pytest.mark.parametrize("build", NETWORKS)
def test_tf_keras(build: Any, name: str, tf_keras: Any, tmp_path: Path) -> None:
    network = build(tf_keras)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # TF-Keras recommends .keras
        (network.save if name == "whole.h5" else network.save_weights)(tmp_path / name)
    loaded = load_network(tiny.write_json(network, tmp_path), tmp_path / name)
    np.testing.assert_allclose(answers(loaded), answers(network), atol=1e-5)


@pytest.mark.parametrize("dialect", ["2.2.4-tf", "2.1.6"])
def test_classic_files(dialect: str, tmp_path: Path) -> None:
    network = tiny.classic_network(keras)
    loaded = load_network(*tiny.write_classic(network, tiny.classic_document(dialect), tmp_path))
    assert loaded.input_shape == (None, 48, 48, 1)
    np.testing.assert_allclose(answers(loaded, 48), answers(network, 48), atol=1e-6)


def test_keras_2_reads_the_classic_files_identically(tf_keras: Any, tmp_path: Path) -> None:
    files = tiny.write_classic(tiny.classic_network(keras), tiny.classic_document("2.2.4-tf"), tmp_path)
    reference = tf_keras.models.model_from_json(files[0].read_text())
    reference.load_weights(files[1])
    np.testing.assert_allclose(answers(load_network(*files), 48), answers(reference, 48), atol=1e-5)


def test_a_classic_file_whose_layers_were_renamed_loads_by_order(tmp_path: Path) -> None:
    network, document = tiny.classic_network(keras), tiny.classic_document("2.2.4-tf")
    json_path, weights_path = tiny.write_classic(network, document, tmp_path)
    json_path.write_text(json_path.read_text().replace('"conv2d', '"convolution'))
    np.testing.assert_allclose(answers(load_network(json_path, weights_path), 48), answers(network, 48), atol=1e-6)


@pytest.mark.parametrize("wrap", [json.dumps, lambda text: "\ufeff" + text, lambda text: text.replace(" ", "\n")])
def test_json_with_unusual_formatting_is_read(wrap: Any, files: tuple[Path, Path]) -> None:
    before = answers(load_network(*files))
    files[0].write_text(wrap(files[0].read_text()), encoding="utf-8")
    np.testing.assert_array_equal(answers(load_network(*files)), before)


def test_upgrade_does_not_change_its_argument() -> None:
    document = tiny.classic_document("2.2.4-tf")
    upgraded = upgrade(document)
    assert document == tiny.classic_document("2.2.4-tf")
    assert [layer["class_name"] for layer in upgraded["config"]["layers"][:2]] == ["InputLayer", "Conv2D"]


def test_dropout_seeds_are_not_weights(tmp_path: Path) -> None:
    """Some versions of Keras save them beside the weights."""
    network, weights_path = tiny.sequential(keras), tmp_path / "model.weights.h5"
    network.save_weights(weights_path)
    with h5py.File(weights_path, "r+") as file:
        file["layers/dropout/seed_generator/vars/0"] = np.array([1, 2], np.uint32)
    loaded = load_network(tiny.write_json(network, tmp_path), weights_path)
    np.testing.assert_allclose(answers(loaded), answers(network), atol=1e-6)


def test_weights_are_matched_by_name_in_any_order(tmp_path: Path) -> None:
    """Layers of equal shape in another order, as another Keras may sort parallel branches."""
    network = tiny.residual(keras)
    json_path, weights_path = tiny.write_keras_3(network, tmp_path)
    with h5py.File(weights_path, "r+") as file:
        attributes = file["model_weights"].attrs
        attributes["layer_names"] = attributes["layer_names"][::-1]
    np.testing.assert_allclose(answers(load_network(json_path, weights_path)), answers(network), atol=1e-6)

"""Pooling before normalization: the same predictions, also in training, and an export in the usual order."""

import dataclasses

import keras
import numpy as np
import pytest
import tiny_networks

from tests.synthetic import write_folders
from training.data.dataset import load_dataset
from training.fit.fitting import build, fit, prepare
from training.fit.graph_edits import computing_in, pool_first, pool_last
from training.networks import NETWORKS
from training.recipe import Recipe, RunError

layers, as_numpy = keras.layers, keras.ops.convert_to_numpy
BLOCK = [layers.Conv2D, layers.BatchNormalization, layers.Activation, layers.MaxPooling2D]
SMALL = Recipe(network="shallow", side_px=32, batch_size=16, epochs=2, warmup_epochs=0, pool_first=True)


def two_blocks():
    """A trained network of two blocks, the second with a bias: some of its normalizations have a negative scale."""
    network = keras.Sequential(
        [
            layers.Input((12, 12, 1)),
            layers.Rescaling(1 / 127.5, offset=-1),
            *(layers.Conv2D(6, 3, padding="same", use_bias=False), layers.BatchNormalization()),
            *(layers.Activation("relu"), layers.MaxPooling2D()),
            *(layers.Conv2D(5, 3), layers.BatchNormalization(), layers.Activation("relu"), layers.MaxPooling2D()),
            layers.Flatten(),
            layers.Dense(7, activation="softmax"),
        ],
        name="two_blocks",
    )
    return tiny_networks.scatter_weights(network)


def kinds(network):
    return [type(layer) for layer in network.layers if isinstance(layer, tuple(BLOCK))]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return load_dataset(write_folders(tmp_path_factory.mktemp("data"), train=8), side_px=32)


@pytest.mark.parametrize("measured", [True, False])
def test_predictions_stay_the_same_after_reordering_and_back(measured):
    network = two_blocks()
    faces = tiny_networks.faces(64)[..., np.newaxis]
    expected = network.predict(faces, verbose=0)
    assert (network.layers[2].get_weights()[0] < 0).any(), "the hard case"
    moved = pool_first(network, faces if measured else None)
    assert kinds(moved) == [BLOCK[0], BLOCK[3], BLOCK[1], BLOCK[2]] * 2
    np.testing.assert_allclose(moved.predict(faces, verbose=0), expected, atol=1e-5)
    back = pool_last(moved)
    assert kinds(back) == BLOCK * 2
    np.testing.assert_allclose(back.predict(faces, verbose=0), expected, atol=1e-5)
    np.testing.assert_array_equal(network.predict(faces, verbose=0), expected)


def test_batch_statistics_after_pooling_match_those_measured_on_images():
    network = two_blocks()
    faces = tiny_networks.faces(64)[..., np.newaxis].astype(np.float32)
    expected = as_numpy(network(faces, training=False))
    measured = as_numpy(pool_first(network, faces)(faces, training=True))
    np.testing.assert_allclose(measured, expected, atol=1e-4)
    unmeasured = as_numpy(pool_first(network)(faces, training=True))
    assert np.abs(unmeasured - expected).max() > 0.01


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (NETWORKS["elu"](32), "found elu without"),
        (NETWORKS["shallow"](32, batch_norm=False), "found shallow without"),
    ],
)
def test_other_networks_are_refused(network, message):
    with pytest.raises(RunError, match=f"pool_first: expected a network with blocks of Conv2D, Batch.*{message}"):
        pool_first(network)


@pytest.mark.parametrize(
    ("convolution", "norm", "activation", "message"),
    [
        ({}, {}, "elu", "blocks with ReLU, found elu"),
        ({"activation": "relu"}, {}, "relu", "convolutions without activation, found relu"),
        ({}, {"scale": False}, "relu", "normalization with scale and center, found batch_normalization"),
        ({}, {"center": False}, "relu", "normalization with scale and center"),
    ],
)
def test_blocks_of_another_kind_are_refused(convolution, norm, activation, message):
    chain = [layers.Conv2D(2, 3, **convolution), layers.BatchNormalization(**norm), layers.Activation(activation)]
    network = keras.Sequential([layers.Input((12, 12, 1)), *chain, layers.MaxPooling2D()])
    with pytest.raises(RunError, match=message):
        pool_first(network)


def test_a_network_with_branches_is_refused():
    with pytest.raises(RunError, match="without branches, found hybrid_lbp with branches"):
        pool_first(NETWORKS["hybrid_lbp"](32))


def test_normalization_after_pooling_never_learns_a_negative_scale():
    network = pool_first(two_blocks())
    network.compile(keras.optimizers.SGD(50.0), "categorical_crossentropy")
    rng = np.random.default_rng(0)
    network.fit(tiny_networks.faces(64)[..., np.newaxis], np.eye(7)[rng.integers(0, 7, 64)], epochs=3, verbose=0)
    norms = [layer for layer in network.layers if isinstance(layer, layers.BatchNormalization)]
    assert min(layer.get_weights()[0].min() for layer in norms) == 0
    back = pool_last(network)
    assert not any(layer.gamma_constraint for layer in back.layers if isinstance(layer, layers.BatchNormalization))
    faces = tiny_networks.faces(64)[..., np.newaxis]
    np.testing.assert_allclose(back.predict(faces, verbose=0), network.predict(faces, verbose=0), atol=1e-4)


def test_the_restored_order_gives_the_same_in_training():
    faces = tiny_networks.faces(64)[..., np.newaxis].astype(np.float32)
    back = pool_last(pool_first(two_blocks(), faces), faces)
    np.testing.assert_allclose(as_numpy(back(faces, training=True)), as_numpy(back(faces, training=False)), atol=1e-4)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_copies_predict_the_same_whatever_layers_they_have(precision):
    inside = keras.Sequential([layers.Input((12, 12, 1)), layers.Conv2D(4, 3), layers.Flatten()], name="inside")
    scaled = layers.Normalization(axis=None, mean=120.0, variance=70.0**2)
    measured = layers.Normalization(axis=None)
    faces = tiny_networks.faces(16)[..., np.newaxis].astype(np.float32)
    measured.adapt(faces / 100)
    network = keras.Sequential(
        [layers.Input((12, 12, 1)), scaled, measured, inside, layers.Dense(7), layers.Dropout(0.1), layers.Softmax()]
    )
    copy = computing_in(precision, network)
    np.testing.assert_allclose(
        copy.predict(faces, verbose=0), network.predict(faces, verbose=0), atol=1e-6 if precision == "float32" else 0.05
    )
    dtypes = [layer.compute_dtype for layer in copy.layers]
    assert dtypes[-3:] == ["float32"] * 3, "logits and softmax"
    assert copy.get_layer("inside").layers[0].compute_dtype == precision.removeprefix("mixed_")


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_a_run_trains_with_pooling_first_and_exports_the_usual_order(precision, dataset, tmp_path):
    recipe = dataclasses.replace(SMALL, precision=precision)
    run = prepare(recipe, dataset, tmp_path)
    assert kinds(run.network) == [BLOCK[0], BLOCK[3], BLOCK[1], BLOCK[2]]
    assert run.network.layers[1].compute_dtype == precision.removeprefix("mixed_")
    run.trainer.fit(**run.arguments, verbose=0)
    best = run.best()
    assert kinds(best) == BLOCK
    assert {layer.compute_dtype for layer in best.layers} == {"float32"}
    same_weights = prepare(recipe, dataset, tmp_path)  # a finished run
    assert same_weights.finished
    images = dataset.test.images
    np.testing.assert_allclose(
        best.predict(images, verbose=0),
        run.network.predict(images, verbose=0),
        atol=1e-5 if precision == "float32" else 0.02,
    )


def test_training_continues_from_a_trained_network(dataset, tmp_path):
    start, _ = build(dataclasses.replace(SMALL, pool_first=False))
    tiny_networks.scatter_weights(start)
    before = start.predict(dataset.train.images, verbose=0)
    recipe = dataclasses.replace(SMALL, start="123456789abc", precision="mixed_bfloat16", self_distil=0.25, epochs=1)
    run = prepare(recipe, dataset, tmp_path, start=start)
    np.testing.assert_allclose(run.network.predict(dataset.train.images, verbose=0), before, atol=0.05)
    mirrored = start.predict(dataset.train.images[:, :, ::-1], verbose=0)
    wanted = 0.75 * np.eye(7)[dataset.train.labels] + 0.25 * (before + mirrored) / 2
    batches = run.arguments["x"]
    np.testing.assert_allclose(batches[0][1], wanted[batches.order[:16]], atol=1e-5)
    fitted = fit(recipe, dataset, tmp_path, start=start)
    assert kinds(fitted) == BLOCK
    np.testing.assert_array_equal(start.predict(dataset.train.images, verbose=0), before)

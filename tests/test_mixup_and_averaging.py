"""Mixup, weight averaging, and training in bfloat16."""

import keras
import numpy as np
import pytest

from tests.synthetic import write_folders
from tests.test_training import SMALL, tiny_network
from tests.tiny_networks import register
from training.data.batches import Batches, MixUp, draw_shares, mixed
from training.data.dataset import load_dataset
from training.fit.callbacks import WeightAverage
from training.fit.fitting import prepare
from training.recipe import Recipe
from training.run_folder import read_history


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    register(monkeypatch, tiny_network)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return load_dataset(write_folders(tmp_path_factory.mktemp("data"), train=8))


def test_images_and_labels_are_mixed_in_the_same_proportion():
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (5, 4, 4, 1)).astype(np.float32)
    share = np.array([1, 0, 0.5, 0.25, 0.75], np.float32)
    found = np.asarray(MixUp()((images, share), training=True))
    np.testing.assert_allclose(found[0], images[0])
    np.testing.assert_allclose(found[1], images[3])
    np.testing.assert_allclose(found[4], 0.75 * images[4] + 0.25 * images[0], rtol=1e-5)
    np.testing.assert_allclose(found[:, 0, 0], mixed(images[:, 0, 0], share), rtol=1e-5)
    np.testing.assert_array_equal(np.asarray(MixUp()((images, share))), images)


def test_shares_follow_the_distribution_of_the_paper():
    shares = draw_shares(0.2, 2000, np.random.default_rng(0))
    assert shares.mean() == pytest.approx(0.5, abs=0.05)
    assert ((shares < 0.05) | (shares > 0.95)).mean() > 0.5, "most images stay nearly as they are"
    assert (draw_shares(0.0, 3, np.random.default_rng(0)) == 1).all()


def test_batches_mix_labels_and_weights_and_return_the_share(dataset):
    batches = Batches(dataset.train, 10, seed=1, balance="weights", mixup=0.4)
    inputs, labels, weights = batches[1]
    assert set(inputs) == {"images", "share"}
    chosen = dataset.train.labels[batches.order[10:20]]
    np.testing.assert_allclose(labels, mixed(np.eye(7)[chosen], inputs["share"]))
    assert weights.shape == (10,)
    shares = batches.shares.copy()
    batches.start_epoch(1)
    assert (shares != batches.shares).any()
    batches.start_epoch(0)
    assert (shares == batches.shares).all()
    assert isinstance(Batches(dataset.train, 10, seed=1)[0][0], np.ndarray), "only images by default"


class Weights(keras.callbacks.Callback):
    """The first weights of the network: while it is validated, and when the next epoch begins."""

    def __init__(self):
        super().__init__()
        self.run = None
        self.validated, self.at_start = [], []

    def first(self):
        return keras.ops.convert_to_numpy(self.run.network.weights[0]).copy()

    def on_epoch_begin(self, epoch, logs=None):
        self.at_start.append(self.first())

    def on_test_end(self, logs=None):
        self.validated.append(self.first())


def test_the_averaged_weights_are_validated_and_saved_while_training_continues_with_the_others(dataset, tmp_path):
    watch = Weights()
    watch.run = prepare(Recipe(**SMALL, epochs=5, ema=0.6), dataset, tmp_path, callbacks=[watch])
    watch.run.trainer.fit(**watch.run.arguments, verbose=0)
    raws = watch.at_start[1:]
    expected = raws[0]
    for epoch, raw in enumerate(raws):
        keep = min(0.6, epoch / (epoch + 1))
        expected = keep * expected + (1 - keep) * raw
        np.testing.assert_allclose(watch.validated[epoch], expected, rtol=1e-4, atol=1e-6)
    assert np.abs(watch.validated[3] - raws[3]).max() > 1e-3
    accuracies = [row["val_accuracy"] for row in read_history(tmp_path)]
    best = accuracies.index(max(accuracies))
    np.testing.assert_array_equal(watch.run.best().get_weights()[0], watch.validated[best])


def test_weights_are_not_averaged_by_default(dataset, tmp_path):
    run = prepare(Recipe(**SMALL), dataset, tmp_path)
    assert not any(isinstance(layer, WeightAverage) for layer in run.trainer.layers)


def test_training_in_bfloat16_exports_a_float32_network(dataset, tmp_path):
    run = prepare(Recipe(**SMALL, epochs=1, precision="mixed_bfloat16", mixup=0.2), dataset, tmp_path)
    assert {layer.compute_dtype for layer in run.network.layers} >= {"bfloat16"}
    run.trainer.fit(**run.arguments, verbose=0)
    network = run.best()
    assert {layer.compute_dtype for layer in network.layers} == {"float32"}
    for one, other in zip(network.get_weights(), run.network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert keras.config.dtype_policy().name == "float32"

import json

import keras
import numpy as np
import pytest

from mien.expressions import EXPRESSIONS
from model import FacialExpressionModel
from tests.synthetic import write_csv, write_folders
from training import networks, recipe
from training.__main__ import main
from training.augment import Augment
from training.dataset import load_dataset
from training.export import export
from training.recipe import Batches, Recipe, RunError, build, fit, read_history


def tiny_network(side_px=48, *, conv_dropout=0.2, dense_dropout=0.3):
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((side_px, side_px, 1)),
            layers.Rescaling(1 / 127.5, offset=-1),
            layers.AveragePooling2D(4),
            layers.Flatten(),
            layers.Dropout(conv_dropout),
            layers.Dense(16, activation="relu"),
            layers.BatchNormalization(),
            layers.Dense(7, activation="softmax"),
        ]
    )


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(networks.NETWORKS, "tiny", tiny_network)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return load_dataset(write_folders(tmp_path_factory.mktemp("data"), train=8))


SMALL = {"network": "tiny", "batch_size": 16, "learning_rate": 0.01, "rotation_deg": 2.0, "shift": 0.01}


class Killed(Exception):
    """Stands for the power cut."""


class KillAt(keras.callbacks.Callback):
    def __init__(self, epoch, batch):
        super().__init__()
        self.at = (epoch, batch)
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise Killed


def test_six_layer_is_the_network_it_says():
    network = networks.six_layer()
    convolutions = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    dense = [layer for layer in network.layers if isinstance(layer, keras.layers.Dense)]
    assert [(c.filters, c.kernel_size) for c in convolutions] == [
        (64, (3, 3)),
        (128, (5, 5)),
        (512, (3, 3)),
        (512, (3, 3)),
    ]
    assert [d.units for d in dense] == [256, 512, 7]
    assert isinstance(network.layers[0], keras.layers.Rescaling), "scaling is part of the network"
    assert network.count_params() == pytest.approx(4.48e6, rel=0.01)
    untrained = network(np.zeros((2, 48, 48, 1), np.uint8)).shape
    assert untrained == (2, 7)


def test_a_resumed_run_equals_an_unbroken_one(dataset, tmp_path):
    plan = Recipe(**SMALL, epochs=3)
    unbroken = fit(plan, dataset, tmp_path / "unbroken")
    with pytest.raises(Killed):
        fit(plan, dataset, tmp_path / "broken", callbacks=(KillAt(1, 2),))
    assert len(read_history(tmp_path / "broken")) == 1
    said = []
    resumed = fit(plan, dataset, tmp_path / "broken", report=said.append)
    assert "after 1 epochs" in said[0]
    for one, other in zip(unbroken.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    histories = [read_history(tmp_path / name) for name in ("unbroken", "broken")]
    assert [row["val_loss"] for row in histories[0]] == pytest.approx(
        [row["val_loss"] for row in histories[1]], rel=1e-3
    )


def test_training_learns_keeps_the_best_and_exports_what_the_program_loads(dataset, tmp_path):
    plan = Recipe(**SMALL, epochs=12)
    network = fit(plan, dataset, tmp_path / "run")
    history = read_history(tmp_path / "run")
    assert len(history) == 12
    best = max(row["val_accuracy"] for row in history)
    faces, labels = dataset.validation.images, dataset.validation.labels
    outputs = np.asarray(network(faces))
    assert (outputs.argmax(axis=1) == labels).mean() == pytest.approx(best)
    assert best > 0.5, "chance is 0.14"
    model_file, weights_file = export(network, tmp_path / "out")
    assert json.loads(model_file.read_text())["expressions"] == list(EXPRESSIONS)
    loaded = FacialExpressionModel(model_file, weights_file)
    np.testing.assert_allclose(loaded.predict(faces), outputs, atol=1e-5)
    text = model_file.read_text()
    model_file.write_text(json.dumps({**json.loads(text), "expressions": list(reversed(EXPRESSIONS))}))
    reordered = FacialExpressionModel(model_file, weights_file)
    np.testing.assert_allclose(reordered.predict(faces), outputs[:, ::-1], atol=1e-5, err_msg="the file's order counts")


def test_a_finished_run_is_not_run_again(dataset, tmp_path):
    plan = Recipe(**SMALL, epochs=1)
    first = fit(plan, dataset, tmp_path)
    said = []
    again = fit(plan, dataset, tmp_path, report=said.append)
    assert "has finished" in said[0]
    np.testing.assert_array_equal(first.get_weights()[0], again.get_weights()[0])


def test_a_folder_with_another_recipe_is_refused_and_left_alone(dataset, tmp_path):
    fit(Recipe(**SMALL, epochs=1), dataset, tmp_path)
    before = (tmp_path / "recipe.json").read_text()
    with pytest.raises(RunError, match=r"seed 0 there, 5 asked"):
        fit(Recipe(**SMALL, epochs=1, seed=5), dataset, tmp_path)
    assert (tmp_path / "recipe.json").read_text() == before


@pytest.mark.parametrize("wrong", [{"network": "magic"}, {"epochs": 0}, {"batch_size": 1}])
def test_a_recipe_that_can_not_be_is_told(wrong):
    with pytest.raises(RunError, match="expected"):
        Recipe(**wrong)


def test_batches_hold_every_image_once_in_an_order_of_seed_and_epoch(dataset):
    batches = Batches(dataset.train, 10, seed=1)

    def labels(epoch):
        batches.start_epoch(epoch)
        return np.concatenate([batches[i][1].argmax(axis=1) for i in range(len(batches))])

    first = labels(0)
    assert sorted(first) == sorted(dataset.train.labels)
    assert (first != labels(1)).any()
    assert (first == labels(0)).all()


def test_augmentation_changes_images_in_training_alone():
    layer = Augment(erase=1.0, seed=3)
    images = np.tile(np.linspace(0, 255, 48, dtype=np.float32)[None, None, :, None], (16, 48, 1, 1))
    calm = np.asarray(layer(images, training=False))
    np.testing.assert_array_equal(calm, images)
    changed = np.asarray(layer(images, training=True))
    assert changed.shape == images.shape
    assert changed.min() >= 0
    assert changed.max() <= 255
    assert len({image.tobytes() for image in changed}) == 16, "each image in its own way"
    rising = (changed[:, 24, 40, 0] > changed[:, 24, 8, 0]).sum()
    assert 1 <= rising <= 15, "some are mirrored, some are not"


def test_augmentation_of_strength_zero_changes_nothing():
    layer = Augment(flip=False, rotation_deg=0, shift=0, scale=0, contrast=0, erase=0)
    images = np.random.default_rng(0).integers(0, 256, (3, 48, 48, 1)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(layer(images, training=True)), images, atol=1e-2)


def test_build_puts_the_augmentation_outside_the_network():
    network, trainer = build(Recipe(**SMALL))
    assert not any(isinstance(layer, Augment) for layer in network.layers)
    assert any(isinstance(layer, Augment) for layer in trainer.layers)


def test_command_line_trains_and_evaluates(tmp_path, capsys):
    data = write_folders(tmp_path / "data")
    (data / "train" / "sad" / "broken.jpg").write_bytes(b"no")
    run = tmp_path / "run"
    words = ["--data", str(data), "--epochs", "2", "--run", str(run), "--network", "tiny", "--batch-size", "16"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "42 images to train, 14 to validate, 14 to test" in out
    assert "skipped 1" in out
    assert "broken.jpg" in out
    figures = tmp_path / "figures.json"
    files = ["--model", str(run / "model.json"), "--weights", str(run / "model_weights.h5")]
    assert main(["evaluate", "--data", str(data), *files, "--json", str(figures)]) == 0
    assert "| PrivateTest clean |" in capsys.readouterr().out
    assert json.loads(figures.read_text())["PrivateTest"]["n"] == 14


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "nowhere"], "nowhere: expected a folder"),
        (["evaluate", "--data", "nowhere", "--model", "missing.json"], "missing.json"),
    ],
)
def test_a_users_mistake_is_one_line_and_status_2(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_a_csv_trains_too(tmp_path):
    from tests.synthetic import picture

    rng = np.random.default_rng(0)
    rows = [
        (name, picture(name, rng), usage)
        for name in EXPRESSIONS
        for usage in ("Training", "PublicTest")
        for _ in (1, 2)
    ]
    data = load_dataset(write_csv(tmp_path / "fer.csv", rows))
    fit(Recipe(**SMALL, epochs=1), data, tmp_path / "run")
    assert (tmp_path / "run" / "best.weights.h5").is_file()


def test_recipe_names_its_fields_on_the_command_line(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = capsys.readouterr().out
    assert all("--" + name.replace("_", "-") in text for name in ("epochs", "label_smoothing", "rotation_deg", "seed"))
    assert recipe.NETWORKS is networks.NETWORKS

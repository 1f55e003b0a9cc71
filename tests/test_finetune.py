import json

import keras
import numpy as np
import pytest

from mien.cnn.feeding import feed
from mien.cnn.loader import load_network
from mien.errors import ModelError
from mien.labels import OutputLabels
from mien.types import EXPRESSIONS
from model import FacialExpressionModel
from tests.synthetic import write_folders
from training.__main__ import main
from training.export import export, read_origin
from training.fit.fitting import build
from training.fit.warm_start import FedAs, freeze_convolutions, starting_network
from training.recipe import Recipe, RunError
from training.run_folder import read_history

layers = keras.layers


@pytest.fixture
def files(tmp_path):
    network, _ = build(Recipe(network="shallow", side_px=32))
    return export(network, tmp_path / "start")


def command(tmp_path, files, *more):
    data = tmp_path / "data"
    if not data.exists():
        write_folders(data, train=6)
    model_file, weights_file = files
    words = ["finetune", "--data", str(data), "--model", str(model_file), "--weights", str(weights_file)]
    return main([*words, "--run", str(tmp_path / "run"), "--batch-size", "14", *more])


def weights_by_rank(model_file, weights_file):
    """(weights of layers with feature maps as output, weights of the others)."""
    network = FacialExpressionModel(model_file, weights_file).network
    maps = [w for layer in network.layers if len(layer.output.shape) == 4 for w in layer.get_weights()]
    others = [w for layer in network.layers if len(layer.output.shape) != 4 for w in layer.get_weights()]
    return maps, others


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(("freeze", "more"), [(True, []), (True, ["--pool-first"]), (False, [])])
def test_the_command_continues_training_from_given_files(freeze, more, files, tmp_path, capsys):
    assert command(tmp_path, files, "--epochs", "2", *(["--freeze"] if freeze else []), *more) == 0
    printed = capsys.readouterr().out
    assert "accuracy on the validation images: " in printed
    new = (tmp_path / "run" / "model.json", tmp_path / "run" / "model_weights.h5")
    maps, dense = weights_by_rank(*files)
    new_maps, new_dense = weights_by_rank(*new)
    assert same(maps, new_maps) == freeze, "frozen convolutions and their normalization stay identical"
    assert not same(dense, new_dense)
    assert all(np.abs(a - b).max() < 0.1 for a, b in zip(dense, new_dense, strict=True)), "it did not start again"
    recipe, epochs = read_origin(new[0])
    assert (epochs, recipe.freeze, recipe.network, recipe.side_px, recipe.learning_rate) == (
        2, freeze, "shallow", 32, 1e-4,
    )  # fmt: skip
    assert len(recipe.start) == 12
    assert '"trainable": false' not in new[0].read_text()
    assert starting_network(*new)[1] != recipe.start


def test_it_resumes_and_refuses_another_starting_network(files, tmp_path, capsys):
    assert command(tmp_path, files, "--epochs", "1") == 0
    first = read_history(tmp_path / "run")
    capsys.readouterr()
    assert command(tmp_path, files, "--epochs", "2") == 0
    printed = capsys.readouterr().out
    assert "Epoch 2/2" in printed
    assert "Epoch 1/2" not in printed
    assert read_history(tmp_path / "run")[:1] == first
    assert len(read_history(tmp_path / "run")) == 2
    other, _ = build(Recipe(network="shallow", side_px=32, seed=5))
    assert command(tmp_path, export(other, tmp_path / "other"), "--epochs", "2") == 2
    error = capsys.readouterr().err
    assert "holds a run with another recipe (start " in error


def network_of(shape, *last):
    return keras.Sequential([layers.Input(shape), layers.Rescaling(1 / 255, offset=0.1), *last])


def softmax():
    return layers.Flatten(), layers.Dense(7, activation="softmax")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: network_of((40, 32, 1), *softmax()),
            r"square gray faces \(n, side, side, 1\), found \(None, 40, 32, 1\)",
        ),
        (lambda: network_of((32, 32, 3), *softmax()), "square gray faces"),
        (lambda: network_of((16, 16, 1), *softmax()), "faces of 32 to 350 pixels, found 16"),
        (lambda: network_of((32, 32, 1), layers.Flatten(), layers.Dense(8, activation="softmax")), "seven expressions"),
        (
            lambda: network_of((32, 32, 1), layers.Flatten(), layers.Dense(7, bias_initializer="ones")),
            "ends in a softmax",
        ),
    ],
)
def test_a_network_with_other_inputs_or_outputs_is_refused(make, message, tmp_path):
    with pytest.raises(RunError, match=message):
        starting_network(*export(make(), tmp_path))


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("labels", [None, [e.capitalize() for e in EXPRESSIONS], EXPRESSIONS[::-1]])
def test_outputs_in_another_order_are_put_in_order(files, labels, given):
    model_file, weights_file = files
    document = json.loads(model_file.read_text())
    if given and labels is not None:
        fed = FedAs(OutputLabels.of(labels))
    else:
        fed = None
        model_file.write_text(json.dumps({**document, "expressions": labels}))
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 1)).astype(np.float32)
    expected = load_network(model_file, weights_file).predict(images, verbose=0)
    if labels == EXPRESSIONS[::-1]:
        expected = expected[:, ::-1]
    network, _ = starting_network(model_file, weights_file, fed)
    np.testing.assert_allclose(network.predict(images, verbose=0), expected, atol=1e-6)
    model_file.write_text(json.dumps(document))


@pytest.mark.parametrize("pixels", ["0..1", "-1..1", "standardize"])
@pytest.mark.parametrize("name", ["model.json", "whole.keras"])
def test_a_network_fed_otherwise_gets_a_scaling_layer(tmp_path, pixels, name):
    keras.utils.set_random_seed(1)
    image = layers.Input((32, 32, 1))
    maps = layers.Conv2D(3, 3, padding="same")(image)
    joined = layers.Add()([maps, layers.BatchNormalization()(maps)])
    network = keras.Model(image, layers.Dense(7, activation="softmax")(layers.GlobalAveragePooling2D()(joined)))
    files = export(network, tmp_path)
    if name == "whole.keras":
        files = (tmp_path / name, tmp_path / name)
        network.save(files[0])
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 1)).astype(np.float32)
    expected = network.predict(feed(images, pixels), verbose=0)
    start, digest = starting_network(*files, FedAs(pixels=pixels))
    assert start.name == network.name
    assert digest != starting_network(*files, FedAs(pixels="0..255"))[1]
    again = FacialExpressionModel(*export(start, tmp_path / "out"), pixels="0..255", runtime="keras")
    np.testing.assert_allclose(again.predict(images[..., 0]), expected, atol=1e-5)


@pytest.mark.parametrize(
    "labels", ["angry,happy", "angry,disgust,fear,happy,sad,surprise,contempt=neutral,neutral=none"]
)
def test_outputs_that_are_not_the_seven_are_refused(files, labels):
    with pytest.raises(RunError, match="expected each of the seven expressions as one output, found angry"):
        starting_network(*files, FedAs(OutputLabels.of(labels)))


def test_missing_files_and_wrong_data_are_reported_in_one_line(files, tmp_path, capsys):
    with pytest.raises(ModelError, match="no such file"):
        starting_network(tmp_path / "missing.json", files[1])
    (tmp_path / "data" / "bliss").mkdir(parents=True)
    assert command(tmp_path, files) == 2
    assert "found bliss" in capsys.readouterr().err


def test_freezing_a_network_without_dense_layers_is_refused():
    network = keras.Sequential(
        [layers.Input((32, 32, 1)), layers.Conv2D(7, 3), layers.GlobalAveragePooling2D(), layers.Softmax()]
    )
    with pytest.raises(RunError, match="expected dense layers"):
        freeze_convolutions(network)

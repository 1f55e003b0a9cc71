import json

import keras
import numpy as np
import pytest

from mien.errors import ModelError
from mien.types import EXPRESSIONS
from model import FacialExpressionModel
from tests.synthetic import write_folders
from training.__main__ import main
from training.export import export, read_origin
from training.fit.fitting import build
from training.fit.warm_start import freeze_convolutions, starting_network
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


def test_outputs_in_another_order_are_refused(files):
    model_file, weights_file = files
    document = json.loads(model_file.read_text())
    for labels, fits in ((None, True), ([e.capitalize() for e in EXPRESSIONS], True), (EXPRESSIONS[::-1], False)):
        model_file.write_text(json.dumps({**document, "expressions": labels}))
        if fits:
            starting_network(model_file, weights_file)
        else:
            with pytest.raises(RunError, match=r"order angry, disgust, .*; found surprise, sad"):
                starting_network(model_file, weights_file)


def test_missing_files_and_wrong_data_are_reported_in_one_line(files, tmp_path, capsys):
    with pytest.raises(ModelError, match="no such file"):
        starting_network(tmp_path / "missing.json", files[1])
    (tmp_path / "data" / "joy").mkdir(parents=True)
    assert command(tmp_path, files) == 2
    assert "found joy" in capsys.readouterr().err


def test_freezing_a_network_without_dense_layers_is_refused():
    network = keras.Sequential(
        [layers.Input((32, 32, 1)), layers.Conv2D(7, 3), layers.GlobalAveragePooling2D(), layers.Softmax()]
    )
    with pytest.raises(RunError, match="expected dense layers"):
        freeze_convolutions(network)

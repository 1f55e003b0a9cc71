"""A mistake of a user of `python -m training` is one line and exit status 2."""

import sys
from pathlib import Path

import pytest

from mien.cnn.loader import import_keras
from mien.detectors.face_filter import FILE
from mien.sources.demo_faces import FACES_FILE
from tests.synthetic import write_folders
from training.__main__ import main, parse
from training.export import export

keras = import_keras()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["card", "{figures}", "--card", "{gone}"], "CARD.md: expected a model card, found none (No such file"),
        (["evaluate", "--data", "{data}", "--card", "{gone}"], "CARD.md: expected a model card, found none"),
        (["evaluate", "--data", "{data}", "--model", "{oblong}/model.json", "--weights",
          "{oblong}/model_weights.h5"], "model.json: expected a network for square faces, found 48x40"),
        (["masking", "--data", "{data}", "--images", "1"], "--images: expected 2 or more"),
        (["--data", "{data}", "--run", "{file}"], "file: File exists"),
        (["--data", "{file}"], "file: expected the columns emotion,pixels"),
        (["--data", "nowhere"], "nowhere: expected a folder"),
        (["evaluate", "--data", "nowhere", "--model", "missing.json"], "missing.json"),
    ],
)  # fmt: skip
def test_a_users_mistake_is_one_line(words, message, tmp_path, capsys):
    places = {"gone": tmp_path / "CARD.md", "file": tmp_path / "file", "oblong": tmp_path / "oblong"}
    places["file"].write_text("")
    places["data"] = write_folders(tmp_path / "data", train=2)
    places["figures"] = Path(__file__).parent.parent / "docs/figures/elu.json"
    layers = keras.layers
    oblong = keras.Sequential([layers.Input((40, 48, 1)), layers.Flatten(), layers.Dense(7, activation="softmax")])
    export(oblong, places["oblong"])
    assert main([word.format(**places) for word in words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "expected train, found the unknown command 'trian'"),
        (["evalute", "--data", "x"], "expected evaluate, found the unknown command 'evalute'"),
        (["xyz"], "expected one of train, teach, finetune, evaluate"),
        ([], "the following arguments are required: --data"),
        (["evaluate"], "the following arguments are required: --data"),
        (["--data", "x", "--epochs", "many"], "--epochs: expected a whole number, 1 or more, found 'many'"),
        (["composites", "--data", "x", "--out", "y", "--in-place"], "not allowed with argument --out"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_one_line(words, message, capsys):
    assert main(words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(("command", "shipped"), [("composites", FACES_FILE), ("face-filter", FILE)])
def test_a_shipped_file_is_overwritten_only_in_place(command, shipped):
    words = [command, "--data", "x"]
    assert parse([*words, "--in-place"]).out == shipped
    assert parse(words).out == Path("runs") / command.replace("-", "_") / shipped.name


def test_missing_packages_are_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "training.fit.train", None)
    assert main([]) == 2
    printed = capsys.readouterr().err
    assert "pip install -r requirements-train.txt installs them" in printed
    assert printed.count("\n") == 1


def test_figures_of_other_images_are_not_set_beside_the_recorded_ones(tmp_path, capsys):
    data = write_folders(tmp_path / "data", train=2)
    assert main(["evaluate", "--data", str(data), "--out", str(tmp_path / "results")]) == 0
    assert "compared with docs" not in capsys.readouterr().out

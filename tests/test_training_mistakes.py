"""A user's mistake in `python -m training` is reported in one line with exit status 2."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from mien.cnn.loader import import_keras
from mien.detectors.face_filter import FILE
from mien.sources.demo_faces import FACES_FILE
from tests.patience import scaled
from tests.synthetic import write_folders
from training.__main__ import COMMANDS, main, parse
from training.export import export

keras = import_keras()
ROOT = Path(__file__).parent.parent


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
def test_a_users_mistake_is_reported_in_one_line(words, message, tmp_path, capsys):
    paths = {"gone": tmp_path / "CARD.md", "file": tmp_path / "file", "oblong": tmp_path / "oblong"}
    paths["file"].write_text("")
    paths["data"] = write_folders(tmp_path / "data", train=2)
    paths["figures"] = ROOT / "docs/figures/elu.json"
    layers = keras.layers
    oblong = keras.Sequential([layers.Input((40, 48, 1)), layers.Flatten(), layers.Dense(7, activation="softmax")])
    export(oblong, paths["oblong"])
    assert main([word.format(**paths) for word in words]) == 2
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
def test_an_invalid_command_line_is_reported_in_one_line(words, message, capsys):
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
    assert main(["--data", "anywhere"]) == 2
    printed = capsys.readouterr().err
    assert "pip install -r requirements-train.txt installs them" in printed
    assert printed.count("\n") == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_the_module_of_a_command_can_run_it(command):
    module, _ = COMMANDS[command]
    assert callable(importlib.import_module(module).run)


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["composites", "--help"], [], ["trian"]])
def test_help_and_usage_errors_come_without_keras(words):
    script = (
        "import sys\nimport training.__main__ as program\n"
        "try:\n    program.main(sys.argv[1:])\nexcept SystemExit:\n    pass\nprint(*sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", script, *words], cwd=ROOT, capture_output=True, text=True, timeout=scaled(60), check=True
    )
    loaded = set(found.stdout.splitlines()[-1].split())
    assert "training.recipe" in loaded
    assert not loaded & {"keras", "tensorflow", "jax", "torch", "numpy", "cv2", "matplotlib"}


def test_figures_for_other_images_are_not_compared_with_the_recorded_ones(tmp_path, capsys):
    data = write_folders(tmp_path / "data", train=2)
    assert main(["evaluate", "--data", str(data), "--out", str(tmp_path / "results")]) == 0
    assert "compared with docs" not in capsys.readouterr().out

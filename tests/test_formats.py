"""`python -m training export`, and that every command that writes a network also compiles it for LiteRT."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_networks as tiny

from mien.cnn.convert import ConversionError
from mien.cnn.loader import import_keras
from model import FacialExpressionModel
from training import formats
from training.__main__ import main
from training.formats import also_compile

keras = import_keras()
pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")
pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="only TensorFlow can compile for LiteRT"
)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return tiny.write_keras_3(tiny.sequential(keras), tmp_path)


def export(files: tuple[Path, Path], *words: str) -> int:
    return main(["export", "--model", str(files[0]), "--weights", str(files[1]), *words])


@pytest.mark.parametrize(
    ("kind", "name", "package"),
    [("litert", "model.tflite", None), ("onnx", "model.onnx", "onnxruntime"), ("savedmodel", "model.savedmodel", None)],
)
def test_each_format_is_written_beside_the_network_and_checked(files, capsys, kind, name, package) -> None:
    if package:
        pytest.importorskip(package, reason=f"{package} is not installed")
        pytest.importorskip("tf2onnx", reason="tf2onnx is not installed")
    assert export(files, "--format", kind) == 0
    (line,) = capsys.readouterr().out.splitlines()
    wrote, difference = line.split(", which differs from Keras by at most ")
    assert wrote == f"wrote {files[0].parent / name}"
    assert (files[0].parent / name).exists()
    assert float(difference.split()[0]) < 0.002
    assert difference.endswith(" on 100 faces")


def test_a_missing_package_is_one_line(files, capsys, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    assert export(files, "--format", "onnx") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("training: --format onnx: expected the packages of requirements-train.txt, found no onnx")


def test_a_network_that_cannot_be_exported_is_one_line(files, capsys, monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ValueError("no such\noperation")

    monkeypatch.setattr(keras.Model, "export", refuse)
    assert export(files, "--format", "savedmodel") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "training: the network cannot be exported as tf_saved_model: no such operation"


def test_an_unknown_format_is_one_line(files, capsys) -> None:
    assert export(files, "--format", "tfjs") == 2
    assert "invalid choice: 'tfjs'" in capsys.readouterr().err


def test_a_written_network_is_also_compiled(files, capsys) -> None:
    also_compile(*files)
    assert capsys.readouterr().out == f"wrote {files[0].with_suffix('.tflite')}, the same network for LiteRT\n"
    model = FacialExpressionModel(*files, runtime="litert")
    expected = FacialExpressionModel(*files, runtime="keras").predict(tiny.faces())
    np.testing.assert_allclose(model.predict(tiny.faces()), expected, atol=0.002)


@pytest.mark.parametrize("error", [ConversionError("no such operation"), OSError(28, "No space left on device")])
def test_where_it_cannot_be_compiled_an_old_file_is_deleted_and_a_line_says_why(
    files, capsys, monkeypatch, error
) -> None:
    def refuse(*_: object) -> None:
        raise error

    old = files[0].with_suffix(".tflite")
    old.write_bytes(b"of another network")
    monkeypatch.setattr(formats, "compile_network", refuse)
    also_compile(*files)
    (line,) = capsys.readouterr().out.splitlines()
    assert line == f"wrote no {old}, so that the program runs it on Keras: {error}"
    assert not old.exists()

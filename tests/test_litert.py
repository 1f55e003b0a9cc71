"""The network compiled for LiteRT gives Keras' answers; where it cannot be used, Keras computes and a line says why."""

from __future__ import annotations

import itertools
import logging
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny_networks as tiny

import mien
from mien.cnn.convert import CHOSEN, compile_network
from mien.cnn.litert import UnusableError, open_compiled, read_compiled, source_digest, write_compiled
from mien.cnn.loader import import_keras
from mien.errors import ModelError
from mien.sources.demo_faces import PEOPLE
from mien.types import EXPRESSIONS
from model import FacialExpressionModel
from tests.media import demo_face
from tests.patience import scaled

keras = import_keras()
pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")
pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="only TensorFlow can compile for LiteRT"
)

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny network, compiled."""
    folder = tmp_path_factory.mktemp("compiled")
    network = tiny.sequential(keras)
    compile_network(network, *tiny.write_keras_3(network, folder))
    return folder


@pytest.fixture
def folder(compiled: Path, tmp_path: Path) -> Path:
    """A copy of it, to spoil."""
    return shutil.copytree(compiled, tmp_path / "copy")


def load(folder: Path, **options: object) -> FacialExpressionModel:
    (weights,) = folder.glob("*.h5")
    return FacialExpressionModel(folder / "model.json", weights, **options)


@pytest.fixture
def lines(caplog) -> Callable[[], list[str]]:
    """What the model has logged."""
    caplog.set_level(logging.INFO, "model")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "model"]


def demo_faces() -> np.ndarray:
    faces = [demo_face(person, label) for label, person in itertools.product(EXPRESSIONS, range(PEOPLE))]
    return np.stack([cv2.resize(face, (48, 48), interpolation=cv2.INTER_AREA) for face in faces])


def test_the_committed_files_answer_as_keras_does() -> None:
    model = FacialExpressionModel(runtime="litert")
    assert model.runtime == f"LiteRT (model.tflite, {CHOSEN[0]})"
    faces = demo_faces()
    expected = FacialExpressionModel(runtime="keras").predict(faces)
    found = model.predict(faces)
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).all()
    assert np.abs(found - expected).max(axis=1).mean() < 0.01
    assert (expected.argmax(axis=1) == np.repeat(range(7), PEOPLE)).mean() > 0.9, "the faces should be recognized"


def test_neither_keras_nor_tensorflow_is_imported_to_predict() -> None:
    program = """
import numpy as np, sys
from model import FacialExpressionModel
model = FacialExpressionModel()
model.adjustment.rare = 0.9
model.warm_up()
model.predict_emotion(np.full((48, 48), 90, np.uint8))
model.as_input(np.zeros((1, 48, 48)))
found = {"keras", "tensorflow", "h5py"} & set(sys.modules)
sys.exit(f"imported {found}" if found else None)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=scaled(60)
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("labels", "input_scale", "channels"), [(None, None, 1), (EXPRESSIONS[::-1], 255, 1), (None, 1, 3)]
)
def test_labels_scale_and_color_are_applied_as_with_keras(tmp_path, labels, input_scale, channels) -> None:
    network = tiny.sequential(keras, channels=channels)
    compile_network(network, *tiny.write_keras_3(network, tmp_path))
    options = {"labels": labels, "input_scale": input_scale}
    faces = tiny.faces(40)
    found = load(tmp_path, runtime="litert", **options).predict(faces)
    spread = np.ptp(found, axis=0).max()
    np.testing.assert_allclose(found, load(tmp_path, runtime="keras", **options).predict(faces), atol=spread / 2)
    assert spread > 1e-4, "the faces should not all look the same to the network"


def test_logits_get_their_softmax(tmp_path) -> None:
    network = tiny.sequential(keras, activation="linear")
    compile_network(network, *tiny.write_keras_3(network, tmp_path))
    faces = tiny.faces(4)
    expected = load(tmp_path, runtime="keras").predict(faces)
    np.testing.assert_allclose(load(tmp_path, runtime="litert").predict(faces), expected, atol=0.002)


def test_the_file_says_what_it_is(compiled: Path) -> None:
    _, facts = read_compiled(compiled / "model.tflite")
    (weights,) = compiled.glob("*.h5")
    assert facts.source == source_digest(compiled / "model.json", weights)
    assert (facts.precision, facts.labels, facts.tau, facts.version) == (CHOSEN[0], None, 0.0, mien.__version__)
    _, shipped = read_compiled(ROOT / "model.tflite")
    assert shipped.labels == EXPRESSIONS
    assert zipfile.is_zipfile(ROOT / "model.tflite")


def test_the_ends_of_lines_of_a_checkout_do_not_matter(folder: Path) -> None:
    json_file = folder / "model.json"
    json_file.write_text('{\n "class_name": "Sequential"\n}\n', newline="\n", encoding="utf-8")
    (weights,) = folder.glob("*.h5")
    digest = source_digest(json_file, weights)
    json_file.write_text('{\n "class_name": "Sequential"\n}\n', newline="\r\n", encoding="utf-8")
    assert source_digest(json_file, weights) == digest
    json_file.write_text('{\n "class_name": "Sequential2"\n}\n', newline="\n", encoding="utf-8")
    assert source_digest(json_file, weights) != digest


def retrain(folder: Path) -> None:
    network = tiny.sequential(keras)
    network.layers[-1].bias.assign(np.arange(7))
    tiny.write_keras_3(network, folder)


def truncate(folder: Path) -> None:
    file = folder / "model.tflite"
    file.write_bytes(file.read_bytes()[:-100])


def damage(folder: Path) -> None:
    file = folder / "model.tflite"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def replace_by_another_programs(folder: Path) -> None:
    file = folder / "model.tflite"
    file.write_bytes(read_compiled(file)[0])


def write_no_model(folder: Path) -> None:
    """A file with the right digest whose content is no LiteRT model."""
    (weights,) = folder.glob("*.h5")
    facts = {"precision": CHOSEN[0], "labels": None, "tau": 0.0, "version": mien.__version__}
    source = source_digest(folder / "model.json", weights)
    write_compiled(folder / "model.tflite", b"no model" * 100, source=source, **facts)


def make_a_folder_of_it(folder: Path) -> None:
    (folder / "model.tflite").unlink()
    (folder / "model.tflite").mkdir()


UNUSABLE: list[tuple[Callable[[Path], object], str]] = [
    (retrain, "was compiled from other files"),
    (truncate, "is truncated or was not written by Mien"),
    (damage, "is broken"),
    (replace_by_another_programs, "is truncated or was not written by Mien"),
    (write_no_model, "LiteRT cannot load"),
    (make_a_folder_of_it, "is a folder"),
    (lambda folder: (folder / "model.tflite").unlink(), "there is no"),
]


@pytest.mark.parametrize(("spoil", "why"), UNUSABLE)
def test_a_compiled_file_that_cannot_be_used_leaves_it_to_keras(folder: Path, spoil, why, lines) -> None:
    spoil(folder)
    model = load(folder)
    (line,) = lines()
    assert line.startswith("the network runs on Keras: ")
    assert why in line
    assert "\n" not in line
    assert str(folder / "model.tflite") in line
    assert model.runtime == "Keras"
    np.testing.assert_array_equal(model.predict(tiny.faces()), load(folder, runtime="keras").predict(tiny.faces()))
    with pytest.raises(ModelError, match=r"expected a network compiled for LiteRT .*" + why):
        load(folder, runtime="litert")


def test_without_the_package_keras_computes(folder: Path, monkeypatch, lines) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    assert load(folder).runtime == "Keras"
    (line,) = lines()
    assert line.startswith("the network runs on Keras: LiteRT (ai-edge-litert) cannot be imported")


def test_without_keras_a_line_says_what_is_needed(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(
        "mien.cnn.loader.import_keras", lambda: (_ for _ in ()).throw(ModuleNotFoundError(name="keras"))
    )
    model = load(folder)
    with pytest.raises(ModelError, match=r"expected the packages of requirements\.txt .*found no keras"):
        _ = model.network


def test_a_line_says_that_litert_computes(folder: Path, lines) -> None:
    load(folder)
    assert lines() == [f"the network runs on LiteRT (model.tflite, {CHOSEN[0]})"]


def test_another_runtime_is_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match="runtime: expected auto, keras or litert, found 'onnx'"):
        load(folder, runtime="onnx")


def test_a_file_that_cannot_be_written_leaves_nothing(compiled: Path, tmp_path) -> None:
    content, facts = read_compiled(compiled / "model.tflite")
    (tmp_path / "model.tflite").mkdir()
    with pytest.raises(OSError, match=r"model\.tflite"):
        write_compiled(
            tmp_path / "model.tflite", content, source=facts.source, precision="", labels=None, tau=0.0, version=""
        )
    assert [path.name for path in tmp_path.iterdir()] == ["model.tflite"]


def test_a_model_of_something_else_is_refused(compiled: Path, tmp_path) -> None:
    image = keras.layers.Input((4, 4, 1))
    network = keras.Model(image, keras.layers.Dense(7)(keras.layers.Flatten()(image)))
    files = tiny.write_keras_3(network, tmp_path)
    content, _ = read_compiled(compile_network(network, *files))
    runtime = open_compiled(tmp_path / "model.tflite", source_digest(*files))
    assert runtime.input_shape == (4, 4, 1)
    assert content
    with pytest.raises(UnusableError, match="was compiled from other files"):
        open_compiled(compiled / "model.tflite", source_digest(*files))

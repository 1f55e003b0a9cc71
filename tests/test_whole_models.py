"""Whole networks in one file or folder load; what is something else is named for what it is."""

from __future__ import annotations

import errno
import io
import json
import os
import pickle
import re
import socket
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tiny_networks as tiny

from mien.cnn.convert import compile_network
from mien.cnn.layers import MeanImage
from mien.cnn.litert import source_digest
from mien.cnn.loader import import_keras
from mien.cnn.whole import SHIPPED_MODEL, SHIPPED_WEIGHTS, weights_of
from mien.errors import ModelError
from mien.labels import OutputLabels
from mien.types import EXPRESSIONS
from model import FacialExpressionModel

keras = import_keras()


@pytest.fixture(scope="module")
def tf_keras() -> Any:
    return pytest.importorskip("tf_keras", reason="writes files of Keras 2; in requirements for development")


def own_layers(keras: Any) -> Any:
    image = keras.layers.Input((12, 12, 1))
    outputs = keras.layers.Dense(7, activation="softmax")(keras.layers.Flatten()(MeanImage()(image)))
    return tiny.scatter_weights(keras.Model(image, outputs))


def answers(network: Any) -> np.ndarray:
    return np.asarray(network(tiny.faces()[..., np.newaxis].astype(np.float32), training=False))


def check(file: Path, network: Any, **options: Any) -> FacialExpressionModel:
    model = FacialExpressionModel(file, pixels="0..255", **options)
    np.testing.assert_allclose(model.predict(tiny.faces()), answers(network), atol=1e-5)
    return model


@pytest.mark.parametrize("name", ["whole.h5", "whole.hdf5", "whole.keras", "whole"])
@pytest.mark.parametrize("build", [tiny.sequential, tiny.residual, own_layers])
def test_keras_3(build: Any, name: str, tmp_path: Path) -> None:
    network = build(keras)
    written = tmp_path / (name if "." in name else f"{name}.keras")
    network.save(written)
    model = check(written.rename(tmp_path / name), network)
    assert model.files == (tmp_path / name, tmp_path / name)


@pytest.mark.parametrize("name", ["whole.h5", "whole.keras", "folder"])
@pytest.mark.parametrize("build", [tiny.sequential, tiny.residual])
def test_keras_2(build: Any, name: str, tf_keras: Any, tmp_path: Path) -> None:
    network = build(tf_keras)
    network.compile("adam", "categorical_crossentropy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network.save(tmp_path / name, **({"save_format": "tf"} if name == "folder" else {}))
    check(tmp_path / name, network)


def test_architecture_and_weights_of_two_whole_files(tmp_path: Path) -> None:
    network = tiny.sequential(keras)
    network.save(tmp_path / "one.keras")
    network.layers[-1].bias.assign(np.arange(7) / 3)
    network.save(tmp_path / "two.h5", include_optimizer=False)
    check(tmp_path / "one.keras", network, model_weights_file=tmp_path / "two.h5")


def test_a_whole_network_is_compiled_and_found_again(tmp_path: Path) -> None:
    network = tiny.sequential(keras)
    file = tmp_path / "whole.keras"
    network.save(file)
    compile_network(network, file, file)
    model = FacialExpressionModel(file, runtime="litert")
    assert model.runtime.startswith("LiteRT (whole.tflite")
    spread = np.ptp(model.predict(tiny.faces()), axis=0).max()
    np.testing.assert_allclose(model.predict(tiny.faces()), answers(network), atol=spread / 2)
    assert source_digest(file, file) != source_digest(file, SHIPPED_WEIGHTS)


def test_the_shipped_weights_are_not_those_of_a_whole_network(tmp_path: Path) -> None:
    file = tmp_path / "whole.h5"
    file.write_bytes(b"\x89HDF\r\n\x1a\n")
    assert weights_of(file, SHIPPED_WEIGHTS) == weights_of(file, None) == file
    assert weights_of(file, "other.h5") == Path("other.h5")
    assert weights_of(SHIPPED_MODEL, None) == SHIPPED_WEIGHTS


def zipped(*names: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name in names:
            archive.writestr(name, b"{}")
    return data.getvalue()


OTHER_FILES: list[tuple[bytes, str]] = [
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer .*git lfs pull"),
    (b"\n<!DOCTYPE html><html>", "a web page"),
    (b"<HTML><body>404", "a web page"),
    (b"<?xml version='1.0'?><Error/>", "an XML document"),
    (pickle.dumps([1, 2]), "a Python pickle, which would run code"),
    (zipped("archive/data.pkl"), "a PyTorch file, which contains a pickle"),
    (zipped("train/happy/1.jpg"), "a ZIP archive; unpack it"),
    (zipped("arr_0.npy"), "an archive of NumPy arrays"),
    (b"PK\x03\x04 and so on", "a broken or truncated"),
    (b"\x1f\x8b\x08\x00", "a gzip archive; unpack it"),
    (bytes(257) + b"ustar\x0000", "a tar archive; unpack it"),
    (b"\x1c\x00\x00\x00TFL3", "a network compiled for LiteRT"),
    (b"\xff\xd8\xff\xe0", "a JPEG picture"),
]


@pytest.mark.parametrize("role", ["model", "weights"])
@pytest.mark.parametrize(("content", "name"), OTHER_FILES)
def test_other_files_are_named_for_what_they_are(content: bytes, name: str, role: str, tmp_path: Path) -> None:
    json_file, weights_file = tmp_path / "m.json", tmp_path / "w.h5"
    json_file.write_text(tiny.sequential(keras).to_json(), encoding="utf-8")
    (json_file if role == "model" else weights_file).write_bytes(content)
    with pytest.raises(ModelError, match=f"^{tmp_path}.*found {name}") as caught:
        FacialExpressionModel(json_file, weights_file)
    assert str(caught.value).isprintable()


def test_yaml_and_other_libraries_are_named(tmp_path: Path) -> None:
    yaml, onnx = tmp_path / "model.yaml", tmp_path / "model.onnx"
    yaml.write_text("backend: tensorflow\nclass_name: Sequential\n", encoding="utf-8")
    onnx.write_bytes(b"\x08\x07\x12\x07pytorch")
    with pytest.raises(ModelError, match="found YAML"):
        FacialExpressionModel(yaml)
    with pytest.raises(ModelError, match="found an ONNX network"):
        FacialExpressionModel(onnx)


def test_weights_alone_need_their_architecture(tmp_path: Path) -> None:
    file = tmp_path / "only.weights.h5"
    tiny.sequential(keras).save_weights(file)
    with pytest.raises(ModelError, match="found weights alone; give its architecture as --model"):
        FacialExpressionModel(file)


@pytest.mark.parametrize("end", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("name", ["whole.h5", "whole.keras"])
def test_truncated_files_are_refused_in_one_line(name: str, end: float, tmp_path: Path) -> None:
    file = tmp_path / name
    tiny.sequential(keras).save(file)
    file.write_bytes(file.read_bytes()[: int(end * file.stat().st_size)])
    with pytest.raises(ModelError, match="broken or truncated") as caught:
        FacialExpressionModel(file)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("files", "cause"),
    [
        ({}, "found an empty directory"),
        ({"a.txt": b""}, "found a directory with 'a.txt'"),
        ({"saved_model.pb": b""}, "found a graph alone, as Keras 3 exports it"),
        ({"saved_model.pb": b"", "keras_metadata.pb": b""}, "variables.index: .*found no such file"),
        (
            {"saved_model.pb": b"", "keras_metadata.pb": b"\xff\xff\xff", "variables/variables.index": b""},
            "found a broken one|an empty file",
        ),
    ],
)
def test_other_folders_are_refused(files: dict[str, bytes], cause: str, tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=cause):
        FacialExpressionModel(tmp_path)


def test_a_saved_model_whose_checkpoint_lacks_weights_is_refused(tf_keras: Any, tmp_path: Path) -> None:
    for name, outputs in (("whole", 7), ("other", 8)):
        tiny.sequential(tf_keras, outputs=outputs).save(tmp_path / name, save_format="tf")
    (tmp_path / "other/keras_metadata.pb").replace(tmp_path / "whole/keras_metadata.pb")
    with pytest.raises(ModelError, match=r"expected root\.layer_with_weights-3\.kernel .*\(5, 8\), found \[5, 7\]"):
        FacialExpressionModel(tmp_path / "whole", labels=(*EXPRESSIONS, "contempt=none"))


KERAS_1 = {
    "class_name": "Sequential",
    "keras_version": "1.2.2",
    "config": [
        {
            "class_name": "Convolution2D",
            "config": {"nb_filter": 4, "nb_row": 3, "nb_col": 3, "border_mode": "same", "dim_ordering": "tf"},
        }
    ],
}


@pytest.mark.parametrize("version", [{}, {"keras_version": None}])
def test_the_dialect_of_keras_1_is_named(version: dict[str, Any], tmp_path: Path) -> None:
    document = {key: value for key, value in (KERAS_1 | version).items() if value is not None}
    (tmp_path / "m.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ModelError, match=r"found the dialect of Keras 1") as caught:
        FacialExpressionModel(tmp_path / "m.json", runtime="keras")
    assert "nb_filter" not in str(caught.value)


def named(kind: str, path: Path) -> None:
    if kind == "pipe":
        os.mkfifo(path)
    else:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes")
@pytest.mark.parametrize("kind", ["pipe", "socket"])
@pytest.mark.parametrize("role", ["model", "weights"])
def test_a_pipe_or_socket_is_refused_instead_of_waited_for(kind: str, role: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    files = {"model": SHIPPED_MODEL, "weights": SHIPPED_WEIGHTS, role: Path("it")}
    named(kind, Path("it"))
    with pytest.raises(ModelError, match=f"^it: expected a file of a trained network, found a (named )?{kind}"):
        FacialExpressionModel(files["model"], files["weights"])


def test_a_device_is_refused() -> None:
    with pytest.raises(ModelError, match="found a device"):
        FacialExpressionModel("/dev/zero", "/dev/zero")


# ---- outputs


@pytest.mark.parametrize(
    ("labels", "outputs"),
    [
        ("angry,happy,neutral,sad,surprise", 5),
        ("anger,disgusted,scared,happiness,neutral,sadness,surprised,contempt=neutral", 8),
        (["Fearful", "JOY", "contempt = none"], 3),
    ],
)
def test_fewer_or_more_than_seven_outputs(labels: Any, outputs: int, tmp_path: Path) -> None:
    network = tiny.sequential(keras, outputs=outputs)
    files = tiny.write_keras_3(network, tmp_path)
    model = FacialExpressionModel(*files, labels=labels)
    given = OutputLabels.of(labels)
    expected = np.zeros((3, 7))
    for output, expression in zip(answers(network).T, given.expressions, strict=True):
        if expression is not None:
            expected[:, EXPRESSIONS.index(expression)] += output
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict(tiny.faces()), expected, atol=1e-5)
    compile_network(network, *files)
    compiled = FacialExpressionModel(*files, labels=labels, runtime="litert")
    np.testing.assert_allclose(compiled.predict(tiny.faces()), expected, atol=0.02)


def test_the_number_of_labels_must_fit(tmp_path: Path) -> None:
    files = tiny.write_keras_3(tiny.sequential(keras, outputs=8), tmp_path)
    with pytest.raises(ModelError, match="labels: expected 8, one for each output, found 7"):
        FacialExpressionModel(*files, labels=EXPRESSIONS)
    with pytest.raises(ModelError, match=r"expected an output of \(None, 7\), .*found \(None, 8\); --labels"):
        FacialExpressionModel(*files)


def test_sigmoids_are_divided_by_their_sum(tmp_path: Path) -> None:
    network = tiny.sequential(keras, activation="sigmoid")
    files = tiny.write_keras_3(network, tmp_path)
    expected = answers(network) / answers(network).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(FacialExpressionModel(*files).predict(tiny.faces()), expected, atol=1e-6)
    network.layers[-1].set_weights([np.zeros((5, 7)), np.full(7, -1e30)])
    files = tiny.write_keras_3(network, tmp_path)
    assert np.isfinite(FacialExpressionModel(*files).predict(tiny.faces())).all()


@pytest.mark.parametrize("batch", [1, 32])
@pytest.mark.parametrize("version", [2, 3])
def test_a_fixed_batch_size_is_no_obstacle(batch: int, version: int, request, tmp_path: Path) -> None:
    package = keras if version == 3 else request.getfixturevalue("tf_keras")
    image = package.layers.Input(batch_shape=(batch, 12, 12, 1))
    outputs = package.layers.Dense(7, activation="softmax")(package.layers.Flatten()(image))
    network = tiny.scatter_weights(package.Model(image, outputs))
    file = tmp_path / "whole.h5"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network.save(file)
    free = keras.Sequential([keras.layers.Input((12, 12, 1)), keras.layers.Flatten(), keras.layers.Dense(7, "softmax")])
    free.set_weights([np.asarray(weight) for weight in network.get_weights()])
    check(file, free)


@pytest.mark.parametrize("activation", ["softmax", None])
def test_weights_that_give_nan_are_refused(activation: str | None, tmp_path: Path) -> None:
    network = tiny.sequential(keras, activation=activation)
    network.layers[-1].kernel.assign(np.full((5, 7), 3e38, np.float32))
    network.layers[-1].bias.assign(np.full(7, -3e38, np.float32))
    with pytest.raises(ModelError, match="expected probabilities, found NaN or infinity"):
        FacialExpressionModel(*tiny.write_keras_3(network, tmp_path))


@pytest.mark.parametrize("labels", [None, "angry,happy,neutral,sad,surprise,contempt=neutral,x=none"])
def test_nan_in_one_call_is_an_error_of_that_call(labels: str | None, tmp_path: Path, monkeypatch) -> None:
    model = FacialExpressionModel(*tiny.write_keras_3(tiny.sequential(keras), tmp_path), labels=labels)
    monkeypatch.setattr(model, "_forward", lambda batch: np.full((len(batch), 7), np.nan, np.float32))
    with pytest.raises(ModelError, match="expected probabilities, found NaN or infinity"):
        model.predict(tiny.faces())
    assert not model.predict([]).size


# ---- hostile content


def test_links_to_other_files_are_refused(tmp_path: Path) -> None:
    network = tiny.sequential(keras)
    file, other = tmp_path / "whole.h5", tmp_path / "other.h5"
    for path in (file, other):
        network.save(path)
    with h5py.File(file, "r+") as opened:
        del opened["model_weights"]
        opened["model_weights"] = h5py.ExternalLink("other.h5", "/model_weights")
    with pytest.raises(ModelError, match="expected arrays in the file itself, found a link at 'model_weights'"):
        FacialExpressionModel(file)


def test_arrays_in_other_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "w.h5"
    (tmp_path / "secret").write_bytes(bytes(400))
    with h5py.File(file, "w") as opened:
        opened.create_dataset("layers/a", (100,), np.float32, external=[(str(tmp_path / "secret"), 0, 400)])
    (tmp_path / "m.json").write_text(tiny.sequential(keras).to_json(), encoding="utf-8")
    with pytest.raises(ModelError, match="found one in another file at 'layers/a'"):
        FacialExpressionModel(tmp_path / "m.json", file)


def test_unwritten_arrays_of_an_absurd_size_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "w.h5"
    with h5py.File(file, "w") as opened:
        opened.create_dataset("layers/a", (10**6, 10**6), np.float32)
    (tmp_path / "m.json").write_text(tiny.sequential(keras).to_json(), encoding="utf-8")
    with pytest.raises(ModelError, match="expected at most 2048 MB of arrays, found more"):
        FacialExpressionModel(tmp_path / "m.json", file)


def test_a_huge_attribute_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "whole.h5"
    with h5py.File(file, "w") as opened:
        opened.attrs["model_config"] = "x" * (65 << 20)
    with pytest.raises(ModelError, match="expected at most 64 MB beside the arrays, found 65 MB"):
        FacialExpressionModel(file)


def document(*layers: Any, **shape: Any) -> dict[str, Any]:
    first = {"class_name": "InputLayer", "config": {"batch_input_shape": [None, *shape.get("input", (12, 12, 1))]}}
    last = {"class_name": "Dense", "config": {"name": "last", "units": 7, "activation": "softmax"}}
    config = {"name": "net", "layers": [first, *layers, last]}
    return {"class_name": "Sequential", "keras_version": "2.2.4-tf", "config": config}


def layer(class_name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": class_name, "config": {"name": "odd", **config}}


def deep(levels: int) -> dict[str, Any]:
    node = layer("Dense", units=3)
    for _ in range(levels):
        node = layer("TimeDistributed", layer=node)
    return node


ABSURD: list[tuple[dict[str, Any], str]] = [
    (document(*[layer("ReLU")] * 20_000), "expected at most 1000 layers, found 20002"),
    (document(layer("Sequential", layers=[layer("ReLU")] * 999)), "expected at most 1000 layers, found 1002"),
    (document(deep(60)), "expected at most 100 levels of JSON"),
    (document(deep(400)), "expected at most 100 levels of JSON|recursion"),
    (document(layer("Flatten"), layer("Dense", units=10**9)), "expected at most 256 million weights"),
    (document(layer("Conv2D", filters=10**8, kernel_size=3)), "expected at most 256 million weights"),
    (document(layer("UpSampling2D", size=10_000)), "expected at most 8388608 values from a layer"),
    (document(layer("ZeroPadding2D", padding=10**6)), "expected at most 8388608 values from a layer"),
    (document(input=(10**6, 10**6, 1)), "expected an input of at most 1024x1024"),
    (
        document(*(layer("Conv2D", filters=600, kernel_size=5, padding="same") for _ in range(9)), input=(99, 99, 1)),
        "expected at most 200 billion multiplications, found",
    ),
    (document(layer("Dense", units=-3)), "units"),
    (document(layer("Dense", units="7")), "cannot build"),
    (document(layer("LSTM", units=3, stateful=True)), "keeps its state"),
]


@pytest.mark.parametrize(("absurd", "cause"), ABSURD, ids=range(len(ABSURD)))
def test_absurd_networks_are_refused_before_they_take_memory(absurd: Any, cause: str, tmp_path: Path) -> None:
    names = iter(range(30_000))
    for each in absurd["config"]["layers"][1:-1]:
        each["config"] = each["config"] | {"name": f"odd{next(names)}"}
    (tmp_path / "m.json").write_text(json.dumps(absurd), encoding="utf-8")
    with pytest.raises(ModelError, match=cause) as caught:
        FacialExpressionModel(tmp_path / "m.json", SHIPPED_WEIGHTS, runtime="keras")
    assert len(str(caught.value)) < 600
    network = FacialExpressionModel(*tiny.write_keras_3(tiny.sequential(keras), tmp_path))
    assert np.isfinite(network.predict(tiny.faces())).all(), "a refused network must not disturb the next one"


class FullFile(io.BytesIO):
    """A file on a full disk."""

    def writelines(self, parts: Any) -> None:
        next(iter(parts))
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("name", ["whole.keras", "weights.bin"])
@pytest.mark.parametrize("fault", ["no folder", "full"])
def test_without_room_for_temporary_files_one_line_says_so(name, fault, tmp_path, monkeypatch) -> None:
    network = tiny.sequential(keras)
    model, weights = tiny.write_keras_3(network, tmp_path)
    if name == "whole.keras":
        network.save(tmp_path / name)
        model = weights = tmp_path / name
    else:  # Keras needs a copy with the suffix of the format
        weights = weights.rename(tmp_path / name)
    if fault == "no folder":
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
        found = os.strerror(errno.ENOENT) if os.name != "nt" else ""
    else:
        opened = Path.open
        monkeypatch.setattr(
            Path, "open", lambda path, mode="r", **how: FullFile() if mode == "wb" else opened(path, mode, **how)
        )
        found = "No space left on device"
    expected = (
        f"{weights}: expected a folder for temporary files (TMPDIR) with room for its weights, found none: {found}"
    )
    with pytest.raises(ModelError, match=f"^{re.escape(expected)}$"):
        FacialExpressionModel(model, weights, runtime="keras")


def test_huge_json_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "m.json").open("wb") as file:
        file.truncate(33 << 20)
    with pytest.raises(ModelError, match="expected at most 32 MB, found 33 MB"):
        FacialExpressionModel(tmp_path / "m.json")


LAMBDAS: list[dict[str, Any]] = [
    layer("Lambda", function=["4wEAAAAA", None, None]),
    layer("lambda"),
    layer("LAMBDA"),
    layer(" Lambda"),
    layer("keras.layers.Lambda"),
    layer("Custom>Lambda"),
    {**layer("Dense", units=3), "registered_name": "Custom>Lambda"},
    {**layer("Lambda"), "module": "keras.src.layers.core.lambda_layer"},
    {**layer("Dense", units=3), "module": "os.path"},
    {**layer("get_file"), "module": "keras.utils"},
    {**layer("enable_unsafe_deserialization"), "module": "keras.config"},
    {**layer("load_model"), "module": "keras.models"},
    layer("function"),
    layer("Activation", activation={"class_name": "function", "config": "system", "module": "os"}),
    layer("Activation", activation={"class_name": "function", "config": "get_file", "module": "keras.utils"}),
    layer("Bidirectional", layer=layer("LSTM", units=3), backward_layer=layer("lambda")),
    layer("TimeDistributed", layer=layer("TimeDistributed", layer=layer("Wrapper>LAMBDA"))),
    layer("Sequential", layers=[layer("InputLayer"), layer("Functional", layers=[layer("lambda")])]),
    layer("RNN", cell={"class_name": "StackedRNNCells", "config": {"cells": [layer("TFSMLAYER")]}}),
    {**layer("Dense", units=3), "registered_name": "mien>Lambda"},
    {"class_name": "mien>Lambda", "module": None, "registered_name": "mien>x", "config": {"name": "odd"}},
]


@pytest.mark.parametrize("version", ["2.2.4-tf", "3"])
@pytest.mark.parametrize("odd", LAMBDAS, ids=range(len(LAMBDAS)))
def test_code_is_refused_whatever_its_spelling_and_place(odd: dict[str, Any], version: str, tmp_path: Path) -> None:
    written = document(layer("Flatten"), odd)
    if version == "3":
        written = {"module": "keras", "registered_name": None, **written}
        del written["keras_version"]
    (tmp_path / "m.json").write_text(json.dumps(written), encoding="utf-8")
    with pytest.raises(ModelError, match=r"is refused|expected layers of Keras 3, found"):
        FacialExpressionModel(tmp_path / "m.json", SHIPPED_WEIGHTS, runtime="keras")

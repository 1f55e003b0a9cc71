"""Files that are broken, do not match or would run code: an error of one line that names file and cause."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tiny_networks as tiny

from mien.cnn.hdf5 import MAX_ATTRIBUTE_VALUES, Texts, check_content, check_hdf5
from mien.cnn.keras2 import upgrade
from mien.cnn.loader import _attribute_list, import_keras, load_network
from mien.errors import ModelError

keras = import_keras()


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    keras.utils.clear_session()  # conv2d, not conv2d_17, whatever ran before
    return tiny.write_keras_3(tiny.sequential(keras), tmp_path_factory.mktemp("whole"))


@pytest.fixture
def files(whole_files: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    """A copy to break."""
    json_path, weights_path = (Path(shutil.copy(path, tmp_path)) for path in whole_files)
    return json_path, weights_path


def layer(class_name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": class_name, "config": {"name": "odd", **config}}


@pytest.mark.parametrize(
    ("odd", "cause"),
    [
        (layer("Lambda", function=["4wEAAAAA", None, None]), "class Lambda is refused"),
        (layer("TimeDistributed", layer=layer("Lambda")), "class Lambda is refused"),
        (
            layer("Activation", activation={"class_name": "__lambda__", "config": {"value": ""}}),
            "__lambda__ is refused",
        ),
        (layer("TFSMLayer", filepath="folder"), "TFSMLayer is refused"),
        (layer("TorchModuleWrapper"), "TorchModuleWrapper is refused"),
        ({"module": "os", **layer("system")}, "system of os is refused"),
        (layer("TFOpLambda", function="math.add"), "TFOpLambda is refused"),
        (layer("Attention2000"), "found Attention2000"),
        (layer("Activation", activation="wonder"), "wonder"),
        (layer("DepthwiseConv2D", kernel_size=3, groups=2), "groups"),
        (layer("Dense"), "units"),
    ],
)
@pytest.mark.parametrize("dialect", ["2.2.4-tf", "2.1.6", "3"])
def test_unsupported_and_invalid_layers_are_refused(
    dialect: str, odd: dict[str, Any], cause: str, tmp_path: Path
) -> None:
    if dialect == "3":
        document = json.loads(tiny.sequential(keras).to_json())
        odd = {"module": "keras.layers", "registered_name": None, **odd}
    else:
        document = tiny.classic_document(dialect)
    layers = document["config"] if isinstance(document["config"], list) else document["config"]["layers"]
    layers.insert(3, odd)
    path = tmp_path / "model.json"
    path.write_text(json.dumps(document))
    error = failure(path, tmp_path / "none.h5")
    assert cause in error
    assert str(path) in error


def test_hard_sigmoid_of_keras_2_is_refused() -> None:
    """Its formula changed: the network would load and answer differently."""
    document = tiny.classic_document("2.2.4-tf")
    document["config"]["layers"].insert(3, layer("Activation", activation="hard_sigmoid"))
    with pytest.raises(ModelError, match="hard_sigmoid of layer odd"):
        upgrade(document)


def failure(json_path: Path, weights_path: Path) -> str:
    """The error raised on loading; one line."""
    with pytest.raises(ModelError) as caught:
        load_network(json_path, weights_path)
    message = str(caught.value)
    assert message == " ".join(message.split())
    assert len(message) < 600
    return message


def cut(path: Path, part: float) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def document(**changes: Any) -> Any:
    """A fault that changes keys of model.json."""
    return lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (Path.unlink, "found no such file"),
        (directory, "found an empty directory"),
        (lambda path: path.write_bytes(b""), "found an empty file"),
        (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n"), "broken or truncated"),
        (lambda path: path.write_text("{layers: 3}"), "JSON"),
        (lambda path: path.write_text("[" * 100_000), "JSON"),
        (lambda path: cut(path, 0.5), "JSON"),
        (lambda path: path.write_text("[1, 2]"), "found list"),
        (lambda path: path.write_text("null"), "found NoneType"),
        (lambda path: path.write_text('{"a": 1}'), "found the keys ['a']"),
        (document(config={}), "cannot build"),
        (document(config=None), "cannot build"),
        (document(class_name=None), "model.json"),
        (document(class_name="Dense", config={"units": 3}, module="keras.layers"), "found a Dense"),
        (
            document(keras_version="2.2.4-tf", config={"name": "x", "layers": []}),
            "expected a network with an input shape",
        ),
    ],
)
def test_broken_json_is_reported(fault: Any, cause: str, files: tuple[Path, Path]) -> None:
    fault(files[0])
    error = failure(*files)
    assert cause in error
    assert str(files[0]) in error


def hdf5(**groups: Any) -> Any:
    """A fault that replaces the file by HDF5 with these groups."""

    def write(path: Path) -> None:
        with h5py.File(path, "w") as file:
            for name in groups:
                file.create_group(name)

    return write


def spoil(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["model_weights/dense/sequential/dense/kernel"][0, 0] = np.nan


def swap_in(build: Any, native: bool = False) -> Any:
    """A fault that replaces the weights by those of another network."""

    def write(path: Path) -> None:
        other = path.with_name("other.weights.h5" if native else "other.h5")
        (build().save_weights if native else build().save)(other)
        other.replace(path)

    return write


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (Path.unlink, "found no such file"),
        (directory, "found a directory"),
        (lambda path: path.write_bytes(b""), "found an empty file"),
        (lambda path: path.write_text("version https://git-lfs"), "a Git LFS pointer"),
        (lambda path: path.write_bytes(b"PK\x03\x04 and so on"), "broken or truncated"),
        (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n"), "broken or truncated"),
        (lambda path: cut(path, 0.5), "broken or truncated"),
        (lambda path: cut(path, 0.99), "broken or truncated"),
        (hdf5(), "found HDF5 holding []"),
        (hdf5(pictures=1), "found HDF5 holding ['pictures']"),
        (
            hdf5(model_weights=1),
            "expected weights for 4 layers (conv2d, batch_normalization, dense, dense_1), found none",
        ),
        (hdf5(layers=1), "conv2d"),
        (spoil, "found NaN or infinity"),
        (swap_in(lambda: tiny.residual(keras)), "expected weights for 4 layers"),
        (swap_in(lambda: tiny.residual(keras), native=True), "expected 10 arrays of weights, found 17"),
        (swap_in(lambda: tiny.sequential(keras, outputs=8)), "(5, 8)"),
        (swap_in(lambda: tiny.sequential(keras, outputs=8), native=True), "(5, 8)"),
        (
            swap_in(lambda: keras.Sequential([keras.layers.InputLayer((3,)), keras.layers.ReLU()]), native=True),
            "conv2d",
        ),
    ],
)
def test_broken_weights_are_reported(fault: Any, cause: str, files: tuple[Path, Path]) -> None:
    fault(files[1])
    error = failure(*files)
    assert cause in error
    assert str(files[1]) in error


def test_json_with_a_missing_layer_does_not_fit_the_weights(files: tuple[Path, Path]) -> None:
    """Keras would load native weights of a longer network into a shorter one without an error."""
    network = keras.Sequential([keras.layers.InputLayer((tiny.SIZE_PX, tiny.SIZE_PX, 1)), keras.layers.Flatten()])
    for _ in range(2):
        network.add(keras.layers.Dense(144, activation="softmax"))
    weights = files[1].with_name("long.weights.h5")
    network.save_weights(weights)
    network.pop()
    assert "expected 2 arrays of weights, found 4" in failure(tiny.write_json(network, weights.parent), weights)


class ManyAttributes(dict):
    """As h5py shows a broken header, which states billions of attributes."""

    def __len__(self) -> int:
        return 2**32


class BrokenGroup:
    attrs = ManyAttributes(
        {"layer_names": [b"a"], "layer_names0": [b"b"], "layer_names1": ["c"], "layer_names3": [b"d"]}
    )


def test_a_number_of_attributes_that_a_broken_file_states_is_not_believed() -> None:
    assert _attribute_list(BrokenGroup(), "layer_names") == ["a", "b", "c"]
    assert _attribute_list(BrokenGroup(), "weight_names") == []


def test_an_attribute_of_an_absurd_size_is_not_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "large.h5", "w", libver="latest") as file:
        file.create_group("layers").attrs["layer_names"] = np.zeros(MAX_ATTRIBUTE_VALUES + 1, np.int8)
    with (
        h5py.File(tmp_path / "large.h5") as file,
        pytest.raises(ModelError, match=r"at most 100000 values in an attribute, found more in 'layer_names'"),
    ):
        check_content(file, 1)


@pytest.mark.parametrize("error", [SystemError, RuntimeError, KeyError])
def test_a_structure_that_h5py_cannot_walk_through_is_broken(error: type[Exception]) -> None:
    class Broken:
        attrs: dict[str, Any] = {}  # noqa: RUF012
        filename = __file__

        def visititems_links(self, visit: Any) -> None:
            raise error

    with pytest.raises(OSError, match="its structure is broken"):
        check_content(Broken(), 1)


@pytest.mark.parametrize(
    "piece", [b"\0" * 16, b"\x05\0\x01\0" + b"\0" * 4 + b"\xff" * 8, b"\0" * 8 + b"\x08" + b"\0" * 7]
)
def test_a_broken_heap_of_texts_is_refused_before_the_library_reads_it(piece: bytes, tmp_path: Path) -> None:
    path = tmp_path / "texts.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = ["first", "second"]
    check_hdf5(path)
    data = bytearray(path.read_bytes())
    heap = data.index(b"GCOL")
    free = data.index(b"second", heap) + 8
    data[free : free + 16] = piece
    path.write_bytes(data)
    with pytest.raises(ModelError, match="a broken heap of texts"):
        check_hdf5(path)


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_a_text_that_claims_to_be_longer_than_the_file_is_noticed_before_it_is_read(
    libver: str, tmp_path: Path
) -> None:
    path = tmp_path / "texts.h5"
    with h5py.File(path, "w", libver=libver) as file:
        file.create_group("model_weights").attrs["layer_names"] = ["first", "the last one"]
    with h5py.File(path) as file:
        check_content(file, path.stat().st_size)
    data = bytearray(path.read_bytes())
    first = data.index(len("first").to_bytes(4, "little"), data.index(b"layer_names\0") + 40)
    assert data[first + 16 : first + 20] == len("the last one").to_bytes(4, "little")
    data[first + 16 : first + 20] = b"\0\0\0\x70"
    path.write_bytes(data)
    with Texts(path) as texts:
        assert not texts.are_sound("layer_names")
    if libver == "earliest":  # the other format has checksums
        with h5py.File(path) as file, pytest.raises(ModelError, match="expected texts that are shorter than the file"):
            check_content(file, path.stat().st_size)


@pytest.mark.parametrize("nothing", [np.empty(0, object), h5py.Empty(h5py.string_dtype())], ids=["empty", "null"])
def test_a_list_of_no_texts_is_no_fault(nothing: object, tmp_path: Path) -> None:
    path = tmp_path / "texts.h5"
    with h5py.File(path, "w") as file:
        file.create_group("layer").attrs.create("weight_names", nothing, dtype=h5py.string_dtype())
    with h5py.File(path) as file:
        check_content(file, path.stat().st_size)


def test_arrays_of_texts_are_refused_before_they_are_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "texts.h5", "w") as file:
        file["layers/a"] = ["first", "second"]
        with pytest.raises(ModelError, match="expected arrays of numbers, found one of texts or lists at 'layers/a'"):
            check_content(file, 1 << 20)


def test_other_sizes_of_lengths_than_those_of_keras_are_refused(files: tuple[Path, Path]) -> None:
    _, weights = files
    data = bytearray(weights.read_bytes())
    check_hdf5(weights)
    data[14 if data[8] < 2 else 10] = 4
    weights.write_bytes(data)
    with pytest.raises(ModelError, match="expected a complete HDF5 file"):
        check_hdf5(weights)

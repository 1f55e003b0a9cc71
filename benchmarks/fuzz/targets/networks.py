"""Files of networks, which often come from strangers: model.json, HDF5, .keras archives, SavedModels, LiteRT."""

from __future__ import annotations

import io
import json
import random
import shutil
import warnings
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from benchmarks.fuzz.mutations import WORDS, break_bytes, break_structure, dump, mutated, mutated_json
from benchmarks.fuzz.target import Call, Target
from mien import app
from mien.cnn import savedmodel
from mien.cnn.facts import stored_outputs, stored_pixels
from mien.cnn.files import name_content, read_start
from mien.cnn.litert import UnusableError, open_compiled, source_digest, write_compiled
from mien.cnn.logit_adjustment import read_adjustment
from mien.cnn.whole import read_document

STRUCTURE = (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError)
"""With what `mien.cnn.keras2.upgrade` refuses what is no network; its caller says so in words."""


def classic() -> dict[str, Any]:
    """A network as Keras 2 describes it."""
    layers: list[dict[str, Any]] = [
        {"class_name": "Conv2D", "config": {"name": "a", "filters": 2, "kernel_size": [3, 3], "padding": "same"}},
        {"class_name": "BatchNormalization", "config": {"name": "b", "axis": [3]}},
        {"class_name": "Activation", "config": {"name": "c", "activation": "relu"}},
        {"class_name": "Flatten", "config": {"name": "d"}},
        {"class_name": "Dense", "config": {"name": "e", "units": 7, "activation": "softmax"}},
    ]
    layers[0]["config"]["batch_input_shape"] = [None, 12, 12, 1]
    facts = {"expressions": ["angry", "sad"], "pixels": "0..1", "shares": {"happy": 0.5}, "tau": 0.3, "head": "people"}
    return {"class_name": "Sequential", "keras_version": "2.2.4", "backend": "tensorflow", "config": layers, **facts}


def _documents() -> list[Any]:
    shipped = json.loads((app.FOLDER / "model.json").read_text(encoding="utf-8"))
    tf_keras = classic() | {"keras_version": "2.15.0", "config": {"name": "s", "layers": classic()["config"]}}
    return [shipped, classic(), tf_keras]


def _model_json(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    from mien.cnn.keras2 import upgrade

    path = folder / "model.json"

    def call(data: bytes) -> None:
        path.write_bytes(data)
        document = read_document(path)
        for read in (stored_outputs, stored_pixels, read_adjustment):
            _allow_model_errors(read, path)
        try:
            upgrade(document)
        except STRUCTURE:
            return

    return mutated_json(_documents()), call


def _allow_model_errors(read: Callable[[Path], object], path: Path) -> None:
    from mien.errors import ModelError

    try:
        read(path)
    except ModelError:
        return


def _start_of_file(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    names = ("model.h5", "model.json", "x.keras", "y.pb")

    def call(data: bytes) -> None:
        path = folder / names[len(data) % len(names)]
        path.write_bytes(data)
        name_content(path, read_start(path))
        read_document(path)

    archive = _archive({"config.json": json.dumps(classic()).encode(), "metadata.json": b'{"keras_version": "2.1"}'})
    seeds = [archive, _hdf5_bytes(folder), json.dumps(classic()).encode(), b"<!DOCTYPE html>", b"\x80\x04pickle"]
    return mutated(seeds, [b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"config.json", b"model_config"]), call


def _archive(members: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return data.getvalue()


def _hdf5_bytes(folder: Path) -> bytes:
    path = folder / "seed.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(classic())
        file.attrs["keras_version"] = "2.2.4"
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [b"a", b"e"]
        for name in ("a", "e"):
            group = weights.create_group(name)
            group.attrs["weight_names"] = [f"{name}/kernel:0".encode()]
            group.create_dataset(f"{name}/kernel:0", data=np.ones((4, 4), np.float32), compression="gzip")
    return path.read_bytes()


def _compiled(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    model = app.FOLDER / "model.json"
    source = source_digest(model, app.FOLDER / "model_weights.h5")
    path = folder / "model.tflite"
    write_compiled(path, b"TFL3" * 50, source=source, precision="float32", labels=None, tau=0.0, version="0")
    seed = path.read_bytes()

    def call(data: bytes) -> None:
        path.write_bytes(data)
        open_compiled(path, source)

    def rebuild(pair: tuple[bytes, int]) -> bytes:
        """The description alone is broken, in a valid archive."""
        return seed[:200] + _archive({"mien.json": pair[0]}) if pair[1] else seed[:200] + pair[0]

    facts = zipfile.ZipFile(path)
    name = facts.namelist()[0]
    documents = mutated_json([json.loads(facts.read(name))])
    inside = documents.map(lambda text: seed[:200] + _archive({name: text}))
    return st.one_of(mutated([seed]), inside), call


class Networks:
    """Files of tiny networks of several versions of Keras."""

    def __init__(self, folder: Path) -> None:
        from mien.cnn.loader import import_keras
        from tests import tiny_networks as tiny

        keras = import_keras()
        import tf_keras  # writes the formats of Keras 2

        self.documents, self.whole, self.weights = [], [], []
        for build in (tiny.sequential, tiny.residual):
            for package in (keras, tf_keras):
                network = build(package)
                self.documents.append(json.loads(network.to_json()))
                with warnings.catch_warnings(action="ignore"):  # the format is old, as it has to be
                    network.save(folder / "a.h5")
                self.whole.append((folder / "a.h5").read_bytes())
        network = tiny.sequential(keras)
        network.save(folder / "a.keras")
        self.whole.append((folder / "a.keras").read_bytes())
        network.save_weights(folder / "a.weights.h5")
        self.weights.append((folder / "a.weights.h5").read_bytes())
        tiny.sequential(tf_keras).save_weights(folder / "b.h5")
        self.weights.append((folder / "b.h5").read_bytes())


def _save_folder(folder: Path) -> Path:
    """A SavedModel in a folder below; takes seconds."""
    import tf_keras

    from tests import tiny_networks as tiny

    saved = folder / "saved"
    tiny.sequential(tf_keras).save(saved, save_format="tf")
    return saved


def _build(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    from mien.cnn.loader import load_network

    networks = Networks(folder)
    path, weights = folder / "model.json", folder / "weights.h5"
    weights.write_bytes(networks.whole[0])

    def call(data: bytes) -> None:
        path.write_bytes(data)
        load_network(path, weights)

    return mutated_json([*networks.documents, classic()]), call


def _network_bytes(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    """Whole networks and weights with broken bytes: HDF5 and archives."""
    from mien.cnn.loader import load_network

    networks = Networks(folder)
    model, path = folder / "model.json", folder / "model_file"
    model.write_text(json.dumps(networks.documents[0]), encoding="utf-8")

    def call(data: bytes) -> None:
        path.write_bytes(data)
        load_network(path if len(data) % 2 else model, path)

    return mutated([*networks.whole, *networks.weights], [b"layer_names", b"vars", b"kernel:0"]), call


def _hdf5_structure(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    """HDF5 files whose groups, attributes, arrays and links are broken."""
    from mien.cnn.loader import load_network

    networks = Networks(folder)
    model, path = folder / "model.json", folder / "weights.h5"
    model.write_text(json.dumps(networks.documents[0]), encoding="utf-8")

    def make(seed: int) -> bytes:
        dice = random.Random(seed)
        path.write_bytes(dice.choice([*networks.whole[:4], *networks.weights]))
        with h5py.File(path, "r+") as file:
            for _ in range(dice.choice((1, 1, 2, 3))):
                _break_hdf5(dice, file)
        return path.read_bytes()

    def call(data: bytes) -> None:
        path.write_bytes(data)
        load_network(path if len(data) % 2 else model, path)

    return st.integers(0, 2**63 - 1).map(make), call


_ATTRIBUTES = ("layer_names", "weight_names", "keras_version", "model_config")


def _break_hdf5(dice: random.Random, file: Any) -> None:
    names: list[str] = []
    file.visit(names.append)
    names = [name for name in names if name.partition("/")[0] != "extra"]  # of what an earlier fault has added
    name = dice.choice([*names, "/"])
    item = file[name]
    match dice.randrange(7):
        case 0 if item.attrs:
            key = dice.choice(list(item.attrs))
            if key == "model_config" and (structure := _structure(item.attrs[key])) is not None:
                broken = dump(break_structure(dice, structure))
                item.attrs[key] = dice.choice((broken, broken.decode("utf-8", "replace").replace("\0", "")))
            else:
                item.attrs[key] = _any_attribute(dice)
        case 1:
            item.attrs[dice.choice(_ATTRIBUTES)] = _any_attribute(dice)
        case 2 if name != "/":
            del file[name]
        case 3 if name != "/":
            del file[name]
            shape = dice.choice(((), (0,), (1,), (3, 3, 1, 4), (2**20, 2**20), (7,)))
            kind = dice.choice(("f4", "f8", "i1", "c8", "S5", h5py.string_dtype(), h5py.vlen_dtype("i4")))
            file.create_dataset(name, shape, kind, chunks=True if shape and 0 not in shape else None)
        case 4:
            target = dice.choice(("/", name, "/nothing", "/" + dice.choice([*names, ""])))
            link = dice.choice((h5py.SoftLink(target), h5py.ExternalLink("/etc/passwd", "/"), file["/"]))
            file.require_group("extra")[f"x{dice.randrange(10**6)}"] = link
        case 5 if isinstance(item, h5py.Dataset) and item.dtype.kind == "f" and item.size:
            item[...] = dice.choice((np.nan, np.inf, 3e38, 0.0))
        case _ if names:
            other = dice.choice(names)
            file.require_group("extra").copy(file[other], f"y{dice.randrange(10**6)}")


def _structure(text: Any) -> Any:
    """What JSON describes; None if an earlier fault has left none."""
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return None


def _any_attribute(dice: random.Random) -> Any:
    """A value that HDF5 can store as an attribute."""
    texts = ("text", "é", "x" * 3000, dice.choice(WORDS).encode("utf-8", "replace").decode().replace("\0", ""))
    lists = ([b"a", b"b"], [b""], [b"a"] * 500, ["é"], np.zeros((2, 2)), np.array([b"a\0b"]), np.zeros(0))
    return dice.choice((*texts, *lists, b"\xff\xfe", 5, 1.5, np.float32("nan"), h5py.Empty("f")))


def _saved_model(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    """SavedModel folders of which one file has broken bytes."""
    from mien.cnn.loader import load_network

    saved = _save_folder(folder)
    files = savedmodel.files_of(saved)
    whole = {each: each.read_bytes() for each in files}

    def make(seed: int) -> bytes:
        dice = random.Random(seed)
        number = dice.randrange(len(files))
        return bytes([number]) + break_bytes(dice, [whole[files[number]]])

    def call(data: bytes) -> None:
        broken = files[data[0] % len(files)]
        broken.write_bytes(data[1:])
        try:
            load_network(saved, saved)
        finally:
            broken.write_bytes(whole[broken])

    cleanup.callback(shutil.rmtree, saved, ignore_errors=True)
    return st.integers(0, 2**63 - 1).map(make), call


TARGETS = (
    Target("model-json", 5000, _model_json),
    Target("model-file", 5000, _start_of_file),
    Target("compiled-network", 2000, _compiled, clear=(UnusableError,)),
    Target("network-build", 2000, _build, heavy=True),
    Target("network-bytes", 2000, _network_bytes, heavy=True),
    Target("network-hdf5", 1500, _hdf5_structure, heavy=True),
    Target("saved-model", 500, _saved_model, heavy=True),
)

"""A user's own network is compiled for LiteRT once, into the cache; whatever goes wrong there, Keras computes."""

from __future__ import annotations

import importlib.util
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny_networks as tiny

from mien.cnn import cache as cache_module
from mien.cnn import convert
from mien.cnn.cache import FAILED, CompiledCache, cache_folder
from mien.cnn.litert import read_compiled, source_digest
from mien.cnn.loader import import_keras
from model import FacialExpressionModel
from tests.patience import scaled

keras = import_keras()
pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")
pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="only TensorFlow can compile for LiteRT"
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return tiny.write_keras_3(tiny.sequential(keras), tmp_path_factory.mktemp("own"))


@pytest.fixture
def lines(caplog) -> Callable[[], list[str]]:
    """What the model has logged."""
    caplog.set_level(logging.INFO, "model")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "model"]


@pytest.fixture
def started(monkeypatch) -> list[tuple[list[str], dict[str, Any]]]:
    """Command and options of each process that would be started."""
    calls: list[tuple[list[str], dict[str, Any]]] = []
    fake = SimpleNamespace(DEVNULL=subprocess.DEVNULL, Popen=lambda words, **options: calls.append((words, options)))
    monkeypatch.setattr(cache_module, "subprocess", fake)
    return calls


AT_FULL_PRIORITY = """
import os, runpy
os.nice = lambda _: None
runpy.run_module("mien.cnn.convert", run_name="__main__")
"""
"""On a busy computer a process of low priority may take too long for a test."""


def test_the_second_start_uses_what_the_first_one_compiled(files, tmp_path, lines, started) -> None:
    folder = tmp_path / "new" / "cache"
    first = FacialExpressionModel(*files, cache=folder)
    assert first.runtime == "Keras"
    assert lines()[-1].endswith("model.tflite; it is being compiled for the next start")
    ((words, options),) = started
    assert words[1:3] == ["-m", "mien.cnn.convert"]
    command = [words[0], "-c", AT_FULL_PRIORITY, *words[3:]]
    subprocess.run(command, env=options["env"], cwd=tmp_path, check=True, timeout=scaled(60))
    second = FacialExpressionModel(*files, cache=folder)
    assert second.runtime == f"LiteRT (cache, {convert.CHOSEN[0]})"
    assert lines()[-1] == f"the network runs on {second.runtime}"
    faces = tiny.faces()
    np.testing.assert_allclose(second.predict(faces), first.predict(faces), atol=0.002)


def test_without_a_cache_nothing_is_compiled(files, started, lines) -> None:
    FacialExpressionModel(*files)
    assert not started
    assert lines() == [f"the network runs on Keras: there is no {files[0].with_suffix('.tflite')}"]


def test_a_broken_file_is_compiled_again(files, tmp_path, started) -> None:
    CompiledCache(tmp_path).file(source_digest(*files)).write_bytes(b"broken")
    assert FacialExpressionModel(*files, cache=tmp_path).runtime == "Keras"
    assert len(started) == 1


def test_a_network_that_cannot_be_compiled_is_tried_once(files, tmp_path, started, lines, monkeypatch) -> None:
    def refuse(*_: object) -> bytes:
        raise convert.ConversionError("LiteRT knows no such operation")

    monkeypatch.setattr(convert, "convert", refuse)
    monkeypatch.setattr(convert.os, "nice", lambda _: None)
    file = CompiledCache(tmp_path).file(source_digest(*files))
    convert.main(*files, file)
    assert not file.exists()
    assert file.with_suffix(FAILED).exists()
    assert FacialExpressionModel(*files, cache=tmp_path).runtime == "Keras"
    assert not started
    assert lines()[-1].endswith("; LiteRT knows no such operation")


def test_a_network_that_int8_changes_too_much_gets_float16(files, tmp_path, monkeypatch) -> None:
    network = tiny.sequential(keras)
    real = convert.convert

    def spoil_int8(network: Any, file: Path, precision: str) -> bytes:
        if precision == "int8":
            network = tiny.sequential(keras)
            network.layers[-1].bias.assign(np.arange(7, dtype=np.float32))
        return real(network, file, precision)

    monkeypatch.setattr(convert, "convert", spoil_int8)
    file = convert.compile_network(network, *files, tmp_path / "model.tflite")
    assert read_compiled(file)[1].precision == "float16"


@pytest.mark.parametrize("factor", [0.9, np.nan])
def test_a_compiled_network_that_answers_differently_is_refused(files, tmp_path, monkeypatch, factor) -> None:
    network = tiny.sequential(keras)
    content = convert.convert(network, files[0], "float32")
    network.layers[-1].bias.assign(factor * np.arange(7, dtype=np.float32))
    monkeypatch.setattr(convert, "convert", lambda *_: content)
    with pytest.raises(convert.ConversionError, match="differs from Keras by"):
        convert.compile_network(network, *files, tmp_path / "model.tflite")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_created_leaves_it_to_keras(files, tmp_path, started, lines) -> None:
    (tmp_path / "file").touch()
    assert FacialExpressionModel(*files, cache=tmp_path / "file" / "cache").runtime == "Keras"
    assert not started
    assert "cannot be created" in lines()[-1]
    assert len(lines()) == 1


def test_a_folder_that_cannot_be_written_leaves_it_to_keras(files, tmp_path, started, lines, monkeypatch) -> None:
    monkeypatch.setattr(cache_module.os, "access", lambda *_: False)
    assert FacialExpressionModel(*files, cache=tmp_path).runtime == "Keras"
    assert not started
    assert lines()[-1].endswith(f"{tmp_path} cannot be written")


def test_without_tensorflow_nothing_is_compiled(files, tmp_path, started, lines, monkeypatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert FacialExpressionModel(*files, cache=tmp_path).runtime == "Keras"
    assert not started
    assert lines()[-1].endswith("without TensorFlow it cannot be compiled")


def test_what_was_not_used_for_the_longest_time_is_deleted(tmp_path) -> None:
    for age, name in enumerate(("new", "old", "older")):
        (tmp_path / name).write_bytes(bytes(1000))
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    CompiledCache(tmp_path).clean(limit_mb=0.0025)
    assert {file.name for file in tmp_path.iterdir()} == {"new", "old"}


def test_use_renews_a_file(files, tmp_path) -> None:
    network = tiny.sequential(keras)
    cache, source = CompiledCache(tmp_path), source_digest(*files)
    convert.compile_network(network, *files, cache.file(source))
    os.utime(cache.file(source), (1e9, 1e9))
    cache.open(source)
    assert cache.file(source).stat().st_mtime > 1e9
    assert read_compiled(cache.file(source))[1].source == source


def test_the_folder_is_this_users() -> None:
    assert "mien" in cache_folder().parts


@pytest.mark.skipif(sys.platform == "win32", reason="Windows asks the system for this folder")
@pytest.mark.parametrize("raises", [True, False], ids=["raises", "relative"])
def test_a_user_without_a_home_folder_has_none(monkeypatch, raises: bool) -> None:
    import pwd

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    if not raises:  # as older versions of platformdirs
        monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: Path("~/.cache/mien"))
    assert cache_folder() is None

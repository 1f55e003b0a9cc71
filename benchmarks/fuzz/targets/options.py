"""What people type: command lines, variables, labels, sources and lists of files."""

from __future__ import annotations

import json
import os
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from benchmarks.fuzz.mutations import WORDS, mutated, mutated_text
from benchmarks.fuzz.target import Call, Target
from mien.addresses import masked
from mien.batch.inputs import decode_list, file_name, find_inputs
from mien.batch.options import AnalyzeSettings, ReportSettings, read_analyze_settings
from mien.errors import MienError, SettingsError
from mien.labels import OutputLabels
from mien.options import options_of
from mien.outputs.addresses import endpoint, parse_address
from mien.settings import Settings, read_settings
from mien.sources import source_kind, source_name
from mien.sources.catalog import SourceCatalog
from mien.sources.network import masked_url
from training.__main__ import parse
from training.options import COMMANDS
from web.own_stream import is_own_address

_VALUES = """
0 1 5000 0.5 1280x720 demo auto /dev/video0 clip.mp4 http://127.0.0.1/x 0..1 -1..1 haar litert happy,sad ::1 /mien
angry,disgust,fear,happy,sad,surprise,neutral contempt=none 1:02:03 csv,parquet eaf,srt tcp://127.0.0.1:8786
s3://bucket/x aaaaaaaaaaaaaaaa
"""
VALUES = _VALUES.split()
SECRET = "Sw0rdf1sh"

_anything = st.one_of(st.sampled_from(VALUES), st.sampled_from(WORDS), st.text(max_size=20))


def _as_json(strategy: SearchStrategy[Any]) -> SearchStrategy[bytes]:
    return strategy.map(lambda value: json.dumps(value).encode())


def _lines(settings: type) -> SearchStrategy[bytes]:
    """Words of a command line and variables, as JSON: [words, {name: value}]."""
    flags = [flag for each in options_of(settings) for flag in each.flags]
    variables = [each.variable for each in options_of(settings)]
    flag = st.one_of(st.sampled_from(flags), st.sampled_from(flags).map(lambda text: text[:-1]), _anything)
    words = st.lists(
        st.one_of(
            st.tuples(flag, _anything),
            st.tuples(flag, _anything).map(lambda pair: ("=".join(pair),)),
            st.tuples(_anything),
        ),
        max_size=5,
    ).map(lambda groups: [word for group in groups for word in group])
    name = st.one_of(st.sampled_from(variables), st.text(max_size=8).map(lambda text: f"MIEN_{text}"))
    return _as_json(st.tuples(words, st.dictionaries(name, _anything, max_size=3)))


def _settings(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    def call(data: bytes) -> None:
        argv, environ = json.loads(data)
        read_settings(argv, environ)

    return _lines(Settings), call


def _analyze(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    def call(data: bytes) -> None:
        argv, environ = json.loads(data)
        read_analyze_settings(argv, environ)

    return st.one_of(_lines(AnalyzeSettings), _lines(ReportSettings)), call


_TRAINING_FLAGS = """
--data --votes --model --labels --pixels --folds --epochs --tau --out --seed --head --learning-rate --in-place
--batch-size --devices --faces --format --network --export
"""


def _training(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    flags = _TRAINING_FLAGS.split()
    pair = st.tuples(st.sampled_from(flags), st.one_of(st.sampled_from(VALUES), _anything))
    options = st.lists(st.one_of(pair, st.tuples(_anything)), max_size=5)
    words = st.tuples(st.one_of(st.sampled_from(list(COMMANDS)), _anything), options).map(
        lambda parts: [parts[0], *(word for group in parts[1] for word in group)]
    )
    return _as_json(words), lambda data: parse(json.loads(data))


def _labels(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    seeds = ["angry,disgust,fear,happy,sad,surprise,neutral", "Anger, contempt=neutral, happiness,unknown=none"]
    return mutated_text(seeds), lambda data: OutputLabels.of(data.decode("utf-8", "surrogateescape"))


def _sources(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    (folder / "media").mkdir()
    (folder / "media" / "a.gif").write_bytes(b"GIF89a")
    catalog = SourceCatalog(folder / "media")
    cleanup.enter_context(mock.patch.object(catalog, "_webcams", mock.Mock(find=lambda in_use: {0: "Webcam"})))
    cleanup.enter_context(mock.patch.object(socket, "getaddrinfo", _look_up_nothing))

    def call(data: bytes) -> None:
        spec = data.decode("utf-8", "surrogateescape")
        if source_kind(spec) == "url":
            _check_masked(spec)
        is_own_address(spec, "127.0.0.1", 5000)
        try:
            source_name(spec)
        finally:
            catalog.spec_of(spec)

    seeds = [
        *(
            "demo",
            "0",
            "/dev/video1",
            "a.gif",
            "clips/b.mp4",
            "http://127.0.0.1:8080/video?key=1#x",
            "rtsps://[::1]:554/s",
        ),
        f"rtsp://user:{SECRET}@camera.local:554/live",
        f"http://camera/user=admin&password={SECRET}&channel=1",
        f"rtsp://user:a@/#?{SECRET}@192.168.1.5:554/live",
        f"user:{SECRET}@192.168.1.5:8080/video",
    ]
    return mutated_text(seeds), call


def _check_masked(text: str) -> None:
    """No name and no message shows a password, whatever is wrong with the address."""
    try:
        shown = masked_url(text)
    except MienError as error:
        shown = str(error)
    is_password = text.count(SECRET) == text.count(f":{SECRET}@") > 0  # elsewhere, it is part of a path
    if is_password and SECRET in shown + masked(text):
        raise AssertionError("the password is shown")


def _outputs(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    def call(data: bytes) -> None:
        text = data.decode("utf-8", "surrogateescape")
        address = parse_address(text)
        if f":{SECRET}@" in text and SECRET in address.name + address.hide(text):
            raise AssertionError("the password is shown")
        endpoint(address, 9000, options=("retain", "qos"))

    seeds = [
        *(
            "osc://127.0.0.1:9000/mien",
            "jsonl:faces.jsonl",
            "websocket://[::1]:8765",
            "lsl:Mien",
            "webhook:https://a/b?c=1",
        ),
        f"mqtt://anna:{SECRET}@broker:1883/home?retain=1&qos=2",
    ]
    return mutated_text(seeds), call


def _look_up_nothing(name: Any, *rest: Any, **more: Any) -> Any:
    """Stands for name service: knows numbers alone."""
    return _REAL_LOOK_UP(name, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)


_REAL_LOOK_UP = socket.getaddrinfo


def _lists(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    for name in ("a.mp4", "b/c.jpg", "b/[x].png", "b/.hidden.mp4"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"GIF89a")
    root = os.fspath(folder)

    def call(data: bytes) -> None:
        lines = decode_list(data, "utf-8")
        found = find_inputs(["-"], [f"{root}/{line}" for line in lines[:20] if line.count("*") < 5], folder / "out")
        for each in found.found:
            file_name(each.name)

    seeds = [text.encode(code) for text in ("a.mp4\nb\n**/*.jpg\n", "b/[x].png\r\nb/*.mp4\r\n") for code in _ENCODINGS]
    return mutated(seeds, [word.encode("utf-8", "surrogatepass") for word in WORDS]), call


_ENCODINGS = ("utf-8", "utf-8-sig", "utf-16")

TARGETS = (
    Target("settings", 6000, _settings, clear=(SettingsError, SystemExit)),
    Target("analyze-options", 4000, _analyze, clear=(SettingsError, SystemExit)),
    Target("training-options", 500, _training, clear=(MienError, SystemExit)),
    Target("labels", 5000, _labels, clear=(ValueError,)),
    Target("sources", 8000, _sources),
    Target("outputs", 3000, _outputs),
    Target("lists", 2000, _lists),
)

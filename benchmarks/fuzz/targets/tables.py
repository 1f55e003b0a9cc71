"""Tables as CSV: data sets, votes, and recordings of the live program."""

from __future__ import annotations

import codecs
import csv
import io
import random
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from benchmarks.fuzz.mutations import mutated_text
from benchmarks.fuzz.target import Call, Target
from mien.batch.events import Events
from mien.batch.recordings import describe_recording, is_recording, read_results, read_times
from mien.batch.summary import Summary
from mien.recording.rows import COLUMNS
from mien.types import EXPRESSIONS, HEAD_COLUMNS

CODES = {"utf-8": b"", "utf-8-sig": b"", "utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": b"", "latin-1": b""}


def _encoded(texts: SearchStrategy[bytes]) -> SearchStrategy[bytes]:
    """Texts in the encodings of spreadsheet programs."""

    def encode(pair: tuple[bytes, str]) -> bytes:
        data, code = pair
        return CODES[code] + data.decode("utf-8", "replace").encode(code, "replace")

    return st.one_of(texts, st.tuples(texts, st.sampled_from(list(CODES))).map(encode))


def _table(rows: list[list[str]], delimiter: str = ",") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue()


def _dataset(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    from training.data.dataset import load_dataset  # imports Keras

    dice = random.Random(0)

    def rows(usages: tuple[str, ...]) -> list[list[str]]:
        made = [["emotion", "pixels", *(["Usage"] if usages else [])]]
        for number in range(15):
            pixels = " ".join(str(dice.choice((0, 7, 128, 255))) for _ in range(48 * 48))
            made.append([str(number % 7), pixels, *([usages[number % len(usages)]] if usages else [])])
        return made

    seeds = [
        _table(rows(("Training", "Training", "PublicTest"))),
        _table(rows(()), ";"),
        _table(rows(("Training",)), "\t"),
    ]
    path = folder / "fer.csv"

    def call(data: bytes) -> None:
        path.write_bytes(data)
        load_dataset(path)

    return _encoded(mutated_text(seeds)), call


def _votes(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    from training.data.splits import HELD_OUT, Dataset, Split
    from training.data.votes import VOTED, with_votes  # imports Keras

    names = [f"{number}.png" for number in range(7)]
    votes = [["0"] * number + ["10"] + ["0"] * (9 - number) for number in range(7)]
    seeds = [
        _table([["split", "file", *VOTED], *(["Training", *row] for row in map(_join, names, votes))]),
        _table(
            [
                ["split", "file", "folder", *VOTED],
                *(["training", n, EXPRESSIONS[i], *v] for i, (n, v) in _numbered(names, votes)),
            ]
        ),
        _table([["Usage", "Image name", *VOTED], *(["Training", *row] for row in map(_join, names, votes))]),
    ]
    images, labels = np.zeros((7, 48, 48, 1), np.uint8), np.arange(7)
    none = Split(images[:0], labels[:0], ())
    by_name = Dataset(Split(images, labels, tuple(names)), none, none, (), (HELD_OUT, "test"))
    by_row = Dataset(
        Split(images, labels, tuple(f"fer.csv row {n + 1}" for n in range(7))), none, none, (), (HELD_OUT, "test")
    )
    path = folder / "votes.csv"

    def call(data: bytes) -> None:
        path.write_bytes(data)
        try:
            with_votes(by_name, path)
        finally:
            with_votes(by_row, path)

    return _encoded(mutated_text(seeds)), call


def _join(name: str, votes: list[str]) -> list[str]:
    return [name, *votes]


def _numbered(names: list[str], votes: list[list[str]]) -> list[tuple[int, tuple[str, list[str]]]]:
    return list(enumerate(zip(names, votes, strict=True)))


def _recordings(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    cells = {
        "time": "1790000000.25",
        "face": "1",
        "label": "happy",
        "confidence": "0.9",
        "unsure": "0",
        "quality": "0.8",
    }
    cells |= (
        dict.fromkeys(EXPRESSIONS, "0.1")
        | dict.fromkeys(("x", "y", "w", "h"), "10")
        | {"width": "640", "height": "480"}
    )
    cells |= dict.fromkeys(HEAD_COLUMNS, "0.5")

    def row(frame: int) -> list[str]:
        values = cells | {"frame": str(frame), "time": str(1790000000 + frame / 30)}
        return [values.get(column, "") for column in COLUMNS]

    seeds = [
        _table([list(COLUMNS), *(row(frame // 2) for frame in range(16))]),
        _table([list(COLUMNS), row(0), row(90)]),
    ]
    path = folder / "session-20261126-120000.csv"

    def call(data: bytes) -> None:
        path.write_bytes(data)
        if not is_recording(path):
            return
        times = read_times(path)
        describe_recording(path, path.name, times)
        events, summary = Events(path.name), Summary(path.name)
        for result, duration_s in read_results(path, path.name, times):
            list(result.rows())
            events.add(result, duration_s)
            summary.add(result, duration_s)
        list(events.rows())
        list(summary.rows())

    return mutated_text(seeds), call


TARGETS = (
    Target("dataset-csv", 3000, _dataset),
    Target("votes-csv", 3000, _votes),
    Target("recording-csv", 4000, _recordings),
)

"""Files that the program wrote and reads again, after somebody has edited or damaged them: one line says so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import main
from mien.batch.inputs import Input
from mien.batch.jobs import Done, Job
from mien.batch.manifest import Manifest
from mien.batch.recordings import describe_recording, read_results, read_times
from mien.errors import SettingsError
from mien.json_text import is_number, read_json
from mien.reading_check import Readings
from mien.types import HEAD_COLUMNS
from tests.test_batch_report import MADE_BY
from tests.test_recording_reports import minute, rows_of, write_recording
from training.data.files import DataError
from training.data.splits import HELD_OUT, Dataset, Split
from training.data.votes import VOTED, with_votes

DEEP = "[" * 100_000 + "]" * 100_000

# ---- JSON


@pytest.mark.parametrize("text", ["", "{", DEEP, '{"a": ' * 500 + "1" + "}" * 500, b"\xff\xfe\xff", "9" * 5000])
def test_json_that_cannot_be_read_is_a_value_error(text) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_json(text)


@pytest.mark.parametrize("text", ["1", "[[[]]]", '{"a": [1, {"b": null}]}', "[" * 99 + "]" * 99])
def test_other_json_is_read_as_usual(text) -> None:
    assert read_json(text) == json.loads(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, True), (-0.5, True), (True, False), ("1", False), (None, False), (float("nan"), False), (10**400, False)],
)
def test_a_number_is_finite_and_not_a_switch(value, expected) -> None:
    assert is_number(value) is expected


# ---- recordings


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("label", "bored"),
        ("label", "x" * 200_000),
        ("happy", "much"),
        ("happy", "nan"),
        ("happy", "1e400"),
        ("quality", "1.75"),
        ("quality", "x"),
        ("quality_reason", "ugly"),
        ("people_share", "x"),
        ("yaw_deg", "x"),
        ("time", "1e14"),
        ("frame", ""),
        ("width", "9" * 400),
        ("added", "\udcff"),
    ],
)
def test_a_damaged_recording_is_named_in_one_line(column, value, tmp_path) -> None:
    path = write_recording(tmp_path / "session.csv", minute())
    rows = rows_of(path)
    given = dict.fromkeys(HEAD_COLUMNS, "0.1") | {"quality": "0.5", "quality_reason": "", "people_share": "0.5"}
    lines = [",".join((row | given | {column: value}).values()) for row in rows]
    text = "\n".join([",".join(rows[0] | {column: ""}), *lines])
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SettingsError, match=r"^report: expected .*session\.csv"):
        _read_all(path)


def _read_all(path: Path) -> None:
    times = read_times(path)
    describe_recording(path, path.name, times)
    list(read_results(path, path.name, times))


@pytest.mark.parametrize(
    "made",
    [
        "[]",
        "{}",
        DEEP,
        json.dumps(MADE_BY | {"network": "x"}),
        json.dumps(MADE_BY | {"settings": {"unsure": "a", "min_quality": 0.5}}),
        json.dumps(MADE_BY | {"settings": {"unsure": float("nan"), "min_quality": 0.5}}),
        json.dumps(MADE_BY | {"detector": {"name": 5, "sha256": {}}}),
    ],
)
def test_a_damaged_description_beside_a_recording_is_named_in_one_line(made, tmp_path) -> None:
    path = write_recording(tmp_path / "session.csv", minute(), None)
    (tmp_path / "session.mien.json").write_text(made, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"^report: expected .*session\.mien\.json as the program wrote it, found "):
        _read_all(path)


# ---- results


@pytest.mark.parametrize(
    "made",
    [
        "[]",
        DEEP,
        json.dumps(MADE_BY | {"input": 5, "frames": {"analyzed": 1}}),
        json.dumps(MADE_BY | {"input": {"name": "a", "decoded_s": 1e300}, "frames": {"analyzed": 1, "with_face": 1}}),
        json.dumps(MADE_BY | {"inputs": {}, "frames": {"analyzed": 1}}),
    ],
)
def test_a_damaged_description_of_results_is_named_in_one_line(made, tmp_path, capsys) -> None:
    (tmp_path / "mien.json").write_text(made, encoding="utf-8")
    assert main.main(["methods", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mien: methods: expected ")


# ---- manifests


RUN = {"mien": "1", "settings": {"fps": None}}


@pytest.mark.parametrize(
    "line",
    [
        "5",
        "[]",
        DEEP,
        '{"job": 5}',
        '{"job": "a"}',
        '{"job": "a", "inputs": [], "done": 5}',
        '{"job": "a", "inputs": [], "done": [{"input": "a"}]}',
        '{"job": "a", "inputs": [], "done": [{"input": "a", "status": 5}]}',
        '{"job": "a", "inputs": [], "done": [{"input": "a", "status": "done", "facts": []}]}',
        '{"job": "a", "inputs": [], "done": [{"input": "a", "status": "done", "facts": {"analyzed": "x"}}]}',
    ],
)
def test_a_job_whose_line_is_damaged_is_done_again(line, tmp_path) -> None:
    path, job = tmp_path / "jobs.jsonl", Job("a", (Input(tmp_path / "a.mp4", "a.mp4", "a"),))
    path.write_text(f"{json.dumps({'run': RUN})}\n{line}\n", encoding="utf-8")
    manifest = Manifest(path, RUN)
    assert manifest.done(job) is None
    assert not manifest.joined("a", [job])
    manifest.add(job, [Done("a.mp4", "done")])
    assert Manifest(path, RUN).done(job) == [Done("a.mp4", "done")]


@pytest.mark.parametrize(
    "run", [5, [], {"mien": "2"}, {**RUN, "settings": 5}, {**RUN, "settings": {}}, {**RUN, "settings": {"fps": 5}}]
)
def test_a_manifest_of_another_run_is_refused_whatever_it_says(run, tmp_path) -> None:
    path = tmp_path / "jobs.jsonl"
    path.write_text(f"{json.dumps({'run': run})}\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"^--resume: expected the "):
        Manifest(path, RUN)


# ---- votes and caches


def test_a_vote_of_many_digits_is_refused(tmp_path) -> None:
    table = tmp_path / "votes.csv"
    table.write_text(f"split,file,{','.join(VOTED)}\nTraining,a.png,{'9' * 30}{',0' * 9}\n", encoding="utf-8")
    images = np.zeros((1, 48, 48, 1), np.uint8)
    some = Split(images, np.array([0]), ("a.png",))
    none = Split(images[:0], np.array([], np.int64), ())
    with pytest.raises(DataError, match=r"row 1: expected whole numbers from 0 as votes"):
        with_votes(Dataset(some, none, none, (), (HELD_OUT, "test")), table)


@pytest.mark.parametrize("number", ["1e400", "NaN", DEEP, '"x"', "null"])
def test_damaged_readings_of_a_network_count_as_none(number, tmp_path) -> None:
    file = tmp_path / "readings.json"
    outputs = ", ".join(f'"{pixels}": [{number}]' for pixels in ("0..255", "0..1", "-1..1", "standardize"))
    file.write_text(f'{{"outputs": {{{outputs}}}, "guess": null, "teller": "", "asked": true}}', encoding="utf-8")
    assert Readings.load(file) is None

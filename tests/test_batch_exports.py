"""Files for other programs, each read back by the library of its format, and the paragraph for a paper."""

from __future__ import annotations

import csv
import json
import sys
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

import main
from mien.batch.annotations import write_annotations
from mien.batch.layouts import grid_rows
from mien.batch.methods import REFERENCES, describe_methods
from mien.batch.tables import open_table
from mien.errors import SettingsError
from mien.recording.rows import as_csv
from mien.results import COLUMNS, Result
from mien.types import Head, Quality
from tests.clips import demo_pictures, write_video
from tests.web_fakes import face_showing

EVENTS = [
    {"onset": 0.04, "duration": 1.0, "trial_type": "happy", "face": 1, "confidence": 0.92, "unsure_share": 0.0},
    {"onset": 0.5, "duration": 0.0, "trial_type": "sad", "face": 2, "confidence": None, "unsure_share": None},
    {"onset": 1.04, "duration": 0.5, "trial_type": "fear", "face": 1, "confidence": 0.381, "unsure_share": 0.9},
]


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """The results of one video and one image with all layouts and a grid of 10 points per second."""
    pytest.importorskip("pympi", reason="pympi-ling is not installed")
    pytest.importorskip("pysubs2", reason="pysubs2 is not installed")
    folder = tmp_path_factory.mktemp("exports")
    pictures = demo_pictures(20)
    clip = write_video(folder / "clip.mp4", pictures, [i / 25 if i < 10 else 0.6 + i / 25 for i in range(20)])
    words = ["--grid", "10", "--columns", "openface,pyfeat", "--events", "eaf,srt,ass"]
    assert main.main(["analyze", str(clip), "--out", str(folder / "out"), *words]) == 0
    return folder / "out"


def test_elan_annotations_are_read_back(results):
    from pympi import Elan

    document = Elan.Eaf(str(results / "clip" / "events.eaf"))
    events = pd.read_csv(results / "clip" / "events.csv")
    assert list(document.get_tier_names()) == ["face 1"]
    assert [(start, end, value) for start, end, value in document.get_annotation_data_for_tier("face 1")] == [
        (round(1000 * row.onset), round(1000 * (row.onset + row.duration)), row.trial_type)
        for row in events.itertuples()
    ]
    (media,) = document.get_linked_files()
    assert media["MEDIA_URL"].endswith("clip.mp4")
    assert media["MIME_TYPE"] == "video/mp4"


@pytest.mark.parametrize("kind", ["srt", "ass"])
def test_subtitles_are_read_back(tmp_path, kind):
    pysubs2 = pytest.importorskip("pysubs2", reason="pysubs2 is not installed")
    write_annotations(tmp_path / f"events.{kind}", EVENTS, "clip.mp4")
    read = pysubs2.load(str(tmp_path / f"events.{kind}"))
    assert [each.text for each in read] == ["face 1: happy 92 %", "face 2: sad", "face 1: fear? 38 %"]
    assert [each.start for each in read] == [40, 500, 1040]
    assert [each.end for each in read] == pytest.approx([1040, 501, 1540], abs=10), "ASS has hundredths of a second"


def test_a_short_event_lasts_a_millisecond_in_elan(tmp_path):
    Elan = pytest.importorskip("pympi", reason="pympi-ling is not installed").Elan  # noqa: N806
    write_annotations(tmp_path / "events.eaf", EVENTS, "clip.mp4")
    document = Elan.Eaf(str(tmp_path / "events.eaf"))
    assert document.get_annotation_data_for_tier("face 2") == [(500, 501, "sad")]


@pytest.mark.parametrize(
    ("edges_s", "expected_ms"),
    [
        ([0.0, 0.0404, 0.0806, 0.12], [(0, 40), (40, 81), (81, 120)]),
        ([0.1, 0.1002, 0.1004, 0.2], [(100, 101), (101, 102), (102, 200)]),
        ([1.0005, 1.0014999, 1.0025], [(1000, 1001), (1001, 1002)]),
    ],
)
def test_rounding_makes_no_annotations_of_a_face_overlap(tmp_path, edges_s, expected_ms):
    Elan = pytest.importorskip("pympi", reason="pympi-ling is not installed").Elan  # noqa: N806
    events = [
        EVENTS[0] | {"onset": start_s, "duration": round(end_s - start_s, 6), "face": face}
        for start_s, end_s in pairwise(edges_s)
        for face in (1, 2)
    ]
    write_annotations(tmp_path / "events.eaf", events, "clip.mp4")
    document = Elan.Eaf(str(tmp_path / "events.eaf"))
    for face in (1, 2):
        found = sorted(document.get_annotation_data_for_tier(f"face {face}"))
        assert [(start, end) for start, end, _ in found] == expected_ms


def test_openface_and_pyfeat_columns_hold_the_table(results):
    table = pd.read_csv(results / "clip" / "faces.csv")
    openface = pd.read_csv(results / "clip" / "openface.csv")
    assert list(openface.columns[:4]) == ["frame", "face_id", "timestamp", "success"]
    assert openface["frame"].tolist() == (table["frame"] + 1).tolist()
    assert openface["face_id"].tolist() == table["face"].fillna(0).tolist()
    assert openface["timestamp"].tolist() == table["time_s"].tolist()
    pyfeat = pd.read_csv(results / "clip" / "pyfeat.csv")
    for theirs, ours in {"FaceRectX": "x", "FaceRectHeight": "h", "happiness": "happy", "anger": "angry"}.items():
        pd.testing.assert_series_equal(pyfeat[theirs], table[ours], check_names=False)


def test_a_grid_shows_at_each_point_the_frame_of_that_time(results):
    table = pd.read_csv(results / "clip" / "faces.csv")
    grid = pd.read_csv(results / "clip" / "grid.csv")
    assert grid["time_s"].tolist() == pytest.approx([i / 10 for i in range(14)])
    for row in grid.itertuples():
        assert row.frame == table[table.time_s <= row.time_s + 1e-6]["frame"].max()
    assert list(grid.columns) == list(table.columns)


def test_a_carriage_return_in_a_name_divides_no_row_of_a_csv_file(tmp_path):
    table = [["input", "reason"], ["Icon\r", "skipped"], ["a\rb.mp4", 'a "b"\r\n'], ["c\nd.mp4", ""]]
    with closing(open_table(tmp_path / "table.csv", table[0])) as written:
        written.add(dict(zip(table[0], row, strict=True)) for row in table[1:])
    expected = b'input,reason\n"Icon\r",skipped\n"a\rb.mp4","a ""b""\r\n"\n"c\nd.mp4",\n'
    assert (tmp_path / "table.csv").read_bytes() == as_csv(table) == expected
    with (tmp_path / "table.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == table


@pytest.mark.parametrize(
    ("time_s", "duration_s", "rate", "points"),
    [
        (0.0, 0.04, 25, [0.0]),
        (0.04, 0.04, 25, [0.04]),
        (0.041708, 0.041709, 25, [0.08]),
        (0.0, 1.0, 4, [0.0, 0.25, 0.5, 0.75]),
        (0.3, 0.1, 1, []),
        (0.0, 0.0, 25, []),
    ],
)
def test_a_frame_is_shown_from_its_time_until_the_next(time_s, duration_s, rate, points):
    found = list(grid_rows(Result("a", 3, time_s, 4, 4, (), "no_face"), duration_s, rate))
    assert [row["time_s"] for row in found] == pytest.approx(points)
    assert all((row["frame"], row["success"]) == (3, 0) for row in found)


def test_parquet_has_a_fitting_type_for_each_column(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    head = Head(1.5, -2.0, 0.5, 0.3, 0.3, 0.1, True)
    face = replace(
        face_showing("happy"), id=1, people_share=0.5, quality=Quality(0.5, "dark"), found_by="haar", head=head
    )
    (row,) = Result("a.mp4", 0, 0.0, 64, 48, (face,)).rows()
    row |= {"reason": "none"}
    with closing(open_table(tmp_path / "faces.parquet")) as table:
        table.add([row])
    read = parquet.read_table(tmp_path / "faces.parquet").to_pylist()
    assert read == [{name: row[name] for name in COLUMNS}]
    assert [type(value) for value in read[0].values()] == [type(row[name]) for name in COLUMNS]


@pytest.mark.parametrize(
    ("words", "module", "package"),
    [
        (["--format", "parquet"], "pyarrow", "pyarrow"),
        (["--events", "eaf"], "pympi", "pympi"),
        (["--events", "srt"], "pysubs2", "pysubs2"),
    ],
)
def test_a_missing_package_is_one_line_before_anything_is_written(
    capsys, monkeypatch, tmp_path, words, module, package
):
    monkeypatch.setitem(sys.modules, module, None)
    assert main.main(["analyze", "a.mp4", "--out", str(tmp_path / "out"), *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    expected = f"mien: {words[0]} {words[1]}: expected the package {package}, found none; "
    assert line == expected + "pip install -r requirements-batch.txt installs it"
    assert not (tmp_path / "out").exists()


def test_a_paragraph_describes_the_results_with_references(results, capsys):
    assert main.main(["methods", str(results)]) == 0
    shown = capsys.readouterr().out
    text = " ".join(shown.split())
    assert "1 video with a total duration of 0.0 minutes was analyzed, every frame, without dropping any" in text
    assert "20 frames" in text
    assert "all parts could be decoded" in text
    assert "trained on FER-2013" in text
    assert REFERENCES["bootstrap"] in shown
    cited = [key for key, reference in REFERENCES.items() if reference in shown]
    assert {"fer", "ferplus", "adjustment", "bootstrap", "blocks"} < set(cited)


def test_the_duration_begins_at_the_start(results):
    described = json.loads((results / "clip" / "mien.json").read_text(encoding="utf-8"))
    described["settings"]["start"] = 600.0
    described["input"]["decoded_s"] = 780.0
    assert "a total duration of 3.0 minutes" in " ".join(describe_methods([described]).split())


def test_another_network_is_not_said_to_be_trained_on_fer(results):
    described = json.loads((results / "clip" / "mien.json").read_text(encoding="utf-8"))
    described["network"] |= {"sha256": 64 * "0", "rare": None}
    described["settings"]["fps"] = 5
    text = " ".join(describe_methods([described]).split())
    assert "FER-2013" not in text
    assert "Menon" not in text
    assert "at most 5 frames per second" in text


@pytest.mark.parametrize(
    ("name", "file", "cited"),
    [
        ("haar", "face_filter.npz", ["Viola"]),
        ("auto", "centerface.onnx", ["Viola", "CenterFace"]),
        ("auto", "face_detection_yunet_2023mar.onnx", ["Viola", "YuNet"]),
    ],
)
def test_the_default_detector_is_described_as_its_two_parts(results, name, file, cited):
    described = json.loads((results / "clip" / "mien.json").read_text(encoding="utf-8"))
    described["detector"] = {"name": name, "sha256": {"face_filter.npz": "", file: ""}}
    text = describe_methods([described])
    assert [each for each in ("Viola, P.", "CenterFace:", "YuNet:") if each in text] == [
        f"{each}, P." if each == "Viola" else f"{each}:" for each in cited
    ]


def test_results_of_several_settings_are_not_described_as_one(results):
    described = json.loads((results / "clip" / "mien.json").read_text(encoding="utf-8"))
    other = described | {"settings": {**described["settings"], "unsure": 0.4}}
    with pytest.raises(SettingsError, match="same version and settings, found several"):
        describe_methods([described, other])


@pytest.mark.parametrize("words", [[], ["a", "b"], ["missing"]])
def test_methods_without_results_is_a_mistake(capsys, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    assert main.main(["methods", *words]) == 2
    assert capsys.readouterr().err.startswith("mien: methods: expected ")


def test_methods_of_a_file_that_analyze_did_not_write_is_a_mistake(capsys, tmp_path):
    (tmp_path / "mien.json").write_text("{}")
    assert main.main(["methods", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "mien: methods: expected results of this version of analyze, found files mien.json that lack"
    )

"""`python main.py analyze`, with the real network."""

from __future__ import annotations

import csv
import json
import logging
import os
import struct
import subprocess
import sys
from io import BytesIO, TextIOWrapper
from itertools import pairwise
from pathlib import Path
from unittest.mock import Mock

import av
import cv2
import numpy as np
import pandas as pd
import pytest

import main
import mien
from mien.analysis.face_stream import FaceStream
from mien.batch import jobs
from mien.batch.analysis import load_pipeline
from mien.batch.options import AnalyzeSettings, read_analyze_settings
from mien.batch.provenance import digest
from mien.cnn.logit_adjustment import read_adjustment
from mien.errors import ModelError, SettingsError
from mien.images.codecs import encode_jpeg, encode_png
from mien.results import COLUMNS
from mien.types import EXPRESSIONS, Frame
from tests.clips import damage, demo_pictures, files_of, write_video
from tests.media import ROOT, SHARED

CLIP = SHARED / "media" / "expressions.mp4"
needs_clip = pytest.mark.skipif(not CLIP.exists(), reason="../shared/media/expressions.mp4 is missing")


@pytest.fixture(scope="module")
def media(tmp_path_factory) -> Path:
    """A folder with good and bad files."""
    folder = tmp_path_factory.mktemp("media")
    pictures = demo_pictures(30, people=2)
    write_video(folder / "two.mp4", pictures)
    write_video(folder / "nobody.avi", [np.full((120, 160, 3), 90, np.uint8)] * 5, codec="mjpeg")
    (folder / "face.jpg").write_bytes(encode_jpeg(pictures[0]))
    (folder / "gray.png").write_bytes(encode_png(np.full((40, 50), 90, np.uint8)))
    (folder / "broken.png").write_bytes(encode_png(np.full((40, 50), 90, np.uint8))[:60])
    (folder / "broken.mp4").write_bytes(b"no video")
    (folder / "notes.txt").write_text("neither video nor image")
    return folder


@pytest.fixture(scope="module")
def mixed(media, tmp_path_factory) -> tuple[int, Path]:
    """(exit status, folder of results) of the whole folder in all formats."""
    out = tmp_path_factory.mktemp("results") / "out"
    return main.main(["analyze", str(media), "--out", str(out), "--format", "csv,parquet,jsonl"]), out


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_bad_files_fail_with_a_reason_and_the_others_are_done(mixed, media):
    status, out = mixed
    assert status == 1
    listed = {Path(row["input"]).name: row for row in rows(out / "inputs.csv")}
    assert {name: row["status"] for name, row in listed.items()} == {
        "broken.mp4": "failed",
        "broken.png": "failed",
        "face.jpg": "done",
        "gray.png": "done",
        "nobody.avi": "done",
        "two.mp4": "done",
        "notes.txt": "skipped",
    }
    assert all(bool(row["reason"]) == (row["status"] != "done") for row in listed.values())
    assert "broken or cut off" in listed["broken.png"]["reason"]
    assert "which is a text file" in listed["broken.mp4"]["reason"]
    assert listed["two.mp4"]["sha256"] == digest(media / "two.mp4")
    assert (listed["two.mp4"]["frames"], listed["nobody.avi"]["frames_with_face"]) == ("30", "0")
    assert sorted(path.name for path in out.iterdir()) == [
        "images",
        "inputs.csv",
        "jobs.jsonl",
        "nobody",
        "summary.csv",
        "two",
    ]


def test_each_analyzed_frame_has_a_row_for_each_face_or_one_with_a_reason(mixed):
    _, out = mixed
    table = rows(out / "two" / "faces.csv")
    assert list(table[0]) == list(COLUMNS)
    assert sorted({int(row["frame"]) for row in table}) == list(range(30))
    assert {row["face"] for row in table if row["success"] == "1"} == {"1", "2"}
    assert all((row["success"] == "1") == (row["reason"] == "") for row in table)
    nobody = rows(out / "nobody" / "faces.csv")
    assert [(row["frame"], row["success"], row["reason"], row["label"]) for row in nobody] == [
        (str(i), "0", "no_face", "") for i in range(5)
    ]


def test_each_image_has_a_row_broken_ones_too(mixed):
    _, out = mixed
    table = {Path(row["input"]).name: row for row in rows(out / "images" / "faces.csv")}
    assert {name: (row["success"], row["reason"]) for name, row in table.items()} == {
        "broken.png": ("0", "the PNG image is broken or cut off"),
        "face.jpg": ("1", ""),
        "gray.png": ("0", "no_face"),
    }


@pytest.mark.parametrize("name", ["two", "nobody", "images"])
def test_all_formats_hold_the_same_table(mixed, name):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    folder = mixed[1] / name
    parquet = pd.read_parquet(folder / "faces.parquet")
    lines = pd.DataFrame(map(json.loads, (folder / "faces.jsonl").read_text(encoding="utf-8").splitlines()))
    table = pd.read_csv(folder / "faces.csv")
    for other in (lines, table):
        assert list(other.columns) == list(parquet.columns) == list(COLUMNS)
        for column in COLUMNS:
            ours, theirs = (
                [None if pd.isna(value) else round(value, 9) if isinstance(value, float) else value for value in each]
                for each in (parquet[column], other[column])
            )
            assert ours == theirs, column


def test_the_table_is_that_of_the_python_api(mixed, media):
    table = pd.read_csv(mixed[1] / "two" / "faces.csv")
    same = mien.to_frame(mien.analyze_video(media / "two.mp4"))
    assert table["label"].fillna("").tolist() == same["label"].fillna("").tolist()
    assert table["happy"].tolist() == pytest.approx(same["happy"].tolist(), nan_ok=True)
    assert table["raw_sad"].tolist() == pytest.approx(same["raw_sad"].tolist(), nan_ok=True)


def test_provenance_says_how_the_result_came_about(mixed, media):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import parquet

    _, out = mixed
    text = (out / "two" / "mien.json").read_text(encoding="utf-8")
    found = json.loads(text)
    assert found["mien"] == mien.__version__
    assert found["command"][:3] == ["analyze", str(media), "--out"]
    assert found["input"]["sha256"] == digest(media / "two.mp4")
    assert found["input"]["bytes"] == (media / "two.mp4").stat().st_size
    assert found["input"]["duration_s"] == pytest.approx(1.2, abs=0.05)
    assert {key: found["frames"][key] for key in ("read", "analyzed", "dropped", "unreadable")} == {
        "read": 30,
        "analyzed": 30,
        "dropped": 0,
        "unreadable": [],
    }
    shipped = read_adjustment(ROOT / "model.json")
    assert found["network"]["rare"] == found["network"]["tau"] == shipped.tau > 0
    assert all(len(each) == 64 for each in (found["network"]["sha256"], *found["detector"]["sha256"].values()))
    assert found["settings"]["unsure"] == 0.5
    assert found["settings"]["model"] == "model.json"
    assert found["packages"]["numpy"] == np.__version__
    assert str(ROOT) not in text
    stored = json.loads(parquet.read_metadata(out / "two" / "faces.parquet").metadata[b"mien"])
    assert stored == {key: value for key, value in found.items() if key != "command"}
    images = json.loads((out / "images" / "mien.json").read_text(encoding="utf-8"))
    assert [Path(each["name"]).name for each in images["inputs"]] == ["broken.png", "face.jpg", "gray.png"]
    assert images["inputs"][0]["failed"] == "the PNG image is broken or cut off"


def test_events_and_summary_agree_with_the_table(mixed):
    _, out = mixed
    table = pd.read_csv(out / "two" / "faces.csv").query("success == 1")
    events = pd.read_csv(out / "two" / "events.csv")
    summary = pd.read_csv(out / "summary.csv")
    assert list(events.columns[:3]) == ["onset", "duration", "trial_type"]
    by_label = events.groupby(["face", "trial_type"])["duration"].sum()
    seconds = summary.set_index(["face", "expression"])["seconds"]
    for key, total in by_label.items():
        assert total == pytest.approx(seconds[key], abs=1e-4)
        assert total == pytest.approx(len(table[(table.face == key[0]) & (table.label == key[1])]) / 25, abs=0.01)
    assert len(summary) == 2 * len(EXPRESSIONS)


@pytest.mark.parametrize("threads", [1, 3])
def test_the_same_file_gives_the_same_bytes_on_every_run(mixed, media, tmp_path, threads):
    """In other processes, with other numbers of threads and another seed for the hashes of strings."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "OPENCV_FOR_THREADS_NUM": str(threads),
        "PYTHONHASHSEED": str(threads),
    }
    words = ["analyze", str(media), "--out", str(tmp_path / "again"), "--format", "csv,parquet,jsonl"]
    done = subprocess.run([sys.executable, str(ROOT / "main.py"), *words], env=environment, check=False)
    assert done.returncode == 1
    ours, theirs = files_of(mixed[1]), files_of(tmp_path / "again")
    assert list(ours) == list(theirs)
    changed = [name for name in ours if ours[name] != theirs[name]]
    assert [name for name in changed if Path(name).name not in ("mien.json", "jobs.jsonl")] == []


def test_ten_runs_in_one_process_give_the_same_bytes(media, tmp_path):
    runs = []
    for number in range(10):
        cv2.setNumThreads(1 + number % 4)
        assert main.main(["analyze", str(media / "two.mp4"), "--out", str(tmp_path / str(number))]) == 0
        runs.append(files_of(tmp_path / str(number)))
        del runs[-1]["two/mien.json"], runs[-1]["jobs.jsonl"]
    cv2.setNumThreads(-1)
    assert all(run == runs[0] for run in runs)


def test_each_of_many_images_of_all_kinds_has_a_row_and_none_ends_the_others(tmp_path):
    """Every seventh is broken in one of the ways in which files are broken."""
    folder = tmp_path / "media"
    folder.mkdir()
    picture = demo_pictures(1)[0][::2, ::2]
    whole = {kind: cv2.imencode(f".{kind}", picture)[1].tobytes() for kind in ("jpg", "png", "bmp", "webp", "gif")}
    huge = bytearray(whole["png"])
    huge[16:24] = struct.pack(">II", 100_000, 100_000)
    bad = [b"", b"text", whole["jpg"][:200], whole["webp"][:300], bytes(huge), whole["png"][:-20], b"\xff\xd8\xff"]
    broken = []
    for number in range(140):
        kind = list(whole)[number % 5]
        data = whole[kind]
        if number % 7 == 3:
            data = bad[number // 7 % len(bad)]
            broken.append(number)
        (folder / f"{number:03d}.{kind}").write_bytes(data)
    assert main.main(["analyze", str(folder), "--out", str(tmp_path / "out"), "--jobs", "1"]) == 1
    listed = rows(tmp_path / "out" / "inputs.csv")
    assert [int(Path(row["input"]).stem) for row in listed] == list(range(140))
    assert [int(Path(row["input"]).stem) for row in listed if row["status"] == "failed"] == broken
    assert all(row["reason"] for row in listed if row["status"] == "failed")
    videos = [row["input"] for row in listed if "expected a video" in row["reason"]]
    assert all(name.endswith(".gif") for name in videos)
    images = rows(tmp_path / "out" / "images" / "faces.csv")
    assert {row["input"] for row in images if row["success"] == "1"} == {
        row["input"] for row in listed if row["status"] == "done"
    }
    expected = [row["input"] for row in listed if row["input"] not in videos]
    assert list(dict.fromkeys(row["input"] for row in images)) == expected


def test_a_rate_and_an_excerpt_are_analyzed(media, tmp_path):
    words = ["analyze", str(media / "two.mp4"), "--out", str(tmp_path / "out"), "--fps", "5", "--start", "0:00.3"]
    assert main.main([*words, "--end", "1"]) == 0
    table = rows(tmp_path / "out" / "two" / "faces.csv")
    assert sorted({int(row["frame"]) for row in table}) == [8, 10, 15, 20]
    frames = json.loads((tmp_path / "out" / "two" / "mien.json").read_text(encoding="utf-8"))["frames"]
    assert frames["analyzed"] == 4


def test_after_a_mistyped_name_the_same_folder_may_be_used(media, tmp_path):
    out = str(tmp_path / "out")
    assert main.main(["analyze", str(media / "tow.mp4"), "--out", out]) == 1
    (row,) = rows(tmp_path / "out" / "inputs.csv")
    assert row["status"] == "failed"
    assert main.main(["analyze", str(media / "two.mp4"), "--out", out]) == 0
    (row,) = rows(tmp_path / "out" / "inputs.csv")
    assert row["status"] == "done"


def test_a_fault_of_the_program_does_not_end_the_run(media, tmp_path, monkeypatch, caplog):
    def fail(*args, **options):
        raise TypeError("a fault")

    monkeypatch.setattr(jobs, "video_results", fail)
    (tmp_path / "a.jpg").write_bytes(encode_jpeg(np.zeros((60, 80, 3), np.uint8)))
    words = ["analyze", str(media / "two.mp4"), str(tmp_path / "a.jpg"), "--out", str(tmp_path / "out"), "--jobs", "1"]
    assert main.main(words) == 1
    video, image = rows(tmp_path / "out" / "inputs.csv")
    assert (video["status"], video["reason"]) == ("failed", "unexpected TypeError: a fault")
    assert image["status"] == "done"
    assert "Traceback" in caplog.text


def test_an_excerpt_beyond_the_end_fails(media, tmp_path):
    assert main.main(["analyze", str(media / "two.mp4"), "--out", str(tmp_path / "out"), "--start", "1:00"]) == 1
    (row,) = rows(tmp_path / "out" / "inputs.csv")
    assert row["reason"].startswith("expected frames from --start to --end, found none")


def test_parts_that_cannot_be_decoded_are_in_provenance_list_and_messages(tmp_path, caplog):
    clip = damage(write_video(tmp_path / "hurt.avi", demo_pictures(12), codec="mjpeg"), 6)
    assert main.main(["analyze", str(clip), "--out", str(tmp_path / "out")]) == 0
    frames = json.loads((tmp_path / "out" / "hurt" / "mien.json").read_text(encoding="utf-8"))["frames"]
    assert (frames["read"], [each["time_s"] for each in frames["unreadable"]]) == (11, [0.24])
    (row,) = rows(tmp_path / "out" / "inputs.csv")
    assert (row["status"], row["reason"]) == ("done", "1 part of the video cannot be decoded")
    assert f"{clip}: 1 part of the video cannot be decoded" in caplog.messages


def test_an_excerpt_is_decoded_from_a_key_frame_and_has_the_numbers_of_the_whole(tmp_path, caplog):
    clip = write_video(tmp_path / "a.mp4", demo_pictures(40), options={"g": "10"})
    bare = write_video(tmp_path / "bare.webm", demo_pictures(20), codec="libvpx")
    words = ["analyze", str(clip), str(bare), "--start", "0.6", "--jobs", "1", "--out", str(tmp_path / "out")]
    caplog.set_level(logging.INFO)
    assert main.main(words) == 0
    found = {name: json.loads((tmp_path / "out" / name / "mien.json").read_text())["frames"] for name in ("a", "bare")}
    counts = {name: (each["passed_over"], each["read"], each["analyzed"]) for name, each in found.items()}
    assert counts == {"a": (10, 30, 25), "bare": (0, 20, 5)}
    assert rows(tmp_path / "out" / "a" / "faces.csv")[0]["frame"] == "15"
    assert found["bare"]["decoded_from_start"] == "vp8 has frames that are not shown"
    assert f"{bare}: decoded from the beginning, because vp8 has frames that are not shown" in caplog.messages


def test_without_the_package_that_reads_videos_images_are_analyzed(media, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    words = [str(media / "two.mp4"), str(media / "face.jpg")]
    assert main.main(["analyze", *words, "--out", str(tmp_path / "out"), "--jobs", "1"]) == 1
    video, image = rows(tmp_path / "out" / "inputs.csv")
    assert video["reason"] == "expected the package av to read videos, found none; pip install av installs it"
    assert image["status"] == "done"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "analyze: expected videos, images or folders, found none"),
        (["a.mp4"], "--out: expected a folder for the results, found none"),
        (["a.mp4", "--out", "x", "--fsp", "5"], "--fsp: unknown option; did you mean --fps?"),
        (["a.mp4", "--out", "x", "--fps", "0"], "--fps: expected a number 0.001 to 1000, found '0'"),
        (["a.mp4", "--out", "x", "--start", "1:2:3:4"], "--start: expected seconds, or [HOURS:]MINUTES:SECONDS"),
        (["a.mp4", "--out", "x", "--start", "5", "--end", "5"], "--end: expected a time after --start, found 5 s"),
        (["a.mp4", "--out", "x", "--format", "csv,xlsx"], "--format: expected one or more of csv, parquet, jsonl"),
    ],
)
def test_mistakes_are_one_line_and_status_2(capsys, words, message):
    assert main.main(["analyze", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"mien: {message}")


def test_a_folder_with_files_is_not_written_to(capsys, media, tmp_path):
    (tmp_path / "mine.csv").write_text("kept")
    assert main.main(["analyze", str(media), "--out", str(tmp_path)]) == 2
    assert "--out: expected a new or empty folder, found files in" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.csv"]


def test_a_run_that_did_not_get_as_far_as_the_first_job_may_begin_again(media, tmp_path, monkeypatch, capsys):
    words = ["analyze", str(media / "gray.png"), "--out", str(tmp_path / "out"), "--jobs", "1"]
    with monkeypatch.context() as patched:
        patched.setattr("mien.batch.command.load_pipeline", Mock(side_effect=ModelError("expected a network")))
        assert main.main(words) == 2
    assert "expected a network" in capsys.readouterr().err
    assert main.main(words) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has file names of any bytes")
@pytest.mark.parametrize(
    ("name", "shown"), [(b"caf\xe9.avi", "caf\\udce9.avi"), ("a\u2028b.avi".encode(), "a\u2028b.avi")]
)
def test_files_with_odd_names_are_analyzed_once(media, tmp_path, monkeypatch, caplog, name, shown):
    monkeypatch.chdir(tmp_path)
    Path(os.fsdecode(name)).write_bytes((media / "nobody.avi").read_bytes())
    words = ["analyze", "-", os.fsdecode(name), "--out", "out", "--jobs", "1", "--resume"]
    caplog.set_level("INFO")
    for _ in range(2):
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(name + b"\n"), encoding="utf-8"))
        assert main.main(words) == 0
    assert "1 of 1 jobs were complete" in caplog.text
    (row,) = rows(Path("out/inputs.csv"))
    assert (row["input"], row["status"]) == (shown, "done")
    assert json.loads(Path("out", row["folder"], "mien.json").read_text(encoding="utf-8"))["input"]["name"] == shown


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has file names of any bytes")
def test_a_bad_file_whose_name_is_no_utf8_is_listed_with_a_reason(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(b"caf\xe9.avi")
    Path(name).write_bytes(b"")
    assert main.main(["analyze", name, "--out", "out", "--jobs", "1"]) == 1
    (row,) = rows(Path("out/inputs.csv"))
    assert (row["input"], row["status"]) == ("caf\\udce9.avi", "failed")
    assert row["reason"].endswith("found caf\\udce9.avi, which is empty")


def test_inputs_that_do_not_exist_fail_alone(media, tmp_path):
    words = [str(media / "gray.png"), str(tmp_path / "missing.mp4"), str(tmp_path / "*.mkv")]
    assert main.main(["analyze", *words, "--out", str(tmp_path / "out")]) == 1
    assert [row["status"] for row in rows(tmp_path / "out" / "inputs.csv")] == ["done", "failed", "failed"]


def test_settings_come_from_variables_that_concern_the_analysis():
    environ = {"MIEN_DETECTOR": "mtcnn", "MIEN_PORT": "6000", "MIEN_FPS": "30", "MIEN_TOKEN": "sixteen-letters."}
    settings, words = read_analyze_settings(["a.mp4", "--out", "x", "--fps", "5", "b.mp4"], environ)
    assert (settings.detector, settings.fps, words) == ("mtcnn", 5, ("a.mp4", "b.mp4"))
    assert read_analyze_settings(["--out", "x", "--", "-a.mp4"], {})[1] == ("-a.mp4",)
    with pytest.raises(SettingsError, match="MIEN_DETECTR: unknown variable"):
        read_analyze_settings(["a.mp4", "--out", "x"], {"MIEN_DETECTR": "haar"})


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("1:30", 90), ("1:00:00.5", 3600.5), ("0", 0)])
def test_times_are_seconds_or_minutes_and_hours(text, seconds):
    assert read_analyze_settings(["a", "--out", "x", "--start", text], {})[0].start == seconds


@pytest.mark.shared
@needs_clip
def test_every_frame_of_the_real_clip_has_a_row_and_seconds_are_those_of_a_reference(tmp_path):
    """The reference decodes with PyAV and counts on its own; it shares only the analysis of a single frame."""
    assert main.main(["analyze", str(CLIP), "--out", str(tmp_path / "out")]) == 0
    table = rows(tmp_path / "out" / "expressions" / "faces.csv")
    assert [int(row["frame"]) for row in table] == list(range(472))
    stream = FaceStream(load_pipeline(AnalyzeSettings()))
    shown: list[tuple[float, set[str]]] = []
    with av.open(str(CLIP)) as container:
        for picture in container.decode(video=0):
            frame = Frame(picture.to_ndarray(format="bgr24"), index=len(shown), media_time_s=picture.time)
            faces = stream.analyze(frame, picture.time).faces
            shown.append((picture.time, {face.label for face in faces if not face.missed}))
    shown.append((472 * 1001 / 24000, set()))
    expected = dict.fromkeys(EXPRESSIONS, 0.0)
    for (time_s, labels), (next_s, _) in pairwise(shown):
        for label in labels:
            expected[label] += next_s - time_s
    found = {row["expression"]: float(row["seconds"]) for row in rows(tmp_path / "out" / "summary.csv")}
    assert found == pytest.approx(expected, rel=0.02, abs=1e-3)

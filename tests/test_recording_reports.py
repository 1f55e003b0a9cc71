"""The command `report`: recordings of the live program become the reports and tables that `analyze` makes of videos."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

import main
from mien.batch.recordings import read_results, read_times
from mien.recording.csv_log import HEADER
from mien.recording.durations import LONGEST_S
from mien.recording.rows import COLUMNS, as_csv, row
from mien.types import Analysis, Face, Frame, Head, Quality
from tests.report_page import PAPERS, printed_pages, read
from tests.test_batch_report import MADE_BY
from tests.web_fakes import face_showing

EPOCH_S = 1_700_000_000.0
MADE_LIVE = {**MADE_BY, "settings": {"source": "0", "fps": 30, "unsure": 0.5, "min_quality": 0.6}}


def write_recording(
    path: Path,
    frames: Sequence[tuple[float, Sequence[Face]]],
    made: dict | None = MADE_LIVE,
    columns: int = len(COLUMNS),
) -> Path:
    """A recording as the program writes it, of (time in seconds, faces)."""
    rows: list[Sequence[object]] = [COLUMNS]
    for number, (at_s, faces) in enumerate(frames):
        frame = Frame(np.zeros((480, 640, 3), np.uint8), number, EPOCH_S + at_s)
        rows += [row(number, frame, face, Analysis(640, 480, tuple(faces))) for face in faces]
    path.write_bytes(as_csv([each[:columns] for each in rows]))
    if made is not None:
        path.with_suffix(".mien.json").write_text(json.dumps(made))
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def minute(label: str = "happy") -> list[tuple[float, Sequence[Face]]]:
    """Ten frames a second: twenty seconds of a label, ten without a row, ten of another label."""
    first = [(i / 10, [face_showing(label, 1)]) for i in range(200)]
    return first + [(30 + i / 10, [face_showing("sad", 1), face_showing("fear", 2)]) for i in range(100)]


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sessions")
    write_recording(folder / "session-1.csv", minute())
    write_recording(folder / "session-2.csv", minute("neutral"), made=None)
    (folder / "notes.csv").write_text("a,b\n1,2\n")
    out = folder.parent / "reports"
    assert main.main(["report", str(folder), "--out", str(out)]) == 0
    return out


def test_shares_are_of_the_time_in_which_a_face_was_seen(reports):
    seconds = {
        (each["face"], each["expression"]): float(each["seconds"])
        for each in rows_of(reports / "session-1/summary.csv")
    }
    assert {key: value for key, value in seconds.items() if value} == {
        ("1", "happy"): pytest.approx(20.0, abs=0.3),
        ("1", "sad"): pytest.approx(10.0, abs=0.1),
        ("2", "fear"): pytest.approx(10.0, abs=0.1),
    }
    first, *_ = rows_of(reports / "session-1/events.csv")
    assert (first["trial_type"], float(first["duration"])) == ("happy", pytest.approx(20.2, abs=0.1))


def test_a_gap_is_a_row_without_a_face(reports):
    table = rows_of(reports / "session-1/faces.csv")
    (gap,) = [each for each in table if each["success"] == "0"]
    assert (gap["reason"], float(gap["time_s"])) == ("not_recorded", pytest.approx(20.2, abs=0.1))
    assert len(table) == 401
    assert table[0]["raw_happy"] == "", "a recording has no probabilities of a frame alone"
    assert table[0]["happy"] == "0.82000"


def test_of_a_recording_that_goes_on_the_frames_whose_times_were_read_are_reported(tmp_path):
    frames = minute()
    times = read_times(write_recording(tmp_path / "session-1.csv", frames[:20]))
    path = write_recording(tmp_path / "session-1.csv", frames)
    results = list(read_results(path, "now", times))
    assert [result.frame for result, _ in results] == list(range(20))


def test_the_report_says_what_was_recorded_when_and_how(reports):
    page = read(reports / "session-1/report.html")
    assert "2023-11-14 22:13:20 UTC" in page.text
    assert "0:00.0 to 0:40.0" in page.text
    assert "made in real time: 300 frames with a face" in page.text
    assert "Undecodable" not in page.text
    assert page.all("img") == page.all("script") == []
    described = json.loads((reports / "session-1/mien.json").read_text())
    assert described["network"] == MADE_BY["network"]
    assert described["input"]["recorded"] == "2023-11-14T22:13:20Z"


def test_a_recording_without_its_description_has_a_report_that_says_so(reports):
    page = read(reports / "session-2/report.html")
    assert "How this recording was made is not known" in page.text
    assert "Face 1" in page.text


def test_several_recordings_are_compared(reports):
    page = read(reports / "report.html")
    assert "Facial expressions in 2 recordings" in page.text
    assert [each["href"] for each in page.all("a")] == ["session-1/report.html", "session-2/report.html"]
    assert "made in different ways, or it is not known how" in page.text
    assert (reports / "report-shares.png").exists()


def test_recordings_of_earlier_versions_lack_columns_and_a_kill_may_have_cut_off_the_last_row(tmp_path):
    old = write_recording(tmp_path / "old.csv", minute(), columns=COLUMNS.index("rare"))
    old.write_bytes(old.read_bytes() + b"300,17000")
    assert main.main(["report", str(old), "--out", str(tmp_path / "out")]) == 0
    assert len(rows_of(tmp_path / "out/old/faces.csv")) == 401
    assert "It was not measured." in read(tmp_path / "out/old/report.html").text


def test_results_have_all_that_the_recording_has(tmp_path):
    face = replace(
        face_showing("sad", 1),
        quality=Quality(0.4, "dark"),
        head=Head(1.0, -2.0, 3.0, 0.3, 0.31, 0.05, True),
        people_share=0.7,
        unsure=True,
    )
    path = write_recording(tmp_path / "one.csv", [(0.0, [face, face_showing("happy", 2)])])
    ((result, _),) = read_results(path, "one.csv", read_times(path))
    read_back, other = result.faces
    assert read_back.to_dict() == face.to_dict()
    assert (other.head, other.quality, other.unsure) == (None, None, False)
    assert (result.width, result.height) == (640, 480)


def test_a_clock_that_was_set_back_makes_no_time_negative(tmp_path):
    frames = [(at_s, [face_showing("sad", 1)]) for at_s in (0.0, 0.1, 0.2, -50.0, -49.9, -49.8)]
    times = read_times(write_recording(tmp_path / "back.csv", frames))
    assert times.times_s.tolist() == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert times.end_s == pytest.approx(0.6)


def test_a_single_frame_lasts_a_moment(tmp_path):
    times = read_times(write_recording(tmp_path / "one.csv", [(0.0, [face_showing("sad", 1)])]))
    assert times.lasts_s.tolist() == [LONGEST_S]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "expected a recording or a folder, found no"),
        (b"", "expected a CSV recording of the live program, found"),
        (b"a,b\n1,2\n", "expected a CSV recording of the live program, found"),
        (HEADER, "expected a recording with faces, found none in"),
        (HEADER + b"1,x" + b",1" * (len(COLUMNS) - 2) + b"\n", "expected a number as time in"),
    ],
    ids=["missing", "empty", "another table", "no rows", "no number"],
)
def test_what_is_no_recording_is_refused_in_one_line(tmp_path, capsys, content, message):
    path = tmp_path / "session.csv"
    if content is not None:
        path.write_bytes(content)
    assert main.main(["report", str(path), "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"mien: report: {message}")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "report: expected recordings or a folder with some, found none"),
        (["."], "report: expected a folder with CSV recordings, found none in ."),
    ],
)
def test_without_recordings_one_line_says_what_is_expected(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert main.main(["report", *words, "--out", "out"]) == 2
    assert capsys.readouterr().err == f"mien: {message}\n"


@pytest.mark.browser
@pytest.mark.parametrize("paper", PAPERS)
def test_a_report_of_a_recording_needs_no_other_file_and_prints_to_at_most_six_pages(browser, reports, paper):
    for path in reports.rglob("report.html"):
        browser.get(path.as_uri())
        assert browser.execute_script("return performance.getEntriesByType('resource').map((e) => e.name)") == []
        assert browser.get_log("browser") == []
        assert 1 <= printed_pages(browser, paper) <= 6

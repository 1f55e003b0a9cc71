"""`analyze --report`, with the real network: what it says, that it is one file that needs no other, and its pages."""

from __future__ import annotations

import base64
import csv
import json
import os
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

import main
from mien.batch.events import EVENT_COLUMNS
from mien.batch.figures import clock, themes
from mien.batch.options import AnalyzeSettings
from mien.batch.outputs import VideoOutputs, write_table
from mien.batch.report import MOST_COMPARED, write_comparison, write_report
from mien.batch.series import BINS, Span, read_series, runs
from mien.batch.tables import FORMATS, open_table
from mien.batch.thumbnails import MOST_FACES, SIZE_PX, Thumbnails
from mien.images.codecs import image_size
from mien.results import COLUMNS, Result
from mien.types import EXPRESSIONS, Face, Frame, Quality
from tests.clips import demo_pictures, files_of, write_video
from tests.media import ROOT
from tests.report_page import PAPERS, printed_pages, read
from tests.web_fakes import face_showing, resize

HOSTILE = '<b>"two" & $x^2$ {{ 7 * 6 }}.mp4'
ADDRESS = re.compile(r'(?:src|href|action|data)="([^"]*)"')
MADE_BY = {
    "mien": "1.0",
    "network": {
        **{"model": "model.json", "weights": "model_weights.h5", "sha256": "1" * 64},
        **{"runtime": None, "tau": None, "rare": None},
    },
    "detector": {"name": "haar", "sha256": {"face_filter.npz": "2" * 64}},
    "settings": {"start": 0.0, "fps": None, "unsure": 0.5, "min_quality": 0.6, "format": ["csv"], "report": True},
    "packages": {"python": "3.11.0"},
    "machine": "x86_64",
}


@pytest.fixture(scope="module")
def media(tmp_path_factory) -> Path:
    """A video of two people that lasts two minutes and has a hostile name, and two more."""
    folder = tmp_path_factory.mktemp("media")
    write_video(folder / HOSTILE, demo_pictures(40, people=2), [3.0 * i for i in range(40)])
    write_video(folder / "one.mp4", demo_pictures(20))
    write_video(folder / "nobody.avi", [np.full((120, 160, 3), 90, np.uint8)] * 5, codec="mjpeg")
    return folder


@pytest.fixture(scope="module")
def reported(media, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("results") / "out"
    assert main.main(["analyze", str(media), "--out", str(out), "--report", "--unsure", "0.3"]) == 0
    return out


def folder_of(out: Path, name: str) -> Path:
    with (out / "inputs.csv").open(encoding="utf-8", newline="") as file:
        return next(out / row["folder"] for row in csv.DictReader(file) if Path(row["input"]).name == name)


def test_a_report_says_what_the_tables_say(reported):
    folder = folder_of(reported, HOSTILE)
    page = read(folder / "report.html")
    with (folder / "summary.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["face"] for row in rows} == {"1", "2"}
    for row in rows:
        assert f"{float(row['seconds']):.1f}{100 * float(row['share']):.0f}\N{NO-BREAK SPACE}%" in "".join(
            page.text.split("\n")
        )
    described = json.loads((folder / "mien.json").read_text(encoding="utf-8"))
    tau = f"tau {described['network']['tau']:g}"
    for part in ("Face 1", "Face 2", "What this cannot tell", "Goodfellow", described["input"]["sha256"], tau):
        assert part in page.text
    assert described["packages"]["numpy"] in page.text
    assert page.all("html") == [{"lang": "en"}]
    assert all(table.get("scope") in ("col", "row") for table in page.all("th"))


def test_each_figure_has_a_description_and_a_file(reported):
    folder = folder_of(reported, HOSTILE)
    drawings = [each["aria-label"] for each in read(folder / "report.html").all("svg")]
    assert [each.split(":")[0] for each in drawings] == [
        "The label of each face over time.",
        "Face 1 over time",
        "Face 2 over time",
    ]
    for name in ("people", "face-1", "face-2"):
        width, height = image_size((folder / f"report-{name}.png").read_bytes())
        assert width > height > 0


def test_pictures_are_of_the_labels_that_were_shown_and_not_unsure(reported):
    folder = folder_of(reported, HOSTILE)
    with (folder / "faces.csv").open(encoding="utf-8", newline="") as file:
        shown = {(row["face"], row["label"]) for row in csv.DictReader(file) if row["unsure"] == "0"}
    pictures = read(folder / "report.html").all("img")
    found = {tuple(re.findall(r"Face (\d+) at .*labeled (\w+)", each["alt"])[0]) for each in pictures}
    assert found == shown
    for each in pictures:
        kind, _, data = each["src"].partition(",")
        assert kind == "data:image/jpeg;base64"
        assert image_size(base64.b64decode(data)) == (SIZE_PX, SIZE_PX)


def test_names_of_files_cannot_become_a_part_of_the_page(reported):
    for path in (folder_of(reported, HOSTILE) / "report.html", reported / "report.html"):
        page = read(path)
        assert HOSTILE in page.text
        assert "42" not in page.text.partition("two")[2][:20]
        assert not page.all("script")
        assert {frozenset(each) for each in page.all("b")} <= {frozenset()}
        assert len(page.all("b")) == (2 if path.parent == reported else 0), "letters of the comparison alone"


def test_a_report_refers_to_nothing_outside(reported):
    for path in reported.rglob("report.html"):
        text = path.read_text(encoding="utf-8")
        assert "//" not in re.sub(r"base64,[^\"]*", "", text).replace(str(ROOT), ""), path
        assert "@import" not in text
        assert set(re.findall(r"url\((.)", text)) <= {"#"}
        links = [each for each in ADDRESS.findall(text) if not each.startswith(("data:", "#"))]
        assert len(links) == (3 if path.parent == reported else 0)
        ids = re.findall(r' id="([^"]+)"', text)
        assert len(ids) == len(set(ids))


def test_the_comparison_links_each_report(reported):
    from urllib.parse import unquote

    links = [each["href"] for each in read(reported / "report.html").all("a")]
    assert all((reported / unquote(link)).is_file() for link in links)
    assert sorted(each.name for each in reported.glob("report-*.png")) == ["report-shares.png", "report-strips.png"]


def test_a_video_without_faces_has_a_report_too(reported):
    page = read(folder_of(reported, "nobody.avi") / "report.html")
    assert "No face was found." in page.text
    assert page.all("svg") == []


def test_ten_runs_give_the_same_bytes(media, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    (tmp_path / "matplotlibrc").write_text("axes.facecolor: red\nsvg.hashsalt: another\nfont.size: 20\n")
    runs = []
    for number in range(9):
        assert main.main(["analyze", str(media / "one.mp4"), "--out", str(tmp_path / str(number)), "--report"]) == 0
        runs.append(files_of(tmp_path / str(number) / "one"))
    words = ["analyze", str(media / "one.mp4"), "--out", str(tmp_path / "10"), "--report"]
    environment = {**os.environ, "PYTHONHASHSEED": "7", "SOURCE_DATE_EPOCH": "99999"}
    subprocess.run([sys.executable, str(ROOT / "main.py"), *words], env=environment, cwd=tmp_path, check=True)
    runs.append(files_of(tmp_path / "10" / "one"))
    for run in runs:
        del run["mien.json"]  # with the folder's name in the command
        assert run == runs[0]
    assert {"report.html", "report-face-1.png"} <= set(runs[0])


def test_without_matplotlib_one_line_says_what_installs_it(monkeypatch, capsys, media, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main.main(["analyze", str(media), "--out", str(tmp_path / "out"), "--report"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "mien: --report: expected the package matplotlib, found none; pip install -r requirements-batch.txt installs it"
    )
    assert not (tmp_path / "out").exists()


def test_pictures_can_be_left_out(media, tmp_path):
    words = ["analyze", str(media / "one.mp4"), "--out", str(tmp_path / "out"), "--report", "--no-thumbnails"]
    assert main.main(words) == 0
    page = read(tmp_path / "out" / "one" / "report.html")
    assert page.all("img") == []
    assert "Clearest moment" not in page.text
    assert not (tmp_path / "out" / "report.html").exists(), "one video is not compared"


def results_of(faces: list[tuple[float, tuple[Face, ...]]]) -> list[Result]:
    return [Result("clip.mp4", i, time_s, 640, 480, found) for i, (time_s, found) in enumerate(faces)]


def write_folder(folder: Path, results: list[Result], end_s: float, formats=("csv",)) -> Path:
    """A folder of results as `analyze` leaves it, as far as a report reads it."""
    folder.mkdir(parents=True)
    outputs = VideoOutputs(folder, AnalyzeSettings(format=formats), "clip.mp4")
    for result, following in zip(results, [*results[1:], None], strict=True):
        outputs.add(result, (end_s if following is None else following.time_s) - result.time_s)
    frames = {"read": len(results), "analyzed": outputs.frames, "with_face": outputs.with_face}
    file = {"name": "clip.mp4", "sha256": "0" * 64, "bytes": 1000, "decoded_s": end_s}
    outputs.close(
        {"input": file, "frames": frames | {"dropped": 0, "unreadable": [], "unreadable_parts": 0}, **MADE_BY}, []
    )
    return folder


@pytest.mark.parametrize("kind", FORMATS)
def test_series_hold_the_seconds_of_the_table_in_any_format(tmp_path, kind):
    happy, sad = face_showing("happy", 1), face_showing("sad", 1)
    other = face_showing("fear", 2)
    found = results_of([(0.0, (happy, other)), (1.0, (sad,)), (2.5, ()), (7.0, (sad, other))])
    with closing(open_table(tmp_path / f"faces.{kind}", COLUMNS)) as table:
        for result in found:
            table.add(result.rows())
    events = [(0, 1, "happy", 1), (0, 1, "fear", 2), (1, 1.5, "sad", 1), (7, 3, "sad", 1), (7, 3, "fear", 2)]
    columns = EVENT_COLUMNS[:4]
    write_table(tmp_path / "events.csv", columns, [dict(zip(columns, event, strict=True)) for event in events])
    series = read_series(tmp_path, [1], Span(0.0, 10.0))[1]
    assert series.seen_s.sum() == pytest.approx(5.5)
    assert series.labels_s.sum(axis=0)[[3, 5]] == pytest.approx([1.0, 4.5])
    assert [state[0] for state in runs(series.label)] == [3, 5, -1, 5]
    assert np.isnan(series.probabilities[BINS // 2]).all()
    assert series.probabilities[0] == pytest.approx([0.03, 0.03, 0.03, 0.82, 0.03, 0.03, 0.03])
    assert series.mean_quality is None


def test_a_face_is_not_shown_as_seen_while_time_stamps_jump(tmp_path):
    outputs = VideoOutputs(tmp_path, AnalyzeSettings(), "clip.mp4")
    times_s = [i / 30 for i in range(4)] + [3600 + i / 30 for i in range(4)]
    lasts_s = [1 / 30] * 3 + [10.0] + [1 / 30] * 4
    results = results_of([(time_s, (face_showing("sad", 1),)) for time_s in times_s])
    for result, duration_s in zip(results, lasts_s, strict=True):
        outputs.add(result, duration_s)
    outputs.close({}, [])
    series = read_series(tmp_path, [1], Span(0.0, 3601.0))[1]
    assert series.seen_s.sum() == pytest.approx(sum(lasts_s), abs=1e-4)
    assert [state[0] for state in runs(series.label)] == [5, -1, 5]


def test_a_report_reads_a_table_of_many_faces_and_shows_those_seen_longest(tmp_path):
    steps = [(float(i), tuple(face_showing(EXPRESSIONS[n % 7], n) for n in range(1, 21) if n > i)) for i in range(20)]
    folder = write_folder(tmp_path / "clip", results_of(steps), 20.0)
    write_report(folder, None)
    page = read(folder / "report.html")
    assert re.findall(r"(?m)^Face (\d+)$", page.text) == [str(number) for number in range(9, 21)]
    assert "the 12 faces that were seen longest; summary.csv has the other 8" in page.text


def test_at_most_six_videos_are_compared_and_all_are_listed(tmp_path):
    folders = [f"clip{number}" for number in range(8)]
    for number, name in enumerate(folders):
        face = () if number == 1 else (face_showing("happy", 1),)
        write_folder(tmp_path / name, results_of([(0.0, face), (1.0, face)]), 2.0)
    write_comparison(tmp_path, folders)
    page = read(tmp_path / "report.html")
    assert [each["href"] for each in page.all("a")] == [f"{name}/report.html" for name in folders]
    assert len(page.all("b")) == MOST_COMPARED


def frame_of(gray: int) -> Frame:
    return Frame(np.full((200, 200, 3), gray, np.uint8))


def test_the_clearest_moment_is_kept_and_unsure_ones_are_not():
    from dataclasses import replace

    face = face_showing("happy", 1)
    thumbnails = Thumbnails()
    moments = [(0.5, False), (0.9, False), (0.7, False), (0.99, True)]
    for number, (quality, unsure) in enumerate(moments):
        shown = replace(face, quality=Quality(quality), unsure=unsure)
        thumbnails.add(frame_of(50 * number), Result("clip.mp4", number, float(number), 200, 200, (shown,)))
    (kept,) = thumbnails.of(1).values()
    assert (kept.expression, kept.time_s) == ("happy", 1.0)
    assert thumbnails.of(2) == {}


def test_pictures_of_many_faces_do_not_fill_the_memory():
    thumbnails = Thumbnails()
    for number in range(1, 10 * MOST_FACES):
        faces = (face_showing("sad", 1), face_showing("sad", number)) if number > 1 else (face_showing("sad", 1),)
        thumbnails.add(frame_of(9), Result("clip.mp4", number, float(number), 200, 200, faces))
    kept = [number for number in range(1, 10 * MOST_FACES) if thumbnails.of(number)]
    assert kept[0] == 1
    assert len(kept) <= 2 * MOST_FACES


@pytest.mark.parametrize(
    ("time_s", "step_s", "text"),
    [(7, 1, "0:07"), (3750, 60, "1:02:30"), (0.25, 0.1, "0:00.2"), (59.99, 0.1, "1:00.0")],
)
def test_times_are_written_as_people_read_them(time_s, step_s, text):
    assert clock(time_s, step_s) == text


def test_the_colors_are_those_of_the_page():
    light, dark = themes()
    assert set(EXPRESSIONS) <= set(light) & set(dark)
    assert light["happy"] != dark["happy"]


@pytest.mark.browser
@pytest.mark.parametrize("width", [375, 1280])
def test_a_report_opens_without_a_request_and_fits_any_screen(browser, reported, width):
    for path in reported.rglob("report.html"):
        resize(browser, width, 812)
        browser.get(path.as_uri())
        assert browser.execute_script("return performance.getEntriesByType('resource').map((e) => e.name)") == []
        assert browser.get_log("browser") == []
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        broken = "return [...document.images].filter((image) => !image.naturalWidth).length"
        assert browser.execute_script(broken) == 0


@pytest.mark.browser
@pytest.mark.parametrize("paper", PAPERS)
def test_a_two_minute_video_of_one_person_prints_to_at_most_six_pages(browser, tmp_path, paper):
    """With a picture of each expression, more than most videos have."""
    faces = [face_showing(EXPRESSIONS[i % 7], 1) for i in range(120)]
    folder = write_folder(tmp_path / "clip", results_of([(float(i), (face,)) for i, face in enumerate(faces)]), 120.0)
    thumbnails = Thumbnails()
    for i, face in enumerate(faces):
        thumbnails.add(frame_of(i), Result("clip.mp4", i, float(i), 200, 200, (face,)))
    write_report(folder, thumbnails)
    browser.get((folder / "report.html").as_uri())
    assert 1 <= printed_pages(browser, paper) <= 6

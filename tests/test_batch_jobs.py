"""Several processes, and runs that continue after a kill: the results are those of one unbroken run."""

from __future__ import annotations

import csv
import errno
import json
import logging
import multiprocessing
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import main
from mien.batch import command, lock, pool
from mien.batch.inputs import Input
from mien.batch.jobs import Done, Job, Worker, plan, whole_folder
from mien.batch.manifest import Manifest
from mien.batch.options import AnalyzeSettings
from mien.errors import SettingsError, one_line
from mien.images.codecs import encode_jpeg
from tests.clips import demo_pictures, files_of, results, write_video
from tests.media import ROOT
from tests.patience import PATIENCE_S, scaled, wait_for

KILLS = 4


@pytest.fixture(scope="module")
def media(tmp_path_factory) -> Path:
    """Four videos, a broken one, and more images than one job takes."""
    folder = tmp_path_factory.mktemp("media")
    pictures = demo_pictures(40)
    for number in range(4):
        write_video(folder / f"clip{number}.mp4", pictures[number : number + 30])
    (folder / "broken.mp4").write_bytes(b"no video")
    for number in range(60):
        (folder / f"{number:02d}.jpg").write_bytes(encode_jpeg(pictures[number % 40][:240, :320]))
    return folder


@pytest.fixture(scope="module")
def unbroken(media, tmp_path_factory) -> dict[str, bytes]:
    """The result of one process."""
    out = tmp_path_factory.mktemp("unbroken") / "out"
    assert main.main(["analyze", str(media), "--out", str(out), "--jobs", "1"]) == 1
    return results(out)


def test_two_processes_give_the_same_results_as_one(media, unbroken, tmp_path):
    before = multiprocessing.active_children()
    assert main.main(["analyze", str(media), "--out", str(tmp_path / "out"), "--jobs", "2"]) == 1
    found = results(tmp_path / "out")
    assert list(found) == list(unbroken)
    assert [name for name in found if found[name] != unbroken[name]] == []
    assert set(multiprocessing.active_children()) <= set(before)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("processes", [1, 2])
def test_a_run_killed_at_random_moments_continues_to_the_same_result(media, unbroken, tmp_path, processes):
    out = tmp_path / "out"
    words = ["analyze", str(media), "--out", str(out), "--jobs", str(processes), "--resume"]
    moments = random.Random(processes)
    kills = sum(killed(words, out, None if number == 0 else moments.uniform(0, scaled(1.0))) for number in range(KILLS))
    assert kills
    assert main.main(words) == 1
    found = results(out)
    assert list(found) == list(unbroken)
    assert [name for name in found if found[name] != unbroken[name]] == []


def killed(words: list[str], out: Path, after_s: float | None) -> bool:
    """Whether a run could be killed after this time, or after its first job; otherwise it has ended by itself."""
    running = subprocess.Popen([sys.executable, str(ROOT / "main.py"), *words], stderr=subprocess.DEVNULL)
    try:
        if after_s is None:
            wait_for(lambda: running.poll() is not None or lines(out) > 1, "the first job that is done")
        else:
            running.wait(after_s)
    except subprocess.TimeoutExpired:
        pass
    running.send_signal(signal.SIGKILL)
    return running.wait(PATIENCE_S) == -signal.SIGKILL


def lines(out: Path) -> int:
    return (out / "jobs.jsonl").read_text().count("\n") if (out / "jobs.jsonl").exists() else 0


def test_what_is_complete_is_not_analyzed_again(media, tmp_path, caplog):
    words = ["analyze", str(media / "clip0.mp4"), str(media / "00.jpg"), "--out", str(tmp_path / "out"), "--jobs", "1"]
    caplog.set_level(logging.INFO)
    assert main.main(words) == 0
    first = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("faces.csv")}
    assert main.main([*words, "--resume"]) == 0
    assert "2 of 2 jobs were complete" in caplog.text
    assert first == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("faces.csv")}


def test_a_new_or_changed_file_is_analyzed_when_a_run_continues(tmp_path):
    pictures = demo_pictures(12)
    folder, out = tmp_path / "media", tmp_path / "out"
    folder.mkdir()
    for name in ("a", "b"):
        write_video(folder / f"{name}.mp4", pictures[:8])
    words = ["analyze", str(folder), "--out", str(out), "--jobs", "1"]
    assert main.main(words) == 0
    write_video(folder / "b.mp4", pictures)
    write_video(folder / "c.mp4", pictures[:4])
    assert main.main([*words, "--resume"]) == 0
    counts = [json.loads((out / name / "mien.json").read_text())["frames"]["read"] for name in "abc"]
    assert counts == [8, 12, 4]


def test_a_video_that_breaks_before_a_run_continues_leaves_no_old_results(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    clips = [write_video(tmp_path / f"{name}.mp4", demo_pictures(4)) for name in "ab"]
    out = tmp_path / "out"
    words = ["analyze", *map(str, clips), "--out", str(out), "--jobs", "1", "--report", "--resume"]
    assert main.main(words) == 0
    assert {"a", "b", "summary.csv", "report.html"} < {path.name for path in out.iterdir()}
    clips[1].write_bytes(b"no video")
    assert main.main(words) == 1
    assert sorted(path.name for path in out.iterdir()) == ["a", "inputs.csv", "jobs.jsonl", "summary.csv"]
    clips[0].write_bytes(b"no video")
    assert main.main(words) == 1
    assert sorted(path.name for path in out.iterdir()) == ["inputs.csv", "jobs.jsonl"]


def test_two_runs_do_not_write_to_one_folder_at_once(media, tmp_path, capsys):
    out = tmp_path / "out"
    words = ["analyze", str(media / "00.jpg"), "--out", str(out), "--jobs", "1", "--resume"]
    out.mkdir()
    with lock.exclusive(out):
        assert main.main(words) == 2
        message = f"mien: --out: expected a folder that no other run writes to, found one that writes to {out}"
        assert capsys.readouterr().err.splitlines() == [message]
        assert [path.name for path in out.iterdir()] == [lock.FILE]
    assert main.main(words) == 0
    assert lock.FILE not in [path.name for path in out.iterdir()]


def test_the_lock_of_a_killed_run_is_free(tmp_path):
    code = "import sys, pathlib, mien.batch.lock as lock\nwith lock.exclusive(pathlib.Path(sys.argv[1])): input(1)"
    words = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.read(1) == b"1"
        with pytest.raises(SettingsError, match="no other run writes to"), lock.exclusive(tmp_path):
            pass
        holder.kill()
    assert (tmp_path / lock.FILE).exists()
    with lock.exclusive(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows always has locks")
def test_a_file_system_without_locks_is_no_obstacle(tmp_path, monkeypatch):
    def refuse(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with lock.exclusive(tmp_path):
        pass


def test_the_list_of_inputs_is_replaced_as_a_whole(media, tmp_path, monkeypatch):
    words = ["analyze", str(media / "00.jpg"), "--out", str(tmp_path / "out"), "--jobs", "1", "--resume"]
    assert main.main(words) == 0
    before = (tmp_path / "out" / "inputs.csv").read_bytes()

    def break_off(path, columns, rows):
        path.write_text("input,sta", encoding="utf-8")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(command, "write_table", break_off)
    assert main.main(words) == 2
    assert (tmp_path / "out" / "inputs.csv").read_bytes() == before


def test_a_run_continues_only_with_its_own_settings(media, tmp_path, capsys):
    words = ["analyze", str(media / "00.jpg"), "--out", str(tmp_path / "out"), "--jobs", "1"]
    assert main.main(words) == 0
    assert main.main(words) == 2
    assert "--out: expected a new or empty folder, or --resume, found results" in capsys.readouterr().err
    assert main.main([*words, "--resume", "--unsure", "0.3"]) == 2
    assert "--resume: expected the settings of the run that it continues, found unsure 0.3" in capsys.readouterr().err


def test_a_manifest_that_a_kill_has_cut_off_counts_up_to_its_last_whole_line(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"1")
    jobs = [Job(name, (Input(tmp_path / "a.mp4", name, name),)) for name in ("a", "b")]
    path = tmp_path / "jobs.jsonl"
    manifest = Manifest(path, {"mien": "1"})
    for job in jobs:
        manifest.add(job, [Done(job.name, "done", facts={"duration_s": 0.1})])
    path.write_bytes(path.read_bytes()[:-5])
    again = Manifest(path, {"mien": "1"})
    assert again.done(jobs[0]) == [Done("a", "done", facts={"duration_s": 0.1})]
    assert again.done(jobs[1]) is None
    again.add(jobs[1], [Done("b", "failed", "broken")])
    assert Manifest(path, {"mien": "1"}).done(jobs[1]) is None, "what has failed is tried again"
    (tmp_path / "a.mp4").write_bytes(b"12")
    assert again.done(jobs[0]) is None, "the file has changed"
    with pytest.raises(SettingsError, match="expected the mien of the run that it continues"):
        Manifest(path, {"mien": "2"})


def test_a_run_with_a_setting_that_is_no_longer_there_is_not_continued(tmp_path):
    Manifest(tmp_path / "jobs.jsonl", {"settings": {"fps": 5, "old": 1}})
    with pytest.raises(SettingsError, match="expected the settings of the run that it continues, found old None"):
        Manifest(tmp_path / "jobs.jsonl", {"settings": {"fps": 5}})


@pytest.mark.parametrize(
    ("error", "line"),
    [(ValueError("a\n b"), "a b"), (OSError(2, "No such file"), "No such file"), (MemoryError(), "MemoryError")],
)
def test_an_error_is_one_line_that_is_never_empty(error, line):
    assert one_line(error) == line


def test_a_folder_appears_only_when_it_is_complete(tmp_path):
    with whole_folder(tmp_path, "a") as folder:
        (folder / "1").write_text("old")
        assert not (tmp_path / "a").exists()
    with pytest.raises(RuntimeError), whole_folder(tmp_path, "a") as folder:
        (folder / "2").write_text("new")
        raise RuntimeError
    assert files_of(tmp_path) == {"a/1": b"old"}
    with whole_folder(tmp_path, "a") as folder:
        (folder / "2").write_text("new")
    assert files_of(tmp_path) == {"a/2": b"new"}


def test_each_video_is_a_job_and_images_come_in_fifties():
    inputs = [Input(Path(f"{number}.jpg"), f"{number}.jpg", "images", True) for number in range(120)]
    jobs = plan([Input(Path("a.mp4"), "a.mp4", "a"), *inputs])
    assert [len(job.inputs) for job in jobs] == [1, 50, 50, 20]
    assert len({job.name for job in jobs}) == 4


@pytest.mark.parametrize(
    ("jobs", "cores", "count", "expected"),
    [(None, 2, 9, 2), (None, 2, 1, 1), (None, 64, 99, 8), (20, 2, 99, 20), (4, 8, 3, 3), (None, 4, 0, 1)],
)
def test_the_number_of_processes_fits_cores_and_jobs(monkeypatch, jobs, cores, count, expected):
    monkeypatch.setattr(pool, "_cores", lambda: cores)
    assert pool.process_count(AnalyzeSettings(jobs=jobs), [Job("a", ())] * count) == expected


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_process_that_ends_unexpectedly_is_one_line(media, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pool, "_run", os.abort)
    monkeypatch.setattr(pool, "_start", os.abort)
    words = [str(media / "clip0.mp4"), str(media / "clip1.mp4")]
    assert main.main(["analyze", *words, "--out", str(tmp_path / "out"), "--jobs", "2"]) == 2
    assert "--jobs: a process ended unexpectedly" in capsys.readouterr().err


def test_a_part_of_a_video_does_not_give_the_rows_of_the_whole_however_long_it_is(tmp_path):
    """Why no video is divided: a part searches other frames for faces, and remembers nothing of those before it."""
    clip = write_video(tmp_path / "clip.mp4", demo_pictures(75))
    last = []
    for name, start in (("whole", "0"), ("part", "0.4")):
        words = ["analyze", str(clip), "--out", str(tmp_path / name), "--jobs", "1", "--start", start]
        assert main.main(words) == 0
        lines = (tmp_path / name / "clip" / "faces.csv").read_text().splitlines()
        last.append([line for line in lines if line.split(",")[1] in ("72", "73", "74")])
    whole, part = last
    assert len(whole) == len(part) == 3
    assert whole != part


def test_an_image_that_changed_before_all_were_put_together_is_analyzed_again(tmp_path, monkeypatch):
    before, after = (encode_jpeg(picture) for picture in (demo_pictures(1)[0], np.full((40, 50, 3), 90, np.uint8)))
    image, out = tmp_path / "a.jpg", tmp_path / "out"
    image.write_bytes(before)
    words = ["analyze", str(image), "--out", str(out), "--jobs", "1", "--resume"]
    join_images = Worker.join_images

    def change(worker, jobs):
        image.write_bytes(after)
        join_images(worker, jobs)

    with monkeypatch.context() as patch:
        patch.setattr(Worker, "join_images", change)
        assert main.main(words) == 0
    assert main.main(words) == 0
    (row,) = csv.DictReader((out / "images" / "faces.csv").read_text().splitlines())
    assert row["success"] == "0", "of the new picture, which has no face"


def test_a_file_that_changed_while_it_was_analyzed_is_not_done(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"before")
    job = Job("clip", (Input(path, "clip.mp4", "clip"),))
    manifest = Manifest(tmp_path / "jobs.jsonl", {})
    assert manifest.done(job) is None
    path.write_bytes(b"changed meanwhile")
    manifest.add(job, [Done("clip.mp4", "done", folder="clip")])
    assert Manifest(tmp_path / "jobs.jsonl", {}).done(job) is None

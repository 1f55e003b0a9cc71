"""The progress bar: on a terminal only, with the rate and the time that is left."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

import main
from mien.batch import pool
from mien.batch.inputs import Input
from mien.batch.jobs import Job
from mien.batch.progress import Bar
from tests.clips import demo_pictures, write_video


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def jobs(tmp_path) -> list[Job]:
    """Two jobs, one of 1,000 bytes and one of 3,000, and one whose file is missing."""
    for name, size in (("a", 1000), ("b", 3000)):
        (tmp_path / name).write_bytes(bytes(size))
    return [Job(name, (Input(tmp_path / name, name, name),)) for name in ("a", "b", "missing")]


def test_a_terminal_shows_share_rate_and_time_left(jobs, monkeypatch):
    pytest.importorskip("tqdm", reason="tqdm is not installed")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with Bar(jobs) as bar:
        bar.update(jobs[0], 10, 0.5)
        bar.finish(jobs[0], 0)
        bar.finish(jobs[1], 20)
        bar.finish(jobs[2], 0)
        assert bar.size(jobs[1]) == 3000
    shown = sys.stderr.getvalue()
    assert "frames/s" in shown
    assert "100%" in shown
    assert "4.00k/4.00k [00:00<" in shown


def test_frames_are_counted_once(jobs):
    bar = Bar(jobs)
    bar.update(jobs[0], 10, 0.5)
    bar.finish(jobs[0], 12)
    bar.finish(jobs[1], 20)
    assert bar._frames == 32


def test_frames_of_other_processes_are_shown_while_they_work(tmp_path, monkeypatch):
    shown = []
    update = Bar.update

    def note(bar, job, frames, share):
        shown.append((job.name, frames, share))
        update(bar, job, frames, share)

    monkeypatch.setattr(Bar, "update", note)
    monkeypatch.setattr(pool, "SHOWN_EVERY_S", 0.01)
    for name in ("a", "b"):
        write_video(tmp_path / f"{name}.mp4", demo_pictures(60))
    words = ["analyze", str(tmp_path), "--out", str(tmp_path / "out"), "--jobs", "2"]
    assert main.main(words) == 0
    for name in ("a", "b"):
        own = [(frames, share) for job, frames, share in shown if job == name]
        assert [share for _, share in own] == sorted(share for _, share in own)
        assert sum(frames for frames, _ in own) == 60
    assert any(0 < share < 1 for _, _, share in shown), "before a job has ended"


@pytest.mark.parametrize("reason", ["no terminal", "no tqdm"])
def test_without_a_terminal_or_the_package_nothing_is_shown(jobs, monkeypatch, reason):
    monkeypatch.setattr(sys, "stderr", io.StringIO() if reason == "no terminal" else Terminal())
    if reason == "no tqdm":
        monkeypatch.setitem(sys.modules, "tqdm", None)
    with Bar(jobs) as bar:
        bar.update(jobs[0], 10, 0.5)
        bar.finish(jobs[1], 20)
    assert sys.stderr.getvalue() == ""


def test_a_missing_file_counts_as_nothing(jobs):
    assert Bar(jobs[2:]).size(Job("missing", (Input(Path("missing"), "missing"),))) == 0

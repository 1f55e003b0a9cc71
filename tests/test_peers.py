"""The table beside other programs: what is measured, what is left out and why, without a package being installed."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.peers import __main__ as command
from benchmarks.peers import environments, loop, measure
from benchmarks.peers.environments import STAMP, Environment, PeerError, digest, environment, reason
from benchmarks.peers.measure import Comparison, Run
from benchmarks.peers.programs import PEERS, Peer, Weights
from tests.web_fakes import free_port

HERE = Environment(sys.prefix, packages=3, size_mb=12.4)
"""This Python stands in for the environment of every program."""

FAKE_LOOP = """
import json, sys, time
name, clip, frames, report = sys.argv[1:]
if name == "broken" or (name == "tires" and int(frames) > 2):
    sys.exit("something is printed first\\nValueError: no network")
counts = {"first_at": time.time(), "frames": 0 if name == "blind" else int(frames), "with_face": 5, "faces": 7}
json.dump({"fps": 20.0, "memory_mb": 100.0, **counts}, open(report, "w"))
"""


def clip_of(path, frames):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for _ in range(frames):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    return path


@pytest.fixture
def fake_loop(tmp_path, monkeypatch):
    path = tmp_path / "loop.py"
    path.write_text(FAKE_LOOP)
    monkeypatch.setattr(measure, "LOOP", path)
    monkeypatch.setattr(measure, "environment", lambda *_: HERE)


def test_the_table_has_medians_and_says_what_is_left_out(tmp_path):
    compared = Comparison(Path("clip.avi"), 120)
    peer = Peer("one", "one", ())
    run = Run(fps=10, start_s=1.04, memory_mb=200, frames=120, with_face=110, faces=111)
    runs = [run, replace(run, fps=30.26, start_s=9), replace(run, fps=40, memory_mb=300.4, faces=113)]
    compared.ready = {"one": (peer, HERE), "other": (replace(peer, title="other"), HERE)}
    compared.runs = {"one": runs, "other": [replace(run, memory_mb=None, start_s=None)]}
    compared.left_out = {"third": "no network"}
    assert compared.table().splitlines() == [
        "| | frames a second | first result, s | peak memory, MB | installed, MB | frames with a face | faces |",
        "|---|---|---|---|---|---|---|",
        "| one | 30.3 | 1.0 | 200 | 12 | 110 of 120 | 111 |",
        "| other | 10.0 | – | – | 12 | 110 of 120 | 111 |",
        "",
        "Left out: third: no network",
    ]


@pytest.mark.usefixtures("fake_loop")
def test_what_fails_is_left_out_by_name_and_the_rest_is_measured(tmp_path, monkeypatch, capsys):
    missing = Weights(tmp_path / "weights.onnx", f"http://127.0.0.1:{free_port()}/weights.onnx")
    peers = {name: Peer(name, name, ("one==1",)) for name in ("works", "broken", "tires", "blind")}
    peers["unfinished"] = Peer("unfinished", "works", ("one==1",), weights=missing)
    monkeypatch.setattr(command, "PEERS", peers)
    clip = clip_of(tmp_path / "clip.avi", 4)
    words = ["--video", str(clip), "--frames", "9", "--rounds", "2", "--peers", ",".join(peers)]
    assert command.main(words) == 0
    printed = capsys.readouterr().out
    assert "clip.avi, 64x48; median of 2 interleaved rounds" in printed
    assert "| works | 20.0 |" in printed
    assert "| 5 of 9 | 7 |" in printed
    assert printed.count("\n| ") == 2, "a heading and one program"
    for line in (
        "Left out: broken: ValueError: no network",
        "Left out: tires: ValueError: no network",
        "Left out: blind: its OpenCV reads no frame of clip.avi",
        f"Left out: unfinished: its weights are not in {missing.path}, and 127.0.0.1 cannot be reached (",
    ):
        assert line in printed


@pytest.mark.usefixtures("fake_loop")
def test_rounds_alternate_their_order(tmp_path, capsys):
    compared = Comparison(tmp_path / "clip.avi", 9)
    compared.install([Peer(name, name, ("one==1",)) for name in ("a", "b")], tmp_path)
    capsys.readouterr()
    compared.measure(2)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1] for line in lines] == ["a", "b", "b", "a"]


def test_a_program_that_takes_too_long_is_left_out(tmp_path, monkeypatch):
    path = tmp_path / "loop.py"
    path.write_text("import time; time.sleep(3600)")
    monkeypatch.setattr(measure, "LOOP", path)
    monkeypatch.setattr(measure, "RUN_LIMIT_S", 0.5)
    with pytest.raises(PeerError, match=r"longer than 0\.5 s"):
        measure.run_once(Peer("slow", "slow", ()), HERE, tmp_path / "clip.avi", 9)


def test_the_demo_is_the_clip_unless_one_is_given(tmp_path):
    options = command.Options(cache=tmp_path / "new", faces=2, frames=3)
    clip, about = command.prepare_clip(options)
    assert about == "The demo with 2 faces, 640x480"
    found = loop.run(lambda *_: [], str(clip), 10)
    assert (found["frames"], found["with_face"], found["faces"], found["first_at"]) == (3, 0, 0, None)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--peers", "mien,nobody"], "--peers: expected some of mien, lite, seed, fer, deepface, separated by commas"),
        (["--peers", "fer,fer"], "--peers: expected some of"),
        (["--frames", "1"], "--frames: expected a whole number"),
        (["--rounds"], "--rounds: expected a whole number"),
        (["--faces", "4"], "--faces: expected a whole number 1 to 3"),
        (["--round-trips", "3"], "--round-trips: unknown option"),
        (["clip.mp4"], "expected an option"),
        (["--video", "{folder}/none.mp4"], "expected a video file, found no file"),
        (["--video", "{folder}/text.mp4"], "which is a text file"),
        (["--video", "{folder}/one.avi"], "expected a clip of at least 2 frames"),
        (["--cache", "{folder}/text.mp4"], "--cache: expected a folder to write to"),
    ],
)
def test_a_mistake_gives_one_line_and_status_2(words, message, tmp_path, capsys):
    (tmp_path / "text.mp4").write_text("no video")
    clip_of(tmp_path / "one.avi", 1)
    assert command.main([word.format(folder=tmp_path) for word in words]) == 2
    printed = capsys.readouterr()
    assert not printed.out
    (line,) = printed.err.splitlines()
    assert message in line


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("", "exit status 7"),
        ("Traceback ...\nImportError: no cv2\n\n", "ImportError: no cv2"),
        ("ERROR: no such version (of: 1, 2)\nERROR: nothing found for x\nnotice: a new pip", "nothing found for x"),
        ("x" * 300, "x" * 200 + " ..."),
    ],
)
def test_the_reason_is_the_line_that_says_why(printed, expected):
    assert reason(printed, 7) == expected


def test_an_environment_is_built_once_and_again_after_an_interruption(tmp_path, monkeypatch):
    commands = []

    def run(words, *_):
        commands.append(words)
        if "venv" in words:
            Path(words[-1]).mkdir(parents=True)
        elif "install" in words:
            (Path(words[0]).parents[1] / "package.py").write_bytes(bytes(3 << 20))
        return "5"

    monkeypatch.setattr(environments, "run", run)
    monkeypatch.setattr(environments.shutil, "which", lambda _: None)
    built = environment("one", ("one==1",), tmp_path)
    assert (built.packages, built.size_mb) == (5, 3)
    assert "one==1" in commands[1]
    commands.clear()
    assert environment("one", ("one==1",), tmp_path) == built
    assert not commands
    (Path(built.folder) / STAMP).unlink()
    assert environment("one", ("one==1",), tmp_path) == built
    assert len(commands) == 3


def test_a_requirements_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(PeerError, match=r"there is no none\.txt"):
        environment("none", ("none.txt",), tmp_path)


def test_another_version_or_file_gets_another_environment(tmp_path, monkeypatch):
    monkeypatch.setattr(environments, "ROOT", tmp_path)
    (tmp_path / "requirements.txt").write_text("two==1")
    digests = {digest(("one==1",)), digest(("one==2",)), digest(("requirements.txt",))}
    (tmp_path / "requirements.txt").write_text("two==2")
    assert len(digests | {digest(("requirements.txt",))}) == 4


def test_weights_that_are_there_are_not_looked_for(tmp_path):
    path = tmp_path / "weights.onnx"
    path.write_bytes(b"weights")
    Weights(path, "http://127.0.0.1:0/").check()


def test_a_report_counts_faces_frames_and_memory(tmp_path, monkeypatch):
    def fake():
        return lambda pixels_bgr, index, time_s: [(0, 0, 9, 9, "happy")] * round(10 * time_s) if index % 2 else []

    monkeypatch.setitem(loop.LOOPS, "fake", fake)
    report = tmp_path / "report.json"
    loop.main("fake", str(clip_of(tmp_path / "clip.avi", 6)), "4", str(report))
    found = json.loads(report.read_text())
    assert (found["frames"], found["with_face"], found["faces"]) == (4, 2, 1 + 3)
    assert found["fps"] > 0
    assert found["first_at"] > 0
    assert found["memory_mb"] is None or found["memory_mb"] > 10


@pytest.mark.parametrize("name", PEERS)
def test_every_program_has_a_loop_and_pinned_packages(name):
    peer = PEERS[name]
    assert peer.loop in loop.LOOPS
    assert all("==" in each or each.endswith(".txt") for each in peer.requirements)

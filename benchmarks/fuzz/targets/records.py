"""Files that the program writes and reads again: manifests, provenance and what it knows of a network."""

from __future__ import annotations

import json
import random
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from benchmarks.fuzz.mutations import break_bytes, break_structure, dump, mutated_json
from benchmarks.fuzz.target import Call, Target
from mien.batch.inputs import Input
from mien.batch.jobs import Job
from mien.batch.manifest import Manifest
from mien.batch.methods import methods
from mien.batch.provenance import FILE
from mien.batch.recordings import Times, describe_recording
from mien.reading_check import Readings
from mien.recording.edits import numbered
from mien.recording.journal import append_edits, read_journal

RUN = {
    "mien": "0.2.0",
    "network": {"sha256": "0" * 64},
    "detector": {"name": "haar"},
    "settings": {"fps": None, "unsure": 0.5},
}


def _manifest(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    video, path = folder / "a.mp4", folder / "jobs.jsonl"
    video.write_bytes(b"x")
    facts = video.stat()
    job = Job("a", (Input(video, "a.mp4", "a"),))
    inputs = [["a.mp4", facts.st_size, facts.st_mtime_ns]]
    done = {"input": "a.mp4", "status": "done", "reason": None, "folder": "a", "facts": {"analyzed": 3}}
    lines = [{"run": RUN}, {"job": "a", "inputs": inputs, "done": [done]}, {"job": "images", "jobs": [inputs]}]

    def make(dice: random.Random) -> bytes:
        broken = [break_structure(dice, line) if dice.random() < 0.4 else line for line in lines]
        data = b"\n".join(map(dump, broken)) + b"\n"
        return break_bytes(dice, [data]) if dice.random() < 0.2 else data

    def call(data: bytes) -> None:
        path.write_bytes(data)
        known = Manifest(path, RUN)
        known.done(job)
        known.joined("images", [job])

    return st.integers(0, 2**63 - 1).map(lambda seed: make(random.Random(seed))), call


def _edits(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    lines = [
        {"do": "begin", "at": 1790000000.0, "source": "program"},
        {"do": "rename", "name": "Anna"},
        {"do": "mark", "id": "m1", "t": 1.5, "text": "laughs"},
        {"do": "unmark", "id": "m1"},
        {"do": "person", "face": 1, "name": "Anna"},
        {"do": "merge", "faces": [1, 3]},
        {"do": "split", "faces": [3]},
        {"do": "exclude", "id": "x1", "from": 1.0, "to": 2.0},
        {"do": "include", "id": "x1"},
        {"do": "end", "length_s": 60.0},
    ]
    path = folder / "edits.jsonl"

    def make(dice: random.Random) -> bytes:
        broken = [break_structure(dice, line) if dice.random() < 0.3 else line for line in lines]
        data = b"\n".join(map(dump, broken)) + b"\n"
        return break_bytes(dice, [data]) if dice.random() < 0.2 else data

    def call(data: bytes) -> None:
        path.write_bytes(data)
        read_journal(path).person(1)
        append_edits(path, lambda state: [numbered(state, {"do": "mark", "t": 2.0, "text": "again"})])

    return st.integers(0, 2**63 - 1).map(lambda seed: make(random.Random(seed))), call


def _provenance(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    settings = {"fps": None, "start": 0.0, "unsure": 0.5, "min_quality": 0.55}
    network = {"sha256": "0" * 64, "rare": 0.5, "tau": 0.5, "pixels": "0..255"}
    frames = {"analyzed": 10, "with_face": 5, "unreadable_parts": 0}
    way = {
        "mien": "0.2.0",
        "network": network,
        "detector": {"name": "auto", "sha256": {}},
        "settings": settings,
        "frames": frames,
    }
    seeds = [
        way | {"input": {"name": "a.mp4", "decoded_s": 1.5}},
        way | {"input": {"name": "session.csv", "decoded_s": 1.5, "recorded": "2026-11-26T12:00:00Z"}},
        way | {"inputs": [{"name": "a.jpg"}]},
    ]
    out = folder / "results"
    out.mkdir()
    recording = folder / "session.csv"
    recording.write_text("time\n", encoding="utf-8")
    times = Times(1790000000.0, np.array([0.0]), np.array([1 / 30]))

    def call(data: bytes) -> None:
        (folder / "session.mien.json").write_bytes(data)
        (out / FILE).write_bytes(data)
        try:
            describe_recording(recording, "session.csv", times)
        finally:
            methods([str(out)])

    return mutated_json(seeds), call


def _readings(folder: Path, cleanup: ExitStack) -> tuple[SearchStrategy[bytes], Call]:
    outputs = {pixels: list(range(7)) * 3 for pixels in ("0..255", "0..1", "-1..1", "standardize")}
    seed = {"outputs": outputs, "guess": "0..1", "teller": "layer", "asked": True}
    path = folder / "readings.json"

    def call(data: bytes) -> None:
        path.write_bytes(data)
        Readings.load(path)

    return mutated_json([seed, json.loads(json.dumps(seed))]), call


TARGETS = (
    Target("manifest", 4000, _manifest),
    Target("session-edits", 3000, _edits),
    Target("provenance", 3000, _provenance),
    Target("readings-cache", 2000, _readings),
)

"""Installs the programs, runs them in interleaved rounds, and makes a table of the medians."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.peers.environments import ROOT, Environment, PeerError, environment, run
from benchmarks.peers.programs import Peer

LOOP = ROOT / "benchmarks" / "peers" / "loop.py"
RUN_LIMIT_S = 900
TRIAL_FRAMES = 2
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
"""All run on the processor, which is what most computers have."""

HEADS = ("", "frames a second", "first result, s", "peak memory, MB", "installed, MB", "frames with a face", "faces")


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of a program gave.

    Args:
        fps: Frames a second after the first frame with a face.
        start_s: Seconds from the start of the process until the first frame with a face was analyzed, drawn and
            encoded; None if there was none.
        memory_mb: Peak resident memory in MiB; None where the system does not report it.
        frames: Frames read.
        with_face: Frames in which it found a face.
        faces: Faces that it found in all frames.
    """

    fps: float
    start_s: float | None
    memory_mb: float | None
    frames: int
    with_face: int
    faces: int


@dataclass(slots=True)
class Comparison:
    """All programs of one call of the command.

    Args:
        clip: The clip that all of them read.
        frames: How many frames of it, at most.
        ready: The programs that work, and their environments, by title.
        runs: Their runs, by title.
        left_out: Why the others are left out, by title.
    """

    clip: Path
    frames: int
    ready: dict[str, tuple[Peer, Environment]] = field(default_factory=dict)
    runs: dict[str, list[Run]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def install(self, peers: Sequence[Peer], cache: Path) -> None:
        """Build the environments, and try each program on a few frames, which also brings its files into memory.

        Args:
            peers: The programs to measure.
            cache: The folder of the environments.
        """
        for peer in peers:
            try:
                if peer.weights is not None:
                    peer.weights.check()
                built = environment(peer.environment_name, peer.requirements, cache)
                note(f"{peer.title}: {built.packages} packages, {built.size_mb:.0f} MB in {built.folder}")
                run_once(peer, built, self.clip, TRIAL_FRAMES)
            except PeerError as error:
                self._leave_out(peer, error)
            else:
                self.ready[peer.title] = peer, built
                self.runs[peer.title] = []

    def measure(self, rounds: int) -> None:
        """Run each program this many times; every other round has the reverse order."""
        for number in range(rounds):
            for title in list(self.runs)[:: -1 if number % 2 else 1]:
                peer, built = self.ready[title]
                try:
                    once = run_once(peer, built, self.clip, self.frames)
                except PeerError as error:
                    self._leave_out(peer, error)
                    del self.runs[title]
                else:
                    self.runs[title].append(once)
                    note(f"round {number + 1} of {rounds}: {title}: {once.fps:.1f} frames a second")

    def table(self) -> str:
        """The medians as a Markdown table, and a line for each program that is left out."""
        lines = [f"| {' | '.join(HEADS).lstrip()} |", "|---" * len(HEADS) + "|"]
        for title, runs in self.runs.items():
            peer, built = self.ready[title]
            lines.append(f"| {' | '.join((title, *cells(runs, peer.size_mb(built))))} |")
        lines += [f"\nLeft out: {title}: {why}" for title, why in self.left_out.items()]
        return "\n".join(lines)

    def _leave_out(self, peer: Peer, error: PeerError) -> None:
        self.left_out[peer.title] = str(error)
        note(f"{peer.title}: left out: {error}")


def run_once(peer: Peer, built: Environment, clip: Path, frames: int) -> Run:
    """Run a program's loop in its own process.

    Args:
        peer: The program.
        built: Its environment.
        clip: The clip to read.
        frames: How many frames of it, at most.

    Raises:
        PeerError: It failed, took too long, or read no frame.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        words = [str(built.python), "-I", str(LOOP), peer.loop, str(clip), str(frames), str(report)]
        started_at = time.time()
        run(words, RUN_LIMIT_S, {**os.environ, **QUIET})
        found = json.loads(report.read_text())
    if not found["frames"]:
        raise PeerError(f"its OpenCV reads no frame of {clip.name}")
    first_at = found.pop("first_at")
    return Run(start_s=None if first_at is None else first_at - started_at, **found)


def cells(runs: Sequence[Run], size_mb: float) -> tuple[str, ...]:
    """A row of the table after the title: medians of the runs."""

    def known(values: Iterable[float | None], digits: int) -> str:
        present = [value for value in values if value is not None]
        return f"{median(present):.{digits}f}" if present else "–"

    return (
        f"{median(run.fps for run in runs):.1f}",
        known((run.start_s for run in runs), 1),
        known((run.memory_mb for run in runs), 0),
        f"{size_mb:.0f}",
        f"{median(run.with_face for run in runs):.0f} of {runs[0].frames}",
        f"{median(run.faces for run in runs):.0f}",
    )


def note(line: str) -> None:
    """Print progress, which is not part of the table."""
    print(line, file=sys.stderr, flush=True)

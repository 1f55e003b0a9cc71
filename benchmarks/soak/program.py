"""The program under load, and what it uses: memory, descriptors, threads."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.program import ROOT, Program, free_port

EXPECTED = (
    r"loading the network \.\.\.",
    r"the network runs on .*",
    r"[\w. ]+: open http://\S+ \(Ctrl-C stops\)",
    r"face detector: .*",
    r"no viewers: .* is released",
    r"stopping",
)
"""All that the program logs while nothing is wrong."""


@dataclass(frozen=True)
class Sample:
    """What the program uses at a moment.

    Args:
        memory_mb: Resident memory in MiB.
        descriptors: Open files and sockets.
        threads: Their number by name.
        native: The number of further threads, which libraries have started.
        targets: What the descriptors are of, with the state of connections, where the system tells (Linux).
        in_use_mb: What the C library has handed out and not got back, in MiB; 0 where it does not tell (glibc does).
        objects: How many blocks of memory Python objects use.
    """

    memory_mb: float
    descriptors: int
    threads: dict[str, int] = field(repr=False)
    native: int
    targets: Sequence[str] = field(default=(), repr=False)
    in_use_mb: float = 0.0
    objects: int = 0

    @property
    def count(self) -> int:
        """All threads."""
        return sum(self.threads.values()) + self.native


class Observed(Program):
    """The program, with a folder for all it writes.

        with Observed(folder) as program:
            program.wait_for_first_picture()
            print(program.sample())

    Args:
        folder: For recordings, temporary files and the log; exists.
        *options: Of the program.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self.started_at = time.perf_counter()
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self._log = folder / "log"
        words = ["--port", str(self.port), "--sessions", str(folder / "sessions"), *options]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.soak.observed", *words],
                cwd=ROOT,
                env={**os.environ, "TMPDIR": str(self.temporary)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )

    def __enter__(self) -> Observed:
        return self

    def __exit__(self, *_: object) -> None:
        """End it, however it may."""
        self.process.kill()
        self.process.communicate()

    def sample(self, *, trim: bool = False) -> Sample:
        """Measure what it uses.

        Args:
            trim: Whether it returns free memory to the system before.

        Raises:
            RuntimeError: The program has ended.
        """
        known = self._ask("trim" if trim else "threads")
        threads = known["threads"]
        process = psutil.Process(self.process.pid)
        with process.oneshot():
            return Sample(
                memory_mb=process.memory_info().rss / 2**20,
                descriptors=process.num_fds(),
                threads=threads,
                native=process.num_threads() - sum(threads.values()),
                targets=_targets(process),
                in_use_mb=known["in_use_mb"],
                objects=known["objects"],
            )

    def log(self) -> list[str]:
        """All lines that it has logged."""
        return self._log.read_text(encoding="utf-8", errors="replace").splitlines()

    def _ask(self, question: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(f"{question}\n".encode())
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except OSError:
            line = b""
        if not line:
            raise RuntimeError("the program has ended")
        return dict(json.loads(line))


def _targets(process: psutil.Process) -> list[str]:
    """What the descriptors of a process are of, with the state of its connections."""
    folder = Path(f"/proc/{process.pid}/fd")
    with suppress(OSError, psutil.Error):
        connections = {each.fd: f"socket {each.laddr} {each.raddr} {each.status}" for each in process.net_connections()}
        descriptors = sorted(int(each.name) for each in folder.iterdir())
        return [connections.get(each) or str((folder / str(each)).readlink()) for each in descriptors]
    return []


def unexpected(lines: list[str]) -> list[str]:
    """The lines of a log that say that something is wrong.

    Args:
        lines: All lines.
    """
    return [line for line in lines if not re.fullmatch("|".join(EXPECTED), line)]

"""The running program as its users meet it: start, memory, many viewers, stop."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.crowd import crowd

ROOT = Path(__file__).parent.parent


class Program:
    """`python main.py` on a free port.

    Args:
        *options: Of the program, such as "--source", "demo".
        python: The interpreter that runs it.

    Example:
        program = Program("--source", "demo")
        print(program.wait_for_first_picture(), program.analyzed_fps(5), program.memory_mb())
        status, seconds = program.stop()
    """

    def __init__(self, *options: str, python: str | Path = sys.executable) -> None:
        self.port = free_port()
        self.started_at = time.perf_counter()
        words = [str(python), "main.py", "--port", str(self.port), *options]
        self.process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def state(self) -> dict[str, Any] | None:
        """Return the answer of /api/state, None while nothing listens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/api/state")
            return dict(json.loads(connection.getresponse().read()))
        except OSError:
            return None
        finally:
            connection.close()

    def wait_for_first_picture(self, limit_s: float = 60) -> float:
        """Return the seconds from the start of the program to its first analyzed picture at a viewer.

        Raises:
            RuntimeError: The program has ended, or shows no picture within limit_s.
        """
        while time.perf_counter() - self.started_at < limit_s:
            if self.process.poll() is not None:
                raise RuntimeError(f"the program ended: {self.process.stderr.read().decode()}")  # type: ignore[union-attr]
            state = self.state()
            if state and state["frame"]:
                with crowd(self.port, 1) as watching:
                    while not watching.pictures[0] and time.perf_counter() - self.started_at < limit_s:
                        time.sleep(0.005)
                    return time.perf_counter() - self.started_at
            time.sleep(0.02)
        raise RuntimeError(f"no picture within {limit_s} s")

    def memory_mb(self) -> float:
        """Return the resident memory in MiB."""
        return float(psutil.Process(self.process.pid).memory_info().rss / 2**20)

    def proportional_memory_mb(self) -> float | None:
        """Return the proportional set size in MiB, None except on Linux."""
        pss = getattr(psutil.Process(self.process.pid).memory_full_info(), "pss", None)
        return None if pss is None else float(pss / 2**20)

    def processor_share(self, seconds: float) -> float:
        """Measure the processor time over the next seconds, as a share of one core."""
        process = psutil.Process(self.process.pid)
        before, start_s = process.cpu_times(), time.perf_counter()
        time.sleep(seconds)
        after = process.cpu_times()
        spent_s = after.user + after.system - before.user - before.system
        return float(spent_s / (time.perf_counter() - start_s))

    def analyzed_fps(self, seconds: float) -> float:
        """Measure the analyzed frames a second over the next seconds; the program itself averages over 2 s.

        Raises:
            RuntimeError: The program no longer answers.
        """
        time.sleep(2)
        samples = []
        for _ in range(max(1, round(seconds))):
            time.sleep(1)
            state = self.state()
            if not state:
                raise RuntimeError("the program no longer answers")
            samples.append(state["fps"])
        return sum(samples) / len(samples)

    def stop(self) -> tuple[int, float]:
        """Send SIGTERM; return (exit status, seconds until the program ended)."""
        start_s = time.perf_counter()
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=20)
        return status, time.perf_counter() - start_s


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""The running program as its users meet it: start, memory, many viewers, stop."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parent.parent
MEGABYTE = 1 << 20


class Viewer(threading.Thread):
    """Reads /video_feed and counts its pictures; a stalled one opens it and never reads."""

    def __init__(self, port: int, *, stalled: bool = False) -> None:
        super().__init__(daemon=True)
        self.port = port
        self.stalled = stalled
        self.pictures = 0
        self.first_at = 0.0
        self._done = threading.Event()

    def run(self) -> None:
        """Read until told to stop."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", "/video_feed")
            response = connection.getresponse()
            if self.stalled:
                self._done.wait()
                return
            while not self._done.is_set():
                line = response.readline()
                if line.lower().startswith(b"content-length:"):
                    size = int(line.split(b":")[1])
                    response.readline()
                    response.read(size)
                    self.pictures += 1
                    self.first_at = self.first_at or time.perf_counter()
                elif not line:
                    return
        except (OSError, http.client.HTTPException):
            return
        finally:
            connection.close()

    def stop(self) -> None:
        """End the thread after the picture it is reading."""
        self._done.set()


class Program:
    """`python main.py` on a free port."""

    def __init__(self, *options: str) -> None:
        self.port = free_port()
        self.started_at = time.perf_counter()
        words = [sys.executable, "main.py", "--port", str(self.port), *options]
        self.process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def state(self) -> dict[str, Any] | None:
        """What /api/state says, None while nothing listens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/api/state")
            return dict(json.loads(connection.getresponse().read()))
        except OSError:
            return None
        finally:
            connection.close()

    def wait_for_first_picture(self, limit_s: float = 60) -> float:
        """Seconds from the start of the program to its first analyzed picture at a viewer."""
        while time.perf_counter() - self.started_at < limit_s:
            if self.process.poll() is not None:
                raise RuntimeError(f"the program ended: {self.process.stderr.read().decode()}")  # type: ignore[union-attr]
            state = self.state()
            if state and state["frame"]:
                viewer = Viewer(self.port)
                viewer.start()
                while not viewer.pictures and time.perf_counter() - self.started_at < limit_s:
                    time.sleep(0.005)
                viewer.stop()
                return viewer.first_at - self.started_at
            time.sleep(0.02)
        raise RuntimeError(f"no picture within {limit_s} s")

    def memory_mb(self) -> float:
        """Resident memory in MiB."""
        return float(psutil.Process(self.process.pid).memory_info().rss / MEGABYTE)

    def processor_share(self, seconds: float) -> float:
        """Processor time over the next seconds, as a share of one core."""
        process = psutil.Process(self.process.pid)
        before, start_s = process.cpu_times(), time.perf_counter()
        time.sleep(seconds)
        after = process.cpu_times()
        spent_s = after.user + after.system - before.user - before.system
        return float(spent_s / (time.perf_counter() - start_s))

    def analyzed_fps(self, seconds: float) -> float:
        """Analyzed frames a second, averaged over the next seconds (the program itself averages over 2 s)."""
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
        """(exit status, seconds) after SIGTERM."""
        start_s = time.perf_counter()
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=20)
        return status, time.perf_counter() - start_s


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def viewers(port: int, count: int, *, stalled: int = 0) -> Iterator[list[Viewer]]:
    """So many viewers, of which the first `stalled` never read."""
    crowd = [Viewer(port, stalled=i < stalled) for i in range(count)]
    for viewer in crowd:
        viewer.start()
    try:
        yield crowd
    finally:
        for viewer in crowd:
            viewer.stop()

"""Which WSGI server carries the live picture best: 50 viewers, of which 3 read slowly and 2 stop reading.

    python -m benchmarks.servers [--seconds 12] [cheroot waitress ...]

Each server runs the real app in a separate process, with a camera that publishes 40 kB JPEGs at 30 frames a
second; a second process plays the viewers; this one asks /api/state ten times a second, then tells the server to
stop while the streams are open. Servers that are not installed are skipped with a note:
    pip install waitress gevent uvicorn a2wsgi hypercorn

Columns: frames per second of the readers, median and worst; age of their frames (95th percentile); age of the
last frames of those that read slowly; answer of /api/state, median and worst; resident memory; processor cores
in use; streams still open at the end (2 have stalled, so 48 is right); seconds until a stop has ended the process.
"""

from __future__ import annotations

import argparse
import http.client
import importlib.metadata
import json
import selectors
import socket
import statistics
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.server_candidates import FPS, JPEG_BYTES, SERVERS, STAMP

_ROOT = Path(__file__).resolve().parent.parent

_FAST, _SLOW, _STOPPED = 45, 3, 2
_SLOW_BYTES_PER_S = 200_000  # five pictures a second
_SETTLE_S = 2.0  # not counted: the viewers connect one after the other
_HEADS = ("fps", "worst fps", "age95 ms", "slow ms", "answer ms", "worst ms", "peak MB", "cores", "streams", "stop s")
_STOP_LIMIT_S = 10.0

# ---------------------------------------------------------------- the viewers' process


class _Viewer:
    """One stream: counts the pictures and notes how old each was when its first bytes were read."""

    def __init__(self, port: int, bytes_per_s: float) -> None:
        self.bytes_per_s = bytes_per_s
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.sendall(b"GET /video_feed HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.sock.setblocking(False)
        self.ages_s: list[float] = []
        self.read_bytes = 0
        self._rest = b""

    def read(self, limit: int) -> bool:
        """Take what is there, at most `limit` bytes; False when the server has hung up."""
        try:
            data = self.sock.recv(limit)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if not data:
            return False
        self.read_bytes += len(data)
        data = self._rest + data
        position = data.find(STAMP)
        while position != -1 and position + len(STAMP) + 8 <= len(data):
            (made,) = struct.unpack_from("<d", data, position + len(STAMP))
            self.ages_s.append(time.time() - made)
            position = data.find(STAMP, position + len(STAMP))
        self._rest = data[position:] if position != -1 else data[-len(STAMP) :]
        return True


def _run_viewers(port: int, seconds: float) -> None:
    """Read for this long and print what was seen; keep all streams open until a line comes on standard input."""
    fast = [_Viewer(port, float("inf")) for _ in range(_FAST)]
    slow = [_Viewer(port, _SLOW_BYTES_PER_S) for _ in range(_SLOW)]
    stopped = [_Viewer(port, 0) for _ in range(_STOPPED)]  # open, never read
    with selectors.DefaultSelector() as selector:
        for viewer in fast:
            selector.register(viewer.sock, selectors.EVENT_READ, viewer)
        settled = False
        began = time.monotonic()
        while (elapsed := time.monotonic() - began) < seconds:
            for key, _ in selector.select(0.02):
                if not key.data.read(65536):
                    selector.unregister(key.fileobj)
            if not settled and elapsed > _SETTLE_S:
                settled = True
                for viewer in fast:
                    viewer.ages_s.clear()
            for viewer in slow:
                allowed = int(viewer.bytes_per_s * elapsed) - viewer.read_bytes
                if allowed >= 4096:
                    viewer.read(allowed)
    result = {
        "fast_fps": [len(viewer.ages_s) / (seconds - _SETTLE_S) for viewer in fast],
        "fast_ages_ms": [1000 * age for viewer in fast for age in viewer.ages_s],
        "slow_ages_ms": [1000 * age for viewer in slow for age in viewer.ages_s[-5:]],
    }
    print(json.dumps(result), flush=True)
    sys.stdin.readline()
    del fast, slow, stopped


# ---------------------------------------------------------------- the measurement


def _measure(name: str, seconds: float) -> dict[str, Any]:
    """Run one server with its viewers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = _child("benchmarks.server_candidates", name, str(port))
    _wait_until_up(port)
    viewers = _child("benchmarks.servers", "--view", str(port), str(seconds))
    answers_ms: list[float] = []
    streams = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        streams = _get(port, "/api/state").get("viewers", 0)
        answers_ms.append(1000 * (time.monotonic() - began))
        time.sleep(0.1)
    assert viewers.stdout is not None
    assert server.stdout is not None
    seen = json.loads(viewers.stdout.readline())
    cost, stop_s = _stop(server)
    viewers.communicate("\n")
    return {"name": name, "answers_ms": answers_ms, "streams": streams, "stop_s": stop_s, **seen, **cost}


def _stop(server: subprocess.Popen[str]) -> tuple[dict[str, float], float | None]:
    """Tell it to stop while the streams are open: what it cost, and seconds until its process has ended."""
    began = time.monotonic()
    try:
        output, _ = server.communicate("\n", timeout=_STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        server.kill()
        output, _ = server.communicate()
        return json.loads(output.splitlines()[0]), None
    return json.loads(output.splitlines()[0]), time.monotonic() - began


def _child(module: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", module, *arguments]
    pipe, quiet = subprocess.PIPE, subprocess.DEVNULL  # some servers print a traceback for each viewer when stopped
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=quiet, text=True, cwd=_ROOT)


def _wait_until_up(port: int) -> None:
    deadline = time.monotonic() + 15
    while True:
        try:
            _get(port, "/api/state")
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _get(port: int, path: str) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def _row(result: dict[str, Any]) -> str:
    def percentile(values: list[float], share: float) -> str:
        return f"{sorted(values)[int(share * (len(values) - 1))]:.0f}" if values else "-"

    stop = "no" if result["stop_s"] is None else f"{result['stop_s']:.1f}"
    cells = [
        f"{result['name']:<16}",
        f"{statistics.median(result['fast_fps']):.1f}",
        f"{min(result['fast_fps']):.1f}",
        percentile(result["fast_ages_ms"], 0.95),
        percentile(result["slow_ages_ms"], 0.5),
        percentile(result["answers_ms"], 0.5),
        percentile(result["answers_ms"], 1.0),
        f"{result['peak_mb']:.0f}",
        f"{result['cores']:.2f}",
        str(result["streams"]),
        stop,
    ]
    return " | ".join(f"{cell:>9}" for cell in cells)


def main() -> None:
    """Measure the servers named, or all, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=12.0, help="length of each measurement")
    parser.add_argument("--view", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("servers", nargs="*", help=f"of {', '.join(SERVERS)}; default: all that are installed")
    options = parser.parse_args()
    if options.view:
        _run_viewers(int(options.view[0]), float(options.view[1]))
        return
    viewers = f"{_FAST} read, {_SLOW} read {_SLOW_BYTES_PER_S // 1000} kB/s, {_STOPPED} stop reading"
    print(f"{viewers}; {JPEG_BYTES} B, {FPS} fps")
    print(" | ".join([f"{'server':<16}", *(f"{head:>9}" for head in _HEADS)]))
    for name in options.servers or SERVERS:
        try:
            versions = " ".join(f"{package} {importlib.metadata.version(package)}" for package in SERVERS[name][1])
        except importlib.metadata.PackageNotFoundError as missing:
            print(f"{name:<16} | skipped: {missing.name} is not installed")
            continue
        print(_row(_measure(name, options.seconds)), " ", versions, flush=True)


if __name__ == "__main__":
    main()

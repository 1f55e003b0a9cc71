"""Delay and cost of live outputs, and what many restarts of a broker leave behind: `python -m benchmarks.outputs`.

For each kind of output whose package, and broker, is there, a real receiver runs in another process. Printed are the
milliseconds from the publication of an analysis until the receiver has its message, and the frames analyzed per second
with all outputs, and with a receiver that reads nothing, relative to none, in alternating blocks of the same run.

A new kind is one line in SINKS, and one in `PEERS` of benchmarks/output_peers.py.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from benchmarks.program import ROOT, free_port
from camera import VideoCamera
from mien.analysis.pipeline import Pipeline
from mien.detectors import create_detector
from mien.errors import SettingsError
from mien.outputs.runner import STABLE_S
from mien.outputs.service import Outputs
from mien.process import release_memory
from mien.sources import Source, open_source
from mien.stream.config import Services
from mien.types import Analysis, Frame
from model import FacialExpressionModel

PATIENCE_S = 60.0
RETAINED_WITHIN_S = 1.0
"""A broker sends what it retains at once."""
ALL_FPS = 1000.0
"""More than is analyzed, so that each output gets all frames."""


class MissingError(Exception):
    """What an output needs on this computer is not there."""


# ---- receivers


@contextmanager
def pipe(folder: Path) -> Iterator[tuple[str, str]]:
    """A named pipe; URL of the output, and what its receiver opens."""
    if not hasattr(os, "mkfifo"):
        raise MissingError("this system has no named pipes")
    path = folder / f"pipe-{free_port()}"
    os.mkfifo(path)
    yield f"jsonl:{path}", str(path)


@contextmanager
def port(url: str, _folder: Path) -> Iterator[tuple[str, str]]:
    """An address with a free port in place of {}."""
    filled = url.format(free_port())
    yield filled, filled


@contextmanager
def broker(_folder: Path) -> Iterator[tuple[str, str]]:
    """A mosquitto with its port."""
    with Broker() as running:
        yield f"mqtt://127.0.0.1:{running.port}", f"mqtt://127.0.0.1:{running.port}"


SINKS: dict[str, Callable[[Path], AbstractContextManager[tuple[str, str]]]] = {
    "jsonl": pipe,
    "osc": partial(port, "osc://127.0.0.1:{}"),
    "mqtt": broker,
    "ws": partial(port, "ws://127.0.0.1:{}"),
    "webhook": partial(port, "webhook:http://127.0.0.1:{}/#frames"),
    "lsl": partial(port, "lsl:{}?slots=1"),
}
"""What has to be there for each kind of output."""


class Broker:
    """A mosquitto that keeps nothing when it ends, and can be started again on the same port."""

    def __init__(self) -> None:
        self.port = free_port()
        found = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if found is None:
            raise MissingError("the broker mosquitto is not installed")
        self._words = [found, "-p", str(self.port)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        self._process = subprocess.Popen(self._words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Broker:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.kill()


class Peer:
    """A receiver in another process, and what it has received.

    Args:
        name: Kind of output.
        where: What it listens to.

    Attributes:
        received: (index of the frame, seconds since the epoch) of each frame.
    """

    def __init__(self, name: str, where: str) -> None:
        self.received: list[tuple[int, float]] = []
        words = [sys.executable, "-m", "benchmarks.output_peers", name, where]
        for attempt in range(50):
            self._process = subprocess.Popen(
                words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            if self._line() == "ready\n":
                break
            self._process.wait()  # its broker may not listen yet
            time.sleep(0.02 * attempt)
        else:
            raise MissingError(f"the receiver of {name} does not start")
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._reader.join(PATIENCE_S)

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def _read(self) -> None:
        while line := self._line():
            index, at_s = line.split()
            self.received.append((int(index), float(at_s)))


# ---- the measured camera


@dataclass
class Published:
    """When each analysis was published: `record` is called right after it."""

    at_s: dict[int, float] = field(default_factory=dict)

    def record(self, frame: Frame, _analysis: Analysis) -> None:
        """Note a frame."""
        self.at_s[frame.index] = time.time()


@contextmanager
def running(published: Published, *, paced: bool) -> Iterator[VideoCamera]:
    """The demo, at 30 frames per second or as fast as it is analyzed."""
    services = Services(open=partial(open_paced, paced), record=published.record, needed=lambda: True)
    pipeline = Pipeline(create_detector(), FacialExpressionModel())
    with VideoCamera("demo", pipeline, services=services) as camera:
        yield camera


def open_paced(paced: bool, spec: str, **options: Any) -> Source:
    """As `open_source`, with this pace."""
    return open_source(spec, paced=paced, **options)


@contextmanager
def sending(camera: VideoCamera, urls: Sequence[str], connected: int) -> Iterator[Outputs]:
    """Send to these URLs, as soon as so many of them are connected."""
    outputs = Outputs.of(urls, fps=ALL_FPS)
    outputs.start(camera.snapshots, camera.status)
    try:
        wait_until(lambda: sum(each.state == "connected" and each.sent > 0 for each in outputs.status()) >= connected)
        yield outputs
    finally:
        outputs.stop()


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for a condition. Raises TimeoutError if it does not come true."""
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end_s:
            raise TimeoutError(f"not within {PATIENCE_S:g} s")
        time.sleep(0.02)


# ---- the figures


def measure(names: Sequence[str], seconds: float, rounds: int) -> None:
    """Measure delay and cost, and print them.

    Args:
        names: Kinds of outputs.
        seconds: Length of a block.
        rounds: Blocks of each sort.
    """
    with ExitStack() as cleanup:
        folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory()))
        urls: dict[str, str] = {}
        peers: dict[str, Peer] = {}
        for name in names:
            try:
                urls[name], where = cleanup.enter_context(SINKS[name](folder))
                Outputs.of([urls[name]])  # raises where its package is missing
                peers[name] = Peer(name, where)
            except (MissingError, SettingsError) as error:
                urls.pop(name, None)
                print(f"{name} is left out: {error}")
            else:
                cleanup.callback(peers[name].close)
        stalled_url, path = cleanup.enter_context(pipe(folder))
        stalled = os.open(path, os.O_RDWR)  # opened, and never read
        cleanup.callback(os.close, stalled)
        with_stalled = [*urls.values(), stalled_url]
        blocks = {
            "none": ([], 0),
            "all": (list(urls.values()), len(urls)),
            "all and a stalled one": (with_stalled, len(urls)),
        }
        for paced in (True, False):
            published = Published()
            for peer in peers.values():
                peer.received.clear()
            with running(published, paced=paced) as camera:
                wait_until(lambda found=published.at_s: len(found) > 30)  # type: ignore[misc]
                rates: dict[str, list[float]] = {name: [] for name in blocks}
                for _ in range(rounds):
                    for name, (some, connected) in blocks.items():
                        rates[name].append(frames_per_second(camera, published, some, connected, seconds))
            print_rates("at 30 frames per second" if paced else "as fast as possible", rates)
            if paced:
                time.sleep(0.5)
                print_delays({name: delays_ms(peer.received, published.at_s) for name, peer in peers.items()})


def frames_per_second(
    camera: VideoCamera, published: Published, urls: Sequence[str], connected: int, seconds: float
) -> float:
    """Count the frames analyzed per second while these outputs are sent to."""
    with sending(camera, urls, connected):
        count, start_s = len(published.at_s), time.perf_counter()
        time.sleep(seconds)
        return (len(published.at_s) - count) / (time.perf_counter() - start_s)


def delays_ms(received: Sequence[tuple[int, float]], published_s: dict[int, float]) -> list[float]:
    """Milliseconds from publication to receipt, of each frame; the later receipts of the same frame do not count.

    Args:
        received: (index, seconds since the epoch).
        published_s: Seconds since the epoch, by index.
    """
    first: dict[int, float] = {}
    for index, at_s in received:
        first.setdefault(index, at_s)
    return [1000 * (at_s - published_s[index]) for index, at_s in first.items() if index in published_s]


def print_delays(found: dict[str, list[float]]) -> None:
    """Print a table of the delays."""
    print("\n| output | frames | median, ms | 95 %, ms |\n|---|---|---|---|")
    for name, delays in found.items():
        if len(delays) > 1:
            p95 = statistics.quantiles(delays, n=20)[-1]
            print(f"| {name} | {len(delays)} | {statistics.median(delays):.1f} | {p95:.1f} |")
        else:
            print(f"| {name} | {len(delays)} | – | – |")


def print_rates(pace: str, rates: dict[str, list[float]]) -> None:
    """Print a table of the rates, relative to those without outputs."""
    print(f"\n| outputs, {pace} | frames per second | share of none |\n|---|---|---|")
    none = statistics.median(rates["none"])
    for name, found in rates.items():
        rate = statistics.median(found)
        print(f"| {name} | {rate:.1f} | {rate / none:.1%} |")


# ---- restarts of a broker


def measure_restarts(count: int) -> None:
    """Restart a broker, check what it retains after each restart, and print what is left behind.

    Each restart comes when the connection has lasted a while, as with a broker that is restarted now and then; without
    that, the pauses before new attempts would grow to half a minute.

    Args:
        count: How often.
    """
    published, process, back_s = Published(), psutil.Process(), []
    with Broker() as running_broker, running(published, paced=True) as camera:
        url = f"mqtt://127.0.0.1:{running_broker.port}"
        with sending(camera, [url], 1) as outputs:
            rows = [("before the first restart", usage(process))]
            for number in range(1, count + 1):
                time.sleep(STABLE_S + 0.5)
                running_broker.kill()
                running_broker.start()
                start_s = time.monotonic()
                wait_until(lambda: retained(running_broker.port) == RIGHT)
                back_s.append(time.monotonic() - start_s)
                if number in (max(1, count // 10), max(1, count // 2), count):
                    rows.append((f"after restart {number}", usage(process)))
            status = outputs.status()[0]
        rows.append(("after the output has ended", usage(process)))
    print(f"\n{count} restarts: {status.sent} messages sent, {status.dropped} dropped; after each, the broker had")
    print(f"the right state within {statistics.median(back_s):.1f} s (median), {max(back_s):.1f} s (longest)")
    print("\n| | threads of outputs | descriptors | memory, MB |\n|---|---|---|---|")
    for when, found in rows:
        print(f"| {when} | {' | '.join(map(str, found))} |")


def usage(process: psutil.Process) -> tuple[int, int, int]:
    """Threads of outputs, open files and sockets, and memory in MB."""
    gc.collect()
    release_memory()
    threads = sum(each.name.startswith(("output", "paho")) for each in threading.enumerate())
    return threads, process.num_fds(), round(process.memory_info().rss / 2**20)


RIGHT = {"mien/status": "online", "mien/faces": "3", "mien/source": "demo"}
"""What the broker retains while the demo is analyzed; of the source, its state."""


def retained(port_number: int) -> dict[str, str]:
    """What the broker retains of RIGHT; nothing while it does not answer, or has not got all of it."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    found: dict[str, str] = {}
    complete = threading.Event()

    def note(_client: Client, _data: object, message: Any) -> None:
        text = message.payload.decode()
        found[message.topic] = json.loads(text)["state"] if message.topic == "mien/source" else text
        if len(found) == len(RIGHT):
            complete.set()

    client = Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
    client.on_connect = lambda client, *_: client.subscribe([(topic, 0) for topic in RIGHT])
    client.on_message = note
    try:
        client.connect("127.0.0.1", port_number)
    except OSError:
        return {}
    client.loop_start()
    complete.wait(RETAINED_WITHIN_S)
    client.disconnect()
    client.loop_stop()
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.outputs", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="KIND", help=f"some of {', '.join(SINKS)}; by default all")
    parser.add_argument("--seconds", type=float, default=4, help="length of a block")
    parser.add_argument("--rounds", type=int, default=4, help="blocks of each sort")
    parser.add_argument("--restarts", type=int, default=0, help="restart a broker so many times instead")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in SINKS]:
        parser.error(f"expected some of {', '.join(SINKS)}, found {unknown[0]}")
    if options.restarts:
        measure_restarts(options.restarts)
    else:
        measure(options.names or list(SINKS), options.seconds, options.rounds)


if __name__ == "__main__":
    main()

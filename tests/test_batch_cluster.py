"""`analyze --scheduler` on a Dask cluster of real processes: the results are those of one process."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import main
import mien
from mien.batch import cluster
from mien.batch.cluster_worker import Run, difference
from mien.batch.inputs import Input
from mien.batch.jobs import WORK, Job
from mien.images.codecs import encode_jpeg
from tests.clips import demo_pictures, results, write_video
from tests.media import ROOT
from tests.patience import PATIENCE_S, wait_for

distributed = pytest.importorskip("distributed", reason="distributed is not installed")


@dataclass
class Dask:
    """A scheduler and its workers, each a process of its own, on ports that are free."""

    folder: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *words: str) -> None:
        command = [sys.executable, "-m", "dask", *words, "--host", "127.0.0.1", "--no-dashboard"]
        log = (self.folder / f"{name}.log").open("wb")
        with log:
            self.processes[name] = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    def start_scheduler(self) -> None:
        self.start("scheduler", "scheduler", "--port", "0", "--scheduler-file", str(self.folder / "scheduler.json"))
        wait_for(self._has_address, "the scheduler's file")

    def start_worker(self) -> None:
        name = f"worker-{len(self.processes)}"
        scratch = ["--local-directory", str(self.folder / name)]
        self.start(name, "worker", self.address, "--nthreads", "1", "--no-nanny", "--name", name, *scratch)

    @property
    def address(self) -> str:
        return json.loads((self.folder / "scheduler.json").read_text())["address"]

    def _has_address(self) -> bool:
        """Whether the scheduler's file is complete."""
        try:
            return bool(self.address)
        except (FileNotFoundError, json.JSONDecodeError):
            return False

    def kill(self, name: str) -> None:
        self.processes[name].kill()
        self.processes[name].wait(PATIENCE_S)

    def stop(self) -> None:
        for name in self.processes:
            self.kill(name)


@pytest.fixture(scope="module")
def dask(tmp_path_factory) -> Iterator[Dask]:
    """Two workers."""
    running = Dask(tmp_path_factory.mktemp("dask"))
    try:
        running.start_scheduler()
        for _ in range(2):
            running.start_worker()
        yield running
    finally:
        running.stop()


@pytest.fixture(autouse=True)
def patient(monkeypatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_S", PATIENCE_S)
    monkeypatch.setattr(cluster, "WORKERS_S", PATIENCE_S)


@pytest.fixture(scope="module")
def media(tmp_path_factory) -> Path:
    """A longer video, three short ones, a broken one, and more images than one job takes."""
    folder = tmp_path_factory.mktemp("media")
    pictures = demo_pictures(40)
    write_video(folder / "long.mp4", pictures * 3)
    for number in range(3):
        write_video(folder / f"clip{number}.mp4", pictures[number : number + 20])
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


def names_of_jobs(out: Path) -> list[str]:
    """As jobs.jsonl lists them, a broken video too."""
    return sorted(json.loads(line)["job"] for line in (out / "jobs.jsonl").read_text().splitlines()[1:])


VERSION = mien.__version__
JOBS = sorted(["long", "clip0", "clip1", "clip2", "broken", ".images-00000000", ".images-00000050", "images"])


def assert_unbroken(out: Path, unbroken: dict[str, bytes]) -> None:
    found = results(out)
    assert list(found) == list(unbroken)
    assert [name for name in found if found[name] != unbroken[name]] == []
    assert names_of_jobs(out) == JOBS


def worker_of(client, job: str) -> str | None:
    """The name of the worker that does a job."""
    workers = client.scheduler_info()["workers"]
    busy = [address for address, keys in client.processing().items() if any(key.endswith(job) for key in keys)]
    return next((workers[address]["name"] for address in busy if address in workers), None)


@contextmanager
def meanwhile(act: Callable[[], object]) -> Iterator[None]:
    """Calls `act` in another thread."""
    thread = threading.Thread(target=act)
    thread.start()
    yield
    thread.join(PATIENCE_S)


def test_a_worker_that_is_killed_costs_nothing_and_doubles_nothing(dask, media, unbroken, tmp_path):
    out, killed = tmp_path / "out", []

    def kill() -> None:
        with distributed.Client(dask.address, set_as_default=False) as client:
            name = wait_for(lambda: worker_of(client, "-long"), "the long video on a worker")
            dask.kill(name)
            killed.append(name)

    with meanwhile(kill):
        assert main.main(["analyze", str(media), "--out", str(out), "--scheduler", dask.address]) == 1
    dask.start_worker()
    assert len(killed) == 1
    assert_unbroken(out, unbroken)
    assert not (out / WORK).exists()


def test_a_run_whose_scheduler_is_killed_continues_on_this_computer(media, unbroken, tmp_path, capsys):
    out, words = tmp_path / "out", ["analyze", str(media), "--out", str(tmp_path / "out")]
    dask, listed = Dask(tmp_path), out / "jobs.jsonl"

    def kill() -> None:
        wait_for(lambda: listed.exists() and listed.read_text().count("\n") > 1, "the first job that is done")
        dask.kill("scheduler")

    try:
        dask.start_scheduler()
        dask.start_worker()
        with meanwhile(kill):
            assert main.main([*words, "--scheduler", dask.address]) == 2
    finally:
        dask.stop()
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"mien: --scheduler: the connection to {dask.address} was lost; {cluster.RESUME}"
    first = json.loads((out / "jobs.jsonl").read_text().splitlines()[1])["job"]
    images = sum((media / f"{number:02d}.jpg").stat().st_size for number in range(50))
    assert first == ("long" if (media / "long.mp4").stat().st_size > images else ".images-00000000"), "the largest"
    assert main.main([*words, "--resume", "--jobs", "1"]) == 1
    assert_unbroken(out, unbroken)


def test_urls_are_read_and_written_by_the_workers(dask, media, unbroken, tmp_path):
    out = tmp_path / "out"
    words = ["analyze", media.as_uri(), "--out", out.as_uri(), "--scheduler", dask.address]
    assert main.main(words) == 1
    found = results(out)
    assert list(found) == list(unbroken)
    for name in found:
        if name.endswith(".csv"):
            assert found[name].replace(media.as_uri().encode(), str(media).encode()) == unbroken[name], name
    assert names_of_jobs(out) == JOBS


def test_a_worker_with_another_program_is_refused(dask, media, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(mien, "__version__", "9.9")
    words = ["analyze", str(media / "clip0.mp4"), "--out", str(tmp_path / "out"), "--scheduler", dask.address]
    assert main.main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mien: --scheduler: worker tcp://127.0.0.1:")
    assert line.endswith(f": expected mien 9.9, as here, found {VERSION}")


def described(**changes: object) -> dict[str, object]:
    network = {"sha256": "aa", "runtime": "LiteRT (model.tflite, int8)", "tau": 0.5}
    found: dict[str, object] = {
        "mien": "1.0",
        "network": network,
        "detector": {"name": "haar", "sha256": {"face.xml": "bb"}},
        "packages": {"python": "3.11.7", "numpy": "2.4.6", "keras": "3.15.1"},
        "machine": "x86_64",
    }
    return found | changes


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"machine": "aarch64"}, None),
        ({"packages": {"python": "3.11.8", "numpy": "2.4.6"}}, None),
        ({"mien": "1.1"}, "expected mien 1.0, as here, found 1.1"),
        ({"packages": {"numpy": "2.4.7"}}, "expected package numpy 2.4.6, as here, found 2.4.7"),
        ({"packages": {}}, "expected package numpy 2.4.6, as here, found none"),
        ({"detector": {"name": "haar", "sha256": {}}}, "expected detector file face.xml bb, as here, found none"),
        ({"detector": {"name": "auto", "sha256": {}}}, "expected detector haar, as here, found auto"),
        (
            {"network": {"sha256": "cc", "runtime": "LiteRT (model.tflite, int8)", "tau": 0.5}},
            "expected network sha256 aa, as here, found cc",
        ),
    ],
)
def test_what_differs_between_computers_is_one_line(changes, expected):
    assert difference(described(), described(**changes)) == expected


def test_with_keras_its_version_matters():
    network = {"sha256": "aa", "runtime": "Keras", "tau": 0.5}
    other = described(network=network, packages={"python": "3.11.7", "numpy": "2.4.6", "keras": "3.15.2"})
    assert difference(described(network=network), other) == "expected package keras 3.15.1, as here, found 3.15.2"


def test_an_address_without_a_scheduler_is_one_line(media, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cluster, "CONNECT_S", 0.2)
    with socket.socket() as unused:  # bound but not listening: nothing else takes the port
        unused.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
        words = ["analyze", str(media / "clip0.mp4"), "--out", str(tmp_path / "out"), "--scheduler", address]
        assert main.main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"mien: --scheduler: expected a Dask scheduler at {address}, found none: ")


def test_a_scheduler_without_workers_is_one_line(media, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cluster, "WORKERS_S", 0.1)
    monkeypatch.setattr(cluster, "CHECK_S", 0.05)
    dask = Dask(tmp_path)
    try:
        dask.start_scheduler()
        words = ["analyze", str(media / "clip0.mp4"), "--out", str(tmp_path / "out"), "--scheduler", dask.address]
        assert main.main(words) == 2
    finally:
        dask.stop()
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"mien: --scheduler: expected workers of {dask.address}, found none for 0.1 s; {cluster.RESUME}"


def test_a_folder_that_workers_do_not_share_is_one_line(dask, media, tmp_path, monkeypatch, capsys):
    """They find no such folder."""
    monkeypatch.setattr(cluster, "Run", lambda *parts: Run(*parts[:3], parts[3] / "elsewhere"))
    words = ["analyze", str(media / "clip0.mp4"), "--out", str(tmp_path / "out"), "--scheduler", dask.address]
    assert main.main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "expected a folder that all computers share, but" in line


class KilledFuture:
    """A job that ended each worker that did it."""

    status = "error"

    def exception(self) -> Exception:
        return distributed.KilledWorker("key", None, 3)


@pytest.mark.parametrize(("is_image", "expected"), [(False, ["failed"]), (True, [])])
def test_a_video_that_ends_each_worker_fails_alone(is_image, expected):
    job = Job("a", (Input(Path("a.mp4"), "a.mp4", "a", is_image),))
    done, name = cluster._Cluster(None, "tcp://127.0.0.1:1")._result(KilledFuture(), job)
    assert [each.status for each in done] == expected
    assert name is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--scheduler", "localhost"], "--scheduler: expected tcp://HOST:PORT or tls://HOST:PORT, found 'localhost'"),
        (["--scheduler", "tcp://[::1]:1", "--jobs", "2"], "--jobs: expected no number of processes with --scheduler"),
    ],
)
def test_mistakes_are_one_line_and_status_2(capsys, words, message):
    assert main.main(["analyze", "a.mp4", "--out", "x", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"mien: {message}")


def test_without_the_package_it_is_one_line(media, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    words = ["analyze", str(media / "clip0.mp4"), "--out", str(tmp_path / "out"), "--scheduler", "tcp://127.0.0.1:1"]
    assert main.main(words) == 2
    expected = "mien: --scheduler: expected the package distributed, found none; "
    assert capsys.readouterr().err.splitlines() == [expected + "pip install -r requirements-dask.txt installs it"]

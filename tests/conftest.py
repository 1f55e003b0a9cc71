"""Fixtures that several test files share: a fake camera, real servers, streams, a browser."""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import request

import camera as door
import web.server
from mien.recording import csv_log, video
from mien.sources import network
from tests.camera_rig import Rig
from tests.chromium import Lender, missing
from tests.patience import PATIENCE_S, scaled
from tests.thread_order import let_others_go_first, let_threads_begin_late
from tests.web_fakes import FakeCamera, StreamClient, free_port, resize
from web import AppOptions, create_app
from web.server import Server

REPLACED = "browser replaced"
"""Property of a test in whose time a browser was replaced."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--fuzz 2000`: how many generated cases are tried."""
    parser.addoption(
        "--fuzz",
        type=int,
        default=150,
        help="cases in tests/test_fuzz.py, frames in tests/test_privacy.py",
    )
    parser.addoption(
        "--switch-interval",
        type=float,
        default=sys.getswitchinterval(),
        help="seconds between two switches of threads; 1e-6 finds what depends on their order",
    )
    parser.addoption(
        "--others-first", type=float, metavar="SECONDS", help="pause of the main thread when it has woken another one"
    )
    parser.addoption(
        "--threads-late", type=float, metavar="SECONDS", help="how long each new thread waits before it does anything"
    )


def pytest_configure(config: pytest.Config) -> None:
    sys.setswitchinterval(config.getoption("--switch-interval"))
    if config.getoption("--others-first"):
        let_others_go_first(config.getoption("--others-first"))
    if config.getoption("--threads-late"):
        let_threads_begin_late(config.getoption("--threads-late"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print one line with the number of skipped tests and the reasons, and one for each browser that was replaced."""
    reports = [report for listed in terminalreporter.stats.values() for report in listed]
    notes = {(report.nodeid, *each) for report in reports for each in getattr(report, "user_properties", ())}
    for test, _, text in sorted(each for each in notes if each[1] == REPLACED):
        terminalreporter.ensure_newline()
        terminalreporter.write_line(f"{test}: the browser was replaced {text}", yellow=True)
    skipped = terminalreporter.stats.get("skipped", [])
    if not skipped:
        return
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    terminalreporter.ensure_newline()
    listed = "; ".join(f"{count} because {reason}" for reason, count in reasons.most_common())
    terminalreporter.write_line(f"{len(skipped)} of the tests were skipped: {listed}")


@pytest.hookimpl(tryfirst=True)  # before all fixtures
def pytest_runtest_setup() -> None:
    """Let networks begin with the same weights whatever tests came before: Keras takes their seeds from `random`."""
    random.seed(0)


@pytest.fixture
def fuzz(request: pytest.FixtureRequest) -> int:
    """Number of cases to try."""
    return request.config.getoption("--fuzz")


@pytest.fixture(autouse=True)
def patient_program() -> Iterator[None]:
    """Scale the program's timeouts, so that on a busy machine they fire only in tests about them.

    Files may take as long to finish as a test waits for anything: it reads them next.
    """
    with pytest.MonkeyPatch.context() as patch:  # not that of the test, which may undo its own changes
        for name in ("SOCKET_TIMEOUT_S", "REQUEST_GRACE_S", "STOP_S"):
            patch.setattr(web.server, name, scaled(getattr(web.server, name)))
        patch.setattr(network, "URL_TIMEOUT_S", scaled(network.URL_TIMEOUT_S))
        patch.setattr(door, "STOP_WITHIN_S", PATIENCE_S)
        for module in (csv_log, video):
            patch.setattr(module, "CLOSE_WITHIN_S", PATIENCE_S)
        yield


@pytest.fixture
def fake_camera() -> Iterator[FakeCamera]:
    camera = FakeCamera()
    yield camera
    camera.close()


@pytest.fixture
def rig() -> Iterator[Callable[..., Rig]]:
    """Real cameras with all dependencies replaced by fakes: rig(source, ..., idle_after_s=...)."""
    rigs: list[Rig] = []

    def make(*opened, **options) -> Rig:
        rigs.append(Rig(*opened, **options))
        return rigs[-1]

    yield make
    for each in rigs:
        for source in each.sources:
            source.unblock()
        each.camera.stop()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start real servers on free ports: serve(camera, max_streams=..., port=...)."""
    servers: list[Server] = []
    cameras: list[FakeCamera] = []

    def start(
        camera: FakeCamera,
        port: int | None = None,
        answers: dict[str, Callable[[], Any]] | None = None,
        **options: Any,
    ) -> Server:
        """port: by default one that no other test has used, as browsers keep what a page has stored at its address.

        answers: by path, a function whose result replaces the app's answer; None keeps the app's.
        """
        cameras.append(camera)
        app = create_app(camera, AppOptions(**options))
        app.before_request(lambda: answers[request.path]() if answers and request.path in answers else None)
        server = Server(app, port=free_port() if port is None else port)
        server.start()
        servers.append(server)
        return server

    yield start
    for camera in cameras:
        camera.close()  # first, as in the program: open streams end at once
    for server in servers:
        server.stop()


@pytest.fixture
def watch() -> Iterator[Callable[..., StreamClient]]:
    """Open picture streams: watch(server)."""
    clients = []

    def start(server: Server, **options: int) -> StreamClient:
        clients.append(StreamClient(server.port, **options))
        return clients[-1]

    yield start
    for client in clients:
        client.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Lender]:
    """One headless Chromium for all browser tests; they are skipped without one."""
    yield from lender()


@pytest.fixture(scope="session")
def camera_file(tmp_path_factory) -> Path:
    """The video that the camera of `with_camera` plays; tests.browser_camera.film writes it."""
    return tmp_path_factory.mktemp("camera") / "camera.mjpeg"


@pytest.fixture(scope="session")
def camera_chromium(camera_file) -> Iterator[Lender]:
    """A second Chromium, with a camera."""
    yield from lender("--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={camera_file}")


def lender(*options: str) -> Iterator[Lender]:
    pytest.importorskip("selenium", reason="selenium is not installed")
    if reason := missing():
        pytest.skip(reason)
    with closing(Lender(*options)) as browsers:
        yield browsers


@pytest.fixture
def browser(chromium, request) -> Iterator[Any]:
    """The browser in its initial state: 1280x800, light theme, empty log."""

    def prepare(each: Any) -> None:
        resize(each, 1280, 800)
        each.get_log("browser")

    with chromium.lend(prepare, partial(note_replacement, request.node)) as lent:
        yield lent


@pytest.fixture
def with_camera(camera_chromium, request) -> Iterator[Any]:
    """The browser with a camera; tests.browser_camera.set_permission grants or denies it to a page."""
    prepare = partial(resize, width=1280, height=800)
    with camera_chromium.lend(prepare, partial(note_replacement, request.node)) as lent:
        yield lent


def note_replacement(test: pytest.Item, text: str) -> None:
    """Have the summary say that a browser was replaced: that may be a fault of the page."""
    test.user_properties.append((REPLACED, text))

"""The threads of the web server where the system is short of threads or descriptors."""

from __future__ import annotations

import errno
import logging
import threading
import time

import pytest
from cheroot.workers.threadpool import WorkerThread

from mien.errors import ServerError
from tests.patience import wait_for
from tests.web_fakes import FakeCamera, StreamClient
from web import workers
from web.workers import FIRST_WORKERS, Shortage


def count() -> int:
    return sum(thread.name.startswith("CP Server") for thread in threading.enumerate())


def test_workers_are_started_as_they_are_needed(serve) -> None:
    before, camera = count(), FakeCamera()
    camera.publish()
    server = serve(camera)
    assert count() - before == FIRST_WORKERS
    viewers = [StreamClient(server.port) for _ in range(3 * FIRST_WORKERS)]
    assert all(viewer.part() for viewer in viewers)
    assert count() - before >= 3 * FIRST_WORKERS
    for viewer in viewers:
        viewer.close()


def test_workers_that_are_not_needed_end_and_others_are_started_when_they_are(serve, monkeypatch) -> None:
    monkeypatch.setattr(workers, "KEEP_S", 0.01)
    before, camera = count(), FakeCamera()
    camera.publish()
    server = serve(camera)
    for _ in range(2):
        viewers = [StreamClient(server.port) for _ in range(3 * FIRST_WORKERS)]
        assert all(viewer.part() for viewer in viewers)
        assert count() - before >= 3 * FIRST_WORKERS
        for viewer in viewers:
            viewer.close()
        wait_for(lambda: (camera.publish(), count() - before <= FIRST_WORKERS)[1], "workers that are not needed end")
        assert count() - before == FIRST_WORKERS
    pool = server._cheroot
    assert len(pool.stats["Worker Threads"]) == FIRST_WORKERS, "ended workers are kept in the statistics"


def refuse_threads(monkeypatch, after: int) -> list[int]:
    """Let the system refuse all workers beyond this many; returns the list of refusals."""
    start, started, refused = WorkerThread.start, [], []

    def limited(worker) -> None:
        if len(started) >= after:
            refused.append(1)
            raise RuntimeError("can't start new thread")
        started.append(worker)
        start(worker)

    monkeypatch.setattr(WorkerThread, "start", limited)
    return refused


def test_with_few_threads_allowed_requests_share_them(serve, monkeypatch, caplog) -> None:
    refused = refuse_threads(monkeypatch, after=3)
    camera = FakeCamera()
    camera.publish()
    server = serve(camera)
    viewers = [StreamClient(server.port) for _ in range(2)]
    assert all(viewer.part() for viewer in viewers)
    assert len(refused) > 1
    assert caplog.text.count("the system allows no more threads") == 1
    for viewer in viewers:
        viewer.close()


def test_without_any_thread_the_start_fails_with_one_line(serve, monkeypatch) -> None:
    refuse_threads(monkeypatch, after=0)
    with pytest.raises(ServerError, match="found no room for one"):
        serve(FakeCamera())


def test_without_free_descriptors_connections_wait_and_the_log_says_so_once(serve, monkeypatch, caplog) -> None:
    caplog.set_level(logging.INFO)
    camera = FakeCamera()
    camera.publish()
    server = serve(camera)
    tries: list[float] = []
    real = server._cheroot._connections._from_server_socket

    def accept(socket):
        if len(tries) < 5:
            tries.append(time.monotonic())
            raise OSError(errno.EMFILE, "Too many open files")
        return real(socket)

    monkeypatch.setattr(server._cheroot._connections, "_from_server_socket", accept)
    viewer = StreamClient(server.port)
    assert viewer.part(), "once there are descriptors again, it is accepted"
    viewer.close()
    wait_for(lambda: len(tries) == 5)
    assert tries[-1] - tries[0] >= 4 * workers.BACK_OFF_S, "no loop at full speed"
    assert caplog.text.count("Too many open files") == 1


@pytest.mark.parametrize("error", [None, ValueError(), OSError(errno.ECONNRESET, "reset")])
def test_other_errors_are_no_shortage(error, caplog) -> None:
    assert not Shortage().notice(error)
    assert not caplog.text

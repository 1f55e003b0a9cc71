"""Which job of the queue runs when, by a process that a test plays."""

from __future__ import annotations

import io
import multiprocessing
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

import pytest

import mien.queue.scheduler
from mien.errors import JobMissingError, JobStateError, LoadingError, MienError, StorageError
from mien.queue import service
from mien.queue.child import Child
from mien.queue.service import FileQueue
from mien.queue.storage import Storage
from mien.settings import AnalysisSettings
from mien.types import EXPRESSIONS
from tests.fakes import FakeChild
from tests.patience import PATIENCE_S, wait_for
from tests.web_fakes import FakeCamera
from web import AppOptions, create_app

GROUP = "g" * 22
VIDEO = b"\0\0\0\x18ftypisom\0\0\0\0mp42isom" + bytes(400)


@pytest.fixture
def queue(monkeypatch, tmp_path):
    monkeypatch.setattr(mien.queue.scheduler, "Child", FakeChild)
    monkeypatch.setattr(FakeChild, "started", [])
    queue = FileQueue(AnalysisSettings, storage=Storage(tmp_path))
    yield queue
    queue.close()


def add(queue: FileQueue, name: str, group: str | None = GROUP) -> str:
    job = queue.create(name, len(VIDEO), group)
    queue.write(job.id, 0, io.BytesIO(VIDEO), len(VIDEO))
    return job.id


def states(queue: FileQueue) -> list[str]:
    return [job.state for job in queue.find(group=GROUP)]


def test_nothing_is_stored_or_started_before_the_first_job(queue, tmp_path) -> None:
    assert queue.find(group=GROUP) == []
    queue.tidy(0.0)
    assert list(tmp_path.iterdir()) == []
    assert FakeChild.started == []


def test_jobs_are_analyzed_one_after_the_other_in_their_order(queue) -> None:
    first, second = add(queue, "a.mp4"), add(queue, "b.mp4")
    (child,) = FakeChild.started
    assert states(queue) == ["analyzing", "waiting"]
    child.receive("started", first)
    child.receive("progress", first, 25, 0.5)
    job = queue.get(first)
    assert (job.frames, job.progress) == (25, 0.5)
    assert job.frames_per_second > 0
    assert job.seconds_left is not None
    child.finish(first)
    assert states(queue) == ["done", "analyzing"]
    child.finish(second)
    assert states(queue) == ["done", "done"]
    assert child.orders == ["a.mp4", "b.mp4"]
    assert len(FakeChild.started) == 1


def test_a_failed_job_does_not_stop_the_queue(queue) -> None:
    first, second = add(queue, "a.mp4"), add(queue, "b.mp4")
    FakeChild.started[0].receive("failed", first, "it has no picture")
    assert queue.get(first).reason == "it has no picture"
    assert states(queue) == ["failed", "analyzing"]
    assert queue.get(second).state == "analyzing"


def test_while_a_job_is_paused_the_next_one_is_analyzed(queue) -> None:
    first, second = add(queue, "a.mp4"), add(queue, "b.mp4")
    (child,) = FakeChild.started
    child.receive("started", first)
    child.receive("progress", first, 25, 0.5)
    assert queue.pause(first).state == "paused"
    assert child.kinds() == ["analyze", "pause"]
    assert states(queue) == ["paused", "waiting"], "until it has come to the next frame"
    child.receive("paused", first)
    assert states(queue) == ["paused", "analyzing"]
    assert queue.resume(first).state == "waiting"
    assert queue.get(first).progress == 0.5
    child.finish(second)
    assert states(queue) == ["analyzing", "done"]
    assert child.sent[-1] == ("resume", first)
    assert child.orders == ["a.mp4", "b.mp4"]


def test_a_job_that_is_resumed_before_it_has_paused_goes_on(queue) -> None:
    first, _ = add(queue, "a.mp4"), add(queue, "b.mp4")
    (child,) = FakeChild.started
    queue.pause(first)
    assert queue.resume(first).state == "analyzing"
    child.receive("paused", first)
    assert states(queue) == ["analyzing", "waiting"]
    assert child.kinds() == ["analyze", "pause", "resume"]


def pause_midway(queue: FileQueue, numbers: list[str]) -> FakeChild:
    child = FakeChild.started[-1]
    for number in numbers:
        child.receive("started", number)
        child.receive("progress", number, 25, 0.5)
        queue.pause(number)
        child.receive("paused", number)
    return child


def test_of_many_jobs_paused_midway_the_oldest_is_given_up_and_others_are_analyzed(queue) -> None:
    numbers = [add(queue, f"{n}.mp4") for n in range(6)]
    child = pause_midway(queue, numbers[:4])
    assert states(queue) == ["paused"] * 4 + ["analyzing", "waiting"]
    assert "cancel" not in child.kinds()
    pause_midway(queue, numbers[4:5])
    assert states(queue) == ["paused"] * 5 + ["analyzing"]
    assert [message for message in child.sent if message[0] == "cancel"] == [("cancel", numbers[0])]
    assert [queue.get(number).progress for number in numbers[:2]] == [0.0, 0.5]


@pytest.mark.parametrize("resumed_first", [False, True])
def test_a_job_that_was_given_up_starts_from_its_beginning_once_the_process_has_ended_it(queue, resumed_first) -> None:
    numbers = [add(queue, f"{n}.mp4") for n in range(6)]
    child = pause_midway(queue, numbers[:5])
    unfinished = child.sent[0][1].files.unfinished
    unfinished.mkdir()
    if resumed_first:
        queue.resume(numbers[0])
        child.finish(numbers[5])
        assert queue.get(numbers[0]).state == "waiting", "the process still has its files open"
        child.receive("canceled", numbers[0])
    else:
        child.receive("canceled", numbers[0])
        assert queue.get(numbers[0]).state == "paused"
        queue.resume(numbers[0])
        child.finish(numbers[5])
    assert not unfinished.exists()
    assert states(queue) == ["analyzing", *["paused"] * 4, "done"]
    assert child.orders[-1] == "0.mp4"
    child.finish(numbers[0])
    assert queue.get(numbers[0]).state == "done"


def test_a_job_that_is_canceled_after_it_was_given_up_leaves_nothing(queue) -> None:
    numbers = [add(queue, f"{n}.mp4") for n in range(6)]
    child = pause_midway(queue, numbers[:5])
    folder = child.sent[0][1].files.folder
    queue.delete(numbers[0])
    assert folder.exists()
    child.receive("canceled", numbers[0])
    assert not folder.exists()
    assert states(queue) == [*["paused"] * 4, "analyzing"]


def test_when_the_process_dies_a_job_that_was_given_up_can_start_again(queue) -> None:
    numbers = [add(queue, f"{n}.mp4") for n in range(6)]
    pause_midway(queue, numbers[:5]).die()
    queue.resume(numbers[0])
    FakeChild.started[-1].finish(numbers[5])
    assert FakeChild.started[-1].orders == ["5.mp4", "0.mp4"]


def test_when_jobs_paused_midway_are_canceled_the_others_are_analyzed(queue) -> None:
    numbers = [add(queue, f"{n}.mp4") for n in range(6)]
    child = pause_midway(queue, numbers[:4])
    for number in numbers[:4]:
        queue.delete(number)
        child.receive("canceled", number)
    queue.tidy(time.monotonic())
    assert states(queue) == ["analyzing", "waiting"]


@pytest.mark.parametrize("state", ["uploading", "done", "paused"])
def test_only_a_job_that_waits_or_runs_can_be_paused(queue, state: str) -> None:
    number = queue.create("a.mp4", 100).id if state == "uploading" else add(queue, "a.mp4")
    if state == "done":
        FakeChild.started[0].finish(number)
    if state == "paused":
        queue.pause(number)
    with pytest.raises(JobStateError, match=f"found one that is {state}"):
        queue.pause(number)


def test_only_a_paused_job_can_be_resumed(queue) -> None:
    with pytest.raises(JobStateError, match="expected a paused job, found one that is analyzing"):
        queue.resume(add(queue, "a.mp4"))


def test_a_group_is_paused_with_the_jobs_that_are_uploading_and_resumed(queue) -> None:
    first, second = add(queue, "a.mp4"), add(queue, "b.mp4")
    other = add(queue, "other.mp4", group=None)
    third = queue.create("c.mp4", len(VIDEO), GROUP).id
    assert [job.id for job in queue.pause_group(GROUP)] == [first, second, third]
    assert states(queue) == ["paused", "paused", "uploading"]
    FakeChild.started[0].receive("paused", first)
    assert queue.get(other).state == "analyzing", "a job of somebody else"
    queue.write(third, 0, io.BytesIO(VIDEO), len(VIDEO))
    assert states(queue) == ["paused"] * 3
    queue.resume_group(GROUP)
    assert states(queue) == ["waiting"] * 3


def test_a_canceled_job_keeps_its_files_until_the_process_has_ended_it(queue) -> None:
    first, second = add(queue, "a.mp4"), add(queue, "b.mp4")
    (child,) = FakeChild.started
    folder = child.sent[0][1].files.folder
    queue.delete(first)
    with pytest.raises(JobMissingError):
        queue.get(first)
    assert child.sent[-1] == ("cancel", first)
    assert folder.exists()
    assert queue.get(second).state == "waiting"
    child.receive("canceled", first)
    assert not folder.exists()
    assert queue.get(second).state == "analyzing"


def test_a_group_is_deleted_without_the_jobs_of_others(queue) -> None:
    numbers = [add(queue, "a.mp4"), add(queue, "b.mp4")]
    other = add(queue, "c.mp4", group=None)
    queue.delete_group(GROUP)
    assert queue.find(numbers) == []
    FakeChild.started[0].receive("canceled", numbers[0])
    assert queue.get(other).state == "analyzing"


def test_when_the_process_dies_its_job_fails_and_a_new_process_goes_on(queue) -> None:
    first, second, third = (add(queue, f"{name}.mp4") for name in "abc")
    (child,) = FakeChild.started
    child.receive("started", first)
    child.receive("progress", first, 25, 0.5)
    queue.pause(first)
    child.receive("paused", first)
    child.receive("started", second)
    child.die("SIGSEGV")
    assert queue.get(second).reason == "the process that analyzed it ended unexpectedly: SIGSEGV"
    assert states(queue) == ["paused", "failed", "analyzing"]
    assert queue.get(first).progress == 0, "it begins again"
    _, new = FakeChild.started
    assert new.orders == ["c.mp4"]
    queue.resume(first)
    new.finish(third)
    assert new.orders == ["c.mp4", "a.mp4"]


def test_a_process_that_dies_before_it_begins_is_replaced_once(queue) -> None:
    number = add(queue, "a.mp4")
    FakeChild.started[0].die("exit status 1")
    assert queue.get(number).state == "analyzing"
    FakeChild.started[1].die("exit status 1")
    job = queue.get(number)
    assert (job.state, job.reason) == ("failed", "the process that analyzed it ended unexpectedly: exit status 1")
    assert len(FakeChild.started) == 2


def test_an_old_process_that_ends_late_changes_nothing(queue) -> None:
    number = add(queue, "a.mp4")
    old = FakeChild.started[0]
    old.die()
    old.die()
    assert queue.get(number).state == "analyzing"
    assert len(FakeChild.started) == 2


SHORTAGES = [
    (OSError(12, "Cannot allocate memory"), "Cannot allocate memory"),
    (RuntimeError("can't start new thread"), "can't start new thread"),
]


def refuse_with(error: Exception):
    def refuse(*_):
        raise error

    return refuse


@pytest.mark.parametrize(("error", "says"), SHORTAGES)
def test_a_process_that_cannot_be_started_fails_its_job_and_the_next_one_is_analyzed(
    queue, monkeypatch, error, says
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(mien.queue.scheduler, "Child", refuse_with(error))
        number = add(queue, "a.mp4")
    assert queue.get(number).reason == f"no process can be started: {says}"
    add(queue, "b.mp4")
    assert states(queue) == ["failed", "analyzing"]


@pytest.mark.parametrize(("error", "says"), SHORTAGES)
def test_a_report_for_which_no_process_can_be_started_says_so_and_can_be_asked_for_again(
    queue, monkeypatch, error, says
) -> None:
    number = add(queue, "a.mp4")
    FakeChild.started[0].finish(number)
    queue.tidy(time.monotonic() + 61)  # ends the process, as it is idle
    with monkeypatch.context() as patched:
        patched.setattr(mien.queue.scheduler, "Child", refuse_with(error))
        with pytest.raises(MienError, match=f"no process can be started: {says}"):
            queue.report(number)
    monkeypatch.setattr(service, "REPORT_S", 0)
    with pytest.raises(LoadingError):
        queue.report(number)
    assert FakeChild.started[1].kinds() == ["report"]


def test_a_process_whose_messages_nobody_could_read_is_not_left_behind(monkeypatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", refuse_with(RuntimeError("can't start new thread")))
    with pytest.raises(RuntimeError):
        Child(print, print, target=Connection.recv)
    assert [child.name for child in multiprocessing.active_children() if child.name == "mien jobs"] == []


class EndsTheProcess:
    """A message during whose sending the process ends; `lost` is given time to be called too early."""

    def __init__(self, child: Child, lost: threading.Event) -> None:
        self._child, self._lost = child, lost

    def __reduce__(self):
        self._child.kill()
        assert not self._lost.wait(0.5)
        return str, ()


def test_the_connection_to_a_process_that_ends_is_not_closed_while_something_is_sent() -> None:
    lost = threading.Event()
    child = Child(print, lambda *_: lost.set(), target=Connection.recv)
    child.send(EndsTheProcess(child, lost))
    assert lost.wait(PATIENCE_S)
    child.send("nobody hears this")
    child.end()


def test_the_jobs_are_looked_after_again_after_a_fault(queue, monkeypatch, caplog) -> None:
    monkeypatch.setattr(service, "TICK_S", 0.01)
    times = []

    def tidy(now_s: float) -> None:
        times.append(now_s)
        raise ValueError("odd")

    monkeypatch.setattr(queue, "tidy", tidy)
    queue.create("a.mp4", len(VIDEO), GROUP)
    wait_for(lambda: len(times) > 1)
    assert "the jobs cannot be looked after" in caplog.text


def test_a_job_is_taken_without_a_thread_that_looks_after_it_and_the_next_one_tries_again(queue, monkeypatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse_with(RuntimeError("can't start new thread")))
        add(queue, "a.mp4")
    assert states(queue) == ["analyzing"]
    looked = threading.Event()
    monkeypatch.setattr(service, "TICK_S", 0.01)
    monkeypatch.setattr(queue, "tidy", lambda now_s: looked.set())
    add(queue, "b.mp4")
    wait_for(looked.is_set)


def test_a_process_that_does_not_end_a_canceled_job_is_killed(queue) -> None:
    number = add(queue, "a.mp4")
    waiting = add(queue, "b.mp4")
    (child,) = FakeChild.started
    queue.delete(number)
    queue.tidy(time.monotonic())
    assert not child.killed
    queue.tidy(time.monotonic() + 31)
    assert child.killed
    child.die("SIGKILL")
    assert queue.get(waiting).state == "analyzing"
    assert FakeChild.started[1].orders == ["b.mp4"]


def test_an_idle_process_is_ended_and_another_one_started_when_needed(queue) -> None:
    number = add(queue, "a.mp4")
    (child,) = FakeChild.started
    queue.tidy(time.monotonic() + 61)
    assert "end" not in child.kinds(), "it works"
    child.finish(number)
    queue.tidy(time.monotonic() + 20)
    assert "end" not in child.kinds()
    queue.tidy(time.monotonic() + 61)
    assert child.kinds()[-1] == "end"
    child.die("exit status 0")
    add(queue, "b.mp4")
    assert FakeChild.started[1].orders == ["b.mp4"]


def test_a_job_that_nobody_asks_for_is_forgotten_after_an_hour(queue, tmp_path) -> None:
    number = add(queue, "a.mp4")
    FakeChild.started[0].finish(number)
    queue.tidy(time.monotonic() + service.UNUSED_S - 60)
    assert queue.get(number).state == "done"
    queue.tidy(time.monotonic() + service.UNUSED_S + 1)
    with pytest.raises(JobMissingError):
        queue.get(number)
    assert [path.name for path in tmp_path.glob("*/*")] == ["lock"]


def test_a_report_is_drawn_once_and_a_failure_is_not_kept(queue, monkeypatch) -> None:
    number = add(queue, "a.mp4")
    (child,) = FakeChild.started
    child.finish(number)
    monkeypatch.setattr(service, "REPORT_S", 0)
    with pytest.raises(LoadingError):
        queue.report(number)
    with pytest.raises(LoadingError):
        queue.report(number)
    assert child.kinds().count("report") == 1
    child.receive("report", number, False, "expected the package matplotlib, found none")
    files = child.sent[0][1].files
    monkeypatch.setattr(child, "send", lambda *message: child.receive("report", number, False, "no space"))
    with pytest.raises(MienError, match="no space"):
        queue.report(number)

    def draw(*message):
        files.report(pictures=False).write_text("drawn")
        child.receive("report", number, False, None)

    monkeypatch.setattr(child, "send", draw)
    assert queue.report(number).read_text() == "drawn"
    monkeypatch.setattr(child, "send", lambda *message: pytest.fail("drawn again"))
    assert queue.report(number).read_text() == "drawn"


def test_a_job_fails_when_the_disk_gets_full_and_the_next_one_runs_when_there_is_space(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(mien.queue.scheduler, "Child", FakeChild)
    monkeypatch.setattr(FakeChild, "started", [])
    free = [10**9]
    queue = FileQueue(AnalysisSettings, storage=Storage(tmp_path, 10**6, lambda folder: free[0]))
    first, _ = add(queue, "a.mp4"), add(queue, "b.mp4")
    (child,) = FakeChild.started
    queue.tidy(time.monotonic())
    assert states(queue) == ["analyzing", "waiting"]
    free[0] = 999_999
    queue.tidy(time.monotonic())
    queue.tidy(time.monotonic())
    assert states(queue) == ["failed", "waiting"], "the process still has the files of the first one open"
    assert "1 MB to spare" in queue.get(first).reason
    assert child.kinds() == ["analyze", "cancel"]
    free[0] = 10**9
    child.receive("canceled", first)
    assert states(queue) == ["failed", "analyzing"]
    queue.close()


def test_nobody_waits_for_a_report_with_faces_after_privacy_mode_was_switched_on(queue) -> None:
    number = add(queue, "a.mp4")
    FakeChild.started[0].receive("done", number, {"frames": 1}, [1], None)
    with queue._board.lock:
        drawn = queue._scheduler.draw_report(queue._board.jobs[number], pictures=True)
        queue._scheduler.forget_pictures()
    with pytest.raises(LoadingError):
        drawn.result(0)


def test_a_piece_that_arrives_after_the_end_creates_no_folder(queue, tmp_path) -> None:
    number = queue.create("a.mp4", len(VIDEO), GROUP).id
    queue.close()
    with pytest.raises(StorageError, match="one that is stopping"):
        queue.write(number, 0, io.BytesIO(VIDEO), len(VIDEO))
    assert list(tmp_path.iterdir()) == []


def test_closing_kills_the_process_and_leaves_nothing(queue, tmp_path) -> None:
    number = add(queue, "a.mp4")
    queue.close()
    assert FakeChild.started[0].killed
    assert list(tmp_path.iterdir()) == []
    assert queue.wait(0, 60) == -1
    with pytest.raises(MienError):
        queue.create("b.mp4", 5)
    assert queue.get(number).state == "analyzing"
    queue.close()


class StuckChild(FakeChild):
    """A process that takes nothing any more after its first message."""

    def __init__(self, *functions: Any) -> None:
        super().__init__(*functions)
        self.stuck, self.ended = threading.Event(), threading.Event()

    def send(self, *message: Any) -> None:
        if self.sent:
            self.stuck.set()
            self.ended.wait()
        super().send(*message)

    def kill(self) -> None:
        super().kill()
        self.ended.set()


def test_closing_does_not_wait_for_a_process_that_takes_no_message(queue, monkeypatch) -> None:
    monkeypatch.setattr(mien.queue.scheduler, "Child", StuckChild)
    number = add(queue, "a.mp4")
    (child,) = FakeChild.started
    threading.Thread(target=queue.pause, args=(number,), daemon=True).start()
    assert child.stuck.wait(PATIENCE_S)
    closing = threading.Thread(target=queue.close, daemon=True)
    closing.start()
    closing.join(PATIENCE_S)
    has_closed = not closing.is_alive()
    child.ended.set()  # else the end of this test would wait, too
    assert has_closed


def test_the_end_of_the_process_is_no_fault_of_its_job_once_the_queue_is_closed(queue, caplog) -> None:
    add(queue, "a.mp4")
    (child,) = FakeChild.started
    child.receive("started", child.sent[0][1].id)
    child.kill = child.die  # its end is noticed before anything else happens
    queue.close()
    assert not caplog.messages


def test_what_is_asked_for_after_the_end_starts_no_other_process(queue) -> None:
    first, second = add(queue, "a.mp4"), add(queue, "b.mp4")
    queue.close()
    queue.pause(first)
    queue.resume(first)
    queue.delete(first)
    queue.delete(second)
    queue.tidy(time.monotonic())
    assert len(FakeChild.started) == 1


def test_the_picture_of_a_face_has_its_path_also_behind_a_proxy(queue) -> None:
    number = add(queue, "a.mp4")
    (child,) = FakeChild.started
    face = {"id": 1, "label": "happy", "confidence": 0.9, "unsure": False, "quality": None, "seconds": None}
    face["probabilities"] = dict.fromkeys(EXPRESSIONS, 0.1)
    result = {"width": 9, "height": 9, "duration_s": None, "frames": 1, "frames_with_face": 1, "faces": [face]}
    child.receive("done", number, result, [1], None)
    client = create_app(FakeCamera(), AppOptions(jobs=queue)).test_client()
    headers = {"X-Forwarded-Prefix": "/mien"}
    path = f"/mien/api/jobs/{number}/thumbnails/1"
    assert client.get(f"/api/jobs/{number}", headers=headers).json["result"]["faces"][0]["thumbnail"] == path
    with client.get(f"/api/jobs/{number}/events", headers=headers) as answer:
        assert next(block for block in answer.response if path.encode() in block)
    assert client.get(f"/api/jobs/{number}").json["result"]["faces"][0]["thumbnail"] == path.removeprefix("/mien")

"""How the process that analyzes takes turns, and its priority."""

from __future__ import annotations

import ctypes
import queue
import sys
import threading
from types import SimpleNamespace

from mien.queue import worker
from mien.queue.files import JobFiles
from mien.queue.jobs import Order
from mien.queue.worker import Analyst
from mien.settings import AnalysisSettings
from tests.patience import PATIENCE_S


class Sent:
    """The connection to the queue, with what was sent to it."""

    def __init__(self) -> None:
        self.messages: queue.Queue[tuple] = queue.Queue()
        self.send = self.messages.put

    def next(self) -> tuple:
        return self.messages.get(timeout=PATIENCE_S)


def test_a_job_that_is_paused_before_its_turn_says_so(tmp_path) -> None:
    sent = Sent()
    order = Order("a", "a.mp4", JobFiles(tmp_path), AnalysisSettings(), pictures=False)
    analyst = Analyst(sent)
    with analyst.turn:  # of another job
        analyst.take("analyze", order)
        analyst.take("pause", "a")
    assert sent.next() == ("paused", "a")
    analyst.take("cancel", "a")
    assert sent.next() == ("canceled", "a")
    assert analyst.turn.acquire(blocking=False)


class ClearedAfterwards(threading.Event):
    """Set, and cleared just after somebody has asked whether it is."""

    def __init__(self) -> None:
        super().__init__()
        self.set()

    def is_set(self) -> bool:
        answer = super().is_set()
        self.clear()
        return answer


def test_a_job_that_is_paused_while_it_takes_its_turn_says_so(tmp_path) -> None:
    sent = Sent()
    order = Order("a", "a.mp4", JobFiles(tmp_path), AnalysisSettings(), pictures=False)
    analyst = Analyst(sent)
    task = worker._Task(analyst, order)
    task._goes_on = ClearedAfterwards()
    waiting = threading.Thread(target=task.wait_for_turn)
    waiting.start()
    assert sent.next() == ("paused", "a")
    assert analyst.turn.acquire(timeout=PATIENCE_S), "it does not hold its turn"
    analyst.turn.release()
    task.resume()
    waiting.join(PATIENCE_S)
    assert analyst.turn.locked()


def test_what_tries_to_end_the_process_ends_only_its_job_or_report(tmp_path, monkeypatch) -> None:
    def leave(*_: object) -> None:
        raise SystemExit("leaving")

    monkeypatch.setattr(worker._Task, "run", leave)
    monkeypatch.setattr(worker, "_draw_report", leave)
    monkeypatch.setattr(worker, "check_figures", lambda: None)
    sent = Sent()
    analyst, files = Analyst(sent), JobFiles(tmp_path)
    analyst.take("analyze", Order("a", "a.mp4", files, AnalysisSettings(), pictures=False))
    assert [sent.next(), sent.next()] == [("started", "a"), ("failed", "a", "unexpected SystemExit: leaving")]
    analyst.take("report", "b", files, False)
    assert sent.next() == ("report", "b", False, "leaving")


def test_on_windows_other_processes_come_first(monkeypatch) -> None:
    classes = []

    def set_priority_class(process, value) -> None:
        classes.append((process, value))

    kernel = SimpleNamespace(GetCurrentProcess=Handle(), SetPriorityClass=set_priority_class)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "WinDLL", lambda name: kernel, raising=False)
    monkeypatch.setattr(worker.subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0x4000, raising=False)
    worker._lower_priority()
    assert classes == [(-1, 0x4000)]


class Handle:
    """A function of a Windows library, whose type of result can be set."""

    restype = None

    def __call__(self) -> int:
        return -1

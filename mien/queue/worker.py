"""The process that analyzes: it does what the queue sends, and reports what becomes of it.

Each job has a thread of its own, so that a paused job keeps its decoder and its tracked faces while another one is
analyzed; only one of these threads runs at a time.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import fields
from multiprocessing.connection import Connection
from typing import Any

import cv2

from mien.analysis.pipeline import Pipeline
from mien.batch.analysis import load_pipeline
from mien.batch.figures import check_figures
from mien.batch.inputs import IMAGES, Input, find_inputs
from mien.batch.jobs import FAILURES, Done, Worker, one_line, plan
from mien.batch.options import AnalyzeSettings
from mien.batch.page import REPORT
from mien.batch.report import write_report
from mien.queue.files import JobFiles
from mien.queue.jobs import Order
from mien.queue.outcome import (
    People,
    Pictures,
    StoredThumbnails,
    image_outcome,
    write_image_pictures,
    write_video_pictures,
)
from mien.results import Result
from mien.settings import AnalysisSettings
from mien.types import Analysis, Frame

NICE = 10
"""How far other processes, above all the live picture, come first."""

REPORT_EVERY_S = 0.1
"""Time between two messages about the progress of a job."""

FOLDER = "video"
"""Name of the result of a video, before it is moved."""


class CanceledError(BaseException):
    """Ends the analysis of a job at the next frame; no fault of its file, so no Exception, which would be reported."""


def serve(connection: Connection) -> None:
    """Do what arrives on a connection until it says "end" or the program that started this process has ended.

    Args:
        connection: To the queue.
    """
    threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one decides
    _lower_priority()
    cv2.setNumThreads(max(1, (os.cpu_count() or 1) // 2))
    analyst = Analyst(connection)
    with suppress(EOFError, OSError):
        while (message := connection.recv())[0] != "end":
            analyst.take(*message)
    os._exit(0)  # at once, whatever threads are doing


def _lower_priority() -> None:
    """Let other processes come first; if the system refuses, the analysis works all the same."""
    if sys.platform == "win32":
        import ctypes

        kernel = ctypes.WinDLL("kernel32")
        kernel.GetCurrentProcess.restype = ctypes.c_void_p  # a handle, which is as wide as a pointer
        kernel.SetPriorityClass.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
        kernel.SetPriorityClass(kernel.GetCurrentProcess(), subprocess.BELOW_NORMAL_PRIORITY_CLASS)
    else:
        with suppress(OSError):
            os.nice(NICE)


def _end_with_parent() -> None:
    """A process whose parent was killed would go on, and write where nobody reads."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class Analyst:
    """The jobs in this process.

    Args:
        connection: Where to report.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._tasks: dict[str, _Task] = {}
        self._drawing = threading.Lock()
        self._loaded: tuple[AnalysisSettings, Pipeline, dict[str, Any]] | None = None
        self.turn = threading.Lock()
        """Held by the job that is being analyzed."""

    def take(self, kind: str, *values: Any) -> None:
        """Take a message of the queue.

        Args:
            kind: "analyze", "pause", "resume", "cancel", "forget" (pictures) or "report".
            *values: An order; the id of a job; for a report, its id, its files and whether it shows faces.
        """
        if kind == "analyze":
            (order,) = values
            self._tasks[order.id] = task = _Task(self, order)
            threading.Thread(target=self._run, args=(task,), name="job", daemon=True).start()
        elif kind == "report":
            threading.Thread(target=self._draw, args=values, name="report", daemon=True).start()
        elif (found := self._tasks.get(values[0])) is not None:  # else it has ended in the meantime
            getattr(found, kind)()

    def send(self, *message: Any) -> None:
        """Report something to the queue; which may have ended."""
        with self._sending, suppress(OSError):
            self._connection.send(message)

    def load(self, settings: AnalysisSettings) -> tuple[Pipeline, dict[str, Any]]:
        """Detector and network for these settings, loaded only if they differ from the last ones, and a cache."""
        if self._loaded is None or self._loaded[0] != settings:
            self._loaded = (settings, load_pipeline(settings), {})
        return self._loaded[1:]

    def _run(self, task: _Task) -> None:
        order = task.order
        try:
            task.wait_for_turn()
            self.send("started", order.id)
            message = task.run()
        except CanceledError:
            message = ("canceled",)
        except BaseException as error:  # also faults of the program, and attempts to exit: they end only this job
            known = isinstance(error, (*FAILURES, OSError))
            reason = one_line(error) if known else f"unexpected {type(error).__name__}: {one_line(error)}"
            message = ("failed", _without_path(reason, order))
        finally:
            task.end_turn()
            del self._tasks[order.id]
        self.send(message[0], order.id, *message[1:])

    def _draw(self, job: str, files: JobFiles, pictures: bool) -> None:
        reason = None
        try:
            with self._drawing:
                check_figures()
                _draw_report(files, pictures)
        except BaseException as error:  # of any kind: somebody waits for it
            reason = one_line(error)
        self.send("report", job, pictures, reason)


class _Watcher:
    """Sums up what is found in a video, and keeps pictures of its faces."""

    def __init__(self, task: _Task) -> None:
        self._task = task
        self.people, self.pictures = People(), Pictures()

    def show(self, frame: Frame, analysis: Analysis, result: Result) -> None:
        if self._task.keeps_pictures:
            self.pictures.add(frame, result)

    def show_between(self, frame: Frame) -> None:
        """Every frame is analyzed."""

    def add(self, result: Result, duration_s: float) -> None:
        self.people.add(result, duration_s)


class _Task:
    """A job, in its own thread but for `pause`, `resume`, `cancel` and `forget`."""

    def __init__(self, analyst: Analyst, order: Order) -> None:
        self.order = order
        self._analyst = analyst
        self._goes_on = threading.Event()
        self._goes_on.set()
        self._canceled = False
        self._has_turn = False
        self.keeps_pictures = order.pictures
        self._frames = 0
        self._reported_s = 0.0

    def pause(self) -> None:
        """Wait before the next frame, and let other jobs be analyzed."""
        self._goes_on.clear()

    def resume(self) -> None:
        """Go on as soon as no other job is being analyzed."""
        self._goes_on.set()

    def cancel(self) -> None:
        """End before the next frame."""
        self._canceled = True
        self._goes_on.set()

    def forget(self) -> None:
        """Store no pictures, because privacy mode was switched on."""
        self.keeps_pictures = False

    def wait_for_turn(self) -> None:
        """Wait until it may run, and no other job does. Raises CanceledError."""
        while not self._has_turn:
            if not self._goes_on.is_set():  # if it is paused just after this, it says so in the next round
                self._analyst.send("paused", self.order.id)
                self._goes_on.wait()
            if self._canceled:
                raise CanceledError
            self._analyst.turn.acquire()
            self._has_turn = True
            if not self._goes_on.is_set():  # paused again in the meantime
                self.end_turn()

    def end_turn(self) -> None:
        """Let other jobs run."""
        if self._has_turn:
            self._has_turn = False
            self._analyst.turn.release()

    def run(self) -> tuple[Any, ...]:
        """Analyze the file; the message about it."""
        order = self.order
        single = find_inputs([str(order.files.content)]).found[0].is_image  # by its content, as for `analyze`
        self._analyst.send("kind", order.id, "image" if single else "video")
        out = order.files.unfinished
        out.mkdir()
        shared = {each.name: getattr(order.settings, each.name) for each in fields(AnalysisSettings)}
        settings = AnalyzeSettings(**shared, out=out)
        pipeline, cache = self._analyst.load(order.settings)
        worker = Worker(settings, pipeline, ["POST", "/api/jobs"], cache.get("described"))
        cache["described"] = worker.described
        watcher = _Watcher(self)
        (job,) = plan([Input(order.files.content, order.name, IMAGES if single else FOLDER, single)])
        (done,) = worker.run(job, self._progress, watcher)
        if single:
            worker.join_images([job])
        if (out / job.inputs[0].folder).exists():
            (out / job.inputs[0].folder).replace(order.files.results)
        shutil.rmtree(out, ignore_errors=True)
        if done.status != "done":
            return "failed", _without_path(done.reason or "", order)
        return self._found(done, watcher) if not single else self._found_in_image(done)

    def _found(self, done: Done, watcher: _Watcher) -> tuple[Any, ...]:
        outcome = watcher.people.outcome(done.facts)
        pictures = write_video_pictures(self.order.files, watcher.pictures, outcome) if self.keeps_pictures else []
        return "done", outcome, pictures, done.reason

    def _found_in_image(self, done: Done) -> tuple[Any, ...]:
        files = self.order.files
        outcome, boxes = image_outcome(files.table, done.facts)
        pictures = write_image_pictures(files, boxes) if self.keeps_pictures else []
        return "done", outcome, pictures, done.reason

    def _progress(self, frames: int, share: float) -> None:
        """Is called after each frame."""
        self._frames += frames
        now_s = time.monotonic()
        if now_s - self._reported_s >= REPORT_EVERY_S or share >= 1:
            self._reported_s = now_s
            self._analyst.send("progress", self.order.id, self._frames, share)
        if not self._goes_on.is_set():
            self._analyst.send("progress", self.order.id, self._frames, share)
            self.end_turn()
            self.wait_for_turn()
        if self._canceled:
            raise CanceledError


def _draw_report(files: JobFiles, pictures: bool) -> None:
    """Write the report of a video, without its figures as files of their own."""
    write_report(files.results, StoredThumbnails(files) if pictures else None)
    (files.results / REPORT).replace(files.report(pictures=pictures))
    for path in files.results.glob("report-*.png"):
        path.unlink()


def _without_path(reason: str, order: Order) -> str:
    """A message with the file's name in place of where it is stored."""
    return reason.replace(str(order.files.content), order.name)

"""The CSV recording: a row for every face, whatever happens to the program, the disk or the source."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import main
from mien.errors import RecordingError, SettingsError
from mien.loading import Loading
from mien.recording import csv_log
from mien.recording.csv_log import CsvRecorder, Recording
from mien.recording.rows import COLUMNS
from mien.settings import Settings
from mien.types import EXPRESSIONS, Analysis, Box, Face, Frame, Head, Quality
from tests.fakes import FakeClock, FakePipeline
from tests.patience import PATIENCE_S, wait_for

ROOT = Path(__file__).resolve().parents[1]
PIXELS = np.zeros((4, 4, 3), np.uint8)


def face(number: int | None = 1, label: str = "happy", x: int = 10) -> Face:
    shares = np.full(7, 0.05, np.float32)
    shares[EXPRESSIONS.index(label)] = 0.7
    return Face(Box(x, -3, 30, 40), shares, shares, id=number)


def frame(index: int, at_s: float | None = None, media_time_s: float | None = None, stream: int = 1) -> Frame:
    at_s = index / 10 if at_s is None else at_s
    return Frame(PIXELS, index, 1_700_000_000.0 + at_s, media_time_s, stream=stream)


def analysis(*faces: Face) -> Analysis:
    return Analysis(320, 240, faces)


def read(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


@contextmanager
def beginning(start: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Thread]:
    """A thread in which a recording begins on a disk that does not respond until the end."""
    hangs, responds = threading.Event(), threading.Event()

    def hang(*_: object, **__: object) -> None:
        hangs.set()
        responds.wait(PATIENCE_S)
        raise RecordingError("the disk has responded")

    def run() -> None:
        with suppress(RecordingError):
            start()

    monkeypatch.setattr(csv_log, "_begin", hang)
    thread = threading.Thread(target=run)
    thread.start()
    assert hangs.wait(PATIENCE_S)
    yield thread
    responds.set()
    thread.join()


@pytest.fixture
def recorder(tmp_path):
    made = CsvRecorder(tmp_path / "sessions", FakeClock())
    yield made
    made.stop()


def file_of(recorder: CsvRecorder) -> Path:
    return recorder.folder / recorder.status().session / "faces.csv"


def test_nothing_is_written_before_recording_starts(recorder) -> None:
    recorder.record(frame(0), analysis(face()))
    assert recorder.status() == Recording()
    assert recorder.content() is None
    assert recorder.stop() == Recording()
    assert not recorder.folder.exists()


def test_each_face_of_each_frame_is_a_row(recorder) -> None:
    started = recorder.start()
    assert (started.on, started.since, started.rows, started.error) == (True, 1_700_000_100.0, 0, None)
    sad = replace(face(2, "sad", x=90), unsure=True, people_share=0.25, quality=Quality(0.4, "dark"))
    recorder.record(frame(3, media_time_s=0.5), analysis(face(1), sad))
    recorder.record(frame(4), analysis())
    recorder.record(frame(5), analysis(face(None, "fear")))
    ended = recorder.stop()
    assert (ended.on, ended.rows, ended.name) == (False, 3, started.name)
    first, second, third = read(file_of(recorder))
    assert tuple(first) == COLUMNS
    assert list(first.values())[:8] == ["3", "1700000000.300", "0.500", "1", "10", "-3", "30", "40"]
    assert [float(first[name]) for name in EXPRESSIONS] == pytest.approx([0.05] * 3 + [0.7] + [0.05] * 3)
    assert (first["label"], second["label"], second["face"], second["x"]) == ("happy", "sad", "2", "90")
    assert [row["unsure"] for row in (first, second, third)] == ["0", "1", "0"]
    assert {(row["width"], row["height"]) for row in (first, second, third)} == {("320", "240")}
    assert [row["people_share"] for row in (first, second, third)] == ["", "0.25000", ""]
    assert [(row["quality"], row["quality_reason"]) for row in (first, second)] == [("", ""), ("0.400", "dark")]
    assert (third["frame"], third["media_time_s"], third["face"], third["label"]) == ("5", "", "", "fear")


def test_the_pose_of_a_head_is_recorded_where_it_is_known(recorder) -> None:
    recorder.start()
    head = Head(yaw_deg=-12.34, pitch_deg=5.06, roll_deg=0.0, left_eye=0.2705, right_eye=0.1, mouth=0.0, blink=True)
    recorder.record(frame(0), analysis(replace(face(1), head=head), face(2, x=90)))
    recorder.stop()
    known, unknown = read(file_of(recorder))
    columns = COLUMNS[COLUMNS.index("quality_reason") + 1 :][:7]
    assert columns == ("yaw_deg", "pitch_deg", "roll_deg", "eye_left", "eye_right", "mouth", "blink")
    assert [known[name] for name in columns] == ["-12.3", "5.1", "0.0", "0.271", "0.1", "0.0", "1"]
    assert {unknown[name] for name in columns} == {""}


def test_a_missed_face_has_no_row(recorder) -> None:
    recorder.start()
    recorder.record(frame(0), analysis(face(1), replace(face(2), missed=True)))
    recorder.record(frame(1), analysis(replace(face(1), missed=True)))
    assert recorder.stop().rows == 1
    assert [row["face"] for row in read(file_of(recorder))] == ["1"]


def test_pandas_reads_it_with_numbers_as_numbers(recorder) -> None:
    recorder.start()
    for index in range(3):
        recorder.record(frame(index), analysis(face()))
    recorder.stop()
    table = pd.read_csv(file_of(recorder))
    assert list(table.columns) == list(COLUMNS)
    assert table["frame"].tolist() == [0, 1, 2]
    assert table["face"].dtype == np.int64
    assert table[list(EXPRESSIONS)].to_numpy().sum(axis=1) == pytest.approx([1.0] * 3, abs=1e-4)


def test_no_recording_replaces_another(recorder) -> None:
    sessions = []
    for index in range(3):
        started = recorder.start()
        sessions.append(started.session)
        assert started.name == f"{started.session}.csv"
        recorder.record(frame(index), analysis(face()))
        recorder.stop()
    assert len(set(sessions)) == 3
    assert [name[-2:] for name in sessions[1:]] == ["-2", "-3"]
    assert [read(recorder.folder / name / "faces.csv")[0]["frame"] for name in sessions] == ["0", "1", "2"]


def test_starting_and_stopping_twice_changes_nothing(recorder) -> None:
    assert recorder.start().name == recorder.start().name
    recorder.record(frame(0), analysis(face()))
    assert recorder.stop() == recorder.stop()
    recorder.record(frame(1), analysis(face()))
    assert len(read(file_of(recorder))) == 1
    assert len(list(recorder.folder.iterdir())) == 1


@pytest.mark.parametrize(
    ("frames", "numbers"),
    [
        ([(1, 0), (1, 1), (1, 7)], [0, 1, 7]),
        ([(1, 7), (2, 0), (2, 1)], [7, 8, 9]),
        ([(1, 0), (2, 5)], [0, 6]),
        ([(1, 7), (1, 7)], [7, 7]),
        ([(1, 7), (2, 3), (3, 1)], [7, 11, 13]),
    ],
    ids=["one stream", "opened again", "opened again and late", "a still picture", "changed twice"],
)
def test_after_a_change_of_source_frame_numbers_continue(recorder, frames, numbers) -> None:
    recorder.start()
    for stream, index in frames:
        recorder.record(frame(index, stream=stream), analysis(face(5)))
    recorder.stop()
    rows = read(file_of(recorder))
    assert [int(row["frame"]) for row in rows] == numbers
    assert {row["face"] for row in rows} == {"5"}  # the numbers of faces continue independently


def test_a_download_ends_with_a_complete_frame(recorder) -> None:
    recorder.start()
    name, size, pieces = recorder.content()
    assert b"".join(pieces) == csv_log.HEADER
    for index in range(50):
        recorder.record(frame(index), analysis(face(1), face(2)))
        name, size, pieces = recorder.content()
        data = b"".join(pieces)
        assert (name, size) == (recorder.status().name, len(data))
        rows = list(csv.DictReader(io.StringIO(data.decode())))
        assert all(row["label"] for row in rows)
        assert len(rows) % 2 == 0
    recorder.stop()
    assert len(b"".join(recorder.content()[2]).splitlines()) == 101


def test_a_deleted_file_is_not_offered_for_download(recorder) -> None:
    recorder.start()
    recorder.stop()
    file_of(recorder).write_bytes(b"")
    assert recorder.content() is None
    file_of(recorder).unlink()
    assert recorder.content() is None


# ---- from the first frame on


@pytest.fixture
def at_once(tmp_path):
    made = CsvRecorder(tmp_path / "sessions", FakeClock(), at_once=True)
    yield made
    made.stop()


def test_recording_from_the_first_frame_starts_only_once(at_once) -> None:
    assert at_once.needs_frames
    assert not at_once.status().on
    at_once.check()
    assert list(at_once.folder.iterdir()) == []
    for index in range(3):
        at_once.record(frame(index), analysis(face()))
    assert at_once.status().on
    assert at_once.needs_frames
    at_once.stop()
    at_once.record(frame(3), analysis(face()))
    assert not at_once.needs_frames
    assert [row["frame"] for row in read(file_of(at_once))] == ["0", "1", "2"]
    assert len(list(at_once.folder.iterdir())) == 1


def test_a_recording_stopped_before_the_first_frame_does_not_start(at_once) -> None:
    at_once.stop()
    at_once.record(frame(0), analysis(face()))
    assert at_once.status() == Recording()
    assert not at_once.folder.exists()


def test_a_recording_that_cannot_start_is_reported_and_the_picture_continues(at_once, caplog) -> None:
    at_once.folder.write_bytes(b"")
    with pytest.raises(RecordingError, match="is a file"):
        at_once.check()
    for index in range(3):
        at_once.record(frame(index), analysis(face()))
    assert "is a file" in at_once.status().error
    assert (at_once.status().on, at_once.needs_frames) == (False, False)
    assert sum(entry.name == csv_log.log.name for entry in caplog.records) == 1
    at_once.folder.unlink()
    assert at_once.start() == at_once.status()
    assert at_once.status().error is None


# ---- faults


@pytest.mark.parametrize(("place", "says"), [("none/sessions", "does not exist"), ("file", "is a file")])
def test_an_unusable_folder_is_a_clear_error(tmp_path, place, says) -> None:
    (tmp_path / "file").write_bytes(b"")
    recorder = CsvRecorder(tmp_path / place)
    with pytest.raises(RecordingError, match=says):
        recorder.start()
    assert recorder.status() == Recording()
    recorder.record(frame(0), analysis(face()))


def test_a_folder_without_permission_is_a_clear_error(tmp_path, monkeypatch) -> None:
    def no_permission(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(csv_log.Path, "open", no_permission)
    with pytest.raises(RecordingError, match="Permission denied"):
        CsvRecorder(tmp_path).start()


@pytest.mark.parametrize("name", ["csv-writer", "csv-sync", "video-writer"])
def test_without_a_thread_nothing_is_left_and_the_reason_is_reported(at_once, monkeypatch, name) -> None:
    pytest.importorskip("av", reason="av is not installed")
    real, opened = threading.Thread.start, []

    def start(thread: threading.Thread) -> None:
        if thread.name == name:
            raise RuntimeError("can't start new thread")
        opened.append(thread)
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(RecordingError, match=r"cannot be recorded: .*can't start new thread"):
        at_once.start(video=True)
    assert list(at_once.folder.iterdir()) == []
    for thread in opened:
        thread.join(PATIENCE_S)
    assert not any(thread.is_alive() for thread in opened)
    monkeypatch.undo()
    assert at_once.start().on, "another attempt is possible"


def test_a_recording_without_descriptors_is_reported_and_the_picture_continues(at_once, monkeypatch) -> None:
    def dup(_) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(csv_log.os, "dup", dup)
    at_once.record(frame(0), analysis(face()))
    assert os.strerror(errno.EMFILE) in at_once.status().error
    assert list(at_once.folder.iterdir()) == []


class FullDisk:
    """A file on a disk that is full after this number of bytes; writes what fits, as real disks do."""

    def __init__(self, file, room: int) -> None:
        self.file = file
        self.room = room

    def write(self, data) -> int:
        if not self.room:
            raise OSError(28, "No space left on device")
        taken = self.file.write(data[: self.room])
        self.room -= taken
        return taken

    def __getattr__(self, name: str):
        return getattr(self.file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.file.close()


def full_after(monkeypatch, room: int) -> None:
    real = Path.open
    monkeypatch.setattr(csv_log.Path, "open", lambda path, *how, **more: FullDisk(real(path, *how, **more), room))


def test_a_full_disk_ends_the_recording_with_complete_rows(recorder, monkeypatch, caplog) -> None:
    row = len(_one_row(recorder))
    full_after(monkeypatch, len(csv_log.HEADER) + 2 * row + row // 2)
    recorder.start()
    monkeypatch.undo()
    for index in range(5):
        recorder.record(frame(index), analysis(face()))
    wait_for(lambda: recorder.status().error)
    ended = recorder.status()
    assert (ended.on, ended.rows) == (False, 2)
    assert "No space left" in ended.error
    assert [entry["frame"] for entry in read(file_of(recorder))] == ["0", "1"]
    assert len(b"".join(recorder.content()[2]).splitlines()) == 3
    recorder.record(frame(9), analysis(face()))
    assert recorder.start().on, "another attempt is possible"
    assert sum("No space left" in entry.message for entry in caplog.records) == 1


def _one_row(recorder: CsvRecorder) -> bytes:
    recorder.start()
    recorder.record(frame(0), analysis(face()))
    recorder.stop()
    return file_of(recorder).read_bytes()[len(csv_log.HEADER) :]


def test_a_disk_that_is_full_at_the_start_is_a_clear_error(recorder, monkeypatch) -> None:
    full_after(monkeypatch, 10)
    with pytest.raises(RecordingError, match="No space left"):
        recorder.start()
    assert list(recorder.folder.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps an open file from being moved or deleted")
@pytest.mark.parametrize("what", ["file", "folder", "replaced"])
def test_a_recording_whose_file_is_deleted_ends_with_the_reason(recorder, monkeypatch, caplog, what) -> None:
    monkeypatch.setattr(csv_log, "SYNC_EVERY_S", 0.01)
    recorder.start()
    recorder.record(frame(0), analysis(face()))
    wait_for(lambda: recorder.status().rows == 1)
    if what == "folder":
        recorder.folder.rename(recorder.folder.with_name("elsewhere"))
    else:
        file_of(recorder).unlink()
        if what == "replaced":
            file_of(recorder).write_text("another file")
    assert "it was moved or deleted" in wait_for(lambda: recorder.status().error)
    recorder.record(frame(1), analysis(face()))
    assert (recorder.status().on, recorder.status().rows) == (False, 1)
    assert recorder.needs_frames is False
    assert sum("moved or deleted" in entry.message for entry in caplog.records) == 1
    wait_for(lambda: not recorder._writer._thread.is_alive())
    assert recorder.start().on, "another attempt is possible"


def fail_in_sync_thread(monkeypatch, call: str, error: int, asked: threading.Semaphore | None = None) -> None:
    real, before = getattr(os, call), threading.enumerate()  # such as that of the previous test, which is ending

    def fail(descriptor: int) -> object:
        thread = threading.current_thread()
        if thread.name != "csv-sync" or thread in before:
            return real(descriptor)
        if asked is not None:
            asked.release()
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(csv_log.os, call, fail)


@pytest.mark.parametrize("call", ["fsync", "fstat"])
def test_a_disk_that_loses_rows_later_ends_the_recording_with_the_reason(recorder, monkeypatch, caplog, call) -> None:
    monkeypatch.setattr(csv_log, "SYNC_EVERY_S", 0.01)
    fail_in_sync_thread(monkeypatch, call, errno.EIO)
    recorder.start()
    assert os.strerror(errno.EIO) in wait_for(lambda: recorder.status().error)
    assert not recorder.status().on
    assert sum(os.strerror(errno.EIO) in entry.message for entry in caplog.records) == 1


def test_rows_that_cannot_be_kept_when_the_recording_ends_are_an_error(recorder, monkeypatch) -> None:
    monkeypatch.setattr(csv_log, "SYNC_EVERY_S", PATIENCE_S)
    fail_in_sync_thread(monkeypatch, "fsync", errno.ENOSPC)
    recorder.start()
    recorder.stop()
    assert os.strerror(errno.ENOSPC) in wait_for(lambda: recorder.status().error)


def test_a_file_system_that_cannot_sync_can_be_recorded_to(recorder, monkeypatch) -> None:
    asked = threading.Semaphore(0)
    monkeypatch.setattr(csv_log, "SYNC_EVERY_S", 0.01)
    fail_in_sync_thread(monkeypatch, "fsync", errno.EINVAL, asked)
    recorder.start()
    assert all(asked.acquire(timeout=PATIENCE_S) for _ in range(3))
    recorder.record(frame(0), analysis(face()))
    ended = recorder.stop()
    assert (ended.rows, ended.error) == (1, None)


def test_whoever_sees_an_error_finds_it_in_the_log(recorder, monkeypatch) -> None:
    seen, failing, fail = [], [], csv_log._CsvWriter._fail

    def note(writer, reason: str) -> None:  # in the sync thread, perhaps before `start` has returned
        failing.append(writer)
        fail(writer, reason)

    monkeypatch.setattr(csv_log, "SYNC_EVERY_S", 0.01)
    monkeypatch.setattr(csv_log._CsvWriter, "_fail", note)
    monkeypatch.setattr(csv_log.log, "error", lambda *_: seen.append(failing[0]._error))
    fail_in_sync_thread(monkeypatch, "fsync", errno.EIO)
    recorder.start()
    wait_for(lambda: recorder.status().error)
    assert seen == [None]


@pytest.mark.parametrize("error", [ValueError("no such rows"), MemoryError(), SystemExit(3), KeyboardInterrupt()])
def test_any_exception_in_the_writer_ends_the_recording_with_the_reason(recorder, monkeypatch, caplog, error) -> None:
    def broken(*_) -> None:
        raise error

    recorder.start()
    recorder.record(frame(0), analysis(face()))
    wait_for(lambda: recorder.status().rows == 1)
    monkeypatch.setattr(csv_log, "as_csv", broken)
    recorder.record(frame(1), analysis(face()))
    assert type(error).__name__ in wait_for(lambda: recorder.status().error)
    recorder.record(frame(2), analysis(face()))
    assert (recorder.status().on, recorder.status().rows) == (False, 1)
    assert [entry["frame"] for entry in read(file_of(recorder))] == ["0"]


def test_a_recording_without_its_thread_says_that_it_ended(recorder, monkeypatch) -> None:
    monkeypatch.setattr(csv_log._CsvWriter, "_run", lambda writer: None)
    recorder.start()
    assert "its thread has ended" in wait_for(lambda: recorder.status().error)
    assert not recorder.status().on


@pytest.fixture
def unresponsive_disk(monkeypatch) -> tuple[threading.Event, threading.Event]:
    """Set when rows are to be written; to be set when they may be."""
    asked, go_on = threading.Event(), threading.Event()
    real = csv_log._write_all

    def slow(file, data) -> None:
        if data != csv_log.HEADER:
            asked.set()
            assert go_on.wait(PATIENCE_S)
        real(file, data)

    monkeypatch.setattr(csv_log, "_write_all", slow)
    return asked, go_on


def test_an_unresponsive_disk_never_delays_the_frames(recorder, unresponsive_disk, monkeypatch) -> None:
    asked, go_on = unresponsive_disk
    monkeypatch.setattr(csv_log, "QUEUE_FRAMES", 20)
    recorder.start()
    recorder.record(frame(0), analysis(face()))
    assert asked.wait(PATIENCE_S)
    for index in range(1, 40):
        recorder.record(frame(index), analysis(face()))
    assert "did not respond" in recorder.status().error
    go_on.set()


def test_a_recording_that_cannot_be_ended_in_time_is_completed_later(recorder, unresponsive_disk, monkeypatch) -> None:
    asked, go_on = unresponsive_disk
    monkeypatch.setattr(csv_log, "QUEUE_FRAMES", 1)
    monkeypatch.setattr(csv_log, "CLOSE_WITHIN_S", 0.05)
    recorder.start()
    recorder.record(frame(0), analysis(face()))
    assert asked.wait(PATIENCE_S)
    recorder.record(frame(1), analysis(face()))
    assert recorder.stop().rows == 0
    go_on.set()
    recorder._writer._thread.join(PATIENCE_S)
    assert not recorder._writer._thread.is_alive()
    assert [entry["frame"] for entry in read(file_of(recorder))] == ["0", "1"]


def test_the_end_of_the_program_does_not_wait_for_a_disk_that_lets_no_recording_begin(
    recorder, monkeypatch, caplog
) -> None:
    monkeypatch.setattr(csv_log, "BEGIN_WITHIN_S", 0.1)
    with beginning(recorder.start, monkeypatch) as thread:
        recorder.close()
        assert thread.is_alive()
    assert "does not respond" in caplog.text


def test_queued_frames_do_not_hold_their_pixels(recorder, monkeypatch) -> None:
    recorder.start()
    kept = []
    monkeypatch.setattr(recorder._writer._queue, "put_nowait", kept.append)
    recorder.record(Frame(np.zeros((480, 640, 3), np.uint8), 1, 2.0, 3.0), analysis(face()))
    assert kept[0][0].pixels_bgr.nbytes < 10
    assert (kept[0][0].index, kept[0][0].captured_at, kept[0][0].media_time_s) == (1, 2.0, 3.0)


CHILD = """
    import itertools, sys, time
    from mien.recording.csv_log import CsvRecorder
    from tests.test_csv_log import analysis, face, frame
    recorder = CsvRecorder(sys.argv[1])
    recorder.start()
    for index in itertools.count():
        recorder.record(frame(index), analysis(face(1), face(2)))
        print(recorder.status().rows, flush=True)
        time.sleep(0.01)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_after_kill_9_pandas_reads_all_rows_that_were_counted(tmp_path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD), str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with child:
        while (rows := int(child.stdout.readline())) < 100:
            pass
        os.kill(child.pid, signal.SIGKILL)
        rows = max([rows, *(int(line) for line in child.stdout if line.endswith("\n"))])
    assert child.returncode == -signal.SIGKILL
    (path,) = tmp_path.iterdir()
    counted = pd.read_csv(path / "faces.csv").iloc[:rows]
    assert counted["frame"].tolist() == [number // 2 for number in range(rows)]
    assert counted["label"].eq("happy").all()


def test_how_the_rows_come_about_is_written_beside_each_recording(recorder) -> None:
    texts = iter(["first", "second"])
    recorder.describe = lambda: next(texts)
    for expected in ("first", "second"):
        recorder.start()
        recorder.record(frame(0), analysis(face()))
        recorder.stop()
        assert file_of(recorder).with_name("mien.json").read_text() == expected


@pytest.mark.parametrize("error", [SettingsError("no network"), OSError(28, "No space left on device")])
def test_rows_are_written_even_if_how_they_come_about_cannot_be(recorder, caplog, error) -> None:
    def fail() -> str:
        raise error

    recorder.describe = fail
    recorder.start()
    recorder.record(frame(0), analysis(face()))
    recorder.stop()
    assert len(read(file_of(recorder))) == 1
    assert "how it comes about cannot be written" in caplog.text


def test_the_program_describes_detection_and_network_but_not_the_server(tmp_path) -> None:
    settings = Settings(source="demo", token="sixteen-letters.", unsure=0.4, sessions=tmp_path)
    loading = Loading(FakePipeline)
    text = main.describe_session(main.Components(settings), loading)
    described = json.loads(text)
    assert described["settings"]["unsure"] == 0.4
    assert described["settings"]["source"] == "demo"
    assert len(described["network"]["sha256"]) == 64
    assert not {"token", "host", "port", "sessions", "media"} & set(described["settings"])
    assert "sixteen-letters." not in text

"""Recordings of what browsers send: one session for each key, while its images arrive."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from mien.analysis.uploads import EXPIRE_AFTER_S, UploadSessions
from mien.errors import BusyError, RecordingError
from mien.images.codecs import encode_png
from mien.recording import browser, csv_log, video
from mien.recording.browser import BrowserRecorder
from mien.recording.journal import read_journal
from mien.types import Analysis, Frame
from tests.fakes import FakeClock, without_threads
from tests.patience import wait_for
from tests.test_csv_log import analysis, beginning, face
from tests.test_openapi import check
from tests.web_fakes import face_showing
from web import AppOptions, create_app

ONE, OTHER = "browser-one", "browser-two"
IMAGE = encode_png(np.full((240, 320, 3), 90, np.uint8))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def recorder(tmp_path, clock):
    made = BrowserRecorder(tmp_path / "sessions", clock=clock)
    made.is_known = lambda key: True
    yield made
    made.close()


def frame(index: int, at_s: float = 0.0) -> Frame:
    return Frame(np.full((48, 64, 3), 200, np.uint8), index, 1_700_000_100.0 + at_s)


def rows_of(folder, session: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / "sessions" / session / "faces.csv").read_text())))


def test_each_key_has_its_own_session(recorder, tmp_path) -> None:
    sessions = {key: recorder.start(key).session for key in (ONE, OTHER)}
    assert len(set(sessions.values())) == 2
    for number in range(3):
        recorder.record(ONE, frame(number), analysis(face(1)))
    recorder.record(OTHER, frame(0), analysis(face(1), face(2, x=90)))
    recorder.record("browser-who-does-not", frame(0), analysis(face(9)))
    assert {recorder.stop(key).rows for key in (ONE, OTHER)} == {3, 2}
    assert [row["frame"] for row in rows_of(tmp_path, sessions[ONE])] == ["0", "1", "2"]
    assert [row["face"] for row in rows_of(tmp_path, sessions[OTHER])] == ["1", "2"]
    begin = json.loads((tmp_path / "sessions" / sessions[ONE] / "edits.jsonl").read_text().splitlines()[0])
    assert begin["source"] == "browser"


def test_the_end_of_the_program_does_not_wait_for_a_disk_that_lets_no_recording_begin(recorder, monkeypatch) -> None:
    running = recorder.start(OTHER)
    for module in (csv_log, browser):
        monkeypatch.setattr(module, "BEGIN_WITHIN_S", 0.1)
    with beginning(lambda: recorder.start(ONE), monkeypatch) as thread:
        recorder.close()
        assert thread.is_alive()
        assert (running.on, recorder.status(OTHER).on) == (True, False)


def test_a_recording_ends_when_its_images_stay_away(recorder, clock) -> None:
    recorder.start(ONE)
    recorder.start(OTHER)
    clock.advance(EXPIRE_AFTER_S - 1)
    recorder.record(ONE, frame(1), analysis(face(1)))
    clock.advance(2)
    recorder.end_unused()
    assert recorder.status(OTHER) is None
    assert recorder.status(ONE).on
    assert len(recorder.running()) == 1
    clock.advance(EXPIRE_AFTER_S + 1)
    recorder.end_unused()
    assert recorder.running() == {}


def test_recordings_whose_images_stay_away_end_also_after_a_fault(recorder, clock, monkeypatch, caplog) -> None:
    monkeypatch.setattr(browser, "CHECK_EVERY_S", 0.01)
    faults, end_unused = [ValueError("odd")], recorder.end_unused

    def end() -> None:
        if faults:
            raise faults.pop()
        end_unused()

    monkeypatch.setattr(recorder, "end_unused", end)
    recorder.start(ONE)
    clock.advance(EXPIRE_AFTER_S + 1)
    wait_for(lambda: recorder.status(ONE) is None)
    assert "unused recordings of browsers cannot be ended" in caplog.text


def test_recordings_whose_images_stay_away_end_also_if_no_thread_could_be_started_at_first(
    recorder, clock, monkeypatch
) -> None:
    monkeypatch.setattr(browser, "CHECK_EVERY_S", 0.01)
    with without_threads("browser-recordings"), pytest.raises(RuntimeError, match="new thread"):
        recorder.start(ONE)
    recorder.start(ONE)
    clock.advance(EXPIRE_AFTER_S + 1)
    wait_for(lambda: recorder.status(ONE) is None)


def test_a_recording_goes_on_under_another_key_with_other_faces(recorder, tmp_path) -> None:
    session = recorder.start(ONE).session
    recorder.record(ONE, frame(0), analysis(face(1), face(2, x=90)))
    assert recorder.start(OTHER, continues=ONE).session == session
    recorder.record(ONE, frame(1), analysis(face(1)))  # no longer recorded
    recorder.record(OTHER, frame(0), analysis(face(1)))
    assert recorder.stop(OTHER).rows == 3
    rows = rows_of(tmp_path, session)
    assert [(row["frame"], row["face"]) for row in rows] == [("0", "1"), ("0", "2"), ("1", "3")]


@pytest.mark.parametrize("fault", ["an error", "silence"])
def test_faces_that_the_program_has_forgotten_are_other_people_of_the_recording(
    recorder, tmp_path, clock, fault
) -> None:
    stream = Stream()
    sessions = UploadSessions(lambda: stream, clock, recorder.record)  # type: ignore[arg-type, return-value]
    sessions.analyze(ONE, IMAGE)
    session = recorder.start(ONE).session
    for _ in range(2):
        sessions.analyze(ONE, IMAGE)
    assert recorder.session_of(ONE) == (session, 0)
    if fault == "an error":
        stream.error = RuntimeError("boom")
        with pytest.raises(RuntimeError):
            sessions.analyze(ONE, IMAGE)
        stream.error = None
    else:
        clock.advance(EXPIRE_AFTER_S)
    for _ in range(2):
        assert sessions.analyze(ONE, IMAGE).faces[0].id == 1
    assert recorder.session_of(ONE) == (session, 1)
    recorder.stop(ONE)
    rows = rows_of(tmp_path, session)
    assert [(row["frame"], row["face"]) for row in rows] == [("1", "1"), ("2", "1"), ("3", "2"), ("4", "2")]


def test_a_recording_that_has_ended_is_not_continued_by_another_one(recorder, tmp_path) -> None:
    recorder.start(ONE)
    recorder.stop(ONE)
    for _ in range(2):
        with pytest.raises(RecordingError, match="one that has ended"):
            recorder.start(OTHER, continues=ONE)
    assert len(list((tmp_path / "sessions").iterdir())) == 1


def test_there_are_at_most_so_many_recordings(recorder, monkeypatch) -> None:
    monkeypatch.setattr(browser, "MAX_RECORDINGS", 2)
    recorder.start("browser-1")
    recorder.start("browser-2")
    with pytest.raises(BusyError, match="at most 2 recordings"):
        recorder.start("browser-3")
    assert recorder.start("browser-1").on
    recorder.stop("browser-2")
    assert recorder.start("browser-3").on


def test_only_a_key_whose_images_are_analyzed_is_recorded(recorder, tmp_path) -> None:
    recorder.is_known = lambda key: key == OTHER
    with pytest.raises(RecordingError, match="the key of images that are being analyzed"):
        recorder.start(ONE)
    assert not (tmp_path / "sessions").exists()
    recorder.close()
    with pytest.raises(RecordingError):
        recorder.start(OTHER)


def test_kept_pictures_are_those_that_may_be_shown(tmp_path, clock, monkeypatch) -> None:
    av = pytest.importorskip("av", reason="av is not installed")
    monkeypatch.setattr(video, "QUEUE_FRAMES", 100)
    hidden = False

    def prepare(picture: Frame, found: Analysis) -> Frame:
        return Frame(np.zeros_like(picture.pixels_bgr), picture.index, picture.captured_at) if hidden else picture

    recorder = BrowserRecorder(tmp_path / "sessions", lambda: prepare, clock)
    recorder.is_known = lambda key: True
    started = recorder.start(ONE, video=True)
    assert (started.video, started.video_error) == (True, None)
    for number in range(10):
        hidden = number >= 5
        recorder.record(ONE, frame(number, 0.5 + number / 10), analysis())  # pictures without faces are kept too
    assert recorder.stop(ONE).rows == 0
    with av.open(str(tmp_path / "sessions" / started.session / "video.mp4")) as container:
        pictures = [(picture.time, picture.to_ndarray(format="gray").mean()) for picture in container.decode(video=0)]
    assert [time for time, _ in pictures] == pytest.approx(
        [0.0, *(0.5 + number / 10 for number in range(1, 10))], abs=0.01
    )
    assert [gray > 100 for _, gray in pictures] == [True] * 5 + [False] * 5


@pytest.mark.parametrize("last", [True, False])
def test_a_session_says_whether_all_pictures_were_covered(tmp_path, clock, last: bool) -> None:
    pytest.importorskip("av", reason="av is not installed")
    covered = iter([True, last])
    recorder = BrowserRecorder(
        tmp_path / "sessions", lambda: lambda picture, _: replace(picture, covered=next(covered)), clock
    )
    recorder.is_known = lambda key: True
    session = recorder.start(ONE, video=True).session
    recorder.record(ONE, frame(0), analysis())
    recorder.record(ONE, frame(1, 0.5), analysis())
    recorder.stop(ONE)
    assert read_journal(tmp_path / "sessions" / session / "edits.jsonl").covered == last


class Stream:
    """Finds a face in each image."""

    error: Exception | None = None

    def analyze(self, picture: Frame, time_s: float, *, landmarks: bool = False) -> Analysis:
        if self.error is not None:
            raise self.error
        return Analysis(picture.width, picture.height, (face_showing("happy", 1),))


@pytest.fixture
def client(fake_camera, recorder, clock):
    sessions = UploadSessions(Stream, clock, recorder.record)  # type: ignore[arg-type]
    recorder.is_known = sessions.__contains__

    def follow(key: str, data: bytes, *, landmarks: bool = False) -> Analysis:
        return sessions.analyze(key, data, landmarks=landmarks)

    options = AppOptions(analyze=lambda data, **_: Analysis(1, 1, ()), follow=follow, browser_recorder=recorder)
    return create_app(fake_camera, options).test_client()


def send(client, key: str = ONE):
    answer = client.post(f"/api/analyze?track={key}", data=IMAGE, content_type="image/png")
    check(answer, "/api/analyze", "post")
    return answer.json


def switch(client, key: str = ONE, **body):
    return client.post(f"/api/record?track={key}", json=body)


def test_a_browser_records_what_it_sends(client, tmp_path) -> None:
    assert "recording" not in send(client)
    started = switch(client, on=True)
    check(started, "/api/record", "post")
    recording = started.json["recording"]
    assert (started.status_code, recording["on"], recording["people"]) == (200, True, 0)
    found = [send(client) for _ in range(3)][-1]
    assert found["faces"]
    assert found["recording"]["session"] == recording["session"]
    ended = switch(client, on=False)
    check(ended, "/api/record", "post")
    assert ended.json["recording"]["on"] is False
    assert send(client)["recording"]["on"] is False
    rows = rows_of(tmp_path, recording["session"])
    assert ended.json["recording"]["rows"] == len(rows) > 0
    assert {(row["width"], row["height"]) for row in rows} == {("320", "240")}
    assert [int(row["frame"]) for row in rows] == sorted({int(row["frame"]) for row in rows})
    assert float(rows[0]["time"]) > 1_700_000_000
    assert client.get("/api/controls").json["recording"]["on"] is False  # that of the program's source


@pytest.mark.parametrize(
    ("key", "status"),
    [("browser-new", 409), ("short", 400), ("a" * 65, 400), ("not%20valid", 400), ("..%2fetc-etc", 400)],
)
def test_other_keys_are_refused(client, tmp_path, key, status) -> None:
    answer = switch(client, key, on=True)
    check(answer, "/api/record", "post")
    assert answer.status_code == status
    assert not (tmp_path / "sessions").exists()


def test_too_many_recordings_are_refused_until_later(client, monkeypatch) -> None:
    monkeypatch.setattr(browser, "MAX_RECORDINGS", 1)
    for key in (ONE, OTHER):
        send(client, key)
    assert switch(client, ONE, on=True).status_code == 200
    answer = switch(client, OTHER, on=True)
    check(answer, "/api/record", "post")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "10")


def test_without_a_recorder_for_browsers_the_route_says_so(fake_camera) -> None:
    answer = switch(create_app(fake_camera).test_client(), on=True)
    assert (answer.status_code, "does not record" in answer.json["error"]) == (404, True)

"""A person's resting face: measured for 3 s, refused where it says too little, and compared with in log odds."""

from __future__ import annotations

import csv
import io
import json
import re
from unittest.mock import Mock

import numpy as np
import pytest

from benchmarks.baseline import Seen, compare, risen
from main import Components, build_upload_sessions
from mien.analysis.baseline import MAX_RESTS, Baselines, Rest, log_odds, mean_of
from mien.analysis.face_stream import FaceStream
from mien.analysis.uploads import UploadSessions
from mien.errors import BaselineError, SessionError
from mien.images.codecs import encode_jpeg
from mien.recording.edits import SessionState, apply
from mien.recording.rows import COLUMNS, as_csv, row
from mien.settings import Settings
from mien.types import EXPRESSIONS, REST_COLUMNS, Analysis, Box, Face, Frame, Quality
from tests.patience import wait_for
from tests.test_openapi import check
from tests.web_fakes import face_showing
from web import AppOptions, create_app

SMILE = np.float32([0.01, 0.01, 0.01, 0.91, 0.04, 0.01, 0.01])
GLOOMY = np.float32([0.05, 0.02, 0.03, 0.02, 0.38, 0.48, 0.02])
GOOD, DARK = Quality(0.9), Quality(0.3, "dark")


def face(probabilities: np.ndarray = GLOOMY, number: int = 1, quality: Quality | None = GOOD, **more) -> Face:
    return Face(Box(40, 50, 100, 110), probabilities, probabilities, id=number, quality=quality, **more)


def analysis(*faces: Face, rare: float | None = 0.25) -> Analysis:
    return Analysis(320, 240, faces, rare=rare)


def watched(baselines: Baselines, *moments: Analysis, fps: float = 10, start_s: float = 100) -> Analysis:
    """What is known after frames at a rate."""
    for index, moment in enumerate(moments):
        found = baselines.update(moment, start_s + index / fps)
    return found


def measured(baselines: Baselines, number: int = 1, probabilities: np.ndarray = GLOOMY) -> Analysis:
    """Measure a face that holds still."""
    still = analysis(face(probabilities, number))
    watched(baselines, still)
    baselines.begin(number)
    return watched(baselines, *[still] * 31)


@pytest.fixture
def baselines() -> Baselines:
    return Baselines(min_quality=0.55)


# ---- log odds


@pytest.mark.parametrize(
    "probabilities",
    [np.eye(7)[3], np.zeros(7), np.float32([np.float32(1 + 1e-6), 0, 0, 0, 0, 0, -1e-9]), np.full((2, 7), 1 / 7)],
)
def test_log_odds_are_finite_and_grow_with_probability(probabilities) -> None:
    found = log_odds(probabilities)
    assert found.shape == np.shape(probabilities)
    assert np.isfinite(found).all()
    assert (np.abs(found) < 4).all()
    assert (np.diff(np.take_along_axis(found, np.argsort(probabilities), -1)) >= 0).all()


def test_what_hardly_differs_in_probability_hardly_differs_in_log_odds() -> None:
    assert log_odds(np.float32([1e-9] * 7)) == pytest.approx(log_odds(np.float32([1e-3] * 7)), abs=0.1)


def test_at_rest_the_difference_is_zero_and_has_the_sign_of_the_change() -> None:
    rest = Rest(log_odds(GLOOMY), frames=30)
    assert rest.difference(GLOOMY) == pytest.approx(np.zeros(7), abs=1e-6)
    change = dict(zip(EXPRESSIONS, rest.difference(SMILE), strict=True))
    assert change["happy"] > 3
    assert change["sad"] < -2
    assert max(change, key=change.__getitem__) == "happy"


def test_outliers_do_not_count() -> None:
    rng = np.random.default_rng(1)
    frames = log_odds(GLOOMY) + rng.normal(0, 0.1, (60, 7))
    frames[[10, 11, 40]] = log_odds(SMILE)  # such as a failed crop
    mean, count = mean_of(frames)
    assert mean == pytest.approx(log_odds(GLOOMY), abs=0.06)
    assert 50 <= count <= 57


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([GLOOMY] * 7, "at least 8 frames in 3 s, found 7"),
        ([GLOOMY, SMILE] * 20, "changes its expression"),
        ([SMILE] * 20 + [GLOOMY] * 20 + list(np.eye(7)) * 3, "changes its expression"),
    ],
)
def test_too_few_or_changing_frames_say_nothing(frames, message: str) -> None:
    with pytest.raises(BaselineError, match=message):
        mean_of(log_odds(np.array(frames)))


# ---- measuring


def test_a_resting_face_is_measured_for_three_seconds_and_then_compared_with(baselines) -> None:
    gloomy = analysis(face(), face(SMILE, 2))
    assert watched(baselines, gloomy) is gloomy  # nothing to compare with
    baselines.begin(1)
    found = watched(baselines, *[gloomy] * 11)
    (state,) = found.baselines
    assert (state.face, state.state, state.frames) == (1, "measuring", 11)
    assert state.left_s == pytest.approx(2.0)
    found = watched(baselines, *[gloomy] * 20, start_s=101.1)
    (state,) = found.baselines
    assert (state.state, state.left_s, state.frames, state.reason) == ("ready", 0, 31, None)
    assert found.faces[0].rest == pytest.approx(np.zeros(7), abs=1e-6)
    assert found.faces[1].rest is None
    later = watched(baselines, analysis(face(SMILE)), start_s=110)
    assert EXPRESSIONS[int(later.faces[0].rest.argmax())] == "happy"
    assert later.faces[0].probabilities is SMILE
    assert later.faces[0].label == "happy"
    assert later.faces[0].to_dict()["rest"]["happy"] > 3


REFUSED = {
    "the face moves away": (
        [analysis(face())] * 5 + [analysis(face(number=9))] * 10,
        None,  # a face that is gone has no state
    ),
    "the face is covered": (
        [analysis(face())] * 5 + [analysis(face(missed=True))] * 10,
        "the face moved away or was covered",
    ),
    "too few frames": ([analysis(face())] * 1 + [analysis(face(np.full(7, np.nan)))] * 30, "at least 8 frames"),
    "a poor picture": ([analysis(face(quality=DARK))] * 31, "cannot be read well enough: dark"),
    "another expression": ([analysis(face())] * 15 + [analysis(face(SMILE))] * 16, "changes its expression"),
    "other probabilities": ([analysis(face())] * 5 + [analysis(face(), rare=1)], "rare expressions .* changed"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_resting_face_that_says_too_little_is_refused(baselines, case: str) -> None:
    moments, reason = REFUSED[case]
    watched(baselines, moments[0])
    baselines.begin(1)
    found = watched(baselines, *moments)
    assert all(each.rest is None for each in found.faces)
    if reason is None:
        assert found.baselines == ()
        return
    (state,) = found.baselines
    assert state.state == "refused"
    assert re.search(reason, state.reason)


def test_after_a_refusal_the_earlier_resting_face_stays(baselines) -> None:
    measured(baselines)
    baselines.begin(1)
    found = watched(baselines, *[analysis(face(quality=DARK))] * 31)
    assert found.baselines[0].state == "refused"
    assert found.faces[0].rest is not None


def test_a_blink_of_the_tracker_does_not_matter_nor_a_clock_that_is_set_back(baselines) -> None:
    seen, gone = analysis(face()), analysis(face(missed=True))
    watched(baselines, seen)
    baselines.begin(1)
    assert watched(baselines, *[seen] * 5, start_s=500).baselines[0].state == "measuring"
    found = watched(baselines, *[*[seen] * 10, gone, gone, gone, *[seen] * 18])  # earlier: it begins again
    assert (found.baselines[0].state, found.baselines[0].frames) == ("ready", 28)


def test_probabilities_that_expect_rare_expressions_otherwise_are_not_compared(baselines) -> None:
    measured(baselines)
    other = watched(baselines, analysis(face(), rare=1.0), start_s=110)
    assert other.faces[0].rest is None
    assert (other.baselines[0].state, other.baselines[0].reason) == (
        "refused",
        "rare expressions are expected more or less often now",
    )
    again = watched(baselines, analysis(face()), start_s=111)
    assert again.faces[0].rest is not None


def test_only_faces_in_the_newest_frame_can_be_measured(baselines) -> None:
    with pytest.raises(BaselineError, match="expected the number of a face in the newest frame, found 1"):
        baselines.begin(1)
    watched(baselines, analysis(face()))
    baselines.begin(1)
    watched(baselines, analysis())
    with pytest.raises(BaselineError):
        baselines.begin(1)


def test_a_resting_face_can_be_forgotten_and_each_change_is_reported() -> None:
    changes = []
    baselines = Baselines(changed=lambda number, rest: changes.append((number, rest is not None)))
    for number in (1, 2):
        measured(baselines, number)
    both = analysis(face(), face(number=2))
    baselines.forget(1)
    assert [each.rest is not None for each in watched(baselines, both, start_s=110).faces] == [False, True]
    baselines.forget()
    assert watched(baselines, both, start_s=111) is both
    baselines.forget(7)
    assert changes == [(1, True), (2, True), (1, False), (2, False)]


def test_only_so_many_resting_faces_are_kept(baselines) -> None:
    for number in range(1, MAX_RESTS + 3):
        measured(baselines, number)
    found = watched(baselines, analysis(*(face(number=number) for number in range(1, MAX_RESTS + 3))), start_s=110)
    assert [each.id for each in found.faces if each.rest is None] == [1, 2]


# ---- in recordings


def test_recordings_have_the_differences_in_columns_of_their_own(baselines) -> None:
    frame = Frame(np.zeros((240, 320, 3), np.uint8))
    compared = measured(baselines)
    rows = [row(0, frame, each, compared) for each in (face(SMILE), compared.faces[0])]
    table = list(csv.DictReader(io.StringIO(as_csv([COLUMNS, *rows]).decode())))
    assert COLUMNS[-7:] == REST_COLUMNS == tuple(f"rest_{name}" for name in EXPRESSIONS)
    assert [table[0][name] for name in REST_COLUMNS] == [""] * 7
    assert [abs(float(table[1][name])) for name in REST_COLUMNS] == [0] * 7
    assert [table[1][name] for name in EXPRESSIONS] == [f"{p:.5f}" for p in GLOOMY]  # never changed


@pytest.mark.parametrize(
    "wrong",
    [
        {"log_odds": {"happy": 1}},
        {"log_odds": [0] * 7},
        {"log_odds": dict.fromkeys(EXPRESSIONS, "0")},
        {"log_odds": dict.fromkeys(EXPRESSIONS, float("nan"))},
        {"log_odds": dict.fromkeys(EXPRESSIONS, 0.0), "frames": -1},
        {"log_odds": None, "face": 0},
    ],
)
def test_a_line_that_is_no_resting_face_is_not_accepted(wrong) -> None:
    with pytest.raises(SessionError, match="expected"):
        apply(SessionState(), {"do": "baseline", "face": 1, "frames": 8} | wrong)


def test_resting_faces_are_stored_with_the_session_that_is_recorded(tmp_path) -> None:
    components = Components(Settings(sessions=tmp_path / "sessions"))
    recorder, baselines = components.recorder, components.baselines

    def stored() -> dict:
        return dict(components.sessions.get(recorder.status().session).state.baselines)

    measured(baselines, 1)  # before the recording
    recorder.start()
    try:
        assert list(stored()) == [1]
        measured(baselines, 2, SMILE)
        assert stored()[2].log_odds == pytest.approx(log_odds(SMILE), abs=1e-4)
        assert (stored()[2].frames, stored()[2].rare) == (31, 0.25)
        baselines.forget(1)
        assert list(stored()) == [2]
    finally:
        recorder.stop()
    lines = (tmp_path / "sessions" / recorder.status().session / "edits.jsonl").read_text().splitlines()
    measured(baselines, 3)  # after it
    assert [json.loads(line)["face"] for line in lines if '"baseline"' in line] == [1, 2, 1]
    assert list(stored()) == [2]


def test_those_of_a_browsers_camera_are_stored_with_its_session(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("mien.analysis.face_stream.FaceStream", lambda _: Still())
    components = Components(Settings(sessions=tmp_path / "sessions"))
    recorder, sessions = components.browser_recorder, build_upload_sessions(components, Mock())
    jpeg = encode_jpeg(np.zeros((48, 64, 3), np.uint8))

    def stored() -> dict:
        return dict(components.sessions.get(session).state.baselines)

    try:
        sessions.analyze("browser-1", jpeg)
        measured(sessions.baselines("browser-1"), 1)  # before the recording
        session = recorder.start("browser-1").session
        assert list(stored()) == [1]
        measured(sessions.baselines("browser-1"), 2, SMILE)
        assert stored()[2].log_odds == pytest.approx(log_odds(SMILE), abs=1e-4)
        sessions.baselines("browser-1").forget(1)
        assert list(stored()) == [2]
        sessions.analyze("browser-1", jpeg)  # its face is number 1
        sessions.analyze("browser-2", jpeg)  # after a pause: faces count from 1, and go on in the recording
        recorder.start("browser-2", continues="browser-1")
        measured(sessions.baselines("browser-2"), 1)
        assert list(stored()) == [2]  # then 1 + 1, and so the last one of face 2
        assert stored()[2].log_odds == pytest.approx(log_odds(GLOOMY), abs=1e-4)
        recorder.stop("browser-2")
        measured(sessions.baselines("browser-2"), 7)
        assert list(stored()) == [2]
    finally:
        recorder.close()


# ---- over HTTP


def test_a_resting_face_is_measured_and_forgotten_over_http(fake_camera, baselines) -> None:
    fake_camera.faces = (face_showing("happy", 1),)

    def show(count: int = 1) -> dict:
        for _ in range(count):
            snapshot = fake_camera.publish()
            compared = baselines.update(analysis(*fake_camera.faces), show.time_s)
            fake_camera.snapshots.publish(type(snapshot)(snapshot.annotated, snapshot.frame, compared))
            show.time_s += 0.1
        answer = client.get("/api/state")
        check(answer, "/api/state")
        return answer.json

    show.time_s = 0.0
    client = create_app(fake_camera, AppOptions(baselines=lambda key: baselines)).test_client()
    assert show()["baselines"] == []
    begun = client.post("/api/baseline", json={"face": 1})
    assert (begun.status_code, begun.data) == (204, b"")
    state = show(2)
    assert state["baselines"] == [{"face": 1, "state": "measuring", "left_s": 2.9, "frames": 2, "reason": None}]
    assert state["faces"][0]["rest"] is None
    state = show(30)
    assert state["baselines"][0]["state"] == "ready"
    assert state["faces"][0]["rest"] == dict.fromkeys(EXPRESSIONS, pytest.approx(0, abs=1e-3))
    assert client.delete("/api/baseline?face=1").status_code == 204
    assert show()["faces"][0]["rest"] is None


@pytest.mark.parametrize(
    ("send", "status"),
    [
        (lambda client: client.post("/api/baseline", json={"face": 7}), 404),
        (lambda client: client.post("/api/baseline", json={"face": "1"}), 400),
        (lambda client: client.post("/api/baseline", json={}), 400),
        (lambda client: client.post("/api/baseline?track=x", json={"face": 1}), 400),
        (lambda client: client.delete("/api/baseline?face=one"), 400),
        (lambda client: client.delete("/api/baseline?track=not-there"), 404),
    ],
)
def test_wrong_requests_are_refused(fake_camera, baselines, send, status: int) -> None:
    sessions = UploadSessions(lambda: None)
    find = lambda key: baselines if key is None else sessions.baselines(key)  # noqa: E731
    answer = send(create_app(fake_camera, AppOptions(baselines=find)).test_client())
    assert answer.status_code == status
    assert answer.json["error"].startswith("Expected")
    assert create_app(fake_camera).test_client().delete("/api/baseline").status_code == 404


class Still(FaceStream):
    """Finds the same face in each image."""

    def __init__(self) -> None: ...

    def analyze(self, frame: Frame, time_s: float, *, landmarks: bool = False) -> Analysis:
        return Analysis(frame.width, frame.height, (face(),))


class Ticking:
    """A clock that goes on by 0.03 s whenever it is read."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        self.now_s += 0.03
        return self.now_s

    def wall(self) -> float:
        return self.monotonic()


def test_the_faces_of_a_sequence_of_images_have_resting_faces_of_their_own(fake_camera, baselines) -> None:
    sessions = UploadSessions(Still, Ticking())
    options = AppOptions(
        analyze=lambda data, **_: analysis(face()),
        follow=lambda key, data, **_: sessions.analyze(key, data),
        baselines=lambda key: baselines if key is None else sessions.baselines(key),
    )
    client = create_app(fake_camera, options).test_client()
    jpeg = encode_jpeg(np.zeros((48, 64, 3), np.uint8))

    def send(key: str) -> dict:
        answer = client.post(f"/api/analyze?track={key}", data=jpeg, content_type="image/jpeg")
        check(answer, "/api/analyze", "post")
        return answer.json

    assert send("browser-1")["baselines"] == send("browser-2")["baselines"] == []
    assert client.post("/api/baseline?track=browser-1", json={"face": 1}).status_code == 204
    wait_for(lambda: send("browser-1")["baselines"][0]["state"] == "ready")
    assert send("browser-1")["faces"][0]["rest"] is not None
    assert send("browser-2")["baselines"] == []
    assert client.delete("/api/baseline?track=browser-1").status_code == 204
    assert send("browser-1")["faces"][0]["rest"] is None


# ---- what it does to accuracy


def test_what_rose_most_is_neutral_where_nothing_rose() -> None:
    assert risen(np.float32([0.9, 0, 0, 0, 5, 0, 0])) == "neutral"
    assert risen(np.float32([1.1, 0, 0, 2, 5, 0, 0])) == "happy"


def test_the_benchmark_compares_with_the_first_three_seconds_and_leaves_them_out() -> None:
    def seen(shows: str, probabilities: np.ndarray, times_s) -> list[Seen]:
        return [Seen(0, time_s, shows, "sad", probabilities, probabilities) for time_s in times_s]

    faces = seen("neutral", GLOOMY, np.arange(40) / 10) + seen("happy", SMILE, 5 + np.arange(10) / 10)
    found = compare(faces, "neutral")
    assert (found.frames, found.label, found.rise) == (20, 0, 1)  # this network takes the resting face for sad
    assert found.probable == 0.5
    assert compare(faces, "fear") == "too few frames"

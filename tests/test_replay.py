"""Replay: how a session went over time, and its frames at any moment."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mien.errors import SessionRunningError
from mien.recording.csv_log import Recording
from mien.recording.journal import append_edits
from mien.recording.session_files import SessionFiles
from mien.recording.sessions import Sessions
from mien.recording.timeline import STEP_S, SessionClock, Timeline, read_frames, read_timeline
from mien.recording.timelines import KEPT, Timelines
from mien.types import EXPRESSIONS
from tests.patience import PATIENCE_S, wait_for
from tests.test_sessions import EPOCH_S, ID, line, shown_for_long, two_people, write_session
from web import AppOptions, create_app


def session(count: int, *, faces: int = 1) -> list[bytes]:
    """Ten frames a second: happy in even seconds, sad in odd ones."""
    return [
        line(number, number / 10, face, "sad" if number // 10 % 2 else "happy")
        for number in range(count)
        for face in range(1, faces + 1)
    ]


def against_rest(row: bytes, changes: Sequence[float]) -> bytes:
    """The row with its last columns, how it differs from a resting face."""
    return row.removesuffix(b",,,,,,\n") + b",".join(b"%.3f" % change for change in changes) + b"\n"


def test_a_timeline_has_the_means_of_each_face(tmp_path) -> None:
    timeline = read_timeline(write_session(tmp_path, [*session(40), b"torn,line"]), EPOCH_S)
    happy, sad = EXPRESSIONS.index("happy"), EXPRESSIONS.index("sad")
    lanes = timeline.resampled(0, 4, 4)
    assert set(lanes) == {1}
    assert lanes[1][:, happy] == pytest.approx([0.82, 0.03, 0.82, 0.03], abs=1e-6)
    assert lanes[1][:, sad] == pytest.approx([0.03, 0.82, 0.03, 0.82], abs=1e-6)
    assert timeline.resampled(0, 4, 1)[1][0, happy] == pytest.approx((0.82 + 0.03) / 2)
    assert timeline.resampled(100, 200, 10) == {}
    assert len(timeline.resampled(0, 4, 1000)[1]) == 4 / STEP_S


def test_where_a_face_was_not_seen_there_is_no_value(tmp_path) -> None:
    lanes = read_timeline(write_session(tmp_path, two_people()), EPOCH_S).resampled(0, 2, 4)
    assert np.isnan(lanes[2][:, 0]).tolist() == [True, True, False, False]
    assert lanes[1][:, 7].tolist() == [0, 0, 1, 1]  # unsure


def test_chunks_of_rows_make_no_difference(tmp_path, monkeypatch) -> None:
    path = write_session(tmp_path, session(40, faces=3))
    whole = read_timeline(path, EPOCH_S)
    monkeypatch.setattr("mien.recording.timeline.CHUNK_ROWS", 7)
    parts = read_timeline(path, EPOCH_S)
    assert parts.offsets.tolist() == whole.offsets.tolist()
    for face in (1, 2, 3):
        assert parts.faces[face].bins.tolist() == whole.faces[face].bins.tolist()
        assert parts.faces[face].rows.tolist() == whole.faces[face].rows.tolist()
        assert parts.faces[face].means == pytest.approx(whole.faces[face].means, abs=1e-6)


def test_a_stored_timeline_is_read_again_unless_the_session_has_changed(tmp_path) -> None:
    timeline = read_timeline(write_session(tmp_path, session(20, faces=2)), EPOCH_S)
    path = tmp_path / "timeline.npz"
    timeline.save(path, "a")
    stored = Timeline.load(path, "a")
    assert stored is not None
    assert stored.resampled(0, 2, 4)[2] == pytest.approx(timeline.resampled(0, 2, 4)[2])
    assert Timeline.load(path, "b") is None
    path.write_bytes(path.read_bytes()[:100])
    assert Timeline.load(path, "a") is None
    assert Timeline.load(tmp_path / "none.npz", "a") is None


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("start_s", [0.0, 0.05, 1.0, 2.95, 3.9, 5.0])
def test_the_frames_of_any_moment_are_found(tmp_path, monkeypatch, start_s: float, known: bool) -> None:
    monkeypatch.setattr("mien.recording.timeline.NEAR_BYTES", 200)  # less than two rows
    path = write_session(tmp_path, session(40, faces=2))
    timeline = read_timeline(path, EPOCH_S) if known else None
    frames, complete_s = read_frames(path, EPOCH_S, start_s, start_s + 1, timeline, 1000)
    expected = [number for number in range(40) if start_s <= number / 10 < start_s + 1 - 1e-9]
    assert [each["frame"] for each in frames] == expected
    assert [each["t"] for each in frames] == pytest.approx([number / 10 for number in expected])
    assert all([face["face"] for face in each["faces"]] == [1, 2] for each in frames)
    assert complete_s == start_s + 1


@pytest.mark.parametrize("known", [True, False])
def test_a_frame_that_is_recorded_again_has_each_face_once(tmp_path, known: bool) -> None:
    path = write_session(tmp_path, shown_for_long())
    timeline = read_timeline(path, EPOCH_S)
    frames, _ = read_frames(path, EPOCH_S, 0, 6, timeline if known else None, 1000)
    assert [[face["label"] for face in each["faces"]] for each in frames] == [["happy"]] * 6
    assert timeline.faces[1].rows.tolist() == [1] * 6
    assert timeline.faces[1].means[:, EXPRESSIONS.index("happy")] == pytest.approx(0.82)


def test_too_many_rows_end_with_a_whole_frame(tmp_path) -> None:
    path = write_session(tmp_path, session(40, faces=2))
    frames, complete_s = read_frames(path, EPOCH_S, 0, 4, read_timeline(path, EPOCH_S), 10)
    assert [len(each["faces"]) for each in frames] == [2] * 5
    assert complete_s == pytest.approx(0.5)


def test_frames_have_the_differences_from_a_resting_face_where_it_was_measured(tmp_path) -> None:
    first, second = session(2)
    path = write_session(tmp_path, [first, against_rest(second, [place - 3 for place in range(7)])])
    frames, _ = read_frames(path, EPOCH_S, 0, 1, None, 10)
    assert [each["faces"][0]["rest"] for each in frames] == [
        None,
        {name: place - 3 for place, name in enumerate(EXPRESSIONS)},
    ]


def test_a_clock_that_is_set_back_does_not_turn_the_session_around() -> None:
    clock = SessionClock(EPOCH_S)
    times = [clock.at(b"%d" % number, EPOCH_S + at) for number, at in enumerate([1.0, 1.1, -50.0, -49.9])]
    assert times == pytest.approx([1.0, 1.1, 1.2, 1.3], abs=1e-6)


def test_a_timeline_that_makes_room_for_others_is_computed_later(tmp_path, monkeypatch) -> None:
    gate = threading.Event()
    monkeypatch.setattr("mien.recording.timelines._compute", lambda *_: gate.wait(PATIENCE_S))
    timelines = Timelines()
    one, *others = (SessionFiles(tmp_path, f"session-20260131-12000{number}") for number in range(KEPT + 2))
    assert timelines.get(one, EPOCH_S) is None  # it is being computed, the others wait
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(timelines.get, others[0], EPOCH_S, PATIENCE_S)
        wait_for(lambda: others[0].id in timelines._known)
        for files in others[1:]:
            assert timelines.get(files, EPOCH_S) is None
        assert waiting.result(PATIENCE_S) is None
    gate.set()


def test_a_session_that_is_being_recorded_is_not_replayed(tmp_path) -> None:
    write_session(tmp_path, session(10))
    sessions = Sessions(tmp_path, lambda: {ID: Recording(on=True, since=EPOCH_S)})
    with pytest.raises(SessionRunningError):
        sessions.timeline(ID)


@pytest.fixture
def client(fake_camera, tmp_path):
    write_session(tmp_path, two_people())
    return create_app(fake_camera, AppOptions(sessions=Sessions(tmp_path))).test_client()


@pytest.mark.parametrize(("length_s", "end_s"), [(0.0, 2.0), (5.0, 5.0)])
def test_lanes_end_with_the_session_and_not_before_its_rows(client, tmp_path, length_s, end_s) -> None:
    append_edits(SessionFiles(tmp_path, ID).edits, lambda _: [{"at": EPOCH_S, "do": "end", "length_s": length_s}])
    assert client.get(f"/api/sessions/{ID}/timeline").json["to"] == pytest.approx(end_s)


def test_the_routes_give_lanes_and_frames(client) -> None:
    found = client.get(f"/api/sessions/{ID}/timeline?points=4").json
    assert [each["face"] for each in found["faces"]] == [1, 2]
    assert found["faces"][1]["happy"] == [None, None, 0.03, 0.03]
    assert found["faces"][0]["unsure"] == [0.0, 0.0, 1.0, 1.0]
    assert (found["from"], found["points"], found["step_s"]) == (0.0, 4, 0.5)
    assert client.get(f"/api/sessions/{ID}/timeline?from=0&to=1.7&points=2").json["step_s"] == 1.0
    found = client.get(f"/api/sessions/{ID}/frames?from=0.95&to=1.15").json
    assert [each["t"] for each in found["frames"]] == pytest.approx([1.0, 1.1])
    assert [face["label"] for face in found["frames"][0]["faces"]] == ["happy", "sad"]
    assert found["frames"][0]["faces"][0]["unsure"] is True


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/api/sessions/{ID}/frames", 400),
        (f"/api/sessions/{ID}/frames?from=0&to=100", 400),
        (f"/api/sessions/{ID}/frames?from=1&to=0", 400),
        (f"/api/sessions/{ID}/frames?from=nan&to=1", 400),
        (f"/api/sessions/{ID}/timeline?points=0", 400),
        (f"/api/sessions/{ID}/timeline?from=-1", 400),
        (f"/api/sessions/{ID}/timeline?from=9", 400),
        (f"/api/sessions/{ID}/timeline?to=1e300", 400),
        ("/api/sessions/session-20990101-000000/frames?from=0&to=1", 404),
        ("/api/sessions/session-20990101-000000/timeline", 404),
    ],
)
def test_what_is_not_there_or_not_valid_is_named(client, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.json["error"]


@pytest.mark.parametrize(
    "given",
    ["", "2001", "4.0", "1_0", "٤", "000000001000000000", "000000001" + "0" * 5000],
    ids=lambda given: given[:20],
)
def test_another_number_of_points_is_refused(client, given: str) -> None:
    answer = client.get(f"/api/sessions/{ID}/timeline", query_string={"points": given})
    assert (answer.status_code, "1 to 2000 as `points`" in answer.json["error"]) == (400, True)

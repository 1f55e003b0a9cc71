"""Recording and privacy mode over HTTP: valid requests take effect, all others are refused."""

from __future__ import annotations

import csv
import io
import time
from contextlib import closing

import numpy as np
import pytest

from mien.cnn.logit_adjustment import LogitAdjustment
from mien.errors import LockedError
from mien.images.privacy import Privacy
from mien.queue.service import FileQueue
from mien.queue.storage import Storage
from mien.recording.csv_log import CsvRecorder
from mien.recording.rows import COLUMNS
from mien.recording.video import Saving
from mien.settings import AnalysisSettings
from mien.types import Analysis, Frame
from tests.patience import wait_for
from tests.test_openapi import check
from tests.web_fakes import FakeCamera, FakeDetectors
from web import AppOptions, create_app


@pytest.fixture
def recorder(tmp_path):
    made = CsvRecorder(tmp_path / "sessions")
    yield made
    made.stop()


@pytest.fixture
def privacy() -> Privacy:
    return Privacy()


@pytest.fixture
def adjustment() -> LogitAdjustment:
    return LogitAdjustment(np.array([0.09, 0.02, 0.04, 0.26, 0.32, 0.15, 0.12]), tau=0.25)


@pytest.fixture
def detectors() -> FakeDetectors:
    return FakeDetectors()


@pytest.fixture
def client(fake_camera, recorder, privacy, adjustment, detectors):
    fake_camera.publish()
    options = AppOptions(recorder=recorder, privacy=privacy, adjustment=adjustment, detectors=detectors)
    return create_app(fake_camera, options).test_client()


def show(camera: FakeCamera, recorder: CsvRecorder) -> None:
    """Publish and record a frame with two faces, as the program does."""
    snapshot = camera.publish()
    recorder.record(snapshot.frame, Analysis(320, 240, camera.faces))


def test_a_recording_can_be_downloaded_while_it_runs_and_afterwards(client, fake_camera, recorder) -> None:
    show(fake_camera, recorder)
    missing = client.get("/api/session.csv")
    assert missing.status_code == 404
    check(missing, "/api/session.csv")
    started = client.post("/api/record", json={"on": True})
    check(started, "/api/record", "post")
    assert started.json["recording"]["on"]
    for _ in range(3):
        show(fake_camera, recorder)
    wait_for(lambda: client.get("/api/state").json["recording"]["rows"] == 6)
    running = client.get("/api/session.csv")
    check(running, "/api/session.csv")
    rows = list(csv.DictReader(io.StringIO(running.text)))
    assert tuple(rows[0]) == COLUMNS
    assert [row["label"] for row in rows] == ["happy", "sad"] * 3
    show(fake_camera, recorder)
    ended = client.post("/api/record", json={"on": False}).json["recording"]
    assert (ended["on"], ended["rows"], ended["name"]) == (False, 8, started.json["recording"]["name"])
    show(fake_camera, recorder)
    after = client.get("/api/session.csv")
    assert len(after.text.splitlines()) == 9
    assert int(after.headers["Content-Length"]) == len(after.data)
    assert after.headers["Content-Disposition"] == f'attachment; filename="{ended["name"]}"'
    assert client.head("/api/session.csv").headers["Content-Length"] == after.headers["Content-Length"]


def test_a_folder_that_cannot_be_written_is_reported_and_the_program_continues(fake_camera, tmp_path) -> None:
    recorder = CsvRecorder(tmp_path / "no" / "such")
    client = create_app(fake_camera, AppOptions(recorder=recorder)).test_client()
    answer = client.post("/api/record", json={"on": True})
    assert answer.status_code == 409
    assert answer.json["error"].startswith("Expected a folder")
    check(answer, "/api/record", "post")
    assert client.get("/api/state").json["recording"]["on"] is False


@pytest.mark.parametrize(
    ("saving", "expected"),
    [
        (None, None),
        (Saving("out.mp4", dropped=3), {"name": "out.mp4", "error": None, "dropped": 3}),
        (Saving(error="the disk is full"), {"name": None, "error": "the disk is full", "dropped": 0}),
    ],
)
def test_the_saved_video_and_its_error_are_reported(client, fake_camera, saving, expected) -> None:
    fake_camera.saving = saving
    for path in ("/api/state", "/api/controls"):
        answer = client.get(path)
        check(answer, path)
        assert answer.json["saving"] == expected


@pytest.mark.parametrize("on", [True, False])
def test_privacy_mode_is_switched_reported_and_applied_to_the_newest_picture(
    client, fake_camera, privacy, on: bool
) -> None:
    privacy.switch(not on)
    answer = client.post("/api/privacy", json={"on": on})
    check(answer, "/api/privacy", "post")
    assert answer.json["privacy"] is on
    assert privacy.on is on
    assert fake_camera.shown_again == 1
    assert client.get("/api/state").json["privacy"] is on


def test_programs_are_told_when_privacy_mode_was_lifted(client) -> None:
    answers = [client.post("/api/privacy", json={"on": on}).json for on in (True, False, False, True)]
    assert not any(answer["privacy_locked"] for answer in answers)
    none, lifted, same, still = [answer["privacy_lifted_at"] for answer in answers]
    assert none is None
    assert time.time() - 60 < lifted <= time.time()
    assert lifted == same == still == client.get("/api/state").json["privacy_lifted_at"]


def test_locked_privacy_mode_cannot_be_lifted_and_is_respected_everywhere(fake_camera, tmp_path) -> None:
    fake_camera.publish()
    privacy, asked = Privacy(locked=True), []
    with closing(FileQueue(AnalysisSettings, lambda: privacy.on, storage=Storage(tmp_path))) as queue:
        explain = lambda *faces: asked.append(faces) or []  # noqa: E731
        client = create_app(fake_camera, AppOptions(privacy=privacy, explain=explain, jobs=queue)).test_client()
        before = client.get("/api/controls").json
        assert (before["privacy"], before["privacy_locked"]) == (True, True)
        refused = client.post("/api/privacy", json={"on": False})
        assert refused.status_code == 403
        assert refused.json == {"error": "Privacy mode is locked: the program was started with --privacy=locked."}
        check(refused, "/api/privacy", "post")
        assert client.get("/api/controls").json == before
        assert client.post("/api/privacy", json={"on": True}).status_code == 200
        assert client.get("/api/explain").status_code == 503
        assert not asked
        with pytest.raises(LockedError):
            privacy.switch(False)
        pixels = np.random.default_rng(1).integers(0, 255, (240, 320, 3), np.uint8)
        shown = privacy.prepare(Frame(pixels), Analysis(320, 240, fake_camera.faces)).pixels_bgr
        assert not np.array_equal(shown, pixels)  # what the page, snapshots and saved video get


@pytest.mark.parametrize("rare", [0, 0.5, 1])
def test_rare_expressions_are_expected_as_often_as_requested(client, adjustment, rare: float) -> None:
    assert client.get("/api/state").json["rare"] == 0.25
    answer = client.post("/api/rare", json={"rare": rare})
    check(answer, "/api/rare", "post")
    assert answer.json["rare"] == rare
    assert adjustment.rare == rare
    assert client.get("/api/controls").json["rare"] == rare


def test_each_change_is_answered_with_a_higher_version_than_earlier_states(client) -> None:
    versions = [client.get("/api/state").json["settings_version"]]
    changes = {"record": {"on": True}, "privacy": {"on": True}, "rare": {"rare": 1}, "detector": {"detector": "haar"}}
    for path, body in changes.items():
        versions.append(client.post(f"/api/{path}", json=body).json["settings_version"])
        assert client.get("/api/state").json["settings_version"] == versions[-1]
    assert client.post("/api/rare", json={"rare": 2}).status_code == 400
    assert client.get("/api/controls").json["settings_version"] == versions[-1]
    assert np.diff(versions).tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(
    "body", [{"rare": -0.1}, {"rare": 1.1}, {"rare": "0.5"}, {"rare": True}, {"rare": None}, {}, [], {"on": True}]
)
def test_other_values_for_rare_are_refused_and_change_nothing(client, adjustment, body) -> None:
    answer = client.post("/api/rare", json=body)
    check(answer, "/api/rare", "post")
    assert answer.status_code == 400
    assert adjustment.rare == 0.25


def test_the_detector_is_switched_and_reported(client, detectors) -> None:
    before = client.get("/api/state").json
    assert (before["detector"], before["detectors"]) == ("auto", ["auto", "haar", "broken"])
    answer = client.post("/api/detector", json={"detector": "haar"})
    check(answer, "/api/detector", "post")
    assert answer.json["detector"] == detectors.current == "haar"
    assert client.get("/api/controls").json["detector"] == client.get("/api/state").json["detector"] == "haar"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"detector": "broken"}, 422),
        ({"detector": "magic"}, 422),
        ({"detector": 1}, 400),
        ({"detector": None}, 400),
        ({}, 400),
        ([], 400),
    ],
)
def test_another_detector_than_those_available_is_refused_and_changes_nothing(client, detectors, body, status) -> None:
    answer = client.post("/api/detector", json=body)
    check(answer, "/api/detector", "post")
    assert answer.status_code == status
    assert detectors.current == client.get("/api/state").json["detector"] == "auto"
    assert "\n" not in answer.json["error"]


def test_while_one_detector_is_loaded_another_is_refused(client, detectors) -> None:
    answers, choice = [], {"detector": "haar"}
    detectors.loading = lambda: answers.append(client.application.test_client().post("/api/detector", json=choice))
    assert client.post("/api/detector", json=choice).status_code == 200
    (refused,) = answers
    check(refused, "/api/detector", "post")
    assert refused.status_code == 429
    assert "Retry-After" in refused.headers


def test_without_detectors_to_choose_from_the_one_in_use_is_named(fake_camera) -> None:
    fake_camera.publish()
    client = create_app(fake_camera, AppOptions(detector_name="yunet")).test_client()
    assert client.post("/api/detector", json={"detector": "haar"}).status_code == 404
    assert client.get("/api/controls").json["detector"] == "yunet"
    assert client.get("/api/controls").json["detectors"] == []


def test_a_network_without_base_rates_has_nothing_to_adjust(fake_camera) -> None:
    fake_camera.publish()
    client = create_app(fake_camera).test_client()
    assert client.post("/api/rare", json={"rare": 0.5}).status_code == 404
    assert client.get("/api/state").json["rare"] is None


@pytest.mark.parametrize("path", ["/api/record", "/api/privacy"])
@pytest.mark.parametrize(
    ("body", "mimetype", "code"),
    [
        (b'{"on": true}', "text/plain", 415),
        (b'{"on": true}', "application/x-www-form-urlencoded", 415),
        (b'{"on": true}', None, 415),
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"true", "application/json", 400),
        (b"null", "application/json", 400),
        (b"{}", "application/json", 400),
        (b'{"on": 1}', "application/json", 400),
        (b'{"on": "true"}', "application/json", 400),
        (b'{"on": null}', "application/json", 400),
        (b'{"on": true, "more": 1}', "application/json", 400),
        (b"[" * 8000, "application/json", 400),
        (b'{"on": true' + b" " * 9000 + b"}", "application/json", 413),
    ],
    ids=str,
)
def test_any_other_body_is_refused_and_changes_nothing(client, recorder, privacy, path, body, mimetype, code) -> None:
    answer = client.post(path, data=body, content_type=mimetype)
    assert answer.status_code == code
    assert answer.json["error"]
    check(answer, path, "post")
    assert not recorder.status().on
    assert not privacy.on


@pytest.mark.parametrize("path", ["/api/record", "/api/privacy"])
def test_pages_of_other_sites_cannot_switch(client, recorder, privacy, path: str) -> None:
    answer = client.post(path, json={"on": True}, headers={"Origin": "http://evil.example"})
    assert answer.status_code == 403
    assert not recorder.status().on
    assert not privacy.on


@pytest.mark.parametrize("path", ["/api/record", "/api/privacy"])
def test_without_recorder_and_privacy_mode_the_routes_answer_404(fake_camera, path: str) -> None:
    client = create_app(fake_camera).test_client()
    assert client.post(path, json={"on": True}).status_code == 404
    assert client.get("/api/session.csv").status_code == 404

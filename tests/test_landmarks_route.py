"""Landmarks over HTTP: computed only while somebody asks for them, and never shown in privacy mode."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from mien.errors import LandmarkError
from mien.images.codecs import encode_png
from mien.images.privacy import Privacy
from mien.landmarks import demand as demands
from mien.landmarks.demand import LASTS_S, LandmarkDemand
from mien.types import Analysis, Head
from tests.fakes import FakeClock
from tests.test_openapi import check
from tests.web_fakes import face_showing
from web import AppOptions, create_app

HEAD = Head(yaw_deg=-12.34, pitch_deg=5.06, roll_deg=0.0, left_eye=0.271, right_eye=0.1, mouth=0.0, blink=True)
POINTS = np.linspace(0, 200.04, 2 * 468, dtype=np.float32).reshape(468, 2)
FACE = replace(face_showing("happy", 1), landmarks=POINTS, head=HEAD)


@pytest.fixture
def demand(monkeypatch):
    monkeypatch.setattr(demands, "missing", lambda: None)
    return LandmarkDemand(clock=FakeClock(), load=lambda: None)


@pytest.fixture
def client(fake_camera, demand):
    fake_camera.faces = (FACE,)
    fake_camera.publish()
    return create_app(fake_camera, AppOptions(landmarks=demand)).test_client()


def test_a_state_has_landmarks_only_for_those_who_ask(client) -> None:
    (without,), (face,) = (client.get(f"/api/state{query}").json["faces"] for query in ("", "?landmarks=1"))
    assert without["landmarks"] is None
    assert len(face["landmarks"]) == 468
    assert face["landmarks"][-1] == [199.8, 200.0], "to a tenth of a pixel"
    assert face["head"] == without["head"] == HEAD.to_dict()
    assert face["head"]["yaw_deg"] == -12.3
    assert face["head"]["blink"] is True


def test_answers_with_landmarks_match_their_description(client) -> None:
    check(client.get("/api/state?landmarks=1"), "/api/state")
    check(client.get("/api/state?landmarks=2"), "/api/state")


@pytest.mark.parametrize("path", ["/api/state", "/api/frames", "/api/events"])
def test_a_request_asks_for_landmarks_for_two_seconds(client, demand, path: str) -> None:
    assert not demand.wanted
    with client.get(path, buffered=False) as answer:
        list(islice(answer.response, 3 if path != "/api/state" else 1))
    assert not demand.wanted
    with client.get(f"{path}?landmarks=1", buffered=False) as answer:
        list(islice(answer.response, 3 if path != "/api/state" else 1))
    assert demand.wanted
    demand._clock.advance(LASTS_S)
    assert not demand.wanted


def test_privacy_mode_shows_no_landmarks(fake_camera, demand) -> None:
    fake_camera.faces = (FACE,)
    fake_camera.publish()
    app = create_app(fake_camera, AppOptions(landmarks=demand, privacy=Privacy(on=True)))
    (face,) = app.test_client().get("/api/state?landmarks=1").json["faces"]
    assert face["landmarks"] is None


@pytest.mark.parametrize("path", ["/api/state", "/api/frames", "/api/events"])
@pytest.mark.parametrize(("value", "status"), [("1", 503), ("2", 400), ("yes", 400), ("0", 200)])
def test_landmarks_that_cannot_be_found_are_refused_with_the_reason(
    fake_camera, monkeypatch, path: str, value: str, status: int
) -> None:
    monkeypatch.setattr(demands, "missing", lambda: "landmarks: expected a package")
    fake_camera.publish()
    app = create_app(fake_camera, AppOptions(landmarks=LandmarkDemand()))
    with app.test_client().get(f"{path}?landmarks={value}", buffered=False) as answer:
        assert answer.status_code == status
        if status == 503:
            assert answer.json["error"] == "There are no landmarks: landmarks: expected a package."


def test_an_app_without_landmarks_refuses_them(fake_camera) -> None:
    answer = create_app(fake_camera).test_client().get("/api/state?landmarks=1")
    assert (answer.status_code, answer.json["error"]) == (503, "There are no landmarks: this program has none.")


@pytest.mark.parametrize(("query", "asked"), [("", False), ("?landmarks=0", False), ("?landmarks=1", True)])
@pytest.mark.parametrize("track", [False, True])
def test_landmarks_of_an_uploaded_image_are_found_on_request(fake_camera, demand, query, asked, track: bool) -> None:
    def analyze(data: bytes, *, landmarks: bool = False) -> Analysis:
        return Analysis(320, 240, (FACE if landmarks else face_showing("happy", 1),))

    options = AppOptions(analyze=analyze, follow=lambda key, data, **asked: analyze(data, **asked), landmarks=demand)
    client = create_app(fake_camera, options).test_client()
    query += f"{'&' if query else '?'}track=browser-1" if track else ""
    image = encode_png(np.zeros((240, 320, 3), np.uint8))
    answer = client.post(f"/api/analyze{query}", data=image, content_type="image/png")
    check(answer, "/api/analyze", "post")
    assert (answer.json["faces"][0]["landmarks"] is not None) == asked


def test_landmarks_that_are_always_wanted_need_their_networks(monkeypatch) -> None:
    monkeypatch.setattr(demands, "missing", lambda: None)
    assert LandmarkDemand(always=True, load=lambda: None).wanted
    with pytest.raises(LandmarkError, match=r"^landmarks: expected another file$"):
        LandmarkDemand(always=True, load=broken)
    monkeypatch.setattr(demands, "missing", lambda: "landmarks: expected a package")
    with pytest.raises(LandmarkError, match=r"^landmarks: expected a package$"):
        LandmarkDemand(always=True)


def broken() -> None:
    raise LandmarkError("landmarks: expected another file")


@pytest.mark.parametrize("path", ["/api/state", "/api/frames", "/api/events"])
def test_broken_networks_are_refused_and_do_not_disturb_the_live_picture(fake_camera, monkeypatch, path: str) -> None:
    monkeypatch.setattr(demands, "missing", lambda: None)
    demand = LandmarkDemand(load=broken)
    fake_camera.publish()
    app = create_app(fake_camera, AppOptions(landmarks=demand))
    answer = app.test_client().get(f"{path}?landmarks=1")
    assert answer.status_code == 503
    assert answer.json["error"] == "There are no landmarks: landmarks: expected another file."
    assert not demand.wanted

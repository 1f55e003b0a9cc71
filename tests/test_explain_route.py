"""GET /api/explain: the evidence for the label of each live face."""

import base64
import threading
from dataclasses import replace

import cv2
import numpy as np
import pytest
from flask import Flask

from mien.cnn.gradcam import heat_png
from mien.errors import LoadingError, ModelError
from mien.images.privacy import Privacy
from mien.types import Snapshot
from tests.fakes import FakeClock
from tests.patience import PATIENCE_S
from web import AppOptions, create_app
from web import explain as explanations
from web.explain import MAX_INTERVAL_S, MIN_INTERVAL_S, Throttle

PNG = heat_png(np.ones((4, 4)))


def explain(pixels_bgr, faces):
    return [PNG] * len(faces)


def get(camera, explain=explain, **options):
    app = Flask(__name__)
    app.register_blueprint(explanations.blueprint(camera, explain, **options))
    return app.test_client().get("/api/explain")


def decode(png_or_text):
    data = base64.b64decode(png_or_text) if isinstance(png_or_text, str) else png_or_text
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


# ---- the answer


def test_each_face_of_the_newest_frame_has_a_heat_map(fake_camera):
    fake_camera.publish()
    snapshot = fake_camera.publish()
    asked = []
    answer = get(fake_camera, lambda pixels, faces: asked.append((pixels, faces)) or [PNG] * len(faces)).json
    assert answer["frame"] == 1
    assert [(face["id"], face["label"]) for face in answer["faces"]] == [(1, "happy"), (2, "sad")]
    assert answer["faces"][1]["box"] == {"x": 200, "y": 50, "w": 100, "h": 110}
    assert all(base64.b64decode(face["heat"]) == PNG for face in answer["faces"])
    assert len(asked) == 1
    assert asked[0][0] is snapshot.frame.pixels_bgr
    assert asked[0][1] is snapshot.analysis.faces


def test_a_frame_without_faces_costs_nothing(fake_camera):
    fake_camera.faces = ()
    fake_camera.publish()
    assert get(fake_camera, lambda *_: pytest.fail("there is nothing to explain")).json == {"frame": 0, "faces": []}


@pytest.mark.parametrize("picture", [None, Snapshot(b"placeholder")])
def test_without_a_frame_the_reason_is_reported(fake_camera, picture):
    if picture:
        fake_camera.snapshots.publish(picture)
    assert get(fake_camera).status_code == 503
    fake_camera.current = replace(fake_camera.current, state="reconnecting", reason="unplugged")
    answer = create_app(fake_camera, AppOptions(explain=explain)).test_client().get("/api/explain")
    assert answer.json == {"error": "There is no explanation: unplugged."}
    assert int(answer.headers["Retry-After"]) > 0


def test_a_network_that_cannot_be_explained_says_why(fake_camera):
    def refuse(*_):
        raise ModelError("found no convolution")

    fake_camera.publish()
    for explain, reason in ((refuse, "found no convolution"), (None, "has none")):
        answer = create_app(fake_camera, AppOptions(explain=explain)).test_client().get("/api/explain")
        assert answer.status_code == 503
        assert reason in answer.json["error"]
        assert "Retry-After" not in answer.headers, "the result would be the same"


def test_a_network_that_is_still_being_loaded_is_worth_another_request(fake_camera):
    def load(*_):
        raise LoadingError("the network that explains is being loaded")

    fake_camera.publish()
    answer = create_app(fake_camera, AppOptions(explain=load)).test_client().get("/api/explain")
    assert answer.status_code == 503
    assert answer.json == {"error": "There is no explanation yet: the network that explains is being loaded."}
    assert int(answer.headers["Retry-After"]) > 0


def test_pixelated_faces_are_not_explained(fake_camera):
    fake_camera.publish()
    privacy = Privacy(on=True)
    asked = []
    app = create_app(fake_camera, AppOptions(explain=lambda *_: asked.append(1) or [PNG] * 2, privacy=privacy))
    answer = app.test_client().get("/api/explain")
    assert answer.status_code == 503
    assert "privacy mode is on" in answer.json["error"]
    assert not asked
    privacy.switch(False)
    assert app.test_client().get("/api/explain").status_code == 200


def test_an_explanation_begun_before_privacy_mode_is_not_sent(fake_camera):
    pixelated = []
    fake_camera.publish()
    answer = get(
        fake_camera, lambda pixels, faces: pixelated.append(1) or [PNG] * 2, is_private=lambda: bool(pixelated)
    )
    assert answer.status_code == 503


# ---- how often


@pytest.mark.parametrize(
    ("spent_s", "interval_s"), [(0.0, MIN_INTERVAL_S), (0.03, 0.3), (0.1, MAX_INTERVAL_S), (0.8, 0.8)]
)
def test_explanations_are_spaced_in_proportion_to_their_cost(spent_s, interval_s):
    clock = FakeClock()
    throttle = Throttle(clock.monotonic, clock.sleep)
    begun = []

    def compute():
        begun.append(clock.monotonic())
        clock.advance(spent_s)
        return len(begun)

    assert [throttle(compute) for _ in range(4)] == [1, 2, 3, 4]
    assert np.diff(begun) == pytest.approx(interval_s)


class CountingLock:
    """A lock that counts the attempts to acquire it."""

    def __init__(self):
        self.came = threading.Semaphore(0)
        self.lock = threading.Lock()

    def __enter__(self):
        self.came.release()
        self.lock.acquire()

    def __exit__(self, *_):
        self.lock.release()


def test_one_explanation_serves_all_waiting_requests(monkeypatch):
    clock = FakeClock()
    throttle = Throttle(clock.monotonic, clock.sleep)
    lock = CountingLock()
    monkeypatch.setattr(throttle, "_lock", lock)
    begun, go_on = threading.Event(), threading.Event()
    computed, answers = [], []

    def compute():
        computed.append(1)
        begun.set()
        assert go_on.wait(PATIENCE_S)
        return len(computed)

    threads = [threading.Thread(target=lambda: answers.append(throttle(compute))) for _ in range(4)]
    for thread in threads:
        thread.start()
        assert lock.came.acquire(timeout=PATIENCE_S)
        assert begun.wait(PATIENCE_S)
    go_on.set()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert sorted(answers) == [1, 2, 2, 2], "the first began before the other requests"


def test_a_failure_affects_only_its_own_request():
    clock = FakeClock()
    throttle = Throttle(clock.monotonic, clock.sleep)
    with pytest.raises(ZeroDivisionError):
        throttle(lambda: 1 / 0)
    assert throttle(lambda: "well") == "well"
    assert clock.slept_s == [MIN_INTERVAL_S]


def test_too_many_waiting_requests_are_refused(fake_camera, monkeypatch):
    monkeypatch.setattr(explanations, "MAX_WAITING", 1)
    entered, leave = threading.Event(), threading.Event()

    def slow(pixels, faces):
        entered.set()
        assert leave.wait(PATIENCE_S)
        return [PNG] * len(faces)

    fake_camera.publish()
    app = create_app(fake_camera, AppOptions(explain=slow))
    codes = []
    first = threading.Thread(target=lambda: codes.append(app.test_client().get("/api/explain").status_code))
    first.start()
    assert entered.wait(PATIENCE_S)
    second = app.test_client().get("/api/explain")
    leave.set()
    first.join(PATIENCE_S)
    assert second.status_code == 429
    assert int(second.headers["Retry-After"]) > 0
    assert codes == [200]

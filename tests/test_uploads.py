"""Upload sessions: sequences of images identified by a key, and single images."""

from __future__ import annotations

import itertools
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from mien.analysis.face_stream import FaceStream
from mien.analysis.pipeline import Pipeline
from mien.analysis.uploads import EXPIRE_AFTER_S, MAX_SESSIONS, MAX_SIDE_PX, UploadSessions, analyze_image
from mien.errors import BusyError, ImageError, NotAnImageError
from mien.images.codecs import encode_jpeg, encode_png
from mien.types import Analysis, Box, Face
from tests.fakes import FakeClock
from tests.patience import PATIENCE_S, wait_for
from tests.test_openapi import check
from tests.test_pipeline import LEFT, RIGHT, BrightnessClassifier, ScriptedDetector, picture
from web import AppOptions, create_app

IMAGE = encode_png(picture(LEFT))
KEY = "browser-1"
EVEN = np.full(7, 1 / 7, np.float32)


class CountingStreams:
    """Makes streams with one face, whose number is the number of times the stream was used."""

    def __init__(self) -> None:
        self.times_s: list[float] = []
        self.error: Exception | None = None
        self.entered = threading.Event()
        self.leave = threading.Event()
        self.leave.set()

    def __call__(self) -> SimpleNamespace:
        used = itertools.count(1)

        def analyze(frame, time_s, **_) -> Analysis:
            self.entered.set()
            assert self.leave.wait(PATIENCE_S)
            if self.error is not None:
                raise self.error
            self.times_s.append(time_s)
            return Analysis(frame.width, frame.height, (Face(Box(0, 0, 9, 9), EVEN, EVEN, next(used)),))

        return SimpleNamespace(analyze=analyze)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def pipeline() -> CountingStreams:
    return CountingStreams()


@pytest.fixture
def sessions(pipeline, clock) -> UploadSessions:
    return UploadSessions(pipeline, clock)


def number(sessions: UploadSessions, key: str = KEY) -> int | None:
    return sessions.analyze(key, IMAGE).faces[0].id


def test_each_key_has_its_own_stream(sessions) -> None:
    assert [number(sessions, key) for key in (KEY, "other-key", KEY, KEY, "other-key")] == [1, 1, 2, 3, 2]


def test_each_key_counts_its_faces_from_1(clock) -> None:
    pipeline = Pipeline(ScriptedDetector([LEFT, RIGHT]), BrightnessClassifier())
    sessions = UploadSessions(lambda: FaceStream(pipeline), clock)
    for key in (KEY, "other-key"):
        assert [face.id for face in sessions.analyze(key, IMAGE).faces] == []
        assert [face.id for face in sessions.analyze(key, IMAGE).faces] == [1, 2]


def test_the_time_is_taken_from_the_server(sessions, pipeline, clock) -> None:
    for _ in range(3):
        number(sessions)
        clock.advance(0.5)
    assert pipeline.times_s == [100.0, 100.5, 101.0]


@pytest.mark.parametrize(("silent_s", "expected"), [(EXPIRE_AFTER_S - 0.1, 2), (EXPIRE_AFTER_S, 1)])
def test_an_idle_key_expires(sessions, clock, silent_s: float, expected: int) -> None:
    number(sessions)
    clock.advance(silent_s)
    assert number(sessions) == expected


def test_a_ninth_key_waits_until_another_expires(sessions, clock) -> None:
    for index in range(MAX_SESSIONS):
        number(sessions, f"client-{index}")
        clock.advance(1)
    with pytest.raises(BusyError, match="at most 8 keys") as error:
        number(sessions, "one-too-many")
    assert error.value.retry_in_s == pytest.approx(EXPIRE_AFTER_S - MAX_SESSIONS)
    assert number(sessions, "client-3") == 2, "a known key continues"
    clock.advance(error.value.retry_in_s)
    assert number(sessions, "one-too-many") == 1


@pytest.mark.parametrize("data", [b"", b"text", IMAGE[:60]])
def test_a_client_that_sent_no_image_takes_no_slot(sessions, data: bytes) -> None:
    for index in range(3 * MAX_SESSIONS):
        with pytest.raises(ImageError):
            sessions.analyze(f"client-{index}", data)
    assert number(sessions) == 1


def test_a_broken_image_does_not_reset_the_faces(sessions) -> None:
    number(sessions)
    with pytest.raises(NotAnImageError):
        sessions.analyze(KEY, b"text")
    assert number(sessions) == 2


def test_a_stream_whose_analysis_failed_is_not_used_again(sessions, pipeline) -> None:
    number(sessions)
    pipeline.error = RuntimeError("boom")
    with pytest.raises(RuntimeError):
        number(sessions)
    pipeline.error = None
    assert number(sessions) == 1


def test_a_key_has_one_image_at_a_time_while_others_continue(sessions, pipeline, clock) -> None:
    pipeline.leave.clear()
    numbers: list = []
    first = threading.Thread(target=lambda: numbers.append(number(sessions)))
    first.start()
    assert pipeline.entered.wait(PATIENCE_S)
    clock.advance(2 * EXPIRE_AFTER_S)  # it does not expire during a long analysis
    with pytest.raises(BusyError, match="one image of a key at a time"):
        number(sessions)
    pipeline.leave.set()
    first.join(PATIENCE_S)
    assert number(sessions, "other-key") == 1
    assert [*numbers, number(sessions)] == [1, 2]


def test_the_real_pipeline_keeps_numbers_and_smooths(clock) -> None:

    pipeline = Pipeline(ScriptedDetector([LEFT]), BrightnessClassifier())
    sessions = UploadSessions(lambda: FaceStream(pipeline), clock)
    faces = []
    for bright in [True] * 4 + [False]:
        image = encode_png(picture(LEFT) if bright else picture())
        faces.append(sessions.analyze(KEY, image).faces)
        clock.advance(0.05)
    assert [face.id for found in faces[1:4] for face in found] == [1, 1, 1]
    large = np.zeros((1200, 2400, 3), np.uint8)
    assert sessions.analyze(KEY, encode_png(large)).width == 2400, "another size is not an error"


# ---- over HTTP


@pytest.fixture
def client(fake_camera, sessions):
    return create_app(fake_camera, AppOptions(analyze=lambda _: Analysis(9, 9), follow=sessions.analyze)).test_client()


def post(client, query: str = f"?track={KEY}", data: bytes = IMAGE):
    answer = client.post(f"/api/analyze{query}", data=data, content_type="image/png")
    check(answer, "/api/analyze", "post")
    return answer


def test_with_a_key_faces_keep_their_numbers(client) -> None:
    assert [post(client).json["faces"][0]["id"] for _ in range(3)] == [1, 2, 3]
    assert post(client, "").json["faces"] == []


@pytest.mark.parametrize(
    "key",
    ["", "short", "x" * 65, "with space", "with%2Fslash", "line%0Abreak1", "end-of-line%0A", "caf%C3%A9-caf%C3%A9"],
)
def test_an_invalid_key_is_refused(client, key: str) -> None:
    assert post(client, f"?track={key}").status_code == 400


def test_a_key_is_for_one_image(client) -> None:
    from io import BytesIO

    data = {"image": [(BytesIO(IMAGE), "a.png"), (BytesIO(IMAGE), "b.png")]}
    answer = client.post(f"/api/analyze?track={KEY}", data=data, content_type="multipart/form-data")
    assert answer.status_code == 413
    assert "at most 1 image," in answer.json["error"]


def test_a_ninth_key_is_told_when_to_retry(client) -> None:
    for index in range(MAX_SESSIONS):
        assert post(client, f"?track=client-{index}").status_code == 200
    answer = post(client, "?track=one-too-many")
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) == EXPIRE_AFTER_S


def test_a_second_request_with_a_key_is_refused_while_the_first_is_pending(client, pipeline) -> None:
    pipeline.leave.clear()
    codes: list[int] = []
    first = threading.Thread(target=lambda: codes.append(post(client).status_code))
    first.start()
    assert pipeline.entered.wait(PATIENCE_S)
    assert post(client).status_code == 429
    pipeline.leave.set()
    first.join(PATIENCE_S)
    wait_for(lambda: codes == [200])


def test_without_upload_sessions_keys_are_refused(fake_camera) -> None:
    client = create_app(fake_camera, AppOptions(analyze=lambda _: Analysis(9, 9))).test_client()
    assert client.post(f"/api/analyze?track={KEY}", data=IMAGE, content_type="image/png").status_code == 404


class Finder:
    """Finds one face in the lower right quarter of every picture."""

    def analyze(self, frame):
        self.seen = (frame.width, frame.height)
        w, h = max(1, frame.width // 2), max(1, frame.height // 2)
        return Analysis(frame.width, frame.height, (Face(Box(frame.width - w, frame.height - h, w, h), EVEN, EVEN),))


@pytest.mark.parametrize(
    ("size", "seen", "box"),
    [
        ((320, 240), (320, 240), Box(160, 120, 160, 120)),
        ((3840, 2160), (1920, 1080), Box(1920, 1080, 1920, 1080)),
        ((3000, 4000), (1440, 1920), Box(1500, 2000, 1500, 2000)),
        ((1, 1), (1, 1), Box(0, 0, 1, 1)),
        ((1, 20_000), (1, 1920), Box(0, 10_000, 1, 10_000)),
    ],
)
def test_boxes_are_in_pixels_of_the_image_sent(size, seen, box):
    finder = Finder()
    analysis = analyze_image(encode_png(np.zeros((size[1], size[0], 3), np.uint8)), finder.analyze)
    assert (analysis.width, analysis.height) == size
    assert finder.seen == seen
    assert max(seen) <= MAX_SIDE_PX
    assert [face.box for face in analysis.faces] == [box]
    assert analysis.faces[0].id is None


@pytest.mark.parametrize("data", [b"", b"text", encode_jpeg(np.zeros((9, 9, 3), np.uint8))[:300]])
def test_an_incomplete_image_is_refused(data):
    with pytest.raises(ImageError):
        analyze_image(data, Finder().analyze)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (23, 24), (24, 24)])
def test_the_real_detector_accepts_the_smallest_and_narrowest_images(size):
    from mien.detectors import create_detector

    class Nobody:
        input_size_px = (48, 48)
        adjustment = None

        def predict(self, faces):
            return np.full((len(faces), 7), 1 / 7, np.float32)

    image = encode_png(np.zeros((size[1], size[0], 3), np.uint8))
    assert analyze_image(image, Pipeline(create_detector("haar"), Nobody()).analyze).faces == ()

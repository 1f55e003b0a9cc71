"""When the thorough stage of the default detector runs, in streams of made frames and times."""

import itertools
from unittest import mock

import pytest

from mien.analysis.face_stream import FaceStream
from mien.analysis.pipeline import Pipeline
from mien.analysis.thorough_schedule import LOST_AT_MOST_S, Need, ThoroughSchedule
from mien.types import Detection, Frame
from tests.test_pipeline import LEFT, RIGHT, BrightnessClassifier, picture

FRAME_S = 1 / 30


class TwoStages:
    """Proposes some of the faces that are there; `thorough_at` counts the frames searched in full."""

    name = "two stages"

    def __init__(self, proposed=(), all_faces=()):
        self.proposed = [Detection(b.x, b.y, b.w, b.h, "quick") for b in proposed]
        self.all_faces = [Detection(b.x, b.y, b.w, b.h, "thorough") for b in all_faces]
        self.searched = 0
        self.completed = 0

    def propose(self, pixels_bgr):
        self.searched += 1
        return self.proposed

    def complete(self, pixels_bgr, proposed):
        self.completed += 1
        return [*proposed, *(face for face in self.all_faces if face not in proposed)]

    def detect(self, pixels_bgr):
        return self.complete(pixels_bgr, self.propose(pixels_bgr))


def run(detector, seconds, *, fps=30, live=False, start_s=0.0, stream=None):
    """The faces of each frame; live: detection is deferred and runs after each frame."""
    stream = stream or FaceStream(Pipeline(detector, BrightnessClassifier()), defer_detection=live)
    shown = []
    with mock.patch.object(ThoroughSchedule, "ran", fast):
        for i in range(round(seconds * fps)):
            shown.append(stream.analyze(Frame(picture(LEFT, RIGHT), i), start_s + i / fps).faces)
            if live:
                stream.detect_deferred()
    return shown


def fast(schedule, need, time_s, took_s, ran=ThoroughSchedule.ran):
    """As if the thorough stage took at most two milliseconds, on a busy computer too."""
    ran(schedule, need, time_s, min(took_s, 0.002))


@pytest.mark.parametrize("live", [False, True])
def test_a_face_that_is_never_proposed_is_reported_and_stays(live):
    shown = run(TwoStages([], [LEFT]), 6, live=live)
    start = 3 if live else 1
    assert all([face.found_by for face in faces] == ["thorough"] for faces in shown[start:])
    assert {face.id for faces in shown for face in faces} == {1}
    assert not any(face.missed for faces in shown for face in faces)


@pytest.mark.parametrize("live", [False, True])
def test_with_all_faces_proposed_the_thorough_stage_runs_now_and_then(live):
    detector = TwoStages([LEFT], [])
    shown = run(detector, 9, live=live)
    assert [face.found_by for face in shown[-1]] == ["quick"]
    assert 5 <= detector.completed <= 8
    assert detector.searched > 2 * detector.completed


@pytest.mark.parametrize("live", [False, True])
def test_without_faces_the_thorough_stage_runs_about_twice_a_second(live):
    detector = TwoStages()
    assert not any(run(detector, 6, live=live))
    assert 10 <= detector.completed <= 13
    assert detector.searched >= 50


def test_another_face_that_only_the_thorough_stage_finds_appears_within_two_seconds():
    detector = TwoStages([LEFT], [])
    stream = FaceStream(Pipeline(detector, BrightnessClassifier()))
    run(detector, 2, stream=stream)
    detector.all_faces = [Detection(RIGHT.x, RIGHT.y, RIGHT.w, RIGHT.h, "thorough")]
    shown = run(detector, 2, start_s=2, stream=stream)
    assert [face.found_by for face in shown[-1]] == ["quick", "thorough"]


def test_a_face_that_is_gone_for_both_stages_is_missed_and_then_forgotten():
    detector = TwoStages([LEFT], [])
    stream = FaceStream(Pipeline(detector, BrightnessClassifier()))
    run(detector, 2, stream=stream)
    detector.proposed = []
    shown = run(detector, 3, start_s=2, stream=stream)
    assert any(face.missed for faces in shown for face in faces)
    assert shown[-1] == ()


def test_the_picture_is_shown_before_the_thorough_stage_runs_in_a_live_stream():
    detector = TwoStages([], [LEFT])
    stream = FaceStream(Pipeline(detector, BrightnessClassifier()), defer_detection=True)
    assert stream.analyze(Frame(picture(LEFT)), 0.0).faces == ()
    assert (detector.searched, detector.completed) == (1, 0)
    stream.detect_deferred()
    assert (detector.searched, detector.completed) == (1, 1)


def test_another_detector_while_the_thorough_stage_is_deferred_does_no_harm():
    pipeline = Pipeline(TwoStages([LEFT], [RIGHT]), BrightnessClassifier())
    stream = FaceStream(pipeline, defer_detection=True)
    stream.analyze(Frame(picture(LEFT)), 0.0)
    pipeline.detector = type("OneStage", (), {"name": "one", "detect": lambda _, pixels: [LEFT]})()
    stream.detect_deferred()
    assert [face.found_by for face in stream.analyze(Frame(picture(LEFT)), 0.5).faces] == [None]


def test_the_same_frames_and_times_give_the_same_runs_whatever_they_cost():
    def runs(costs):
        schedule, ran, cost = ThoroughSchedule(share=None), [], itertools.cycle(costs)
        for i in range(300):
            need = Need.SEARCH if i < 150 else Need.ROUTINE
            if schedule.is_due(need, i * FRAME_S):
                schedule.ran(need, i * FRAME_S, next(cost))
                ran.append(i)
        return ran

    assert runs([0.0]) == runs([0.5, 9.0])


@pytest.mark.parametrize(
    ("need", "took_s", "pause_s"),
    [
        (Need.SEARCH, 0.02, 0.5),
        (Need.SEARCH, 0.1, 1.0),
        (Need.ROUTINE, 0.02, 1.5),
        (Need.ROUTINE, 0.3, 3.0),
        (Need.LOST, 0.02, 0.2),
        (Need.LOST, 0.3, LOST_AT_MOST_S),
        (Need.NEW, 0.3, 0.0),
    ],
)
def test_in_a_live_stream_the_pause_grows_with_the_cost(need, took_s, pause_s):
    schedule = ThoroughSchedule(share=0.1)
    assert schedule.is_due(need, 50.0), "the first time at once"
    schedule.ran(Need.SEARCH, 50.0, took_s)
    if pause_s:
        assert not schedule.is_due(need, 50.0 + pause_s - 0.02)
    assert schedule.is_due(need, 50.0 + pause_s + 0.001)


def test_a_new_face_is_confirmed_at_once_but_only_once_and_both_runs_count():
    schedule = ThoroughSchedule(share=0.1)
    schedule.ran(Need.SEARCH, 1.0, 0.03)
    assert schedule.is_due(Need.NEW, 1.0 + FRAME_S)
    schedule.ran(Need.NEW, 1.0 + FRAME_S, 0.03)
    assert not schedule.is_due(Need.NEW, 1.0 + 2 * FRAME_S)
    assert not schedule.is_due(Need.LOST, 1.5)
    assert schedule.is_due(Need.LOST, 1.7)


def test_a_clock_set_back_does_not_stop_the_thorough_stage():
    schedule = ThoroughSchedule(share=None)
    schedule.ran(Need.SEARCH, 3600.0, 0.03)
    assert schedule.is_due(Need.ROUTINE, 10.0)

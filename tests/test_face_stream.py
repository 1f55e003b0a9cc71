"""FaceStream: the state kept from one frame of a stream to the next, and the state dropped."""

import itertools

import numpy as np
import pytest

from mien.analysis.face_stream import FaceStream
from mien.analysis.pipeline import Pipeline
from mien.analysis.tracker import DETECT_EVERY_S
from mien.images.resize import roll_deg
from mien.types import EXPRESSIONS, Detection, Frame
from tests.test_pipeline import LEFT, RIGHT, BrightnessClassifier, ScriptedDetector, picture


def stream_of(*detections, classifier=None, unsure_below=0.5, **options):
    classifier = classifier or BrightnessClassifier()
    pipeline = Pipeline(ScriptedDetector(*detections), classifier, unsure_below=unsure_below, min_quality=0)
    return FaceStream(pipeline, **options)


def test_probabilities_are_smoothed_and_raw_values_kept():
    stream = stream_of([LEFT])
    for i in range(10):
        analysis = stream.analyze(Frame(picture(LEFT), i), i / 30)
    assert set(analysis.timing_ms) == {"track", "detect", "classify", "assess"}
    (face,) = stream.analyze(Frame(picture(), 10), 10 / 30).faces
    assert face.id == 1
    assert EXPRESSIONS[int(face.raw.argmax())] == "sad"
    assert face.label == "happy", "one odd frame does not change the label"


def test_a_face_is_cropped_by_the_landmarks_of_its_detection():
    points = ((40, 50), (60, 60), (50, 60), (35, 70), (55, 80))
    detection = Detection(LEFT.x, LEFT.y, LEFT.w, LEFT.h, "eyes", points)
    stream = stream_of([detection])
    for i in range(2):
        (*_, face) = stream.analyze(Frame(picture(LEFT), i), i / 30).faces or [None]
    assert face.box == detection
    assert roll_deg(face.box) == pytest.approx(20.6, abs=0.1)


@pytest.mark.parametrize(("unsure_below", "unsure"), [(0.0, False), (0.93, False), (0.95, True), (1.0, True)])
def test_a_low_confidence_is_unsure(unsure_below, unsure):
    stream = stream_of([LEFT], unsure_below=unsure_below)
    for i in range(2):
        analysis = stream.analyze(Frame(picture(LEFT), i), i / 30)
    assert [(face.label, face.unsure) for face in analysis.faces] == [("happy", unsure)]


def test_label_and_confidence_belong_to_one_expression_during_a_change():
    stream, shown = stream_of([LEFT]), []
    for i in range(60):
        frame = Frame(picture(LEFT) if i < 30 else picture(), i)
        for face in stream.analyze(frame, i / 30).faces:
            assert face.confidence == pytest.approx(face.probabilities[EXPRESSIONS.index(face.label)])
            shown.append(face.label)
    assert shown == sorted(shown)
    assert set(shown) == {"happy", "sad"}


def test_a_missed_detection_is_bridged():
    stream = stream_of([LEFT], [LEFT], [], [LEFT])
    assert [len(stream.analyze(Frame(picture(), i), i / 30).faces) for i in range(4)] == [0, 1, 1, 1]


def test_a_missed_face_keeps_its_expression_and_its_region_is_not_classified():
    classifier = BrightnessClassifier()
    stream = stream_of([LEFT], [LEFT], [], [LEFT], classifier=classifier)
    _, (seen,), *missed, _, (found,) = [
        stream.analyze(Frame(pixels), i / 10).faces for i, pixels in enumerate([picture(LEFT)] * 2 + [picture()] * 4)
    ]
    assert [(face.label, face.missed) for face in (seen, found)] == [("happy", False), ("sad", False)]
    assert [(face.id, face.label, face.missed) for (face,) in missed] == [(1, "happy", True)] * 2
    assert all((face.probabilities == seen.probabilities).all() for (face,) in missed)
    assert [count for count, *_ in classifier.calls] == [0, 1, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("size", "opening", "expected"),
    [((320, 240), 1, 1), ((321, 240), 1, 2), ((320, 200), 1, 2), ((320, 240), 2, 2)],
    ids=["the same", "wider", "lower", "opened again"],
)
def test_another_size_or_opening_starts_new_faces_and_reuses_no_number(size, opening, expected):
    stream = stream_of([LEFT])
    for i in range(3):
        (*_, last) = [stream.analyze(Frame(picture(LEFT), i, stream=1), i / 30).faces]
    assert [face.id for face in last] == [1]
    for i in range(3, 6):
        frame = Frame(picture(LEFT, width=size[0], height=size[1]), i, stream=opening)
        faces = stream.analyze(frame, i / 30).faces
    assert [face.id for face in faces] == [expected]


@pytest.mark.parametrize("part", ["detector", "classifier"])
def test_after_a_failure_the_stream_starts_anew(part):
    stream = stream_of([LEFT])
    for i in range(3):
        stream.analyze(Frame(picture(LEFT), i), i / 30)
    pipeline = stream._pipeline
    working, broken = getattr(pipeline, part), object()
    setattr(pipeline, part, broken)
    with pytest.raises(AttributeError):
        stream.analyze(Frame(picture(LEFT)), 3 / 30 + DETECT_EVERY_S)
    setattr(pipeline, part, working)
    shown = [[face.id for face in stream.analyze(Frame(picture(LEFT)), 1 + i / 30).faces] for i in range(2)]
    assert shown == [[], [2]]


def test_the_same_frames_at_the_same_times_give_the_same_faces():
    def faces():
        stream = stream_of([LEFT], [LEFT, RIGHT], [RIGHT])
        return [stream.analyze(Frame(picture(LEFT), i, captured_at=np.random.rand()), i / 25).faces for i in range(40)]

    for one, other in zip(faces(), faces(), strict=True):
        assert [(face.id, face.box, face.label, face.missed) for face in one] == [
            (face.id, face.box, face.label, face.missed) for face in other
        ]
        assert all(
            (a.probabilities == b.probabilities).all() and (a.raw == b.raw).all()
            for a, b in zip(one, other, strict=True)
        )


def test_a_deferred_detection_runs_after_the_frame_is_shown():
    stream = stream_of([LEFT], [LEFT], [LEFT, RIGHT], defer_detection=True)
    detector = stream._pipeline.detector
    pixels = picture(LEFT)
    for i in range(2):
        assert len(stream.analyze(Frame(pixels), i / 30).faces) == i, (
            "without a known face detection cannot be deferred"
        )
        stream.detect_deferred()
    due_s = 1 / 30 + DETECT_EVERY_S
    assert len(stream.analyze(Frame(pixels), due_s).faces) == 1
    assert len(detector.rows) == 1
    stream.detect_deferred()
    stream.detect_deferred()  # done already
    analysis = stream.analyze(Frame(pixels), due_s + 1 / 30)
    assert analysis.timing_ms["detect"] > 0, "its duration is reported with the next frame"
    assert len(analysis.faces) == 1, "the new face is not confirmed yet"
    stream.detect_deferred()
    assert len(stream.analyze(Frame(pixels), due_s + 2 / 30).faces) == 2


def test_a_deferred_detection_that_never_ran_is_pending_in_the_next_frame():
    stream = stream_of([LEFT], [LEFT], [RIGHT], defer_detection=True)
    for i in range(20):
        (*_, last) = [stream.analyze(Frame(picture(LEFT)), i / 30).faces]
    assert [face.id for face in last] == [1]
    stream.detect_deferred()
    assert [face.missed for face in stream.analyze(Frame(picture(LEFT)), 20 / 30).faces] == [True]


def test_streams_that_share_numbers_use_none_of_them_twice():
    numbers = itertools.count(1)
    for expected in (1, 2):
        stream = stream_of([LEFT], numbers=numbers)
        shown = [stream.analyze(Frame(picture(LEFT), i), i / 30).faces for i in range(3)]
        assert [face.id for face in shown[-1]] == [expected]

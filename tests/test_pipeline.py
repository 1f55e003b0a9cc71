import threading

import numpy as np
import pytest

from mien.analysis.pipeline import Pipeline
from mien.analysis.tracker import DETECT_EVERY_S, Tracker
from mien.types import EXPRESSIONS, Box, Frame


class ScriptedDetector:
    name = "scripted"

    def __init__(self, *rows):
        self.rows = list(rows)

    def detect(self, pixels_bgr):
        return self.rows.pop(0) if len(self.rows) > 1 else self.rows[0]


class BrightnessClassifier:
    """Bright faces are happy, dark ones sad."""

    input_size_px = (48, 48)

    def __init__(self):
        self.calls = []
        self.busy = threading.Lock()

    def predict(self, faces):
        assert self.busy.acquire(blocking=False), "two threads at once"
        self.calls.append(faces.shape)
        out = np.full((len(faces), 7), 0.01, np.float32)
        for row, face in zip(out, faces, strict=True):
            row[EXPRESSIONS.index("happy" if face.mean() > 127 else "sad")] = 0.94
        self.busy.release()
        return out


def picture(*bright_boxes, width=320, height=240):
    pixels = np.zeros((height, width, 3), np.uint8)
    for box in bright_boxes:
        pixels[box.y : box.y + box.h, box.x : box.x + box.w] = 255
    return pixels


LEFT, RIGHT = Box(20, 30, 60, 60), Box(200, 100, 80, 80)


def test_a_frame_alone_has_faces_without_numbers():
    classifier = BrightnessClassifier()
    analysis = Pipeline(ScriptedDetector([LEFT, RIGHT]), classifier).analyze(Frame(picture(RIGHT)))
    assert [(face.box, face.label, face.id) for face in analysis.faces] == [(LEFT, "sad", None), (RIGHT, "happy", None)]
    assert (analysis.width, analysis.height) == (320, 240)
    assert classifier.calls == [(2, 48, 48)], "all faces of a frame go in one call"
    assert set(analysis.timing_ms) == {"detect", "track", "classify"}


def test_no_face_gives_an_empty_analysis():
    assert Pipeline(ScriptedDetector([]), BrightnessClassifier()).analyze(Frame(picture())).faces == ()


def test_with_a_tracker_probabilities_are_smoothed_and_raw_stays():
    pipeline, tracker = Pipeline(ScriptedDetector([LEFT]), BrightnessClassifier()), Tracker()
    for i in range(10):
        pipeline.analyze(Frame(picture(LEFT), i, captured_at=i / 30), tracker)
    (face,) = pipeline.analyze(Frame(picture(), 10, captured_at=10 / 30), tracker).faces
    assert face.id == 1
    assert EXPRESSIONS[int(face.raw.argmax())] == "sad"
    assert face.label == "happy", "one odd frame does not change the label"


@pytest.mark.parametrize(("unsure_below", "unsure"), [(0.0, False), (0.93, False), (0.95, True), (1.0, True)])
@pytest.mark.parametrize("make_tracker", [Tracker, lambda: None])
def test_a_low_confidence_is_unsure(unsure_below, unsure, make_tracker):
    pipeline = Pipeline(ScriptedDetector([LEFT]), BrightnessClassifier(), unsure_below=unsure_below)
    tracker = make_tracker()
    for i in range(2):
        analysis = pipeline.analyze(Frame(picture(LEFT), i, captured_at=i / 30), tracker)
    assert [(face.label, face.unsure) for face in analysis.faces] == [("happy", unsure)]


def test_label_and_confidence_are_of_one_expression_while_it_changes():
    pipeline, tracker = Pipeline(ScriptedDetector([LEFT]), BrightnessClassifier()), Tracker()
    shown = []
    for i in range(60):
        frame = Frame(picture(LEFT) if i < 30 else picture(), i, captured_at=i / 30)
        for face in pipeline.analyze(frame, tracker).faces:
            assert face.confidence == pytest.approx(face.probabilities[EXPRESSIONS.index(face.label)])
            shown.append(face.label)
    assert shown == sorted(shown)
    assert set(shown) == {"happy", "sad"}


def test_a_missed_detection_is_bridged():
    pipeline, tracker = Pipeline(ScriptedDetector([LEFT], [LEFT], [], [LEFT]), BrightnessClassifier()), Tracker()
    shown = [len(pipeline.analyze(Frame(picture(), i, captured_at=i / 30), tracker).faces) for i in range(4)]
    assert shown == [0, 1, 1, 1]


def test_a_missed_face_keeps_its_expression_and_what_is_in_its_place_is_not_classified():
    classifier = BrightnessClassifier()
    pipeline, tracker = Pipeline(ScriptedDetector([LEFT], [LEFT], [], [LEFT]), classifier), Tracker()
    _, (seen,), *missed, _, (found,) = [
        pipeline.analyze(Frame(pixels, captured_at=i / 10), tracker).faces
        for i, pixels in enumerate([picture(LEFT)] * 2 + [picture()] * 4)
    ]
    assert [(face.label, face.missed) for face in (seen, found)] == [("happy", False), ("sad", False)]
    assert [(face.id, face.label, face.missed) for (face,) in missed] == [(1, "happy", True)] * 2
    assert all((face.probabilities == seen.probabilities).all() for (face,) in missed)
    assert [count for count, *_ in classifier.calls] == [0, 1, 0, 0, 1, 1]


def test_threads_take_turns():
    pipeline = Pipeline(ScriptedDetector([LEFT]), BrightnessClassifier())
    faults = []

    def work():
        try:
            for _ in range(50):
                pipeline.analyze(Frame(picture(LEFT)))
        except AssertionError as error:
            faults.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults


def test_a_postponed_search_is_done_once_the_frame_is_shown():
    detector = ScriptedDetector([LEFT], [LEFT], [LEFT, RIGHT])
    pipeline, tracker = Pipeline(detector, BrightnessClassifier()), Tracker(postpones=True)
    pixels = picture(LEFT)
    for i in range(2):
        assert len(pipeline.analyze(Frame(pixels, captured_at=i / 30), tracker).faces) == i
        assert not tracker.postponed, "without a face to show the search can not wait"
    due = Frame(pixels, captured_at=1 / 30 + DETECT_EVERY_S)
    analysis = pipeline.analyze(due, tracker)
    assert (len(analysis.faces), len(detector.rows)) == (1, 1)
    assert tracker.postponed
    pipeline.search(due, tracker)
    assert not tracker.postponed
    after = Frame(pixels, captured_at=due.captured_at + 1 / 30)
    assert pipeline.analyze(after, tracker).timing_ms["detect"] > 0, "what it took is told with the next frame"
    assert tracker.postponed, "the new face is not confirmed yet"
    pipeline.search(after, tracker)
    assert len(tracker.faces()) == 2

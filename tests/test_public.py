"""The Python API: `import mien` and its names."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

import mien
from mien.errors import ImageError, MienError, SourceMissingError
from mien.results import COLUMNS, Result
from mien.sources.demo import DemoSource
from mien.types import EXPRESSIONS, Box, Face
from tests.media import SHARED

ROOT = Path(__file__).resolve().parent.parent
CLIP = SHARED / "media" / "expressions.mp4"


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """Two seconds of the demo with one face as a video: 60 frames, 30 a second."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30, (640, 480))
    demo = DemoSource(count=1, paced=False)
    for frame in islice(iter(demo.read, None), 60):
        writer.write(frame.pixels_bgr)
    writer.release()
    return path


@pytest.fixture(scope="module")
def picture_bgr() -> np.ndarray:
    return DemoSource(count=1, paced=False).read().pixels_bgr


@pytest.fixture
def picture_file(tmp_path, picture_bgr) -> Path:
    path = tmp_path / "face.png"
    cv2.imwrite(str(path), picture_bgr)
    return path


def face(expression: str = "happy", number: int | None = 1) -> Face:
    probabilities = np.full(7, 0.05, np.float32)
    probabilities[EXPRESSIONS.index(expression)] = 0.7
    return Face(Box(1, 2, 30, 40), probabilities, probabilities, id=number)


def test_importing_mien_loads_neither_opencv_nor_tensorflow_nor_flask():
    script = "import sys, mien; print(sorted({'cv2', 'keras', 'tensorflow', 'flask', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_all_public_names_are_accessible_and_others_refused():
    assert [getattr(mien, name) for name in mien.__all__]
    assert set(mien.__all__) <= set(dir(mien))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mien.nothing  # noqa: B018


def test_an_image_gives_the_same_result_as_path_bytes_and_pixels(picture_file, picture_bgr):
    results = [
        mien.analyze_image(image) for image in (picture_file, str(picture_file), picture_file.read_bytes(), picture_bgr)
    ]
    boxes = [[each.to_dict()["box"] for each in result.faces] for result in results]
    assert [len(found) for found in boxes] == [1, 1, 1, 1]
    assert boxes.count(boxes[0]) == 4
    assert [result.input for result in results] == [str(picture_file), str(picture_file), None, None]
    assert (results[0].width, results[0].height) == (640, 480)


def test_a_gray_image_is_accepted(picture_bgr):
    assert len(mien.analyze_image(cv2.cvtColor(picture_bgr, cv2.COLOR_BGR2GRAY)).faces) == 1


@pytest.mark.parametrize(
    ("image", "error", "words"),
    [
        ("missing.png", SourceMissingError, "found no file missing.png"),
        (b"", ImageError, "nothing"),
        (b"no image at all, but text", ImageError, "expected a JPEG"),
        (np.zeros((4, 4, 3), np.float32), ValueError, "uint8"),
        (np.zeros((4, 4, 4), np.uint8), ValueError, "height, width, 3"),
        (np.zeros((0, 0), np.uint8), ValueError, "height, width, 3"),
    ],
)
def test_invalid_images_are_refused_with_what_was_expected(image, error, words):
    with pytest.raises(error, match=words):
        mien.analyze_image(image)


def test_a_folder_given_as_an_image_is_refused(tmp_path):
    with pytest.raises(SourceMissingError, match="cannot be read"):
        mien.analyze_image(tmp_path)


def test_every_frame_of_a_video_has_a_result_in_media_time(clip):
    results = list(mien.analyze_video(clip))
    assert [result.frame for result in results] == list(range(60))
    assert [result.time_s for result in results] == pytest.approx([i / 30 for i in range(60)], abs=1e-3)
    numbers = {each.id for result in results for each in result.faces}
    assert numbers == {1}


def test_a_video_analyzed_twice_gives_the_same_values(clip):
    one, other = (json.dumps([result.to_dict() for result in mien.analyze_video(clip)]) for _ in range(2))
    assert one == other


def test_fps_samples_frames_evenly_in_media_time(clip):
    results = list(mien.analyze_video(clip, fps=5))
    assert [result.frame for result in results] == [0, 6, 12, 18, 24, 30, 36, 42, 48, 54]


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_an_invalid_rate_is_refused(clip, fps):
    with pytest.raises(ValueError, match="fps: expected a number above 0"):
        list(mien.analyze_video(clip, fps=fps))


def test_a_file_that_is_not_a_video_is_refused(tmp_path):
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    for path in (text, tmp_path, tmp_path / "missing.mp4"):
        with pytest.raises(SourceMissingError, match="expected a video"):
            next(mien.analyze_video(path))


def test_a_result_becomes_plain_types():
    result = Result("a.png", 0, 0.0, 640, 480, (face(),))
    described = json.loads(json.dumps(result.to_dict()))
    assert described["faces"][0]["label"] == "happy"
    assert described["faces"][0]["box"] == {"x": 1, "y": 2, "w": 30, "h": 40}
    assert list(described["faces"][0]["probabilities"]) == list(EXPRESSIONS)


def test_a_table_has_a_row_for_each_face_and_for_each_picture_without_one():
    results = [
        Result("a.mp4", 0, 0.0, 64, 48, (replace(face("happy", 1), people_share=0.6), face("sad", 2))),
        Result("a.mp4", 1, 0.04, 64, 48, ()),
    ]
    table = mien.to_frame(iter(results))
    assert list(table.columns) == list(COLUMNS)
    assert table["success"].tolist() == [1, 1, 0]
    assert table["face"].tolist()[:2] == [1, 2]
    assert table["label"].tolist()[:2] == ["happy", "sad"]
    assert table.loc[0, "happy"] == pytest.approx(0.7)
    assert table["people_share"].tolist() == pytest.approx([0.6, float("nan"), float("nan")], nan_ok=True)
    assert table.loc[2, ["face", "x", "label", "happy"]].isna().all()
    assert len(mien.to_frame(results[0])) == 2
    assert mien.to_frame([]).empty


def test_without_pandas_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MienError, match="pip install pandas"):
        mien.to_frame([])


def test_a_camera_gives_annotated_frames():
    with mien.open_camera("demo") as camera:
        assert camera.get_frame().startswith(b"\xff\xd8")


@pytest.mark.shared
@pytest.mark.skipif(not CLIP.exists(), reason="../shared/media/expressions.mp4 is missing")
def test_every_frame_of_the_real_clip_has_a_row():
    table = mien.to_frame(mien.analyze_video(CLIP, fps=4))
    assert table["success"].mean() > 0.95
    assert table["label"].value_counts().idxmax() in ("happy", "sad")

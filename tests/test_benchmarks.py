"""The figures of the benchmarks, on inputs whose results are known."""

import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import batch_cost, faces, quality
from benchmarks.batch import differences
from benchmarks.batch_media import write_images, write_looped
from benchmarks.detector_cost import empty_frames
from benchmarks.latency import first_and_last
from benchmarks.loops import CLIP, boxes_right, clip_frames
from benchmarks.runtimes import compare_answers
from benchmarks.steadiness import changes, delays
from mien.batch.frames import read_frames
from mien.cnn.convert import convert
from mien.detectors import HaarDetector
from mien.types import Box
from model import FacialExpressionModel
from tests.clips import demo_pictures, write_video
from tests.synthetic import write_folders
from training.data.dataset import load_dataset
from training.evaluate.frames import Shown, face_paths, frames_with_faces

FPS = 20


@pytest.mark.parametrize(("labels", "expected"), [("", 0), ("a", 0), ("aaaa", 0), ("aabba", 2), ("abab", 3)])
def test_changes_are_counted(labels, expected):
    assert changes(labels) == expected


@pytest.mark.parametrize(
    ("raw", "shown", "expected"),
    [
        ("a" * 60, "a" * 60, []),
        ("a" * 20 + "b" * 40, "a" * 20 + "b" * 40, []),
        ("a" * 20 + "b" * 40, "a" * 26 + "b" * 34, [0.3]),
        ("a" * 20 + "b" * 40, "a" * 60, [float("inf")]),
        ("a" * 20 + "b" * 14 + "a" * 26, "a" * 60, []),
        ("a" * 20 + "bbbbbabbbb" + "b" * 20, "a" * 22 + "b" * 28, [0.1]),
        ("a" * 20 + "b" * 30 + "c" * 30, "a" * 24 + "b" * 31 + "c" * 25, [0.2, 0.25]),
        ("a" * 56 + "b" * 4, "a" * 60, []),
    ],
)
def test_delays_of_lasting_changes_are_measured(raw, shown, expected):
    assert delays(raw, shown, [i / FPS for i in range(len(raw))]) == pytest.approx(expected)


@pytest.mark.parametrize(("confidence", "expected"), [(0.9, [0.3]), (0.5, [])])
def test_only_delays_of_clear_changes_are_measured(confidence, expected):
    raw, shown = "a" * 20 + "b" * 40, "a" * 26 + "b" * 34
    found = delays(raw, shown, [i / FPS for i in range(60)], [confidence] * 60, 0.6)
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("found", "flat"),
    [
        ([20.0] * 300, 1),
        ([20.0, 90.0, 25.0] * 100, 1),
        ([20.0 + i for i in range(300)], 0),
        ([20.0] * 200 + [200.0] * 100, 0),
        ([], 0),
    ],
)
def test_a_growing_delay_is_detected(found, flat):
    assert first_and_last("delay", found)["delay_flat"] == flat


@pytest.mark.shared
@pytest.mark.skipif(not CLIP.is_file(), reason=f"there is no {CLIP}")
def test_missing_or_displaced_boxes_count_as_wrong():
    frames = clip_frames(320, 180, 2)
    found = [HaarDetector(search_side_px=10_000).detect(pixels) for pixels in frames]
    assert all(found)
    assert boxes_right(frames, found) == 1
    assert boxes_right(frames, [found[0], []]) == 0.5
    assert boxes_right(frames, [[replace(box, x=box.x + box.w // 2) for box in row] for row in found]) == 0
    assert boxes_right([np.zeros((180, 320, 3), np.uint8)], [[]]) == 0, "no faces to find"


def test_a_precision_is_within_the_limits_only_if_it_keeps_the_labels(tmp_path, capsys):
    model = FacialExpressionModel(runtime="keras")
    dataset = load_dataset(write_folders(tmp_path, train=1, public=3))
    right = convert(model.network, "the network", "float32")
    bias = model.network.layers[-1].bias
    trained = np.asarray(bias)
    bias.assign(trained + 5 * np.arange(7, dtype=np.float32))
    wrong = convert(model.network, "the network", "float32")
    bias.assign(trained)
    compare_answers(model, {"right": right, "wrong": wrong}, dataset)
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[4:]]
    assert {row[0]: row[-1] for row in rows} == {"Keras": "yes", "right": "yes", "wrong": "no"}


class DiffersFromCorner:
    """Finds what differs from the frame's corner, so a face on plain gray; nothing on other backgrounds."""

    name = "corner"

    def detect(self, pixels_bgr):
        rows, columns = (pixels_bgr[..., 0] != pixels_bgr[0, 0, 0]).nonzero()
        if len(rows) == 0 or np.ptp(rows) > 300:
            return []
        return [Box(int(columns.min()), int(rows.min()), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1)]


def test_faces_found_are_counted_by_size_turn_and_light(tmp_path):
    paths = face_paths(write_folders(tmp_path), "test/*/PrivateTest_*")
    found = faces.measure(DiffersFromCorner(), paths, faces=6, empty=8)
    assert found.shares == dict.fromkeys(faces.CONDITIONS, 1 / 3), "a third of the backgrounds is plain"
    assert found.false == 0
    assert found.median_ms > 0
    assert len(found.cells()) == len(faces.CONDITIONS) + 3


def test_false_boxes_are_counted_in_a_hundred_frames(tmp_path):
    class Always(DiffersFromCorner):
        def detect(self, pixels_bgr):
            return [Box(0, 0, 9, 9), Box(9, 0, 9, 9)]

    paths = face_paths(write_folders(tmp_path), "test/*/PrivateTest_*")
    found = faces.measure(Always(), paths, faces=3, empty=4)
    assert found.false == 200
    assert set(found.shares.values()) == {0}


def test_a_turned_face_keeps_its_center_and_a_dark_frame_its_face(tmp_path):
    paths = face_paths(write_folders(tmp_path), "test/*/PrivateTest_*")

    def frames(shown):
        return list(frames_with_faces(paths, 4, np.random.default_rng(0), shown))

    plain, turned, dark = frames(Shown(120)), frames(Shown(120, turned_deg=20)), frames(Shown(120, brightness=0.5))
    for one, other, half in zip(plain, turned, dark, strict=True):
        assert one.box == other.box == half.box
        assert (one.pixels_bgr != other.pixels_bgr).any()
        row, column = one.box.y + 60, one.box.x + 60
        assert abs(int(one.pixels_bgr[row, column, 0]) - int(other.pixels_bgr[row, column, 0])) < 40
        np.testing.assert_allclose(half.pixels_bgr, one.pixels_bgr / 2, atol=0.51)


@pytest.mark.parametrize("wrong", [{"face_px": 480}, {"face_px": 0}, {"brightness": 0}, {"brightness": 1.5}])
def test_a_face_must_fit_into_its_frame(wrong):
    with pytest.raises(ValueError, match="found"):
        Shown(**wrong)


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([], (0, 0)),
        (faces.IN_GROUP, (5, 0)),
        ([*faces.IN_GROUP[:3], Box(0, 0, 50, 50)], (3, 1)),
        ([faces.IN_GROUP[0], faces.IN_GROUP[0]], (1, 1)),
    ],
)
def test_the_five_faces_of_the_photo_count_once(boxes, expected):
    assert faces.in_group(boxes) == expected


def test_a_scene_without_faces_stays_and_has_noise():
    first, second, *_ = frames = empty_frames(320, 180, 5)
    assert len(frames) == 5
    assert (first != second).any()
    assert abs(first.astype(int) - second).mean() < 10
    assert HaarDetector().detect(first) == []


def test_the_quality_of_a_face_is_measured_at_each_size():
    found = quality.measure(calls=3)
    assert tuple(found) == quality.SIDES_PX
    assert min(found.values()) > 0


def test_the_cost_of_many_hours_follows_from_speed_and_price(capsys):
    assert batch_cost.main(["--frames-per-second", "150", "--price", "0.05", "--workers", "100"]) == 0
    printed = capsys.readouterr().out
    page = (Path(__file__).parent.parent / "docs" / "cluster.md").read_text(encoding="utf-8")
    assert textwrap.indent(printed, "    ") in page
    assert "1,667 core hours\nwith 100 workers: 16.7 hours\nat 0.05 for a core hour: 83.33\n" in printed


@pytest.mark.parametrize("words", [["--frames-per-second", "0"], ["--frames-per-second", "9", "--workers", "0"]])
def test_a_cost_that_cannot_be_computed_is_one_line(capsys, words):
    with pytest.raises(SystemExit) as ended:
        batch_cost.main(words)
    assert ended.value.code == 2
    assert f"{words[-2]}: expected a" in capsys.readouterr().err.splitlines()[-1]


def test_a_looped_video_has_the_frames_of_the_clip_again_and_again(tmp_path):
    clip = write_video(tmp_path / "clip.mp4", demo_pictures(20), codec="libx264", options={"bf": "2"})
    frames = write_looped(tmp_path / "long.mp4", clip, minutes=0.05)
    found = list(read_frames(tmp_path / "long.mp4"))
    assert len(found) == frames == 80, "four times 0.8 seconds and a tenth"
    assert np.diff([frame.media_time_s for frame in found]).min() > 0.03
    assert (found[0].pixels_bgr == found[60].pixels_bgr).all()


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_images_of_all_kinds_are_written_and_a_fifth_is_broken(tmp_path):
    write_images(tmp_path / "media", 100)
    files = sorted((tmp_path / "media").iterdir())
    assert [int(path.stem) for path in files] == list(range(100))
    assert {path.suffix for path in files} == {".png", ".jpg", ".webp", ".gif", ".bmp", ".tif"}
    readable = [path.exists() and cv2.imread(str(path)) is not None for path in files if int(path.stem) % 5]
    assert all(readable)


def test_tables_that_differ_or_are_missing_are_found(tmp_path):
    for name, text in {"a/x.csv": "1", "a/y.csv": "1", "a/jobs.jsonl": "1", "b/x.csv": "2", "b/z/z.csv": "1"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert [path.as_posix() for path in differences(tmp_path / "a", tmp_path / "b")] == ["x.csv", "y.csv", "z/z.csv"]
    assert differences(tmp_path / "a", tmp_path / "a") == []

import threading

import cv2
import numpy as np
import pytest

from mien.detector import HaarDetector, clip_box, create_detector
from mien.expressions import Box, DetectorError
from tests.media import GROUP_BOXES, SHARED, composite_frame


@pytest.fixture(scope="module")
def haar():
    return HaarDetector()


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_a_face_is_found_in_pixels_of_the_original_frame(haar, scale):
    pixels, truth = composite_frame("happy")
    pixels = cv2.resize(pixels, None, fx=scale, fy=scale)
    expected = Box(*(round(v * scale) for v in (truth.x, truth.y, truth.w, truth.h)))
    boxes = haar.detect(pixels)
    assert len(boxes) == 1
    assert boxes[0].iou(expected) >= 0.4


@pytest.mark.parametrize("shape", [(1, 1, 3), (10, 400, 3), (23, 23, 3), (480, 640, 3)])
def test_nothing_is_found_in_pictures_without_a_face(haar, shape):
    assert haar.detect(np.full(shape, 128, np.uint8)) == []


def test_boxes_lie_inside_the_picture(haar):
    pixels, truth = composite_frame("neutral")
    cut = pixels[:, : truth.x + round(truth.w * 0.9)]
    for box in haar.detect(np.ascontiguousarray(cut)):
        assert box.x >= 0
        assert box.y >= 0
        assert box.x + box.w <= cut.shape[1]
        assert box.y + box.h <= cut.shape[0]


def test_four_threads_get_the_same_boxes_as_one(haar):
    pictures = [composite_frame(name)[0] for name in ("happy", "sad", "surprise", "neutral")]
    alone = [haar.detect(pixels) for pixels in pictures]
    together = [[] for _ in pictures]

    def work(i):
        for _ in range(8):
            together[i].append(haar.detect(pictures[i]))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == [[boxes] * 8 for boxes in alone]


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "found no such file"), ("", "Haar cascade"), ("<xml/>", "Haar cascade"), ("hello", "Haar cascade")],
)
def test_a_broken_cascade_file_is_told_at_load(tmp_path, content, message):
    path = tmp_path / "cascade.xml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DetectorError, match=message):
        HaarDetector(path)


def test_an_unknown_detector_is_told():
    with pytest.raises(DetectorError, match="found 'magic'"):
        create_detector("magic")


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


@pytest.mark.shared
@pytest.mark.skipif(not (SHARED / "media").is_dir(), reason="../shared/media is not here")
def test_the_group_photo_shows_four_of_five_faces_and_at_most_one_extra(haar):
    boxes = haar.detect(cv2.imread(str(SHARED / "media" / "group.jpg")))
    found = sum(any(box.iou(truth) >= 0.4 for box in boxes) for truth in GROUP_BOXES)
    extra = sum(all(box.iou(truth) < 0.4 for truth in GROUP_BOXES) for box in boxes)
    assert found >= 4
    assert extra <= 1

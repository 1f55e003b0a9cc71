"""One image that stands alone: large ones are analysed smaller, and the boxes fit the original."""

import numpy as np
import pytest

from mien.errors import ImageError
from mien.imaging import encode_jpeg, encode_png
from mien.still import MAX_SIDE_PX, analyze_image
from mien.types import Analysis, Box, Face

EVEN = np.full(7, 1 / 7, np.float32)


class Finder:
    """Finds one face over the lower right quarter of any picture."""

    def analyze(self, frame, tracker=None):
        self.seen = (frame.width, frame.height)
        w, h = max(1, frame.width // 2), max(1, frame.height // 2)
        return Analysis(frame.width, frame.height, (Face(Box(frame.width - w, frame.height - h, w, h), EVEN, EVEN),))


@pytest.mark.parametrize(
    ("size", "seen", "box"),
    [
        ((320, 240), (320, 240), Box(160, 120, 160, 120)),
        ((3840, 2160), (1920, 1080), Box(1920, 1080, 1920, 1080)),
        ((3000, 4000), (1440, 1920), Box(1500, 2000, 1500, 2000)),
        ((1, 1), (1, 1), Box(0, 0, 1, 1)),
        ((1, 20_000), (1, 1920), Box(0, 10_000, 1, 10_000)),
    ],
)
def test_boxes_are_in_pixels_of_the_image_as_it_was_sent(size, seen, box):
    finder = Finder()
    analysis = analyze_image(encode_png(np.zeros((size[1], size[0], 3), np.uint8)), finder)
    assert (analysis.width, analysis.height) == size
    assert finder.seen == seen
    assert max(seen) <= MAX_SIDE_PX
    assert [face.box for face in analysis.faces] == [box]
    assert analysis.faces[0].id is None


@pytest.mark.parametrize("data", [b"", b"text", encode_jpeg(np.zeros((9, 9, 3), np.uint8))[:300]])
def test_what_is_no_whole_image_is_refused(data):
    with pytest.raises(ImageError):
        analyze_image(data, Finder())


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (23, 24), (24, 24)])
def test_the_real_detector_takes_the_smallest_and_narrowest(size):
    from mien.detector import create_detector
    from mien.pipeline import Pipeline

    class Nobody:
        input_size_px = (48, 48)

        def predict(self, faces):
            return np.full((len(faces), 7), 1 / 7, np.float32)

    image = encode_png(np.zeros((size[1], size[0], 3), np.uint8))
    assert analyze_image(image, Pipeline(create_detector("haar"), Nobody())).faces == ()

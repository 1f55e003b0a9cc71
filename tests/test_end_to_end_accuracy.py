from dataclasses import replace

import numpy as np
import pytest

from mien.types import Box
from tests.synthetic import picture
from tests.test_pipeline import ScriptedDetector
from training.data.splits import Split
from training.data.votes import CONTEMPT, VOTED
from training.evaluate.end_to_end import SEED, EndToEnd, as_markdown, end_to_end
from training.evaluate.frames import Shown, frames_of

NAMES = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")


def bars(count=3):
    """Images whose bright bar encodes their expression."""
    rng = np.random.default_rng(0)
    labels = np.arange(7).repeat(count)
    images = np.stack([picture(NAMES[label], rng) for label in labels])[..., np.newaxis]
    return Split(images, labels, tuple(map(str, range(len(labels)))))


class BarReader:
    """Classifies by the position of the bar."""

    input_size_px = (48, 48)
    adjustment = None

    def predict(self, faces):
        rows = faces[:, :, 12:36].mean(axis=2).argmax(axis=1)
        return np.eye(7, dtype=np.float32)[np.minimum(rows * 7 // 48, 6)]


class Finder:
    """Detects what differs from plain gray, the background of plain frames; finds nothing in other frames."""

    name = "finder"

    def __init__(self, off=0.0):
        self.off = off

    def detect(self, pixels_bgr):
        away = (pixels_bgr[..., 0] != 128).nonzero()
        top, left, bottom, right = away[0].min(), away[1].min(), away[0].max() + 1, away[1].max() + 1
        if bottom - top > 300:
            return []
        shift = round(self.off * (right - left))
        return [Box(int(left), int(top) + shift, int(right - left), int(bottom - top))]


class Everywhere:
    """Finds the face of 144 px in every frame, in their order: it places the same faces itself."""

    name = "everywhere"

    def __init__(self, split):
        rng = np.random.default_rng((SEED, 144))
        self.boxes = [placed.box for placed in frames_of(split, len(split), rng, Shown(144))]

    def detect(self, pixels_bgr):
        return [self.boxes.pop(0)]


def test_found_and_correctly_classified_faces_are_counted():
    (result,) = end_to_end(Finder(), BarReader(), bars(), sizes_px=(144,), faces=15)
    assert result == EndToEnd("finder", 144, faces=15, found=5, right=5, direct_right=5, direct_of_all=15)
    (moved,) = end_to_end(Finder(off=0.2), BarReader(), bars(), sizes_px=(144,), faces=15)
    assert moved.found == 5
    assert moved.right < 5, "the bar is elsewhere in such a crop"
    assert moved.direct_right == 5
    (lost,) = end_to_end(Finder(off=0.6), BarReader(), bars(), sizes_px=(144,), faces=15)
    assert (lost.found, lost.right, lost.direct_right) == (0, 0, 0)


def test_what_most_people_see_counts_where_they_agree():
    split = bars()
    votes = np.zeros((len(split), len(VOTED)), int)
    votes[np.arange(len(split)), split.labels] = 10
    votes[0] = 0  # nobody voted
    votes[1, :2] = 5  # no majority
    votes[2, 2] = votes[2, 0] = 0
    votes[2, CONTEMPT] = 10  # always wrong
    votes[3, split.labels[3]], votes[3, 6] = 0, 10  # people see another expression than the folder's
    everywhere = Everywhere(split)
    people, folders = end_to_end(everywhere, BarReader(), replace(split, votes=votes), sizes_px=(144,), faces=21)
    assert folders == EndToEnd("everywhere", 144, faces=21, found=21, right=21, direct_right=21, direct_of_all=21)
    assert people == EndToEnd("everywhere", 144, 19, 19, right=17, direct_right=17, direct_of_all=17, by="people")
    unfound, _ = end_to_end(ScriptedDetector([]), BarReader(), replace(split, votes=votes), sizes_px=(144,), faces=21)
    assert (unfound.faces, unfound.found, unfound.right, unfound.direct_of_all) == (19, 0, 0, 17)


def test_faces_are_the_same_for_every_detector():
    results = [end_to_end(ScriptedDetector([]), BarReader(), bars(), sizes_px=(80, 160), faces=7) for _ in (1, 2)]
    assert results[0] == results[1]
    assert [result.face_px for result in results[0]] == [80, 160]


def test_a_placed_face_is_the_content_of_its_box():
    (placed,) = frames_of(bars(), 1, np.random.default_rng(3), Shown(48))
    box = placed.box
    inside = placed.pixels_bgr[box.y : box.y + box.h, box.x : box.x + box.w, 0]
    np.testing.assert_array_equal(inside, placed.face)
    assert BarReader().predict(placed.face[np.newaxis]).argmax() == placed.label


def test_the_table_shows_shares():
    text = as_markdown([EndToEnd("haar", 80, 200, found=100, right=50, direct_right=60, direct_of_all=130)])
    assert "| haar | 80 px | 50.0% (of 200) | 25.0% | 50.0% | 60.0% | -10.0 | 65.0% |" in text
    assert "| haar | 80 px | 0.0% (of 5) | 0.0% |" in as_markdown([EndToEnd("haar", 80, 5, 0, 0, 0, 0)])


@pytest.mark.parametrize("face_px", [80, 240])
def test_faces_fit_into_their_frames(face_px):
    for placed in frames_of(bars(), 5, np.random.default_rng(0), Shown(face_px)):
        assert placed.pixels_bgr.shape == (480, 640, 3)
        assert placed.box.w == placed.box.h == face_px
        assert placed.box.x + face_px <= 640
        assert placed.box.y + face_px <= 480

import numpy as np
import pytest

from mien.images.draw import COLORS_RGB, annotate, placeholder
from mien.types import EXPRESSIONS, Analysis, Box, Face, Frame


def face(box, label="happy", confidence=0.93, number=1, unsure=False):
    probabilities = np.full(7, (1 - confidence) / 6, np.float32)
    probabilities[EXPRESSIONS.index(label)] = confidence
    return Face(box, probabilities, probabilities, number, unsure=unsure)


def frame(width=320, height=240):
    return Frame(np.full((height, width, 3), 90, np.uint8))


def test_every_expression_has_its_own_color():
    assert tuple(COLORS_RGB) == EXPRESSIONS
    assert len(set(COLORS_RGB.values())) == len(EXPRESSIONS)


@pytest.mark.parametrize("label", EXPRESSIONS)
def test_box_and_label_are_drawn_in_the_color_of_the_expression_on_a_copy(label):
    original = frame()
    before = original.pixels_bgr.copy()
    drawn = annotate(original, Analysis(320, 240, (face(Box(80, 80, 100, 100), label),)))
    assert (original.pixels_bgr == before).all()
    assert drawn.shape == before.shape
    assert tuple(drawn[180, 130][::-1]) == COLORS_RGB[label], "lower edge of the box"
    assert (drawn[130, 130] == 90).all(), "the face itself stays unchanged"


def test_an_unsure_label_has_a_dark_background():
    box = Box(80, 80, 100, 100)
    sure, unsure = (
        annotate(frame(), Analysis(320, 240, (face(box, confidence=0.4, unsure=unsure),))) for unsure in (False, True)
    )
    assert sure[60:80].mean() > 90 > unsure[60:80].mean()
    assert tuple(unsure[180, 130][::-1]) == COLORS_RGB["happy"], "the box keeps its color"


@pytest.mark.parametrize(
    "box",
    [
        Box(0, 0, 40, 40),
        Box(280, 0, 40, 40),
        Box(0, 200, 40, 40),
        Box(-20, -20, 60, 60),
        Box(300, 220, 80, 80),
        Box(0, 0, 320, 240),
        Box(600, 600, 10, 10),
    ],
)
def test_faces_at_and_beyond_the_edge_are_drawn(box):
    drawn = annotate(frame(), Analysis(320, 240, (face(box),)))
    assert (drawn != 90).any(), "the label stays in the picture"


def test_a_frame_without_faces_is_labeled_as_such():
    drawn = annotate(frame(), Analysis(320, 240))
    assert (drawn[200:] != 90).any()
    assert (drawn[:180] == 90).all()


@pytest.mark.parametrize(("width", "height"), [(64, 48), (320, 240), (1920, 1080)])
def test_a_placeholder_has_the_requested_size_and_text(width, height):
    picture = placeholder(width, height, ["Reconnecting", "no frame for 5 s; next try in 2 s " * 3])
    assert picture.shape == (height, width, 3)
    assert len(np.unique(picture)) > 3


@pytest.mark.parametrize(("name", "drawn"), [("Besprechung Übung.mp4", "Besprechung Ubung.mp4"), ("会議.mp4", ".mp4")])
def test_letters_that_cannot_be_drawn_do_not_become_question_marks(name, drawn):
    assert (placeholder(320, 240, [name]) == placeholder(320, 240, [drawn])).all()


def test_tiny_frames_are_annotated():
    assert annotate(frame(16, 16), Analysis(16, 16, (face(Box(1, 1, 8, 8)),))).shape == (16, 16, 3)


def test_the_label_of_an_adjacent_face_moves_below_rather_than_overlap():
    left, right = face(Box(200, 300, 90, 90)), face(Box(300, 300, 90, 90), "sad", number=2)
    drawn = annotate(frame(1280, 720), Analysis(1280, 720, (left, right)))
    above, below = ((drawn[rows] != 90).any(axis=(0, 2)) for rows in (slice(280, 296), slice(394, 405)))
    assert above[205:300].all()
    assert not above[360:].any()
    assert below[305:400].all()
    assert not below[:298].any()


@pytest.mark.parametrize(("width", "height"), [(640, 480), (1280, 720), (3840, 2160)])
def test_letters_are_as_high_as_those_of_a_font_of_2_percent_of_the_height(width, height):
    drawn = annotate(frame(width, height), Analysis(width, height, (face(Box(100, 200, 300, 200)),)))
    font_px = min(48, max(14, 0.022 * height))
    number = drawn[100:199, 105 : round(100 + 1.2 * font_px)]  # 1, in dark ink
    rows = np.flatnonzero((number.max(axis=2) < 90).any(axis=1))
    assert rows[-1] - rows[0] + 1 == pytest.approx(0.72 * font_px, abs=3)

"""Where labels of faces lie: in the program's own pictures and, by the same rules, on the page."""

from __future__ import annotations

import random

import pytest

from mien.images import label_placement
from mien.images.label_placement import Rect, font_size_px, place_labels
from tests.page import find
from tests.web_fakes import resize

SIZES = [(100, 20), (20, 20)]


def placed(*boxes, width=640, height=480, sizes=SIZES):
    return place_labels([Rect(*box) for box in boxes], [sizes] * len(boxes), width, height)


@pytest.mark.parametrize(
    ("height", "expected"), [(120, 14), (480, 14), (720, 15.84), (1080, 23.76), (2160, 47.52), (4320, 48)]
)
def test_labels_grow_with_the_picture_between_14_and_48_pixels(height, expected):
    assert font_size_px(height) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([(40, 100, 90, 90)], [(0, 40, 80)]),
        ([(40, 10, 90, 90)], [(0, 40, 100)]),  # no room above
        ([(40, 0, 90, 480)], [(0, 40, 0)]),  # nor below
        ([(600, 100, 90, 90)], [(0, 540, 80)]),  # moved into the picture
        ([(40, 100, 90, 90), (135, 100, 90, 90)], [(0, 40, 80), (0, 135, 190)]),
        ([(40, 100, 50, 50), (95, 100, 50, 50), (150, 100, 50, 50)], [(0, 40, 80), (0, 95, 150), (0, 150, 80)]),
        ([(40 + 45 * i, 100, 40, 40) for i in range(3)], [(0, 40, 80), (0, 85, 140), (1, 130, 100)]),
        ([(40, 100, 500, 300), (100, 150, 90, 90)], [(0, 40, 80), (1, 100, 130)]),  # a face before another
        ([(-50, -50, 10, 10)], [(1, 0, 0)]),
        ([], []),
    ],
)
def test_labels_lie_above_else_below_else_inside_else_shrink_to_the_number(boxes, expected):
    assert [(form, rect.x, rect.y) for form, rect in placed(*boxes)] == expected


def crowd(seed, count):
    """Boxes and sizes of labels at random, in numbers that floating point keeps exactly."""
    chance = random.Random(seed)
    boxes = [
        [chance.randrange(-40, 640), chance.randrange(-40, 480), *[chance.randrange(20, 160)] * 2] for _ in range(count)
    ]
    return boxes, [[[chance.randrange(60, 140), 22], [20, 22]] for _ in range(count)]


@pytest.mark.parametrize("seed", range(20))
def test_a_crowd_has_a_label_for_each_face_in_the_picture_and_few_overlap(seed):
    boxes, sizes = crowd(seed, 12)
    labels = [label.rect for label in place_labels([Rect(*box) for box in boxes], sizes, 640, 480)]
    assert len(labels) == 12
    assert all(0 <= x <= 640 - w and 0 <= y <= 480 - h for x, y, w, h in labels)
    pairs = [(one, other) for i, one in enumerate(labels) for other in labels[:i]]
    assert sum(one.overlaps(other) for one, other in pairs) <= 1


PLACE = """
const [crowds, done] = arguments;
import("/static/labels.js").then(({ placeLabels, fontSize }) => done([
  crowds.map(([boxes, sizes]) => placeLabels(
    boxes.map(([x, y, w, h], i) => ({ box: { x, y, w, h }, sizes: sizes[i] })), 640, 480,
  ).map(({ form, x, y, w, h }) => [form, [x, y, w, h]])),
  [120, 720, 2160, 4320].map((height) => fontSize(height)),
]));
"""

STAY = """
const [boxes, done] = arguments;
import("/static/labels.js").then(({ placeLabels }) => {
  let slots = [];
  done(boxes.map((frame) => {
    const labels = frame.map(([x, y, w, h]) => ({ box: { x, y, w, h }, sizes: [[100, 20], [20, 20]] }));
    const places = placeLabels(labels, 640, 480, slots);
    slots = places.map(({ slot }) => slot);
    return slots.at(-1);
  }));
});
"""


@pytest.mark.browser
def test_the_page_places_labels_as_the_program_does_and_keeps_them_steady(browser, fake_camera, serve) -> None:
    fake_camera.play()
    browser.get(serve(fake_camera).url)
    crowds = [crowd(seed, 8) for seed in range(40)]
    places, sizes = browser.execute_async_script(PLACE, crowds)
    expected = [
        [[form, list(rect)] for form, rect in place_labels([Rect(*box) for box in boxes], forms, 640, 480)]
        for boxes, forms in crowds
    ]
    assert places == expected
    assert sizes == pytest.approx([font_size_px(height) for height in (120, 720, 2160, 4320)])
    assert label_placement.MAX_PX == 48
    pushed = [[[40, 100, 90, 90], [x, 100, 90, 90]] for x in (300, 135, 141, 139, 142, 160)]
    above, below = 0, 1
    assert browser.execute_async_script(STAY, pushed) == [above, below, below, below, below, above]


FONT_SIZES = """
const done = arguments[arguments.length - 1];
const { fillText } = CanvasRenderingContext2D.prototype;
CanvasRenderingContext2D.prototype.fillText = function (text, ...at) {
  if (this.canvas.id === "overlay") {
    CanvasRenderingContext2D.prototype.fillText = fillText;
    done([parseFloat(this.font.match(/[0-9.]+px/)[0]), text, document.getElementById("stage").clientHeight]);
  }
  return fillText.call(this, text, ...at);
};
"""


@pytest.mark.browser
@pytest.mark.parametrize(("width", "height"), [(375, 812), (1280, 800), (3840, 2160)])
def test_labels_on_the_page_have_a_share_of_the_height_of_the_stage(browser, fake_camera, serve, width, height) -> None:
    resize(browser, width, height)
    fake_camera.play()
    browser.get(serve(fake_camera).url)
    find(browser, "#overlay")
    size, text, stage = browser.execute_async_script(FONT_SIZES)
    assert text == "1  happy 82\u202f%"
    assert size == pytest.approx(min(48, max(14, 0.022 * stage)), abs=0.1)

"""Where the labels of faces lie in a picture, so that none hides another: the rules of static/labels.js, by a test.

A label lies above its box, else below it, else inside; where its text does not fit anywhere, it shrinks to the number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

HEIGHT_SHARE = 0.022
"""Size of the font, as a share of the picture's height: readable from the back of a room, whatever the resolution."""

MIN_PX = 14
MAX_PX = 48

INSIDE_SHARE = 3
"""A label lies inside a box that is at least as many times as high as its text, so that the face stays visible."""


class Rect(NamedTuple):
    """A rectangle: left, top, width and height in pixels."""

    x: float
    y: float
    w: float
    h: float

    def overlaps(self, other: Rect) -> bool:
        """Whether both share an area."""
        return (
            self.x < other.x + other.w
            and other.x < self.x + self.w
            and self.y < other.y + other.h
            and other.y < self.y + self.h
        )


class Placed(NamedTuple):
    """A label in the picture.

    Args:
        form: Index of the chosen size: 0 for the whole text.
        rect: Where it lies.
    """

    form: int
    rect: Rect


def font_size_px(height_px: float) -> float:
    """Size of the labels' font in a picture of this height, 14 to 48 pixels."""
    return min(MAX_PX, max(MIN_PX, HEIGHT_SHARE * height_px))


def place_labels(
    boxes: Sequence[Rect], sizes: Sequence[Sequence[tuple[float, float]]], width: float, height: float
) -> list[Placed]:
    """Place the labels one after the other, where they hide neither a label nor another face if possible.

    Args:
        boxes: The faces.
        sizes: For each face, width and height of its label in pixels: the whole text, then the number.
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.

    Returns:
        One for each face, inside the picture.
    """
    placed: list[Placed] = []
    for index, (box, forms) in enumerate(zip(boxes, sizes, strict=True)):
        others = [*boxes[:index], *boxes[index + 1 :]]
        labels = [each.rect for each in placed]
        slots = [
            Placed(form, rect) for form, size in enumerate(forms) for rect in _slots(box, form, size, width, height)
        ]
        number = len(forms) - 1
        placed.append(
            next((slot for slot in slots if _is_free(slot.rect, [*labels, *others])), None)
            or next((slot for slot in slots if slot.form == number and _is_free(slot.rect, labels)), None)
            or Placed(number, _inside_picture(box.x, box.y - forms[-1][1], forms[-1], width, height))
        )
    return placed


def _slots(box: Rect, form: int, size: tuple[float, float], width: float, height: float) -> list[Rect]:
    """Where a label of this size may lie in the picture, the best first: above, below, inside."""
    h = size[1]
    tops = [box.y - h, box.y + box.h]
    if box.h >= (h if form else INSIDE_SHARE * h):
        tops += [max(0, box.y), min(height, box.y + box.h) - h]
    return [_inside_picture(box.x, top, size, width, height) for top in tops if 0 <= top <= height - h]


def _inside_picture(x: float, y: float, size: tuple[float, float], width: float, height: float) -> Rect:
    w, h = size
    return Rect(max(0, min(x, width - w)), max(0, min(y, height - h)), w, h)


def _is_free(rect: Rect, taken: Sequence[Rect]) -> bool:
    return not any(rect.overlaps(each) for each in taken)

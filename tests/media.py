"""Pictures with known faces for tests: the demo's composites, and media beside the project if present."""

from pathlib import Path

import cv2
import numpy as np

from mien.sources.demo import CYCLE_S, DemoSource, face_place
from mien.types import EXPRESSIONS, Box

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"

GROUP_BOXES = (
    Box(685, 291, 101, 132),
    Box(315, 234, 94, 129),
    Box(531, 304, 94, 131),
    Box(439, 215, 77, 95),
    Box(212, 61, 90, 114),
)
"""The five faces of ../shared/media/group.jpg, forehead to chin."""


def composite_frame(expression: str) -> tuple[np.ndarray, Box]:
    """The demo with one face that fully shows this expression: (pixels uint8 (480, 640, 3), box of the face)."""
    time_s = time_of(expression)
    pixels, truths = DemoSource(count=1).render(time_s)
    assert truths == (expression,)
    x, y, side = face_place(time_s)
    return pixels, Box(round(x), round(y), round(side), round(side))


def time_of(expression: str, person: int = 0, count: int = 1) -> float:
    """The time in seconds at which one of the demo's faces fully shows this expression."""
    return (EXPRESSIONS.index(expression) + 0.3) * CYCLE_S / len(EXPRESSIONS) + (1 - person / count) * CYCLE_S


def demo_face(person: int, expression: str) -> np.ndarray:
    """One of the demo's three faces as displayed, gray, cropped without a detector."""
    time_s = time_of(expression, person, 3)
    pixels, truths = DemoSource().render(time_s)
    assert truths[person] == expression
    x, y, side = (round(value) for value in face_place(time_s, person, 3))
    return cv2.cvtColor(pixels[y : y + side, x : x + side], cv2.COLOR_BGR2GRAY)

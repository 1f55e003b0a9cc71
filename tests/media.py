"""Pictures with known faces, for tests: the demo's composites, and the media beside the project where they are."""

from pathlib import Path

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
    """(pixels uint8 (480, 640, 3), where the face is): the demo while it fully shows this expression."""
    time_s = (EXPRESSIONS.index(expression) + 0.3) * CYCLE_S / len(EXPRESSIONS)
    pixels, truth = DemoSource().render(time_s)
    assert truth == expression
    x, y, side = face_place(time_s)
    return pixels, Box(round(x), round(y), round(side), round(side))

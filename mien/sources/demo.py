"""The built-in demo: seven average faces that morph into each other while they move.

Each face is the average of many training images of its class, so it shows no real person, and the true expression is
known at any time.
"""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np

from mien.clock import Clock
from mien.errors import ImageError, SourceMissingError
from mien.images.codecs import read_image
from mien.sources.base import Source
from mien.types import EXPRESSIONS, Frame, SourceState

FACES_FILE = Path(__file__).with_name("demo_faces.png")
WIDTH_PX, HEIGHT_PX = 640, 480
FPS = 30
SHOWN_S = 1.2
MORPH_S = 0.4
CYCLE_S = len(EXPRESSIONS) * (SHOWN_S + MORPH_S)
"""11.2 s for all seven."""

_SIDE_PX = (210, 250)  # the face grows and shrinks between these
_TILE_PX = _SIDE_PX[1] + 2  # room for the largest face at any fraction of a pixel
_TINT_BGR = (0.90, 0.96, 1.0)  # a little warmth on the gray composites
_TOP_BGR, _BOTTOM_BGR = (98, 90, 84), (58, 52, 48)


class DemoSource(Source):
    """The demo as a source of 30 frames per second; late frames are skipped, as in a video.

    Frames have `truth` while an expression is fully shown, and `media_time_s`, from which `render` draws them again.

    Args:
        faces: Gray uint8 (7, side, side) in the order of EXPRESSIONS; by default the file beside this module.
        name: Name for people.
        paced: False gives the frames as fast as possible.
        clock: The computer's clock by default.

    Raises:
        SourceMissingError: The file is missing or does not contain seven squares.

    Example:
        frame = DemoSource(paced=False).read()
        frame.truth  # "angry"
        frame.width, frame.height  # (640, 480)
    """

    state: SourceState = "demo"

    def __init__(
        self,
        faces: np.ndarray | None = None,
        *,
        name: str = "Demo",
        paced: bool = True,
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self.spec = "demo"
        self._clock = clock or Clock()
        self._paced = paced
        self._index = -1
        self._start_s: float | None = None
        faces = load_faces() if faces is None else faces
        if faces.ndim != 3 or faces.shape[0] != len(EXPRESSIONS) or faces.dtype != np.uint8:
            raise ValueError(f"expected uint8 faces of shape (7, side, side), found {faces.dtype} {faces.shape}")
        side = _SIDE_PX[1]
        self._faces = [_tinted(cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC)) for face in faces]
        self._opacity = _soft_ellipse(side)
        self._background = _background()

    def read(self) -> Frame:
        """The next frame, at its time."""
        self._index += 1
        if self._paced:
            now_s = self._clock.monotonic()
            if self._start_s is None:
                self._start_s = now_s
            self._index = max(self._index, int((now_s - self._start_s) * FPS + 1e-6))
            self._clock.sleep(self._start_s + self._index / FPS - now_s)
        time_s = self._index / FPS
        pixels, truth = self.render(time_s)
        return Frame(pixels, self._index, self._clock.wall(), time_s, truth)

    def render(self, time_s: float) -> tuple[np.ndarray, str | None]:
        """The picture at this time in seconds, uint8 (480, 640, 3), and the expression; None while it morphs."""
        current, following, blend = expression_at(time_s)
        face = self._faces[current]
        if blend > 0:
            face = cv2.addWeighted(face, 1 - blend, self._faces[following], blend, 0)
        x, y, side = face_place(time_s)
        left, top = math.floor(x), math.floor(y)
        # Warped, not pasted: with whole pixels the slow movement would look jerky.
        scale = side / _SIDE_PX[1]
        place = np.array([[scale, 0, x - left], [0, scale, y - top]], np.float32)
        tile = (_TILE_PX, _TILE_PX)
        face = cv2.warpAffine(face, place, tile, borderMode=cv2.BORDER_REPLICATE)
        opacity = cv2.warpAffine(self._opacity, place, tile)
        pixels = self._background.copy()
        canvas = pixels[top : top + _TILE_PX, left : left + _TILE_PX]
        canvas[:] = cv2.blendLinear(face, canvas, opacity, 1 - opacity)
        return pixels, None if blend > 0 else EXPRESSIONS[current]


def expression_at(time_s: float) -> tuple[int, int, float]:
    """Indices of the current and the next expression, and how far the next one is blended in, 0 to 1."""
    # In whole microseconds: rounded seconds would put some frames on the wrong side of a change.
    step, within_us = divmod(round(time_s * 1e6), round((SHOWN_S + MORPH_S) * 1e6))
    current = step % len(EXPRESSIONS)
    following = (current + 1) % len(EXPRESSIONS)
    part = max(0.0, within_us / 1e6 - SHOWN_S) / MORPH_S
    return current, following, part * part * (3 - 2 * part)  # smoothstep


def face_place(time_s: float) -> tuple[float, float, float]:
    """Left, top and side of the face in pixels: a slow Lissajous curve inside the picture."""
    small, large = _SIDE_PX
    side = (small + large) / 2 + (large - small) / 2 * math.sin(2 * math.pi * time_s / 13.0)
    # The whole tile stays inside, so that nothing needs to be clipped.
    span_x, span_y = WIDTH_PX - _TILE_PX, HEIGHT_PX - _TILE_PX
    x = span_x / 2 * (1 + 0.8 * math.sin(2 * math.pi * time_s / 17.0))
    y = span_y / 2 * (1 + 0.7 * math.sin(2 * math.pi * time_s / 11.0))
    return x, y, side


def load_faces(path: Path = FACES_FILE) -> np.ndarray:
    """Load the seven faces, uint8 (7, side, side), from a picture of seven squares side by side."""
    expected = f"expected the demo's faces, {len(EXPRESSIONS)} squares side by side, in {path}"
    try:
        sheet = cv2.cvtColor(read_image(path), cv2.COLOR_BGR2GRAY)
    except (OSError, ImageError) as error:
        raise SourceMissingError(f"{expected}: {error}") from error
    side, width = sheet.shape
    if width != side * len(EXPRESSIONS):
        raise SourceMissingError(f"{expected}, found a picture of {width}x{side}")
    return np.stack(np.split(sheet, len(EXPRESSIONS), axis=1))


def _tinted(face_gray: np.ndarray) -> np.ndarray:
    return np.round(face_gray[:, :, np.newaxis] * np.array(_TINT_BGR, np.float32)).astype(np.uint8)


def _soft_ellipse(side: int) -> np.ndarray:
    """Opacity, float32 (side, side): 1 inside, falling to 0 at the edge, so that the face has no border."""
    axis = (np.arange(side, dtype=np.float32) + 0.5) / side * 2 - 1
    # A power of 4 gives a shape between ellipse and square: it keeps chin and forehead, which detectors need.
    distance = np.abs(axis[:, np.newaxis]) ** 4 + np.abs(axis[np.newaxis, :]) ** 4
    part = np.clip((1 - distance) / 0.6, 0, 1)
    return part * part * (3 - 2 * part)


def _background() -> np.ndarray:
    """A gradient, uint8 (480, 640, 3)."""
    down = np.linspace(0, 1, HEIGHT_PX, dtype=np.float32)[:, np.newaxis]
    column = np.array(_TOP_BGR, np.float32) * (1 - down) + np.array(_BOTTOM_BGR, np.float32) * down
    return np.repeat(np.round(column).astype(np.uint8)[:, np.newaxis, :], WIDTH_PX, axis=1)

"""The built-in demo: three average faces that change their expressions one after the other while they move.

Each face is the average of many people, so it shows no real person, and its true expression is known at any time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from mien.clock import Clock
from mien.sources.base import Source
from mien.sources.demo_faces import FACE_MIDDLE, FACE_WIDTH, GRID, PEOPLE, DemoFaces
from mien.types import EXPRESSIONS, Frame, SourceState

WIDTH_PX, HEIGHT_PX = 640, 480
FPS = 30
SHOWN_S = 1.9
MORPH_S = 0.5
CYCLE_S = len(EXPRESSIONS) * (SHOWN_S + MORPH_S)
"""16.8 s for all seven."""

_PLACES = {
    1: ((320, 240, 320, 110, 60),),
    2: ((184, 236, 252, 20, 18), (456, 250, 238, 20, 18)),
    3: ((116, 218, 218, 8, 14), (322, 272, 206, 10, 14), (526, 214, 212, 8, 14)),
}
"""For each number of faces: middle and side of their tiles, and how far they move in x and y, in pixels."""

_EXTENT = 0.43  # radius of the drawn part of a tile, as a share of its side
_FACE_SIDE = 1.15 * FACE_WIDTH  # of a square from forehead to chin
_CELL_PX = 5  # side of a cell of the coarse grid on which smooth values are computed
_GROWTH = 0.04  # of a tile, as a share of its side
_TURN = 0.03  # of the middle of the face against its outline, as a share of the tile's side
_ROLL_DEG = 2.5


@dataclass(frozen=True, slots=True)
class _Place:
    """The middle and the side of a face's tile in pixels, and how far the head is tilted."""

    x: float
    y: float
    side: float
    roll_deg: float


class DemoSource(Source):
    """The demo as a source of 30 frames per second; late frames are skipped, as in a video.

    Frames have `truths`, what each face shows, from left to right, and `truth`, what the first shows; None while a
    face changes. `render` draws a frame again from its `media_time_s`.

    Args:
        faces: By default those of the file beside this module.
        count: How many faces are shown, 1 to 3. One face moves and changes as the first of several does.
        name: Name for people.
        paced, clock: As for `mien.sources.open_source`.

    Raises:
        SourceMissingError: The file is missing or contains something else.

    Example:
        frame = DemoSource(paced=False).read()
        frame.truths  # ("angry", None, "neutral")
        frame.width, frame.height  # (640, 480)
    """

    state: SourceState = "demo"

    def __init__(
        self,
        faces: DemoFaces | None = None,
        *,
        count: int = PEOPLE,
        name: str = "Demo",
        paced: bool = True,
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self.spec = "demo"
        self.count = count
        self._clock = clock or Clock()
        self._paced = paced
        self._index = -1
        self._start_s: float | None = None
        faces = faces or DemoFaces.load()
        if not 1 <= count <= min(len(_PLACES), len(faces.textures)):
            raise ValueError(f"expected 1 to {min(len(_PLACES), len(faces.textures))} faces, found {count}")
        side = faces.textures.shape[-1]
        self._textures = faces.textures
        # What is smooth, where to look a pixel up and how opaque it is, is computed on a coarse grid.
        centers = (np.arange(GRID, dtype=np.float32) + 0.5) * (side / GRID) - 0.5
        self._lookups = faces.offsets + np.stack(np.meshgrid(centers, centers), axis=-1)
        self._depth = _depth() * (_TURN * side)
        self._opacity = _opacity()
        self._gray = _background()
        self._tones = _tones()
        self._background = cv2.applyColorMap(self._gray, self._tones)

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
        pixels, truths = self.render(time_s)
        return Frame(pixels, self._index, self._clock.wall(), time_s, truths[0], truths=truths)

    def render(self, time_s: float) -> tuple[np.ndarray, tuple[str | None, ...]]:
        """Draw the picture of a moment.

        Args:
            time_s: Seconds since the start of the demo.

        Returns:
            The picture, uint8 (480, 640, 3), blue-green-red, and what each face shows; None while it changes.
        """
        gray = self._gray.copy()
        truths, windows = [], []
        for person in range(self.count):
            current, following, blend = expression_at(time_s, person, self.count)
            texture, lookup = self._textures[person, current], self._lookups[person, current]
            if blend > 0:
                texture = cv2.addWeighted(texture, 1 - blend, self._textures[person, following], blend, 0)
                lookup = (1 - blend) * lookup + blend * self._lookups[person, following]
            turn = np.array(_turn(time_s, person), np.float32)
            windows.append(self._draw(gray, texture, lookup + self._depth * turn, _place(time_s, person, self.count)))
            truths.append(None if blend > 0 else EXPRESSIONS[current])
        pixels = self._background.copy()
        for window in windows:
            pixels[window] = cv2.applyColorMap(gray[window], self._tones)
        return pixels, tuple(truths)

    def _draw(self, gray: np.ndarray, texture: np.ndarray, lookup: np.ndarray, place: _Place) -> tuple[slice, slice]:
        """Draw one face into the gray picture, and say in which rows and columns."""
        half = math.ceil(_EXTENT * place.side)
        left, top = round(place.x) - half, round(place.y) - half
        cells = math.ceil(2 * half / _CELL_PX)
        size = cells * _CELL_PX
        # From cells of the picture to those of the tile, so that a face moves by fractions of a pixel.
        scale = place.side / GRID / _CELL_PX
        to_picture = cv2.getRotationMatrix2D((GRID / 2 - 0.5, GRID / 2 - 0.5), place.roll_deg, scale)
        middle = ((place.x - left) / _CELL_PX - 0.5, (place.y - top) / _CELL_PX - 0.5)
        to_picture[:, 2] += np.array(middle) - (GRID / 2 - 0.5)
        coarse = cv2.warpAffine(lookup, to_picture, (cells, cells), borderMode=cv2.BORDER_REPLICATE)
        opacity = cv2.resize(cv2.warpAffine(self._opacity, to_picture, (cells, cells)), (size, size))
        face = cv2.remap(texture, cv2.resize(coarse, (size, size)), None, cv2.INTER_LINEAR)
        window = slice(top, top + size), slice(left, left + size)
        gray[window] = cv2.blendLinear(face, gray[window], opacity, 1 - opacity)
        return window


def expression_at(time_s: float, person: int = 0, count: int = 1) -> tuple[int, int, float]:
    """What one of several faces shows at this time.

    Args:
        time_s: Seconds since the start of the demo.
        person: Which face, from 0.
        count: How many faces are shown.

    Returns:
        Indices of the current and the next expression, and how far the next one is blended in, 0 to 1.
    """
    # In whole microseconds: rounded seconds would put some frames on the wrong side of a change.
    step_us = round((SHOWN_S + MORPH_S) * 1e6)
    ahead_us = round(CYCLE_S * 1e6 * person / count)  # so that two faces show and change different things
    step, within_us = divmod(round(time_s * 1e6) + ahead_us, step_us)
    current = step % len(EXPRESSIONS)
    following = (current + 1) % len(EXPRESSIONS)
    part = max(0.0, within_us / 1e6 - SHOWN_S) / MORPH_S
    return current, following, part * part * (3 - 2 * part)  # smoothstep


def face_place(time_s: float, person: int = 0, count: int = 1) -> tuple[float, float, float]:
    """Left, top and side in pixels of a square around one of several faces, from its forehead to its chin.

    Args:
        time_s, person, count: As for `expression_at`.
    """
    place = _place(time_s, person, count)
    side = _FACE_SIDE * place.side
    middle_x, middle_y = ((middle - 0.5) * place.side for middle in FACE_MIDDLE)
    return place.x + middle_x - side / 2, place.y + middle_y - side / 2, side


def _place(time_s: float, person: int, count: int) -> _Place:
    """Where a face is: on a slow Lissajous curve inside the picture."""
    x, y, side, away_x, away_y = _PLACES[count][person]
    angle = 2 * math.pi * time_s + 2.1 * person
    return _Place(
        x + away_x * math.sin(angle / 17.0),
        y + away_y * math.sin(angle / 11.0),
        side * (1 + _GROWTH * math.sin(angle / 13.0)),
        _ROLL_DEG * math.sin(angle / 11.9),
    )


def _turn(time_s: float, person: int) -> tuple[float, float]:
    """How far a head is turned to the side, and up or down, -1 to 1."""
    angle = 2 * math.pi * time_s + 40 * person
    return math.sin(angle / 7.3), 0.6 * math.sin(angle / 9.1)


def _depth() -> np.ndarray:
    """How far each place of a tile is in front of its outline, float32 (grid, grid, 1): 0 to 1, as on a sphere."""
    return np.sqrt(np.maximum(0, 1 - _from_middle(0.45, 2) ** 2))[..., np.newaxis]


def _opacity() -> np.ndarray:
    """Opacity, float32 (grid, grid): 1 inside, falling to 0 at the edge, so that the face has no border."""
    return _smooth((1 - _from_middle(_EXTENT - 0.01, 3)) / 0.28)


def _from_middle(radius: float, power: float) -> np.ndarray:
    """Distance from the middle of a tile, float32 (grid, grid): 1 at `radius`, a share of its side; 2: a circle."""
    axis = ((np.arange(GRID, dtype=np.float32) + 0.5) / GRID - 0.5) / radius
    return (np.abs(axis[:, np.newaxis]) ** power + np.abs(axis) ** power) ** (1 / power)


def _background() -> np.ndarray:
    """Gray levels, uint8 (480, 640): dark, a little lighter in the middle, with noise to hide banding."""
    y, x = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX].astype(np.float32)
    away = np.hypot((x - WIDTH_PX / 2) / WIDTH_PX, (y - 0.45 * HEIGHT_PX) / HEIGHT_PX)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, away.shape)
    return np.round(48 - 24 * _smooth(1.15 * away) + noise).astype(np.uint8)


def _tones() -> np.ndarray:
    """What color each gray level is, uint8 (256, 1, 3): bluish shadows and warm light."""
    levels = np.arange(256) / 255
    stops = (0, 0.15, 0.45, 0.75, 1)
    blue, green, red = (10, 42, 98, 172, 240), (8, 36, 106, 188, 248), (6, 33, 124, 208, 255)
    colors = [np.interp(levels, stops, channel) for channel in (blue, green, red)]
    return np.stack(colors, axis=-1).round().astype(np.uint8)[:, np.newaxis]


def _smooth(part: np.ndarray) -> np.ndarray:
    clipped = np.clip(part, 0, 1)
    return np.asarray(clipped * clipped * (3 - 2 * clipped), np.float32)

"""Lively scenes with known faces, synthetic: the demo's average faces as people in a room, one function per scene.

Each function draws the picture at a time in seconds and returns it, uint8 (480, 640, 3), with the boxes of its faces.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from mien.sources.demo import DemoSource, face_place
from mien.sources.demo_faces import GRID, SIDE_PX, DemoFaces
from mien.types import EXPRESSIONS, Box

WIDTH_PX, HEIGHT_PX = 640, 480
Picture = tuple[np.ndarray, list[Box]]

UNIT = 2  # pixels of a figure for one of a face's tile
FIGURE = (200, 260)  # width and height; the face's tile begins at (20, 20)
FACE_SIDE = 105  # from forehead to chin, in the same unit
HAIR, SKIN, WALL = (28, 34, 46), (105, 130, 170), (150, 165, 170)
SHIRTS = ((120, 70, 40), (60, 60, 140), (70, 110, 60))


@dataclass(frozen=True)
class Person:
    """Where the middle of a face is, and its height from forehead to chin, in pixels; `who` is 0 to 2."""

    x: float
    y: float
    side: float
    who: int = 0
    expression: str = "neutral"
    wears: str = ""
    turned_deg: float = 0.0


def empty_room() -> np.ndarray:
    """The room without anybody, to draw on."""
    return _room().copy()


@cache
def _room() -> np.ndarray:
    """A wall with some light from the left, a shelf with books, and noise."""
    rng = np.random.default_rng(1)
    light = np.linspace(1.1, 0.75, WIDTH_PX)[np.newaxis, :, np.newaxis]
    noise = rng.normal(0, 2, (HEIGHT_PX, WIDTH_PX, 1))
    pixels = np.clip(np.full((HEIGHT_PX, WIDTH_PX, 3), WALL) * light + noise, 0, 255).astype(np.uint8)
    cv2.rectangle(pixels, (0, 92), (190, 100), (50, 70, 95), -1)
    for i in range(12):
        color = tuple(map(int, rng.integers(40, 160, 3)))
        cv2.rectangle(pixels, (6 + 15 * i, 92 - int(rng.integers(40, 65))), (18 + 15 * i, 91), color, -1)
    return pixels


def draw(pixels: np.ndarray, *people: Person) -> list[Box]:
    """Draw people into a picture, the last in front; the boxes of their faces, clipped to it."""
    return [_draw(pixels, person) for person in people]


def _draw(pixels: np.ndarray, person: Person) -> Box:
    scale = person.side / FACE_SIDE / UNIT
    middle = 100 * UNIT * scale
    matrix = np.array([[scale, 0, person.x - middle], [0, scale, person.y - middle]])
    figure = _figure(person.who, person.expression, person.wears, person.turned_deg)
    height, width = pixels.shape[:2]
    shown = cv2.warpAffine(figure, matrix, (width, height), flags=cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR)
    opacity = shown[..., 3:].astype(np.float32) / 255
    pixels[:] = np.round(shown[..., :3] + (1 - opacity) * pixels).astype(np.uint8)
    face_x = person.x + 0.35 * person.side * math.sin(math.radians(person.turned_deg))
    left, top = max(0, round(face_x - person.side / 2)), max(0, round(person.y - person.side / 2))
    right, bottom = min(width, round(face_x + person.side / 2)), min(height, round(person.y + person.side / 2))
    return Box(left, top, right - left, bottom - top)


@cache
def _figure(who: int, expression: str, wears: str, turned_deg: float) -> np.ndarray:
    """Head and shoulders, uint8 (520, 400, 4), colors multiplied by opacity."""
    canvas = np.zeros((FIGURE[1] * UNIT, FIGURE[0] * UNIT, 4), np.uint8)
    _ellipse(canvas, (100, 255), (88, 70), SHIRTS[who])
    _rectangle(canvas, (78, 140), (122, 200), tuple(round(0.8 * c) for c in SKIN))
    head = np.zeros_like(canvas)
    _ellipse(head, (100, 82), (52, 62), HAIR)
    _paste_face(head, who, expression)
    {"": _nothing, "sunglasses": _sunglasses, "mask": _mask, "beard": _beard}[wears](head)
    if turned_deg:
        head = _turned(head, turned_deg)
    opacity = head[..., 3:].astype(np.float32) / 255
    return np.round(head + (1 - opacity) * canvas).astype(np.uint8)


def _paste_face(canvas: np.ndarray, who: int, expression: str) -> None:
    faces = _faces()
    centers = (np.arange(GRID, dtype=np.float32) + 0.5) * (SIDE_PX / GRID) - 0.5
    shown = EXPRESSIONS.index(expression)
    lookup = faces.offsets[who, shown] + np.stack(np.meshgrid(centers, centers), axis=-1)
    side = SIDE_PX * UNIT
    lookup = cv2.resize(lookup, (side, side))
    gray = cv2.remap(faces.textures[who, shown], lookup, None, cv2.INTER_CUBIC)
    levels = np.arange(256) / 255
    tones = np.stack([np.interp(levels, (0, 0.5, 1), c) for c in ((12, 105, 230), (10, 120, 245), (14, 150, 255))], -1)
    opacity = np.zeros((side, side), np.uint8)
    cv2.ellipse(opacity, (80 * UNIT, 76 * UNIT), (44 * UNIT, 61 * UNIT), 0, 0, 360, 255, -1)
    opacity = cv2.GaussianBlur(opacity, (0, 0), 3 * UNIT)[..., np.newaxis] / 255
    part = canvas[20 * UNIT : 20 * UNIT + side, 20 * UNIT : 20 * UNIT + side]
    face = np.concatenate([tones[gray], np.full((side, side, 1), 255)], axis=-1)
    part[:] = np.round(opacity * face + (1 - opacity) * part).astype(np.uint8)


@cache
def _faces() -> DemoFaces:
    return DemoFaces.load()


def _nothing(head: np.ndarray) -> None:
    pass


def _sunglasses(head: np.ndarray) -> None:
    for x in (82, 118):
        _ellipse(head, (x, 83), (17, 12), (18, 16, 16))
    _rectangle(head, (92, 79), (108, 82), (18, 16, 16))
    _rectangle(head, (54, 78), (146, 80), (18, 16, 16))


def _mask(head: np.ndarray) -> None:
    """A surgical mask, from the middle of the nose to the chin."""
    outline = [(60, 106), (100, 96), (140, 106), (136, 138), (118, 160), (100, 164), (82, 160), (64, 138)]
    cv2.fillPoly(head, [np.array(outline) * UNIT], (215, 200, 165, 255))
    for y in (118, 130, 142):
        cv2.line(head, (66 * UNIT, y * UNIT), (134 * UNIT, y * UNIT), (185, 170, 140, 255), UNIT)
    for side in (-1, 1):
        ends = (100 + 40 * side, 108), (100 + 47 * side, 84)
        cv2.line(head, *(tuple(UNIT * c for c in end) for end in ends), (225, 215, 195, 255), UNIT)


def _beard(head: np.ndarray) -> None:
    """A full beard around the mouth, of short strokes."""
    area = np.zeros(head.shape[:2], np.uint8)
    cv2.ellipse(area, (100 * UNIT, 126 * UNIT), (45 * UNIT, 42 * UNIT), 0, 0, 360, 255, -1)
    cv2.ellipse(area, (100 * UNIT, 92 * UNIT), (36 * UNIT, 26 * UNIT), 0, 0, 360, 0, -1)
    cv2.ellipse(area, (100 * UNIT, 127 * UNIT), (15 * UNIT, 7 * UNIT), 0, 0, 360, 0, -1)
    area = cv2.GaussianBlur(area, (0, 0), 2 * UNIT)[..., np.newaxis] / 255
    strokes = np.random.default_rng(0).normal(0, 40, head.shape[:2])
    strokes = cv2.GaussianBlur(strokes, (0, 0), sigmaX=1, sigmaY=4)[..., np.newaxis]
    hair = np.clip(np.array(HAIR) + 2 * strokes, 0, 255)
    head[..., :3] = np.round(0.92 * area * hair + (1 - 0.92 * area) * head[..., :3]).astype(np.uint8)
    head[..., 3:] = np.maximum(head[..., 3:], (255 * area).astype(np.uint8))
    head[..., :3] = np.minimum(head[..., :3], head[..., 3:])


def _turned(head: np.ndarray, degrees: float) -> np.ndarray:
    """The head turned around its axis, as if the face were on a cylinder: nose and chin do not stand out."""
    radius = 52 * UNIT
    height, width = head.shape[:2]
    across = (np.arange(width, dtype=np.float32) - 100 * UNIT) / radius
    angle = np.arcsin(np.clip(across, -1, 1)) - math.radians(degrees)
    columns = np.where(angle > -math.pi / 2, np.sin(angle) * radius + 100 * UNIT, -1).astype(np.float32)
    rows = np.arange(height, dtype=np.float32)[:, np.newaxis]
    turned = cv2.remap(head, np.tile(columns, (height, 1)), np.tile(rows, (1, width)), cv2.INTER_LINEAR)
    outline = np.zeros_like(head)
    _ellipse(outline, (100, 90), (52, 70), HAIR)
    inside = outline[..., 3:] / 255
    opacity = turned[..., 3:] / 255
    return np.round(inside * (turned + (1 - opacity) * outline)).astype(np.uint8)


def _ellipse(canvas: np.ndarray, middle: tuple[int, int], axes: tuple[int, int], color: tuple[int, ...]) -> None:
    x, y = middle
    cv2.ellipse(
        canvas, (x * UNIT, y * UNIT), (axes[0] * UNIT, axes[1] * UNIT), 0, 0, 360, (*color, 255), -1, cv2.LINE_8
    )


def _rectangle(canvas: np.ndarray, first: tuple[int, int], last: tuple[int, int], color: tuple[int, ...]) -> None:
    cv2.rectangle(canvas, (first[0] * UNIT, first[1] * UNIT), (last[0] * UNIT, last[1] * UNIT), (*color, 255), -1)


def _sway(time_s: float, px: float = 4.0) -> float:
    return px * math.sin(2 * math.pi * 0.6 * time_s)


def one_person(time_s: float) -> Picture:
    """Nothing special."""
    return _alone(Person(330 + _sway(time_s), 210, 150, expression="happy"))


def _alone(person: Person) -> Picture:
    pixels = empty_room()
    return pixels, draw(pixels, person)


CROSSING_S = 3.0


def crossing(time_s: float) -> Picture:
    """Two people walk past each other; the happy one, closer to the camera, comes from the left."""
    pixels = empty_room()
    part = time_s / CROSSING_S
    behind = Person(520 - 400 * part, 190, 105, who=1, expression="surprise")
    front = Person(110 + 420 * part, 200, 130, who=0, expression="happy")
    return pixels, draw(pixels, behind, front)


def at_the_border(time_s: float) -> Picture:
    """A face of which the picture shows two thirds."""
    return _alone(Person(25 + _sway(time_s), 230, 150, expression="happy"))


def half_outside(time_s: float) -> Picture:
    """A face of which the picture shows half."""
    return _alone(Person(2 + _sway(time_s, 2), 230, 150, expression="happy"))


def child_beside_adult(time_s: float) -> Picture:
    """A small face, low, beside a large one."""
    pixels = empty_room()
    adult = Person(250 + _sway(time_s), 160, 165)
    child = Person(470 - _sway(time_s), 350, 75, who=1, expression="happy")
    return pixels, draw(pixels, adult, child)


def sunglasses(time_s: float) -> Picture:
    """Eyes hidden by dark glasses."""
    return _alone(Person(330 + _sway(time_s), 210, 150, expression="happy", wears="sunglasses"))


def mask(time_s: float) -> Picture:
    """Mouth and nose hidden by a surgical mask."""
    return _alone(Person(330 + _sway(time_s), 210, 150, wears="mask"))


def beard(time_s: float) -> Picture:
    """A full beard."""
    return _alone(Person(330 + _sway(time_s), 210, 150, expression="happy", wears="beard"))


def half_profile(time_s: float) -> Picture:
    """A head turned by 40 degrees."""
    return _alone(Person(330 + _sway(time_s), 210, 150, turned_deg=40))


def profile(time_s: float) -> Picture:
    """A head turned by 60 degrees: as much of a profile as a frontal face gives, without the outline of the nose."""
    return _alone(Person(330 + _sway(time_s), 210, 150, turned_deg=60))


def dark(time_s: float) -> Picture:
    """The room at night, a tenth as bright, with the camera's noise."""
    pixels, boxes = one_person(time_s)
    noise = np.random.default_rng(round(1000 * time_s)).normal(0, 2, pixels.shape)
    return np.clip(0.1 * pixels + noise, 0, 255).astype(np.uint8), boxes


def back_lit(time_s: float) -> Picture:
    """A person before a window so bright that the face is dark."""
    pixels = np.full((HEIGHT_PX, WIDTH_PX, 3), 40, np.uint8)
    cv2.rectangle(pixels, (120, 20), (540, 400), (255, 255, 255), -1)
    cv2.rectangle(pixels, (325, 20), (335, 400), (40, 40, 40), -1)
    before = pixels.copy()
    boxes = draw(pixels, Person(330 + _sway(time_s), 210, 150, expression="happy"))
    person = (pixels != before).any(axis=-1, keepdims=True)
    pixels = np.where(person, pixels * 0.22, before).astype(np.uint8)
    glow = cv2.GaussianBlur(np.where(person, 0, pixels).astype(np.float32), (0, 0), 12)
    return np.clip(pixels + 0.15 * glow, 0, 255).astype(np.uint8), boxes


def portrait_on_the_wall(time_s: float) -> Picture:
    """A framed picture of a face, which does not move, beside a person who does."""
    pixels = empty_room()
    framed = np.full((170, 140, 3), (95, 110, 115), np.uint8)
    draw(framed, Person(70, 78, 84, who=2))
    cv2.rectangle(pixels, (428, 38), (588, 228), (40, 75, 110), -1)
    pixels[48:218, 438:578] = framed
    return pixels, [*draw(pixels, Person(220 + _sway(time_s, 15), 230, 150, expression="happy")), Box(466, 84, 84, 84)]


def television(time_s: float) -> Picture:
    """A screen in the background shows a film with a face, and after 1.5 seconds another shot, without one."""
    pixels = empty_room()
    film = _film(time_s)
    cv2.rectangle(pixels, (392, 52), (628, 234), (15, 15, 15), -1)
    pixels[60:225, 400:620] = cv2.resize(film, (220, 165), interpolation=cv2.INTER_AREA)
    boxes = draw(pixels, Person(190 + _sway(time_s), 240, 150, expression="happy"))
    if time_s >= FILM_CUT_S:
        return pixels, boxes
    x, y, side = (FILM_SCALE * value for value in face_place(FILM_START_S + time_s))
    return pixels, [*boxes, Box(round(400 + x), round(60 + y), round(side), round(side))]


FILM_START_S, FILM_CUT_S, FILM_SCALE = 7.5, 1.5, 220 / 640


def _film(time_s: float) -> np.ndarray:
    if time_s < FILM_CUT_S:
        return _demo().render(FILM_START_S + time_s)[0]
    x, y = np.meshgrid(np.arange(640), np.arange(480))
    waves = 90 + 40 * np.sin(y / 23 + x / 180 + 4 * time_s)
    return np.stack([waves + 40, waves, waves - 30], -1).astype(np.uint8)


@cache
def _demo() -> DemoSource:
    return DemoSource(count=1, paced=False)


def drawn_face(time_s: float) -> Picture:
    """A sheet of paper with a face of circles and lines."""
    pixels = empty_room()
    x = 320 + round(_sway(time_s))
    cv2.rectangle(pixels, (x - 120, 90), (x + 120, 410), (245, 245, 245), -1)
    ink = (60, 40, 30)
    cv2.circle(pixels, (x, 250), 85, ink, 4, cv2.LINE_AA)
    for side in (-1, 1):
        cv2.circle(pixels, (x + 30 * side, 225), 9, ink, 3, cv2.LINE_AA)
        cv2.line(pixels, (x + 15 * side, 203), (x + 45 * side, 198), ink, 3, cv2.LINE_AA)
    cv2.line(pixels, (x, 235), (x - 8, 268), ink, 3, cv2.LINE_AA)
    cv2.ellipse(pixels, (x, 280), (38, 22), 0, 10, 170, ink, 4, cv2.LINE_AA)
    return pixels, []


def smiley(time_s: float) -> Picture:
    """A yellow ball with two eyes and a mouth."""
    pixels = empty_room()
    x = 320 + round(_sway(time_s))
    cv2.circle(pixels, (x, 240), 90, (40, 210, 250), -1, cv2.LINE_AA)
    for side in (-1, 1):
        cv2.ellipse(pixels, (x + 32 * side, 212), (9, 16), 0, 0, 360, (20, 30, 40), -1, cv2.LINE_AA)
    cv2.ellipse(pixels, (x, 250), (52, 42), 0, 10, 170, (20, 30, 40), 6, cv2.LINE_AA)
    return pixels, []


def nobody(time_s: float) -> Picture:
    """The room alone."""
    return empty_room(), []

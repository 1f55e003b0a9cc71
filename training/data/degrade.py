"""Spoil faces as cameras do: make them small, blurred, dark or overexposed, turn them, cut them off or cover them.

Each face of a data set is drawn into a small synthetic picture, 160 px wide unless it is to be small. What is wrong is
applied at that size, as in front of the camera: turned and covered first, then light, optics, sensor and JPEG. The box
is the known place with the error of a detector, so that faces that a detector would miss are measured too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from mien.types import QUALITY_REASONS, Box, clip_box
from training.data.splits import Split

FACE_PX = 160
MARGIN = 0.35
"""Background around a face, as a share of its side."""
UNSPOILED = 0.25
"""Share of the faces with nothing wrong but a camera's usual noise and compression."""
SECOND = 0.25
"""Share of the others with a second, weaker cause."""
BOX_SHIFT, BOX_SCALE = 0.03, 0.06
"""Standard deviations of a detector's box, as shares of the face's side, see `python -m benchmarks.margins`."""


@dataclass(frozen=True, slots=True, eq=False)
class Degraded:
    """A picture of one face with which something is wrong.

        degraded = degrade(image, ["dark"], np.random.default_rng(0))
        print(measure(degraded.pixels_bgr, degraded.box))

    Attributes:
        pixels_bgr: uint8 (height, width, 3).
        box: Of the face, as a detector would find it.
        roll_deg: How far the face was turned in the plane, clockwise, in degrees.
        covered: Share that was covered of the part with eyes, nose and mouth, 0 to 1.
    """

    pixels_bgr: np.ndarray
    box: Box
    roll_deg: float = 0.0
    covered: float = 0.0


def degraded_faces(split: Split, rng: np.random.Generator) -> Iterator[tuple[Degraded, tuple[str, ...]]]:
    """Degrade each image of a split once, by causes drawn at random.

    Args:
        split: The images.
        rng: Source of random numbers.

    Yields:
        The picture, and its causes, the main one first; none for a quarter of the images.
    """
    for image in split.images[..., 0]:
        causes = (
            tuple(rng.permutation(QUALITY_REASONS)[: 1 + (rng.random() < SECOND)]) if rng.random() > UNSPOILED else ()
        )
        yield degrade(image, causes, rng), causes


def degrade(
    image: np.ndarray, causes: Sequence[str], rng: np.random.Generator, strength: float | None = None
) -> Degraded:
    """Draw a face into a picture, and spoil it.

    Args:
        image: The face, gray uint8 (side, side).
        causes: Some of QUALITY_REASONS, the main one first; others are half as strong.
        rng: Source of random numbers.
        strength: How much, 0 to 1; at random by default.
    """
    how = {cause: (rng.random() if strength is None else strength) / (1 + i) for i, cause in enumerate(causes)}
    side = round(FACE_PX * (12 / FACE_PX) ** (0.35 + 0.65 * how["small"])) if "small" in how else FACE_PX
    source_px = max(side, 64)
    face = cv2.resize(image, (source_px, source_px), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    roll_deg = covered = 0.0
    if "covered" in how:
        face, covered = _cover(face, how["covered"], rng)
    margin = round(MARGIN * source_px)
    scene = _background(source_px + 2 * margin, rng)
    inside = np.s_[margin : margin + source_px, margin : margin + source_px]
    if "turned away" in how:
        roll_deg = float(rng.choice([-1, 1])) * (10 + 60 * how["turned away"])
        face = _turn(face, scene[inside], roll_deg)
    scene[inside] = face
    if side < source_px:
        size = round(len(scene) * side / source_px)
        scene, margin = cv2.resize(scene, (size, size), interpolation=cv2.INTER_AREA), round(MARGIN * side)
    scene = _expose(scene, how, rng)
    if "blurred" in how:
        scene = _blur(scene, side, how["blurred"], rng)
    scene = _sensor(scene, how.get("dark", 0.0), rng)
    x, y, w = margin, margin, side
    if "cut off" in how:
        cut = round((0.1 + 0.5 * how["cut off"]) * side)
        kind = int(rng.integers(4))  # left, right, top, bottom
        scene = (
            scene[:, margin + cut :],
            scene[:, : margin + side - cut],
            scene[margin + cut :],
            scene[: margin + side - cut],
        )[kind]
        x, y = x - (margin + cut) * (kind == 0), y - (margin + cut) * (kind == 2)
    pixels_bgr = np.repeat(np.ascontiguousarray(scene)[..., np.newaxis], 3, axis=2)
    return Degraded(pixels_bgr, _found(x, y, w, pixels_bgr, rng), roll_deg, covered)


def _found(x: float, y: float, side: float, pixels_bgr: np.ndarray, rng: np.random.Generator) -> Box:
    """The box as a detector would find it, clipped to the picture."""
    width = side * math.exp(BOX_SCALE * rng.standard_normal())
    shift_x, shift_y = BOX_SHIFT * side * rng.standard_normal(2) + (side - width) / 2
    box = clip_box(x + shift_x, y + shift_y, width, width, pixels_bgr.shape[1], pixels_bgr.shape[0])
    assert box is not None
    return box


def _background(side: int, rng: np.random.Generator) -> np.ndarray:
    """Soft blobs or plain gray, float32 (side, side)."""
    count = int(rng.integers(1, 9))
    coarse = rng.uniform(40, 200, (count, count)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_LINEAR))


def _turn(face: np.ndarray, behind: np.ndarray, roll_deg: float) -> np.ndarray:
    """A face turned in the plane, in front of what is behind it; both float32 (side, side)."""
    side = len(face)
    middle = (side - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), -roll_deg, 1.0)
    turned = cv2.warpAffine(face, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    shown = cv2.warpAffine(np.ones_like(face), matrix, (side, side))
    return turned * shown + behind * (1 - shown)


def _cover(face: np.ndarray, strength: float, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Cover a face with sunglasses, a mask, a hand or an object; (face, share of it that is covered)."""
    side = len(face)
    kind = rng.choice(("sunglasses", "mask", "hand", "object"))
    mask = cv2.GaussianBlur(_cover_mask(kind, side, strength, rng), (0, 0), 0.008 * side)
    shade = rng.uniform(20, 60) if kind == "sunglasses" else rng.uniform(25, 235)
    if kind == "hand":  # as light as the face, with darker edges of the fingers
        shade = np.clip(np.median(face) * rng.uniform(0.85, 1.15), 20, 235)
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side - 0.5
    slope_x, slope_y = rng.normal(0, 25, 2)
    cover = shade + slope_x * x + slope_y * y
    if kind == "hand":
        cover -= 35 * cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    return face * (1 - mask) + cover * mask, float(mask[side // 4 :, side // 6 : -side // 6].mean())


def _cover_mask(kind: str, side: int, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Where a face is covered, float32 (side, side), 0 or 1."""
    mask = np.zeros((side, side), np.float32)

    def px(*shares: float) -> tuple[int, int]:
        x, y = (round(float(share) * side) for share in shares)
        return x, y

    if kind == "sunglasses":
        for x in (0.3, 0.7):
            cv2.ellipse(mask, px(x, 0.4), px(0.19, 0.08 + 0.1 * strength), 0, 0, 360, 1.0, -1)
        cv2.rectangle(mask, px(0.3, 0.36), px(0.7, 0.42), 1.0, -1)
    elif kind == "mask":
        top = 0.72 - 0.2 * strength
        cv2.ellipse(mask, px(0.5, (top + 1.05) / 2), px(0.42, (1.05 - top) / 2), 0, 0, 360, 1.0, -1)
    elif kind == "hand":  # fingers side by side
        middle, angle_deg = rng.uniform(0.25, 0.75, 2), rng.uniform(0, 180)
        across = np.array([-math.sin(math.radians(angle_deg)), math.cos(math.radians(angle_deg))])
        for finger in range(-2, 3):
            center = px(*(middle + 0.11 * finger * across))
            cv2.ellipse(mask, center, px(0.2 + 0.25 * strength, 0.055), angle_deg, 0, 360, 1.0, -1)
    else:
        extent = (0.2 + 0.5 * strength) * rng.uniform(0.7, 1.3, 2)
        corner = rng.uniform(0, 1, 2) - extent / 2
        cv2.rectangle(mask, px(*corner), px(*(corner + extent)), 1.0, -1)
    return mask


def _expose(scene: np.ndarray, how: dict[str, float], rng: np.random.Generator) -> np.ndarray:
    if "dark" in how:
        scene = 255 * (np.clip(scene, 0, 255) / 255) ** rng.uniform(0.9, 1.4) * 2.0 ** -(1 + 4 * how["dark"])
    if "overexposed" in how:
        scene = scene * 2.0 ** (0.5 + 2 * how["overexposed"]) + 60 * how["overexposed"]
    if not how.keys() & {"dark", "overexposed"}:
        scene = 128 + (scene - 128) * rng.uniform(0.7, 1.0) + rng.normal(0, 12)
    return np.clip(scene, 0, 255)


def _blur(scene: np.ndarray, side: int, strength: float, rng: np.random.Generator) -> np.ndarray:
    sigma = (0.015 + 0.075 * strength) * side
    if rng.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(scene, (0, 0), sigma))
    length = max(3, round(3.5 * sigma))
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, math.pi)
    reach = np.array([math.cos(angle), math.sin(angle)]) * (length - 1) / 2
    middle = (length - 1) / 2
    start, end = (tuple(round(v) for v in middle + sign * reach) for sign in (-1, 1))
    cv2.line(kernel, start, end, 1.0)
    return np.asarray(cv2.filter2D(scene, -1, kernel / kernel.sum()))


def _sensor(scene: np.ndarray, dark: float, rng: np.random.Generator) -> np.ndarray:
    """Noise, rounding and JPEG."""
    noise = rng.exponential(2.0) + 3 * dark * rng.random()
    scene = scene + rng.normal(0, noise, scene.shape)
    pixels = np.clip(np.rint(scene), 0, 255).astype(np.uint8)
    quality = int(rng.integers(40, 96))
    encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE))

"""Synthetic frames with one face of a data set at a known place, or without a face, to measure detectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mien.types import EXPRESSIONS, Box
from training.data.files import DataError, read_image
from training.data.splits import Split

WIDTH_PX, HEIGHT_PX = 640, 480
SIZES_PX = (80, 160, 240)


@dataclass(frozen=True, slots=True)
class Shown:
    """How a face is shown in a frame.

    Args:
        face_px: Side of the face, in pixels.
        turned_deg: Angle by which every face is turned in the plane, to the left and to the right in turn.
        brightness: Of the whole frame, above 0 and up to 1 for unchanged.

    Raises:
        ValueError: The face does not fit into the frame, or the brightness is out of range.

    Example:
        frames = frames_with_faces(paths, 600, np.random.default_rng(0), Shown(160, turned_deg=20))
    """

    face_px: int = 160
    turned_deg: float = 0.0
    brightness: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.face_px < HEIGHT_PX:
            raise ValueError(f"expected a face of 1 to {HEIGHT_PX - 1} pixels, found {self.face_px}")
        if not 0 < self.brightness <= 1:
            raise ValueError(f"expected a brightness above 0 and up to 1, found {self.brightness}")


@dataclass(frozen=True, slots=True, eq=False)
class PlacedFace:
    """A frame with one face.

    Attributes:
        pixels_bgr: The frame, uint8 (480, 640, 3).
        box: Of the face in the frame; of a turned face, as if it were upright.
        face: The image that was placed, gray uint8 (side, side).
        label: Index into EXPRESSIONS.
        index: Position of the image in its split; -1 for an image from a file.

    Example:
        (placed,) = frames_of(dataset.test, 1, np.random.default_rng(0), Shown(160))
        found = HaarDetector().detect(placed.pixels_bgr)
        print(any(box.iou(placed.box) > 0.5 for box in found))
    """

    pixels_bgr: np.ndarray
    box: Box
    face: np.ndarray
    label: int
    index: int = -1


def face_paths(data: str | Path, pattern: str = "test/*/PrivateTest_*") -> list[Path]:
    """Return the images of FER-2013 as folders (data) that match the pattern, sorted. Raise DataError for none."""
    paths = sorted(path for path in Path(data).glob(pattern) if path.parent.name in EXPRESSIONS)
    if not paths:
        raise DataError(f"{data}: expected images named {pattern}, in folders by expression; found none")
    return paths


def frames_with_faces(
    paths: Sequence[Path], count: int, rng: np.random.Generator, shown: Shown | None = None
) -> Iterator[PlacedFace]:
    """Show random faces at random places on plain gray, soft blobs or noise.

    Args:
        paths: The images, in folders by expression.
        count: Number of frames.
        rng: Source of random numbers.
        shown: How the faces are shown.

    Yields:
        Frames with one face each.
    """
    for i, chosen in enumerate(rng.permutation(len(paths))[:count]):
        label = EXPRESSIONS.index(paths[chosen].parent.name)
        yield _place(read_gray(paths[chosen]), label, i, rng, shown or Shown())


def frames_of(split: Split, count: int, rng: np.random.Generator, shown: Shown | None = None) -> Iterator[PlacedFace]:
    """Yield `count` frames as `frames_with_faces`, from images of a split; rng, shown: as there."""
    for i, chosen in enumerate(rng.permutation(len(split))[:count]):
        yield _place(split.images[chosen, :, :, 0], int(split.labels[chosen]), i, rng, shown or Shown(), int(chosen))


def _place(
    image: np.ndarray, label: int, number: int, rng: np.random.Generator, shown: Shown, index: int = -1
) -> PlacedFace:
    """Place a gray face at a random place of a frame; its number decides on the background and the side it turns to."""
    pixels, side = _background(number % 3, rng), shown.face_px
    face = cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC)
    x, y = int(rng.integers(0, WIDTH_PX - side)), int(rng.integers(0, HEIGHT_PX - side))
    if shown.turned_deg:
        turned = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), (-1) ** number * shown.turned_deg, 1)
        turned[:, 2] += x, y
        face_bgr = cv2.cvtColor(face, cv2.COLOR_GRAY2BGR)
        cv2.warpAffine(face_bgr, turned, (WIDTH_PX, HEIGHT_PX), pixels, borderMode=cv2.BORDER_TRANSPARENT)
    else:
        pixels[y : y + side, x : x + side] = face[..., np.newaxis]
    if shown.brightness < 1:
        pixels = np.round(pixels * shown.brightness).astype(np.uint8)
    return PlacedFace(pixels, Box(x, y, side, side), image, label, index)


def frames_without_faces(paths: Sequence[Path], count: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield `count` frames by `rng`, uint8 (480, 640, 3): these backgrounds, and faces (paths) cut into 64 squares."""
    for i in range(count):
        pixels = _background(i % 4, rng)
        if i % 4 == 3:
            face = cv2.resize(
                read_gray(paths[int(rng.integers(len(paths)))]), (480, 480), interpolation=cv2.INTER_CUBIC
            )
            pixels[:, 80:560, :] = shuffled(face, 8, rng)[..., np.newaxis]
        yield pixels


def shuffled(image: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Cut a gray image, uint8 (side, side), into count x count squares, and shuffle them by `rng`."""
    part = image.shape[0] // count
    side = part * count
    parts = image[:side, :side].reshape(count, part, count, part).swapaxes(1, 2).reshape(-1, part, part)
    mixed = parts[rng.permutation(len(parts))].reshape(count, count, part, part)
    return np.ascontiguousarray(mixed.swapaxes(1, 2).reshape(side, side))


def read_gray(path: Path) -> np.ndarray:
    """Read an image as gray uint8 (height, width). Raise DataError where it cannot be read."""
    try:
        return read_image(path)
    except ValueError as error:
        raise DataError(f"{path}: expected an image, found something else: {error}") from error


def _background(kind: int, rng: np.random.Generator) -> np.ndarray:
    """Return soft blobs (kind 1), noise (2) or plain gray: uint8 (480, 640, 3)."""
    if kind == 1:
        coarse = rng.integers(60, 200, (12, 16, 3), dtype=np.uint8)
        return np.asarray(cv2.resize(coarse, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_CUBIC))
    if kind == 2:
        return np.clip(rng.normal(120, 25, (HEIGHT_PX, WIDTH_PX, 3)), 0, 255).astype(np.uint8)
    return np.full((HEIGHT_PX, WIDTH_PX, 3), 128, np.uint8)

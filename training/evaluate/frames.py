"""End-to-end accuracy: faces of a data set shown in synthetic frames, then detected, cropped and classified as live.

The frames, with one face at a known place or without a face, also serve to measure detectors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mien.analysis.pipeline import Classifier, Pipeline
from mien.detectors import Detector
from mien.types import EXPRESSIONS, Analysis, Box, Frame
from training.data.files import DataError, read_image
from training.data.splits import Split
from training.evaluate.tables import markdown_table

WIDTH_PX, HEIGHT_PX = 640, 480
SIZES_PX = (80, 160, 240)
SEED = 0
_FOUND_IOU = 0.4


@dataclass(frozen=True, slots=True)
class EndToEnd:
    """The results for faces of one size, each in a frame of 640x480.

    Attributes:
        detector: Its name.
        face_px: Side of the faces, in pixels.
        faces: Number of faces shown.
        found: Faces that the detector found, with an IoU of _FOUND_IOU or more.
        right: Found faces that were classified correctly.
        direct_right: Found faces that the network classifies correctly when it is given the image itself.
        direct_of_all: The same, of all faces shown.

    Example:
        for result in end_to_end(HaarDetector(), FacialExpressionModel(), dataset.test, faces=600):
            print(result.face_px, result.found / result.faces, result.right / result.faces)
    """

    detector: str
    face_px: int
    faces: int
    found: int
    right: int
    direct_right: int
    direct_of_all: int


def end_to_end(
    detector: Detector, classifier: Classifier, split: Split, *, sizes_px: Sequence[int] = SIZES_PX, faces: int
) -> list[EndToEnd]:
    """Measure one result for each size of faces, with fixed seeds.

    Args:
        detector: Finds the faces.
        classifier: Takes images of the size of those in `split`.
        split: The faces and their labels.
        sizes_px: Sides of the faces in the frames.
        faces: At most this many of each size.
    """
    pipeline = Pipeline(detector, classifier)
    return [_at_size(pipeline, split, face_px, faces) for face_px in sizes_px]


def _at_size(pipeline: Pipeline, split: Split, face_px: int, faces: int) -> EndToEnd:
    shown, found_labels = [], []
    for placed in frames_of(split, faces, np.random.default_rng((SEED, face_px)), face_px):
        shown.append((placed.face, placed.label))
        found_labels.append(_label_of(placed, pipeline.analyze(Frame(placed.pixels_bgr))))
    labels, predicted = np.array([label for _, label in shown]), np.array(found_labels)
    direct = pipeline.classifier.predict(np.stack([face for face, _ in shown])).argmax(axis=1) == labels
    found = predicted >= 0
    return EndToEnd(
        detector=pipeline.detector.name,
        face_px=face_px,
        faces=len(labels),
        found=int(found.sum()),
        right=int((predicted == labels).sum()),
        direct_right=int(direct[found].sum()),
        direct_of_all=int(direct.sum()),
    )


def _label_of(placed: PlacedFace, analysis: Analysis) -> int:
    """Return the label predicted for the box that overlaps the face most; -1 where the face was not found."""
    best = max(analysis.faces, key=lambda face: face.box.iou(placed.box), default=None)
    if best is None or best.box.iou(placed.box) < _FOUND_IOU:
        return -1
    return int(best.raw.argmax())


def as_markdown(results: Sequence[EndToEnd]) -> str:
    """Return a Markdown table with a row for each detector and size."""
    columns = ["detector", "face", "found", "accuracy of the found", "found and right"]
    columns += ["the same images, directly", "all images, directly"]
    rows = []
    for r in results:
        found = max(r.found, 1)
        cells = [f"{r.found / r.faces:.1%} (of {r.faces})", f"{r.right / found:.1%}", f"{r.right / r.faces:.1%}"]
        cells += [f"{r.direct_right / found:.1%}", f"{r.direct_of_all / r.faces:.1%}"]
        rows.append([r.detector, f"{r.face_px} px", *cells])
    return markdown_table(columns, rows)


@dataclass(frozen=True, slots=True, eq=False)
class PlacedFace:
    """A frame with one face.

    Attributes:
        pixels_bgr: The frame, uint8 (480, 640, 3).
        box: Of the face in the frame.
        face: The image that was placed, gray uint8 (side, side).
        label: Index into EXPRESSIONS.

    Example:
        (placed,) = frames_of(dataset.test, 1, np.random.default_rng(0), face_px=160)
        found = HaarDetector().detect(placed.pixels_bgr)
        print(any(box.iou(placed.box) > 0.5 for box in found))
    """

    pixels_bgr: np.ndarray
    box: Box
    face: np.ndarray
    label: int


def face_paths(data: str | Path, pattern: str = "test/*/PrivateTest_*") -> list[Path]:
    """Return the images of FER-2013 as folders (data) that match the pattern, sorted. Raise DataError for none."""
    paths = sorted(path for path in Path(data).glob(pattern) if path.parent.name in EXPRESSIONS)
    if not paths:
        raise DataError(f"{data}: expected images named {pattern}, in folders by expression; found none")
    return paths


def frames_with_faces(
    paths: Sequence[Path], count: int, rng: np.random.Generator, *, face_px: int = 160
) -> Iterator[PlacedFace]:
    """Show random faces at random places on plain gray, soft blobs or noise.

    Args:
        paths: The images, in folders by expression.
        count: Number of frames.
        rng: Source of random numbers.
        face_px: Side of the faces in the frames.

    Yields:
        Frames with one face each.
    """
    for i, chosen in enumerate(rng.permutation(len(paths))[:count]):
        label = EXPRESSIONS.index(paths[chosen].parent.name)
        yield _place(read_gray(paths[chosen]), label, i % 3, rng, face_px)


def frames_of(split: Split, count: int, rng: np.random.Generator, face_px: int) -> Iterator[PlacedFace]:
    """Yield `count` frames as `frames_with_faces`, from images of a split; rng, face_px: as there."""
    for i, chosen in enumerate(rng.permutation(len(split))[:count]):
        yield _place(split.images[chosen, :, :, 0], int(split.labels[chosen]), i % 3, rng, face_px)


def _place(image: np.ndarray, label: int, background: int, rng: np.random.Generator, face_px: int) -> PlacedFace:
    """Place a gray face at a random place of a frame; background: as for `_background`."""
    pixels = _background(background, rng)
    face = cv2.resize(image, (face_px, face_px), interpolation=cv2.INTER_CUBIC)
    x, y = int(rng.integers(0, WIDTH_PX - face_px)), int(rng.integers(0, HEIGHT_PX - face_px))
    pixels[y : y + face_px, x : x + face_px] = face[..., np.newaxis]
    return PlacedFace(pixels, Box(x, y, face_px, face_px), image, label)


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

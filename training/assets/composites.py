"""The demo's faces: for each of three appearances and each expression, the average of training images.

Nobody's face: each is the mean of dozens of different people, after Galton's "Composite portraits" (1878). The images
are those whose expression almost all of ten people named alike. They are warped to their mean shape before they are
averaged, so that eyes, brows and mouths stay sharp (Rowland and Perrett, "Manipulating facial appearance through
shape and color", 1995).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from mien.landmarks.network import LandmarkNetwork
from mien.landmarks.points import RIGID
from mien.sources.demo_faces import PEOPLE, SIDE_PX, DemoFaces
from mien.types import EXPRESSIONS
from training.assets.landmarks import Landmarks, find_landmarks
from training.assets.mesh import Mesh, common_shape, similarity
from training.data.dataset import CSV_SIDE_PX
from training.data.files import DataError
from training.data.splits import Split
from training.data.votes import votes_of
from training.inputs import read_data, writable

_AGREED = {"angry": 0.7, "disgust": 0.5, "fear": 0.5, "happy": 0.95, "neutral": 0.9, "sad": 0.7, "surprise": 0.8}
"""Share of all votes that an image's expression needs: as high as leaves enough images of each."""

_AVERAGED = {"disgust": 20, "fear": 28}
_AVERAGED_ELSE = 36
"""Images of each composite."""

_EXAGGERATED = {"disgust": 0.3, "fear": 0.2}
"""How much stronger rare expressions are drawn, a caricature (Brennan, "Caricature generator", 1985).

Averaging weakens an expression, the more the fewer images there are to choose from.
"""

_CANDIDATES = 700
_FEATURES_PX = 48
_MAX_YAW_DEG, _MAX_PITCH_DEG, _MAX_SPREAD = 12, 28, 0.011
_MIN_CONTRAST = 18
_ALIKE = 0.6  # correlation at which two images may show one person, or are one photograph
_TYPICAL = 0.65  # share of the candidates kept: those that look most like the expression's median face
_CLUSTERS = 6
_EXTREME = 2.0  # how far beyond a cluster's center its appearance is looked for
_SHAPE_EXTREME = 1.3
_SHARPEN, _SHARPEN_PX = 1.3, 2.5
_MEAN_LEVELS, _CONTRAST = (140, 126, 150), 43
_SHADE, _FADE = 0.62, 0.08  # of what surrounds the face, a mean of all backgrounds: how much, within which distance

Find = Callable[[np.ndarray], Landmarks | None]
"""A gray face, uint8 (side, side) -> its landmarks."""


@dataclass(frozen=True, slots=True, eq=False)
class _Candidates:
    """The usable images of one expression, each also mirrored, so that the light can come from one side."""

    images: np.ndarray  # uint8 (n, side, side)
    points: np.ndarray  # float64 (n, 468, 2), their landmarks in pixels
    originals: np.ndarray  # int64 (n,), equal for an image and its mirror image


def composite_faces(split: Split, find: Find, seed: int = 0) -> DemoFaces:
    """Average the demo's faces from images with votes.

    Args:
        split: Images with votes, uint8 (n, side, side, 1).
        find: Finds an image's landmarks.
        seed: Of the choice among very many images, and of the clusters.

    Returns:
        A face for each appearance and expression, see `mien.sources.demo_faces`.

    Raises:
        DataError: An expression has too few images that people agree on and that are alike enough to be aligned.
    """
    rng = np.random.default_rng(seed)
    found = [_usable(split, label, find, rng) for label in range(len(EXPRESSIONS))]
    common, mirror = common_shape(np.concatenate([points for _, points in found]))
    pools = [_with_mirrored(images, points, mirror) for images, points in found]
    features = _features(pools, Mesh(common, _FEATURES_PX))
    appearances = _appearances(features[EXPRESSIONS.index("neutral")].identity, rng)
    # Where mouths and eyes are wide open in all textures, there is room for what is inside.
    mesh = Mesh(common_shape(found[EXPRESSIONS.index("surprise")][1])[0], SIDE_PX)
    textures, shapes = [], []
    for label, (pool, feature) in enumerate(zip(pools, features, strict=True)):
        count = _AVERAGED.get(EXPRESSIONS[label], _AVERAGED_ELSE)
        chosen = [_chosen(pool, feature, appearance, count) for appearance in appearances]
        if min(map(len, chosen)) < count:
            text = f"expected {count} images of different faces to average for {EXPRESSIONS[label]}"
            raise DataError(f"{text}, found {min(map(len, chosen))}")
        textures.append([_mean_texture(pool, members, mesh) for members in chosen])
        shapes.append([np.mean([mesh.placed(pool.points[i])[0] for i in members], axis=0) for members in chosen])
    by_person = np.swapaxes(np.array(textures), 0, 1), np.swapaxes(np.array(shapes), 0, 1)
    return _finished(*by_person, mesh)


@dataclass(frozen=True, slots=True, eq=False)
class _Features:
    """What is known of each candidate of an expression."""

    identity: np.ndarray  # (n, d), its looks apart from the expression
    pixels: np.ndarray  # (n, m), those inside the outline, less the mean of the expression
    typical: np.ndarray  # (n,), correlation with the median face of the expression, -1 to 1


def _usable(split: Split, label: int, find: Find, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Different images that people agree on, and their landmarks; without those turned away or not well found."""
    votes = votes_of(split)
    share = votes[:, label] / np.maximum(votes.sum(axis=1), 1)
    agreed = np.flatnonzero(share >= _AGREED[EXPRESSIONS[label]])
    images = np.unique(split.images[agreed, :, :, 0], axis=0)
    images = images[rng.permutation(len(images))[:_CANDIDATES]]
    found = [(image, marks) for image, marks in ((image, find(image)) for image in images) if marks and _frontal(marks)]
    if not found:
        raise DataError(f"expected frontal images of {EXPRESSIONS[label]} that people agree on, found none")
    return np.stack([image for image, _ in found]), np.stack([marks.points for _, marks in found])


def _frontal(marks: Landmarks) -> bool:
    return abs(marks.yaw_deg) < _MAX_YAW_DEG and abs(marks.pitch_deg) < _MAX_PITCH_DEG and marks.spread < _MAX_SPREAD


def _with_mirrored(images: np.ndarray, points: np.ndarray, mirror: np.ndarray) -> _Candidates:
    mirrored = points[:, mirror] * (-1, 1) + (images.shape[2] - 1, 0)
    numbers = np.arange(len(images))
    return _Candidates(
        np.concatenate([images, np.ascontiguousarray(images[:, :, ::-1])]),
        np.concatenate([points, mirrored]),
        np.concatenate([numbers, numbers]),
    )


def _features(pools: list[_Candidates], mesh: Mesh) -> list[_Features]:
    """Principal components of texture and shape, after the mean of each expression is subtracted."""
    pixels, shapes = [], []
    for pool in pools:
        textures = [mesh.texture(*pair)[0][mesh.inside] for pair in zip(pool.images, pool.points, strict=True)]
        pixels.append(np.stack([_standardized(texture) for texture in textures]))
        shapes.append(np.stack([_rigid(points, mesh) for points in pool.points]))
    coarse = [_centered(_coarse(each, mesh)) for each in pixels]
    usual = shapes[EXPRESSIONS.index("neutral")].mean(axis=0)
    shapes = [each - usual for each in shapes]
    looks, forms = _components(coarse, 10), _components(shapes, 8)
    upper = np.nonzero(mesh.inside)[0] < mesh.shape[:, 1].mean()
    features = []
    for each, look, form in zip(pixels, looks, forms, strict=True):
        median = np.median(each, axis=0)
        halves = [_standardized(each[:, part]) @ _standardized(median[part]) / part.sum() for part in (upper, ~upper)]
        features.append(_Features(np.hstack([look, 0.7 * form]), _centered(each), np.minimum(*halves)))
    return features


def _rigid(points: np.ndarray, mesh: Mesh) -> np.ndarray:
    """Where the points are that expressions hardly move, (d,): they set faces apart, children's from adults' too."""
    still, target = points[list(RIGID)], mesh.shape[list(RIGID)]
    transform = similarity(still, target)
    return np.asarray(still @ transform[:, :2].T + transform[:, 2]).ravel()


def _appearances(identity: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The centers, moved outward, of those k-means clusters that are farthest apart, (PEOPLE, d)."""
    centers = identity[rng.choice(len(identity), _CLUSTERS, replace=False)]
    for _ in range(60):
        nearest = np.linalg.norm(identity[:, np.newaxis] - centers, axis=2).argmin(axis=1)
        members = (identity[nearest == i] for i in range(_CLUSTERS))
        centers = np.array([m.mean(axis=0) if len(m) else c for m, c in zip(members, centers, strict=True)])
    order = [int(np.linalg.norm(centers, axis=1).argmax())]
    while len(order) < PEOPLE:
        apart = np.linalg.norm(centers[:, np.newaxis] - centers[order], axis=2).min(axis=1)
        order.append(int(apart.argmax()))
    return np.asarray(centers[order] * _EXTREME)


def _chosen(pool: _Candidates, features: _Features, appearance: np.ndarray, count: int) -> list[int]:
    """The candidates that look most like this, fewer than `count` if there are not that many different ones."""
    distance = np.linalg.norm(features.identity - appearance, axis=1)
    distance[features.typical < np.quantile(features.typical, 1 - _TYPICAL)] = np.inf
    unit = features.pixels / (np.linalg.norm(features.pixels, axis=1, keepdims=True) + 1e-9)
    chosen: list[int] = []
    for i in np.argsort(distance):
        if len(chosen) == count or not np.isfinite(distance[i]):
            break
        if pool.originals[i] not in pool.originals[chosen] and (unit[chosen] @ unit[i] < _ALIKE).all():
            chosen.append(int(i))
    return chosen


def _mean_texture(pool: _Candidates, members: list[int], mesh: Mesh) -> np.ndarray:
    """The mean of the textures, each pixel of the images that show it, float32 (side, side)."""
    total = np.zeros((mesh.side_px, mesh.side_px), np.float32)
    weights = np.full_like(total, 1e-3)
    for i in members:
        texture, weight = mesh.texture(pool.images[i], pool.points[i])
        inside = texture[mesh.inside]
        total += weight * (texture - inside.mean()) / (inside.std() + 1e-3)
        weights += weight
    # Where hardly any image reaches, the nearest pixels that some show go on.
    known = np.clip(weights / (0.5 * len(members)), 0, 1) ** 2
    mean, spread = total / weights, mesh.side_px / 24
    around = cv2.GaussianBlur(mean * known, (0, 0), spread) / (cv2.GaussianBlur(known, (0, 0), spread) + 1e-2)
    return np.asarray(known * mean + (1 - known) * around)


def _finished(textures: np.ndarray, shapes: np.ndarray, mesh: Mesh) -> DemoFaces:
    """Give each person one appearance in all expressions, sharpen, and convert to gray levels.

    The images of one expression differ from those of another in who they show. So what sets a person apart, beyond
    fine detail, is taken from all expressions at once.
    """
    coarse_px = mesh.side_px / 32
    apart = textures - textures.mean(axis=0)
    blurred = np.stack([[cv2.GaussianBlur(each, (0, 0), coarse_px) for each in person] for person in apart])
    textures = textures - blurred + blurred.mean(axis=1, keepdims=True)
    shapes_apart = (shapes - shapes.mean(axis=0)).mean(axis=1, keepdims=True)
    shapes = shapes.mean(axis=0) + _SHAPE_EXTREME * shapes_apart
    stronger = np.array([_EXAGGERATED.get(expression, 0.0) for expression in EXPRESSIONS])[:, np.newaxis, np.newaxis]
    special = textures - textures.mean(axis=1, keepdims=True)
    fine_px = mesh.side_px / 80  # noise is not drawn stronger
    special = np.stack([[cv2.GaussianBlur(each, (0, 0), fine_px) for each in person] for person in special])
    textures = textures + stronger * special
    shapes = shapes + stronger * (shapes - shapes.mean(axis=1, keepdims=True))
    outside = cv2.distanceTransform((~mesh.inside).astype(np.uint8), cv2.DIST_L2, 3) / (_FADE * mesh.side_px)
    outside = np.clip(outside, 0, 1)
    pixels = [
        [_gray_levels(texture, level, outside) for texture in person]
        for person, level in zip(textures, _MEAN_LEVELS, strict=True)
    ]
    return DemoFaces.of(np.array(pixels), np.array([[mesh.lookup(shape) for shape in person] for person in shapes]))


def _gray_levels(texture: np.ndarray, mean_level: float, outside: np.ndarray) -> np.ndarray:
    """Sharpen what is inside the face's outline, blur and darken what is outside (0 to 1), uint8 (side, side)."""
    sharp = texture + _SHARPEN * (texture - cv2.GaussianBlur(texture, (0, 0), _SHARPEN_PX))
    blurred = cv2.GaussianBlur(texture, (0, 0), 2 * _SHARPEN_PX)
    levels = mean_level + _CONTRAST * (sharp + outside * (blurred - sharp))
    return np.clip(levels * (1 - _SHADE * outside), 0, 255).astype(np.uint8)


def _coarse(pixels: np.ndarray, mesh: Mesh) -> np.ndarray:
    """The pixels inside the outline at half the resolution, which leaves noise behind: (n, d)."""
    side = mesh.side_px
    inside = cv2.resize(mesh.inside.astype(np.uint8), (side // 2, side // 2), interpolation=cv2.INTER_AREA) > 0
    tile = np.zeros((side, side), np.float32)
    rows = []
    for row in pixels:
        tile[mesh.inside] = row
        rows.append(cv2.resize(tile, (side // 2, side // 2), interpolation=cv2.INTER_AREA)[inside])
    return np.stack(rows)


def _components(rows: list[np.ndarray], count: int) -> list[np.ndarray]:
    """Coordinates along the first principal components of all, the first with deviation 1."""
    together = np.concatenate(rows)
    _, deviations, axes = np.linalg.svd(together, full_matrices=False)
    return [each @ axes[:count].T / (deviations[0] / np.sqrt(len(together))) for each in rows]


def _standardized(rows: np.ndarray) -> np.ndarray:
    centered = rows - rows.mean(axis=-1, keepdims=True)
    return np.asarray(centered / (rows.std(axis=-1, keepdims=True) + 1e-3))


def _centered(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows - rows.mean(axis=0))


def run(options: argparse.Namespace) -> None:
    """Compute the average faces of the demo, and write their file. Raise DataError without --votes."""
    if options.votes_file is None:
        raise DataError("--votes: expected people's votes, by which the images are chosen; found none")
    find = partial(find_landmarks, network=LandmarkNetwork())
    composite_faces(read_data(options, CSV_SIDE_PX).train, find, options.seed).save(writable(options.out))
    print(f"wrote {options.out}")

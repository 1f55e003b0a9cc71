"""Piecewise affine warping of faces between their own shape and one shape common to all.

As in active appearance models (Cootes, Edwards and Taylor, 1998): a face is a shape, where its landmarks are, and a
texture, what it looks like once it is warped to the common shape.
"""

from __future__ import annotations

import cv2
import numpy as np
from matplotlib.tri import Triangulation

from mien.landmarks.points import LEFT_EYE, OVAL, RIGHT_EYE
from mien.sources.demo_faces import FACE_MIDDLE, FACE_WIDTH

_FEATHER_PX = 6  # from the image's border, over which its pixels gain weight


class Mesh:
    """The common shape and its triangles, in a square tile.

    Args:
        common: float64 (n, 2), the common shape; its scale and position do not matter.
        side_px: Side of the tile.

    Attributes:
        shape: float64 (n, 2), the common shape in pixels of the tile.
        inside: Bool (side, side), which pixels are inside the face's outline.

    Example:
        mesh = Mesh(common_shape(shapes)[0], side_px=128)
        texture, weight = mesh.texture(image, points)
        back = cv2.remap(texture, mesh.lookup(mesh.placed(points)[0]), None, cv2.INTER_LINEAR)
    """

    def __init__(self, common: np.ndarray, side_px: int) -> None:
        self.side_px = side_px
        low, high = common.min(axis=0), common.max(axis=0)
        scale = FACE_WIDTH * side_px / (high - low)[0]
        self.shape = (common - (low + high) / 2) * scale + np.array(FACE_MIDDLE) * side_px
        self._vertices = self._with_surroundings(self.shape)
        self._triangles = Triangulation(*self._vertices.T).triangles
        self._own_cells = self._cells(self._vertices)
        outline = np.round(self.shape[list(OVAL)]).astype(np.int32)
        self.inside = cv2.fillConvexPoly(np.zeros((side_px, side_px), np.uint8), outline, 1) > 0

    def placed(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scale, turn and move points of an image onto the tile.

        Returns:
            The points there, float64 (n, 2), and the similarity transform, float64 (2, 3).
        """
        transform = similarity(points, self.shape)
        return points @ transform[:, :2].T + transform[:, 2], transform

    def texture(self, image: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Warp a face to the common shape.

        Args:
            image: uint8 (h, w).
            points: float64 (n, 2), its landmarks in pixels.

        Returns:
            Texture, float32 (side, side), and the weight of each pixel: 0 outside the image, 1 well inside.
        """
        placed, transform = self.placed(points)
        where = _interpolated(self._with_surroundings(placed), self._own_cells)
        where = ((where - transform[:, 2]) @ np.linalg.inv(transform[:, :2]).T).astype(np.float32)
        height, width = image.shape
        x, y = cv2.split(where)
        texture = cv2.remap(image.astype(np.float32), x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        border_px = np.minimum(np.minimum(x, width - 1 - x), np.minimum(y, height - 1 - y))
        return texture, np.clip(border_px / _FEATHER_PX, 0, 1).astype(np.float32)

    def lookup(self, shape: np.ndarray) -> np.ndarray:
        """Where in a texture each pixel of a face of this shape is found, float32 (side, side, 2), x and y."""
        cells = self._cells(self._with_surroundings(shape))
        return _interpolated(self._vertices, cells).astype(np.float32)

    def _with_surroundings(self, shape: np.ndarray) -> np.ndarray:
        """The points, a ring that moves with the outline, and two that never move."""
        outline, middle = shape[list(OVAL)], shape.mean(axis=0)
        angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        fixed = [(0.5 + radius * circle) * self.side_px for radius in (0.62, 0.95)]
        return np.vstack([shape, middle + 1.25 * (outline - middle), *fixed])

    def _cells(self, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each pixel the three vertices around it, (side, side, 3), and their weights."""
        side = self.side_px
        owner = np.zeros((side, side), np.int32)
        for i, triangle in enumerate(self._triangles):
            cv2.fillConvexPoly(owner, np.round(vertices[triangle] * 16).astype(np.int32), i, shift=4)
        corners = self._triangles[owner]
        a, b, c = (vertices[corners[..., i]] for i in range(3))
        y, x = np.mgrid[0:side, 0:side]
        along, across, to = b - a, c - a, np.stack([x, y], axis=-1) - a
        area = _cross(along, across)
        area = np.where(np.abs(area) < 1e-6, 1e-6, area)
        second, third = _cross(to, across) / area, _cross(along, to) / area
        return corners, np.stack([1 - second - third, second, third], axis=-1)


def common_shape(shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit the symmetric mean of shapes by generalized Procrustes analysis (Gower, 1975).

    Args:
        shapes: float64 (faces, n, 2).

    Returns:
        The mean, upright and centered, float64 (n, 2), and for each point the one it becomes in a mirror, int64 (n,).
    """
    mean = shapes[0]
    for _ in range(4):
        transforms = (similarity(shape, mean) for shape in shapes)
        mean = np.mean([s @ t[:, :2].T + t[:, 2] for s, t in zip(shapes, transforms, strict=True)], axis=0)
    cos, sin = (mean[LEFT_EYE] - mean[RIGHT_EYE]) / np.linalg.norm(mean[LEFT_EYE] - mean[RIGHT_EYE])
    mean = (mean - mean.mean(axis=0)) @ np.array([[cos, -sin], [sin, cos]])
    mirrored = mean * (-1, 1)
    mirror = np.linalg.norm(mirrored[:, np.newaxis] - mean, axis=2).argmin(axis=1)
    return (mean + mirrored[mirror]) / 2, mirror


def similarity(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The similarity transform, float64 (2, 3), that maps points closest to the target, both (n, 2)."""
    a, b = points - points.mean(axis=0), target - target.mean(axis=0)
    cos, sin = (a * b).sum() / (a * a).sum(), _cross(a, b).sum() / (a * a).sum()
    turn = np.array([[cos, -sin], [sin, cos]])
    return np.hstack([turn, (target.mean(axis=0) - turn @ points.mean(axis=0))[:, np.newaxis]])


def _interpolated(vertices: np.ndarray, cells: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    corners, weights = cells
    return np.asarray((vertices[corners] * weights[..., np.newaxis]).sum(axis=2))


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])

"""A face in a picture, turned as a surface in three dimensions."""

from __future__ import annotations

import cv2
import numpy as np
from matplotlib.tri import Triangulation

from mien.landmarks.points import OVAL

_RINGS = 1.15, 1.35, 2.2
"""Around the outline, in its sizes; the last one stays where it is."""


def turned_face(pixels_bgr: np.ndarray, points: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """The picture with a face turned around its middle, and what surrounds it moved along.

    points: float64 (468, 3), as the network found them. turn: a rotation, float64 (3, 3).
    """
    middle, outline = points.mean(axis=0), points[list(OVAL)]
    rings = [np.hstack([middle[:2] + k * (outline[:, :2] - middle[:2]), outline[:, 2:]]) for k in _RINGS]
    source = np.vstack([points, *rings])
    target = (source - middle) @ turn.T + middle
    target[-len(OVAL) :] = source[-len(OVAL) :]
    triangles = Triangulation(*source[:, :2].T).triangles
    picture = pixels_bgr.copy()
    size = picture.shape[1::-1]
    for triangle in triangles[np.argsort(-target[triangles, 2].mean(axis=1))]:  # the farthest first
        start, end = (each[triangle, :2].astype(np.float32) for each in (source, target))
        warped = cv2.warpAffine(pixels_bgr, cv2.getAffineTransform(start, end), size, borderMode=cv2.BORDER_REPLICATE)
        inside = cv2.fillConvexPoly(np.zeros(size[::-1], np.uint8), np.round(end * 16).astype(np.int32), 1, shift=4)
        picture[inside > 0] = warped[inside > 0]
    return picture


def rotation_of(yaw_deg: float = 0, pitch_deg: float = 0, roll_deg: float = 0) -> np.ndarray:
    """The rotation that raises a head, then turns it to its left, then tilts it to its left, float64 (3, 3)."""
    (cy, cp, cr), (sy, sp, sr) = (f(np.radians([yaw_deg, pitch_deg, roll_deg])) for f in (np.cos, np.sin))
    raised = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    turned = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    tilted = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return tilted @ turned @ raised

"""Which way a head is turned, from the landmarks of its face.

The rotation is the one that brings the mean face, frontal and upright, closest to the face's own points (Umeyama,
"Least-squares estimation of transformation parameters between two point patterns", 1991). Only points that expressions
hardly move are compared.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.landmarks.points import RIGID

MEAN_FACE_FILE = Path(__file__).with_name("mean_face.npz")
"""Points RIGID of the mean of the demo's faces; `python -m training mean-face` writes it."""


@dataclass(frozen=True, slots=True)
class Pose:
    """Rotation of a head relative to one that faces the camera upright: turned by yaw, raised by pitch, then tilted.

    Attributes:
        yaw_deg: Positive: turned to the person's left, toward the right edge of a picture that is not mirrored.
        pitch_deg: Positive: raised.
        roll_deg: Positive: tilted toward the person's left shoulder, clockwise in the picture. Turning the picture
            itself changes only the roll.

    Example:
        pose = head_pose(points)
        if abs(pose.yaw_deg) > 30:
            print("turned away")
    """

    yaw_deg: float
    pitch_deg: float
    roll_deg: float


def head_pose(points: np.ndarray) -> Pose:
    """Find out which way a head is turned.

    Args:
        points: float64 (468, 3), as `network.LandmarkNetwork.mesh` returns them.

    Returns:
        Its pose. Zero is how people on average hold their heads in frontal photographs.
    """
    turn = rotation(mean_face(), points[list(RIGID)])
    yaw = np.arctan2(turn[2, 0], np.hypot(turn[0, 0], turn[1, 0]))
    pitch = np.arctan2(-turn[2, 1], turn[2, 2])
    roll = np.arctan2(turn[1, 0], turn[0, 0])
    return Pose(*(float(np.degrees(angle)) for angle in (yaw, pitch, roll)))


def rotation(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The rotation, float64 (3, 3), that brings points closest to others after both are centered, up to their scale.

    Args:
        source: float64 (n, 3).
        target: float64 (n, 3), in the same order.
    """
    covariance = (target - target.mean(axis=0)).T @ (source - source.mean(axis=0))
    u, _, vt = np.linalg.svd(covariance)
    return np.asarray(u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt)


@functools.cache
def mean_face() -> np.ndarray:
    """The mean face, float64 (n, 3): its points RIGID, x to the right, y downward, z away from the camera."""
    with np.load(MEAN_FACE_FILE) as file:
        return np.asarray(file["points"], np.float64)

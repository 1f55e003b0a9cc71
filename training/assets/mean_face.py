"""The mean face in three dimensions, with which the poses of heads are measured."""

from __future__ import annotations

import argparse

import cv2
import numpy as np

from mien.landmarks.network import LandmarkNetwork, around, upright
from mien.landmarks.points import RIGID
from mien.landmarks.pose import rotation
from mien.sources.demo_faces import DemoFaces
from training.inputs import writable

_MARGINS = (1.35, 1.5, 1.65)  # sides of the input in sides of the face
_ROUNDS = 5


def mean_face(network: LandmarkNetwork, faces: DemoFaces) -> np.ndarray:
    """Average the demo's faces, which are frontal, and their mirror images.

    Args:
        network: Finds their points.
        faces: All persons and expressions count alike.

    Returns:
        float64 (n, 3), points RIGID, centered, of root mean square 1.
    """
    shapes = []
    for texture in faces.textures.reshape(-1, *faces.textures.shape[2:]):
        for image in (texture, cv2.flip(texture, 1)):
            points, _ = network.mesh(image, around((0, 0, *image.shape), 1.0))
            runs = [network.mesh(image, upright(points[:, :2], margin))[0] for margin in _MARGINS]
            shapes.append(_normalized(np.mean(runs, axis=0)[list(RIGID)]))
    mean = np.mean(shapes, axis=0)  # upright and frontal, as a mean of mirror images is, but for its pitch
    for _ in range(_ROUNDS):
        mean = _normalized(np.mean([shape @ rotation(shape, mean).T for shape in shapes], axis=0))
    return mean


def _normalized(points: np.ndarray) -> np.ndarray:
    centered = points - points.mean(axis=0)
    return np.asarray(centered / np.sqrt((centered**2).sum(axis=1).mean()))


def run(options: argparse.Namespace) -> None:
    """Compute the mean face, and write its file."""
    points = mean_face(LandmarkNetwork(), DemoFaces.load())
    np.savez_compressed(writable(options.out), points=points.astype(np.float32))
    print(f"wrote {options.out}")

"""What all detectors share: the interface, the scale of the picture they search, and clipped boxes."""

from __future__ import annotations

import importlib.util
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from mien.detectors.framing import CROP_RULES, BoxPx, CropRule
from mien.errors import DetectorError
from mien.images.resize import scaled
from mien.types import Box, Detection, Landmarks, clip_box


class RawFace(NamedTuple):
    """A face as a detector gives it, in pixels, which may have fractions.

    Example:
        RawFace((10.5, 20, 80, 96), landmarks=None)
    """

    box: BoxPx
    landmarks: Landmarks | None = None

    def enlarged(self, factor: float) -> RawFace:
        """The face in a picture that is larger by a factor."""
        x, y, w, h = self.box
        points = self.landmarks and tuple((x * factor, y * factor) for x, y in self.landmarks)
        return RawFace((x * factor, y * factor, w * factor, h * factor), points)


class Detector(Protocol):
    """Anything that finds faces; thread-safe.

    Example:
        detector = create_detector("haar")
        for box in detector.detect(cv2.imread("photo.jpg")):
            print(box.x, box.y, box.w, box.h)
    """

    name: str

    def detect(self, pixels_bgr: np.ndarray) -> Sequence[Box]:
        """Find faces.

        Args:
            pixels_bgr: uint8 (height, width, 3), blue-green-red.

        Returns:
            Bounding boxes, preferably as `Detection`, in pixels of the picture, clipped to it, from left to right.
        """
        ...


@runtime_checkable
class StagedDetector(Protocol):
    """A detector that need not run in full on each frame of a stream.

    Example:
        proposed = detector.propose(pixels_bgr)
        faces = detector.complete(pixels_bgr, proposed)
    """

    def propose(self, pixels_bgr: np.ndarray) -> Sequence[Box]:
        """Find most faces at small cost.

        Args:
            pixels_bgr: uint8 (height, width, 3), blue-green-red.
        """
        ...

    def complete(self, pixels_bgr: np.ndarray, proposed: Sequence[Any]) -> Sequence[Box]:
        """Find the other faces too.

        Args:
            pixels_bgr: The same picture.
            proposed: What `propose` found in it.

        Returns:
            All faces, sorted and clipped as those of `Detector.detect`.
        """
        ...


class ScaledDetector(ABC):
    """A detector that searches a reduced picture; one at a time: shared by two threads, some silently give wrong boxes.

        class WholePicture(ScaledDetector):
            name, window_px = "whole", 1

            def _search(self, pixels_bgr: np.ndarray) -> list[RawFace]:
                return [RawFace((0, 0, pixels_bgr.shape[1], pixels_bgr.shape[0]))]

    Args:
        min_face_px: Smallest face wanted, in pixels of the original frame.
        search_side_px: Without it, longer side of the reduced picture that is searched.
    """

    name: str
    window_px: int
    """Smallest face that it finds."""

    def __init__(self, min_face_px: int | None, search_side_px: int) -> None:
        self.min_face_px = min_face_px
        self.search_side_px = search_side_px
        self._lock = threading.Lock()

    def detect(self, pixels_bgr: np.ndarray, search_side_px: int | None = None) -> list[Detection]:
        """Find faces, see `mien.detectors.base.Detector.detect`.

        Args:
            pixels_bgr: As there.
            search_side_px: Replaces that of the detector.
        """
        side_px = search_side_px or self.search_side_px
        scale = search_scale(pixels_bgr, self.window_px, side_px, self.min_face_px)
        small = scaled(pixels_bgr, scale)
        if min(small.shape[:2]) < self.window_px:
            return []
        with self._lock:
            found = self._search(small)
        rule = CROP_RULES.get(self.name, CropRule())
        framed = (RawFace(rule.square(*face.box), face.landmarks) for face in found)
        return detections_inside((face.enlarged(1 / scale) for face in framed), pixels_bgr, self.name)

    @abstractmethod
    def _search(self, pixels_bgr: np.ndarray) -> Iterable[RawFace]:
        """Faces in a picture that is large enough, before framing: uint8 (height, width, 3)."""


def search_scale(pixels_bgr: np.ndarray, window_px: int, search_side_px: int, min_face_px: int | None) -> float:
    """Scale at which a picture is searched, so that the smallest face wanted is as large as the detector's window.

    Args:
        pixels_bgr: uint8 (height, width, 3).
        window_px: Smallest face that the detector finds.
        search_side_px: Without `min_face_px`, the longer side is reduced to this: the smallest face is then a fixed
            share of the picture, and the time does not grow with the picture.
        min_face_px: Smallest face wanted, in pixels of the picture.

    Returns:
        At most 1.
    """
    if min_face_px is not None:
        return min(1.0, window_px / min_face_px)
    return min(1.0, search_side_px / max(pixels_bgr.shape[:2]))


def detections_inside(found: Iterable[RawFace], pixels_bgr: np.ndarray, found_by: str) -> list[Detection]:
    """Clip faces to the picture and sort them from left to right.

    Args:
        found: Faces in pixels of the picture; those outside are dropped.
        pixels_bgr: The picture, uint8 (height, width, 3).
        found_by: Name of the detector.
    """
    height, width = pixels_bgr.shape[:2]
    clipped = ((clip_box(*face.box, width, height), face.landmarks) for face in found)
    faces = (Detection(box.x, box.y, box.w, box.h, found_by, points) for box, points in clipped if box is not None)
    return sorted(faces, key=lambda face: (face.x, face.y, face.w))


def require_package(module: str, detector: str, package: str) -> None:
    """Check that the optional package of a detector is installed.

    Args:
        module: The module to import, such as "dlib".
        detector: Name of the detector, as `--detector` takes it.
        package: Name of the package, as pip takes it.

    Raises:
        DetectorError: It is not installed.
    """
    if importlib.util.find_spec(module) is None:
        raise DetectorError(
            f"--detector {detector}: expected the package {package}, which is not installed; "
            "pip install -r requirements-detectors.txt installs it"
        )

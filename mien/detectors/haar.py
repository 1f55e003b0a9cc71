"""Haar cascades: the detector that needs nothing but OpenCV."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from mien.detectors.base import RawFace, detections_inside, search_scale
from mien.detectors.face_filter import FaceFilter, Square
from mien.detectors.same_face import is_same_face
from mien.errors import DetectorError
from mien.images.resize import reduced_gray
from mien.types import Detection, check_pixels

Proposal = tuple[Square, tuple[int, int]]

CASCADES = "haarcascade_frontalface_alt2.xml", "haarcascade_frontalface_default.xml"
SKIPPED_STAGES = 4
SCALE_STEP = 1.1
SAME_WINDOW_SHARE = 0.2


class HaarDetector:
    """Two Haar cascades propose squares in a reduced picture, a small network accepts or rejects them.

    Viola and Jones, "Rapid object detection using a boosted cascade of simple features" (2001); one cascade consists of
    small trees: Lienhart, Kuranov and Pisarevsky, "Empirical analysis of detection cascades of boosted classifiers"
    (2003). Their last stages also reject turned and shaded faces; they are skipped, because FaceFilter does better.

    Args:
        cascade_file: Replaces the first cascade of OpenCV.
        min_face_px: Smallest face wanted, in pixels of the original frame; by default 7.5 % of its longer side.
        search_side_px: Longer side of the reduced picture that is searched.
        threshold: Of the score, in log odds; see `python -m benchmarks.faces`.
        face_filter: Accepts or rejects proposals.

    Raises:
        DetectorError: A cascade file is missing or broken.

    Example:
        detector = HaarDetector(min_face_px=40)
        boxes = detector.detect(pixels_bgr)
    """

    name = "haar"
    window_px = 24

    def __init__(
        self,
        cascade_file: str | Path | None = None,
        *,
        min_face_px: int | None = None,
        search_side_px: int = 320,
        threshold: float = 0.8,
        face_filter: FaceFilter | None = None,
    ) -> None:
        folder = Path(cv2.__file__).parent / "data"
        files = cascade_file or folder / CASCADES[0], folder / CASCADES[1]
        self._cascades = [load_cascade(file, SKIPPED_STAGES) for file in files]
        self._filter = face_filter or FaceFilter()
        self._lock = threading.Lock()  # shared by two threads, a cascade silently gives wrong boxes
        self.min_face_px = min_face_px
        self.search_side_px = search_side_px
        self.threshold = threshold

    def detect(self, pixels_bgr: np.ndarray) -> list[Detection]:
        """Find faces, see `mien.detectors.base.Detector.detect`."""
        check_pixels(pixels_bgr, "a detector")
        scale = search_scale(pixels_bgr, self.window_px, self.search_side_px, self.min_face_px)
        gray, scale = reduced_gray(pixels_bgr, round(scale * max(pixels_bgr.shape[:2])))
        if min(gray.shape) < self.window_px:
            return []
        smallest_px = self.window_px
        if self.min_face_px is not None:  # pictures are not enlarged, so smaller faces could be found
            smallest_px = max(smallest_px, round(self.min_face_px * scale))
        with self._lock:
            found = self._search(gray, smallest_px)
        return detections_inside((RawFace(square).enlarged(1 / scale) for square in found), pixels_bgr, self.name)

    def _search(self, gray: np.ndarray, smallest_px: int) -> list[Square]:
        """Find faces; the second cascade, which takes as long as the first, runs only if the first one finds none."""
        first = self._windows(0, gray, smallest_px)
        found = self._accepted(gray, group_windows(first, len(first)))
        if not found:
            second = self._windows(1, gray, smallest_px)
            found = self._accepted(gray, group_windows(np.concatenate([first, second]), len(first)))
        return suppress_overlaps(found)

    def _accepted(self, gray: np.ndarray, proposals: Sequence[Proposal]) -> list[tuple[float, Square]]:
        """Accepted proposals with their scores; those on a face accepted already are skipped, most windows first."""
        found: list[tuple[float, Square]] = []
        for proposed, counts in sorted(proposals, key=lambda proposal: -sum(proposal[1])):
            if any(is_same_face(proposed, square) for _, square in found):
                continue
            square, logit = self._filter.refine(gray, proposed)
            score = self._filter.score(logit, counts)
            if score >= self.threshold:
                found.append((score, square))
        return found

    def propose(self, gray: np.ndarray, smallest_px: int = 24) -> list[Proposal]:
        """Group the windows that both cascades accept; not thread-safe.

        Args:
            gray: uint8 (height, width).
            smallest_px: Smallest window.

        Returns:
            As `group_windows`.
        """
        first, second = (self._windows(which, gray, smallest_px) for which in (0, 1))
        return group_windows(np.concatenate([first, second]), len(first))

    def _windows(self, which: int, gray: np.ndarray, smallest_px: int) -> np.ndarray:
        """Windows that one cascade accepts: int (n, 4)."""
        size = smallest_px, smallest_px
        return np.reshape(self._cascades[which].detectMultiScale(gray, SCALE_STEP, 0, minSize=size), (-1, 4))


def group_windows(windows: np.ndarray, first: int) -> list[Proposal]:
    """Merge windows on the same face into one square.

    OpenCV's groupRectangles would drop boxes inside others, and with them faces that few windows show.

    Args:
        windows: (n, 4), those of the first cascade first.
        first: Number of windows of the first cascade.

    Returns:
        The mean square of each group, with the number of its windows from each cascade.
    """
    if len(windows) == 0:
        return []
    edges = np.concatenate([windows[:, :2], windows[:, :2] + windows[:, 2:]], axis=1)
    apart_px = np.abs(edges[:, np.newaxis] - edges[np.newaxis]).max(axis=2)
    same = apart_px <= SAME_WINDOW_SHARE * np.minimum.outer(windows[:, 2], windows[:, 2])
    group = np.arange(len(windows))
    while True:  # each takes the lowest number of its neighbors, until a group has one number
        lowest = np.where(same, group, len(windows)).min(axis=1)
        if np.array_equal(lowest, group):
            break
        group = lowest
    together = [group == number for number in np.unique(group)]
    return [(_mean(windows[own]), (int(own[:first].sum()), int(own[first:].sum()))) for own in together]


def _mean(windows: np.ndarray) -> Square:
    x, y, w, h = map(float, windows.mean(axis=0))
    return x, y, w, h


def suppress_overlaps(scored: Sequence[tuple[float, Square]]) -> list[Square]:
    """Non-maximum suppression: keep the best square on each face, not parts of it or its surroundings.

    Args:
        scored: Squares with their scores.

    Returns:
        The squares kept, best first.
    """
    kept: list[Square] = []
    for _, square in sorted(scored, reverse=True):
        if not any(is_same_face(square, other) for other in kept):
            kept.append(square)
    return kept


def load_cascade(file: str | Path, skipped_stages: int = 0) -> cv2.CascadeClassifier:
    """Load a cascade.

    Args:
        file: OpenCV's XML.
        skipped_stages: Number of last stages to leave out.

    Raises:
        DetectorError: The file is missing or broken.
    """
    path = Path(file)
    if not path.is_file():
        raise DetectorError(f"{path}: expected the Haar cascade that OpenCV 4 includes, found no such file")
    cascade = cv2.CascadeClassifier()
    with suppress(cv2.error, SystemError, ValueError):  # not XML; the type depends on how OpenCV was built
        content = _without_last(path.read_text(encoding="latin-1"), skipped_stages)
        storage = cv2.FileStorage(content, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
        cascade.read(storage.getFirstTopLevelNode())
    if cascade.empty():
        raise DetectorError(f"{path}: expected a Haar cascade in OpenCV's XML format, found something else")
    return cascade


def _without_last(xml: str, stages: int) -> str:
    """OpenCV's XML of a cascade without its last stages, which is less strict. ValueError for other XML."""
    count = re.search(r"<stageNum>(\d+)</stageNum>", xml)
    starts = [match.start() for match in re.finditer(r"<_>\s*<maxWeakCount>", xml)]
    if count is None or int(count[1]) != len(starts) or len(starts) <= stages:
        raise ValueError("expected a cascade with as many stages as it announces")
    if stages == 0:
        return xml
    left = len(starts) - stages
    return xml[: count.start(1)] + str(left) + xml[count.end(1) : starts[left]] + xml[xml.index("</stages>") :]

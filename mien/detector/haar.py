"""OpenCV's Haar cascades: the detector that needs nothing more than OpenCV."""

from __future__ import annotations

import math
import threading
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from mien.detector.base import boxes_inside, check_pixels, search_scale
from mien.expressions import Box, DetectorError
from mien.reduced import reduced_gray

CASCADE, SECOND = "haarcascade_frontalface_alt2.xml", "haarcascade_frontalface_default.xml"
SCALE_STEP = 1.1
SAME_PLACE = 0.2

# Logistic regression of "is a face" on what the cascades say, fitted on FER-2013's training images.
BIAS, PER_LOG_WINDOWS, PER_WEIGHT, PER_LOG_SECOND = -4.0, 0.9, 1.6, 0.7
USUAL_WEIGHT = 54.0
MOST_FROM_SECOND = PER_LOG_SECOND * math.log1p(20)


class HaarDetector:
    """Two frontal-face Haar cascades on a reduced picture: one searches, the other is asked about doubtful finds.

    Viola and Jones, "Rapid object detection using a boosted cascade of simple features" (2001). The cascade that
    searches is made of small trees: Lienhart, Kuranov and Pisarevsky, "Empirical analysis of detection cascades of
    boosted classifiers" (2003). How many of its windows agree on a face, and how far the best of them passed its last
    stage, give a score; only where the other cascade could still change the verdict is it run on that region.
    Faces are searched from 24 px upwards: 7.5 % of a picture's longer side reduced to `search_side_px`.
    min_face_px: the smallest face wanted, pixels of the original frame. threshold: of the score; see
    `python -m benchmarks.faces`. Raises DetectorError where a cascade file is missing or broken.
    """

    name = "haar"
    window_px = 24

    def __init__(
        self,
        cascade_file: str | Path | None = None,
        *,
        min_face_px: int | None = None,
        search_side_px: int = 320,
        threshold: float = 0.4,
    ) -> None:
        folder = Path(cv2.__file__).parent / "data"
        self._cascade = load_cascade(cascade_file or folder / CASCADE)
        self._second = load_cascade(folder / SECOND)
        self._lock = threading.Lock()  # a cascade shared by two threads gives wrong boxes silently
        self.min_face_px = min_face_px
        self.search_side_px = search_side_px
        self.threshold = threshold

    def detect(self, pixels_bgr: np.ndarray) -> list[Box]:
        """Boxes of the faces, from left to right."""
        check_pixels(pixels_bgr)
        scale = search_scale(pixels_bgr, self.window_px, self.search_side_px, self.min_face_px)
        gray, scale = reduced_gray(pixels_bgr, round(scale * max(pixels_bgr.shape[:2])))
        if min(gray.shape) < self.window_px:
            return []
        smallest_px = self.window_px
        if self.min_face_px is not None:  # a picture is not made larger: there smaller faces could be seen, too
            smallest_px = max(smallest_px, round(self.min_face_px * scale))
        with self._lock:
            windows, _, weights = self._cascade.detectMultiScale3(
                gray, SCALE_STEP, 0, minSize=(smallest_px, smallest_px), outputRejectLevels=True
            )
            found = [
                box
                for box, score in grouped(np.asarray(windows), np.asarray(weights))
                if self._is_face(gray, box, score)
            ]
        return boxes_inside(((x / scale, y / scale, w / scale, h / scale) for x, y, w, h in found), pixels_bgr)

    def _is_face(self, gray: np.ndarray, box: tuple[int, ...], score: float) -> bool:
        if score >= self.threshold or score + MOST_FROM_SECOND < self.threshold:
            return score >= self.threshold
        return score + PER_LOG_SECOND * math.log1p(self._second_opinion(gray, box)) >= self.threshold

    def _second_opinion(self, gray: np.ndarray, box: tuple[int, ...]) -> int:
        """How many windows of the other cascade lie on this box."""
        x, y, w, h = box
        margin = round(0.2 * w)
        left, top = max(0, x - margin), max(0, y - margin)
        region = gray[top : y + h + margin, left : x + w + margin]
        size = max(self.window_px, round(0.75 * w)), round(1.35 * w)
        windows = self._second.detectMultiScale(
            region, SCALE_STEP, 0, minSize=(size[0], size[0]), maxSize=(size[1], size[1])
        )
        here = Box(x - left, y - top, w, h)
        return sum(here.iou(Box(*map(int, window))) >= 0.5 for window in windows)


def grouped(windows: np.ndarray, weights: np.ndarray) -> list[tuple[tuple[int, ...], float]]:
    """Windows (n, 4) that lie on the same face as one box each, with the score of its windows.

    OpenCV's groupRectangles would drop boxes that lie inside others, and with them faces of which few windows tell.
    """
    if len(windows) == 0:
        return []
    edges = np.concatenate([windows[:, :2], windows[:, :2] + windows[:, 2:]], axis=1)
    apart_px = np.abs(edges[:, np.newaxis] - edges[np.newaxis]).max(axis=2)
    same = apart_px <= SAME_PLACE * np.minimum.outer(windows[:, 2], windows[:, 2])
    group = np.arange(len(windows))
    while True:  # each takes the lowest number among those it lies with, until all of a group have one number
        lowest = np.where(same, group, len(windows)).min(axis=1)
        if np.array_equal(lowest, group):
            break
        group = lowest
    scored = []
    for number in np.unique(group):
        own = group == number
        score = BIAS + PER_LOG_WINDOWS * math.log1p(own.sum())
        score += PER_WEIGHT * (float(np.ravel(weights)[own].max()) - USUAL_WEIGHT)
        scored.append((tuple(int(v) for v in windows[own].mean(axis=0).round()), score))
    return scored


def load_cascade(file: str | Path) -> cv2.CascadeClassifier:
    """The cascade in the file. Raises DetectorError where it is missing or broken."""
    path = Path(file)
    if not path.is_file():
        raise DetectorError(f"{path}: expected the Haar cascade that OpenCV 4 brings along, found no such file")
    cascade = cv2.CascadeClassifier()
    with suppress(cv2.error, SystemError):  # not XML at all; which of the two depends on how OpenCV was built
        cascade.load(str(path))
    if cascade.empty():
        raise DetectorError(f"{path}: expected a Haar cascade in OpenCV's XML format, found something else")
    return cascade

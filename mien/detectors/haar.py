"""OpenCV's Haar cascades: the detector that needs nothing more than OpenCV."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from mien.detectors.base import boxes_inside, search_scale
from mien.detectors.face_filter import FaceCheck, Square
from mien.errors import DetectorError
from mien.images.resize import check_pixels, reduced_gray
from mien.types import Box, shared_area

Proposal = tuple[Square, tuple[int, int]]

CASCADES = "haarcascade_frontalface_alt2.xml", "haarcascade_frontalface_default.xml"
SPARED_STAGES = 4
SCALE_STEP = 1.1
SAME_PLACE = 0.2
SAME_FACE_IOU, SAME_FACE_SHARE = 0.3, 0.6


class HaarDetector:
    """Haar cascades for frontal faces propose on a reduced picture, a small network chooses among what they propose.

    Viola and Jones, "Rapid object detection using a boosted cascade of simple features" (2001); one of the two is made
    of small trees: Lienhart, Kuranov and Pisarevsky, "Empirical analysis of detection cascades of boosted classifiers"
    (2003). Their last stages, which reject turned and shaded faces too, are left out: FaceCheck does that better.
    Faces are searched from 24 px upwards: 7.5 % of a picture's longer side reduced to `search_side_px`.
    min_face_px: the smallest face wanted, pixels of the original frame. threshold: of the score, log odds; see
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
        threshold: float = 0.8,
        check: FaceCheck | None = None,
    ) -> None:
        folder = Path(cv2.__file__).parent / "data"
        files = cascade_file or folder / CASCADES[0], folder / CASCADES[1]
        self._cascades = [load_cascade(file, SPARED_STAGES) for file in files]
        self._check = check or FaceCheck()
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
            found = self._search(gray, smallest_px)
        return boxes_inside(((x / scale, y / scale, w / scale, h / scale) for x, y, w, h in found), pixels_bgr)

    def _search(self, gray: np.ndarray, smallest_px: int) -> list[Square]:
        """The faces; the other cascade, which costs as much again, is asked only where the first shows none."""
        first = self._windows(0, gray, smallest_px)
        found = self._chosen(gray, grouped(first, len(first)))
        if not found:
            second = self._windows(1, gray, smallest_px)
            found = self._chosen(gray, grouped(np.concatenate([first, second]), len(first)))
        return without_doubles(found)

    def _chosen(self, gray: np.ndarray, proposals: Sequence[Proposal]) -> list[tuple[float, Square]]:
        """What is a face, with its score; nothing is asked about that lies on one that more windows agree on."""
        found: list[tuple[float, Square]] = []
        for proposed, counts in sorted(proposals, key=lambda proposal: -sum(proposal[1])):
            if any(_same_face(proposed, square) for _, square in found):
                continue
            square, logit = self._check.frame(gray, proposed)
            score = self._check.score(logit, counts)
            if score >= self.threshold:
                found.append((score, square))
        return found

    def propose(self, gray: np.ndarray, smallest_px: int = 24) -> list[Proposal]:
        """Where windows of both cascades lie together, with how many of each; not to be called from two threads."""
        first, second = (self._windows(which, gray, smallest_px) for which in (0, 1))
        return grouped(np.concatenate([first, second]), len(first))

    def _windows(self, which: int, gray: np.ndarray, smallest_px: int) -> np.ndarray:
        """What one cascade finds: int (n, 4)."""
        size = smallest_px, smallest_px
        return np.reshape(self._cascades[which].detectMultiScale(gray, SCALE_STEP, 0, minSize=size), (-1, 4))


def grouped(windows: np.ndarray, first: int) -> list[Proposal]:
    """Windows (n, 4) that lie on the same face as one square each, with how many are of each cascade.

    first: so many of them, at the start, are of the first. OpenCV's groupRectangles would drop boxes that lie inside
    others, and with them faces of which few windows tell.
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
    together = [group == number for number in np.unique(group)]
    return [(_mean(windows[own]), (int(own[:first].sum()), int(own[first:].sum()))) for own in together]


def _mean(windows: np.ndarray) -> Square:
    x, y, w, h = map(float, windows.mean(axis=0))
    return x, y, w, h


def without_doubles(scored: Sequence[tuple[float, Square]]) -> list[Square]:
    """The best of the squares on each face: a part of a face, or its surroundings, are no second one."""
    kept: list[Square] = []
    for _, square in sorted(scored, reverse=True):
        if not any(_same_face(square, other) for other in kept):
            kept.append(square)
    return kept


def _same_face(a: Square, b: Square) -> bool:
    shared = shared_area(a, b)
    areas = a[2] * a[3], b[2] * b[3]
    return shared > SAME_FACE_IOU * (sum(areas) - shared) or shared > SAME_FACE_SHARE * min(areas)


def load_cascade(file: str | Path, spared_stages: int = 0) -> cv2.CascadeClassifier:
    """The cascade in the file, without so many of its last stages.

    Raises DetectorError where it is missing or broken.
    """
    path = Path(file)
    if not path.is_file():
        raise DetectorError(f"{path}: expected the Haar cascade that OpenCV 4 brings along, found no such file")
    cascade = cv2.CascadeClassifier()
    with suppress(cv2.error, SystemError, ValueError):  # not XML at all; which depends on how OpenCV was built
        content = _without_last(path.read_text(encoding="latin-1"), spared_stages)
        storage = cv2.FileStorage(content, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
        cascade.read(storage.getFirstTopLevelNode())
    if cascade.empty():
        raise DetectorError(f"{path}: expected a Haar cascade in OpenCV's XML format, found something else")
    return cascade


def _without_last(xml: str, stages: int) -> str:
    """OpenCV's XML of a cascade without its last stages: what is fewer is less strict. ValueError for other XML."""
    count = re.search(r"<stageNum>(\d+)</stageNum>", xml)
    starts = [match.start() for match in re.finditer(r"<_>\s*<maxWeakCount>", xml)]
    if count is None or int(count[1]) != len(starts) or len(starts) <= stages:
        raise ValueError("expected a cascade with as many stages as it says")
    if stages == 0:
        return xml
    left = len(starts) - stages
    return xml[: count.start(1)] + str(left) + xml[count.end(1) : starts[left]] + xml[xml.index("</stages>") :]

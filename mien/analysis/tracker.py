"""The same face over time: who is who, where between detections, steady boxes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from mien.analysis.optical_flow import Follower, Motion
from mien.analysis.smoothing import OneEuroFilter
from mien.types import Box

FORGET_AFTER_S = 0.7
DETECT_EVERY_S = 0.5
RETRY_EVERY_S = 0.15
SEARCH_EVERY_S = 0.1
CONFIRMATIONS = 2
MIN_OVERLAP_IOU = 0.3
MAX_STEP = 0.6
SAME_FACE_IOU = 0.5
INSIDE_SHARE = 0.8


class Track:
    """One face followed over time; `id` is its number, given in order of appearance and never used again."""

    def __init__(self, box: Box, time_s: float) -> None:
        self.id: int | None = None
        self.hits = 1
        self.seen_at_s = time_s
        self.missed_since_s: float | None = None
        """When detection first failed to find it again."""
        self.followed = True
        """Whether its pixels could be followed since it was seen."""
        self._box = box
        self._filter = OneEuroFilter(_center_and_size(box), time_s)

    @property
    def box(self) -> Box:
        """Where the face is now, steadied."""
        return self._box

    def see(self, box: Box, time_s: float) -> None:
        """The face was detected again, here."""
        self.hits += 1
        self.seen_at_s = time_s
        self.missed_since_s = None
        self.followed = True
        self._place(self._filter.update(_center_and_size(box), time_s, unit=math.sqrt(box.area)))

    def miss(self, time_s: float) -> None:
        """The face was looked for and not found."""
        # The earlier of the two: a clock that was set back leaves no face missed in the future, which never went.
        self.missed_since_s = time_s if self.missed_since_s is None else min(time_s, self.missed_since_s)

    def is_gone(self, time_s: float) -> bool:
        """Whether it was not found for so long, or so long ago, that another there is another."""
        missed_s = 0.0 if self.missed_since_s is None else time_s - self.missed_since_s
        return missed_s > FORGET_AFTER_S or time_s - self.seen_at_s > DETECT_EVERY_S + FORGET_AFTER_S

    @property
    def center_and_size(self) -> np.ndarray:
        """Where the face is now: (center x, center y, width, height), to fractions of a pixel."""
        return self._filter.value

    def move(self, motion: Motion) -> None:
        """The face went on from here without being detected."""
        x, y, w, h = self._filter.value
        self._place(np.array([x + motion.dx, y + motion.dy, w * motion.scale, h * motion.scale]))

    def _place(self, center_and_size: np.ndarray) -> None:
        self._filter.value = center_and_size
        x, y, w, h = center_and_size
        self._box = Box(round(x - w / 2), round(y - h / 2), max(1, round(w)), max(1, round(h)))


class Tracker:
    """Follows the faces of one stream; not to be shared between streams or threads.

    A face gets its number with its second detection, so that a single false hit never shows. It keeps it through
    detections missed for up to 0.7 s, and between detections it is followed by the movement of its pixels. `follow`
    comes first in each frame; detection only where `wants_detection` says so: every 0.5 s, sooner where there is no
    face or one was not found again, and at once where a face was lost, is not yet confirmed, or the scene changed.

    numbers: where the faces' numbers come from, 1, 2, 3, ... by default; who follows one stream after another hands in
    the same ones, so that no two faces share a number.
    """

    def __init__(self, numbers: Iterator[int] | None = None) -> None:
        self._tracks: list[Track] = []
        self._numbers = itertools.count(1) if numbers is None else numbers
        self._follower = Follower()
        self._lost = True
        self._detected_at_s = -math.inf

    def follow(self, pixels_bgr: np.ndarray) -> None:
        """Take the next frame, uint8 (height, width, 3), and carry every face into it; a new scene has none yet."""
        motions = self._follower.step(pixels_bgr, [track.center_and_size for track in self._tracks])
        if motions is None:
            self._tracks = []
            self._lost = True
            return
        for track, motion in zip(self._tracks, motions, strict=True):
            if motion is None:
                self._lost = self._lost or track.followed
                track.followed = False
            else:
                track.move(motion)

    def wants_detection(self, time_s: float) -> bool:
        """Whether the frame at time_s should be searched for faces."""
        unconfirmed = any(track.id is None and track.seen_at_s == self._detected_at_s for track in self._tracks)
        return self._lost or unconfirmed or not 0 <= time_s - self._detected_at_s < self._pause_s() - 1e-6

    def _pause_s(self) -> float:
        faces = self.faces()
        if not faces:
            return SEARCH_EVERY_S
        return DETECT_EVERY_S if all(track.missed_since_s is None for track in faces) else RETRY_EVERY_S

    def faces(self) -> list[Track]:
        """The faces to show, by number."""
        return sorted((track for track in self._tracks if track.id is not None), key=lambda track: track.id or 0)

    def update(self, boxes: Sequence[Box], time_s: float) -> list[Track]:
        """Take the boxes detected at time_s (seconds by one clock); return the faces to show, by number."""
        self._lost = False
        self._detected_at_s = time_s
        # What the last detection saw may be here still, however long ago that was; what it missed may be gone.
        self._tracks = [track for track in self._tracks if track.missed_since_s is None or not track.is_gone(time_s)]
        for box, track in _pairs(boxes, list(self._tracks)):
            if track is None:
                self._tracks.append(Track(box, time_s))
            else:
                track.see(box, time_s)
        for track in self._tracks:
            if track.seen_at_s != time_s:
                track.miss(time_s)
        self._tracks = [track for track in self._tracks if not track.is_gone(time_s)]
        self._drop_doubles()
        for track in self._tracks:
            if track.id is None and track.hits >= CONFIRMATIONS:
                track.id = next(self._numbers)
        return self.faces()

    def _drop_doubles(self) -> None:
        """Two tracks that came to lie on one face: the older stays."""
        kept: list[Track] = []
        for track in self._tracks:
            if not any(_is_same_face(track.box, other.box) for other in kept):
                kept.append(track)
        self._tracks = kept


def _pairs(boxes: Sequence[Box], tracks: Sequence[Track]) -> list[tuple[Box, Track | None]]:
    """Each box with the track it belongs to, best fits first; a second box on a taken track is dropped."""
    fits = sorted(
        ((_fit(box, track.box), i, j) for i, box in enumerate(boxes) for j, track in enumerate(tracks)), reverse=True
    )
    chosen: dict[int, int] = {}
    for fit, i, j in fits:
        if fit > 0 and i not in chosen and j not in chosen.values():
            chosen[i] = j
    pairs: list[tuple[Box, Track | None]] = [(boxes[i], tracks[j]) for i, j in chosen.items()]
    for i, box in sorted(enumerate(boxes), key=lambda each: -each[1].area):
        doubles = i not in chosen and any(_is_same_face(box, other) for other, _ in pairs)
        if i not in chosen and not doubles:
            pairs.append((box, None))
    return pairs


def _fit(box: Box, known: Box) -> float:
    """How well a box continues a track: above 1 by overlap, 0..1 by nearness of a face of like size, 0 not at all."""
    overlap = box.iou(known)
    if overlap >= MIN_OVERLAP_IOU:
        return 1 + overlap
    step = np.hypot(*(_center_and_size(box) - _center_and_size(known))[:2]) / math.sqrt(known.area)
    alike = 0.5 < box.area / known.area < 2
    return float(max(0.0, 1 - step / MAX_STEP)) if alike else 0.0


def _is_same_face(one: Box, other: Box) -> bool:
    """Whether two boxes can not be of two people, who cheek to cheek overlap by 0.4, but have no face in a face."""
    inside = one.intersection(other) / min(one.area, other.area)
    return one.iou(other) >= SAME_FACE_IOU or inside >= INSIDE_SHARE


def _center_and_size(box: Box) -> np.ndarray:
    return np.array([box.x + box.w / 2, box.y + box.h / 2, box.w, box.h], float)

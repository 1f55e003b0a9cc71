"""Which face of a frame is which: tracks with numbers, boxes between detections, smoothed boxes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from mien.analysis.optical_flow import Motion, OpticalFlow
from mien.analysis.scenes import Scene
from mien.analysis.smoothing import OneEuroFilter
from mien.analysis.thorough_schedule import Need
from mien.detectors.same_face import is_same_face
from mien.types import Box, Detection

EXPIRE_AFTER_S = 0.7
"""A track ends when detections have missed it for this long."""
DETECT_EVERY_S = 0.5
RETRY_EVERY_S = 0.15
"""Interval between detections while a face is missed."""
SEARCH_EVERY_S = 0.1
"""Interval between detections while there is no face."""
MIN_HITS = 2
"""Detections before a face gets its number, so that a single false positive is never reported."""
MIN_OVERLAP_IOU = 0.3
MAX_STEP = 0.6
"""How far a face may have moved without overlap, in its sizes."""


class Track:
    """One face over time.

        track = Track(Box(320, 180, 80, 80), time_s=0.0)
        track.move(Motion(dx=2, dy=0, scale=1.0))
        print(track.box)

    Args:
        box: Where it was first detected, in pixels.
        time_s: When, in seconds.
    """

    def __init__(self, box: Box, time_s: float) -> None:
        self.id: int | None = None
        """Its number, in order of appearance and never used again; None until it is confirmed."""
        self.hits = 1
        self.detected_at_s = time_s
        self.missed_since_s: float | None = None
        """When a detection first failed to find it; None while it is found."""
        self.flow_found = True
        """Whether optical flow found it in all frames since the last detection."""
        self.unchecked = False
        """Whether the last detection, which was not thorough, did not find it, so that it may still be there."""
        self._box = self._found = box
        self._filter = OneEuroFilter(_center_and_size(box), time_s)

    @property
    def box(self) -> Box:
        """Where the face is now, smoothed; as a `Detection` if the last detection gave one."""
        return self._box

    @property
    def center_and_size(self) -> np.ndarray:
        """Where the face is now, to fractions of a pixel: float (4,), center x, center y, width, height."""
        return self._filter.value

    def detected(self, box: Box, time_s: float) -> None:
        """Note that a detection found the face again.

        Args:
            box: Where, in pixels of the frame.
            time_s: Time of the frame in seconds.
        """
        self.hits += 1
        self.detected_at_s = time_s
        self.missed_since_s = None
        self.flow_found = True
        self.unchecked = False
        self._found = box
        self._place(self._filter.update(_center_and_size(box), time_s, unit=math.sqrt(box.area)))

    def missed(self, time_s: float) -> None:
        """Note that a detection did not find the face in the frame at time_s, in seconds."""
        self.unchecked = False
        # The earlier of the two: if the clock is set back, a track missed since a future time would never expire.
        self.missed_since_s = time_s if self.missed_since_s is None else min(time_s, self.missed_since_s)

    def move(self, motion: Motion) -> None:
        """Move the box, without a detection, as optical flow says."""
        x, y, w, h = self._filter.value
        self._place(np.array([x + motion.dx, y + motion.dy, w * motion.scale, h * motion.scale]))

    def is_expired(self, time_s: float) -> bool:
        """Whether a face found there at time_s, in seconds, is another: this one was missed or undetected too long."""
        missed_s = 0.0 if self.missed_since_s is None else time_s - self.missed_since_s
        return missed_s > EXPIRE_AFTER_S or time_s - self.detected_at_s > DETECT_EVERY_S + EXPIRE_AFTER_S

    def _place(self, center_and_size: np.ndarray) -> None:
        self._filter.value = center_and_size
        x, y, w, h = center_and_size
        box = Box(round(x - w / 2), round(y - h / 2), max(1, round(w)), max(1, round(h)))
        self._box = self._found.moved(box) if isinstance(self._found, Detection) else box


class Tracker:
    """The tracks of one stream; not to be shared between streams or threads.

    A face gets its number with its second detection. It keeps the number while detections miss it for up to 0.7 s;
    between detections optical flow moves its box. Call `propagate` first for each frame, and `update` only where
    `needs_detection`: every 0.5 s, sooner without a face or with a missed one, and at once where optical flow lost a
    face, a face is not yet confirmed, or the scene is new.

        tracker = Tracker()
        tracker.propagate(pixels_bgr)
        if tracker.needs_detection(time_s):
            tracker.update(detector.detect(pixels_bgr), time_s)

    Args:
        numbers: Where the numbers of faces come from, 1, 2, 3, ... by default; streams that share an iterator never
            use a number twice.
    """

    def __init__(self, numbers: Iterator[int] | None = None) -> None:
        self._tracks: list[Track] = []
        self._numbers = itertools.count(1) if numbers is None else numbers
        self._flow = OpticalFlow()
        self._lost = True
        self._detected_at_s = -math.inf

    def propagate(self, pixels_bgr: np.ndarray) -> Scene:
        """Move every face into the next frame; a new scene begins without faces.

        Args:
            pixels_bgr: The frame, uint8 (height, width, 3).

        Returns:
            Whether it shows the same scene as the previous frame.
        """
        flow = self._flow.step(pixels_bgr, [track.center_and_size for track in self._tracks])
        if flow.scene is Scene.NEW:
            self._tracks = []
            self._lost = True
        for track, motion in zip(self._tracks, flow.motions, strict=True):
            if motion is None:
                self._lost = self._lost or track.flow_found
                track.flow_found = False
            else:
                track.move(motion)
        return flow.scene

    def needs_detection(self, time_s: float) -> bool:
        """Whether faces should be detected in the frame at time_s, in seconds."""
        unconfirmed = any(track.id is None and track.detected_at_s == self._detected_at_s for track in self._tracks)
        return self._lost or unconfirmed or not 0 <= time_s - self._detected_at_s < self._interval_s() - 1e-6

    def confirmed(self) -> list[Track]:
        """The tracks that have a number, by number."""
        return sorted((track for track in self._tracks if track.id is not None), key=lambda track: track.id or 0)

    def need(self, boxes: Sequence[Box]) -> Need:
        """Why a thorough detection may be needed.

        Args:
            boxes: The faces that a quick detection found in the newest frame.
        """
        found = [track for _, track in _matches(boxes, self._tracks)]
        missing = [track for track in self._tracks if track not in found]
        if any(track.id is None and track.detected_at_s == self._detected_at_s for track in missing):
            return Need.NEW
        if missing:
            return Need.LOST
        return Need.ROUTINE if boxes else Need.SEARCH

    def update(self, boxes: Sequence[Box], time_s: float, *, thorough: bool = True) -> list[Track]:
        """Match detections to tracks, and start tracks for the others.

        Args:
            boxes: The faces detected in the newest frame, in its pixels.
            time_s: Time of the frame in seconds, by the same clock each time.
            thorough: Whether a face that is not among the boxes counts as missed even if optical flow follows it.

        Returns:
            The confirmed tracks, by number.
        """
        self._lost = False
        self._detected_at_s = time_s
        # What the last detection found may still be here, however long ago that was; what it missed may be gone.
        self._tracks = [track for track in self._tracks if track.missed_since_s is None or not track.is_expired(time_s)]
        for box, track in _matches(boxes, list(self._tracks)):
            if track is None:
                self._tracks.append(Track(box, time_s))
            else:
                track.detected(box, time_s)
        for track in self._tracks:
            if track.detected_at_s == time_s:
                continue
            if thorough or not track.flow_found:
                track.missed(time_s)
            else:
                track.unchecked = track.missed_since_s is None
        self._tracks = [track for track in self._tracks if not track.is_expired(time_s)]
        self._drop_duplicates()
        for track in self._tracks:
            if track.id is None and track.hits >= MIN_HITS:
                track.id = next(self._numbers)
        return self.confirmed()

    def _interval_s(self) -> float:
        faces = self.confirmed()
        if not faces:
            return SEARCH_EVERY_S
        sure = all(track.missed_since_s is None and not track.unchecked for track in faces)
        return DETECT_EVERY_S if sure else RETRY_EVERY_S

    def _drop_duplicates(self) -> None:
        """If two tracks are on one face, keep the older one."""
        kept: list[Track] = []
        for track in self._tracks:
            if not any(is_same_face(track.box, other.box) for other in kept):
                kept.append(track)
        self._tracks = kept


def _matches(boxes: Sequence[Box], tracks: Sequence[Track]) -> list[tuple[Box, Track | None]]:
    """Each box with its track, best first, or None for a new face; a second box on one face is dropped."""
    scores = sorted(
        ((_score(box, track.box), i, j) for i, box in enumerate(boxes) for j, track in enumerate(tracks)), reverse=True
    )
    chosen: dict[int, int] = {}
    for score, i, j in scores:
        if score > 0 and i not in chosen and j not in chosen.values():
            chosen[i] = j
    matched: list[tuple[Box, Track | None]] = [(boxes[i], tracks[j]) for i, j in chosen.items()]
    for i, box in sorted(enumerate(boxes), key=lambda each: -each[1].area):
        duplicate = i not in chosen and any(is_same_face(box, other) for other, _ in matched)
        if i not in chosen and not duplicate:
            matched.append((box, None))
    return matched


def _score(box: Box, known: Box) -> float:
    """How well a box fits a track: above 1 by overlap, 0..1 by distance for a face of similar size, 0 not at all."""
    overlap = box.iou(known)
    if overlap >= MIN_OVERLAP_IOU:
        return 1 + overlap
    step = np.hypot(*(_center_and_size(box) - _center_and_size(known))[:2]) / math.sqrt(known.area)
    similar = 0.5 < box.area / known.area < 2
    return float(max(0.0, 1 - step / MAX_STEP)) if similar else 0.0


def _center_and_size(box: Box) -> np.ndarray:
    return np.array([box.x + box.w / 2, box.y + box.h / 2, box.w, box.h], float)

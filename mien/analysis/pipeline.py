"""From a frame to its analysis: detect, track, crop, classify. No threads, no drawing, no state of its own.

OpenCV and TensorFlow each keep a thread for every core. Here they take turns, so they do not fight; measured on two
cores, one thread for OpenCV doubles the time of a detection, and one for TensorFlow makes five faces 1.6 times slower
and one face no faster. Drawing and encoding run in the threads of those who look.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from mien.analysis.tracker import Track, Tracker
from mien.detectors import Detector
from mien.images.resize import crop_faces
from mien.types import Analysis, Box, Face, Frame

UNSURE_BELOW = 0.5


class Classifier(Protocol):
    """Anything that tells expressions of gray faces apart."""

    input_size_px: tuple[int, int]

    def predict(self, faces: np.ndarray) -> np.ndarray:
        """Probabilities, float32 (n, 7) in the order of EXPRESSIONS, of uint8 (n, height, width)."""
        ...


class Pipeline:
    """What camera, interface and batch share; may be called from several threads at once."""

    def __init__(self, detector: Detector, classifier: Classifier, *, unsure_below: float = UNSURE_BELOW) -> None:
        """unsure_below: a face whose confidence, 0..1, is lower counts as unsure."""
        self.detector = detector
        self.classifier = classifier
        self.unsure_below = unsure_below
        self._lock = threading.Lock()

    def analyze(self, frame: Frame, tracker: Tracker | None = None) -> Analysis:
        """Find and classify the faces of a frame.

        With a tracker (one for each stream) faces have numbers, steady boxes, smoothed probabilities
        and steady labels; without one the frame stands alone and probabilities equal raw. A face that detection
        missed stays for a while as it was: what is in its place now is perhaps a wall.
        """
        timing_ms: dict[str, float] = {}
        with self._lock:
            with _timed(timing_ms, "track"):
                if tracker is not None:
                    tracker.follow(frame.pixels_bgr)
            with _timed(timing_ms, "detect"):
                tracks, boxes = self._locate(frame, tracker)
            with _timed(timing_ms, "classify"):
                raw = self.classifier.predict(crop_faces(frame.pixels_bgr, boxes, self.classifier.input_size_px))
        if tracker is None:
            faces = [Face(box, p, p) for box, p in zip(boxes, raw, strict=True)]
        else:
            timing_ms["detect"] += tracker.postponed_ms
            tracker.postponed_ms = 0.0
            faces = _followed(tracks, raw, frame.captured_at)
        faces = [replace(face, unsure=face.confidence < self.unsure_below) for face in faces]
        return Analysis(frame.width, frame.height, tuple(faces), timing_ms)

    def search(self, frame: Frame, tracker: Tracker) -> None:
        """Do the detection that `analyze` has postponed in this very frame.

        What is found shows in the next frame; its analysis also tells what the detection took.
        """
        timing_ms: dict[str, float] = {}
        with self._lock, _timed(timing_ms, "detect"):
            tracker.update(self.detector.detect(frame.pixels_bgr), frame.captured_at)
        tracker.postponed = False
        tracker.postponed_ms = timing_ms["detect"]

    def _locate(self, frame: Frame, tracker: Tracker | None) -> tuple[list[Track], list[Box]]:
        if tracker is None:
            return [], self.detector.detect(frame.pixels_bgr)
        due = tracker.wants_detection(frame.captured_at)
        tracks = tracker.faces()
        tracker.postponed = due and tracker.postpones and bool(tracks)
        if due and not tracker.postponed:
            tracks = tracker.update(self.detector.detect(frame.pixels_bgr), frame.captured_at)
        return tracks, [track.box for track in tracks if track.missed_since_s is None]


def _followed(tracks: Sequence[Track], raw: np.ndarray, time_s: float) -> list[Face]:
    """The faces of all tracks; raw: what the network said of those that detection did not miss."""
    seen = [track for track in tracks if track.missed_since_s is None]
    for track, p in zip(seen, raw, strict=True):
        probabilities = track.expression.update(p, time_s)
        track.face = Face(track.box, probabilities, p, track.id, track.expression.label)
    return [
        replace(track.face, box=track.box, missed=track.missed_since_s is not None)
        for track in tracks
        if track.face is not None
    ]


@contextmanager
def _timed(timing_ms: dict[str, float], stage: str) -> Any:
    start_s = time.perf_counter()
    yield
    timing_ms[stage] = (time.perf_counter() - start_s) * 1e3

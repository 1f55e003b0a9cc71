"""Everything that is remembered about one stream of frames: which face is which, and what each has shown so far."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mien.analysis.pipeline import Pipeline, found_by, timed
from mien.analysis.quality import QualityMeter
from mien.analysis.scenes import Scene
from mien.analysis.smoothing import ExpressionSmoother
from mien.analysis.thorough_schedule import LIVE_SHARE, ThoroughSchedule
from mien.analysis.tracker import Track, Tracker
from mien.landmarks.follow import LandmarkTrack
from mien.types import Analysis, Box, Face, Frame


@dataclass(slots=True)
class _Memory:
    """What is remembered about one face in addition to its track."""

    smoother: ExpressionSmoother = field(default_factory=ExpressionSmoother)
    meter: QualityMeter = field(default_factory=QualityMeter)
    landmarks: LandmarkTrack = field(default_factory=LandmarkTrack)
    last: Face | None = None
    """The face as it was last classified."""


@dataclass(frozen=True, slots=True, eq=False)
class _Deferred:
    """A detection that is left until its frame has been shown; `proposed` where only the thorough stage is left."""

    frame: Frame
    time_s: float
    proposed: Sequence[Box] | None = None


class FaceStream:
    """Analyzes the frames of one stream in their order; not to be shared between streams or threads.

    Faces have numbers that are never used again, stable boxes, smoothed probabilities and stable labels. A frame from
    another opening of the source or of another size starts a new scene, with new numbers. A face that a detection
    missed is reported for a while with its last expression and `missed`: something else may be there now.

        stream = FaceStream(pipeline)
        for frame in frames:
            analysis = stream.analyze(frame, frame.media_time_s)

    Args:
        pipeline: Detects and classifies; shared with other streams.
        defer_detection: Whether a detection that is due while faces are known is left to `detect_deferred`, so that
            the frame can be shown first. The thorough stage of a detector with two stages is always deferred then, and
            its share of the time is limited; otherwise the times of the frames alone decide when it runs.
        numbers: Where the numbers of faces come from, 1, 2, 3, ... by default; streams that share an iterator never
            use a number twice.
    """

    def __init__(
        self, pipeline: Pipeline, *, defer_detection: bool = False, numbers: Iterator[int] | None = None
    ) -> None:
        self._pipeline = pipeline
        self._defers = defer_detection
        self._numbers = itertools.count(1) if numbers is None else numbers
        self._deferred_ms = 0.0  # what deferred detection took, until an analysis reports it
        self.reset()

    def reset(self) -> None:
        """Forget all faces; their numbers are never used again."""
        self._tracker = Tracker(self._numbers)
        self._memories: dict[int, _Memory] = {}
        self._origin: tuple[int, int, int] | None = None  # stream, width and height of the frames
        self._deferred: _Deferred | None = None
        self._schedule = ThoroughSchedule(LIVE_SHARE if self._defers else None)

    def analyze(self, frame: Frame, time_s: float, *, landmarks: bool = False) -> Analysis:
        """Find, track and classify the faces of the next frame.

        Args:
            frame: The next frame of the stream.
            time_s: Its time in seconds: of capture where the source is live, of the media where the result has to be
                the same each time.
            landmarks: Whether to find the landmarks of the faces too.

        Returns:
            Its faces by number; `timing_ms` has track, detect, classify and assess, and detect includes what
            `detect_deferred` took since the previous analysis.

        Raises:
            LandmarkError: Landmarks are asked for, and cannot be found on this computer.
        """
        try:
            analysis = self._analyze(frame, time_s)
            return self._with_landmarks(analysis, frame, time_s) if landmarks else analysis
        except BaseException:  # the tracker may have processed the frame in part
            self.reset()
            raise

    def detect_deferred(self) -> None:
        """Detect faces in the last frame where that was deferred; what is found is reported with the next frame."""
        if self._deferred is None:
            return
        deferred, self._deferred = self._deferred, None
        timing_ms: dict[str, float] = {}
        try:
            with timed(timing_ms, "detect"):
                if deferred.proposed is None:
                    self._detect(deferred.frame, deferred.time_s)
                else:
                    self._complete(deferred.frame, deferred.time_s, deferred.proposed)
        except BaseException:
            self.reset()
            raise
        self._deferred_ms = timing_ms["detect"]

    def _analyze(self, frame: Frame, time_s: float) -> Analysis:
        origin = (frame.stream, frame.width, frame.height)
        if origin != self._origin:
            self.reset()
            self._origin = origin
        timing_ms: dict[str, float] = {}
        with timed(timing_ms, "track"):
            scene = self._tracker.propagate(frame.pixels_bgr)
        with timed(timing_ms, "detect"):
            self._detect_where_due(frame, time_s)
        tracks = self._tracker.confirmed()
        visible = [track.box for track in tracks if track.missed_since_s is None]
        with timed(timing_ms, "classify"):
            raw = self._pipeline.classify(frame.pixels_bgr, visible)
        timing_ms["detect"] += self._deferred_ms
        self._deferred_ms = 0.0
        with timed(timing_ms, "assess"):
            faces = tuple(self._faces(frame, tracks, raw, time_s))
        return Analysis(frame.width, frame.height, faces, timing_ms, scene is not Scene.SAME, self._pipeline.rare)

    def _with_landmarks(self, analysis: Analysis, frame: Frame, time_s: float) -> Analysis:
        """With the landmarks of the faces that the last detection did not miss."""
        timing_ms = dict(analysis.timing_ms)
        with timed(timing_ms, "landmarks"):
            faces = tuple(
                face
                if face.missed or face.id is None
                else self._pipeline.with_landmarks(face, frame, self._memories[face.id].landmarks, time_s)
                for face in analysis.faces
            )
        return replace(analysis, faces=faces, timing_ms=timing_ms)

    def _detect_where_due(self, frame: Frame, time_s: float) -> None:
        self._deferred = None
        if not self._tracker.needs_detection(time_s):
            return
        if self._defers and self._tracker.confirmed():
            self._deferred = _Deferred(frame, time_s)
        else:
            self._detect(frame, time_s, shown=False)

    def _detect(self, frame: Frame, time_s: float, *, shown: bool = True) -> None:
        """Detect faces; the thorough stage, if it is due, waits until the frame is shown."""
        proposed, staged = self._pipeline.propose(frame.pixels_bgr)
        if not staged or not self._schedule.is_due(self._tracker.need(proposed), time_s):
            self._tracker.update(proposed, time_s, thorough=not staged)
        elif self._defers and not shown:
            self._deferred = _Deferred(frame, time_s, proposed)
        else:
            self._complete(frame, time_s, proposed)

    def _complete(self, frame: Frame, time_s: float, proposed: Sequence[Box]) -> None:
        need, timing_ms = self._tracker.need(proposed), dict[str, float]()
        with timed(timing_ms, "thorough"):
            faces = self._pipeline.complete(frame.pixels_bgr, proposed)
        self._schedule.ran(need, time_s, timing_ms["thorough"] / 1e3)
        self._tracker.update(faces, time_s)

    def _faces(self, frame: Frame, tracks: Sequence[Track], raw: np.ndarray, time_s: float) -> list[Face]:
        """The faces of all tracks; raw: probabilities of those that detection did not miss, in the same order."""
        probabilities = iter(raw)
        before, self._memories = self._memories, {}
        faces = []
        for track in tracks:
            assert track.id is not None
            memory = self._memories[track.id] = before.get(track.id) or _Memory()
            missed = track.missed_since_s is not None
            if not missed:
                memory.last = self._assessed(frame, track, memory, next(probabilities), time_s)
            if memory.last is not None:
                faces.append(replace(memory.last, box=track.box, missed=missed, found_by=found_by(track.box)))
        return faces

    def _assessed(self, frame: Frame, track: Track, memory: _Memory, raw: np.ndarray, time_s: float) -> Face:
        smoothed = memory.smoother.update(raw, time_s)
        quality = memory.meter.update(frame.pixels_bgr, track.box, time_s)
        face = Face(track.box, smoothed, raw, track.id, memory.smoother.label, quality=quality)
        return self._pipeline.assess(face)

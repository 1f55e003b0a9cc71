"""A person's resting face: how far each expression is above or below what the network reads in this face at rest.

Some faces look sad, angry or amused to a network, and to people, while they show nothing. What a face adds to that can
be seen in the difference of log odds: 0 is as at rest, +0.7 doubles the odds of an expression, -0.7 halves them. The
network's own probabilities and labels stay as they are.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mien.errors import BaselineError
from mien.types import EXPRESSIONS, Analysis, Baseline, Face

SECONDS = 3.0
"""How long a resting face is measured."""
MIN_FRAMES = 8
"""Fewer frames in this time say too little: 3 frames a second suffice."""
FLOOR = 0.02
"""Is mixed into each probability: whether a network answers 0.1 or 0.0001 % says nothing, but changes the log odds by
7. Of 0.001 to 0.05, this gives the steadiest differences that still tell expressions apart: benchmarks/baseline.py."""
LOST_AFTER_S = 0.5
"""A face that was not seen for this long has moved away."""
OUTLIER = 3.0
"""Frames that are further from the median than this many standard deviations, estimated robustly, do not count."""
MIN_DEVIATION = 0.25
"""Smallest standard deviation for this, in log odds: a still face has less, and loses no frames."""
MIN_KEPT = 0.7
"""Smallest share of frames that are not outliers: two blinks of 0.4 s take a quarter."""
MAX_DEVIATION = 1.0
"""A face whose log odds deviate more from their mean changes its expression; at rest they deviate by 0.1 to 0.3."""
MAX_RESTS = 64
"""Resting faces that are kept; the oldest is forgotten."""


def log_odds(probabilities: np.ndarray) -> np.ndarray:
    """The log odds of probabilities, with a lowest probability.

    Args:
        probabilities: Softmax probabilities, (..., 7); each row sums to 1.

    Returns:
        float64 (..., 7), finite: from -3.9 to 2.0.
    """
    raised = FLOOR + (1 - len(EXPRESSIONS) * FLOOR) * np.clip(np.asarray(probabilities, np.float64), 0, 1)
    return np.log(raised / (1 - raised))


@dataclass(frozen=True, slots=True, eq=False)
class Rest:
    """A resting face.

    Args:
        log_odds: float64 (7,), the mean of its frames.
        frames: How many frames count.
        rare: How often rare expressions were expected meanwhile, see `mien.types.Adjustment`. Probabilities under
            another value cannot be compared.
    """

    log_odds: np.ndarray
    frames: int
    rare: float | None = None

    def difference(self, probabilities: np.ndarray) -> np.ndarray:
        """How much the log odds of each expression are above those at rest.

        Args:
            probabilities: (7,).

        Returns:
            float32 (7,).
        """
        return np.asarray(log_odds(probabilities) - self.log_odds, np.float32)

    def to_dict(self) -> dict[str, Any]:
        """As plain types, ready for JSON."""
        odds = {name: round(float(each), 4) for name, each in zip(EXPRESSIONS, self.log_odds, strict=True)}
        return {"log_odds": odds, "frames": self.frames, "rare": self.rare}


def mean_of(frames: np.ndarray) -> tuple[np.ndarray, int]:
    """The mean log odds of frames of a face at rest, without outliers such as a blink or a failed crop.

    Args:
        frames: Log odds of each frame, float64 (n, 7), n at least 1.

    Returns:
        The mean, float64 (7,), and the number of frames that count.

    Raises:
        BaselineError: There are too few frames, or the expression changes.
    """
    if len(frames) < MIN_FRAMES:
        raise BaselineError(f"expected at least {MIN_FRAMES} frames in {SECONDS:g} s, found {len(frames)}")
    distances = np.abs(frames - np.median(frames, axis=0))
    deviation = np.maximum(1.4826 * np.median(distances, axis=0), MIN_DEVIATION)  # of a normal distribution
    kept = frames[(distances <= OUTLIER * deviation).all(axis=1)]
    if len(kept) < max(MIN_FRAMES, MIN_KEPT * len(frames)) or kept.std(axis=0).max() > MAX_DEVIATION:
        raise BaselineError("expected a face that shows the same for 3 s, found one that changes its expression")
    return kept.mean(axis=0), len(kept)


@dataclass(slots=True)
class _Measurement:
    """A resting face that is being measured; `rare` and the times are those of its first frame."""

    face: int
    began_s: float | None = None
    seen_s: float = 0.0
    rare: float | None = None
    frames: list[np.ndarray] = field(default_factory=list)
    qualities: list[float] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def add(self, face: Face | None, time_s: float, rare: float | None) -> None:
        """Take the next frame; face: None if it was not seen in it. Raises BaselineError."""
        if self.began_s is None or time_s < self.began_s:
            self.began_s = self.seen_s = time_s
            self.rare = rare
            self.frames.clear()
        if rare != self.rare:
            raise BaselineError("how often rare expressions are expected was changed meanwhile")
        if face is None or face.missed:
            if time_s - self.seen_s > LOST_AFTER_S:
                raise BaselineError("the face moved away or was covered")
            return
        self.seen_s = time_s
        if np.isfinite(face.raw).all():
            self.frames.append(log_odds(face.raw))
        if face.quality is not None:
            self.qualities.append(face.quality.value)
            self.reasons += [face.quality.reason] if face.quality.reason else []

    def left_s(self, time_s: float) -> float:
        """Seconds until it is complete."""
        return SECONDS if self.began_s is None else max(0.0, SECONDS - (time_s - self.began_s))

    def result(self, min_quality: float) -> Rest:
        """The resting face. Raises BaselineError."""
        if not self.frames:
            raise BaselineError(f"expected at least {MIN_FRAMES} frames in {SECONDS:g} s, found none")
        if self.qualities and np.median(self.qualities) < min_quality:
            why = max(set(self.reasons), key=self.reasons.count) if self.reasons else "poor quality"
            raise BaselineError(f"the face cannot be read well enough: {why}")
        return Rest(*mean_of(np.array(self.frames)), self.rare)


class Baselines:
    """The resting faces of one stream of frames, measured on request; thread-safe.

    A resting face belongs to the number of a face. A person who leaves and comes back gets another number.

        baselines = Baselines(min_quality=0.55)
        baselines.begin(1)
        analysis = baselines.update(stream.analyze(frame, time_s), time_s)  # for 3 s
        analysis.faces[0].rest

    Args:
        min_quality: Faces with a lower quality are refused, 0..1.
        changed: Called with the number of a face, and its resting face or None, whenever one is measured or forgotten.
    """

    def __init__(
        self, min_quality: float = 0.0, changed: Callable[[int, Rest | None], object] = lambda face, rest: None
    ) -> None:
        self._min_quality = min_quality
        self._changed = changed
        self._lock = threading.Lock()  # guards the rest
        self._present: set[int] = set()
        self._rests: OrderedDict[int, Rest] = OrderedDict()
        self._running: dict[int, _Measurement] = {}
        self._refused: dict[int, str] = {}

    def begin(self, face: int) -> None:
        """Measure the resting face of a person from the next frame on; what is known of it stays until then.

        Args:
            face: The number of the face.

        Raises:
            BaselineError: There is no such face in the newest frame.
        """
        with self._lock:
            if face not in self._present:
                raise BaselineError(f"expected the number of a face in the newest frame, found {face}")
            self._refused.pop(face, None)
            self._running[face] = _Measurement(face)

    def known(self) -> dict[int, Rest]:
        """The resting faces by the numbers of their faces."""
        with self._lock:
            return dict(self._rests)

    def forget(self, face: int | None = None) -> None:
        """Forget a resting face, and stop measuring it.

        Args:
            face: The number of the face; None for all.
        """
        with self._lock:
            faces = {*self._rests, *self._running, *self._refused} if face is None else {face}
            forgotten = [each for each in faces if self._rests.pop(each, None) is not None]
            for each in faces:
                self._running.pop(each, None)
                self._refused.pop(each, None)
        for each in forgotten:
            self._changed(each, None)

    def update(self, analysis: Analysis, time_s: float) -> Analysis:
        """Take the next frame of the stream.

        Args:
            analysis: What was found in it.
            time_s: Its time in seconds.

        Returns:
            The same with `rest` of each face whose resting face is known, and with the state of all of them.
        """
        faces = {face.id: face for face in analysis.faces if face.id is not None}
        with self._lock:
            self._present = set(faces)
            if not (self._rests or self._running or self._refused):
                return analysis
            measured = self._measure(faces, time_s, analysis.rare)
            self._refused = {face: reason for face, reason in self._refused.items() if face in faces}
            compared = tuple(self._compared(face, analysis.rare) for face in analysis.faces)
            states = tuple(state for face in sorted(faces) if (state := self._state(face, time_s, analysis.rare)))
        for face, rest in measured.items():
            self._changed(face, rest)
        return replace(analysis, faces=compared, baselines=states)

    # --- with the lock held

    def _measure(self, faces: dict[int, Face], time_s: float, rare: float | None) -> dict[int, Rest]:
        """Let the running measurements take a frame; returns the resting faces that are complete."""
        measured = {}
        for number, running in list(self._running.items()):
            try:
                running.add(faces.get(number), time_s, rare)
                if running.left_s(time_s) > 0:
                    continue
                measured[number] = running.result(self._min_quality)
            except BaselineError as error:
                self._refused[number] = str(error)
            del self._running[number]
        for number, rest in measured.items():
            self._rests.pop(number, None)  # the newest is the last
            self._rests[number] = rest
        while len(self._rests) > MAX_RESTS:
            self._rests.popitem(last=False)
        return measured

    def _compared(self, face: Face, rare: float | None) -> Face:
        rest = None if face.id is None else self._rests.get(face.id)
        if rest is None or rest.rare != rare or not np.isfinite(face.probabilities).all():
            return face
        return replace(face, rest=rest.difference(face.probabilities))

    def _state(self, face: int, time_s: float, rare: float | None) -> Baseline | None:
        rest, running = self._rests.get(face), self._running.get(face)
        frames = 0 if rest is None else rest.frames
        if running is not None:
            return Baseline(face, "measuring", running.left_s(time_s), len(running.frames))
        if face in self._refused:
            return Baseline(face, "refused", frames=frames, reason=self._refused[face])
        if rest is not None and rest.rare != rare:
            return Baseline(
                face, "refused", frames=frames, reason="rare expressions are expected more or less often now"
            )
        return None if rest is None else Baseline(face, "ready", frames=frames)

"""How steady numbers and labels are on the real clip: `python -m benchmarks.steadiness`, and part of `make bench`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from benchmarks.loops import CLIP
from mien.types import EXPRESSIONS, Frame

_LASTS_S = 1.0
_LASTING_SHARE = 0.8
_CLEAR_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class Steadiness:
    """How steady the faces of one clip are.

    Attributes:
        seconds: Length of the clip.
        identities: Numbers given to its one face.
        raw_changes: Changes of the label that the network gives frame by frame.
        changes: Changes of the label that is shown.
        slowest_s: The longest time from the first frame of a lasting change of the raw label until the shown one
            follows.
        slowest_clear_s: The same, of the changes that are also clear.

    Example:
        found = measure(Pipeline(create_detector(), FacialExpressionModel()))
        print(f"{found.a_minute:.0f} changes a minute, {found.raw_a_minute:.0f} without smoothing")
    """

    seconds: float
    identities: int
    raw_changes: int
    changes: int
    slowest_s: float
    slowest_clear_s: float

    @property
    def raw_a_minute(self) -> float:
        """Changes a minute of the label the network gives frame by frame."""
        return 60 * self.raw_changes / self.seconds

    @property
    def a_minute(self) -> float:
        """Changes a minute of the label that is shown."""
        return 60 * self.changes / self.seconds


def main() -> None:
    """Measure the shipped network and print it."""
    from mien.analysis.pipeline import Pipeline
    from mien.detectors import create_detector
    from model import FacialExpressionModel

    report(Pipeline(create_detector(), FacialExpressionModel()))


def report(pipeline: Any) -> dict[str, float]:
    """Measure a pipeline, print a table and return its figures; nothing where there is no clip."""
    if not CLIP.is_file():
        print(f"\nSteadiness: skipped, there is no {CLIP.name}")
        return {}
    found = measure(pipeline)
    figures = {
        "identities": float(found.identities),
        "raw_label_changes_a_minute": found.raw_a_minute,
        "label_changes_a_minute": found.a_minute,
        "slowest_lasting_change_s": found.slowest_s,
        "slowest_clear_change_s": found.slowest_clear_s,
    }
    print(f"\nSteadiness on {CLIP.name}, {found.seconds:.1f} s\n\n| figure | value |\n|---|---|")
    for name, value in figures.items():
        print(f"| {name} | {value:.2f} |")
    return figures


def measure(pipeline: Any) -> Steadiness:
    """Analyze every frame of the clip, at its own pace, with a pipeline."""
    from mien.analysis.face_stream import FaceStream

    clip = cv2.VideoCapture(str(CLIP))
    fps = clip.get(cv2.CAP_PROP_FPS)
    stream = FaceStream(pipeline)
    numbers: set[int] = set()
    raw: list[str] = []
    confidences: list[float] = []
    shown: list[str] = []
    times_s: list[float] = []
    for index in itertools.count():
        ok, pixels = clip.read()
        if not ok:
            break
        for face in stream.analyze(Frame(pixels, index), index / fps).faces:
            numbers.add(face.id or 0)
            raw.append(EXPRESSIONS[int(np.argmax(face.raw))])
            confidences.append(float(np.max(face.raw)))
            shown.append(face.label)
            times_s.append(index / fps)
    clip.release()
    lasting_s = delays(raw, shown, times_s)
    clear_s = delays(raw, shown, times_s, confidences, _CLEAR_SHARE)
    return Steadiness(
        index / fps, len(numbers), changes(raw), changes(shown), max(lasting_s, default=0.0), max(clear_s, default=0.0)
    )


def changes(labels: Sequence[str]) -> int:
    """Count how often a label differs from the one before."""
    return sum(a != b for a, b in itertools.pairwise(labels))


def delays(
    raw: Sequence[str],
    shown: Sequence[str],
    times_s: Sequence[float],
    weights: Sequence[float] | None = None,
    least: float = _LASTING_SHARE,
) -> list[float]:
    """Return the seconds from each lasting change of the raw label until the shown one follows; infinite if never.

    A change lasts where the new label makes up `least` of the next _LASTS_S, each frame counted by its weight, 0..1.
    With the network's confidences as weights only clear changes count.

    Args:
        raw: The network's label of each frame.
        shown: The label that is shown.
        times_s: Time of each frame.
        weights: Of each frame; by default 1.
        least: Share from which a change lasts.
    """
    found: list[float] = []
    i = 0
    while i < len(raw):
        following = [j for j in range(i, len(raw)) if times_s[j] < times_s[i] + _LASTS_S]
        share = sum(1 if weights is None else weights[j] for j in following if raw[j] == raw[i]) / len(following)
        if raw[i] == shown[i] or share < least or times_s[-1] < times_s[i] + _LASTS_S:
            i += 1
            continue
        followed = next((j for j in range(i, len(shown)) if shown[j] == raw[i]), len(shown))
        found.append(times_s[followed] - times_s[i] if followed < len(shown) else float("inf"))
        i = followed
    return found


if __name__ == "__main__":
    main()

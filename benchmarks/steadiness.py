"""How steady numbers and labels are on the real clip: `python -m benchmarks.steadiness`, and part of `make bench`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from benchmarks.loops import CLIP
from mien.expressions import EXPRESSIONS, Frame

LASTS_S = 0.5
LASTING_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Steadiness:
    """What became of the faces of one clip.

    identities: numbers given to its one face. slowest_s: the longest time from the first frame of a lasting change of
    the raw label until the steady one follows.
    """

    seconds: float
    identities: int
    raw_changes: int
    changes: int
    slowest_s: float

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
    from mien.detector import HaarDetector
    from mien.pipeline import Pipeline
    from model import FacialExpressionModel

    report(Pipeline(HaarDetector(), FacialExpressionModel()))


def report(pipeline: Any) -> dict[str, float]:
    """Measure, print a table, return its figures; nothing where there is no clip."""
    if not CLIP.is_file():
        print(f"\nSteadiness: skipped, there is no {CLIP.name}")
        return {}
    found = measure(pipeline)
    figures = {
        "identities": float(found.identities),
        "raw_label_changes_a_minute": found.raw_a_minute,
        "label_changes_a_minute": found.a_minute,
        "slowest_lasting_change_s": found.slowest_s,
    }
    print(f"\nSteadiness on {CLIP.name}, {found.seconds:.1f} s\n\n| figure | value |\n|---|---|")
    for name, value in figures.items():
        print(f"| {name} | {value:.2f} |")
    return figures


def measure(pipeline: Any) -> Steadiness:
    """The clip at its own pace through the pipeline, every frame."""
    from mien.tracker import Tracker

    clip = cv2.VideoCapture(str(CLIP))
    fps = clip.get(cv2.CAP_PROP_FPS)
    tracker = Tracker()
    numbers: set[int] = set()
    raw: list[str] = []
    shown: list[str] = []
    times_s: list[float] = []
    for index in itertools.count():
        ok, pixels = clip.read()
        if not ok:
            break
        for face in pipeline.analyze(Frame(pixels, index, captured_at=index / fps), tracker).faces:
            numbers.add(face.id)
            raw.append(EXPRESSIONS[int(np.argmax(face.raw))])
            shown.append(face.label)
            times_s.append(index / fps)
    clip.release()
    delays_s = delays(raw, shown, times_s)
    return Steadiness(index / fps, len(numbers), changes(raw), changes(shown), max(delays_s, default=0.0))


def changes(labels: Sequence[str]) -> int:
    """How often a label differs from the one before."""
    return sum(a != b for a, b in itertools.pairwise(labels))


def delays(raw: Sequence[str], shown: Sequence[str], times_s: Sequence[float]) -> list[float]:
    """Seconds from each lasting change of the raw label until the shown label follows; infinite where it never does.

    A change lasts where the new label makes up LASTING_SHARE of the next LASTS_S.
    """
    found: list[float] = []
    i = 0
    while i < len(raw):
        following = [label for label, time_s in zip(raw[i:], times_s[i:], strict=True) if time_s < times_s[i] + LASTS_S]
        lasts = following.count(raw[i]) >= LASTING_SHARE * len(following) and times_s[-1] >= times_s[i] + LASTS_S
        if raw[i] == shown[i] or not lasts:
            i += 1
            continue
        followed = next((j for j in range(i, len(shown)) if shown[j] == raw[i]), len(shown))
        found.append(times_s[followed] - times_s[i] if followed < len(shown) else float("inf"))
        i = followed
    return found


if __name__ == "__main__":
    main()

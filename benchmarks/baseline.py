"""What comparing a face with its own rest does to accuracy: `python -m benchmarks.baseline`, on the demo and the clip.

Three ways to name an expression are compared, on frames whose expression is known and which were not used as rest:
the label as it is; the most probable expression; and what rose most against rest, which is neutral if nothing rose by
RISE log odds. The last one is not what the program does: it says how much the comparison alone knows.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.loops import CLIP
from mien.analysis.baseline import MIN_FRAMES, SECONDS, Rest, log_odds, mean_of
from mien.errors import BaselineError
from mien.types import EXPRESSIONS, Frame

RISE = 1.0
"""Odds that are 2.7 times those at rest."""

DEMO_S = 33.6
"""Two rounds of the demo, in each of which every face shows every expression."""

CLIP_SHOWS = (("sad", 0.0, 5.5), ("surprise", 6.5, 9.5), ("happy", 11.0, 19.0))
"""What the woman of the clip shows, by eye, from and to a second. She is never at rest."""

NEUTRAL = EXPRESSIONS.index("neutral")


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A face in a frame.

    Args:
        person: Its place from the left, 0, 1, ...
        time_s: Time of the frame.
        shows: The expression it shows.
        label: The label the program gives it.
        probabilities: float32 (7,), smoothed.
        raw: float32 (7,), of the frame alone.
    """

    person: int
    time_s: float
    shows: str
    label: str
    probabilities: np.ndarray
    raw: np.ndarray


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Shares of frames that are named as what they show.

    Args:
        frames: How many faces in frames.
        label: By the label.
        probable: By the most probable expression.
        rise: By what rose most against rest.
    """

    frames: int
    label: float
    probable: float
    rise: float


def main() -> None:
    """Measure the shipped network and print it."""
    from mien.analysis.pipeline import Pipeline
    from mien.detectors import create_detector
    from model import FacialExpressionModel

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clip", type=Path, default=CLIP, help="the clip of CLIP_SHOWS (default: %(default)s)")
    clip = parser.parse_args().clip
    cv2.setNumThreads(1)
    report(Pipeline(create_detector(), FacialExpressionModel()), clip)


def report(pipeline: Any, clip: Path = CLIP) -> None:
    """Measure a pipeline and print a table."""
    print("| video | rest | frames | label | most probable | what rose most |\n|---|---|---|---|---|---|")
    demo = list(demo_faces(pipeline))
    for shown in EXPRESSIONS:
        print(_row("demo, 3 people", f"3 s {shown}", compare(demo, shown)))
    if clip.is_file():
        woman = list(clip_faces(pipeline, clip))
        for shown, _, _ in CLIP_SHOWS:
            print(_row("clip", f"3 s {shown}", compare(woman, shown)))
    else:
        print(f"\nthe clip was left out: there is no {clip}")


def _row(video: str, rest: str, found: Accuracy | str) -> str:
    if isinstance(found, str):
        return f"| {video} | {rest} | {found} | | | |"
    shares = (f"{100 * share:.1f} %" for share in (found.label, found.probable, found.rise))
    return f"| {video} | {rest} | {found.frames} | {' | '.join(shares)} |"


def demo_faces(pipeline: Any, seconds: float = DEMO_S) -> Iterator[Seen]:
    """The faces of the demo, where it says what they show and all are found."""
    from mien.analysis.face_stream import FaceStream
    from mien.sources.demo import FPS, DemoSource

    demo, stream = DemoSource(paced=False), FaceStream(pipeline)
    for _ in range(round(seconds * FPS)):
        frame = demo.read()
        assert frame.media_time_s is not None
        faces = sorted(stream.analyze(frame, frame.media_time_s).faces, key=lambda face: face.box.x)
        if len(faces) != len(frame.truths):
            continue
        for person, (face, shows) in enumerate(zip(faces, frame.truths, strict=True)):
            if shows is not None and not face.missed:
                yield Seen(person, frame.media_time_s, shows, face.label, face.probabilities, face.raw)


def clip_faces(pipeline: Any, path: Path) -> Iterator[Seen]:
    """The face of the clip, in the times of CLIP_SHOWS."""
    from mien.analysis.face_stream import FaceStream

    stream, capture = FaceStream(pipeline), cv2.VideoCapture(str(path))
    fps = capture.get(cv2.CAP_PROP_FPS)
    try:
        for index in range(10**6):
            read, pixels = capture.read()
            if not read:
                return
            faces = stream.analyze(Frame(pixels, index), index / fps).faces
            shows = next((name for name, start, end in CLIP_SHOWS if start <= index / fps < end), None)
            if shows and faces and not faces[0].missed:
                yield Seen(0, index / fps, shows, faces[0].label, faces[0].probabilities, faces[0].raw)
    finally:
        capture.release()


def compare(faces: Sequence[Seen], at_rest: str) -> Accuracy | str:
    """Compare all faces with their first SECONDS of one expression.

    Args:
        faces: In order of time.
        at_rest: The expression that counts as rest: "neutral" is what the page asks for, the others are mistakes.

    Returns:
        The accuracy on the frames that were not used; or why a resting face was refused.
    """
    hits = []
    for person in sorted({face.person for face in faces}):
        own = [face for face in faces if face.person == person]
        used = _first([face for face in own if face.shows == at_rest])
        if len(used) < MIN_FRAMES:
            return "too few frames"
        try:
            rest = Rest(*mean_of(np.array([log_odds(face.raw) for face in used])))
        except BaselineError:
            return "refused: the expression changes"
        times_s = {face.time_s for face in used}
        for face in own:
            if face.time_s not in times_s:
                named = face.label, EXPRESSIONS[int(face.probabilities.argmax())], risen(rest.difference(face.raw))
                hits.append([name == face.shows for name in named])
    return Accuracy(len(hits), *np.mean(hits, axis=0))


def _first(faces: Sequence[Seen]) -> list[Seen]:
    """The first faces that together last SECONDS, without the pauses between them."""
    steps_s = np.diff([face.time_s for face in faces])
    return list(islice(faces, round(SECONDS / float(np.median(steps_s))))) if len(steps_s) else []


def risen(difference: np.ndarray) -> str:
    """The expression that rose most against rest, neutral if none rose by RISE log odds."""
    others = difference.copy()
    others[NEUTRAL] = -np.inf
    return EXPRESSIONS[int(others.argmax())] if others.max() > RISE else EXPRESSIONS[NEUTRAL]


if __name__ == "__main__":
    main()

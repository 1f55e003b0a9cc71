"""What the default detector costs beside `haar` alone: `python -m benchmarks.detector_cost`, and part of `.faces`.

Frames a second at 1280x720 with one face: both process the same blocks of frames in turn, as fast as they can, each
with a clock that runs only meanwhile; figures are medians over the pairs of blocks. Then the running program plays
pictures without a face at 15 frames a second, and the share of one processor core that it takes is measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from statistics import median

import cv2
import numpy as np

from benchmarks.latency import playing
from benchmarks.loops import MienLoop, clip_frames, seconds
from mien.analysis.pipeline import Pipeline
from mien.detectors import create_detector
from mien.errors import DetectorError
from mien.settings import Settings
from mien.types import Frame
from model import FacialExpressionModel
from training.evaluate.tables import markdown_table

BASE = "haar"
SIZES = (640, 480), (1280, 720)
FPS = 15
_PASSES = 2
"""Through the clip in each block: seconds, in which a detector that runs now and then runs several times."""
_PAIRS = 5
_EMPTY_FRAMES = 60
_SECONDS = 10.0


def main() -> None:
    """Print one row for each detector.

    Raises:
        SystemExit: A package or file of a detector is missing.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detector_cost", description=__doc__)
    parser.add_argument("--detectors", nargs="+", default=[BASE, Settings().detector], metavar="NAME")
    parser.add_argument("--pairs", type=int, default=_PAIRS, help="of blocks of frames (%(default)s)")
    parser.add_argument("--seconds", type=float, default=_SECONDS, help="of each size without a face (%(default)s)")
    options = parser.parse_args()
    try:
        print(report(options.detectors, options.pairs, options.seconds))
    except DetectorError as error:
        raise SystemExit(str(error)) from None


def report(
    detectors: Sequence[str] = (BASE, Settings().detector), pairs: int = _PAIRS, measured_s: float = _SECONDS
) -> str:
    """Measure, and return a Markdown table with a row for each detector.

    Args:
        detectors: Names, as `--detector` takes them; those without BASE are also measured in turn with it.
        pairs: Number of blocks that each processes.
        measured_s: Seconds for which the program is watched with each size of pictures without a face.
    """
    names = dict.fromkeys((BASE, *detectors))
    rates = {name: compare(name, pairs) for name in names if name != BASE} or {BASE: compare(BASE, pairs)}
    base_fps = next(iter(rates.values()))[0]
    rows = []
    for name in names:
        _, fps, ratio = rates.get(name, (base_fps, base_fps, 1.0))
        shares = [f"{without_faces(name, size, measured_s):.2f}" for size in SIZES]
        rows.append([name, f"{fps:.1f}", f"{ratio:.2f}", *shares])
    sizes = [f"core at {FPS} fps, no face, {width}x{height}" for width, height in SIZES]
    return markdown_table(["detector", "fps at 1280x720, one face", f"of {BASE}'s", *sizes], rows)


def compare(name: str, pairs: int = _PAIRS) -> tuple[float, float, float]:
    """Return the frames a second of BASE and of a detector, and the median ratio of the second to the first.

    Args:
        name: Of the detector.
        pairs: Number of blocks that each processes.
    """
    classifier, frames = FacialExpressionModel(), clip_frames(1280, 720)
    pipelines = [Pipeline(create_detector(each), classifier) for each in (BASE, name)]
    for pipeline in pipelines:
        pipeline.analyze(Frame(frames[0]))
    spent_s: list[tuple[float, float]] = []
    block = frames * _PASSES
    with MienLoop(pipelines[0], live=True) as base, MienLoop(pipelines[1], live=True) as other:
        for number in range(pairs):
            if number % 2:  # each goes first in every other pair
                second = seconds(other.run, block)
                spent_s.append((seconds(base.run, block), second))
            else:
                spent_s.append((seconds(base.run, block), seconds(other.run, block)))
    base_fps, other_fps = (len(block) / median(each) for each in zip(*spent_s, strict=True))
    return base_fps, other_fps, median(first / second for first, second in spent_s)


def without_faces(name: str, size: tuple[int, int], measured_s: float) -> float:
    """Return the share of one core that the program takes for pictures without a face, with one viewer.

    Args:
        name: Of the detector.
        size: Width and height of the pictures, in pixels.
        measured_s: For how many seconds it is measured.
    """
    with playing(*size, FPS, "--detector", name, frames=empty_frames(*size)) as program:
        program.analyzed_fps(1)
        return program.processor_share(measured_s)


def empty_frames(width: int, height: int, count: int = _EMPTY_FRAMES) -> list[np.ndarray]:
    """Return `count` frames of soft blobs, a still scene, with the noise of a camera: BGR uint8 (height, width, 3)."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(60, 200, (9, 16, 3), dtype=np.uint8)
    scene = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    noises = [rng.normal(0, 4, (height, width, 1)) for _ in range(4)]
    return [np.clip(scene + noises[i % 4], 0, 255).astype(np.uint8) for i in range(count)]


if __name__ == "__main__":
    main()

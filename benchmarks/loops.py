"""Frames a second of the seed loop and of Mien on the same frames, in alternating blocks of one run.

Every counted frame is detected or tracked, classified, drawn and encoded, unpaced. In the same run the boxes
are compared with those of detection at full resolution on every frame. The frames carry the times of a clip of 24
frames a second, so Mien detects on every fifth of them and follows the face on the others, as it does live.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.seed_loop import SeedLoop
from mien.annotate import annotate
from mien.detector import HaarDetector
from mien.expressions import Frame
from mien.imaging import encode_jpeg
from mien.pipeline import Pipeline
from mien.tracker import Tracker

CLIP = Path(__file__).parents[2] / "shared" / "media" / "expressions.mp4"
BLOCK = 40
BLOCKS = 4
FRAME_RATE = 24.0
RIGHT_IOU = 0.6


@dataclass(frozen=True, slots=True)
class Case:
    """One measured case. boxes_right: share of the frames whose box overlaps full detection with IoU >= 0.6."""

    name: str
    seed_fps: float
    mien_fps: float
    boxes_right: float
    stages_ms: dict[str, float]

    @property
    def ratio(self) -> float:
        """Mien's frames a second over those of the seed loop."""
        return self.mien_fps / self.seed_fps


def clip_frames(width: int, height: int, count: int) -> tuple[str, list[np.ndarray]]:
    """(where from, frames): the first `count` frames of the real clip, or of the demo where there is no clip."""
    size = (width, height)
    if not CLIP.is_file():
        from mien.demo import DemoSource

        demo = DemoSource()
        return "demo", [cv2.resize(demo.render(i / FRAME_RATE)[0], size) for i in range(count)]
    clip = cv2.VideoCapture(str(CLIP))
    frames: list[np.ndarray] = []
    while len(frames) < count:
        ok, pixels = clip.read()
        if not ok:
            break
        frames.append(cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC))
    clip.release()
    return CLIP.name, frames


def measure(name: str, width: int, height: int, classifier: Any) -> Case:
    """Both loops over the same frames."""
    _, frames = clip_frames(width, height, BLOCK * BLOCKS)
    seed = SeedLoop(classifier.network)
    pipeline, tracker = Pipeline(HaarDetector(), classifier), Tracker()
    boxes: list[Any] = []
    stages: dict[str, float] = {}

    def mien_frame(index: int) -> None:
        frame = Frame(frames[index], index, captured_at=index / FRAME_RATE)
        analysis = pipeline.analyze(frame, tracker)
        start_s = time.perf_counter()
        canvas = annotate(frame, analysis)
        drawn_s = time.perf_counter()
        encode_jpeg(canvas)
        timing_ms = {
            **analysis.timing_ms,
            "draw": (drawn_s - start_s) * 1e3,
            "encode": (time.perf_counter() - drawn_s) * 1e3,
        }
        for stage, spent_ms in timing_ms.items():
            stages[stage] = stages.get(stage, 0.0) + spent_ms / len(frames)
        boxes.append([face.box for face in analysis.faces])

    seed.frame(frames[0].copy())
    pipeline.analyze(Frame(frames[0]))
    seed_s = mien_s = 0.0
    for block in range(0, len(frames), BLOCK):
        indices = range(block, min(block + BLOCK, len(frames)))
        copies = {i: frames[i].copy() for i in indices}
        seed_s += _seconds(lambda i, copies=copies: seed.frame(copies[i]), indices)  # type: ignore[misc]
        mien_s += _seconds(mien_frame, indices)
    count = len(frames)
    return Case(name, count / seed_s, count / mien_s, _boxes_right(frames, boxes), stages)


def _seconds(work: Callable[[int], Any], indices: range) -> float:
    start_s = time.perf_counter()
    for i in indices:
        work(i)
    return time.perf_counter() - start_s


def _boxes_right(frames: list[np.ndarray], boxes: list[list[Any]]) -> float:
    """Share of the frames with a face where Mien's box overlaps the largest that full-resolution detection finds."""
    full = HaarDetector(search_side_px=10_000)
    right = total = 0
    for pixels, ours in zip(frames, boxes, strict=True):
        found = full.detect(pixels)
        if found:
            largest = max(found, key=lambda box: box.area)
            total += 1
            right += any(box.iou(largest) >= RIGHT_IOU for box in ours)
    return right / max(1, total)

"""Frames a second of the seed loop and of Mien on the same frames, in alternating blocks of one run.

Every counted frame is detected or tracked, classified, drawn and encoded, unpaced. In the same run the boxes are
compared with those of detection at full resolution. The frames carry the times of a clip of 24 frames a
second, so Mien detects on every twelfth of them and follows the face on the others, as it does live. As in the program,
one thread analyzes while a viewer's draws and encodes the previous one; here no frame may be left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.seed_loop import SeedLoop
from mien.analysis.face_stream import FaceStream
from mien.analysis.pipeline import Pipeline
from mien.detectors import HaarDetector, create_detector
from mien.images.codecs import encode_jpeg
from mien.images.draw import annotate
from mien.types import Analysis, Box, Frame

_MEDIA = Path(__file__).parents[2] / "shared" / "media"
CLIP = _MEDIA / "expressions.mp4"
GROUP = _MEDIA / "group.jpg"
_BLOCK = 40
_FRAMES = 120
_FRAME_RATE = 24.0
_RIGHT_IOU = 0.6
_JPEG_QUALITY = 80
_PAN_PX = 90
_SEED_EVERY = 3
"""The seed loop, so much slower, takes every third frame alone: each costs it as much as the one before."""
_FULL_PAIRS = 12
"""Detection at full resolution takes longer than all else here, so it looks at pairs of frames spread over the clip."""


@dataclass(frozen=True, slots=True)
class Case:
    """One measured case.

    Attributes:
        name: Of the case.
        seed_fps: Frames a second of the seed loop.
        mien_fps: The same of Mien.
        boxes_right: Share of the faces that full detection finds and Mien has with IoU >= 0.6.
        stages_ms: Milliseconds that a frame spends in each stage, on average over all frames.

    Example:
        case = measure("640x360", clip_frames(640, 360), FacialExpressionModel())
        print(f"{case.ratio:.1f} times as fast", case.stages_ms)
    """

    name: str
    seed_fps: float
    mien_fps: float
    boxes_right: float
    stages_ms: dict[str, float]

    @property
    def ratio(self) -> float:
        """Mien's frames a second over those of the seed loop."""
        return self.mien_fps / self.seed_fps


def clip_frames(width: int, height: int, count: int = _FRAMES) -> list[np.ndarray]:
    """Return `count` frames, BGR uint8 (height, width, 3), of the real clip, or of the demo where there is none."""
    size = (width, height)
    if not CLIP.is_file():
        from mien.sources.demo import DemoSource

        demo = DemoSource(count=1)
        return [cv2.resize(demo.render(i / _FRAME_RATE)[0], size) for i in range(count)]
    clip = cv2.VideoCapture(str(CLIP))
    frames: list[np.ndarray] = []
    while len(frames) < count:
        ok, pixels = clip.read()
        if not ok:
            break
        frames.append(cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC))
    clip.release()
    return frames


def group_frames(width: int, height: int, count: int = _FRAMES // 2) -> list[np.ndarray]:
    """Return frames of a camera that pans back and forth over a picture of five people.

    Args:
        width, height: Of the frames, in pixels.
        count: Number of frames.

    Returns:
        BGR uint8 (height, width, 3); none where there is no such picture.
    """
    picture = cv2.imread(str(GROUP))
    if picture is None:
        return []
    scale = (width + 2 * _PAN_PX) / picture.shape[1]
    large = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    top = (large.shape[0] - height) // 6  # one of them stands at the upper edge
    angles = np.arange(count) / _FRAME_RATE
    lefts = [round(_PAN_PX * (1 + np.sin(angle))) for angle in angles]
    return [large[top : top + height, left : left + width].copy() for left in lefts]


class MienLoop:
    """What Mien does with each frame: analyze here, draw and encode in a viewer's thread, never more than one behind.

    Args:
        pipeline: Detects and classifies.
        live: Whether time passes as fast as frames are processed, and detections wait until their frame is shown, as in
            the program; otherwise the frames have the times of the clip.

    Attributes:
        boxes: Boxes of the faces of each frame so far.
        stages_ms: Milliseconds spent in each stage by all frames so far.

    Example:
        with MienLoop(Pipeline(create_detector(), FacialExpressionModel())) as loop:
            loop.run(clip_frames(640, 360))
    """

    def __init__(self, pipeline: Pipeline, *, live: bool = False) -> None:
        self.boxes: list[list[Box]] = []
        self.stages_ms: dict[str, float] = {}
        self._stream = FaceStream(pipeline, defer_detection=live)
        self._live = live
        self._spent_s = 0.0
        self._viewer = ThreadPoolExecutor(1)

    def __enter__(self) -> MienLoop:
        return self

    def __exit__(self, *_: object) -> None:
        self._viewer.shutdown()

    def run(self, frames: Sequence[np.ndarray]) -> None:
        """Process the next frames, BGR uint8 (height, width, 3); the last one is drawn and encoded on return."""
        shown: Future[None] | None = None
        start_s = time.perf_counter() - self._spent_s
        for pixels in frames:
            index = len(self.boxes)
            time_s = time.perf_counter() - start_s if self._live else index / _FRAME_RATE
            frame = Frame(pixels, index, captured_at=time_s)
            analysis = self._stream.analyze(frame, frame.captured_at)
            self._note(dict(analysis.timing_ms))
            self.boxes.append([face.box for face in analysis.faces])
            if shown is not None:
                shown.result()
            shown = self._viewer.submit(self._show, frame, analysis)
            self._stream.detect_deferred()
        if shown is not None:
            shown.result()
        self._spent_s = time.perf_counter() - start_s

    def _show(self, frame: Frame, analysis: Analysis) -> None:
        start_s = time.perf_counter()
        picture = annotate(frame, analysis)
        drawn_s = time.perf_counter()
        encode_jpeg(picture, _JPEG_QUALITY)
        self._note({"draw": (drawn_s - start_s) * 1e3, "encode": (time.perf_counter() - drawn_s) * 1e3})

    def _note(self, timing_ms: dict[str, float]) -> None:
        for stage, spent_ms in timing_ms.items():
            self.stages_ms[stage] = self.stages_ms.get(stage, 0.0) + spent_ms


def measure(name: str, frames: Sequence[np.ndarray], classifier: Any) -> Case:
    """Run both loops over the same frames.

    Args:
        name: Of the case.
        frames: BGR uint8 (height, width, 3).
        classifier: A loaded `FacialExpressionModel`.
    """
    seed = SeedLoop(classifier.network)
    pipeline = Pipeline(create_detector(), classifier)

    def seed_block(pictures: Sequence[np.ndarray]) -> None:
        for pixels in pictures:
            seed.frame(pixels)

    seed.frame(frames[0].copy())
    pipeline.analyze(Frame(frames[0]))
    seed_s = mien_s = 0.0
    seed_count = 0
    with MienLoop(pipeline) as mien:
        for start in range(0, len(frames), _BLOCK):
            block = frames[start : start + _BLOCK]
            copies = [pixels.copy() for pixels in block[::_SEED_EVERY]]
            seed_s += seconds(seed_block, copies)
            seed_count += len(copies)
            mien_s += seconds(mien.run, block)
    stages = {stage: spent_ms / len(frames) for stage, spent_ms in mien.stages_ms.items()}
    return Case(name, seed_count / seed_s, len(frames) / mien_s, boxes_right(frames, mien.boxes), stages)


def seconds(work: Callable[[Sequence[np.ndarray]], None], frames: Sequence[np.ndarray]) -> float:
    """Return the seconds that the work takes with these frames."""
    start_s = time.perf_counter()
    work(frames)
    return time.perf_counter() - start_s


def boxes_right(frames: Sequence[np.ndarray], boxes: Sequence[Sequence[Box]]) -> float:
    """Return the share of the faces found at full resolution that one of Mien's `boxes` of that frame overlaps.

    It looks at pairs of neighbors. What has less than a quarter of the largest face's area does not count, nor what
    is found in one of a pair alone: at full resolution necks, hair and clothes look like faces now and then.

    Args:
        frames: BGR uint8 (height, width, 3).
        boxes: Mien's boxes of each frame.
    """
    full = HaarDetector(search_side_px=10_000)
    right = total = 0
    pairs = min(_FULL_PAIRS, len(frames) // 2)
    for first in (int((k + 0.5) * len(frames) / pairs - 0.5) for k in range(pairs)):
        found = [_large(full.detect(pixels)) for pixels in frames[first : first + 2]]
        for faces, others, ours in zip(found, found[::-1], boxes[first : first + 2], strict=True):
            lasting = [face for face in faces if _is_among(face, others)]
            total += len(lasting)
            right += sum(_is_among(face, ours) for face in lasting)
    return right / max(1, total)


def _large(faces: Sequence[Box]) -> list[Box]:
    return [face for face in faces if 4 * face.area >= max(other.area for other in faces)]


def _is_among(face: Box, others: Sequence[Box]) -> bool:
    return any(face.iou(other) >= _RIGHT_IOU for other in others)

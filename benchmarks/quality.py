"""What it costs to measure how well a face can be read: `python -m benchmarks.quality`.

The demo's face in frames of several sizes. A tracked face is measured four times a second, whatever the frame rate.
"""

from __future__ import annotations

import time
from statistics import median

import cv2

from mien.analysis.quality import MEASURE_EVERY_S, QualityModel
from mien.detectors import HaarDetector
from mien.sources.demo import DemoSource
from mien.types import Box
from training.evaluate.tables import markdown_table

SIDES_PX = (32, 80, 160, 240, 400)
_CALLS = 300
_FPS = 30


def main() -> None:
    """Print one row for each size of the face."""
    rows = []
    for side_px, spent_ms in measure(_CALLS).items():
        per_frame_ms = spent_ms / (_FPS * MEASURE_EVERY_S)
        rows.append([f"{side_px} px", f"{spent_ms:.3f}", f"{per_frame_ms:.3f}"])
    print(markdown_table(["face", "median ms", f"ms for each frame at {_FPS} a second"], rows), end="")


def measure(calls: int) -> dict[int, float]:
    """Return the median milliseconds of measuring a face once, by the side of its box in pixels.

    Args:
        calls: Number of measurements of each size.
    """
    model = QualityModel.stored()
    pixels_bgr = DemoSource(count=1, paced=False).read().pixels_bgr
    (found,) = HaarDetector().detect(pixels_bgr)
    medians = {}
    for side_px in SIDES_PX:
        scale = side_px / found.w
        frame = cv2.resize(pixels_bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        box = Box(*(round(scale * value) for value in (found.x, found.y, found.w, found.h)))
        spent_s = []
        for _ in range(calls):
            start_s = time.perf_counter()
            model.assess(frame, box)
            spent_s.append(time.perf_counter() - start_s)
        medians[side_px] = 1e3 * median(spent_s)
    return medians


if __name__ == "__main__":
    main()

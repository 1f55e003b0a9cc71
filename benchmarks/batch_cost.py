"""What `analyze` costs for many hours of video, from a measured speed: `python -m benchmarks.batch_cost --help`.

    python -m benchmarks.batch_cost --frames-per-second 150 --price 0.05 --workers 100

computes from frames a second of one process (`python -m benchmarks.batch speed` prints them; measure on the computers
that will do the work, with your videos and options) and the price of a core for an hour, which your provider names. The
tables' sizes are those of one face in each frame of ../shared/media/expressions.mp4.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

BYTES_PER_ROW = {"csv": 225, "parquet": 168, "jsonl": 712}


@dataclass(frozen=True, slots=True)
class Work:
    """Videos to analyze, and how fast one process does it.

        work = Work(hours=10_000, video_fps=25, frames_per_second=150)
        work.core_hours  # 1667

    Args:
        hours: Length of all videos, in hours.
        video_fps: Their frames per second.
        frames_per_second: Frames of video that one process on one core analyzes each second.

    Raises:
        ValueError: One is not above 0.
    """

    hours: float
    video_fps: float
    frames_per_second: float

    def __post_init__(self) -> None:
        for name in ("hours", "video_fps", "frames_per_second"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: expected a number above 0, found {getattr(self, name):g}")

    @property
    def frames(self) -> float:
        """Frames of all videos."""
        return 3600 * self.hours * self.video_fps

    @property
    def core_hours(self) -> float:
        """Hours that one core would need."""
        return self.frames / self.frames_per_second / 3600

    def table_bytes(self, suffix: str, faces: float = 1) -> float:
        """Size of the tables of faces.

        Args:
            suffix: Their format.
            faces: Mean number of faces in a frame.
        """
        return self.frames * faces * BYTES_PER_ROW[suffix]


def main(argv: Sequence[str] | None = None) -> int:
    """Print core hours, time, price and size of the tables; 0."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.batch_cost",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--frames-per-second", type=float, required=True, help="of one process on one core, measured")
    parser.add_argument("--price", type=float, help="of one core for one hour, in any currency")
    parser.add_argument("--hours", type=float, default=10_000, help="length of all videos (default: %(default)g)")
    parser.add_argument("--video-fps", type=float, default=25, help="their frames per second (default: %(default)g)")
    parser.add_argument("--workers", type=int, default=100, help="processes side by side (default: %(default)d)")
    options = parser.parse_args(argv)
    try:
        work = Work(options.hours, options.video_fps, options.frames_per_second)
    except ValueError as error:
        parser.error(f"--{str(error).replace('_', '-')}")
    if options.workers < 1:
        parser.error(f"--workers: expected a whole number, 1 or more, found {options.workers}")
    print(f"{work.hours:,.0f} hours of video at {work.video_fps:g} frames a second: {work.frames:,.0f} frames")
    print(f"at {work.frames_per_second:g} frames a second and core: {work.core_hours:,.0f} core hours")
    print(f"with {options.workers} workers: {work.core_hours / options.workers:,.1f} hours")
    if options.price is not None:
        print(f"at {options.price:g} for a core hour: {work.core_hours * options.price:,.2f}")
    sizes = ", ".join(f"{work.table_bytes(suffix) / 1e9:,.0f} GB as {suffix}" for suffix in BYTES_PER_ROW)
    print(f"tables of one face: {sizes}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

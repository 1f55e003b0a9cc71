"""Mien beside other programs on the same clip in one run, as a Markdown table.

    python -m benchmarks.peers > peers.md
    python -m benchmarks.peers --video clip.mp4 --peers mien,fer --rounds 5

Each program gets an environment with the packages it needs, built once in the folder of --cache, and runs in a
separate process. What cannot be installed or run is left out, and the last lines say why.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from benchmarks.peers.environments import ROOT
from benchmarks.peers.measure import Comparison
from benchmarks.peers.programs import PEERS
from mien.errors import MienError, SettingsError
from mien.options import Kind, Parser, option, path, whole_number


def _parse_names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if len(set(names)) != len(names) or set(names) - set(PEERS):
        raise ValueError
    return names


_NAMES = Kind(f"some of {', '.join(PEERS)}, separated by commas", "A,B,...", _parse_names, show=",".join)


@dataclass(frozen=True, slots=True)
class Options:
    """What is measured, and how often."""

    video: Path | None = option(
        None, path(), "clip to measure on", group="Measurement", shown_default="the demo, written to the cache folder"
    )
    faces: int = option(1, whole_number(1, 3), "faces that the demo shows", group="Measurement")
    frames: int = option(120, whole_number(2, 100_000), "frames of the clip to read, at most", group="Measurement")
    rounds: int = option(3, whole_number(1, 100), "runs of each program", group="Measurement")
    peers: tuple[str, ...] = option(tuple(PEERS), _NAMES, "programs to measure", group="Programs")
    cache: Path = option(
        ROOT / "runs" / "peers",
        path("FOLDER"),
        "folder of the environments, which take about 10 GB",
        group="Programs",
        shown_default="runs/peers",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print the table; progress goes to standard error.

    Args:
        argv: The words of the command line, by default those of this process.

    Returns:
        Exit status: 0, or 2 with one line on standard error for a user's mistake.
    """
    parser = Parser(
        prog="python -m benchmarks.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_options(Options)
    try:
        options = Options(**parser.read(sys.argv[1:] if argv is None else argv, {}))
        clip, about = prepare_clip(options)
    except MienError as error:
        print(f"benchmarks.peers: {error}", file=sys.stderr)
        return 2
    comparison = Comparison(clip, options.frames)
    comparison.install([PEERS[name] for name in options.peers], options.cache)
    comparison.measure(options.rounds)
    print(f"{about}; median of {options.rounds} interleaved rounds on {computer()}, {date.today()}.\n")
    print(comparison.table())
    return 0


def prepare_clip(options: Options) -> tuple[Path, str]:
    """Find or write the clip, and describe it.

    Args:
        options: Which clip.

    Returns:
        Its absolute path, and what it is in words.

    Raises:
        SourceError: It cannot be read.
        SettingsError: It has one frame alone, or the cache folder cannot be written.
    """
    from mien.batch.frames import read_frames

    clip = options.video or write_demo(options.cache, options.faces, options.frames)
    frames = read_frames(clip)
    first, second = next(frames), next(frames, None)
    frames.close()
    if second is None:
        raise SettingsError(f"--video: expected a clip of at least 2 frames, found {clip} with one")
    faces = "one face" if options.faces == 1 else f"{options.faces} faces"
    name = f"The demo with {faces}" if options.video is None else clip.name
    return clip.absolute(), f"{name}, {first.width}x{first.height}"


def write_demo(cache: Path, faces: int, frames: int) -> Path:
    """Write the beginning of the demo as a video that every OpenCV reads.

    Args:
        cache: The folder it is written to.
        faces: How many faces it shows.
        frames: How many frames it has.

    Returns:
        Its path.

    Raises:
        SettingsError: The folder cannot be written.
    """
    import cv2

    from mien.sources.demo import FPS, HEIGHT_PX, WIDTH_PX, DemoSource

    clip = cache / f"demo-{faces}.avi"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        clip.write_bytes(b"")  # OpenCV itself does not say why it cannot write
    except OSError as error:
        raise SettingsError(f"--cache: expected a folder to write to, found {cache}: {error.strerror}") from error
    demo = DemoSource(count=faces, paced=False)
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (WIDTH_PX, HEIGHT_PX))
    for index in range(frames):
        writer.write(demo.render(index / FPS)[0])
    writer.release()
    return clip


def computer() -> str:
    """The processor cores that may be used, the system and Python, in words."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    return f"{cores} processor cores, {platform.system()}, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())

"""`make bench` (under 5 minutes) and `make bench-long`: every speed and memory figure of Mien, as a table."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from benchmarks import live, loops, steadiness
from benchmarks.program import Program, Viewer, viewers
from mien.detector import HaarDetector
from mien.pipeline import Pipeline
from model import FacialExpressionModel

RESULTS = Path(__file__).parent / "results.json"
SIZES = {"640x360 one face": (640, 360), "1280x720 one face": (1280, 720)}
LONG_S = 600


def main() -> None:
    """Measure, print, and write the same to benchmarks/results.json."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--long", action="store_true", help=f"watch memory for {LONG_S // 60} minutes, and the delay, instead"
    )
    results: dict[str, object]
    if parser.parse_args().long:
        results = {"memory": measure_memory(LONG_S), "live_long": show("Delay", live.measure_long())}
    else:
        classifier = FacialExpressionModel()
        results = {
            "cases": measure_loops(classifier),
            "steadiness": steadiness.report(Pipeline(HaarDetector(), classifier)),
            "program": measure_program(),
            "live": show("At a camera's pace", {**live.measure_delay(), **live.measure_processor()}),
            "crowd": show("Many viewers of the demo", live.measure_crowd()),
        }
    kept = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    RESULTS.write_text(json.dumps({**kept, **results}, indent=1) + "\n")


def measure_loops(classifier: FacialExpressionModel) -> list[dict[str, object]]:
    """The seed loop and Mien side by side."""
    source = "the real clip" if loops.CLIP.is_file() else "the demo"
    print(f"Frames a second on {source}, one process, alternating blocks, unpaced\n")
    print("| case | seed loop | Mien | ratio | boxes right | milliseconds of a frame |")
    print("|---|---|---|---|---|---|")
    cases: list[dict[str, object]] = []
    inputs = {name: loops.clip_frames(*size) for name, size in SIZES.items()}
    inputs["1280x720 five faces, panned"] = loops.group_frames(1280, 720)
    for name, frames in inputs.items():
        if not frames:
            print(f"| {name} | skipped: there is no {loops.GROUP.name} |")
            continue
        case = loops.measure(name, frames, classifier)
        stages = ", ".join(f"{stage} {spent_ms:.1f}" for stage, spent_ms in case.stages_ms.items())
        rates = f"{case.seed_fps:.1f} | {case.mien_fps:.1f} | {case.ratio:.1f}"
        print(f"| {name} | {rates} | {case.boxes_right:.1%} | {stages} |")
        cases.append(
            {
                "name": name,
                "seed_fps": case.seed_fps,
                "mien_fps": case.mien_fps,
                "ratio": case.ratio,
                "boxes_right": case.boxes_right,
                "stages_ms": case.stages_ms,
            }
        )
    return cases


def measure_program() -> dict[str, float]:
    """Start, memory, one and twenty viewers, stalled viewers, stop, of the program on the demo."""
    figures: dict[str, float] = {}
    program = Program("--source", "demo")
    try:
        figures["first_picture_s"] = program.wait_for_first_picture()
        with viewers(program.port, 1):
            figures["fps_1_viewer"] = program.analysed_fps(8)
            figures["memory_mb"] = program.memory_mb()
        with viewers(program.port, 20) as crowd:
            figures["fps_20_viewers"] = program.analysed_fps(8)
            figures["slowest_of_20_fps"] = _slowest(crowd, 4)
        with viewers(program.port, 20, stalled=5) as crowd:
            figures["fps_20_viewers_5_stalled"] = program.analysed_fps(8)
            figures["slowest_of_15_beside_stalled_fps"] = _slowest(crowd[5:], 4)
    finally:
        status, figures["stop_s"] = program.stop()
    figures["exit_status"] = status
    figures["rate_20_viewers"] = figures["fps_20_viewers"] / figures["fps_1_viewer"]
    return show("The program on the demo", figures)


def show(title: str, figures: dict[str, float]) -> dict[str, float]:
    """Print the figures as a table, and return them."""
    print(f"\n{title}\n\n| figure | value |\n|---|---|")
    for name, value in figures.items():
        print(f"| {name} | {value:.2f} |", flush=True)
    return figures


def measure_memory(seconds: float) -> dict[str, float]:
    """Resident memory with one viewer after half a minute and at the end."""
    program = Program("--source", "demo")
    try:
        program.wait_for_first_picture()
        with viewers(program.port, 1):
            time.sleep(30)
            samples = [program.memory_mb()]
            print(f"after 30 s {samples[0]:.0f} MB", flush=True)
            for _ in range(round(seconds / 30)):
                time.sleep(30)
                samples.append(program.memory_mb())
                print(f"{samples[-1]:.0f} MB, {samples[-1] - samples[0]:+.1f}", flush=True)
    finally:
        program.stop()
    return {"start_mb": samples[0], "end_mb": samples[-1], "growth_mb": samples[-1] - samples[0], "seconds": seconds}


def _slowest(crowd: list[Viewer], seconds: float) -> float:
    before = [viewer.pictures for viewer in crowd]
    time.sleep(seconds)
    return min(viewer.pictures - seen for viewer, seen in zip(crowd, before, strict=True)) / seconds


if __name__ == "__main__":
    main()

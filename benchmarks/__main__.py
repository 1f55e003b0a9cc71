"""`make bench` (under 5 minutes) and `make bench-long`: every speed and memory figure of Mien, as a table."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks import latency, loops, steadiness
from benchmarks.crowd import crowd
from benchmarks.program import Program
from benchmarks.soak.__main__ import Plan, judge, soak
from benchmarks.start import measure_memory, measure_start
from mien.analysis.pipeline import Pipeline
from mien.detectors import create_detector
from model import FacialExpressionModel

_RESULTS = Path(__file__).parent / "results.json"
_SIZES = {"640x360 one face": (640, 360), "1280x720 one face": (1280, 720)}
_LONG_S = 600
_MAX_GROWTH_MB = 20.0


def main() -> None:
    """Measure, print, and write the same to benchmarks/results.json."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--long", action="store_true", help="watch memory, the delay and the soak for some minutes, instead"
    )
    parser.add_argument(
        "--share", type=float, default=1.0, help="of the time that --long takes, such as 0.1, for a try"
    )
    options = parser.parse_args()
    start_s = time.perf_counter()
    results: dict[str, object]
    if options.long:
        results = {
            "memory": _show("Memory", _measure_memory(_LONG_S * options.share)),
            "live_long": _show("Delay", latency.measure_long(options.share)),
            "soak": _show("Soak", _measure_soak(_LONG_S * options.share)),
        }
    else:
        classifier = FacialExpressionModel()
        results = {
            "cases": _measure_loops(classifier),
            "steadiness": steadiness.report(Pipeline(create_detector(), classifier)),
            "start": _show("Start and memory", {**measure_start(), **measure_memory()}),
            "program": _measure_program(),
            "live": _show("At a camera's pace", {**latency.measure_delay(), **latency.measure_processor()}),
        }
    print(f"\nAll this took {(time.perf_counter() - start_s) / 60:.1f} minutes.")
    kept = json.loads(_RESULTS.read_text()) if _RESULTS.is_file() else {}
    _RESULTS.write_text(json.dumps({**kept, **results}, indent=1) + "\n")


def _measure_loops(classifier: FacialExpressionModel) -> list[dict[str, object]]:
    """Measure the seed loop and Mien side by side, and print it."""
    source = "the real clip" if loops.CLIP.is_file() else "the demo"
    print(f"Frames a second on {source}, one process, alternating blocks, unpaced\n")
    print("| case | seed loop | Mien | ratio | boxes right |")
    print("|---|---|---|---|---|")
    cases: list[loops.Case] = []
    inputs = {name: loops.clip_frames(*size) for name, size in _SIZES.items()}
    inputs["1280x720 five faces, panned"] = loops.group_frames(1280, 720)
    for name, frames in inputs.items():
        if not frames:
            print(f"| {name} | skipped: there is no {loops.GROUP.name} |")
            continue
        case = loops.measure(name, frames, classifier)
        rates = f"{case.seed_fps:.1f} | {case.mien_fps:.1f} | {case.ratio:.1f}"
        print(f"| {name} | {rates} | {case.boxes_right:.1%} |", flush=True)
        cases.append(case)
    stages = list(cases[0].stages_ms)
    print(f"\nMilliseconds of a frame, by stage\n\n| case | {' | '.join(stages)} |\n|{'---|' * (1 + len(stages))}")
    for case in cases:
        print(f"| {case.name} | {' | '.join(f'{case.stages_ms[stage]:.1f}' for stage in stages)} |", flush=True)
    return [{**asdict(case), "ratio": case.ratio} for case in cases]


def _measure_program() -> dict[str, float]:
    """Measure start, memory, many viewers, stalled ones among them, and stop of the program on the demo."""
    figures: dict[str, float] = {}
    program = Program("--source", "demo")
    try:
        program.wait_for_first_picture()
        with crowd(program.port, 1):
            alone_fps = figures["fps_1_viewer"] = program.analyzed_fps(5)
        for viewers, stalled in ((20, 0), (20, 5), (200, 0), (200, 20)):
            with crowd(program.port, viewers, stalled=stalled) as watching:
                name = f"{viewers}_viewers" + (f"_{stalled}_stalled" if stalled else "")
                figures[f"rate_{name}"] = program.analyzed_fps(4) / alone_fps
                figures[f"slowest_of_{name}_fps"] = watching.slowest_fps(4)
    finally:
        status, figures["stop_s"] = program.stop()
    figures["exit_status"] = status
    return _show("The program on the demo", figures)


def _show(title: str, figures: dict[str, float]) -> dict[str, float]:
    """Print the figures as a table, and return them."""
    print(f"\n{title}\n\n| figure | value |\n|---|---|")
    for name, value in figures.items():
        print(f"| {name} | {value:.2f} |", flush=True)
    return figures


def _measure_memory(seconds: float) -> dict[str, float]:
    """Measure resident memory with one viewer after half a minute and at the end; flat: 1 within _MAX_GROWTH_MB."""
    program = Program("--source", "demo")
    try:
        program.wait_for_first_picture()
        with crowd(program.port, 1):
            time.sleep(30)
            samples = [program.memory_mb()]
            print(f"after 30 s {samples[0]:.0f} MB", flush=True)
            for _ in range(max(1, round(seconds / 30))):
                time.sleep(min(30, seconds))
                samples.append(program.memory_mb())
                print(f"{samples[-1]:.0f} MB, {samples[-1] - samples[0]:+.1f}", flush=True)
    finally:
        program.stop()
    growth_mb = samples[-1] - samples[0]
    return {
        "start_mb": samples[0],
        "end_mb": samples[-1],
        "growth_mb": growth_mb,
        "flat": float(growth_mb <= _MAX_GROWTH_MB),
        "seconds": seconds,
    }


def _measure_soak(seconds: float) -> dict[str, float]:
    """Let 20 viewers do everything for some time: what the program uses more afterwards, and how much else is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        outcome = soak(Path(folder), Plan(minutes=seconds / 60))
    failures = judge(outcome)
    print(*failures, sep="\n")
    return {
        "start_mb": outcome.start.memory_mb,
        "growth_mb": outcome.end.memory_mb - outcome.start.memory_mb,
        "more_descriptors": outcome.end.descriptors - outcome.start.descriptors,
        "more_threads": outcome.end.count - outcome.start.count,
        "failures": len(failures),
        "seconds": seconds,
    }


if __name__ == "__main__":
    main()

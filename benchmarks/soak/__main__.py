"""All that viewers do, for an hour: `python -m benchmarks.soak --minutes 60`, or `make soak`, all on this computer.

The program plays the demo. In rounds of about half a minute, 20 viewers watch pictures and 20 read events, images are
uploaded singly and in sequences, files are queued, and everything that the page can switch is switched. After the first
rounds, with more at once than later, and at the end, the program is left alone for more than a minute, so that all it
keeps only for some time is gone. Between these two moments memory may grow by 20 MB; descriptors and threads must be
the same, and each answer and each line of the log must be expected.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.soak.activities import Activities, Media, write_media
from benchmarks.soak.clients import Client, Streams
from benchmarks.soak.program import Observed, Sample, unexpected

MOST_GROWTH_MB = 20.0
EVERY_S = 60.0
QUIET_S = 80.0
"""Longer than anything is kept: 60 s the process that analyzes files, 10 s the camera and sequences of images."""
FIRST_ROUNDS = 2
MORE_VIEWERS = 8
WARM_UP = 0.1
"""For at least this share of the time, more is done at once than later: what that needs once is not a leak."""


@dataclass(frozen=True)
class Plan:
    """How much is done.

    Args:
        minutes: How long, without the first rounds and the pauses.
        viewers: So many watch pictures, and as many events.
        quiet_s: How long the program is left alone before what it uses is compared, in seconds.
        pause_s: How long what was switched stays so, in seconds.
        heavy: Whether heat maps and files are asked for, which load TensorFlow and start a process.
    """

    minutes: float = 60.0
    viewers: int = 20
    quiet_s: float = QUIET_S
    pause_s: float = 1.0
    heavy: bool = True


@dataclass(frozen=True)
class Outcome:
    """What was found.

    Args:
        start, end: What the program used after the first rounds and at the end, both times left alone.
        wrong: Answers, lines of the log and files that were not expected.
    """

    start: Sample
    end: Sample
    wrong: list[str]


def main(argv: Sequence[str] | None = None) -> int:
    """Print a table, a line for each minute; 1 if something was not as it has to be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=Plan.minutes)
    parser.add_argument("--seed", type=int, default=0, help="of the order in which things are switched")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        failures = judge(soak(Path(folder), Plan(options.minutes), options.seed))
    print("", *failures or ["all as it has to be"], sep="\n")
    return 1 if failures else 0


def soak(folder: Path, plan: Plan, seed: int = 0) -> Outcome:
    """Run the program with all that viewers do, and print what it uses.

    Args:
        folder: For all it writes; exists, and is empty.
        plan: How much is done.
        seed: Of the order.

    Raises:
        RuntimeError: The program has ended.
    """
    offered = folder / "media"
    offered.mkdir()
    media, order = write_media(offered), random.Random(seed)
    with Observed(folder, "--source", "demo", "--media", str(offered)) as program:
        program.wait_for_first_picture()
        client = Client(program.port)
        print("| minute | rounds | answers | memory, MB | descriptors | threads | of the web server |")
        print("|---|---|---|---|---|---|---|")
        begun_s, rounds = time.monotonic(), 0
        while rounds < FIRST_ROUNDS or time.monotonic() - begun_s < WARM_UP * plan.minutes * 60:
            play_round(client, media, order, plan, streams=plan.viewers + MORE_VIEWERS, times=2)
            rounds += 1
        start = _measure_quiet(program, client, plan, "start")
        begun_s, rounds, next_s = time.monotonic(), 0, EVERY_S
        while (elapsed_s := time.monotonic() - begun_s) < plan.minutes * 60:
            play_round(client, media, order, plan, streams=plan.viewers)
            rounds += 1
            if elapsed_s >= next_s:
                _print_row(f"{elapsed_s / 60:.0f}", rounds, client, program.sample())
                next_s += EVERY_S
        end = _measure_quiet(program, client, plan, "end")
        status, _ = program.stop()
        wrong = client.wrong + unexpected(program.log())
        if status:
            wrong.append(f"the program ended with status {status}")
        wrong += [f"left behind: {path.name}" for path in program.temporary.iterdir()]
        return Outcome(start, end, wrong)


def play_round(client: Client, media: Media, order: random.Random, plan: Plan, streams: int, times: int = 1) -> None:
    """Do everything once, and much of it again and again meanwhile.

    Args:
        client: Sends the requests.
        media: What it sends.
        order: Of what is done.
        plan: How much is done.
        streams: So many viewers, and as many readers of events.
        times: By how many clients images and files are sent at once.
    """
    over = threading.Event()
    activities = Activities(client, media, order, over, plan.pause_s)
    tasks = [activities.upload_images, activities.be_browser_cameras]
    if plan.heavy:
        tasks.append(activities.queue_files)
    tasks *= times
    with ThreadPoolExecutor(len(tasks)) as pool, Streams(client.port, streams, streams, stalled=2) as open_streams:
        running = [pool.submit(task) for task in tasks]
        try:
            activities.switch_everything(explain=plan.heavy)
        finally:
            over.set()
        for task in running:
            task.result()
    if open_streams.ended:
        client.wrong.append(f"{open_streams.ended} streams were cut off")
    if not all(open_streams.received):
        client.wrong.append("a stream got nothing")


def judge(outcome: Outcome) -> list[str]:
    """What is not as it has to be.

    Args:
        outcome: What was found.
    """
    start, end = outcome.start, outcome.end
    failures = list(outcome.wrong)
    if (growth_mb := end.memory_mb - start.memory_mb) > MOST_GROWTH_MB:
        failures.append(f"memory grew by {growth_mb:.1f} MB, expected at most {MOST_GROWTH_MB:g}")
    for what, before, after in (
        ("descriptors", start.descriptors, end.descriptors),
        ("threads of libraries", start.native, end.native),
        *((f"threads {name!r}", start.threads.get(name, 0), end.threads.get(name, 0)) for name in _names(start, end)),
    ):
        if before != after:
            failures.append(f"{what}: {before} at the start, {after} at the end")
    if start.descriptors != end.descriptors:
        failures += [f"open at the start: {target}" for target in start.targets]
        failures += [f"open at the end: {target}" for target in end.targets]
    return failures


def _names(*samples: Sample) -> list[str]:
    return sorted({name for sample in samples for name in sample.threads})


def _measure_quiet(program: Observed, client: Client, plan: Plan, name: str) -> Sample:
    """Measure what the program uses when it was left alone, also after it has returned free memory to the system."""
    time.sleep(plan.quiet_s)
    sample = program.sample()
    _print_row(name, None, client, sample)
    trimmed = program.sample(trim=True)
    print(
        f"{name}: {trimmed.memory_mb:.0f} MB with free memory returned, {trimmed.in_use_mb:.1f} MB handed out by the C "
        f"library, {trimmed.objects} blocks of Python objects; threads: {sample.threads}",
        file=sys.stderr,
    )
    return sample


def _print_row(name: str, rounds: int | None, client: Client, sample: Sample) -> None:
    cells = [
        name,
        "" if rounds is None else str(rounds),
        str(client.answers.total()),
        f"{sample.memory_mb:.0f}",
        str(sample.descriptors),
        str(sample.count),
        str(sample.threads.get("CP Server Thread", 0)),
    ]
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())

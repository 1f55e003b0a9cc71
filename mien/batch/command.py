"""The command `analyze`: find the inputs, do the jobs, write what belongs to all of them."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from mien.batch.analysis import load_pipeline
from mien.batch.inputs import Inputs, find_inputs
from mien.batch.jobs import WORK, Done, Job, Worker, plan
from mien.batch.options import AnalyzeSettings, read_analyze_settings
from mien.batch.outputs import check_packages, write_table
from mien.batch.progress import Bar
from mien.batch.summary import SUMMARY_COLUMNS
from mien.errors import MienError, SettingsError

INPUT_COLUMNS = ("input", "status", "reason", "folder", "sha256", "bytes", "duration_s", "frames", "frames_with_face")

SHOWN_SKIPPED = 10

log = logging.getLogger("mien")


def analyze(argv: Sequence[str]) -> int:
    """Analyze the files that the words name.

    Args:
        argv: The words of the command line after `analyze`.

    Returns:
        Exit status: 0, or 1 if an input could not be analyzed.

    Raises:
        MienError: The command cannot be carried out.
    """
    settings, words = read_analyze_settings(argv, os.environ)
    assert settings.out is not None
    check_packages(settings)
    inputs = find_inputs(words, sys.stdin if "-" in words else (), settings.out)
    _make_folder(settings.out)
    for name, reason in inputs.skipped[:SHOWN_SKIPPED]:
        log.info("%s: skipped, %s", name, reason)
    if len(inputs.skipped) > SHOWN_SKIPPED:
        log.info("%d more skipped: %s", len(inputs.skipped) - SHOWN_SKIPPED, settings.out / "inputs.csv")
    for name, reason in inputs.missing:
        log.warning("%s: %s", name, reason)
    jobs = plan(inputs.found)
    done = _run(settings, jobs, ["analyze", *argv]) if jobs else []
    return _finish(settings.out, inputs, done)


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise SettingsError(f"--out: expected a new or empty folder, found files in {out}")
        (out / WORK).mkdir()
    except OSError as error:
        raise SettingsError(f"--out: expected a folder, but {out} cannot be written: {error.strerror}") from error


def _run(settings: AnalyzeSettings, jobs: Sequence[Job], command: Sequence[str]) -> list[Done]:
    worker = Worker(settings, load_pipeline(settings), command)
    done: list[Done] = []
    try:
        with Bar(jobs) as bar:
            for job in jobs:
                start_s = time.perf_counter()
                outcome = worker.run(job, bar.update)
                bar.finish(job)
                _report(outcome, time.perf_counter() - start_s)
                done += outcome
        worker.join_images([job for job in jobs if not job.is_video])
    except KeyboardInterrupt:
        raise MienError(f"stopped: {settings.out} holds what was complete by then") from None
    except OSError as error:
        raise MienError(f"--out: {settings.out} cannot be written: {error.strerror or error}") from error
    return done


def _report(done: Sequence[Done], took_s: float) -> None:
    for each in done:
        if each.status == "failed":
            log.warning("%s: failed, %s", each.input, each.reason)
        elif "analyzed" in each.facts:
            frames, with_face = each.facts["analyzed"], each.facts["with_face"]
            log.info("%s: %d frames, %d with a face, %.1f s", each.input, frames, with_face, took_s)


def _finish(out: Path, inputs: Inputs, done: Sequence[Done]) -> int:
    """Write inputs.csv and summary.csv; the exit status."""
    order = {each.name: number for number, each in enumerate(inputs.found)}
    listed = [
        *sorted(done, key=lambda each: order[each.input]),
        *(Done(name, "failed", reason) for name, reason in inputs.missing),
        *(Done(name, "skipped", reason) for name, reason in inputs.skipped),
    ]
    write_table(out / "inputs.csv", INPUT_COLUMNS, [_input_row(each) for each in listed])
    videos = [each.folder for each in listed if each.status == "done" and each.folder and "analyzed" in each.facts]
    if videos:
        _join_summaries(out, videos)
    shutil.rmtree(out / WORK, ignore_errors=True)
    failed = sum(each.status == "failed" for each in listed)
    count = sum(each.status == "done" for each in listed)
    log.info("%d analyzed, %d failed, %d skipped: %s", count, failed, len(inputs.skipped), out / "inputs.csv")
    return 1 if failed else 0


def _input_row(each: Done) -> dict[str, object]:
    facts = each.facts
    return {
        **{name: getattr(each, name) for name in ("input", "status", "reason", "folder")},
        **{name: facts.get(name) for name in ("sha256", "bytes", "duration_s")},
        "frames": facts.get("analyzed", 1 if "faces" in facts else None),
        "frames_with_face": facts.get("with_face", min(1, facts["faces"]) if "faces" in facts else None),
    }


def _join_summaries(out: Path, folders: Sequence[str]) -> None:
    unfinished = out / WORK / "summary.csv"
    with unfinished.open("w", encoding="utf-8", newline="") as joined:
        joined.write(",".join(SUMMARY_COLUMNS) + "\n")
        for folder in folders:
            with (out / folder / "summary.csv").open(encoding="utf-8", newline="") as file:
                next(file)
                shutil.copyfileobj(file, joined)
    unfinished.replace(out / "summary.csv")

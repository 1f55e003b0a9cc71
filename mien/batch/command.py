"""The command `analyze`: find the inputs, do the jobs, write what belongs to all of them."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path

from mien.batch import manifest
from mien.batch.analysis import load_pipeline
from mien.batch.cluster import run_on_cluster
from mien.batch.destination import Destination, open_destination
from mien.batch.inputs import IMAGES, Inputs, decode_list, find_inputs
from mien.batch.jobs import WORK, Done, Job, Worker, plan
from mien.batch.options import AnalyzeSettings, read_analyze_settings
from mien.batch.outputs import check_packages, write_table
from mien.batch.pool import run_jobs
from mien.batch.progress import Bar
from mien.batch.report import COMPARISON, MOST_COMPARED, write_comparison
from mien.batch.summary import SUMMARY_COLUMNS
from mien.batch.tables import FORMATS
from mien.batch.video import video_notes
from mien.errors import MienError
from mien.masking import without_login

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
    inputs = find_inputs(words, _lines() if "-" in words else (), settings.out)
    with open_destination(settings.out, settings.resume) as destination:
        return _analyze(settings, destination, inputs, argv)


def _analyze(settings: AnalyzeSettings, destination: Destination, inputs: Inputs, argv: Sequence[str]) -> int:
    for name, reason in inputs.skipped[:SHOWN_SKIPPED]:
        log.info("%s: skipped, %s", name, reason)
    if len(inputs.skipped) > SHOWN_SKIPPED:
        log.info("%d more skipped: %s/inputs.csv", len(inputs.skipped) - SHOWN_SKIPPED, without_login(destination.name))
    for name, reason in inputs.missing:
        log.warning("%s: %s", name, reason)
    if settings.privacy and not (settings.video or settings.report):
        log.info("--privacy: only --video and --report write pictures; tables contain none")
    jobs = plan(inputs.found)
    command = [_shown(word) for word in ("analyze", *argv) if word not in ("--resume", "--no-resume")]
    try:
        done = _run(settings, destination, jobs, command) if jobs else []
        return _finish(settings, destination, inputs, done)
    except KeyboardInterrupt:
        raise MienError("stopped; the same command with --resume continues") from None
    except OSError as error:
        raise MienError(
            f"--out: {without_login(destination.name)} cannot be written: {error.strerror or error}"
        ) from error


def _lines() -> Iterable[str]:
    """The lines of standard input; names of files on it may contain any bytes."""
    if not isinstance(sys.stdin, TextIOWrapper):
        return sys.stdin
    return decode_list(sys.stdin.buffer.read(), sys.stdin.encoding)


def _run(
    settings: AnalyzeSettings, destination: Destination, jobs: Sequence[Job], command: Sequence[str]
) -> list[Done]:
    """Do the jobs that are not done yet; what became of each input, in the order of the jobs."""
    local = replace(settings, out=destination.path)
    worker = Worker(local, load_pipeline(settings), command)
    known = manifest.Manifest(destination.path / manifest.FILE, worker.described)
    destination.save_manifest()  # before any result, without which --resume would take these for files of others
    images = [job for job in jobs if not job.is_video]
    known_done = {job.name: known.done(job) for job in jobs}
    unchanged = all(known_done[job.name] is not None for job in images)
    joined = unchanged and known.joined(IMAGES, images) and destination.has(IMAGES)
    outcomes: dict[str, list[Done]] = {}
    for job in jobs:
        done = known_done[job.name]
        if done is not None and (destination.has(job.name) if job.is_video else joined or worker.has_part(job)):
            outcomes[job.name] = done
    todo = [job for job in jobs if job.name not in outcomes]
    if outcomes:
        log.info("%d of %d jobs were complete", len(outcomes), len(jobs))
    with Bar(todo) as bar:
        on_cluster = settings.scheduler is not None
        run = run_on_cluster(worker, settings, todo, bar) if on_cluster else run_jobs(worker, local, todo, bar)
        for job, done in run:
            destination.publish(job)
            if job.is_video and done[0].status == "failed":
                destination.remove(job.name)  # an earlier version of the file was done
            known.add(job, done)
            destination.save_manifest()
            outcomes[job.name] = done
            bar.finish(job, _frames(done))
            _report(done)
    if images and not joined:
        destination.fetch_parts(images)
        worker.join_images(images)
        destination.publish_folder(IMAGES)
        known.add_joined(IMAGES, images)
    return [each for job in jobs for each in outcomes[job.name]]


def _frames(done: Sequence[Done]) -> int:
    return sum(int(each.facts.get("analyzed", 1)) for each in done)


def _report(done: Sequence[Done]) -> None:
    for each in done:
        if each.status == "failed":
            log.warning("%s: failed, %s", each.input, each.reason)
        elif "analyzed" in each.facts:
            frames, with_face = each.facts["analyzed"], each.facts["with_face"]
            log.info("%s: %d frames, %d with a face", each.input, frames, with_face)
            for line in video_notes(each.facts.get("video")):
                log.info("%s: %s", each.input, line)
            if each.reason is not None:
                log.warning("%s: %s", each.input, each.reason)
            if each.facts["decoded_from_start"] is not None:
                log.info("%s: decoded from the beginning, because %s", each.input, each.facts["decoded_from_start"])


def _finish(settings: AnalyzeSettings, destination: Destination, inputs: Inputs, done: Sequence[Done]) -> int:
    """Write inputs.csv, summary.csv and the report of several videos; the exit status."""
    out = destination.path
    order = {each.name: number for number, each in enumerate(inputs.found)}
    listed = [
        *sorted(done, key=lambda each: order[each.input]),
        *(Done(name, "failed", reason) for name, reason in inputs.missing),
        *(Done(name, "skipped", reason) for name, reason in inputs.skipped),
    ]
    write_table(out / WORK / "inputs.csv", INPUT_COLUMNS, [_input_row(each) for each in listed])
    (out / WORK / "inputs.csv").replace(out / "inputs.csv")
    videos = [each.folder for each in listed if each.status == "done" and each.folder and "analyzed" in each.facts]
    destination.remove(*(COMPARISON if videos else ("summary.csv", *COMPARISON)))
    if videos:
        destination.fetch_summaries(videos)
        _join_summaries(out, videos)
    if settings.report and len(videos) > 1:
        table = next(each for each in FORMATS if each in settings.format)
        destination.fetch_for_report(videos, f"faces.{table}", MOST_COMPARED)
        write_comparison(out, videos)
    destination.finish()
    failed = sum(each.status == "failed" for each in listed)
    count = sum(each.status == "done" for each in listed)
    place = without_login(destination.name)
    log.info("%d analyzed, %d failed, %d skipped: %s/inputs.csv", count, failed, len(inputs.skipped), place)
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


def _shown(word: str) -> str:
    """A word of the command line without the password of a URL."""
    option, equals, value = word.partition("=")
    return f"{option}={without_login(value)}" if option.startswith("-") and equals else without_login(word)

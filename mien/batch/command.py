"""The command `analyze`: find the inputs, do the jobs, write what belongs to all of them."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from io import TextIOWrapper
from pathlib import Path

from mien.batch import lock, manifest
from mien.batch.analysis import load_pipeline
from mien.batch.inputs import IMAGES, Inputs, decode_list, find_inputs
from mien.batch.jobs import WORK, Done, Job, Worker, plan
from mien.batch.options import AnalyzeSettings, read_analyze_settings
from mien.batch.outputs import check_packages, write_table
from mien.batch.pool import run_jobs
from mien.batch.progress import Bar
from mien.batch.report import write_comparison
from mien.batch.summary import SUMMARY_COLUMNS
from mien.batch.video import video_notes
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
    inputs = find_inputs(words, _lines() if "-" in words else (), settings.out)
    with _own_folder(settings):
        return _analyze(settings, inputs, argv)


def _analyze(settings: AnalyzeSettings, inputs: Inputs, argv: Sequence[str]) -> int:
    assert settings.out is not None
    for name, reason in inputs.skipped[:SHOWN_SKIPPED]:
        log.info("%s: skipped, %s", name, reason)
    if len(inputs.skipped) > SHOWN_SKIPPED:
        log.info("%d more skipped: %s", len(inputs.skipped) - SHOWN_SKIPPED, settings.out / "inputs.csv")
    for name, reason in inputs.missing:
        log.warning("%s: %s", name, reason)
    if settings.privacy and not (settings.video or settings.report):
        log.info("--privacy: only --video and --report write pictures; tables contain none")
    jobs = plan(inputs.found)
    command = [word for word in ("analyze", *argv) if word not in ("--resume", "--no-resume")]
    try:
        done = _run(settings, jobs, command) if jobs else []
        return _finish(settings, inputs, done)
    except KeyboardInterrupt:
        raise MienError("stopped; the same command with --resume continues") from None
    except OSError as error:
        raise MienError(f"--out: {settings.out} cannot be written: {error.strerror or error}") from error


def _lines() -> Iterable[str]:
    """The lines of standard input; names of files on it may contain any bytes."""
    if not isinstance(sys.stdin, TextIOWrapper):
        return sys.stdin
    return decode_list(sys.stdin.buffer.read(), sys.stdin.encoding)


@contextmanager
def _own_folder(settings: AnalyzeSettings) -> Iterator[None]:
    """Create the folder for the results, or check that this run may write to it; no other one may meanwhile."""
    out = settings.out
    assert out is not None
    with ExitStack() as held:
        try:
            out.mkdir(parents=True, exist_ok=True)
            held.enter_context(lock.exclusive(out))
            _make_ready(settings, out)
        except OSError as error:
            raise SettingsError(f"--out: expected a folder, but {out} cannot be written: {error.strerror}") from error
        yield


def _make_ready(settings: AnalyzeSettings, out: Path) -> None:
    # A run that ended while it loaded the network, or found no input, has left only these, and may begin again.
    if {path.name for path in out.iterdir()} - {WORK, lock.FILE, manifest.UNFINISHED, "inputs.csv"}:
        if not (out / manifest.FILE).exists():
            raise SettingsError(f"--out: expected a new or empty folder, found files in {out}")
        if not settings.resume:
            raise SettingsError(f"--out: expected a new or empty folder, or --resume, found results in {out}")
    (out / WORK).mkdir(exist_ok=True)
    for path in (out / WORK).glob("*.part"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _run(settings: AnalyzeSettings, jobs: Sequence[Job], command: Sequence[str]) -> list[Done]:
    """Do the jobs that are not done yet; what became of each input, in the order of the jobs."""
    assert settings.out is not None
    worker = Worker(settings, load_pipeline(settings), command)
    known = manifest.Manifest(settings.out / manifest.FILE, worker.described)
    images = [job for job in jobs if not job.is_video]
    joined = known.joined(IMAGES, images) and (settings.out / IMAGES).exists()
    outcomes: dict[str, list[Done]] = {}
    for job in jobs:
        done = known.done(job)
        complete = (settings.out / job.name).exists() if job.is_video else joined or worker.has_part(job)
        if done is not None and complete:
            outcomes[job.name] = done
    todo = [job for job in jobs if job.name not in outcomes]
    if outcomes:
        log.info("%d of %d jobs were complete", len(outcomes), len(jobs))
    with Bar(todo) as bar:
        for job, done in run_jobs(worker, settings, todo, bar):
            known.add(job, done)
            outcomes[job.name] = done
            bar.finish(job, _frames(done))
            _report(done)
    if images and not joined:
        worker.join_images(images)
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


def _finish(settings: AnalyzeSettings, inputs: Inputs, done: Sequence[Done]) -> int:
    """Write inputs.csv, summary.csv and the report of several videos; the exit status."""
    out = settings.out
    assert out is not None
    order = {each.name: number for number, each in enumerate(inputs.found)}
    listed = [
        *sorted(done, key=lambda each: order[each.input]),
        *(Done(name, "failed", reason) for name, reason in inputs.missing),
        *(Done(name, "skipped", reason) for name, reason in inputs.skipped),
    ]
    write_table(out / WORK / "inputs.csv", INPUT_COLUMNS, [_input_row(each) for each in listed])
    (out / WORK / "inputs.csv").replace(out / "inputs.csv")
    videos = [each.folder for each in listed if each.status == "done" and each.folder and "analyzed" in each.facts]
    if videos:
        _join_summaries(out, videos)
    if settings.report and len(videos) > 1:
        write_comparison(out, videos)
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

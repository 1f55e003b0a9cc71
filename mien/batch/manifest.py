"""What is done already: `jobs.jsonl`, so that a run that was interrupted can continue."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mien.batch.jobs import Done, Job
from mien.batch.urls import file_state
from mien.errors import MienError, SettingsError
from mien.json_text import is_number, read_json

FILE = "jobs.jsonl"
UNFINISHED = "jobs.part"


class Manifest:
    """The jobs that are done, a line for each, written to the disk before the next one counts.

        manifest = Manifest(Path("results/jobs.jsonl"), described)
        todo = [job for job in jobs if manifest.done(job) is None]
        manifest.add(job, done)

    Args:
        path: The file; it is created, or continued if it is of the same run.
        described: What determines the results: version, network, detector and settings.

    Raises:
        SettingsError: The file is of a run with other settings.
        OSError: It cannot be written.
    """

    def __init__(self, path: Path, described: Mapping[str, Any]) -> None:
        lines = _complete_lines(path)
        head, jobs = (lines[0], lines[1:]) if lines else ({"run": described}, [])
        if head.get("run") != described:
            raise SettingsError(f"--resume: {_difference(head.get('run'), described)}")
        self._done = {line["job"]: line for line in jobs if _is_job(line)}
        self._before: dict[str, list[list[Any]]] = {}  # inputs as `done` found them, before they were analyzed
        unfinished = path.with_name(UNFINISHED)
        with unfinished.open("w", encoding="utf-8") as file:  # without a line that a kill has cut off
            for line in (head, *self._done.values()):
                file.write(json.dumps(line) + "\n")
        unfinished.replace(path)
        self._path = path

    def done(self, job: Job) -> list[Done] | None:
        """What became of the inputs of a job that is done; None if it has to be done, as after a failure or a change.

        Args:
            job: The job.
        """
        line = self._done.get(job.name)
        self._before[job.name] = _inputs(job)
        done = None if line is None else _done_of(line)
        if line is None or done is None or line.get("inputs") != self._before[job.name]:
            return None
        return None if job.is_video and any(each.status == "failed" for each in done) else done

    def add(self, job: Job, done: Sequence[Done]) -> None:
        """Record that a job is done; what it wrote has to be complete by now.

        Args:
            job: The job.
            done: What became of its inputs.
        """
        self._append({"job": job.name, "inputs": self._found(job), "done": [asdict(each) for each in done]})

    def joined(self, name: str, jobs: Iterable[Job]) -> bool:
        """Whether the results of several jobs were put together under this name."""
        line = self._done.get(name)
        return line is not None and line.get("jobs") == [self._found(job) for job in jobs]

    def add_joined(self, name: str, jobs: Iterable[Job]) -> None:
        """Record that the results of several jobs were put together."""
        self._append({"job": name, "jobs": [self._found(job) for job in jobs]})

    def _found(self, job: Job) -> list[list[Any]]:
        """Inputs of a job before they were analyzed: a file that has changed since is analyzed again."""
        return self._before.get(job.name) or _inputs(job)

    def _append(self, line: dict[str, Any]) -> None:
        self._done[line["job"]] = line
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _inputs(job: Job) -> list[list[Any]]:
    """Names and sizes of the files of a job, and when they changed; None for what cannot be found out."""
    found: list[list[Any]] = []
    for each in job.inputs:
        try:
            if each.url is not None:
                found.append([each.name, *(each.state or file_state(each.url))])
                continue
            facts = each.path.stat()
            found.append([each.name, facts.st_size, facts.st_mtime_ns])
        except (OSError, MienError):
            found.append([each.name, None, None])
    return found


def _complete_lines(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    lines: list[dict[str, Any]] = []
    for line in text.splitlines():
        try:
            value = read_json(line)
        except ValueError:
            break
        if not isinstance(value, dict):
            break
        lines.append(value)
    return lines


def _is_job(line: Mapping[str, Any]) -> bool:
    """Whether a line is of a job, as the program writes it; a job whose line was damaged is done again."""
    return isinstance(line.get("job"), str) and ("jobs" in line or _done_of(line) is not None)


def _done_of(line: Mapping[str, Any]) -> list[Done] | None:
    """What became of the inputs of a job; None for a line without that."""
    try:
        done = [Done(**each) for each in line["done"]]
    except (KeyError, TypeError):
        return None
    whole = all(isinstance(text, str) for each in done for text in (each.input, each.status))
    texts = all(isinstance(text, str | None) for each in done for text in (each.reason, each.folder))
    return done if whole and texts and all(_are_facts(each.facts) for each in done) else None


def _are_facts(facts: Any) -> bool:
    counts = ("bytes", "duration_s", "analyzed", "with_face", "faces")
    return isinstance(facts, dict) and all(is_number(facts.get(name, 0) or 0) for name in counts)


def _difference(before: Any, now: Mapping[str, Any]) -> str:
    before = before if isinstance(before, dict) else {}
    for key in now:
        if before.get(key) != now[key]:
            theirs, ours = before.get(key), now[key]
            if key == "settings" and isinstance(theirs, dict):
                name = next(name for name in (*ours, *theirs) if theirs.get(name, ...) != ours.get(name, ...))
                found = f"{name} {ours.get(name)!r}"
                return f"expected the settings of the run that it continues, found {found}"
            return f"expected the {key} of the run that it continues, found another"
    return "expected the run that it continues, found another"

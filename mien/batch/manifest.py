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
            raise SettingsError(f"--resume: {_difference(head.get('run') or {}, described)}")
        self._done = {line["job"]: line for line in jobs}
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
        if line is None or line["inputs"] != self._before[job.name]:
            return None
        done = [Done(**each) for each in line["done"]]
        return None if job.is_video and any(each.status == "failed" for each in done) else done

    def add(self, job: Job, done: Sequence[Done]) -> None:
        """Record that a job is done; what it wrote has to be complete by now.

        Args:
            job: The job.
            done: What became of its inputs.
        """
        inputs = self._before.get(job.name) or _inputs(job)  # a file that has changed since is analyzed again
        self._append({"job": job.name, "inputs": inputs, "done": [asdict(each) for each in done]})

    def joined(self, name: str, jobs: Iterable[Job]) -> bool:
        """Whether the results of several jobs were put together under this name."""
        line = self._done.get(name)
        return line is not None and line["jobs"] == [_inputs(job) for job in jobs]

    def add_joined(self, name: str, jobs: Iterable[Job]) -> None:
        """Record that the results of several jobs were put together."""
        self._append({"job": name, "jobs": [_inputs(job) for job in jobs]})

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
    lines = []
    for line in text.splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
    return lines


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    for key in now:
        if before.get(key) != now[key]:
            if key == "settings":
                theirs, ours = before.get(key) or {}, now[key]
                name = next(name for name in (*ours, *theirs) if theirs.get(name) != ours.get(name))
                found = f"{name} {ours.get(name)!r}"
                return f"expected the settings of the run that it continues, found {found}"
            return f"expected the {key} of the run that it continues, found another"
    return "expected the run that it continues, found another"

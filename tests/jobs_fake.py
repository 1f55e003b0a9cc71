"""A fake of the HTTP interface of jobs, for the tests of the page's queue: a test decides what becomes of each file."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from flask import Response, request

from mien.types import EXPRESSIONS
from tests.patience import PATIENCE_S

PIECE_BYTES = 8 * 1024 * 1024
JPEG = cv2.imencode(".jpg", np.full((96, 96, 3), 120, np.uint8))[1].tobytes()


def face(label: str, number: int = 1, *, confidence: float = 0.9, unsure: bool = False, **more: Any) -> dict[str, Any]:
    """A face of a result. seconds: of each expression, for a video; quality."""
    probabilities = dict.fromkeys(EXPRESSIONS, (1 - confidence) / 6) | {label: confidence}
    values = {"id": number, "label": label, "confidence": confidence, "unsure": unsure, "quality": 0.8}
    return values | {"seconds": None, "probabilities": probabilities} | more


def result(*faces: dict[str, Any], duration_s: float | None = None, frames: int = 1) -> dict[str, Any]:
    """The result of a job."""
    size = {"width": 640, "height": 480, "duration_s": duration_s, "frames": frames}
    return size | {"frames_with_face": frames if faces else 0, "faces": list(faces)}


@dataclass
class FakeJobs:
    """Jobs in memory, by their ids. As `answers` of the fixture `serve` it answers below /api/jobs.

    Args:
        outcome: By name of a file: its result, or the reason why its analysis failed; None leaves it waiting.
        refusals: By name: status and reason for which the file is refused.
        limits: What `GET /api/jobs` says the program takes.
        late_answers: If set, a new job is answered as it was at first, when this event is set.
        lost_answers: Names of files that are taken, while a proxy fails to say so.
    """

    outcome: Callable[[str], dict[str, Any] | str | None] = lambda name: None
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    late_answers: threading.Event | None = None
    lost_answers: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.deleted: list[str] = []
        self.content: dict[str, bytes] = {}
        self.sending, self.most_at_once = 0, 0
        """How many files are being received, and the most at one time."""
        self.open = threading.Event()
        """While it is cleared, files that are sent wait."""
        self.open.set()
        self.events_end = threading.Event()
        self._changed = threading.Condition()
        self._versions: dict[str, int] = {}

    # ---- for the tests

    def named(self, name: str) -> dict[str, Any] | None:
        """The job of the file with this name."""
        return next((job for job in self.all() if job["name"] == name), None)

    def all(self) -> list[dict[str, Any]]:
        """All jobs at one moment, though others are added meanwhile."""
        return list(self.jobs.values())

    def change(self, name: str, **values: Any) -> None:
        """Change a job, and report it."""
        job = self.named(name)
        assert job is not None
        job.update(values)
        self._report(job)

    def finish(self, name: str, outcome: dict[str, Any] | str) -> None:
        """Complete a job, or let it fail for a reason."""
        if isinstance(outcome, str):
            self.change(name, state="failed", reason=outcome)
        else:
            for each in outcome["faces"]:
                job = self.named(name)
                assert job is not None
                each["thumbnail"] = f"/api/jobs/{job['id']}/thumbnails/{each['id']}"
            self.change(name, state="done", progress=1, seconds_left=None, result=outcome)

    def forget_all(self) -> None:
        """As if the program had been restarted."""
        self.jobs.clear()
        self.content.clear()
        self.end_events()

    def end_events(self) -> None:
        """End all streams of events, as a lost connection does; new ones may be opened."""
        with self._changed:
            self.events_end.set()
            self.events_end = threading.Event()
            self._changed.notify_all()

    # ---- as `answers` of `serve`

    def __contains__(self, path: str) -> bool:
        return path.startswith("/api/jobs")

    def __getitem__(self, path: str) -> Callable[[], Any]:
        parts = path.removeprefix("/api/jobs").strip("/").split("/")
        return lambda: self._answer(parts)

    def _answer(self, parts: list[str]) -> Any:
        number, *more = parts
        if not more and number in ("", "events", "faces.csv", "pause", "resume"):
            return self._answer_group(request.method, number)
        job = self.jobs.get(number)
        if job is None:
            return {"error": "There is no such job."}, 404
        return self._answer_one(job, *more)

    def _answer_one(self, job: dict[str, Any], action: str = "", _face: str = "") -> Any:
        if action == "content":
            return self._receive(job, int(request.args["offset"]))
        if action in ("pause", "resume"):
            return self._pause(job, action)
        if action == "thumbnails":
            return Response(JPEG, mimetype="image/jpeg")
        if request.method == "DELETE":
            self._delete(job)
            return "", 204
        return job

    def _answer_group(self, method: str, last: str) -> Any:
        group = request.args["group"]
        jobs = [job for job in self.all() if job["group"] == group]
        if last == "events":
            return Response(self._events(group), mimetype="text/event-stream")
        if last == "faces.csv":
            text = "".join(f"{job['name']}\n" for job in jobs if job["state"] == "done")
            headers = {"Content-Disposition": "attachment; filename=faces.csv"}
            return Response(f"input\n{text}", mimetype="text/csv", headers=headers)
        if last in ("pause", "resume"):
            for job in jobs:
                self._pause(job, last)
        elif method == "DELETE":
            for job in jobs:
                self._delete(job)
            return "", 204
        elif method == "POST":
            return self._create(group)
        return {"jobs": jobs, "limits": {"piece_bytes": PIECE_BYTES} | self.limits}

    def _create(self, group: str) -> Any:
        data = b""
        is_whole = request.mimetype != "application/json"
        if is_whole:
            data, name = request.get_data(), request.args["name"]
            self._wait()
        else:
            name = request.get_json()["name"]
        if name in self.refusals:
            status, reason = self.refusals[name]
            return {"error": reason}, status
        number = secrets.token_urlsafe(16)
        kind = "video" if name.endswith((".mp4", ".avi")) else "image"
        size = len(data) if is_whole else request.get_json()["bytes"]
        job: dict[str, Any] = {
            "id": number,
            "group": group,
            "name": name,
            "kind": kind,
            "state": "uploading",
            "reason": None,
        }
        job |= {"bytes": size, "received": len(data), "progress": 0, "frames": 0, "frames_per_second": None}
        job |= {"seconds_left": None, "result": None, "piece_bytes": PIECE_BYTES}
        if is_whole:
            job["state"] = "waiting"
        at_first, self.content[number] = dict(job), data
        self.jobs[number] = job  # last: from now on a test may change it
        self._announce(job)
        if self.late_answers is not None:
            assert self.late_answers.wait(PATIENCE_S)
            return at_first | {"state": "waiting"}, 201
        return (job, 201) if name not in self.lost_answers else ("", 502)

    def _receive(self, job: dict[str, Any], offset: int) -> Any:
        data = request.get_data()
        self._wait()
        if offset != job["received"]:
            return {"error": f"expected offset {job['received']}, found {offset}"}, 409
        self.content[job["id"]] += data
        job["received"] += len(data)
        if job["received"] == job["bytes"]:
            job["state"] = "waiting"
        self._announce(job)
        return job

    def _wait(self) -> None:
        with self._changed:
            self.sending += 1
            self.most_at_once = max(self.sending, self.most_at_once)
        assert self.open.wait(PATIENCE_S)
        with self._changed:
            self.sending -= 1

    def _announce(self, job: dict[str, Any]) -> None:
        outcome = self.outcome(job["name"]) if job["state"] == "waiting" else None
        if outcome is None:
            self._report(job)
        else:
            self.finish(job["name"], outcome)

    def _pause(self, job: dict[str, Any], action: str) -> Any:
        before = ("waiting", "analyzing") if action == "pause" else ("paused",)
        if job["state"] not in before:
            return {"error": f"this job is {job['state']}"}, 409
        job["state"] = "paused" if action == "pause" else "waiting"
        self._report(job)
        return job

    def _delete(self, job: dict[str, Any]) -> None:
        self.deleted.append(job["name"])
        self.jobs.pop(job["id"], None)
        job["state"] = "canceled"
        self._report(job)

    def _report(self, job: dict[str, Any]) -> None:
        with self._changed:
            self._versions[job["id"]] = self._versions.get(job["id"], 0) + 1
            self._changed.notify_all()

    def _events(self, group: str) -> Iterator[str]:
        seen: dict[str, int] = {}
        end, changed = self.events_end, self._changes(group, seen)
        while not end.is_set():
            yield f"data: {json.dumps({'jobs': changed})}\n\n" if changed or not seen else ": still here\n\n"
            with self._changed:
                changed = self._changes(group, seen)
                if not changed:
                    self._changed.wait(1)
                    changed = self._changes(group, seen)

    def _changes(self, group: str, seen: dict[str, int]) -> list[dict[str, Any]]:
        """The jobs that have changed since they were seen, as copies; they count as seen from now on."""
        with self._changed:
            jobs = [job for job in self.all() if job["group"] == group]
            changed = [dict(job) for job in jobs if seen.get(job["id"]) != self._versions.get(job["id"], 0)]
            seen |= {job["id"]: self._versions.get(job["id"], 0) for job in changed}
            return changed

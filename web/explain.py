"""What speaks for the label of each face of the newest picture; computed only while somebody asks."""

from __future__ import annotations

import threading
import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from flask import Blueprint, Response, jsonify
from werkzeug.exceptions import ServiceUnavailable, TooManyRequests

from mien.errors import MienError
from mien.types import Face, Snapshot
from web.limits import Viewers
from web.ports import Camera
from web.state import describe_box

Explain = Callable[[np.ndarray, Sequence[Face]], Sequence[bytes]]
"""(frame, its faces) -> a PNG file of the heat of each face; raises MienError where it can not."""

MIN_INTERVAL_S = 0.25
MAX_INTERVAL_S = 0.45
SHARE = 0.1
"""Answers begin so far apart that computing them takes this share of the time at most, as far as the limits let it."""

MAX_WAITING = 8
"""Requests that wait for an answer at once, each in a worker of the server, which has more to do."""

RETRY_AFTER_S = 1


class Pace:
    """Computes an answer when asked, at most 4 a second, one for all who ask before it is begun.

    Who asks too early waits until the next is due: at most half a second and the computing.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep) -> None:
        self._now = now
        self._sleep = sleep
        self._lock = threading.Lock()
        self._begun = 0
        self._due_s = float("-inf")
        self._answer: Any = None

    def __call__(self, compute: Callable[[], Any]) -> Any:
        """An answer that was begun after this call; what `compute` raises is raised for one caller alone."""
        seen = self._begun
        with self._lock:
            if self._begun > seen and self._answer is not None:
                return self._answer
            self._sleep(max(0.0, self._due_s - self._now()))
            self._begun += 1
            self._answer = None
            start_s = self._now()
            try:
                self._answer = compute()
            finally:
                spent_s = self._now() - start_s
                self._due_s = start_s + min(max(spent_s / SHARE, MIN_INTERVAL_S), MAX_INTERVAL_S)
            return self._answer


def blueprint(
    camera: Camera, explain: Explain | None, is_covered: Callable[[], bool] = lambda: False, pace: Pace | None = None
) -> Blueprint:
    """Route of the explanation; is_covered: whether faces are covered, so that there is nothing to explain."""
    routes = Blueprint("explain", __name__)
    places = Viewers(MAX_WAITING)
    in_pace = pace or Pace()

    def newest() -> Snapshot:
        if explain is None:
            raise _refusal("this program has none", wait=False)
        if is_covered():
            raise _refusal("privacy mode is on")
        camera.keep_awake()
        _, snapshot = camera.snapshots.peek()
        if snapshot is None or snapshot.frame is None or snapshot.analysis is None:
            raise _refusal(camera.status().reason or "no frame has come yet")
        return snapshot

    def compute() -> dict[str, Any] | ServiceUnavailable:
        assert explain is not None
        try:
            snapshot = newest()  # a newer one, after the wait
            return _describe(snapshot, explain)
        except MienError as error:
            return _refusal(str(error), wait=False)
        except ServiceUnavailable as error:
            return error

    @routes.get("/api/explain")
    def explanation() -> Response:
        newest()
        if not places.enter():
            raise TooManyRequests(f"{places.limit} wait for an explanation already.", retry_after=RETRY_AFTER_S)
        try:
            answer = in_pace(compute)
        finally:
            places.leave()
        newest()  # privacy mode may be on meanwhile
        if isinstance(answer, ServiceUnavailable):
            raise answer
        return jsonify(answer)

    return routes


def _describe(snapshot: Snapshot, explain: Explain) -> dict[str, Any]:
    """The answer for one snapshot that has a frame and an analysis."""
    assert snapshot.frame is not None
    assert snapshot.analysis is not None
    faces = snapshot.analysis.faces
    pictures = explain(snapshot.frame.pixels_bgr, faces) if faces else []
    described = [
        {"id": face.id, "label": face.label, "box": describe_box(face.box), "heat": b64encode(png).decode()}
        for face, png in zip(faces, pictures, strict=True)
    ]
    return {"frame": snapshot.frame.index, "faces": described}


def _refusal(reason: str, *, wait: bool = True) -> ServiceUnavailable:
    """wait: whether it may help to ask again."""
    return ServiceUnavailable(f"There is no explanation: {reason}.", retry_after=RETRY_AFTER_S if wait else None)

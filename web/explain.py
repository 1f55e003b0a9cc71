"""Explanations of the labels in the newest picture, computed only when requested."""

from __future__ import annotations

import threading
import time
from base64 import b64encode
from collections.abc import Callable
from typing import Any

from flask import Blueprint
from werkzeug.exceptions import ServiceUnavailable

from mien.errors import LoadingError, MienError
from mien.types import Snapshot
from web import schemas
from web.limits import Slots
from web.openapi import Answer, Operation
from web.ports import Camera, Explain
from web.state import describe_faces

MIN_INTERVAL_S = 0.25
MAX_INTERVAL_S = 0.45
SHARE = 0.1
"""Within the limits above, answers are spaced so that computing them takes at most this share of the time."""

MAX_WAITING = 8
"""Concurrent requests; each waits for an answer in a worker of the server."""

RETRY_AFTER_S = 1


class Throttle:
    """Computes an answer on request, at most 4 per second, and shares it among all who asked before it was started.

    An early request waits until the next answer may be started: at most half a second, plus the computation.

    Args:
        now: Clock in seconds.
        sleep: Waits for this many seconds.

    Example:
        throttle = Throttle()
        answer = throttle(compute)
    """

    def __init__(self, now: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep) -> None:
        self._now = now
        self._sleep = sleep
        self._lock = threading.Lock()
        self._started = 0
        self._next_s = float("-inf")
        self._answer: Any = None

    def __call__(self, compute: Callable[[], Any]) -> Any:
        """An answer whose computation started after this call.

        Args:
            compute: Computes it; an exception reaches one caller only.
        """
        seen = self._started
        with self._lock:
            if self._started > seen and self._answer is not None:
                return self._answer
            self._sleep(max(0.0, self._next_s - self._now()))
            self._started += 1
            self._answer = None
            start_s = self._now()
            try:
                self._answer = compute()
            finally:
                spent_s = self._now() - start_s
                self._next_s = start_s + min(max(spent_s / SHARE, MIN_INTERVAL_S), MAX_INTERVAL_S)
            return self._answer


def blueprint(
    camera: Camera,
    explain: Explain | None,
    is_private: Callable[[], bool] = lambda: False,
    throttle: Throttle | None = None,
) -> Blueprint:
    """Route of the explanation.

    Args:
        camera: Has the newest snapshot.
        explain: Computes the heat maps; if None, the route responds with 503.
        is_private: Returns whether faces are pixelated, so that none may be explained.
        throttle: Limits how often heat maps are computed.
    """
    routes = Blueprint("explain", __name__)
    slots = Slots(MAX_WAITING)
    throttled = throttle or Throttle()

    def newest() -> Snapshot:
        if explain is None:
            raise _refusal("this program has none", retry=False)
        if is_private():
            raise _refusal("privacy mode is on")
        camera.keep_awake()
        _, snapshot = camera.snapshots.peek()
        if snapshot is None or snapshot.frame is None or snapshot.analysis is None:
            raise _refusal(camera.status().reason or "no frame has arrived yet")
        return snapshot

    def compute() -> schemas.Explanation | ServiceUnavailable:
        assert explain is not None
        try:
            return _describe(newest(), explain)  # of a newer snapshot, after the wait
        except LoadingError as error:
            return ServiceUnavailable(f"There is no explanation yet: {error}.", retry_after=RETRY_AFTER_S)
        except MienError as error:
            return _refusal(str(error), retry=False)
        except ServiceUnavailable as error:
            return error

    @routes.get("/api/explain")
    @Operation(
        "Which parts of each face support its label (Layer-CAM), computed on request, at most 4 times per second.",
        Answer(200, "Of the newest picture.", schemas.Explanation),
        Answer(429, "Too many concurrent requests.", retry=True),
        Answer(
            503,
            "There is no picture, the network that explains is being loaded (then with Retry-After), or this network "
            "cannot be explained; the reason is given.",
        ),
    )
    def explanation() -> schemas.Explanation:
        newest()
        with slots.hold(f"{slots.limit} requests are waiting already.", RETRY_AFTER_S):
            answer = throttled(compute)
        newest()  # privacy mode may have been switched on meanwhile
        if isinstance(answer, ServiceUnavailable):
            raise answer
        return answer

    return routes


def _describe(snapshot: Snapshot, explain: Explain) -> schemas.Explanation:
    """The answer for a snapshot that has a frame and an analysis."""
    assert snapshot.frame is not None
    assert snapshot.analysis is not None
    faces = snapshot.analysis.faces
    heats = explain(snapshot.frame.pixels_bgr, faces) if faces else []
    explained = [
        schemas.ExplainedFace(id=face.id, label=face.label, box=face.box, heat=b64encode(png).decode())
        for face, png in zip(describe_faces(snapshot.analysis), heats, strict=True)
    ]
    return schemas.Explanation(frame=snapshot.frame.index, faces=explained)


def _refusal(reason: str, *, retry: bool = True) -> ServiceUnavailable:
    """The answer 503; with `retry` another request may succeed."""
    return ServiceUnavailable(f"There is no explanation: {reason}.", retry_after=RETRY_AFTER_S if retry else None)

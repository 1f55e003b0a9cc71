"""What programs, the page among them, ask: the state of things as JSON."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from flask import Blueprint, Response, jsonify, request

from mien.errors import MienError
from mien.types import EXPRESSIONS, Box, Face, Snapshot, SourceStatus
from web.limits import Viewers
from web.ports import Camera, StateOf

STALE_S = 5.0
"""A picture older than this does not flow any more, whatever the source says."""

FLOWING = frozenset({"live", "file", "demo"})


def describe(
    snapshot: Snapshot | None,
    status: SourceStatus,
    viewers: Viewers,
    viewer: str | None = None,
    *,
    detector: str,
) -> dict[str, Any]:
    """Everything known about one snapshot; boxes in pixels of the original frame, probabilities 0..1, plain types.

    viewer: a page asks by this name whether its own picture stream is still open, told as `watching`.
    detector: the name of what finds the faces.
    """
    frame = snapshot.frame if snapshot else None
    analysis = snapshot.analysis if snapshot else None
    state = {
        "source": describe_source(snapshot, status),
        "fps": round(float(status.fps), 1),
        "latency_ms": round(float(snapshot.latency_ms + snapshot.encoding_ms), 1) if snapshot else None,
        "timing_ms": _timing_ms(snapshot) if snapshot else {},
        "viewers": viewers.count,
        "detector": detector,
        "frame": frame
        and {
            "index": frame.index,
            "captured_at": float(frame.captured_at),
            "media_time_s": None if frame.media_time_s is None else float(frame.media_time_s),
            "width": frame.width,
            "height": frame.height,
        },
        "faces": [describe_face(face) for face in analysis.faces] if analysis else [],
    }
    return state if not viewer else state | {"watching": viewer in viewers}


def _timing_ms(snapshot: Snapshot) -> dict[str, float]:
    """What each stage took; `encode`, drawing included, once somebody has looked."""
    timing_ms = dict(snapshot.analysis.timing_ms) if snapshot.analysis else {}
    if snapshot.encoding_ms:
        timing_ms["encode"] = snapshot.encoding_ms
    return {stage: round(float(ms), 2) for stage, ms in timing_ms.items()}


def describe_source(snapshot: Snapshot | None, status: SourceStatus) -> dict[str, Any]:
    """What the source does."""
    return {
        "name": status.name,
        "state": status.state,
        "truth": snapshot.frame.truth if snapshot and snapshot.frame else None,
        "reason": status.reason,
        "retry_in_s": None if status.retry_in_s is None else round(float(status.retry_in_s), 1),
    }


def describe_face(face: Face) -> dict[str, Any]:
    """One face as plain types: NumPy's numbers are not JSON."""
    return {
        "id": face.id,
        "box": describe_box(face.box),
        "label": face.label,
        "confidence": round(float(face.confidence), 5),
        "unsure": bool(getattr(face, "unsure", False)),
        "probabilities": _by_name(face.probabilities),
        "raw": _by_name(face.raw),
    }


def describe_box(box: Box) -> dict[str, int]:
    """A box in pixels of the original frame."""
    return {"x": int(box.x), "y": int(box.y), "w": int(box.w), "h": int(box.h)}


def _by_name(probabilities: Iterable[float]) -> dict[str, float]:
    return {name: round(float(p), 5) for name, p in zip(EXPRESSIONS, probabilities, strict=True)}


def sentence(error: MienError) -> str:
    """What is wrong, as a sentence."""
    text = str(error)
    is_word = text.partition(" ")[0].isalpha()  # and neither a file's name nor an address
    return f"{text[:1].upper() if is_word else text[:1]}{text[1:]}."


def trouble(snapshot: Snapshot | None, status: SourceStatus, now_s: float) -> str | None:
    """Why no frames flow at `now_s` seconds since the epoch; None while they do, or will when somebody watches."""
    if status.state == "resting":
        return None
    if status.state not in FLOWING:
        return status.reason or f"the source is {status.state}"
    if snapshot is None or snapshot.frame is None:
        return status.reason or "no frame has come yet"
    age_s = now_s - snapshot.frame.captured_at
    if age_s > STALE_S:
        return status.reason or f"no new frame for {age_s:.0f} s"
    return None


def blueprint(camera: Camera, state_of: StateOf) -> Blueprint:
    """Routes of the interface."""
    routes = Blueprint("api", __name__)

    @routes.get("/api/state")
    def state() -> Response:
        _, snapshot = camera.snapshots.peek()
        return jsonify(state_of(snapshot, request.args.get("viewer")))

    @routes.get("/healthz")
    def healthz() -> tuple[Response, int]:
        _, snapshot = camera.snapshots.peek()
        status = camera.status()
        reason = trouble(snapshot, status, time.time())
        answer = jsonify(ok=reason is None, state=status.state, reason=reason)
        return answer, 200 if reason is None else 503

    return routes

"""The newest picture as a PNG file."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from flask import Blueprint, Response
from werkzeug.exceptions import ServiceUnavailable

from mien.types import Snapshot

if TYPE_CHECKING:
    from web.app import Camera

ToPng = Callable[[Snapshot], bytes]

RETRY_AFTER_S = 1


def blueprint(camera: Camera, to_png: ToPng | None) -> Blueprint:
    """Route of the picture; encoded when asked for, once for all who ask for the same."""
    routes = Blueprint("snapshot", __name__)
    lock = threading.Lock()  # one encoding at a time, however many ask
    kept: list[tuple[int, bytes]] = []

    @routes.get("/api/snapshot.png")
    def snapshot_png() -> Response:
        camera.keep_awake()
        with lock:
            sequence, snapshot = camera.snapshots.peek()
            if snapshot is None or snapshot.frame is None or to_png is None:
                reason = camera.status().reason or "no frame has come yet"
                raise ServiceUnavailable(f"There is no picture: {reason}.", retry_after=RETRY_AFTER_S)
            if not kept or kept[0][0] != sequence:
                kept[:] = [(sequence, to_png(snapshot))]
            png = kept[0][1]
        return Response(png, mimetype="image/png", headers={"Content-Disposition": 'inline; filename="mien.png"'})

    return routes

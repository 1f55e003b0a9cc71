"""The app factory: one fresh Flask app around one camera, with its page and its errors."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from flask import Flask, render_template
from werkzeug.exceptions import HTTPException

from mien.types import EXPRESSIONS, Snapshot
from web import analyze as images
from web import controls, errors, openapi, security, state, streams
from web import explain as explanations
from web.limits import Viewers
from web.ports import Camera, Choices, Privacy, Session
from web.security import is_loopback

ROOT = Path(__file__).resolve().parent.parent  # so that the program runs from any working directory

MAX_STREAMS = 256
"""Streams of pictures open at the same time; each holds a worker of the server and a socket."""

MAX_EVENT_STREAMS = 64
"""The same for streams of events."""

MODULES = sorted(path.name for path in (ROOT / "static").glob("*.js") if path.name != "early_connect.js")
"""Named in the page, so that the browser fetches all at once instead of one import after the other. (early_connect.js
is none: it runs before them.)"""


def create_app(
    camera: Camera,
    *,
    model_name: str = "model.json",
    unsure: float = 0.5,
    detector_name: str = "haar",
    max_streams: int = MAX_STREAMS,
    analyze: images.Analyze | None = None,
    follow: images.Follow | None = None,
    max_analyses: int = images.MAX_ANALYSES,
    to_png: streams.ToPng | None = None,
    choices: Choices | None = None,
    session: Session | None = None,
    privacy: Privacy | None = None,
    explain: explanations.Explain | None = None,
    host: str = "127.0.0.1",
    token: str | None = None,
    names: Collection[str] = (),
) -> Flask:
    """Build the web app that shows one camera.

    model_name, detector_name: shown at the foot of the page; /api/state tells the detector too.
    unsure: confidence under which the page, at first, calls a face unsure.
    max_streams: picture streams at once, and event streams up to MAX_EVENT_STREAMS; more answer 503.
    analyze: finds the faces of an image file, for /api/analyze; follow: of one in a sequence.
    max_analyses: at once, more answer 429.
    to_png: makes a PNG file of a snapshot, for /api/snapshot.png.
    choices: the sources that may be chosen, for /api/sources and /api/source.
    session: records sessions, for /api/record. privacy: covers faces, for /api/privacy.
    explain: shows what speaks for the label of each face, for /api/explain.
    host: the address the server binds; requests that name a host that can not be meant by it are refused.
    token: what every request must bring along; needed where the network can reach the host.
    names: further names this computer is reached by.
    """
    if token is None and not is_loopback(host):
        raise ValueError(f"an app on {host}, which the network can reach, needs a token")
    app = Flask(__name__, template_folder=str(ROOT / "templates"), static_folder=str(ROOT / "static"))
    app.json.sort_keys = False  # type: ignore[attr-defined]  # keep the order of the seven and of the interface
    app.request_class = images.InMemoryRequest
    app.config["MAX_CONTENT_LENGTH"] = images.MAX_BODY_BYTES
    max_readers = min(max_streams, MAX_EVENT_STREAMS)
    app.config["MAX_STREAMS"] = max_streams + max_readers  # the server makes its pool of workers larger

    viewers = Viewers(max_streams)

    def state_of(snapshot: Snapshot | None, viewer: str | None) -> dict[str, Any]:
        camera.keep_awake()  # who asks what is seen wants frames
        return state.describe(snapshot, camera.status(), viewers, viewer, detector=detector_name) | controls.describe(
            camera, session, privacy
        )

    app.register_blueprint(streams.blueprint(camera, viewers, state_of))
    app.register_blueprint(streams.events_blueprint(camera, Viewers(max_readers), state_of))
    app.register_blueprint(state.blueprint(camera, state_of))
    app.register_blueprint(controls.sources_blueprint(camera, choices))
    app.register_blueprint(controls.blueprint(camera, session, privacy))
    app.register_blueprint(images.blueprint(analyze, follow, max_analyses))
    app.register_blueprint(streams.snapshot_blueprint(camera, to_png))
    app.register_blueprint(explanations.blueprint(camera, explain, lambda: privacy is not None and privacy.on))
    app.register_blueprint(openapi.blueprint())
    security.protect(app, lambda named: security.is_known_name(named, host, names))
    security.ask_for(app, token)
    app.register_error_handler(HTTPException, errors.answer)

    @app.get("/")
    def index() -> str:
        camera.keep_awake()  # the page asks for pictures as soon as it is read
        return render_template(
            "index.html",
            expressions=EXPRESSIONS,
            model_name=model_name,
            detector_name=detector_name,
            unsure=unsure,
            modules=MODULES,
        )

    return app

"""The app factory: a new Flask app for one camera."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import HTTPException

from web import (
    analyze,
    baselines,
    compression,
    controls,
    errors,
    explain,
    jobs,
    languages,
    openapi,
    pages,
    programs,
    record,
    replay,
    security,
    session_files,
    sessions,
    sources,
    state,
    streams,
)
from web.base_path import BasePath
from web.limits import Slots, limit_bodies
from web.ports import AppOptions, Camera

MAX_EVENT_STREAMS = 64
"""Concurrent streams of events; each occupies a worker of the server and a socket."""


class StrictJson(DefaultJSONProvider):
    """Keeps the order of keys, and refuses NaN and infinity, which JSON does not have.

    `web.schemas` refuses them in all answers that it describes.
    """

    sort_keys = False

    def dumps(self, obj: Any, **options: Any) -> str:
        """The object as JSON text; ValueError for NaN and infinity."""
        return super().dumps(obj, **{"allow_nan": False, **options})


def create_app(camera: Camera, options: AppOptions | None = None) -> Flask:
    """Build the web app of one camera.

    Args:
        camera: The source of the live pictures.
        options: What the app offers and who may use it.

    Raises:
        ValueError: The token is too short, or missing although the network can reach the host.

    Example:
        app = create_app(camera, AppOptions(unsure=0.6))
        app.test_client().get("/api/state").json
    """
    options = options or AppOptions()
    app = Flask(__name__, template_folder=str(pages.ROOT / "templates"), static_folder=str(pages.ROOT / "static"))
    app.json = StrictJson(app)
    languages.add_languages(app, pages.ROOT / "static" / "texts")
    app.request_class = analyze.InMemoryRequest
    viewers, readers = Slots(options.max_streams), Slots(min(options.max_streams, MAX_EVENT_STREAMS))
    app.config["MAX_STREAMS"] = viewers.limit + readers.limit  # the number of workers that the server adds
    privacy = options.privacy

    state_of = state.StateReader(camera, options, viewers)
    for blueprint in (
        pages.blueprint(camera, options),
        programs.blueprint(options),
        openapi.blueprint(),
        streams.blueprint(camera, options, viewers, readers, state_of),
        streams.snapshot_blueprint(camera, options.to_png),
        state.blueprint(camera, options, state_of),
        controls.blueprint(camera, options, state_of),
        record.blueprint(options, state_of),
        sources.blueprint(camera, options),
        sessions.blueprint(options),
        session_files.blueprint(options),
        replay.blueprint(options),
        analyze.blueprint(options),
        baselines.blueprint(options),
        jobs.blueprint(options, readers),
        explain.blueprint(camera, options.explain, lambda: privacy is not None and privacy.on),
    ):
        app.register_blueprint(blueprint)
    security.protect(app, options.host, options.names, lambda: camera.status().state == "resting", options.embed)
    security.require_token(app, options.host, options.token, embeds=bool(options.embed))
    limit_bodies(app)
    compression.compress_static(app)
    app.wsgi_app = BasePath(app.wsgi_app, options.base_path)  # type: ignore[method-assign]
    app.register_error_handler(HTTPException, errors.answer)
    return app

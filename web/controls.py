"""What affects the program and so all viewers: privacy mode, rare expressions and detector."""

from __future__ import annotations

from flask import Blueprint, abort

from mien.errors import DetectorError, LockedError
from web import schemas
from web.limits import Slots
from web.openapi import Answer, Operation
from web.ports import AppOptions, Camera
from web.state import StateReader, sentence

RETRY_AFTER_S = 2


def blueprint(camera: Camera, options: AppOptions, state: StateReader) -> Blueprint:
    """Routes of privacy mode, rare expressions and the face detector.

    Args:
        camera: Publishes the newest frame again after privacy mode was switched.
        options: Its `privacy`, `adjustment` and `detectors` are controlled; if None, their routes respond
            with 404.
        state: Describes what is in force.
    """
    routes = Blueprint("controls", __name__)
    privacy = options.privacy
    loading = Slots(1)

    @routes.get("/api/controls")
    @Operation(
        "Whether a recording is running, video saved and faces pixelated; does not keep the camera open.",
        Answer(200, "As in the state.", schemas.Controls),
    )
    def controls() -> schemas.Controls:
        return state.controls()

    @routes.post("/api/privacy")
    @Operation(
        "Pixelate faces, or show them again, for all viewers, whose pages say so; 403 if privacy mode is locked.",
        Answer(200, "What is in force.", schemas.Controls),
        body=schemas.Switch,
    )
    def switch_privacy(body: schemas.Switch) -> schemas.Controls:
        if privacy is None:
            abort(404, "This program has no privacy mode.")
        try:
            privacy.switch(body.on)
        except LockedError as error:
            abort(403, sentence(error))
        if options.jobs is not None:
            options.jobs.update_privacy()
        camera.show_again()  # the newest picture may stay for long, e.g. at the end of a file
        return state.changed()

    @routes.post("/api/rare")
    @Operation(
        "Set how often rare expressions, such as fear, are expected, for all viewers.",
        Answer(200, "What is in force.", schemas.Controls),
        body=schemas.Expected,
    )
    def expect(body: schemas.Expected) -> schemas.Controls:
        if options.adjustment is None:
            abort(404, "This network stores no base rates.")
        options.adjustment.rare = body.rare
        return state.changed()

    @routes.post("/api/detector")
    @Operation(
        "Choose the face detector, for all viewers. The first choice of one may take seconds, while the previous one "
        "goes on.",
        Answer(200, "What is in force.", schemas.Controls),
        Answer(422, "It is not available, or is broken; the previous one stays in use."),
        Answer(429, "Another detector is being loaded.", retry=True),
        body=schemas.DetectorChoice,
    )
    def choose_detector(body: schemas.DetectorChoice) -> schemas.Controls:
        if options.detectors is None:
            abort(404, "This program does not let the detector be chosen.")
        with loading.hold("Another detector is being loaded.", RETRY_AFTER_S):
            try:
                options.detectors.switch(body.detector)
            except DetectorError as error:
                abort(422, sentence(error))
        return state.changed()

    return routes

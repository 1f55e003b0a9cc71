"""Mien's command line: settings -> camera, pipeline, web app; serve; shut down cleanly.

    python main.py --source demo

Then open http://localhost:5000.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from mien.analysis.pipeline import Pipeline
    from mien.settings import Settings
    from mien.sources.catalog import Choices

REST_AFTER_S = 10.0

log = logging.getLogger("mien")


def main(argv: Sequence[str] | None = None) -> int:
    """Run until Ctrl-C or SIGTERM; 0 then, 2 with one line on standard error where the program can not run."""
    try:
        return _main(sys.argv[1:] if argv is None else argv)
    except ModuleNotFoundError as error:
        needed = f"mien: expected the packages of requirements.txt, found no {error.name}"
        print(f"{needed}; make run, or pip install -r requirements.txt, installs them", file=sys.stderr)
        return 2


def _main(argv: Sequence[str]) -> int:
    from mien.errors import MienError
    from mien.settings import read_settings

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        run(read_settings(argv, os.environ), stop)
    except MienError as error:
        print(f"mien: {error}", file=sys.stderr)
        return 2
    return 0


def run(settings: Settings, stop: threading.Event) -> None:
    """Put the parts together and serve until `stop` is set. Raises MienError where a part can not start."""
    from camera import VideoCamera
    from mien.analysis.uploads import Visitors, analyze_image
    from mien.cnn.gradcam import Explainer
    from mien.images.codecs import jpeg_to_png
    from mien.images.privacy import Privacy
    from mien.process import allow_open_files
    from mien.recording.csv_log import SessionRecorder
    from mien.sources import source_kind
    from mien.sources.catalog import Choices
    from mien.sources.webcam import ask_for_camera
    from web import create_app
    from web.security import is_loopback, token_for
    from web.server import Server

    allow_open_files()
    with ExitStack() as parts:
        choices = Choices(settings.media)
        check_early(settings, choices)
        pipeline = create_pipeline(settings)
        if stop.is_set():
            return
        session = SessionRecorder(settings.sessions, at_once=settings.record)
        parts.callback(session.stop)  # after the camera, which comes later
        privacy = Privacy(settings.privacy)
        if source_kind(settings.source) in ("auto", "webcam"):
            ask_for_camera()  # here, as the camera is opened in a thread of its own
        camera = parts.enter_context(
            VideoCamera(
                settings.source,
                pipeline,
                size=settings.size,
                fps=settings.fps,
                loop=settings.loop,
                save=settings.save,
                rest_after_s=REST_AFTER_S if settings.rest else None,
                open=choices.open,
                prepare=privacy.prepare,
                record=session.record,
                needed=lambda: session.needs_frames,
                cancelled=stop.is_set,
            )
        )
        if stop.is_set():
            return
        token = token_for(settings.host, settings.token)
        app = create_app(
            camera,
            analyze=lambda data: analyze_image(data, pipeline),
            follow=Visitors(pipeline).analyze,
            explain=Explainer(pipeline),
            to_png=lambda snapshot: jpeg_to_png(snapshot.jpeg),
            choices=choices,
            session=session,
            privacy=privacy,
            model_name=settings.model.name,
            unsure=settings.unsure,
            detector_name=pipeline.detector.name,
            host=settings.host,
            token=token,
            names=settings.names,
        )
        server = parts.enter_context(Server(app, settings.host, settings.port))
        parts.callback(camera.stop)  # before the server: its streams end with the camera
        query = f"/?token={token}" if token else ""
        log.info("%s: open %s%s (Ctrl-C stops)", camera.status().name, server.url, query)
        log.info("faces are found by %s%s", pipeline.detector.name, " (auto)" if settings.detector == "auto" else "")
        if not is_loopback(settings.host):
            log.info("open to the network: on another computer put this one's name or address in place of the host")
        while not stop.wait(0.5):  # a wait without limit could not be interrupted on Windows
            pass
        log.info("stopping")


def check_early(settings: Settings, choices: Choices) -> None:
    """Refuse what can be refused before the network is loaded, which takes seconds. Raises MienError."""
    from mien.recording.csv_log import SessionRecorder
    from mien.recording.video import VideoWriter
    from mien.sources import source_kind, source_name
    from web.server import check_port

    check_port(settings.host, settings.port)
    source_name(settings.source)
    if settings.save is not None:
        VideoWriter(settings.save).close()  # writes nothing before the first frame
    if settings.record:
        SessionRecorder(settings.sessions).check()
    if source_kind(settings.source) == "file":  # a webcam or a network camera would be opened twice, which takes time
        choices.open(settings.source).close()


def create_pipeline(settings: Settings) -> Pipeline:
    """The detector and the model the settings name, ready to analyse. Raises DetectorError or ModelError."""
    from mien.analysis.pipeline import Pipeline
    from mien.detectors import create_detector
    from mien.process import give_back
    from model import FacialExpressionModel

    detector = create_detector(settings.detector, min_face_px=settings.min_face, model_file=settings.detector_model)
    classifier = FacialExpressionModel(
        settings.model, settings.weights, labels=settings.labels, input_scale=settings.input_scale
    )
    classifier.warm_up()
    give_back()
    return Pipeline(detector, classifier, unsure_below=settings.unsure)


def leave(status: int) -> NoReturn:
    """End the process at once: all is closed by now, and Python would take TensorFlow apart for seconds."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # a closed pipe, or no console at all
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    leave(main())

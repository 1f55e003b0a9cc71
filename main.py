"""Mien's command line and composition root: settings -> camera, pipeline, web app; serve; shut down cleanly.

    python main.py --source demo

Then open http://localhost:5000.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import cache, partial
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:  # imported where they are used, so that --help, --version and errors need no OpenCV or TensorFlow
    from pathlib import Path

    from flask import Flask

    from camera import VideoCamera
    from mien.analysis.baseline import Rest
    from mien.analysis.detector_switch import DetectorSwitch
    from mien.analysis.pipeline import Pipeline
    from mien.analysis.uploads import UploadSessions
    from mien.detectors import Detector
    from mien.loading import Loading
    from mien.outputs.service import Outputs
    from mien.queue.service import FileQueue
    from mien.recording.csv_log import Recording
    from mien.settings import Settings
    from mien.types import Analysis, Frame
    from web.server import Server

IDLE_AFTER_S = 10.0
"""After this long without viewers, the camera is released (unless --no-rest)."""

TICK_S = 0.5
"""How often the program checks whether it still works."""

TRIM_EVERY_S = 30.0
"""How often free memory is returned to the system while nobody watches; some is given up later."""

log = logging.getLogger("mien")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command: `python main.py COMMAND ...`, or `python main.py [options]` to serve the page.

    Args:
        argv: The words of the command line, by default those of this process.

    Returns:
        Exit status: 0, 2 with one line on standard error where the program cannot run, 1 with one line where it cannot
        go on, or the command's own.
    """
    from mien.errors import FatalError, MienError
    from mien.names import PrintableFormatter, printable
    from mien.process import escape_standard_output

    escape_standard_output()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PrintableFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    try:
        command, words = choose_command(sys.argv[1:] if argv is None else argv)
        return command(words)
    except MienError as error:
        print(f"mien: {printable(str(error))}", file=sys.stderr)
        return 1 if isinstance(error, FatalError) else 2
    except ModuleNotFoundError as error:
        needed = f"mien: expected the packages of requirements.txt, found no {error.name}"
        print(f"{needed}; make run, or pip install -r requirements.txt, installs them", file=sys.stderr)
        return 2


def choose_command(argv: Sequence[str]) -> tuple[Callable[[Sequence[str]], int], Sequence[str]]:
    """Split the command line into a command and its own words.

    Args:
        argv: The words of the command line.

    Returns:
        The function of the command, by default `serve`, and the words for it.

    Raises:
        SettingsError: The first word is neither a command nor an option.
    """
    from mien.addresses import masked
    from mien.errors import SettingsError
    from mien.options import did_you_mean

    if not argv or argv[0].startswith("-"):
        return serve, argv
    if argv[0] not in COMMANDS:
        word = masked(argv[0])
        hint = did_you_mean(argv[0], COMMANDS) or f"; did you mean --source {word}?"
        raise SettingsError(f"expected an option or a command ({', '.join(COMMANDS)}), found {word!r}{hint}")
    return COMMANDS[argv[0]], argv[1:]


def serve(argv: Sequence[str]) -> int:
    """Serve the page until Ctrl-C or SIGTERM, with the settings of the command line and the environment.

    Args:
        argv: The words of the command line.

    Returns:
        Exit status: 0.

    Raises:
        MienError: The program cannot run.
    """
    from mien.settings import read_settings

    settings = read_settings(argv, os.environ)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    run(settings, stop)
    return 0


def analyze(argv: Sequence[str]) -> int:
    """Analyze videos and images, and write tables: see `mien.batch.command.analyze`."""
    from mien.batch.command import analyze as run_analyze

    return run_analyze(argv)


def methods(argv: Sequence[str]) -> int:
    """Print a paragraph for a paper about results: see `mien.batch.methods.methods`."""
    from mien.batch.methods import methods as run_methods

    return run_methods(argv)


def report(argv: Sequence[str]) -> int:
    """Write reports of recordings: see `mien.batch.report_command.report`."""
    from mien.batch.report_command import report as run_report

    return run_report(argv)


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "serve": serve,
    "analyze": analyze,
    "methods": methods,
    "report": report,
}


def run(settings: Settings, stop: threading.Event) -> None:
    """Build all components, and serve until `stop` is set.

    While the network is loaded and the source is opened, the page is served already.

    Args:
        settings: How the program runs.
        stop: Set by the signal handlers.

    Raises:
        MienError: A component cannot start.
        FatalError: A component has ended and cannot be restarted.
    """
    from mien.loading import Loading
    from mien.process import limit_arenas, raise_open_file_limit

    limit_arenas()
    raise_open_file_limit()
    with ExitStack() as cleanup:
        components = Components(settings)
        port = check_early(components)
        log.info("loading the network ...")
        cleanup.callback(components.recorder.close)  # registered before the camera, so stopped after it
        pipeline = Loading(lambda: build_pipeline(components))
        cleanup.callback(components.browser_recorder.close)
        components.recorder.describe = lambda: describe_session(components, pipeline)
        components.browser_recorder.describe = components.recorder.describe
        detectors = build_detectors(components, pipeline)
        camera = build_camera(components, pipeline, detectors, stop)
        cleanup.callback(camera.stop)
        if components.outputs is not None:
            components.outputs.start(camera.snapshots, camera.status)
            cleanup.callback(components.outputs.stop)
        opening = Loading(camera.start)
        opening.start()

        from mien.queue.storage import remove_abandoned
        from web.security import token_for  # imports Flask, meanwhile
        from web.server import Server

        token = token_for(settings.host, settings.token)
        jobs = build_queue(components, detectors)
        cleanup.callback(components.exports.close)
        app = build_app(components, pipeline, camera, detectors, jobs, token)
        cleanup.callback(jobs.close)  # again after the server, whose requests may have files open
        server = cleanup.enter_context(Server(app, settings.host, port))
        cleanup.callback(components.exports.close)  # before the server, which waits for its requests
        cleanup.callback(jobs.close)
        cleanup.callback(camera.stop)  # before the server: its streams end with camera and queue
        while not stop.is_set():  # waits without timeout could not be interrupted on Windows
            if opening.wait(0.05):
                opening.result()
                break
        threading.Thread(target=remove_abandoned, name="tidy", daemon=True).start()
        if not stop.is_set():
            announce(settings, camera, server, token)
        watch(camera, server, stop)
        log.info("stopping")


def watch(camera: VideoCamera, server: Server, stop: threading.Event) -> None:
    """Wait for the end; while the camera is released because nobody watches, return free memory to the system.

    Args:
        camera, server: Running.
        stop: Set by the signal handlers.

    Raises:
        FatalError: One of them has ended and cannot be restarted.
    """
    from mien.errors import FatalError
    from mien.process import trim_memory

    trim_at_s = 0.0
    while not stop.wait(TICK_S):
        if reason := camera.failed or server.failed:
            raise FatalError(f"{reason}; the program ends, so that it can be started again")
        if camera.in_use is not None:
            trim_at_s = 0.0
        elif (now_s := time.monotonic()) >= trim_at_s:
            trim_memory()
            trim_at_s = now_s + TRIM_EVERY_S


class Components:
    """What camera and web app share, as the settings say; nothing is opened or written yet.

        components = Components(read_settings(["--media", "videos"], os.environ))
        print(components.catalog.files())

    Args:
        settings: How the program runs.

    Raises:
        SettingsError: `media` is not a folder.
        LandmarkError: `landmarks`, and their networks are not installed.
        ModelError: There is no network, or `--rare` is given for one without base rates.
        SettingsError: An output is not understood, or needs a package that is not installed.
    """

    def __init__(self, settings: Settings) -> None:
        from mien.analysis.baseline import Baselines
        from mien.cnn.logit_adjustment import read_adjustment
        from mien.errors import ModelError
        from mien.images.privacy import Privacy
        from mien.landmarks.demand import LandmarkDemand
        from mien.queue.session_exports import SessionExports
        from mien.recording.browser import BrowserRecorder
        from mien.recording.csv_log import CsvRecorder
        from mien.recording.sessions import Sessions
        from mien.settings import LOCKED
        from mien.sources.catalog import SourceCatalog

        self.settings = settings
        self.catalog = SourceCatalog(settings.media)
        self.recorder = CsvRecorder(settings.sessions, at_once=settings.record)
        self.privacy = Privacy(bool(settings.privacy), locked=settings.privacy == LOCKED)
        self.sessions = Sessions(settings.sessions, self._recordings)
        self.browser_recorder = BrowserRecorder(settings.sessions, self._make_prepare)
        self.exports = SessionExports(self.sessions)
        self.recorder.changed, self.browser_recorder.changed = self._note_recording, self.sessions.note_change
        self.landmarks = LandmarkDemand(always=settings.landmarks)
        self.baselines = Baselines(settings.min_quality, lambda face, rest: self._store_baselines({face: rest}))
        self.outputs = build_outputs(settings)
        self.adjustment = read_adjustment(settings.model)
        if settings.rare is not None:
            if self.adjustment is None:
                raise ModelError(f"--rare: expected a network with base rates, found {settings.model} without")
            self.adjustment.rare = settings.rare

    def _note_recording(self) -> None:
        """A recording has begun or ended."""
        self.sessions.note_change()
        self._store_baselines(self.baselines.known())

    def _store_baselines(self, rests: Mapping[int, Rest | None]) -> None:
        """Add the resting faces of people, None for forgotten ones, to the session that is being recorded."""
        running = self.recorder.status()
        if running.on and running.session is not None:
            self._add_baselines(running.session, rests)

    def store_browser_baselines(self, key: str, rests: Mapping[int, Rest | None]) -> None:
        """The same for those of one browser's camera.

        Args:
            key: The key of its images.
            rests: Resting faces by the numbers of the faces in its images; None for forgotten ones.
        """
        found = self.browser_recorder.session_of(key)
        if found is not None:
            session, shift = found
            self._add_baselines(session, {face + shift: rest for face, rest in rests.items()})

    def _add_baselines(self, session: str, rests: Mapping[int, Rest | None]) -> None:
        from mien.errors import SessionError

        if not rests:
            return
        forgotten = {"log_odds": None}
        edits = [
            {"do": "baseline", "face": face, **(forgotten if rest is None else rest.to_dict())}
            for face, rest in rests.items()
        ]
        try:
            self.sessions.edit(session, edits)
        except SessionError as error:  # the differences are in the rows
            log.warning("a resting face cannot be stored: %s", error)

    def _recordings(self) -> dict[str, Recording]:
        """The recordings that are running, by the id of their session."""
        own = self.recorder.status()
        running = {own.session: own} if own.on and own.session is not None else {}
        return running | self.browser_recorder.running()

    def _make_prepare(self) -> Callable[[Frame, Analysis], Frame]:
        """What pixelates the pictures of one browser that are kept, while privacy mode is on."""
        from mien.images.privacy import Privacy

        of_browser = Privacy()

        def prepare(frame: Frame, analysis: Analysis) -> Frame:
            of_browser.switch(self.privacy.on)
            return of_browser.prepare(frame, analysis)

        return prepare


def build_outputs(settings: Settings) -> Outputs | None:
    """Make the live outputs, which are not connected yet; None without any, so that nothing is imported for them.

    Args:
        settings: How the program runs.

    Raises:
        SettingsError: One is not understood, or needs a package that is not installed.
    """
    if not settings.out:
        return None
    from mien.outputs.service import Outputs

    return Outputs.of(settings.out, fps=settings.out_fps)


def check_early(components: Components) -> int:
    """Refuse what can be refused before the network is loaded, which takes seconds.

    Args:
        components: With the settings.

    Returns:
        The port to listen on.

    Raises:
        MienError: The first setting that cannot be used.
    """
    from mien.errors import SettingsError
    from mien.recording.video import VideoWriter
    from mien.sources import source_kind, source_name
    from web.free_port import choose_port
    from web.own_stream import is_own_address

    settings = components.settings
    port = choose_port(settings.host, settings.port)
    source_name(settings.source)
    if is_own_address(settings.source, settings.host, port):
        raise SettingsError("--source: expected another source than the pictures of this program itself")
    if settings.save is not None:
        VideoWriter(settings.save).close()  # writes nothing before the first frame
    if settings.record:
        components.recorder.check()
    if source_kind(settings.source) == "file":  # not webcams and network cameras: opening them twice takes time
        components.catalog.open(settings.source).close()
    return port


def build_pipeline(components: Components) -> Pipeline:
    """Load detector and network.

    Args:
        components: With the settings.

    Raises:
        DetectorError, ModelError: One is missing or broken.
    """
    from mien.analysis.pipeline import Pipeline
    from mien.cnn.cache import cache_folder
    from mien.process import release_memory
    from model import FacialExpressionModel

    settings = components.settings
    detector = make_detector(settings.detector, settings)
    classifier = FacialExpressionModel(
        settings.model,
        settings.weights,
        labels=settings.labels,
        input_scale=settings.input_scale,
        pixels=settings.pixels,
        runtime=settings.runtime,
        cache=cache_folder() if settings.cache else None,
    )
    classifier.adjustment = components.adjustment  # the one that the web app switches
    classifier.warm_up()
    release_memory()
    return Pipeline(detector, classifier, unsure_below=settings.unsure, min_quality=settings.min_quality)


def make_detector(name: str, settings: Settings) -> Detector:
    """Make a detector as the settings say; raises DetectorError.

    Args:
        name: As `--detector` takes it; of those chosen on the page, only some take the model file.
        settings: How the program runs.
    """
    from mien.detectors import create_detector

    return create_detector(name, min_face_px=settings.min_face, model_file=model_file_of(name, settings))


def model_file_of(name: str, settings: Settings) -> Path | None:
    """The model file of a detector; None if it takes none, or none is set."""
    return settings.detector_model if name in ("auto", "yunet") or name == settings.detector else None


def describe_session(components: Components, pipeline: Loading[Pipeline]) -> str:
    """How the rows of a recording come about: the text of the file beside it."""
    from mien.batch.provenance import as_json, describe
    from mien.settings import AnalysisSettings, SourceSettings, names_of

    settings = components.settings
    others = names_of(type(settings)) - names_of(AnalysisSettings) - names_of(SourceSettings)
    return as_json(describe(settings, pipeline.result(), leave_out={*others, "media"}))


def build_camera(
    components: Components, pipeline: Loading[Pipeline], detectors: DetectorSwitch, stop: threading.Event
) -> VideoCamera:
    """Build the camera, which opens its source and loads its pipeline when it is started.

    Args:
        components: What the camera shares with the web app.
        pipeline: Analyzes the frames.
        detectors: Replaces a detector that hangs.
        stop: Once it is set, the camera no longer waits for its source.
    """
    from camera import VideoCamera
    from mien.sources import source_kind
    from mien.sources.webcam import request_camera_access
    from mien.stream.config import CameraOptions, Services

    def renew() -> None:
        detectors.renew()
        components.baselines.forget()  # the analysis that takes over numbers faces anew

    settings = components.settings
    if source_kind(settings.source) in ("auto", "webcam"):
        request_camera_access()  # macOS requires this in the main thread; the camera is opened in another
    return VideoCamera(
        settings.source,
        pipeline,
        options=CameraOptions(
            size=settings.size,
            fps=settings.fps,
            loop=settings.loop,
            insecure=settings.insecure,
            save=settings.save,
            idle_after_s=IDLE_AFTER_S if settings.rest else None,
        ),
        services=Services(
            open=components.catalog.open,
            prepare=components.privacy.prepare,
            record=components.recorder.record,
            compare=components.baselines.update,
            landmarks=lambda: components.landmarks.wanted,
            needed=lambda: components.recorder.needs_frames or components.outputs is not None,
            renew=renew,
            cancelled=stop.is_set,
        ),
    )


def build_detectors(components: Components, pipeline: Loading[Pipeline]) -> DetectorSwitch:
    """Build what chooses the face detector while the program runs.

    Args:
        components: With the settings.
        pipeline: Uses the detector.
    """
    from mien.analysis.detector_switch import DetectorSwitch, available_detectors
    from mien.detectors import choose_detector

    settings = components.settings
    return DetectorSwitch(
        choose_detector(settings.detector, settings.detector_model),
        available_detectors(settings.detector_model),
        pipeline.result,
        lambda name: make_detector(name, settings),
    )


def build_queue(components: Components, detectors: DetectorSwitch) -> FileQueue:
    """Build the queue of files that viewers drop; it starts and stores nothing before the first one.

    Args:
        components: With the settings and what is switched on the page.
        detectors: Knows the face detector in use.
    """
    from mien.queue.service import FileQueue
    from mien.settings import AnalysisSettings, names_of

    settings = components.settings

    def present() -> AnalysisSettings:
        """What `analyze` would have to be called with to find in a file what the live picture shows."""
        chosen = {name: getattr(settings, name) for name in names_of(AnalysisSettings)}
        chosen["detector"] = detectors.current
        chosen["detector_model"] = model_file_of(detectors.current, settings)
        if components.adjustment is not None:
            chosen["rare"] = components.adjustment.rare
        return AnalysisSettings(**chosen)

    return FileQueue(present, lambda: components.privacy.on)


def build_upload_sessions(components: Components, pipeline: Loading[Pipeline]) -> UploadSessions:
    """Build what follows the faces of browsers' cameras, and passes them to their recordings.

    Args:
        components: With the recordings.
        pipeline: Analyzes the images.
    """
    from mien.analysis.baseline import Baselines
    from mien.analysis.face_stream import FaceStream
    from mien.analysis.uploads import UploadSessions
    from mien.errors import BaselineError

    def make_baselines(key: str) -> Baselines:
        return Baselines(
            components.settings.min_quality, lambda face, rest: components.store_browser_baselines(key, {face: rest})
        )

    def note_started(key: str) -> None:
        with suppress(BaselineError):  # its images have ended meanwhile
            components.store_browser_baselines(key, sessions.baselines(key).known())

    sessions = UploadSessions(
        lambda: FaceStream(pipeline.result()),
        record=components.browser_recorder.record,
        make_baselines=make_baselines,
    )
    components.browser_recorder.is_known = sessions.__contains__
    components.browser_recorder.started = note_started
    return sessions


def build_app(
    components: Components,
    pipeline: Loading[Pipeline],
    camera: VideoCamera,
    detectors: DetectorSwitch,
    jobs: FileQueue,
    token: str | None,
) -> Flask:
    """Build the web app around the camera.

    Args:
        components: What the web app shares with the camera.
        pipeline: Analyzes uploaded images, which wait until it is loaded.
        camera: The source of the live pictures.
        detectors: Chooses the face detector.
        jobs: The queue of files.
        token: Secret required with every request, or None.
    """
    from mien.analysis.uploads import analyze_image
    from mien.cnn.gradcam import Explainer
    from mien.images.codecs import jpeg_to_png
    from web import AppOptions, create_app

    settings = components.settings
    explainer = cache(lambda: Explainer(pipeline.result()))
    sessions = build_upload_sessions(components, pipeline)

    def analyze(data: bytes, *, landmarks: bool = settings.landmarks) -> Analysis:
        return analyze_image(data, partial(pipeline.result().analyze, landmarks=landmarks))

    def follow(key: str, data: bytes, *, landmarks: bool = settings.landmarks) -> Analysis:
        return sessions.analyze(key, data, landmarks=landmarks)

    options = AppOptions(
        analyze=analyze,
        follow=follow,
        explain=lambda pixels_bgr, faces: explainer()(pixels_bgr, faces),  # noqa: PLW0108 - made when first needed
        to_png=lambda snapshot: jpeg_to_png(snapshot.jpeg),
        catalog=components.catalog,
        recorder=components.recorder,
        browser_recorder=components.browser_recorder,
        sessions=components.sessions,
        exports=components.exports,
        privacy=components.privacy,
        adjustment=components.adjustment,
        landmarks=components.landmarks,
        model_name=settings.model.name,
        unsure=settings.unsure,
        min_quality=settings.min_quality,
        detectors=detectors,
        jobs=jobs,
        baselines=lambda key: components.baselines if key is None else sessions.baselines(key),
        outputs=components.outputs,
        host=settings.host,
        token=token,
        names=settings.names,
        embed=settings.embed,
        base_path=settings.base_path,
    )
    return create_app(camera, options)


def announce(settings: Settings, camera: VideoCamera, server: Server, token: str | None) -> None:
    """Log the address to open, the source and the detector."""
    from mien.detectors import choose_detector
    from web.addresses import is_loopback

    # A token that the user has chosen is not repeated: logs are read by others and kept.
    query = f"/?token={token}" if token and settings.token is None else ""
    note = "; it asks for the token you have set" if settings.token else ""
    log.info("%s: open %s%s (Ctrl-C stops)%s", camera.status().name, server.url + settings.base_path, query, note)
    detector = choose_detector(settings.detector, settings.detector_model)
    log.info("face detector: %s%s", detector, " (auto)" if settings.detector == "auto" != detector else "")
    if not is_loopback(settings.host):
        log.info("open to the network: on another computer, replace the host by this computer's name or address")


def leave(status: int) -> NoReturn:
    """End the process at once: everything is closed by now, and unloading TensorFlow would take seconds."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # a closed pipe, or no console
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    from mien.process import copy_standard_error

    copy_standard_error()
    leave(main())

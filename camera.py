"""Entry point to live video: VideoCamera owns one source and gives all viewers the same analyzed frames.

    with VideoCamera("demo") as camera:
        jpeg = camera.get_frame()

Two threads: the capture thread reads the source and keeps only the newest frame; the inference thread analyzes it and
publishes picture and analysis together. There is no queue, so the delay cannot grow. While faces are known, a
detection that is due runs after the frame has been published, before the next one is analyzed. Pictures are drawn and
encoded on demand, once for all viewers. A third thread replaces the inference thread if it hangs or ends.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mien.analysis.face_stream import FaceStream
from mien.analysis.pipeline import Pipeline
from mien.errors import SourceError
from mien.loading import Loading
from mien.recording.video import Saving, VideoWriter
from mien.sources import Source, is_same_file, source_kind
from mien.stream.config import CameraOptions, Services, Timeouts
from mien.stream.health import Health, PlaceholderSchedule
from mien.stream.publisher import Publisher
from mien.stream.supervisor import Supervisor
from mien.stream.switcher import Switcher
from mien.types import Frame, SourceStatus

STOP_WITHIN_S = 2.5
REPEAT_AFTER_S = 1.0
"""`get_frame` returns a frame again that is still the newest after this long."""

log = logging.getLogger(__name__)


def default_pipeline() -> Pipeline:
    """The pipeline of `python main.py` without options: the default detector and model.json beside this file."""
    # Imported here: Keras takes seconds to load, which is not needed where a pipeline is given.
    from mien.detectors import create_detector
    from model import FacialExpressionModel

    return Pipeline(create_detector(), FacialExpressionModel())


class VideoCamera:
    """One source, opened once and analyzed once, for any number of viewers; thread-safe. Starts and stops once.

    `snapshots` has the newest annotated picture with its analysis, or a placeholder that states the problem.

        with VideoCamera("0") as camera:
            jpeg = camera.get_frame()
            print(camera.status().fps)

    Args:
        source: `auto`, `demo`, a webcam index, a file or an address, as `mien.sources.open_source` takes it.
        pipeline: Analyzes frames. A `Loading` pipeline is loaded while the source is being opened. By default
            `default_pipeline()`, loaded by `start`.
        options: What it requests from the source, shows and saves.
        timeouts: How long it waits for a source.
        services: The functions it calls; tests replace what needs hardware or time.
        **changes: Fields of `options` by name: VideoCamera("clip.mp4", loop=False, jpeg_quality=90).
    """

    def __init__(
        self,
        source: str = "auto",
        pipeline: Pipeline | Loading[Pipeline] | None = None,
        *,
        options: CameraOptions | None = None,
        timeouts: Timeouts | None = None,
        services: Services | None = None,
        **changes: Any,
    ) -> None:
        self._pipeline = Loading(default_pipeline) if pipeline is None else pipeline
        self._loaded: Pipeline | None = None
        self._numbers = itertools.count(1)  # of faces, never used again, also after an analysis was abandoned
        self._options = options = replace(options or CameraOptions(), **changes)
        self._timeouts = timeouts = timeouts or Timeouts()
        self._services = services = services or Services()
        self._writer: VideoWriter | None = None
        self._publisher = Publisher(services, size=options.size, quality=options.jpeg_quality)
        self.snapshots = self._publisher.snapshots
        self._switcher = Switcher(
            source,
            self._open,
            idle_after_s=options.idle_after_s if options.releases_when_idle else None,
            services=services,
            timeouts=timeouts,
        )
        self._health = Health(services.clock, timeouts.hang_after_s)
        self._starting = threading.RLock()
        self._begun = False  # whether `start` was called
        self._started = False
        self._stopping = threading.Event()
        self._inference = Supervisor(self._infer, self._health, services, timeouts)
        self._seen = threading.local()
        # The rest belongs to the inference thread.
        self._placeholders = PlaceholderSchedule(services.clock)

    def start(self) -> None:
        """Open the source, load the pipeline and start both threads; may be called again.

        Returns when the source is open (for a URL, immediately) and the pipeline is loaded. A file is opened after the
        pipeline is loaded, so that none of its frames is missed; other sources are opened before.

        Raises:
            SourceMissingError, SourceError: The source cannot be opened, or the camera was stopped.
            SettingsError: `save` cannot be written.
            ModelError, DetectorError: The pipeline cannot be loaded.
        """
        with self._starting:
            if self._started:
                return
            if self._stopping.is_set():
                raise SourceError("this camera was stopped; make a new one")
            self._begun = True
            try:
                if self._options.save is not None:
                    self._writer = VideoWriter(self._options.save, self._options.fps)
                self._load_and_open()
                if self._loaded is None:
                    return  # cancelled
                if self._stopping.is_set():
                    raise SourceError("the camera was stopped while it started")
                self._started = True
                self._placeholders.starting()
                self._inference.start()
            except BaseException:
                self.stop()
                raise

    def stop(self) -> None:
        """End both threads within 3 s, release the device and finish the saved video. May be called again."""
        self._stopping.set()
        deadline_s = time.monotonic() + STOP_WITHIN_S
        self._inference.stop(1.0)
        self._switcher.stop(timeout_s=0.7)
        if self._writer is not None:
            self._writer.close(max(0.1, deadline_s - time.monotonic()))
        self.snapshots.close()

    def __enter__(self) -> VideoCamera:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    def get_frame(self) -> bytes:
        """The next annotated frame as JPEG; starts the camera if necessary.

        A thread never gets a frame twice, unless there is no new one within REPEAT_AFTER_S; a slow one skips frames.

        Raises:
            SourceError: The camera is stopped.
            MienError: As `start`.
        """
        self.start()
        while not self.snapshots.closed:
            self.keep_awake()
            sequence, snapshot = self.snapshots.wait(getattr(self._seen, "sequence", 0), REPEAT_AFTER_S)
            if snapshot is not None:
                self._seen.sequence = sequence
                return snapshot.jpeg
        raise SourceError("the camera is stopped")

    def keep_awake(self) -> None:
        """Note that somebody watches: an idle source is opened again, and stays open. Returns at once."""
        self._switcher.keep_awake()

    def switch(self, source: str) -> SourceStatus:
        """Replace the source for all viewers; returns its status when it is open.

        Args:
            source: As for the camera itself.

        Raises:
            SourceMissingError, SourceError: It cannot be opened; the current source continues.
        """
        with self._starting:  # a camera that is about to start opens its first source first
            path = None if self._writer is None else self._writer.path
        if path is not None and is_same_file(path, source):
            raise SourceError(f"{path.name} is being written: it cannot be played")
        self._switcher.switch(source)
        return self.status()

    @property
    def in_use(self) -> str | None:
        """The source that is open, such as "0"; None while it is idle."""
        return self._switcher.spec

    @property
    def saving(self) -> Saving | None:
        """The state of the saved video; None without `save`."""
        return None if self._writer is None else self._writer.status()

    @property
    def failed(self) -> str | None:
        """Why no frame can be analyzed any more, whatever is tried, so that only a new process helps; None normally."""
        return self._inference.failed

    def status(self) -> SourceStatus:
        """The state of the source, and the analyzed frames per second over the last 2 s."""
        status = self._switcher.status()
        halted = replace(status, retry_in_s=None, failing=None)
        if self._stopping.is_set():
            return replace(halted, state="ended", reason="stopped")
        if not self._begun:
            return replace(halted, state="resting", reason="not started yet")
        if self._is_loading:
            return replace(halted, state="loading", reason="loading the network")
        return self._health.complete(status)

    def show_again(self) -> None:
        """Publish the newest frame again, after `prepare` has changed; returns when it is published."""
        self._publisher.republish()

    def _open(self, spec: str, wanted: Callable[[], bool]) -> Source:
        options = self._options
        return self._services.open(
            spec, size=options.size, fps=options.fps, loop=options.loop, insecure=options.insecure, wanted=wanted
        )

    # --- while it starts

    @property
    def _is_loading(self) -> bool:
        return isinstance(self._pipeline, Loading) and not self._pipeline.done

    def _load_and_open(self) -> None:
        """Load the pipeline and open the source, a file last: it plays from then on."""
        steps = [self._switcher.start, self._wait_for_pipeline]
        if isinstance(self._pipeline, Loading):
            self._pipeline.start()
        if source_kind(self._switcher.spec or "") == "file":
            steps.reverse()
        self._placeholders.starting()
        for step in steps:
            step()

    def _wait_for_pipeline(self) -> None:
        """Make the stream of faces once its pipeline is loaded; until then, placeholders say that it is loading."""
        pipeline = self._pipeline
        if isinstance(pipeline, Loading):
            while not pipeline.wait(self._timeouts.tick_s):
                if self._services.cancelled():
                    return
                if self._stopping.is_set():
                    raise SourceError("the camera was stopped while it started")
                self._publish_placeholder()
            pipeline = pipeline.result()
        self._loaded = pipeline

    # --- in the inference thread

    def _infer(self, current: Callable[[], bool]) -> None:
        """Analyze frames until `current` returns False: the camera was stopped, or this thread has been replaced."""
        assert self._loaded is not None
        faces = self._services.make_stream(self._loaded, self._numbers)
        seen = 0
        while current():
            try:
                seen = self._infer_next(seen, faces, current)
            except BaseException as error:  # of any kind: report it, and continue
                if self._health.failed(f"the analysis failed: {type(error).__name__}: {error}"):
                    log.exception("the analysis failed")
                self._stopping.wait(self._timeouts.tick_s)

    def _infer_next(self, seen: int, faces: FaceStream, current: Callable[[], bool]) -> int:
        """Analyze the frame after number `seen`, if there is one; returns the number of the last one."""
        sequence, frame = self._switcher.frames.wait(seen, self._timeouts.tick_s)
        if frame is not None and sequence > seen:
            seen = sequence
            if not self._switcher.idle:  # else it was captured just before the source was released
                with self._health.busy():
                    self._process(frame, faces, current)
        if current():
            self._switcher.watch()
            self._publish_placeholder(seen)
        return seen

    def _process(self, frame: Frame, faces: FaceStream, current: Callable[[], bool]) -> None:
        """Analyze and publish one frame; `status` and the placeholder report failures."""
        try:
            landmarks = self._services.landmarks()
            analysis = faces.analyze(frame, frame.captured_at, landmarks=landmarks)
            if not current():
                return
            analysis = self._services.compare(analysis, frame.captured_at)
            annotated = self._publisher.publish(frame, analysis)
            if self._writer is not None:
                self._writer.write(annotated(), frame.captured_at)
            faces.detect_deferred()
        except BaseException as error:  # of a model or detector, of any kind: report it, continue with the next frame
            if not current():
                return
            faces.reset()
            if self._health.failed(f"the analysis failed: {type(error).__name__}: {error}"):
                log.exception("a frame could not be analyzed")
            return
        self._placeholders.flowing()
        if self._health.succeeded():
            log.info("frames can be analyzed again")

    def _publish_placeholder(self, seen: int = 0) -> None:
        """While there are no analyzed frames after number `seen`, publish a placeholder with the reason."""
        status = self.status()
        if status.state == "ended":
            caught_up = self._switcher.frames.peek()[0] == seen  # read last: a frame may come just before the end
            if caught_up and self._writer is not None:
                self._writer.finish_file()
            if not caught_up or self.snapshots.peek()[1] is not None:
                return  # the last frame stays
        if lines := self._placeholders.pending(status):
            self._publisher.publish_placeholder(lines)

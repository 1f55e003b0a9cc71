"""The door to the moving picture: VideoCamera owns one source and gives every viewer the same analysed frames.

    with VideoCamera("demo") as camera:
        jpeg = camera.get_frame()

Two threads: capture reads and keeps only the newest frame; inference takes the newest, analyses it and publishes
picture and analysis together. There is no queue, so delay can not grow. Where faces are known, a detection that is due
takes place once the picture is shown, in the time until the next one. A picture is drawn and encoded when somebody
looks, once for all who do.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Any

from mien.analysis.face_stream import FaceStream
from mien.analysis.pipeline import Pipeline
from mien.errors import SourceError
from mien.recording.video import Saving, VideoWriter
from mien.sources import Source, is_same_file
from mien.stream.config import CameraOptions, Services, Timeouts
from mien.stream.health import Notices, Pulse
from mien.stream.publisher import Screen
from mien.stream.switcher import Feed
from mien.types import Frame, SourceStatus

STOP_WITHIN_S = 2.5

log = logging.getLogger(__name__)


def default_pipeline() -> Pipeline:
    """The pipeline of `python main.py` without options: Haar cascade and model.json beside this file."""
    # Imported here: Keras takes seconds to load, and who hands in a pipeline need not wait for it.
    from mien.detectors import create_detector
    from model import FacialExpressionModel

    return Pipeline(create_detector("haar"), FacialExpressionModel())


class VideoCamera:
    """One source, opened once and analysed once, for any number of viewers. Used once: start, then stop.

    Args:
        source: `auto`, `demo`, a webcam index, a file or an address, as `mien.sources.open_source` takes it.
        pipeline: Analyses frames; by default `default_pipeline()`, loaded by `start`.
        options: What it shows and keeps.
        timeouts: How long it waits for a source.
        services: The functions it calls; tests replace what needs hardware or time.
        changes: Fields of `options` by name: VideoCamera("clip.mp4", loop=False, jpeg_quality=90).

    `snapshots` has the newest annotated picture with its analysis, or a placeholder that says what is amiss.
    """

    def __init__(
        self,
        source: str = "auto",
        pipeline: Pipeline | None = None,
        *,
        options: CameraOptions | None = None,
        timeouts: Timeouts | None = None,
        services: Services | None = None,
        **changes: Any,
    ) -> None:
        self._pipeline = pipeline
        self._faces: FaceStream | None = None
        self._options = options = replace(options or CameraOptions(), **changes)
        self._timeouts = timeouts = timeouts or Timeouts()
        self._services = services = services or Services()
        self._screen = Screen(services, size=options.size, quality=options.jpeg_quality)
        self.snapshots = self._screen.snapshots
        self._feed = Feed(
            source,
            self._open,
            idle_after_s=options.idle_after_s if options.releases_when_idle else None,
            services=services,
            timeouts=timeouts,
        )
        self._pulse = Pulse(services.clock, timeouts.hang_after_s)
        self._starting = threading.RLock()
        self._started = False
        self._stopping = threading.Event()
        self._inference: threading.Thread | None = None
        self._seen = threading.local()
        # The rest belongs to the inference thread.
        self._notices = Notices(services.clock)

    def start(self) -> None:
        """Open the source and start; returns when it is open. Does nothing when already started.

        A network camera may come later: for a URL it returns at once and keeps trying.
        Raises SourceMissingError, SourceError (webcam busy or missing), SettingsError (`save` can not be
        written), ModelError or DetectorError.
        """
        with self._starting:
            if self._started:
                return
            if self._stopping.is_set():
                raise SourceError("this camera was stopped; make a new one")
            try:
                if self._options.save is not None:
                    self._screen.writer = VideoWriter(self._options.save, self._options.fps)
                if self._pipeline is None:
                    self._pipeline = default_pipeline()
                self._faces = self._services.make_stream(self._pipeline)
                self._feed.start()
                if self._stopping.is_set():
                    raise SourceError("the camera was stopped while it started")
                self._started = True
                self._notices.starting()
                inference = threading.Thread(target=self._infer, name="inference", daemon=True)
                inference.start()
                self._inference = inference  # once it runs: who stops the camera meanwhile could not wait for it
            except BaseException:
                self.stop()
                raise

    def stop(self) -> None:
        """End both threads within 3 s, release the device, finish the saved video. May be called twice."""
        self._stopping.set()
        deadline_s = time.monotonic() + STOP_WITHIN_S
        if self._inference is not None and self._inference is not threading.current_thread():
            self._inference.join(1.0)
            if self._inference.is_alive():
                log.warning("the analysis did not end within 1 s")
        self._feed.stop(timeout_s=0.7)
        if self._screen.writer is not None:
            self._screen.writer.close(max(0.1, deadline_s - time.monotonic()))
        self.snapshots.close()

    def __enter__(self) -> VideoCamera:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    def get_frame(self) -> bytes:
        """The next annotated frame as a JPEG file; starts the camera on first use.

        Each thread that calls gets every frame at most once, but waits no longer than 1 s: then it gets the
        same again. Raises SourceError once stopped, and what `start` raises.
        """
        self.start()
        while not self.snapshots.closed:
            self.keep_awake()
            sequence, snapshot = self.snapshots.wait(getattr(self._seen, "sequence", 0), timeout_s=1.0)
            if snapshot is not None:
                self._seen.sequence = sequence
                return snapshot.jpeg
        raise SourceError("the camera is stopped")

    def keep_awake(self) -> None:
        """Somebody wants frames: a source that rests wakes, the next rest is put off. Returns at once."""
        self._feed.keep_awake()

    def switch(self, source: str) -> SourceStatus:
        """Show another source to all viewers from now on; returns when it is open, with its status.

        source: as for the camera itself. Where it can not be opened, raises SourceMissingError or SourceError, and the
        present one goes on (see mien.stream.switcher.Feed.switch).
        """
        writer = self._screen.writer
        if writer is not None and writer.path is not None and is_same_file(writer.path, source):
            raise SourceError(f"{writer.path.name} is being written: it can not be played")
        self._feed.switch(source)
        return self.status()

    @property
    def in_use(self) -> str | None:
        """The source that is open, such as "0"; None while it rests."""
        return self._feed.spec

    @property
    def saving(self) -> Saving | None:
        """What is being saved; None without `save`."""
        writer = self._screen.writer
        return None if writer is None else writer.status()

    def status(self) -> SourceStatus:
        """What the source does now, and the analysed frames a second over the last 2 s."""
        status = self._feed.status()
        if self._stopping.is_set():
            return SourceStatus(status.name, "ended", "stopped")
        if not self._started:
            return SourceStatus(status.name, "resting", "not started yet")
        return self._pulse.complete(status)

    def show_again(self) -> None:
        """Publish the newest frame anew, after `prepare` was told to do otherwise; returns when it is published."""
        self._screen.show_again()

    def _open(self, spec: str, wanted: Callable[[], bool]) -> Source:
        options = self._options
        return self._services.open(spec, size=options.size, fps=options.fps, loop=options.loop, wanted=wanted)

    # --- in the inference thread

    def _infer(self) -> None:
        seen = 0
        try:
            while not self._stopping.is_set():
                sequence, frame = self._feed.frames.wait(seen, self._timeouts.tick_s)
                if frame is not None and sequence > seen:
                    seen = sequence
                    if not self._feed.resting:  # captured just before it went to rest: its time is over
                        with self._pulse.busy():
                            self._process(frame)
                self._feed.watch()
                self._tell(caught_up=self._feed.frames.peek()[0] == seen)
        except Exception:  # the stream is over, but must not end without a word
            log.exception("the analysis ended unexpectedly")
            self._pulse.fail("the analysis ended unexpectedly; see the log")

    def _process(self, frame: Frame) -> None:
        """Analyse and publish one frame; what goes wrong is kept for `status` and the placeholder."""
        assert self._faces is not None
        try:
            self._screen.show(frame, self._faces.analyze(frame, frame.captured_at))
            self._faces.detect_deferred()
        except Exception as error:  # whatever a model or detector throws: say so and go on with the next frame
            if self._pulse.fail(f"the analysis failed: {type(error).__name__}: {error}"):
                log.exception("a frame could not be analysed")
            return
        self._notices.flowing()
        if self._pulse.beat():
            log.info("frames can be analysed again")

    def _tell(self, caught_up: bool) -> None:
        """While no analysed frames flow, publish a placeholder that says why."""
        status = self.status()
        if status.state == "ended":
            if caught_up and self._screen.writer is not None:
                self._screen.writer.finish_file()
            if not caught_up or self.snapshots.peek()[1] is not None:
                return  # the last picture stays
        if lines := self._notices.due(status):
            self._screen.tell(lines)

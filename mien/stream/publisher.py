"""What viewers see: each frame as it may be shown, encoded when somebody looks, and placeholders."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar, cast

import numpy as np

from mien.clock import Clock
from mien.images.codecs import encode_jpeg
from mien.recording.video import VideoWriter
from mien.stream.config import Services
from mien.stream.latest import Latest
from mien.types import Analysis, Frame, Snapshot

T = TypeVar("T")


class Screen:
    """Publishes snapshots, one at a time. A picture is drawn and encoded when somebody looks, once for all who do.

    Args:
        services: Whose `prepare`, `record`, `draw`, `placeholder` and `clock` are used.
        size: (width, height) of placeholders in pixels, until the first frame.
        quality: Of the JPEGs, 1..100.
    """

    def __init__(self, services: Services, *, size: tuple[int, int], quality: int) -> None:
        self.snapshots: Latest[Snapshot] = Latest()
        self.writer: VideoWriter | None = None
        """Gets the annotated frames."""
        self._services = services
        self._clock = services.clock
        self._size = size
        self._quality = quality
        self._lock = threading.Lock()  # guards the one below, and that frames are published as `prepare` gives them
        self._shown: tuple[Frame, Analysis] | None = None  # as captured

    def show(self, frame: Frame, analysis: Analysis) -> None:
        """Publish, record and save a frame."""
        self._size = (frame.width, frame.height)
        with self._lock:
            self._shown = (frame, analysis)
            frame, drawn = self._publish(frame, analysis)
        if self._services.record is not None:
            self._services.record(frame, analysis)
        if self.writer is not None:
            self.writer.write(drawn(), frame.captured_at)

    def show_again(self) -> None:
        """Publish the newest frame anew, after `prepare` was told to do otherwise; returns when it is published."""
        with self._lock:
            _, newest = self.snapshots.peek()
            if self._shown is None or newest is None or newest.frame is None:
                return
            try:
                self._publish(*self._shown)
            except BaseException:  # whatever it is: what `prepare` would not let pass may not stay
                self.tell(["The picture can not be prepared"])
                raise

    def tell(self, lines: Sequence[str]) -> None:
        """Publish a placeholder."""
        self.snapshots.publish(Snapshot(encode_jpeg(self._services.placeholder(*self._size, lines), self._quality)))

    def _publish(self, frame: Frame, analysis: Analysis) -> tuple[Frame, Once[np.ndarray]]:
        """Gives the frame as it may be shown, and that drawn upon."""
        if self._services.prepare is not None:
            frame = self._services.prepare(frame, analysis)
        pictures = Pictures(frame, analysis, self._services.draw, self._quality, self._clock)
        latency_ms = max(0.0, (self._clock.wall() - frame.captured_at) * 1000)
        self.snapshots.publish(Snapshot(pictures.annotated, frame, analysis, latency_ms, pictures.plain))
        return frame, pictures.drawn


class Once(Generic[T]):
    """Call it for the value; it is made by the first call, at most once, and other threads wait for that one.

    make: called without arguments, and let go of when it has given the value. What it raises is raised to who asked,
    and the next who asks tries again. now: a clock in seconds.
    """

    def __init__(self, make: Callable[[], T], now: Callable[[], float] = time.perf_counter) -> None:
        self.took_ms = 0.0
        """Milliseconds the making took; 0 until then."""
        self._make: Callable[[], T] | None = make
        self._now = now
        self._lock = threading.Lock()
        self._value: T | None = None

    def __call__(self) -> T:
        """The value."""
        with self._lock:
            if self._make is not None:
                start_s = self._now()
                self._value = self._make()
                self._make = None  # it may hold pictures that nobody needs any more
                self.took_ms = (self._now() - start_s) * 1000
            return cast(T, self._value)


class Pictures:
    """Each is made when first asked for, and once for all who ask.

    drawn: the frame with boxes and labels, uint8 (height, width, 3), not to be changed. annotated: the same as JPEG.
    plain: the frame as it is, as JPEG. annotate: draws on a copy of a frame. quality: of the JPEG, 1..100.
    """

    def __init__(
        self,
        frame: Frame,
        analysis: Analysis,
        annotate: Callable[[Frame, Analysis], np.ndarray],
        quality: int,
        clock: Clock,
    ) -> None:
        self.drawn = Once(lambda: annotate(frame, analysis), clock.monotonic)
        self.annotated = Once(lambda: encode_jpeg(self.drawn(), quality), clock.monotonic)
        self.plain = Once(lambda: encode_jpeg(frame.pixels_bgr, quality), clock.monotonic)

"""Publishes what viewers see: frames as they may be shown, drawn and encoded on demand, and placeholders."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar, cast

import numpy as np

from mien.images.codecs import encode_jpeg
from mien.stream.config import Services
from mien.stream.latest import Latest
from mien.types import Analysis, Frame, Snapshot

T = TypeVar("T")


class Publisher:
    """Publishes snapshots, each of a picture and its analysis; a picture is drawn and encoded once, on demand.

        publisher = Publisher(Services(), size=(1280, 720), quality=80)
        publisher.publish(frame, analysis)
        jpeg = publisher.snapshots.peek()[1].jpeg

    Args:
        services: Whose `prepare`, `record`, `draw`, `placeholder` and `clock` are used.
        size: (width, height) of placeholders in pixels, until the first frame.
        quality: Of the JPEGs, 1..100.
    """

    def __init__(self, services: Services, *, size: tuple[int, int], quality: int) -> None:
        self.snapshots: Latest[Snapshot] = Latest()
        self._services = services
        self._clock = services.clock
        self._size = size
        self._quality = quality
        self._lock = threading.Lock()  # guards the one below; `prepare` and publishing are one step
        self._newest: tuple[Frame, Analysis] | None = None  # as captured

    def publish(self, frame: Frame, analysis: Analysis) -> Lazy[np.ndarray]:
        """Publish and record a frame.

        Args:
            frame: The frame as it was captured.
            analysis: What was found in it.

        Returns:
            The published picture with boxes and labels: uint8 (height, width, 3), BGR.
        """
        self._size = (frame.width, frame.height)
        with self._lock:
            self._newest = (frame, analysis)
            frame, drawn = self._publish(frame, analysis)
        if self._services.record is not None:
            self._services.record(frame, analysis)
        return drawn

    def republish(self) -> None:
        """Publish the newest frame again, after `prepare` has changed; returns when it is published."""
        with self._lock:
            _, snapshot = self.snapshots.peek()
            if self._newest is None or snapshot is None or snapshot.frame is None:
                return
            try:
                self._publish(*self._newest)
            except BaseException:  # the picture from before the change must not stay
                self.publish_placeholder(["The picture cannot be prepared"])
                raise

    def publish_placeholder(self, lines: Sequence[str]) -> None:
        """Publish a picture with text instead of a frame.

        Args:
            lines: The text; the first line is drawn larger.
        """
        self.snapshots.publish(Snapshot(encode_jpeg(self._services.placeholder(*self._size, lines), self._quality)))

    def _publish(self, frame: Frame, analysis: Analysis) -> tuple[Frame, Lazy[np.ndarray]]:
        """Returns the frame as it may be shown, and its pixels with boxes and labels."""
        if self._services.prepare is not None:
            frame = self._services.prepare(frame, analysis)
        # Each is computed when a viewer first needs it, in the viewer's thread, and shared by all.
        drawn = Lazy(lambda: self._services.draw(frame, analysis), self._clock.monotonic)
        annotated = Lazy(lambda: encode_jpeg(drawn(), self._quality), self._clock.monotonic)
        plain = Lazy(lambda: encode_jpeg(frame.pixels_bgr, self._quality), self._clock.monotonic)
        latency_ms = max(0.0, (self._clock.wall() - frame.captured_at) * 1000)
        self.snapshots.publish(Snapshot(annotated, frame, analysis, latency_ms, plain))
        return frame, drawn


class Lazy(Generic[T]):
    """A value that is computed on the first call; thread-safe.

        drawn = Lazy(lambda: draw(frame, analysis))
        pixels = drawn()  # computed
        pixels = drawn()  # the same array

    Args:
        compute: Called at most once, unless it raises: then the caller gets the exception, and the next call tries
            again. Other threads wait. The function is released afterwards, with all it refers to.
        now: A clock in seconds.
    """

    def __init__(self, compute: Callable[[], T], now: Callable[[], float] = time.perf_counter) -> None:
        self.took_ms = 0.0
        """Milliseconds the computation took; 0 before."""
        self._compute: Callable[[], T] | None = compute
        self._now = now
        self._lock = threading.Lock()
        self._value: T | None = None

    def __call__(self) -> T:
        """The value."""
        with self._lock:
            if self._compute is not None:
                start_s = self._now()
                self._value = self._compute()
                self._compute = None  # it may refer to pictures that are no longer needed
                self.took_ms = (self._now() - start_s) * 1000
            return cast(T, self._value)

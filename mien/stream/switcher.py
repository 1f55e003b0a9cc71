"""The frames of whatever source is chosen: it can be switched for another, and rests while nobody wants it."""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
from collections.abc import Callable

from mien.errors import MienError, SourceError
from mien.sources import source_kind, source_name
from mien.sources.base import Source
from mien.stream.capture import Capture
from mien.stream.config import Services, Timeouts
from mien.stream.latest import Latest
from mien.types import Frame, SourceStatus

log = logging.getLogger(__name__)


class Feed:
    """One source at a time; `frames` has the newest frame, whichever source it is of.

    Args:
        spec: The source to open first.
        open_source: Opens a source, given its spec and a function that returns whether it is still wanted.
        idle_after_s: Without `keep_awake` for so many seconds the source is closed until the next one; None: never.
        services: Whose `clock` is used; while its `needed` returns True the source stays open.
        timeouts: How long to wait for a source.

    Each opening begins a stream with a number of its own (Frame.stream). Frames of one stream never come after those
    of a later one: the source that is on its way out is not listened to any more.
    """

    def __init__(
        self,
        spec: str,
        open_source: Callable[[str, Callable[[], bool]], Source],
        *,
        idle_after_s: float | None,
        services: Services,
        timeouts: Timeouts,
    ) -> None:
        self.frames: Latest[Frame] = Latest()
        self._open_source = open_source
        self._idle_after_s = idle_after_s
        self._services = services
        self._clock = services.clock
        self._timeouts = timeouts
        self._streams = itertools.count(1)
        self._changing = threading.Lock()  # held by who switches the source, lets it rest or wakes it
        self._lock = threading.Lock()  # guards the four below; nothing else is called with it held
        self._capture = self._make(spec, source_name(spec))
        self._next: Capture | None = None  # takes over when it is open
        self._resting = False
        self._stopped = False
        self._wanted_at_s = self._clock.monotonic()

    def start(self) -> None:
        """Open the source; returns when it is open, for a URL at once. Raises what `open_source` raises.

        For `auto` the demo takes the place of webcams that hang.
        """
        self.keep_awake()
        try:
            self._capture.start(patient=source_kind(self._capture.spec) == "url")
        except SourceError as error:
            if self._capture.spec != "auto":
                raise
            log.info("the demo takes its place: %s", error)
            self._appoint(self._make("demo", source_name("demo")), at_once=True)
            self._capture.start(patient=False)

    def stop(self, timeout_s: float = 1.0) -> None:
        """Close the source for good, and `frames`. One that hangs in a driver is left behind."""
        with self._lock:
            self._stopped = True
            captures = [self._capture, self._next]
        for capture in captures:
            if capture is not None:
                capture.stop(timeout_s)
        self.frames.close()

    def keep_awake(self) -> None:
        """Somebody wants frames: wake it if it rests, and put off the next rest. Returns at once."""
        self._wanted_at_s = self._clock.monotonic()

    def switch(self, spec: str) -> None:
        """Show another source from now on; returns when it is open.

        It is opened before the present one is closed, so that where it fails all goes on as it was. But a webcam is let
        go of first (it may be the same one, or share a USB bus), and is taken back where the other fails.
        Raises SourceMissingError or SourceError where the new one can not be opened.
        """
        new = self._make(spec, source_name(spec))
        with self._changing:
            old = self._capture
            let_go = not self._resting and _share_a_device(old.spec, spec)
            self._appoint(new, at_once=let_go)
            try:
                if let_go:
                    old.stop()
                new.start(patient=False)
            except MienError:
                with self._lock:
                    self._next = None
                if let_go:
                    self._resume(old)
                raise
            with self._lock:
                self._resting = False
            self.keep_awake()
            old.stop()
        if self._stopped:
            new.stop()
            raise SourceError("the camera is stopped")

    def watch(self) -> None:
        """Look whether the source hangs, should rest or should wake. To be called now and then, by one thread."""
        self._capture.watch()
        if self._idle_after_s is None or self._stopped or not self._changing.acquire(blocking=False):
            return
        try:
            idle = self._clock.monotonic() - self._wanted_at_s >= self._idle_after_s and not self._services.needed()
            if self._resting and not idle:
                with contextlib.suppress(SourceError):  # stopped meanwhile
                    self._resume(self._capture)
            elif idle and not self._resting and self._capture.status().state != "ended":
                self._rest()
        finally:
            self._changing.release()

    @property
    def resting(self) -> bool:
        """Whether the source is closed because nobody wants it."""
        return self._resting

    @property
    def spec(self) -> str | None:
        """What is open, so not for anybody else to open; None while it rests."""
        return None if self._resting else self._capture.spec

    def status(self) -> SourceStatus:
        """What the source does now."""
        status = self._capture.status()
        return SourceStatus(status.name, "resting", "nobody watches") if self._resting else status

    # --- changes

    def _make(self, spec: str, name: str) -> Capture:
        return Capture(spec, name, self._open_source, self, self._services, self._timeouts)

    def _appoint(self, capture: Capture, *, at_once: bool) -> None:
        with self._lock:
            if self._stopped:
                raise SourceError("the camera is stopped")
            if at_once:
                self._capture, self._next = capture, None
            else:
                self._next = capture

    def _resume(self, old: Capture) -> None:
        """Open again what was open before, and keep trying."""
        again = self._make(old.spec, old.status().name)
        self._appoint(again, at_once=True)
        again.start(patient=True)
        with self._lock:
            self._resting = False

    def _rest(self) -> None:
        with self._lock:
            self._resting = True
        self._capture.stop()
        log.info("nobody watches: %s rests", self._capture.status().name)

    # --- called by captures, in their threads

    def begin(self, capture: Capture) -> int:
        """Count a new stream, unless the capture has been replaced."""
        with self._lock:
            if capture is self._next:
                self._capture, self._next = capture, None
            return next(self._streams) if capture is self._capture and not self._stopped else 0

    def deliver(self, capture: Capture, frame: Frame) -> None:
        """Publish a frame, unless the capture has been replaced."""
        with self._lock:
            if capture is self._capture:
                self.frames.publish(frame)


def _share_a_device(one: str, other: str) -> bool:
    kinds = {source_kind(one), source_kind(other)}
    return one == other or kinds <= {"webcam", "auto"}

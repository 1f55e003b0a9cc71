"""The frames of the selected source, which can be replaced at any time and is released while nobody watches."""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
from collections.abc import Callable
from dataclasses import replace

from mien.errors import MienError, SourceError
from mien.sources import source_kind, source_name
from mien.sources.base import Source
from mien.stream.capture import Capture
from mien.stream.config import Services, Timeouts
from mien.stream.latest import Latest
from mien.types import Frame, SourceStatus

log = logging.getLogger(__name__)


class Switcher:
    """One source at a time; `frames` has its newest frame. There is no queue, so the delay cannot grow.

    Each time a source is opened, a stream with a new number begins (`Frame.stream`). Frames of a stream never come
    after those of a later one: as soon as a source is replaced, its frames are ignored.

        switcher = Switcher("demo", open_source, idle_after_s=10, services=Services(), timeouts=Timeouts())
        switcher.start()
        sequence, frame = switcher.frames.wait(after=0, timeout_s=1.0)

    Args:
        spec: The source to open first.
        open_source: Opens a source, given its spec and a function that returns whether it is still wanted.
        idle_after_s: The source is closed this many seconds after the last `keep_awake`, until the next; None: never.
        services: Whose `clock` is used; while its `needed` returns True the source stays open.
        timeouts: How long to wait for a source.
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
        self._changing = threading.Lock()  # held while the source is switched, released or reopened
        self._lock = threading.Lock()  # guards the four below; no callback runs while it is held
        self._capture = self._make(spec, source_name(spec))
        self._next: Capture | None = None  # replaces the current one once it is open
        self._idle = False
        self._stopped = False
        self._wanted_at_s = self._clock.monotonic()

    def start(self) -> None:
        """Open the source; returns when it is open, for a URL at once. For `auto`, the demo replaces webcams that hang.

        Raises:
            SourceMissingError, SourceError: The source cannot be opened.
        """
        self.keep_awake()
        try:
            self._capture.start(background=source_kind(self._capture.spec) == "url")
        except SourceError as error:
            if self._capture.spec != "auto":
                raise
            log.info("using the demo instead: %s", error)
            self._install(self._make("demo", source_name("demo")), at_once=True)
            self._capture.start(background=False)

    def stop(self, timeout_s: float = 1.0) -> None:
        """Close the source and `frames` for good; a source that hangs in a driver is abandoned after `timeout_s`."""
        with self._lock:
            self._stopped = True
            captures = [self._capture, self._next]
        for capture in captures:
            if capture is not None:
                capture.stop(timeout_s)
        self.frames.close()

    def keep_awake(self) -> None:
        """Note that somebody watches: an idle source is reopened, and the idle time is reset. Returns at once."""
        self._wanted_at_s = self._clock.monotonic()

    def switch(self, spec: str) -> None:
        """Replace the source; returns when the new one is open.

        It is opened before the current one is closed, so that nothing changes if it fails. But a webcam is released
        before another one is opened (it may be the same one, or share a USB bus), and reopened if that fails.

        Args:
            spec: The new source, as `mien.sources.open_source` takes it.

        Raises:
            SourceMissingError, SourceError: The new source cannot be opened.
        """
        new = self._make(spec, source_name(spec))
        with self._changing:
            old = self._capture
            release_first = not self._idle and _share_a_device(old.spec, spec)
            self._install(new, at_once=release_first)
            try:
                if release_first:
                    old.stop()
                new.start(background=False)
            except MienError:
                with self._lock:
                    self._next = None
                if release_first:
                    self._reopen(old)
                raise
            with self._lock:
                self._idle = False
            self.keep_awake()
            old.stop()
        if self._stopped:
            new.stop()
            raise SourceError("the camera is stopped")

    def watch(self) -> None:
        """Restart a source that hangs, release or reopen it as needed; to be called regularly by one thread."""
        self._capture.watch()
        if self._idle_after_s is None or self._stopped or not self._changing.acquire(blocking=False):
            return
        try:
            unwatched = (
                self._clock.monotonic() - self._wanted_at_s >= self._idle_after_s and not self._services.needed()
            )
            if self._idle and not unwatched:
                with contextlib.suppress(SourceError):  # stopped meanwhile
                    self._reopen(self._capture)
            elif unwatched and not self._idle and self._capture.status().state != "ended":
                self._release()
        finally:
            self._changing.release()

    @property
    def idle(self) -> bool:
        """Whether the source is released because nobody watches."""
        return self._idle

    @property
    def spec(self) -> str | None:
        """The source that is open, such as "0"; None while it is idle."""
        return None if self._idle else self._capture.spec

    def status(self) -> SourceStatus:
        """The state of the source."""
        status = self._capture.status()
        if not self._idle:
            return status
        return replace(status, state="resting", reason="no viewers", retry_in_s=None, failing=None)

    # --- changes

    def _make(self, spec: str, name: str) -> Capture:
        return Capture(spec, name, self._open_source, self, self._services, self._timeouts)

    def _install(self, capture: Capture, *, at_once: bool) -> None:
        with self._lock:
            if self._stopped:
                raise SourceError("the camera is stopped")
            if at_once:
                self._capture, self._next = capture, None
            else:
                self._next = capture

    def _reopen(self, old: Capture) -> None:
        """Open the source of an earlier capture again, and keep trying."""
        again = self._make(old.spec, old.status().name)
        self._install(again, at_once=True)
        again.start(background=True)
        with self._lock:
            self._idle = False

    def _release(self) -> None:
        with self._lock:
            self._idle = True
        self._capture.stop()
        log.info("no viewers: %s is released", self._capture.status().name)

    # --- called by captures, in their threads

    def begin(self, capture: Capture) -> int:
        """As `Receiver.begin`: count a new stream, unless the capture has been replaced."""
        with self._lock:
            if capture is self._next:
                self._capture, self._next = capture, None
            return next(self._streams) if capture is self._capture and not self._stopped else 0

    def deliver(self, capture: Capture, frame: Frame) -> None:
        """As `Receiver.deliver`: publish a frame, unless the capture has been replaced."""
        with self._lock:
            if capture is self._capture:
                self.frames.publish(frame)


def _share_a_device(one: str, other: str) -> bool:
    kinds = {source_kind(one), source_kind(other)}
    return one == other or kinds <= {"webcam", "auto"}

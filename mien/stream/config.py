"""How a camera is set up: its options, how long it waits for a source, and the functions it calls."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mien.analysis.face_stream import FaceStream
from mien.analysis.pipeline import Pipeline
from mien.clock import Clock
from mien.images import draw as drawing
from mien.sources import Source, open_source
from mien.types import Analysis, Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraOptions:
    """What a camera requests from its source, shows and saves.

        options = CameraOptions(size=(640, 480), loop=False)
        camera = VideoCamera("clip.mp4", options=options)

    Args:
        size: (width, height) in pixels requested from a webcam; also the size of placeholders before the first frame.
        fps: Frames per second requested from a webcam.
        loop: Whether a video file is repeated.
        insecure: Whether https and rtsps certificates of network cameras are accepted that cannot be verified.
        save: Path of an .mp4 file for the annotated video; see `mien.recording.video.VideoWriter`. None: not saved.
        jpeg_quality: Of the published pictures, 1..100.
        idle_after_s: After this many seconds without requests for frames, the device is released until the next
            request; never with `save` or without `loop`. None: never.

    Raises:
        ValueError: For a value out of range.
    """

    size: tuple[int, int] = (1280, 720)
    fps: float = 30
    loop: bool = True
    insecure: bool = False
    save: Path | str | None = None
    jpeg_quality: int = 80
    idle_after_s: float | None = None

    def __post_init__(self) -> None:
        """Check all ranges."""
        _check(len(self.size) == 2 and min(self.size) >= 1, "size", "(width, height) in pixels", self.size)
        _check(0 < self.fps < math.inf, "fps", "a number above 0", self.fps)
        _check(1 <= self.jpeg_quality <= 100, "jpeg_quality", "1 to 100", self.jpeg_quality)
        idle_s = self.idle_after_s
        _check(idle_s is None or idle_s >= 0, "idle_after_s", "seconds or None", idle_s)

    @property
    def releases_when_idle(self) -> bool:
        """Whether the device may be released: a video that is saved or played once continues without viewers."""
        return self.idle_after_s is not None and self.save is None and self.loop


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long to wait for a source, in seconds.

        camera = VideoCamera("0", timeouts=Timeouts(hang_after_s=2.0))

    Args:
        hang_after_s: An open source that gives no frame for this long counts as hanging and is reopened.
        abandon_after_s: An analysis of one frame that takes longer is abandoned, and another thread takes over.
        open_within_s: An attempt to open a source fails after this long.
        backoff_s: First and longest pause before the source is opened again; the pause doubles with each failure, and
            is reset by a frame.
        login_retry_s: Shortest pause after a camera has refused user and password: some refusals may lock the account.
        tick_s: How often waiting threads check the clock.

    Raises:
        ValueError: For a value out of range.
    """

    hang_after_s: float = 5.0
    abandon_after_s: float = 15.0
    open_within_s: float = 15.0  # some webcams take 10 s on Windows
    backoff_s: tuple[float, float] = (0.5, 10.0)
    login_retry_s: float = 60.0
    tick_s: float = 0.1

    def __post_init__(self) -> None:
        """Check all ranges."""
        for name in ("hang_after_s", "abandon_after_s", "open_within_s", "login_retry_s", "tick_s"):
            _check(getattr(self, name) > 0, name, "seconds above 0", getattr(self, name))
        _check(0 <= self.backoff_s[0] <= self.backoff_s[1], "backoff_s", "(first, longest) in seconds", self.backoff_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The functions a camera calls; all have defaults, and tests replace what needs hardware or time.

        services = Services(record=lambda frame, analysis: print(len(analysis.faces)))
        camera = VideoCamera("demo", services=services)

    Args:
        open: Opens a source, called as open(spec, size=..., fps=..., loop=..., insecure=..., wanted=...).
        make_stream: Makes the `FaceStream` that analyzes the frames, given the pipeline and the numbers of its faces.
        draw: Draws the analysis on a copy of the frame: uint8 (height, width, 3), BGR.
        placeholder: Draws lines of text on a picture of (width, height).
        clock: Where the time comes from.
        prepare: Called with each frame and its analysis; returns the frame as it may be shown and saved. If it raises,
            nothing of the frame is shown. Called in the inference thread, like `record`.
        record: Called with each frame, as it was shown, and its analysis.
        compare: Called with each analysis and the time of its frame; returns it with what is known beyond this frame,
            such as how faces differ from their own rest.
        landmarks: Whether the landmarks of the faces are wanted in the next frame.
        needed: Whether frames are needed although nobody requests them, as while a session is recorded.
        renew: Called after an analysis was abandoned, to replace what may hang in it, such as the detector.
        cancelled: Once it returns True, `start` returns although source or pipeline are not ready yet.
    """

    open: Callable[..., Source] = open_source
    make_stream: Callable[[Pipeline, Iterator[int]], FaceStream] = lambda pipeline, numbers: FaceStream(
        pipeline, defer_detection=True, numbers=numbers
    )
    draw: Callable[[Frame, Analysis], np.ndarray] = drawing.annotate
    placeholder: Callable[[int, int, Sequence[str]], np.ndarray] = drawing.placeholder
    clock: Clock = field(default_factory=Clock)
    prepare: Callable[[Frame, Analysis], Frame] | None = None
    record: Callable[[Frame, Analysis], None] | None = None
    compare: Callable[[Analysis, float], Analysis] = lambda analysis, _: analysis
    landmarks: Callable[[], bool] = lambda: False
    needed: Callable[[], bool] = lambda: False
    renew: Callable[[], None] = lambda: None
    cancelled: Callable[[], bool] = lambda: False


def _check(accepted: bool, name: str, expected: str, found: object) -> None:
    if not accepted:
        raise ValueError(f"{name}: expected {expected}, found {found!r}")

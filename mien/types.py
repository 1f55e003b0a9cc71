"""The vocabulary every room shares: label order, frames, boxes, faces, analyses.

Imports numpy alone, so that any room may import it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

EXPRESSIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
"""The seven expressions in the one order used everywhere (the alphabetical order of FER-2013's folders)."""

SourceState = Literal["live", "file", "demo", "resting", "reconnecting", "ended"]
"""What a source is doing now; `live` is a webcam or a network camera, `file` a video or an image."""


@dataclass(frozen=True, slots=True)
class Box:
    """A bounding box in pixels of the original frame: left x, top y, width w, height h."""

    x: int
    y: int
    w: int
    h: int

    def __post_init__(self) -> None:
        if self.w <= 0 or self.h <= 0:
            raise ValueError(f"a box needs a positive width and height, found w={self.w}, h={self.h}")

    @property
    def area(self) -> int:
        """Area in square pixels."""
        return self.w * self.h

    def iou(self, other: Box) -> float:
        """Intersection over union with another box, 0..1."""
        shared = self.shared_area(other)
        return shared / (self.area + other.area - shared)

    def shared_area(self, other: Box) -> float:
        """What lies in both boxes, square pixels."""
        return shared_area((self.x, self.y, self.w, self.h), (other.x, other.y, other.w, other.h))


def shared_area(one: Sequence[float], other: Sequence[float]) -> float:
    """What lies in both of two boxes (x, y, w, h), to fractions of a pixel."""
    (x, y, w, h), (other_x, other_y, other_w, other_h) = one, other
    width = min(x + w, other_x + other_w) - max(x, other_x)
    height = min(y + h, other_y + other_h) - max(y, other_y)
    return max(0, width) * max(0, height)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture from a source.

    pixels_bgr: uint8 (height, width, 3), blue-green-red as OpenCV has it.
    index: 0, 1, 2, ... as captured. captured_at: seconds since the epoch.
    media_time_s: position in the file in seconds, None for a live source.
    truth: the expression shown, known for the demo alone; None while it morphs.
    stream: 1, 2, ... another each time a source is opened; 0 where there is one only.
    """

    pixels_bgr: np.ndarray
    index: int = 0
    captured_at: float = 0.0
    media_time_s: float | None = None
    truth: str | None = None
    stream: int = 0

    def __post_init__(self) -> None:
        pixels = self.pixels_bgr
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
            raise ValueError(
                f"a frame needs uint8 pixels of shape (height, width, 3), found {pixels.dtype} {pixels.shape}"
            )

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.pixels_bgr.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.pixels_bgr.shape[0])


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face of a frame and what its expression looks like.

    box: where it is. id: the same number for the same face over time, None without a tracker.
    probabilities: float32 (7,) in the order of EXPRESSIONS, smoothed over time where a tracker is used.
    raw: float32 (7,), as the network said for this frame alone.
    steady_label: the label where it is followed over time; it may trail the most probable expression a little.
    unsure: the confidence is too low to rely on the label.
    missed: detection looked for it and did not find it; it may be gone, and what is told of its expression is what the
    network said when it was there.
    """

    box: Box
    probabilities: np.ndarray
    raw: np.ndarray
    id: int | None = None
    steady_label: str | None = None
    unsure: bool = False
    missed: bool = False

    @property
    def label(self) -> str:
        """What the face is taken to show: the steady label, else the most probable of the seven expressions."""
        return self.steady_label or EXPRESSIONS[int(np.argmax(self.probabilities))]

    @property
    def confidence(self) -> float:
        """Probability of the label, 0..1."""
        return float(self.probabilities[EXPRESSIONS.index(self.label)])


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """What was found in one frame; faces from left to right, or by id where they are tracked.

    timing_ms: milliseconds spent in each stage (detect, track, classify, ...).
    """

    width: int
    height: int
    faces: tuple[Face, ...] = ()
    timing_ms: Mapping[str, float] = field(default_factory=dict)


class Encoded(Protocol):
    """An image file that is made when somebody first asks for it; `took_ms` is what that took, 0 until then."""

    took_ms: float

    def __call__(self) -> bytes:
        """The file."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A picture and what was found in it, always of the same frame.

    annotated, plain: the frame as JPEG, with boxes and labels and without; a placeholder ("reconnecting ...") has one
    picture for both. Pictures nobody looks at need not be encoded: hand in an `Encoded`, for which see
    mien.stream.publisher.
    frame: as it may be shown, so with faces covered where that is asked for; None for a placeholder, which has no
    analysis either. latency_ms: from capture to this snapshot, without what is encoded later.
    """

    annotated: bytes | Encoded
    frame: Frame | None = None
    analysis: Analysis | None = None
    latency_ms: float = 0.0
    plain: bytes | Encoded | None = None

    @property
    def jpeg(self) -> bytes:
        """The annotated picture."""
        return self.annotated if isinstance(self.annotated, bytes) else self.annotated()

    @property
    def plain_jpeg(self) -> bytes:
        """The picture without boxes and labels."""
        if self.plain is None:
            return self.jpeg
        return self.plain if isinstance(self.plain, bytes) else self.plain()

    @property
    def encoding_ms(self) -> float:
        """What encoding took, of the slower of the two; 0 while nobody has looked."""
        return max(0.0 if isinstance(each, bytes | None) else each.took_ms for each in (self.annotated, self.plain))


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """What the source of a stream is doing; `reason` says in one line why it is not flowing, else None.

    fps: analysed frames a second over the last 2 s. retry_in_s: seconds to the next try while reconnecting.
    """

    name: str
    state: SourceState
    reason: str | None = None
    retry_in_s: float | None = None
    fps: float = 0.0


def clip_box(x: float, y: float, w: float, h: float, width: int, height: int) -> Box | None:
    """The part of a box that lies inside a picture of width x height pixels, rounded; None where nothing does."""
    left, top = max(0, round(x)), max(0, round(y))
    right, bottom = min(width, round(x + w)), min(height, round(y + h))
    if right <= left or bottom <= top:
        return None
    return Box(left, top, right - left, bottom - top)

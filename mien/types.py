"""The types that all modules share: expressions, boxes, frames, faces, analyses.

Imports only numpy, so that every module may import it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

EXPRESSIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
"""The seven expressions, in the order used everywhere (FER-2013's folders, alphabetical)."""

BOX = ("x", "y", "w", "h")
"""The fields of a Box, as columns and in JSON."""

QUALITY_REASONS = ("small", "blurred", "dark", "overexposed", "turned away", "cut off", "covered")
"""Why a face cannot be read well; see `Quality`."""

SourceState = Literal["loading", "live", "file", "demo", "resting", "reconnecting", "ended"]
"""State of a source: `loading` while the program starts, `live` is a webcam or network camera, `file` a video or image,
`resting` idle and released."""

SourceType = Literal["webcam", "url", "video", "image", "demo"]
"""What a source is: `video` and `image` are files, `url` is a network camera or a video on a web server."""

Failing = Literal["source", "analysis"]
"""What keeps frames from being shown."""


@dataclass(frozen=True, slots=True)
class Box:
    """A bounding box in pixels of the original frame.

    Args:
        x: Left edge.
        y: Top edge.
        w: Width, at least 1.
        h: Height, at least 1.

    Raises:
        ValueError: Width or height is not positive.

    Example:
        a, b = Box(0, 0, 10, 10), Box(5, 0, 10, 10)
        a.iou(b)  # 0.333
    """

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
        """Intersection over union (IoU) with another box, 0 to 1."""
        shared = self.intersection(other)
        return shared / (self.area + other.area - shared)

    def intersection(self, other: Box) -> float:
        """Area of the intersection with another box, in square pixels."""
        return intersection((self.x, self.y, self.w, self.h), (other.x, other.y, other.w, other.h))


def intersection(one: Sequence[float], other: Sequence[float]) -> float:
    """Area of the intersection of two boxes (x, y, w, h), which may have fractions of a pixel."""
    (x, y, w, h), (other_x, other_y, other_w, other_h) = one, other
    width = min(x + w, other_x + other_w) - max(x, other_x)
    height = min(y + h, other_y + other_h) - max(y, other_y)
    return max(0, width) * max(0, height)


Landmarks = tuple[tuple[float, float], ...]
"""Five points (x, y) in pixels of the frame: right eye, left eye, nose, right and left corner of the mouth. A person's
right is on the left of the picture."""


@dataclass(frozen=True, slots=True)
class Detection(Box):
    """A face found by a detector: its bounding box, framed as the images of FER-2013 are.

    Args:
        found_by: Name of the detector.
        landmarks: Five points, see `Landmarks`; None for a detector that gives none.

    Example:
        for face in create_detector("centerface").detect(cv2.imread("photo.jpg")):
            print(face.found_by, face.landmarks[0])
    """

    found_by: str = ""
    landmarks: Landmarks | None = None

    @property
    def roll_deg(self) -> float:
        """Angle by which the face is turned clockwise in the picture, by eyes and mouth, -180 to 180; 0 if unknown."""
        if self.landmarks is None:
            return 0.0
        right_eye, left_eye, _, right_mouth, left_mouth = np.array(self.landmarks)
        down_x, down_y = (right_mouth + left_mouth - right_eye - left_eye) / 2
        # Without the mouth, the eyes of a face in profile would decide, which are too close together.
        across_x, across_y = left_eye - right_eye + np.array([down_y, -down_x])
        return float(np.degrees(np.arctan2(across_y, across_x)))

    def moved(self, box: Box) -> Detection:
        """The same face where its box is now, with its landmarks."""
        factor_x, factor_y = box.w / self.w, box.h / self.h
        points = self.landmarks and tuple(
            (box.x + (x - self.x) * factor_x, box.y + (y - self.y) * factor_y) for x, y in self.landmarks
        )
        return Detection(box.x, box.y, box.w, box.h, self.found_by, points)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture from a source.

    Args:
        pixels_bgr: uint8 (height, width, 3), blue-green-red as in OpenCV.
        index: 0, 1, 2, ... in the order of capture.
        captured_at: Time of capture, in seconds since the epoch.
        media_time_s: Position in the file in seconds; None for a live source.
        truth: The expression that the first face shows, known only for the demo; None while it changes.
        stream: 1, 2, ..., a new number each time a source is opened; 0 if there is only one.
        truths: The same for each face of the demo, from left to right; empty for other sources.
        covered: Whether privacy mode has pixelated it.

    Raises:
        ValueError: The pixels have another dtype or shape.

    Example:
        frame = Frame(cv2.imread("photo.jpg"))
    """

    pixels_bgr: np.ndarray
    index: int = 0
    captured_at: float = 0.0
    media_time_s: float | None = None
    truth: str | None = None
    stream: int = 0
    truths: tuple[str | None, ...] = ()
    covered: bool = False

    def __post_init__(self) -> None:
        check_pixels(self.pixels_bgr, "a frame")

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.pixels_bgr.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.pixels_bgr.shape[0])


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a face can be read, by its image alone.

    Args:
        value: 0..1, 1 for a flawless picture: how often a label is what people see, relative to flawless pictures.
        reason: One of QUALITY_REASONS, what costs the most; None for a face that can be read well.

    Raises:
        ValueError: The value is out of range, or there is no such reason.

    Example:
        quality = analysis.faces[0].quality
        print(quality.value, quality.reason or "")  # 0.41 dark
    """

    value: float
    reason: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.value <= 1:
            raise ValueError(f"quality: expected a value from 0 to 1, found {self.value}")
        if self.reason not in (None, *QUALITY_REASONS):
            raise ValueError(f"quality: expected one of {QUALITY_REASONS} or None, found {self.reason!r}")


HEAD_COLUMNS = ("yaw_deg", "pitch_deg", "roll_deg", "eye_left", "eye_right", "mouth", "blink")
"""Columns of tables that hold a `Head`, in the order of its fields."""


@dataclass(frozen=True, slots=True)
class Head:
    """Which way a head is turned, and how far eyes and mouth are open, from the landmarks of its face.

    Args:
        yaw_deg: Degrees to the person's left, which is the right of a picture that is not mirrored.
        pitch_deg: Degrees upward.
        roll_deg: Degrees by which it is tilted toward the person's left shoulder, clockwise in the picture.
        left_eye: Distance between the lids of the person's left eye, in widths of the eye.
        right_eye: The same of the right eye.
        mouth: Distance between the lips, in widths of the mouth.
        blink: Whether a blink of both eyes ended with this frame.

    Example:
        if face.head and abs(face.head.yaw_deg) > 30:
            print("turned away")
    """

    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    left_eye: float
    right_eye: float
    mouth: float
    blink: bool = False

    def to_dict(self) -> dict[str, float | bool]:
        """As plain types, ready for JSON: degrees to one decimal, openings to three."""
        return {
            "yaw_deg": round(self.yaw_deg, 1),
            "pitch_deg": round(self.pitch_deg, 1),
            "roll_deg": round(self.roll_deg, 1),
            "left_eye": round(self.left_eye, 3),
            "right_eye": round(self.right_eye, 3),
            "mouth": round(self.mouth, 3),
            "blink": self.blink,
        }

    def columns(self) -> dict[str, float | bool]:
        """The same under the names HEAD_COLUMNS, for tables."""
        return dict(zip(HEAD_COLUMNS, self.to_dict().values(), strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face of a frame and its expression.

    Args:
        box: Bounding box.
        probabilities: float32 (7,) in the order of EXPRESSIONS, smoothed over time if the face is tracked.
        raw: float32 (7,), the network's probabilities for this frame alone.
        id: Number of the face, the same over time; None if it is not tracked.
        smoothed_label: The smoothed label of a tracked face, which may lag the most probable expression a little.
        unsure: The confidence or the quality is too low to rely on the label.
        missed: The last detection did not find the face; its expression is that of when it was last found.
        people_share: Share of people who would name the label, 0..1, as the network estimates it; None for a network
            that has not learned from people's votes.
        quality: How well the face can be read; None where it was not measured.
        found_by: Name of the detector that last found the face; None if unknown.
        landmarks: float32 (468, 2), x and y in pixels of the frame, in the order of MediaPipe's face mesh; None where
            they were not asked for or not found.
        head: Pose, eyes and mouth, where there are landmarks.
        rest: float32 (7,), how much the log odds of each expression are above those of this face at rest; None where
            that was not measured, see `mien.analysis.baseline`.

    Example:
        face = analysis.faces[0]
        face.label, face.confidence  # "happy", 0.91
    """

    box: Box
    probabilities: np.ndarray
    raw: np.ndarray
    id: int | None = None
    smoothed_label: str | None = None
    unsure: bool = False
    missed: bool = False
    people_share: float | None = None
    quality: Quality | None = None
    found_by: str | None = None
    landmarks: np.ndarray | None = None
    head: Head | None = None
    rest: np.ndarray | None = None

    @property
    def label(self) -> str:
        """The smoothed label, or else the most probable of the seven expressions."""
        return self.smoothed_label or EXPRESSIONS[int(np.argmax(self.probabilities))]

    @property
    def confidence(self) -> float:
        """Probability of the label, 0 to 1."""
        return float(self.probabilities[EXPRESSIONS.index(self.label)])

    def to_dict(self) -> dict[str, Any]:
        """The face as plain types, ready for JSON: NumPy's numbers are not."""
        return {
            "id": self.id,
            "box": {side: int(getattr(self.box, side)) for side in BOX},
            "label": self.label,
            "confidence": round(self.confidence, 5),
            "unsure": bool(self.unsure),
            "people_share": None if self.people_share is None else round(self.people_share, 5),
            "probabilities": _by_name(self.probabilities),
            "raw": _by_name(self.raw),
            "quality": None if self.quality is None else round(self.quality.value, 3),
            "quality_reason": None if self.quality is None else self.quality.reason,
            "found_by": self.found_by,
            "landmarks": None if self.landmarks is None else np.round(self.landmarks.astype(float), 1).tolist(),
            "head": None if self.head is None else self.head.to_dict(),
            "rest": None
            if self.rest is None
            else {name: round(float(each), 3) for name, each in zip(EXPRESSIONS, self.rest, strict=True)},
        }


def _by_name(probabilities: np.ndarray) -> dict[str, float]:
    return {name: round(float(p), 5) for name, p in zip(EXPRESSIONS, probabilities, strict=True)}


REST_COLUMNS = tuple(f"rest_{name}" for name in EXPRESSIONS)
"""Columns of recordings that hold `Face.rest`."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Whether the resting face of a person is known.

    Args:
        face: The number of the face.
        state: "measuring"; "ready"; or "refused": it could not be measured, or cannot be compared any more.
        left_s: Seconds until it is measured.
        frames: How many frames it is, or will be, the mean of.
        reason: Why it was refused.

    Example:
        for baseline in analysis.baselines:
            print(baseline.face, baseline.state, baseline.reason or "")
    """

    face: int
    state: Literal["measuring", "ready", "refused"]
    left_s: float = 0.0
    frames: int = 0
    reason: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """What was found in one frame.

    Args:
        width: Width of the frame in pixels.
        height: Height of the frame in pixels.
        faces: From left to right, or by id if they are tracked.
        timing_ms: Milliseconds spent in each stage (detect, track, classify, ...).
        new_scene: Whether the frame shows, or may show, a different scene from the previous frame, as after a cut.
        rare: How often rare expressions were expected, see `Adjustment`; None for a network without base rates.
        baselines: Of the faces whose resting face is known, being measured, or was refused.

    Example:
        for face in analysis.faces:
            print(face.label, face.box)
    """

    width: int
    height: int
    faces: tuple[Face, ...] = ()
    timing_ms: Mapping[str, float] = field(default_factory=dict)
    new_scene: bool = False
    rare: float | None = None
    baselines: tuple[Baseline, ...] = ()


class Adjustment(Protocol):
    """How often the network expects rare expressions: 0 as often as people see them, 1 as often as the others."""

    rare: float

    def people_shares(self, probabilities: np.ndarray) -> np.ndarray | None:
        """Estimate the shares of people who would name each expression.

        Args:
            probabilities: What the network returned, float32 (n, 7), also smoothed over time.

        Returns:
            float32 (n, 7); None for a network that has not learned from people's votes.
        """
        ...


class Encoded(Protocol):
    """An image file that is encoded on the first call; `took_ms` is the time that took, 0 until then."""

    took_ms: float

    def __call__(self) -> bytes:
        """The bytes of the file."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A picture and the analysis of the same frame.

    Args:
        annotated: JPEG with boxes and labels, or an `Encoded` that is encoded only if somebody watches.
        frame: The frame as it may be shown, with faces pixelated in privacy mode; None for a placeholder.
        analysis: What was found in the frame; None for a placeholder.
        latency_ms: From capture to this snapshot, without encoding.
        plain: JPEG without boxes and labels, or an `Encoded`; None if `annotated` serves for both.

    Example:
        sequence, snapshot = camera.snapshots.peek()
        Path("now.jpg").write_bytes(snapshot.jpeg)
    """

    annotated: bytes | Encoded
    frame: Frame | None = None
    analysis: Analysis | None = None
    latency_ms: float = 0.0
    plain: bytes | Encoded | None = None

    @property
    def jpeg(self) -> bytes:
        """The picture with boxes and labels, as JPEG."""
        return self.annotated if isinstance(self.annotated, bytes) else self.annotated()

    @property
    def plain_jpeg(self) -> bytes:
        """The picture without boxes and labels, as JPEG."""
        if self.plain is None:
            return self.jpeg
        return self.plain if isinstance(self.plain, bytes) else self.plain()

    @property
    def encoding_ms(self) -> float:
        """Time to encode the slower of the two, in milliseconds; 0 if none was encoded."""
        return max(0.0 if isinstance(each, bytes | None) else each.took_ms for each in (self.annotated, self.plain))


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """State of the source of a stream.

    Args:
        name: Name for people, without passwords.
        state: See `SourceState`.
        reason: Why no frames arrive, in one line; None while they do.
        retry_in_s: Seconds to the next attempt while reconnecting.
        fps: Analyzed frames per second over the last 2 s.
        kind: What the source is; None if that is not known yet.
        failing: What has failed; None while frames arrive, or the first ones are about to.
        stream: `Frame.stream` of its frames since it was last opened; 0 before.

    Example:
        status = camera.status()
        print(status.name, status.state, status.reason or "")
    """

    name: str
    state: SourceState
    reason: str | None = None
    retry_in_s: float | None = None
    fps: float = 0.0
    kind: SourceType | None = None
    failing: Failing | None = None
    stream: int = 0


def check_pixels(pixels_bgr: np.ndarray, what: str) -> None:
    """Check that pixels are uint8 (height, width, 3), and that there are some.

    Args:
        pixels_bgr: The pixels.
        what: What needs them, for the message.

    Raises:
        ValueError: They have another dtype or shape, or there are none.
    """
    if pixels_bgr.dtype != np.uint8 or pixels_bgr.ndim != 3 or pixels_bgr.shape[2] != 3 or pixels_bgr.size == 0:
        found = f"{pixels_bgr.dtype} {pixels_bgr.shape}"
        raise ValueError(f"{what} needs uint8 pixels of shape (height, width, 3), found {found}")


def clip_box(x: float, y: float, w: float, h: float, width: int, height: int) -> Box | None:
    """Clip a box (x, y, w, h) to a picture.

    Args:
        x, y, w, h: The box in pixels; fractions are rounded.
        width, height: Size of the picture in pixels.

    Returns:
        The part inside the picture, or None if there is none.
    """
    left, top = max(0, round(x)), max(0, round(y))
    right, bottom = min(width, round(x + w)), min(height, round(y + h))
    return Box(left, top, right - left, bottom - top) if right > left and bottom > top else None

"""What is sent, the same for all outputs: one message for each analyzed frame, and one for each change.

The names are those of the HTTP interface, and so are the values; docs/outputs.md has examples.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from mien.types import Face, Frame, Snapshot, SourceStatus

ChangeType = Literal["face_appeared", "label_settled", "face_left", "source_changed"]


@dataclass(frozen=True, slots=True)
class Position:
    """Where a face is, in shares of the frame, 0 to 1.

    Args:
        x: Center of the box, from the left edge of the frame.
        y: Center of the box, from the top edge.
        w: Width of the box.
        h: Height of the box.
    """

    x: float
    y: float
    w: float
    h: float

    def to_dict(self) -> dict[str, float]:
        """As plain types, ready for JSON."""
        return {"x": self.x, "y": self.y, "w": self.w, "h": self.h}


@dataclass(frozen=True, eq=False)
class FaceState:
    """One face, with its place among the faces that are present.

    Args:
        slot: 1, 2, ...: the lowest number that no other face of the frame has; used again when the face has left.
        face: What was found. Its `id` is the face's own number, which is not used again.
        width: Width of the frame in pixels.
        height: Height of the frame in pixels.
        settled_label: The label that settled last; None until one has.

    Example:
        for face in message.faces:
            print(face.slot, face.label, face.position.x)
    """

    slot: int
    face: Face
    width: int
    height: int
    settled_label: str | None = None

    @property
    def label(self) -> str:
        """The expression."""
        return self.face.label

    @cached_property
    def position(self) -> Position:
        """Where it is."""
        box = self.face.box
        return Position(
            _share(box.x + box.w / 2, self.width),
            _share(box.y + box.h / 2, self.height),
            _share(box.w, self.width),
            _share(box.h, self.height),
        )

    @cached_property
    def plain(self) -> dict[str, Any]:
        """Plain types, ready for JSON: the fields of a face of the HTTP interface except landmarks, and three more."""
        fields = self.face.to_dict()
        del fields["landmarks"]
        return fields | {
            "slot": self.slot,
            "position": self.position.to_dict(),
            "settled_label": self.settled_label,
        }


@dataclass(frozen=True, slots=True)
class SourceState:
    """The source and what it is doing.

    Args:
        name: Name of the camera, file or address, without passwords.
        state: As in the HTTP interface: "live", "file", "demo", "resting", ...
        reason: Why no frames arrive; None while they do.
    """

    name: str
    state: str
    reason: str | None = None

    @classmethod
    def of(cls, status: SourceStatus) -> SourceState:
        """That of a camera's status."""
        return cls(status.name, status.state, status.reason)

    def to_dict(self) -> dict[str, str | None]:
        """As plain types, ready for JSON."""
        return {"name": self.name, "state": self.state, "reason": self.reason}


@dataclass(frozen=True, eq=False)
class Message:
    """What all messages have.

    Args:
        at: When it was made, in seconds since the epoch.
        source: The source.
        made_s: The same on a clock that is never adjusted, for the order of messages.
    """

    at: float
    source: SourceState
    made_s: float = field(default=0.0, kw_only=True)

    @cached_property
    def json(self) -> str:
        """The message as JSON, in ASCII and on one line; made once for all outputs."""
        return json.dumps(self.to_dict(), allow_nan=False, separators=(", ", ": "))

    def to_dict(self) -> dict[str, Any]:
        """Plain types, ready for JSON."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class FrameMessage(Message):
    """An analyzed frame; without a frame and faces, when frames cease to arrive.

    Args:
        frame: The frame as it may be shown; None when no frames arrive.
        faces: The faces by slot.
        fps: Frames analyzed per second.
        latency_ms: From capture to publication.
        snapshot: With the pictures, which no output sends but those made for pictures.

    Example:
        happy = [face.slot for face in message.faces if face.label == "happy"]
    """

    frame: Frame | None = None
    faces: tuple[FaceState, ...] = ()
    fps: float = 0.0
    latency_ms: float | None = None
    snapshot: Snapshot | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain types, ready for JSON."""
        frame = self.frame
        return {
            "type": "frame",
            "at": round(self.at, 4),
            "source": self.source.to_dict(),
            "fps": round(self.fps, 1),
            "latency_ms": None if self.latency_ms is None else round(self.latency_ms, 1),
            "frame": None
            if frame is None
            else {
                "index": frame.index,
                "captured_at": round(frame.captured_at, 4),
                "media_time_s": None if frame.media_time_s is None else round(frame.media_time_s, 6),
                "width": frame.width,
                "height": frame.height,
            },
            "faces": [face.plain for face in self.faces],
        }


@dataclass(frozen=True, eq=False)
class ChangeMessage(Message):
    """Something that has changed.

    Args:
        type: What it is.
        face: The face that appeared, whose label settled, or that left, as it was last seen; None for the source.
    """

    type: ChangeType
    face: FaceState | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain types, ready for JSON."""
        return {
            "type": self.type,
            "at": round(self.at, 4),
            "source": self.source.to_dict(),
            "face": None if self.face is None else self.face.plain,
        }


def _share(pixels: float, of: int) -> float:
    return round(min(1.0, max(0.0, pixels / of)), 5)

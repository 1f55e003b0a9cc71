"""What has changed from frame to frame: faces that appear and leave, labels that settle, the state of the source."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from mien.clock import Clock
from mien.outputs.messages import ChangeMessage, ChangeType, FaceState, FrameMessage, SourceState
from mien.types import Face, Frame, Snapshot, SourceStatus

SETTLED_AFTER_S = 0.5
"""A label has settled once it has been the same, and not unsure, for this long."""

FLOWING = frozenset({"live", "file", "demo"})
"""States of a source in which frames arrive."""


@dataclass
class _Present:
    """A face that is present.

    Attributes:
        slot: Its slot.
        state: As it was last seen.
        label: Its label, or None while it is unsure.
        since_s: Since when.
        settled: The label that settled last.
    """

    slot: int
    state: FaceState = field(init=False)
    label: str | None = None
    since_s: float = 0.0
    settled: str | None = None


class MessageStream:
    """Makes the messages of one camera from its snapshots; for one thread.

        messages = MessageStream()
        for message in messages.next(snapshot, camera.status()):
            print(message.json)

    Args:
        clock: The computer's clock by default.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._present: dict[int, _Present] = {}  # by the face's number
        self._source: SourceState | None = None
        self._frame: tuple[int, int] | None = None  # the last one

    def next(self, snapshot: Snapshot | None, status: SourceStatus) -> list[ChangeMessage | FrameMessage]:
        """Messages of a snapshot.

        Args:
            snapshot: The newest one; None before the first. The same one again gives no messages.
            status: State of the source.

        Returns:
            The changes, and then the frame; a message without a frame, and with no faces, if frames have ceased to
            arrive; nothing if nothing is new.
        """
        source = SourceState.of(status)
        flows = status.state in FLOWING and snapshot is not None
        frame = snapshot.frame if flows and snapshot is not None and snapshot.analysis is not None else None
        number = None if frame is None else (frame.stream, frame.index)
        source_changed = source != self._source
        if number == self._frame and not source_changed:
            return []
        at, made_s = self._clock.wall(), self._clock.monotonic()
        messages: list[ChangeMessage | FrameMessage] = []
        if source_changed:
            messages.append(ChangeMessage(at, source, "source_changed", made_s=made_s))
        another_stream = number is not None and self._frame is not None and number[0] != self._frame[0]
        self._source, self._frame = source, number
        changes, states = self._follow(frame, snapshot, new=another_stream)
        messages += [ChangeMessage(at, source, kind, state, made_s=made_s) for kind, state in changes]
        messages.append(
            FrameMessage(
                at,
                source,
                frame,
                states,
                float(status.fps),
                snapshot.latency_ms if frame is not None and snapshot is not None else None,
                snapshot,
                made_s=made_s,
            )
        )
        return messages

    def _follow(
        self, frame: Frame | None, snapshot: Snapshot | None, *, new: bool
    ) -> tuple[list[tuple[ChangeType, FaceState]], tuple[FaceState, ...]]:
        """Changes and faces of a frame. new: its faces are others than those of the frame before."""
        analysis = None if frame is None or snapshot is None else snapshot.analysis
        faces = {face.id: face for face in analysis.faces if face.id is not None} if analysis else {}
        gone = [number for number in self._present if new or number not in faces]
        changes: list[tuple[ChangeType, FaceState]] = [("face_left", self._present.pop(each).state) for each in gone]
        width, height = (analysis.width, analysis.height) if analysis else (1, 1)
        now_s = self._clock.monotonic()
        for number, face in faces.items():
            is_new = number not in self._present
            if is_new:
                self._present[number] = _Present(self._free_slot())
            known = self._present[number]
            settles = _settles(known, face, now_s)
            known.state = FaceState(known.slot, face, width, height, known.settled)
            kinds: list[tuple[ChangeType, bool]] = [("face_appeared", is_new), ("label_settled", settles)]
            changes += [(kind, known.state) for kind, happened in kinds if happened]
        return changes, _by_slot([each.state for each in self._present.values()])

    def _free_slot(self) -> int:
        taken = {each.slot for each in self._present.values()}
        return next(slot for slot in itertools.count(1) if slot not in taken)


def _settles(known: _Present, face: Face, now_s: float) -> bool:
    """Whether the label of a face settles now; notes how long it has been the same."""
    label = None if face.unsure else face.label
    if label != known.label:
        known.label, known.since_s = label, now_s
    if label is None or label == known.settled or now_s - known.since_s < SETTLED_AFTER_S:
        return False
    known.settled = label
    return True


def _by_slot(states: Sequence[FaceState]) -> tuple[FaceState, ...]:
    return tuple(sorted(states, key=lambda state: state.slot))

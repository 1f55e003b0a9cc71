"""Events: how long each face shows which expression, with the column names of BIDS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mien.recording.edits import SessionState
from mien.results import Result

EVENT_COLUMNS = ("onset", "duration", "trial_type", "face", "confidence", "unsure_share", "input")
SESSION_EVENT_COLUMNS = (*EVENT_COLUMNS, "person", "text")
"""With what people have added to a recorded session."""

MARKER = "marker"
EXCLUDED = "excluded"


@dataclass(slots=True)
class _Event:
    onset_s: float
    duration_s: float
    label: str
    confidence_s: float
    unsure_s: float


class Events:
    """Joins analyzed frames into events: a face with one label in consecutive frames without a gap between them.

        events = Events("clip.mp4")
        for result, duration_s in with_durations(results, reading):
            events.add(result, duration_s)
        rows = events.rows()

    Args:
        name: The input's name in the rows.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._open: dict[int, _Event] = {}
        self._closed: list[tuple[int, _Event]] = []
        self._shown_until_s = 0.0

    def add(self, result: Result, duration_s: float) -> None:
        """Take the next analyzed frame.

        Args:
            result: What was found in it.
            duration_s: How long it is shown, in seconds.
        """
        if result.time_s > self._shown_until_s + 1e-6:  # no frame counts as shown in between
            self._closed += self._open.items()
            self._open = {}
        self._shown_until_s = result.time_s + duration_s
        before, self._open = self._open, {}
        for face in result.faces:
            assert face.id is not None
            event = before.pop(face.id, None)
            if event is not None and event.label != face.label:
                self._closed.append((face.id, event))
                event = None
            if event is None:
                event = _Event(result.time_s, 0.0, face.label, 0.0, 0.0)
            event.duration_s += duration_s
            event.confidence_s += duration_s * face.confidence
            event.unsure_s += duration_s * face.unsure
            self._open[face.id] = event
        self._closed += before.items()

    def rows(self) -> list[dict[str, Any]]:
        """All events as rows of EVENT_COLUMNS, by onset and face; with the means of confidence and unsure over time."""
        events = sorted([*self._closed, *self._open.items()], key=lambda each: (each[1].onset_s, each[0]))
        return [
            {
                "onset": round(event.onset_s, 6),
                "duration": round(event.duration_s, 6),
                "trial_type": event.label,
                "face": face,
                "confidence": event.confidence_s / event.duration_s if event.duration_s > 0 else None,
                "unsure_share": event.unsure_s / event.duration_s if event.duration_s > 0 else None,
                "input": self._name,
            }
            for face, event in events
        ]


def with_added(rows: Sequence[dict[str, Any]], added: SessionState, name: str) -> list[dict[str, Any]]:
    """Events of a recorded session with the names of its people, its markers and its excluded spans.

    Args:
        rows: Rows of EVENT_COLUMNS.
        added: What people have added, with times as in the rows.
        name: The input's name in the rows.

    Returns:
        Rows of SESSION_EVENT_COLUMNS, by onset. Markers and spans have no face; a marker before the first frame has a
        negative onset, as BIDS allows.
    """
    events = [{**row, "person": added.person(row["face"]), "text": None} for row in rows]
    events += [_added(each.t, 0.0, MARKER, name, each.text) for each in added.markers]
    events += [_added(each.start_s, each.end_s - each.start_s, EXCLUDED, name) for each in added.excluded]
    return sorted(events, key=lambda event: event["onset"])  # stable: what people added comes after faces of that time


def _added(onset_s: float, duration_s: float, kind: str, name: str, text: str | None = None) -> dict[str, Any]:
    times = {"onset": round(onset_s, 6), "duration": round(duration_s, 6)}
    return {**dict.fromkeys(SESSION_EVENT_COLUMNS), **times, "trial_type": kind, "input": name, "text": text}

"""Events: how long each face shows which expression, with the column names of BIDS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mien.results import Result

EVENT_COLUMNS = ("onset", "duration", "trial_type", "face", "confidence", "unsure_share", "input")


@dataclass(slots=True)
class _Event:
    onset_s: float
    duration_s: float
    label: str
    confidence_s: float
    unsure_s: float


class Events:
    """Joins analyzed frames into events: a face with one label in consecutive frames.

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

    def add(self, result: Result, duration_s: float) -> None:
        """Take the next analyzed frame.

        Args:
            result: What was found in it.
            duration_s: How long it is shown, in seconds.
        """
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

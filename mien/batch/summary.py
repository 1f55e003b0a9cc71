"""Seconds and shares of each expression, for each face of an input."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np

from mien.batch.bootstrap import share_intervals
from mien.results import Result
from mien.types import EXPRESSIONS

SUMMARY_COLUMNS = (
    *("input", "face", "expression", "seconds", "share", "share_low", "share_high"),
    *("face_seconds", "unsure_share", "changes", "frames"),
)


class Summary:
    """Collects the labels of each face over time: ten bytes per face and frame.

        summary = Summary("clip.mp4")
        for result, duration_s in with_durations(results, reading):
            summary.add(result, duration_s)
        rows = summary.rows()

    Args:
        name: The input's name in the rows.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._faces: dict[int, tuple[array[int], array[int], array[float]]] = {}

    def add(self, result: Result, duration_s: float) -> None:
        """Take the next analyzed frame.

        Args:
            result: What was found in it.
            duration_s: How long it is shown, in seconds.
        """
        for face in result.faces:
            assert face.id is not None
            labels, unsure, durations = self._faces.setdefault(face.id, (array("b"), array("b"), array("d")))
            labels.append(EXPRESSIONS.index(face.label))
            unsure.append(face.unsure)
            durations.append(duration_s)

    def rows(self) -> list[dict[str, Any]]:
        """Seven rows of SUMMARY_COLUMNS for each face."""
        rows = []
        for face, series in sorted(self._faces.items()):
            labels, unsure, durations = (np.asarray(each) for each in series)
            seconds = np.bincount(labels, weights=durations, minlength=len(EXPRESSIONS))
            total_s = float(seconds.sum())
            intervals = share_intervals(labels, durations, len(EXPRESSIONS))
            common = {
                "input": self._name,
                "face": face,
                "face_seconds": round(total_s, 5),
                "unsure_share": round(float(durations @ unsure) / total_s, 5) if total_s else None,
                "changes": int((np.diff(labels) != 0).sum()),
                "frames": len(labels),
            }
            for number, expression in enumerate(EXPRESSIONS):
                low, high = intervals[number] or (None, None)
                rows.append(
                    common
                    | {"expression": expression, "seconds": round(float(seconds[number]), 5)}
                    | {"share": round(float(seconds[number]) / total_s, 5) if total_s else None}
                    | {"share_low": low, "share_high": high}
                )
        return rows

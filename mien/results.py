"""What the Python API returns: the analysis of one picture as objects, as plain types or as a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from mien.errors import MienError
from mien.types import BOX, EXPRESSIONS, HEAD_COLUMNS, Analysis, Face

if TYPE_CHECKING:
    import pandas

COLUMNS = (
    *("input", "frame", "time_s", "success", "face", *BOX, *EXPRESSIONS),
    *("label", "confidence", "unsure", "people_share"),
    *(f"raw_{name}" for name in EXPRESSIONS),
    *("reason", "quality", "quality_reason", "found_by"),
    *HEAD_COLUMNS,
)
"""Columns of the table that `to_frame` and `mien analyze` make; docs/batch.md describes them."""


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """The faces of one image or of one frame of a video.

        result = mien.analyze_image("photo.jpg")
        for face in result.faces:
            print(face.label, face.confidence, face.box)

    Attributes:
        input: The file's name as it was given; None for pixels or bytes.
        frame: Index of the frame in its file, counted from 0.
        time_s: Time of the frame in its file, in seconds; 0 for an image.
        width: Width of the picture in pixels, upright.
        height: Height of the picture in pixels, upright.
        faces: The faces, by `id` in a video, from left to right in an image.
        reason: Why there is no face: "no_face", or "missed_face" if one was seen shortly before; None if there is one.
    """

    input: str | None
    frame: int
    time_s: float
    width: int
    height: int
    faces: tuple[Face, ...]
    reason: str | None = None

    @classmethod
    def of(cls, analysis: Analysis, *, input: str | None, frame: int = 0, time_s: float = 0.0) -> Result:
        """Wrap an analysis; faces that the last detection missed are left out.

        Args:
            analysis: What was found in the picture.
            input: The file's name as it was given; None for pixels or bytes.
            frame: Index of the frame in its file, counted from 0.
            time_s: Time of the frame in its file, in seconds.
        """
        seen = tuple(face for face in analysis.faces if not face.missed)
        reason = None if seen else "missed_face" if analysis.faces else "no_face"
        return cls(input, frame, time_s, analysis.width, analysis.height, seen, reason)

    def to_dict(self) -> dict[str, Any]:
        """Plain types, ready for JSON; the faces have the same fields as in the HTTP API."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        return plain | {"faces": [face.to_dict() for face in self.faces]}

    def rows(self) -> Iterator[dict[str, Any]]:
        """A row of COLUMNS for each face; one with `success` 0 and the reason where none was found."""
        place = {"input": self.input, "frame": self.frame, "time_s": round(self.time_s, 6)}
        if not self.faces:
            yield place | {"success": 0, "reason": self.reason}
        for number, face in enumerate(self.faces, 1):
            plain = face.to_dict()
            yield (
                place
                | {"success": 1, "face": number if face.id is None else face.id}
                | plain["box"]
                | plain["probabilities"]
                | {key: plain[key] for key in ("label", "confidence", "unsure", "people_share")}
                | {f"raw_{name}": p for name, p in plain["raw"].items()}
                | {key: plain[key] for key in ("quality", "quality_reason", "found_by")}
                | (face.head.columns() if face.head else {})
            )


def to_frame(results: Result | Iterable[Result]) -> pandas.DataFrame:
    """A table of results: one row for each picture and face, and one for each picture without a face.

    Args:
        results: What `analyze_image` or `analyze_video` returned, or any number of them.

    Returns:
        A DataFrame with the columns COLUMNS: box in pixels, probabilities 0..1, `success` 0 where no face was found.

    Raises:
        MienError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise MienError(
            "to_frame: expected the package pandas, found none; `pip install pandas` installs it"
        ) from error
    each = [results] if isinstance(results, Result) else results
    table = pd.DataFrame((row for result in each for row in result.rows()), columns=list(COLUMNS))
    types: dict[str, Any] = dict.fromkeys(("face", *BOX), "Int64") | dict.fromkeys(("unsure", "blink"), "boolean")
    return table.astype(types | dict.fromkeys(("people_share", "quality", *HEAD_COLUMNS[:-1]), float))

"""What the Python API returns: the analysis of one picture as objects, as plain types or as a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from mien.errors import MienError
from mien.types import BOX, EXPRESSIONS, Analysis, Face

if TYPE_CHECKING:
    import pandas

COLUMNS = (
    *("input", "frame", "time_s", "success", "face", *BOX, *EXPRESSIONS),
    *("label", "confidence", "unsure", "people_share"),
)
"""Columns of the table that `to_frame` makes."""


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
    """

    input: str | None
    frame: int
    time_s: float
    width: int
    height: int
    faces: tuple[Face, ...]

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
        return cls(input, frame, time_s, analysis.width, analysis.height, seen)

    def to_dict(self) -> dict[str, Any]:
        """Plain types, ready for JSON; the faces have the same fields as in the HTTP API."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        return plain | {"faces": [face.to_dict() for face in self.faces]}

    def rows(self) -> Iterator[dict[str, Any]]:
        """A row of COLUMNS for each face; one with `success` 0 and no face where none was found."""
        place = {"input": self.input, "frame": self.frame, "time_s": self.time_s}
        if not self.faces:
            yield place | {"success": 0}
        for face in self.faces:
            yield (
                place
                | {"success": 1, "face": face.id}
                | {side: getattr(face.box, side) for side in BOX}
                | dict(zip(EXPRESSIONS, map(float, face.probabilities), strict=True))
                | {"label": face.label, "confidence": face.confidence, "unsure": face.unsure}
                | {"people_share": face.people_share}
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
    return table.astype(dict.fromkeys(("face", *BOX), "Int64") | {"unsure": "boolean", "people_share": float})

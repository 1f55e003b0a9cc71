"""`--report`, of images: what was found in all of them, and the first ones in a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from markupsafe import Markup

from mien.batch.figures import shares_figure
from mien.batch.page import Row, draw, spoken, write_page
from mien.types import EXPRESSIONS

MOST_ROWS = 60
"""Of so many rows of the table of faces, the first ones, a report shows each; they print on three pages."""
NO_FACE = "no_face"


@dataclass(slots=True)
class ImageCounts:
    """What was found in images, counted while the rows of their table pass.

        counts = ImageCounts()
        counts.add(rows, thumbnails)
        counts.shares[3]["share"]

    Attributes:
        faces: Number of faces by their label.
        unsure: Of these, how many labels are unsure.
        without: Number of images without a face by the reason.
        first: The first rows, each with its thumbnail: JPEG in base64, or None.
    """

    faces: Counter[str] = field(default_factory=Counter)
    unsure: Counter[str] = field(default_factory=Counter)
    without: Counter[str] = field(default_factory=Counter)
    first: list[tuple[Row, str | None]] = field(default_factory=list)

    def add(self, rows: Sequence[Row], thumbnails: Iterable[str | None] = ()) -> None:
        """Take the next rows.

        Args:
            rows: With the columns `mien.results.COLUMNS`.
            thumbnails: Of the first of them.
        """
        for row in rows:
            if row["success"]:
                self.faces[row["label"]] += 1
                self.unsure[row["label"]] += bool(row["unsure"])
            else:
                self.without[row["reason"]] += 1
        shown = rows[: max(0, MOST_ROWS - len(self.first))]
        self.first += list(zip_longest(shown, list(thumbnails)[: len(shown)]))

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.faces.total() + self.without.total()

    @property
    def unreadable(self) -> int:
        """Number of images that could not be read."""
        return self.without.total() - self.without[NO_FACE]

    @property
    def shares(self) -> list[dict[str, float | str]]:
        """For each expression, its name as `expression`, and the `share` of faces with this label, 0 to 1."""
        total = max(1, self.faces.total())
        return [{"expression": name, "share": self.faces[name] / total} for name in EXPRESSIONS]


def write_images_report(folder: Path, described: Row, counts: ImageCounts) -> None:
    """Write `report.html`, and its figure as a PNG file.

    Args:
        folder: Of the results of all images.
        described: The content of their `mien.json`.
        counts: What was found.

    Raises:
        OSError: A file cannot be written.
    """
    figures: dict[str, Markup] = {}
    if counts.faces:
        shares = [(float(each["share"]),) * 3 for each in counts.shares]
        seen = sorted((each for each in counts.shares if each["share"]), key=lambda each: -float(each["share"]))
        figure = shares_figure([""], [shares])
        figures["shares"] = draw(figure, folder, "shares", f"The share of each label: {spoken(seen)}")
    with_pictures = any(thumbnail is not None for _, thumbnail in counts.first)
    values = {"counts": counts, "figures": figures, "with_pictures": with_pictures, "no_face": NO_FACE}
    write_page(folder, "images.html.j2", [described], described=described, **values)

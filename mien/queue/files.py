"""Where the files of a job are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class JobFiles:
    """The files of one job.

    Args:
        folder: That contains all of them; its name is the job's id, never the name of the uploaded file.
    """

    folder: Path

    @property
    def content(self) -> Path:
        """The uploaded file; removed once it is analyzed."""
        return self.folder / "content"

    @property
    def unfinished(self) -> Path:
        """Where tables are written before they are complete."""
        return self.folder / "unfinished"

    @property
    def results(self) -> Path:
        """Folder of the tables."""
        return self.folder / "result"

    @property
    def table(self) -> Path:
        """The table of faces."""
        return self.results / "faces.csv"

    @property
    def moments(self) -> Path:
        """The clearest moments of a video, for its report."""
        return self.folder / "moments.json"

    def picture(self, face: int) -> Path:
        """The picture of a face."""
        return self.folder / f"face-{face}.jpg"

    def report(self, *, pictures: bool) -> Path:
        """The report of a video, with faces or without."""
        return self.folder / ("report-with-faces.html" if pictures else "report.html")

    def remove_pictures(self) -> None:
        """Remove everything that shows faces. Raises OSError."""
        for path in (*self.folder.glob("face-*.jpg"), self.moments, self.report(pictures=True)):
            path.unlink(missing_ok=True)

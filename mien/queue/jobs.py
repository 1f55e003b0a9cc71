"""One job of the queue: a file, what is happening to it, and what was found in it."""

from __future__ import annotations

import time
import unicodedata
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mien.settings import AnalysisSettings

State = Literal["uploading", "waiting", "analyzing", "paused", "done", "failed", "canceled"]
Kind = Literal["video", "image"]

UNFINISHED: frozenset[State] = frozenset({"uploading", "waiting", "analyzing", "paused"})

MOMENTS = "moments.json"
"""The clearest moments of a video, for its report."""

MAX_NAME = 500
"""Characters of a name; of a longer one, the end is kept."""


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job at one moment, as it is reported to the viewer who owns it.

    Args:
        id: Unguessable; whoever knows it may use the job.
        name: Name to display and for the tables; never used as a path.
        kind: By the content; before the content has arrived, a guess.
        state: What is happening to it.
        reason: Why it failed, or what of a video could not be read, in one line.
        bytes: Size of the file.
        received: How much of it has arrived.
        progress: Analyzed share, 0 to 1.
        frames: Frames analyzed.
        frames_per_second: How fast, on average without pauses; None before the analysis begins.
        seconds_left: Estimate for this file alone; None if unknown.
        result: See `mien.queue.outcome`; None until it is done.
        pictures: Numbers of the faces of which there is a picture.
        version: Higher with each change of any job.
    """

    id: str
    name: str
    kind: Kind
    state: State
    reason: str | None
    bytes: int
    received: int
    progress: float
    frames: int
    frames_per_second: float | None
    seconds_left: float | None
    result: dict[str, Any] | None
    pictures: frozenset[int]
    version: int


@dataclass(frozen=True, slots=True)
class Order:
    """What the queue sends to the process that analyzes.

    Args:
        id: Of the job.
        name: Of the file, in the tables.
        folder: Of the job's files.
        content: The file.
        settings: How faces are detected and classified.
        pictures: Whether pictures of faces may be stored.
    """

    id: str
    name: str
    folder: Path
    content: Path
    settings: AnalysisSettings
    pictures: bool


@dataclass(slots=True, eq=False)
class FileJob:
    """A job while the queue works on it; guarded by the lock of the queue.

    Args:
        id, name, kind, bytes: As in `JobStatus`.
        folder: Of its files.
        group: Key of the viewer's group; None for none.
        used_s: When somebody last asked for it, or its analysis last made progress.
        started: Whether the process that analyzes has begun with it.
        acknowledged: Whether that process has said so.
        pause_when_complete: Whether to pause it once its file has arrived.
        receiving: Whether a piece is arriving.
        has_type: Whether its first bytes were checked.
        active_s: How long it was analyzed until `active_since`, in seconds.
        pictures_kept: Whether pictures of its faces may be stored.
        reports: Those that are being drawn or are drawn, with faces and without.
        attempts: How often its analysis was begun.
    """

    id: str
    name: str
    kind: Kind
    bytes: int
    folder: Path
    group: str | None
    used_s: float
    state: State = "uploading"
    reason: str | None = None
    received: int = 0
    progress: float = 0.0
    frames: int = 0
    result: dict[str, Any] | None = None
    pictures: frozenset[int] = frozenset()
    version: int = 0
    started: bool = False
    acknowledged: bool = False
    attempts: int = 0
    pause_when_complete: bool = False
    receiving: bool = False
    has_type: bool = False
    active_s: float = 0.0
    active_since: float | None = None
    pictures_kept: bool = True
    reports: dict[bool, Future[None]] = field(default_factory=dict)

    @property
    def content(self) -> Path:
        """The uploaded file; removed once it is analyzed."""
        return self.folder / "content"

    @property
    def results(self) -> Path:
        """Folder of the tables."""
        return self.folder / "result"

    def status(self, *, private: bool = False) -> JobStatus:
        """Describe it.

        Args:
            private: Whether privacy mode is on, in which there are no pictures.
        """
        analyzed_s = self.active_s
        if self.active_since is not None:
            analyzed_s += time.monotonic() - self.active_since
        left = None
        if self.state in ("analyzing", "paused") and self.progress > 0:
            left = round(analyzed_s * (1 - self.progress) / self.progress, 1)
        return JobStatus(
            self.id,
            self.name,
            self.kind,
            self.state,
            self.reason,
            self.bytes,
            self.received,
            round(self.progress, 4),
            self.frames,
            round(self.frames / analyzed_s, 1) if analyzed_s > 0 and self.frames else None,
            left,
            self.result,
            frozenset() if private else self.pictures,
            self.version,
        )

    def reset(self) -> None:
        """Begin again, after the process that analyzed it has ended."""
        self.started = self.acknowledged = False
        self.progress, self.frames = 0.0, 0
        self.active_s, self.active_since = 0.0, None


def clean_name(name: str) -> str:
    """A name that can be displayed: one line, without control characters; folders are separated by "/".

    Args:
        name: As the viewer's browser sends it.
    """
    visible = "".join(each for each in name.replace("\\", "/") if unicodedata.category(each)[0] != "C")
    return visible.strip()[-MAX_NAME:].lstrip("/ ") or "file"


def picture_of(folder: Path, face: int) -> Path:
    """The picture of a face, below the folder of its job."""
    return folder / f"face-{face}.jpg"


def report_of(folder: Path, pictures: bool) -> Path:
    """The report of a video, below the folder of its job.

    Args:
        folder: Of the job.
        pictures: Whether it shows faces.
    """
    return folder / ("report-with-faces.html" if pictures else "report.html")


def remove_pictures(folder: Path) -> None:
    """Remove everything that shows faces from the folder of a job that is done."""
    for path in (*folder.glob("face-*.jpg"), folder / MOMENTS, report_of(folder, pictures=True)):
        path.unlink(missing_ok=True)

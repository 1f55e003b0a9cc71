"""One job of the queue: a file, what is happening to it, and what was found in it."""

from __future__ import annotations

import time
import unicodedata
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Literal

from mien.errors import MienError
from mien.queue.files import JobFiles
from mien.settings import AnalysisSettings

State = Literal["uploading", "waiting", "analyzing", "paused", "done", "failed", "canceled"]
Kind = Literal["video", "image"]

UNFINISHED: frozenset[State] = frozenset({"uploading", "waiting", "analyzing", "paused"})

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
        files: Its files.
        settings: How faces are detected and classified.
        pictures: Whether pictures of faces may be stored.
    """

    id: str
    name: str
    files: JobFiles
    settings: AnalysisSettings
    pictures: bool


@dataclass(slots=True, eq=False)
class FileJob:
    """A job while the queue works on it; guarded by the lock of the queue.

    Args:
        id, name, kind, bytes: As in `JobStatus`.
        files: Its files.
        group: Key of the viewer's group; None for none.
        used_s: When somebody last asked for it, or its analysis last made progress.
        started: Whether the process that analyzes has begun with it.
        acknowledged: Whether that process has said so.
        pause_when_complete: Whether to pause it once its file has arrived.
        receiving: Whether a piece is arriving.
        has_type: Whether its first bytes were checked.
        active_s: How long it was analyzed until `active_since`, in seconds.
        keeps_pictures: Whether pictures of its faces may be stored.
        reports: Those that are being drawn or are drawn, with faces and without.
        attempts: How often its analysis was begun.
    """

    id: str
    name: str
    kind: Kind
    bytes: int
    files: JobFiles
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
    keeps_pictures: bool = True
    reports: dict[bool, Future[None]] = field(default_factory=dict)

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

    def start_clock(self) -> None:
        """It is being analyzed from now on."""
        self.active_since = time.monotonic()

    def stop_clock(self) -> None:
        """It is not analyzed at present."""
        if self.active_since is not None:
            self.active_s += time.monotonic() - self.active_since
            self.active_since = None

    def begin_again(self) -> None:
        """Forget what was analyzed, after the process that analyzed it has ended."""
        self.started = self.acknowledged = False
        self.progress, self.frames = 0.0, 0
        self.active_s, self.active_since = 0.0, None

    def fail_reports(self, error: MienError) -> None:
        """Let nobody wait for its reports any more."""
        for drawn in self.reports.values():
            if not drawn.done():
                drawn.set_exception(error)


def clean_name(name: str) -> str:
    """A name that can be displayed: one line, without control characters; folders are separated by "/".

    Args:
        name: As the viewer's browser sends it.
    """
    visible = "".join(each for each in name.replace("\\", "/") if unicodedata.category(each)[0] != "C")
    return visible.strip()[-MAX_NAME:].lstrip("/ ") or "file"

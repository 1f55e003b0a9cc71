"""What the web needs of camera, session record, privacy mode and choice of sources, as protocols."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from mien.stream.latest import Latest
from mien.types import Snapshot, SourceStatus

if TYPE_CHECKING:
    from mien.recording.csv_log import Recording
    from mien.recording.video import Saving

StateOf = Callable[[Snapshot | None, str | None], dict[str, Any]]
"""The state of a snapshot, for a viewer of this name."""


class Choices(Protocol):
    """All the web needs of the sources that may be chosen."""

    def cameras(self, in_use: str | None = None) -> dict[str, str]:
        """The name of the demo and of each webcam, by what to choose."""

    def files(self) -> list[str] | None:
        """Names of files; None where none may be chosen."""

    def current(self, in_use: str | None) -> str | None:
        """Which of them is open."""

    def spec_of(self, source: str, in_use: str | None = None) -> str:
        """What to open for a choice. Raises SourceForbiddenError or another SourceError."""


class Camera(Protocol):
    """All the web needs of a camera."""

    @property
    def snapshots(self) -> Latest[Snapshot]:
        """The newest picture with its analysis; closed when the camera is."""

    @property
    def in_use(self) -> str | None:
        """The source that is open; None while it rests."""

    @property
    def saving(self) -> Saving | None:
        """What is being saved of the annotated video; None where none is to be."""

    def status(self) -> SourceStatus:
        """What the source is doing at this moment."""

    def keep_awake(self) -> None:
        """Somebody wants frames: wake a source that rests, put off the next rest."""

    def switch(self, source: str) -> SourceStatus:
        """Show another source to all. Raises SourceError where it can not be opened."""

    def show_again(self) -> None:
        """Publish the newest picture anew, after privacy mode was switched."""


class Session(Protocol):
    """All the web needs of what records sessions."""

    def start(self) -> Recording:
        """Begin a recording, or go on with the running one. Raises RecordingError."""

    def stop(self) -> Recording:
        """End the running one."""

    def status(self) -> Recording:
        """The running recording, or the last."""

    def content(self) -> tuple[str, int, Iterator[bytes]] | None:
        """(name, bytes, pieces) of its file."""


class Privacy(Protocol):
    """All the web needs of privacy mode."""

    @property
    def on(self) -> bool:
        """Whether faces are covered."""

    def switch(self, on: bool) -> None:
        """Turn it on or off, for the frames to come."""

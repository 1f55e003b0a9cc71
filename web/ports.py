"""What the web app needs from the rest of the program: protocols, functions and options, all handed to `create_app`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np

from mien.stream.latest import Latest
from mien.types import Adjustment, Analysis, Face, Snapshot, SourceStatus

if TYPE_CHECKING:
    from mien.outputs.base import OutputStatus
    from mien.queue.jobs import JobStatus
    from mien.queue.uploads import Limits
    from mien.recording.csv_log import Recording
    from mien.recording.session import Session
    from mien.recording.timeline import Timeline
    from mien.recording.video import Saving


class Camera(Protocol):
    """A live source of analyzed pictures."""

    @property
    def snapshots(self) -> Latest[Snapshot]:
        """The newest picture with its analysis; closed together with the camera."""

    @property
    def in_use(self) -> str | None:
        """The source that is open; None while idle."""

    @property
    def saving(self) -> Saving | None:
        """Progress of the saved video; None if no video is saved."""

    def status(self) -> SourceStatus:
        """What the source is doing now."""

    def keep_awake(self) -> None:
        """Request frames: open an idle source, and postpone its next release."""

    def switch(self, source: str) -> SourceStatus:
        """Open another source, as `Catalog.spec_of` returns it, for all viewers. Raises SourceError."""

    def show_again(self) -> None:
        """Publish the newest picture again, after privacy mode was switched."""


class Catalog(Protocol):
    """The sources that may be chosen."""

    def cameras(self, in_use: str | None = None) -> dict[str, str]:
        """Names of demo and webcams by the source to choose; the one that is open is not opened again."""

    def files(self) -> list[str] | None:
        """Names of files; None if no files may be chosen."""

    def thumbnail(self, name: str) -> bytes:
        """A small picture of one of the files, JPEG. Raises SourceForbiddenError, or SourceError if there is none."""

    def current(self, in_use: str | None) -> str | None:
        """The choice that is open; None while idle, or if it is not in the lists."""

    def spec_of(self, source: str, in_use: str | None = None) -> str:
        """What to open for a choice. Raises SourceForbiddenError, or SourceError if there is no such source."""


class Recorder(Protocol):
    """Records the faces as CSV."""

    def start(self, *, video: bool = ...) -> Recording:
        """Start a recording, or continue the running one; `video`: keep the pictures too. Raises RecordingError."""

    def stop(self) -> Recording:
        """Stop the running recording."""

    def status(self) -> Recording:
        """The running recording, or the last one."""

    def content(self) -> tuple[str, int, Iterator[bytes]] | None:
        """Name, length in bytes and pieces of its file; None before the first recording."""


class BrowserRecorder(Protocol):
    """Records what browsers send under a key."""

    def start(self, key: str, *, video: bool = ..., continues: str | None = ...) -> Recording:
        """Start a recording of a key, or continue that of another one. Raises RecordingError or BusyError."""

    def stop(self, key: str) -> Recording:
        """Stop the recording of a key."""

    def status(self, key: str) -> Recording | None:
        """The recording of a key, or its last one; None without one."""


class SessionStore(Protocol):
    """The recorded sessions; methods raise SessionError where they say no."""

    @property
    def version(self) -> int:
        """Increases whenever a session has changed."""

    def all(self) -> list[Session]:
        """All sessions, the newest first."""

    def get(self, session: str, *, complete: bool = ...) -> Session:
        """A session; `complete`: with what takes time to compute."""

    def edit(self, session: str, edits: Sequence[Mapping[str, Any]]) -> Session:
        """Add edits to a session, all or none of them."""

    def csv(self, session: str) -> Iterator[bytes]:
        """Its table with what people have added, as CSV in pieces."""

    def json(self, session: str, about: str) -> Iterator[bytes]:
        """The same as JSON, with what else there is to know."""

    def video(self, session: str) -> Path:
        """The video of a session."""

    def timeline(self, session: str, wait_s: float = ...) -> Timeline | None:
        """How a session went over time; None while that is being computed."""

    def frames(self, session: str, start_s: float, end_s: float) -> tuple[list[dict[str, Any]], float]:
        """The frames of a part of a session, and until when they are complete."""

    def delete(self, session: str) -> None:
        """Delete a session."""


class SessionExports(Protocol):
    """Files that are made of sessions, each when it is first asked for."""

    @property
    def parquet(self) -> bool:
        """Whether tables can be written as Parquet."""

    def make(self, session: str, name: str) -> Path:
        """The file "faces.parquet", "events.csv" or "report.html" of a session.

        Raises SessionError, BusyError or LoadingError.
        """

    def forget_deleted(self) -> None:
        """Remove the files of sessions that were deleted."""


class Privacy(Protocol):
    """Privacy mode, in which faces are pixelated."""

    locked: bool
    """Whether it cannot be turned off."""

    lifted_at: float | None
    """When it was last turned off, in seconds since the epoch; None if it never was."""

    @property
    def on(self) -> bool:
        """Whether faces are pixelated."""

    def switch(self, on: bool) -> None:
        """Turn it on or off, from the next frame on. Raises LockedError."""


class Detectors(Protocol):
    """The face detectors that may be chosen."""

    @property
    def current(self) -> str:
        """Name of the one in use."""

    @property
    def available(self) -> Sequence[str]:
        """Names of those that may be chosen."""

    def switch(self, name: str) -> None:
        """Use another one; returns when it is in use. Raises DetectorError."""


class Landmarks(Protocol):
    """Landmarks in the live pictures, computed while somebody asks for them."""

    missing: str | None
    """Why there are none, such as what has to be installed first."""

    def load(self) -> None:
        """Load what finds them; if it is broken, `missing` says so from then on."""

    def request(self) -> None:
        """Compute them for the next two seconds."""


class Baselines(Protocol):
    """The resting faces of the people in one stream."""

    def begin(self, face: int) -> None:
        """Measure the resting face of a person from the next frame on. Raises BaselineError."""

    def forget(self, face: int | None = ...) -> None:
        """Forget the resting face of a person, or of all."""


FindBaselines = Callable[[str | None], Baselines]
"""Finds those of a track, or with None those of the program's source; raises BaselineError if there is no track."""


class Analyze(Protocol):
    """Analyzes an image file."""

    def __call__(self, data: bytes, *, landmarks: bool = ...) -> Analysis:
        """Find its faces, and their landmarks if asked. Raises ImageError."""


class Follow(Protocol):
    """Analyzes one image file of a sequence after the other."""

    def __call__(self, key: str, data: bytes, *, landmarks: bool = ...) -> Analysis:
        """Find the faces of the next image of the sequence with this key. Raises ImageError or BusyError."""


class Jobs(Protocol):
    """The queue of files to analyze; methods raise JobError where they say no."""

    @property
    def limits(self) -> Limits:
        """What it takes."""

    def create(self, name: str, size_bytes: int, group: str | None = ...) -> JobStatus:
        """Begin an upload."""

    def temporary_file(self) -> IO[bytes]:
        """A file without a name, on the disk of the uploads."""

    def write(self, number: str, offset: int, source: IO[bytes], length: int) -> JobStatus:
        """Take a piece of a file."""

    def get(self, number: str) -> JobStatus:
        """A job."""

    def find(self, numbers: Collection[str] = ..., group: str | None = ...) -> list[JobStatus]:
        """The jobs with these ids, and those of a group."""

    def wait(self, version: int, timeout_s: float) -> int:
        """Wait for a change since a version; the newest version, -1 at the end of the program."""

    def pause(self, number: str) -> JobStatus:
        """Pause a job."""

    def resume(self, number: str) -> JobStatus:
        """Let a paused job go on."""

    def pause_group(self, group: str) -> list[JobStatus]:
        """Pause the jobs of a group."""

    def resume_group(self, group: str) -> list[JobStatus]:
        """Let the jobs of a group go on."""

    def delete(self, number: str) -> None:
        """Cancel and forget a job."""

    def delete_group(self, group: str) -> None:
        """Cancel and forget the jobs of a group."""

    def table(self, number: str, name: str) -> tuple[Path, str]:
        """A table of a job that is done, and the name of the analyzed file."""

    def tables(self, group: str) -> Iterator[bytes]:
        """All rows of a group."""

    def picture(self, number: str, face: int) -> bytes:
        """A picture of a face, JPEG."""

    def report(self, number: str) -> Path:
        """The report of a job that is done."""

    def update_privacy(self) -> None:
        """Take notice that privacy mode was switched."""


class Outputs(Protocol):
    """The live outputs."""

    def status(self) -> Sequence[OutputStatus]:
        """State of each, in the order of the command line."""


Explain = Callable[[np.ndarray, Sequence[Face]], Sequence[bytes]]
"""Computes a heat map, as a PNG file, for each of the faces of a BGR frame; raises MienError if it cannot."""

ToPng = Callable[[Snapshot], bytes]
"""Encodes a snapshot's annotated picture as PNG."""


@dataclass(frozen=True)
class AppOptions:
    """What a web app offers and who may use it.

        options = AppOptions(analyze=lambda data: analyze_image(data, pipeline.analyze), unsure=0.6)
        app = create_app(camera, options)

    Args:
        analyze: For /api/analyze. If this or another argument is None, its route responds with 404, unless it says
            otherwise.
        follow: For /api/analyze?track=KEY.
        to_png: For /api/snapshot.png; if None, it responds with 503.
        explain: For /api/explain; if None, it responds with 503.
        catalog: For /api/sources, /api/source and their routes.
        recorder: For /api/record and /api/session.csv.
        browser_recorder: For /api/record?track=KEY.
        sessions: For /api/sessions.
        exports: For reports and Parquet files of sessions.
        privacy: For /api/privacy.
        adjustment: For /api/rare.
        landmarks: For the parameter landmarks=1; if None, it is refused with 503.
        jobs: For /api/jobs.
        baselines: For /api/baseline.
        outputs: Listed in the state.
        model_name: Displayed on the page.
        detectors: For /api/detector.
        detector_name: Displayed on the page, and part of the state, where `detectors` is None.
        unsure: Initial confidence threshold of the page, 0 to 1, below which a label counts as unsure.
        min_quality: Quality of a face, 0 to 1, below which its label counts as unsure on the page.
        max_streams: Concurrent picture streams; more are answered with 503.
        max_analyses: Concurrent requests for analysis; more are answered with 429.
        max_uploads: Concurrent uploads of files and pieces to /api/jobs; more are answered with 429.
        host: The address the server listens on; requests for a host name that cannot refer to it are refused.
        token: Secret required with every request; mandatory unless `host` is a loopback address.
        names: Additional accepted host names.
        embed: Origins whose pages may show the bars of the live page in a frame.
        base_path: Path below which a proxy passes requests on without removing it, such as "/mien".
        base_path: Path below which a proxy passes requests on, such as "/mien"; also what the header X-Forwarded-Prefix
            says, if it is a plain path.
    """

    analyze: Analyze | None = None
    follow: Follow | None = None
    to_png: ToPng | None = None
    explain: Explain | None = None
    catalog: Catalog | None = None
    recorder: Recorder | None = None
    browser_recorder: BrowserRecorder | None = None
    sessions: SessionStore | None = None
    exports: SessionExports | None = None
    privacy: Privacy | None = None
    adjustment: Adjustment | None = None
    detectors: Detectors | None = None
    landmarks: Landmarks | None = None
    jobs: Jobs | None = None
    baselines: FindBaselines | None = None
    outputs: Outputs | None = None
    model_name: str = "model.json"
    detector_name: str = "haar"
    unsure: float = 0.5
    min_quality: float = 0.55
    max_streams: int = 256
    max_analyses: int = 4
    max_uploads: int = 6
    host: str = "127.0.0.1"
    token: str | None = None
    names: Collection[str] = ()
    embed: Collection[str] = ()
    base_path: str = ""

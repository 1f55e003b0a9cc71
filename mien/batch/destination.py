"""Where results go: a folder of this computer, or a URL, to which each complete result is uploaded."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from mien.batch import lock, manifest, urls
from mien.batch.jobs import WORK, Job, products
from mien.batch.provenance import FILE
from mien.errors import MienError, SettingsError
from mien.masking import without_login

SAVE_EVERY_S = 10.0
"""How often the list of jobs is uploaded, or less often if that takes long: a server stores a file only as a whole."""


class Destination:
    """A folder of this computer, to which results are written directly.

        with open_destination(Path("results"), resume=False) as destination:
            destination.publish(job)

    Args:
        path: The folder, which exists.
        name: The folder as it was named, for messages.

    Attributes:
        path, name: The same.

    Raises:
        OSError: It cannot be written.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        (path / WORK).mkdir(exist_ok=True)
        for unfinished in (path / WORK).glob("*.part"):
            shutil.rmtree(unfinished) if unfinished.is_dir() else unfinished.unlink()

    def has(self, folder: str) -> bool:
        """Whether the folder of a result is complete."""
        return (self.path / folder).exists()

    def publish(self, job: Job) -> None:
        """Make available what a job left, which has to be complete by now."""

    def publish_folder(self, name: str) -> None:
        """Make the folder of a result available, which has to be complete by now."""

    def remove(self, *names: str) -> None:
        """Remove files and folders of an earlier run, as far as they exist."""
        for path in map(self.path.joinpath, names):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def save_manifest(self) -> None:
        """Make the list of jobs available."""

    def fetch_parts(self, jobs: Sequence[Job]) -> None:
        """Get what jobs with images left, to put it together."""

    def fetch_summaries(self, folders: Sequence[str]) -> None:
        """Get the summaries of videos from the folders of their results."""

    def fetch_for_report(self, folders: Sequence[str], table: str, most: int) -> None:
        """Get what the report of several videos is made of.

        Args:
            folders: Of their results.
            table: Name of the table of faces.
            most: How many videos with a face it compares.
        """

    def finish(self) -> None:
        """Make available what belongs to all inputs, and remove what was needed only until then."""
        shutil.rmtree(self.path / WORK, ignore_errors=True)


class UrlDestination(Destination):
    """A URL: results are written to a temporary folder of this computer, and uploaded one after the other.

    Args:
        path: A temporary folder, empty.
        name: The URL of a folder.

    Raises:
        MienError: It cannot be reached.
    """

    def __init__(self, path: Path, name: str) -> None:
        super().__init__(path, name)
        self._save_after_s = 0.0
        names = urls.list_names(name)
        if manifest.FILE in names:
            self._fetch(manifest.FILE)
        for part in urls.list_names(urls.join(name, WORK)) if WORK in names else ():
            if part.endswith(".json"):
                self._fetch(WORK, part)

    def has(self, folder: str) -> bool:
        """Whether the folder of a result is complete: `mien.json` is uploaded last."""
        return FILE in urls.list_names(urls.join(self.name, folder))

    def publish(self, job: Job) -> None:
        """Upload what a job left, unless a worker of a cluster did; what is not needed again is deleted here."""
        upload_products(self.path, job, self.name)
        if job.is_video:
            shutil.rmtree(self.path / job.name, ignore_errors=True)

    def publish_folder(self, name: str) -> None:
        """Upload the folder of a result, and delete it here."""
        _upload_folder(self.path / name, urls.join(self.name, name))
        shutil.rmtree(self.path / name)

    def remove(self, *names: str) -> None:
        """Remove files and folders of an earlier run, here and there, as far as they exist."""
        super().remove(*names)
        for name in urls.list_names(self.name).intersection(names):
            urls.remove(urls.join(self.name, name))

    def save_manifest(self, now: bool = False) -> None:
        """Upload the list of jobs, unless that was done just now: a kill costs what was done since."""
        begun_s = time.monotonic()
        if now or begun_s > self._save_after_s:
            self._upload(manifest.FILE)
            self._save_after_s = begun_s + max(SAVE_EVERY_S, 20 * (time.monotonic() - begun_s))

    def fetch_parts(self, jobs: Sequence[Job]) -> None:
        """Download what jobs with images left, to put it together."""
        for job in jobs:
            folder, part = products(self.path, job)
            for name in urls.list_names(urls.join(self.name, WORK, job.name)):
                self._fetch(WORK, folder.name, name)
            self._fetch(WORK, part.name)

    def fetch_summaries(self, folders: Sequence[str]) -> None:
        """Download the summaries of videos from the folders of their results."""
        for folder in folders:
            self._fetch(folder, "summary.csv")

    def fetch_for_report(self, folders: Sequence[str], table: str, most: int) -> None:
        """Download what the report of several videos is made of; their summaries have to be here."""
        with_face = 0
        for folder in folders:
            self._fetch(folder, FILE)
            has_face = (self.path / folder / "summary.csv").read_bytes().count(b"\n") > 1
            if has_face and with_face < most:
                self._fetch(folder, table)
                self._fetch(folder, "events.csv")
            with_face += has_face

    def finish(self) -> None:
        """Upload what belongs to all inputs, the list of jobs last, and remove what was needed only until then."""
        for path in sorted(self.path.iterdir()):
            if path.is_file() and path.name != manifest.FILE:
                self._upload(path.name)
        self.save_manifest(now=True)
        urls.remove(urls.join(self.name, WORK))

    def _fetch(self, *names: str) -> None:
        path = self.path.joinpath(*names)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            urls.download(urls.join(self.name, *names), path)

    def _upload(self, name: str) -> None:
        if (self.path / name).exists():
            urls.upload(self.path / name, urls.join(self.name, name))


@contextmanager
def open_destination(out: Path | str, resume: bool) -> Iterator[Destination]:
    """A folder or URL, ready for results; no other run writes to a folder meanwhile.

    Args:
        out: A folder, which is created if there is none, or the URL of one.
        resume: Whether it may contain results.

    Raises:
        SettingsError: It contains other files, or cannot be written.
        MienError: The URL cannot be reached.
    """
    with _open_folder(out, resume) if isinstance(out, Path) else _open_url(out, resume) as destination:
        yield destination


@contextmanager
def _open_folder(out: Path, resume: bool) -> Iterator[Destination]:
    with ExitStack() as held:
        try:
            out.mkdir(parents=True, exist_ok=True)
            held.enter_context(lock.exclusive(out))
            _check_content({path.name for path in out.iterdir()}, resume, str(out))
            destination = Destination(out, str(out))
        except OSError as error:
            raise SettingsError(f"--out: expected a folder, but {out} cannot be written: {error.strerror}") from error
        yield destination


@contextmanager
def _open_url(out: str, resume: bool) -> Iterator[Destination]:
    _check_content(urls.list_names(out), resume, out)
    with tempfile.TemporaryDirectory(prefix="mien-") as name:
        destination = UrlDestination(Path(name), out)
        try:
            yield destination
        except BaseException:
            with suppress(MienError):  # the first error is the one to report
                destination.save_manifest(now=True)
            raise


def _check_content(names: set[str], resume: bool, out: str) -> None:
    """Check that a run may write to a folder with this content. Raises SettingsError if not."""
    # A run that ended while it loaded the network, or found no input, has left only these, and may begin again.
    if names - {WORK, lock.FILE, manifest.UNFINISHED, "inputs.csv"}:
        if manifest.FILE not in names:
            raise SettingsError(f"--out: expected a new or empty folder, found files in {without_login(out)}")
        if not resume:
            raise SettingsError(
                f"--out: expected a new or empty folder, or --resume, found results in {without_login(out)}"
            )


def upload_products(out: Path, job: Job, url: str) -> None:
    """Upload what a job left.

    Args:
        out: Folder of all results on this computer.
        job: The job; what it did not leave is not uploaded.
        url: Of the folder of all results.

    Raises:
        MienError: It cannot be written.
    """
    for path in products(out, job):
        to = urls.join(url, path.relative_to(out).as_posix())
        if path.is_dir():
            _upload_folder(path, to)
        elif path.exists():
            urls.upload(path, to)


def _upload_folder(folder: Path, url: str) -> None:
    """Upload a complete result, `mien.json` last, in place of an older one."""
    for path in sorted(folder.rglob("*"), key=lambda path: (path.name == FILE, path)):
        if path.is_file():
            urls.upload(path, urls.join(url, path.relative_to(folder).as_posix()))
    for name in urls.list_names(url) - {path.name for path in folder.iterdir()}:
        urls.remove(urls.join(url, name))

"""The sources that may be chosen over the network while the program runs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mien.addresses import is_address, looks_like_address
from mien.errors import SettingsError, SourceError, SourceForbiddenError, SourceMissingError
from mien.filetypes import SUFFIXES, describe, identify, read_head
from mien.names import is_printable
from mien.sources import Source, open_source, source_kind, webcam_index
from mien.sources.network import URL_SCHEMES, masked_url
from mien.sources.thumbnails import Thumbnails
from mien.sources.webcam import Webcams

MAX_FILES = 500
MAX_VISITED = 20_000


class SourceCatalog:
    """Demo, webcams of this computer, network cameras, and the files of one folder.

    Args:
        media: The folder, or None.
        webcams: Finds the webcams.

    Raises:
        SettingsError: `media` is not a folder.

    Example:
        catalog = SourceCatalog(Path("videos"))
        catalog.files()  # ["clip.mp4"]
        source = catalog.open(catalog.spec_of("clip.mp4"))
    """

    def __init__(self, media: Path | None = None, webcams: Webcams | None = None) -> None:
        self._media = None if media is None else MediaFolder(media)
        self._webcams = webcams or Webcams()
        self._thumbnails = Thumbnails()

    def cameras(self, in_use: str | None = None) -> dict[str, str]:
        """Names of demo and webcams by the source to choose.

        Args:
            in_use: The source that is open; if it is a webcam, it is listed without being opened again.
        """
        index = webcam_index(in_use) if in_use is not None and source_kind(in_use) == "webcam" else None
        return {"demo": "Demo", **{str(number): name for number, name in self._webcams.find(index).items()}}

    def files(self) -> list[str] | None:
        """Names of the files, relative to the folder; None without a folder."""
        return None if self._media is None else self._media.names()

    def thumbnail(self, name: str) -> bytes:
        """A small picture of a file: JPEG, at most 160 pixels on a side.

        Args:
            name: One of `files`.

        Raises:
            SourceForbiddenError: It may not be chosen.
            SourceMissingError: There is no such file, or no picture in it.
        """
        if self._media is None:
            raise SourceForbiddenError("expected a file below the folder of --media, which is not given")
        path = self._media.find(name)
        try:
            return self._thumbnails(path)
        except SourceMissingError as error:
            raise SourceMissingError(self._media.hide(str(error))) from None

    def current(self, in_use: str | None) -> str | None:
        """The choice that matches the open source.

        Args:
            in_use: The source that is open; None while idle.

        Returns:
            None if nothing is open, or it is not in the lists.
        """
        kind = None if in_use is None else source_kind(in_use)
        if in_use is None or kind in ("auto", "url"):
            return None
        if kind == "file":
            return None if self._media is None else self._media.name_of(Path(in_use))
        if kind == "webcam":
            index = webcam_index(in_use)
            return None if index is None else str(index)
        return in_use

    def spec_of(self, source: str, in_use: str | None = None) -> str:
        """Translate a choice to what `open` takes.

        Args:
            source: `demo`, the number of a webcam, a URL, or the name of a file below the folder.
            in_use: The source that is open.

        Raises:
            SourceForbiddenError: It may not be chosen.
            SourceMissingError: There is no such webcam or file.
        """
        if source == "demo":
            return source
        if re.fullmatch("[0-9]{1,3}", source, re.ASCII):
            found = self.cameras(in_use)
            if str(int(source)) not in found:
                webcams = ", ".join(list(found)[1:]) or "none"
                raise SourceMissingError(
                    f"expected a webcam of this computer, found no {source} (available: {webcams})"
                )
            return str(int(source))
        if is_address(source):
            if source.partition("://")[0].lower() not in URL_SCHEMES:
                raise SourceForbiddenError(f"expected a URL with {', '.join(URL_SCHEMES)}")
            masked_url(source)
            return source
        if looks_like_address(source) and (self._media is None or not self._media.has(source)):
            masked_url(source)  # raises an error that says what was probably meant
        if self._media is None:
            raise SourceForbiddenError("expected demo, a webcam or a URL: files can be chosen only with --media")
        return str(self._media.find(source))

    def open(self, spec: str, **options: Any) -> Source:
        """As `mien.sources.open_source`, but error messages do not reveal the path of the folder.

        Args:
            spec: The source, as `spec_of` returns it.
            **options: Keyword arguments of `open_source`.
        """
        try:
            return open_source(spec, **options)
        except SourceError as error:
            if self._media is None:
                raise
            raise type(error)(self._media.hide(str(error))) from None


class MediaFolder:
    """The videos and images of one folder that may be chosen over the network; opens none of them.

    Names are relative, with slashes. Hidden files, files that are neither video nor image by name and content, and
    paths that lead out of the folder through `..` or a link are refused and not listed.

    Args:
        path: The folder.

    Raises:
        SettingsError: There is no such folder.

    Example:
        folder = MediaFolder(Path("videos"))
        for name in folder.names():
            print(folder.find(name))
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise SettingsError(f"--media: expected a folder, found {path}, which is not one")
        self._root = path.resolve()

    def names(self) -> list[str]:
        """The first 500 files that may be chosen, sorted."""
        return [name for _, name in zip(range(MAX_FILES), self._walk(), strict=False)]

    def find(self, name: str) -> Path:
        """The file of this name, with all links resolved.

        Args:
            name: One of `names`, with slashes.

        Raises:
            SourceForbiddenError: It may not be chosen.
            SourceMissingError: There is no such file.
        """
        outside = f"expected a file below the media folder, found {name!r}, which leads out of it"
        missing = f"expected a file in the media folder, found no {name!r}"
        relative = Path(name)
        if relative.is_absolute() or relative.drive or ".." in relative.parts or "\\" in name:
            raise SourceForbiddenError(outside)
        self._check(relative, name)
        try:
            path = (self._root / relative).resolve()
            inside = path.is_relative_to(self._root)
            exists = inside and path.is_file()
        except (OSError, RuntimeError, ValueError):  # name too long, circular links, a null byte
            raise SourceMissingError(missing) from None
        if not inside:
            raise SourceForbiddenError(outside)
        if not exists:
            raise SourceMissingError(missing)
        self._check(path.relative_to(self._root), name)  # a link may lead to a hidden file
        self._check_content(path, name)
        return path

    def name_of(self, path: Path) -> str | None:
        """Name of a file below the folder, with all links resolved; None if it may not be chosen."""
        try:
            name = path.resolve().relative_to(self._root).as_posix()
        except (OSError, RuntimeError, ValueError):
            return None
        return name if is_printable(name) and self.has(name) else None  # else it is not in the list either

    def hide(self, text: str) -> str:
        """The text without the path of the folder."""
        return text.replace(f"{self._root}{os.sep}", "").replace(str(self._root), "the media folder")

    def _check(self, relative: Path, name: str) -> None:
        if not relative.parts or relative.suffix.lower() not in SUFFIXES:
            raise SourceForbiddenError(f"expected the name of a video or image file, found {name!r}")
        if any(part.startswith(".") for part in relative.parts):
            raise SourceForbiddenError(f"expected a file that is not hidden, found {name!r}")

    def _check_content(self, path: Path, name: str) -> None:
        """Refuse playlists and other texts, whatever they are called: they could name other files."""
        try:
            head = read_head(path)
        except OSError as error:
            raise SourceMissingError(f"{name!r} cannot be read: {error.strerror}") from None
        kind = identify(head)
        if kind is None or not kind.usable:
            raise SourceForbiddenError(f"expected a video or image file, found {name!r}, which is {describe(head)}")

    def _walk(self) -> Iterator[str]:
        visited = 0
        for folder, folders, files in os.walk(self._root):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for file in sorted(files):
                visited += 1
                if visited > MAX_VISITED:
                    return
                name = (Path(folder) / file).relative_to(self._root).as_posix()
                if is_printable(name) and self.has(name):
                    yield name

    def has(self, name: str) -> bool:
        """Whether there is a file of this name that may be chosen.

        Args:
            name: With slashes.
        """
        try:
            self.find(name)
        except (SourceForbiddenError, SourceMissingError):
            return False
        return True

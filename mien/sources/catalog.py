"""The sources that may be chosen while the program runs, by whoever can reach it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mien.errors import SettingsError, SourceError, SourceForbiddenError, SourceMissingError
from mien.sources import Source, open_source, source_kind, webcam_index
from mien.sources.network import URL_SCHEMES, masked_url
from mien.sources.webcam import Webcams

VIDEOS = (".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".webm", ".wmv")
IMAGES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
SUFFIXES = frozenset(VIDEOS + IMAGES)
"""No playlists among them, which could name other files."""
MAX_FILES = 500
MAX_LOOKED_AT = 20_000


class Choices:
    """Demo, webcams of this computer, network cameras, and the files of one folder. media: that folder, or none."""

    def __init__(self, media: Path | None = None, webcams: Webcams | None = None) -> None:
        self._media = None if media is None else MediaFolder(media)
        self._webcams = webcams or Webcams()

    def cameras(self, in_use: str | None = None) -> dict[str, str]:
        """The name of the demo and of each webcam, by what to choose; in_use: the source that is open."""
        index = webcam_index(in_use) if in_use is not None and source_kind(in_use) == "webcam" else None
        return {"demo": "Demo", **{str(number): name for number, name in self._webcams.find(index).items()}}

    def files(self) -> list[str] | None:
        """The files of the folder by their names below it; None without a folder."""
        return None if self._media is None else self._media.names()

    def current(self, in_use: str | None) -> str | None:
        """What would be chosen to open what is open; None where nothing is, or what can not be chosen from a list."""
        kind = None if in_use is None else source_kind(in_use)
        if in_use is None or kind in ("auto", "url"):
            return None
        if kind == "file":
            return None if self._media is None else self._media.name_of(Path(in_use))
        return str(webcam_index(in_use)) if kind == "webcam" else in_use

    def spec_of(self, source: str, in_use: str | None = None) -> str:
        """What to open for a choice.

        Raises SourceForbiddenError for what may not be chosen, SourceMissingError for what can not be there.
        """
        if source == "demo":
            return source
        if re.fullmatch("[0-9]{1,3}", source, re.ASCII):
            found = self.cameras(in_use)
            if str(int(source)) not in found:
                webcams = ", ".join(list(found)[1:]) or "none"
                raise SourceMissingError(f"expected a webcam of this computer, found no {source} (there: {webcams})")
            return str(int(source))
        if "://" in source:
            if source.partition("://")[0].lower() not in URL_SCHEMES:
                raise SourceForbiddenError(f"expected a URL with {', '.join(URL_SCHEMES)}")
            masked_url(source)
            return source
        if self._media is None:
            raise SourceForbiddenError("expected demo, a webcam or a URL: files can be chosen with --media alone")
        return str(self._media.find(source))

    def open(self, spec: str, **options: Any) -> Source:
        """As `mien.sources.open_source`, but what it raises does not say where the folder is."""
        try:
            return open_source(spec, **options)
        except SourceError as error:
            if self._media is None:
                raise
            raise type(error)(self._media.hide(str(error))) from None


class MediaFolder:
    """Opens no file, but says which may be. Raises SettingsError where there is no such folder.

    Names are relative, with slashes. What is hidden, what is neither video nor image by its name, and what leads out
    of the folder, by `..` or by a link, is refused and not listed.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise SettingsError(f"--media: expected a folder, found {path}, which is none")
        self._root = path.resolve()

    def names(self) -> list[str]:
        """The files that may be chosen, in order; the first 500."""
        return [name for _, name in zip(range(MAX_FILES), self._walk(), strict=False)]

    def find(self, name: str) -> Path:
        """The file of this name, with all links followed.

        Raises SourceForbiddenError for what may not be chosen, SourceMissingError where there is no such file.
        """
        relative = Path(name)
        if relative.is_absolute() or relative.drive or ".." in relative.parts or "\\" in name:
            raise SourceForbiddenError(f"expected a file below the media folder, found {name!r}, which leads out of it")
        self._check(relative, name)
        try:
            path = (self._root / relative).resolve()
            inside = path.is_relative_to(self._root)
            exists = inside and path.is_file()
        except (OSError, RuntimeError, ValueError):  # too long a name, links in a circle, a null byte
            raise SourceMissingError(f"expected a file in the media folder, found no {name!r}") from None
        if not inside:
            raise SourceForbiddenError(f"expected a file below the media folder, found {name!r}, which leads out of it")
        if not exists:
            raise SourceMissingError(f"expected a file in the media folder, found no {name!r}")
        self._check(path.relative_to(self._root), name)  # a link may lead to what is hidden
        return path

    def name_of(self, path: Path) -> str | None:
        """The name by which a file is found, with all links followed; None where it may not be chosen."""
        try:
            name = path.resolve().relative_to(self._root).as_posix()
        except (OSError, RuntimeError, ValueError):
            return None
        return name if self._is_found(name) else None

    def hide(self, text: str) -> str:
        """The text without the place of the folder."""
        return text.replace(f"{self._root}{os.sep}", "").replace(str(self._root), "the media folder")

    def _check(self, relative: Path, name: str) -> None:
        if not relative.parts or relative.suffix.lower() not in SUFFIXES:
            raise SourceForbiddenError(f"expected the name of a video or image file, found {name!r}")
        if any(part.startswith(".") for part in relative.parts):
            raise SourceForbiddenError(f"expected a file that is not hidden, found {name!r}")

    def _walk(self) -> Iterator[str]:
        looked_at = 0
        for folder, folders, files in os.walk(self._root):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for file in sorted(files):
                looked_at += 1
                if looked_at > MAX_LOOKED_AT:
                    return
                name = (Path(folder) / file).relative_to(self._root).as_posix()
                if name.isprintable() and self._is_found(name):
                    yield name

    def _is_found(self, name: str) -> bool:
        try:
            self.find(name)
        except (SourceForbiddenError, SourceMissingError):
            return False
        return True

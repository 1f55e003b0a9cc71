"""The sources that may be chosen while the program runs, by whoever can reach it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mien.errors import SourceError, SourceForbiddenError, SourceMissingError
from mien.live import URL_SCHEMES, masked_url
from mien.media_folder import MediaFolder
from mien.sources import Source, open_source, source_kind, webcam_index
from mien.webcams import Webcams


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

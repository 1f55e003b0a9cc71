"""Small pictures of video and image files, by which a person recognizes them in a list."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

import numpy as np

from mien.errors import MienError, SourceError, SourceMissingError
from mien.images.codecs import encode_jpeg
from mien.images.resize import fit_within
from mien.sources.base import Source
from mien.sources.files import open_file

SIDE_PX = 160
QUALITY = 75
MAX_KEPT = 500
"""Together about 3 MB; as many as a list of files has."""
MAX_PICTURES = 30
MAX_TIME_S = 2.0
MIN_CONTRAST = 12.0
"""Standard deviation of the gray levels: many videos begin with a black picture or fade in, by which they cannot be
recognized."""


class Thumbnails:
    """Makes thumbnails, one at a time, and keeps them in memory; thread-safe.

        thumbnails = Thumbnails()
        jpeg = thumbnails(Path("clip.mp4"))

    Args:
        max_kept: How many to keep; those that were not asked for longest are dropped first.
    """

    def __init__(self, max_kept: int = MAX_KEPT) -> None:
        self._max_kept = max_kept
        self._making = threading.Lock()
        self._lock = threading.Lock()  # guards the one below
        self._kept: OrderedDict[tuple[str, int, int], bytes | SourceMissingError] = OrderedDict()

    def __call__(self, path: Path) -> bytes:
        """The thumbnail of a file: JPEG, its longer side at most 160 pixels.

        Args:
            path: The file. It is read again after it has changed.

        Raises:
            SourceMissingError: It cannot be read, or has no picture.
        """
        try:
            found = path.stat()
        except OSError as error:
            raise SourceMissingError(f"{path} cannot be read: {error.strerror}") from error
        key = (str(path), found.st_mtime_ns, found.st_size)
        kept = self._find(key)
        if kept is None:
            with self._making:
                kept = self._find(key) or self._make(path)  # another thread may have made it meanwhile
                self._keep(key, kept)
        if isinstance(kept, SourceMissingError):
            raise SourceMissingError(str(kept))
        return kept

    def _find(self, key: tuple[str, int, int]) -> bytes | SourceMissingError | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, key: tuple[str, int, int], made: bytes | SourceMissingError) -> None:
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > self._max_kept:
                self._kept.popitem(last=False)

    def _make(self, path: Path) -> bytes | SourceMissingError:
        try:
            with open_file(path, loop=False, paced=False) as source:
                return encode_jpeg(fit_within(_telling_picture(source), SIDE_PX), QUALITY)
        except SourceMissingError as error:
            return error
        except MienError as error:
            return SourceMissingError(str(error))


def _telling_picture(source: Source) -> np.ndarray:
    """The first picture within two seconds that is not of nearly one gray level; the last of them if all are."""
    pixels = source.read().pixels_bgr
    for _ in range(0 if source.is_image else MAX_PICTURES):
        if float(pixels[::8, ::8].std()) >= MIN_CONTRAST:
            break
        try:
            frame = source.read()
        except SourceError:  # the end, or a broken part: what was read before will do
            break
        if frame.media_time_s is not None and frame.media_time_s > MAX_TIME_S:
            break
        pixels = frame.pixels_bgr
    return pixels

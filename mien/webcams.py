"""Which webcams this computer has, found without disturbing the one in use."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2

from mien.clock import Clock
from mien.errors import SourceError
from mien.live import PROBED_WEBCAMS, open_webcam, webcam_indices

KEPT_S = 10.0
SYSFS = Path("/sys/class/video4linux")


class Webcams:
    """Looks for webcams when asked, and remembers what it found for ten seconds.

    platform, sysfs, open_capture: for tests.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        platform: str = sys.platform,
        sysfs: Path = SYSFS,
        open_capture: Callable[[int, int], Any] = cv2.VideoCapture,
    ) -> None:
        self._clock = clock or Clock()
        self._platform = platform
        self._sysfs = sysfs
        self._open_capture = open_capture
        self._lock = threading.Lock()  # one search at a time
        self._found: dict[int, str] = {}
        self._found_at_s: float | None = None

    def find(self, in_use: int | None = None) -> dict[int, str]:
        """The name of each webcam by its index, in order; the one in use is among them, and not touched."""
        with self._lock:
            now_s = self._clock.monotonic()
            if self._found_at_s is None or now_s - self._found_at_s >= KEPT_S:
                self._found = self._search(in_use)
                self._found_at_s = self._clock.monotonic()
            found = dict(self._found)
        if in_use is not None:
            found.setdefault(in_use, f"Webcam {in_use}")
        return dict(sorted(found.items()))

    def _search(self, in_use: int | None) -> dict[int, str]:
        if self._platform.startswith("linux"):
            return dict(self._of_linux(index) for index in webcam_indices() if self._takes_pictures(index))
        return {index: f"Webcam {index}" for index in PROBED_WEBCAMS if index == in_use or self._opens(index)}

    def _takes_pictures(self, index: int) -> bool:
        """Whether a device is the first of its camera: the others bring descriptions of the pictures."""
        return self._read(index, "index") in ("0", "")

    def _of_linux(self, index: int) -> tuple[int, str]:
        model = self._read(index, "name")
        return index, f"Webcam {index} ({model})" if model else f"Webcam {index}"

    def _read(self, index: int, what: str) -> str:
        try:
            return (self._sysfs / f"video{index}" / what).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return ""

    def _opens(self, index: int) -> bool:
        try:
            open_webcam(index, self._open_capture).release()
        except SourceError:
            return False
        return True

"""Webcams: open them, and find them without disturbing the one in use."""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mien.clock import Clock
from mien.errors import SourceError
from mien.names import printable
from mien.sources.base import CaptureSource, quiet_opencv
from mien.types import Frame, SourceState

CACHED_S = 10.0
"""How long a list of webcams is reused."""
DEVICES = Path("/dev")
SYSFS = Path("/sys/class/video4linux")
FIRST_FRAME_TRIES = 5
"""Some webcams deliver nothing for the first few reads after opening."""
FIRST_FRAME_WITHIN_S = 5.0
"""No further read is tried after this time; a single read may take seconds."""
PROBED_WEBCAMS = range(4)
"""Indices to try where the system does not list its webcams."""

log = logging.getLogger(__name__)


class Webcams:
    """Finds the webcams of this computer; a result is reused for ten seconds. Thread-safe.

    Args:
        clock: The computer's clock by default.
        platform, sysfs, open_capture: For tests.

    Example:
        webcams = Webcams()
        webcams.find()  # {0: "Webcam 0 (Integrated Camera)"}
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
        """Find the webcams.

        Args:
            in_use: Index of the webcam that is open; it is listed without being opened again.

        Returns:
            Names by index, in order.
        """
        with self._lock:
            now_s = self._clock.monotonic()
            if self._found_at_s is None or now_s - self._found_at_s >= CACHED_S:
                self._found = self._search(in_use)
                self._found_at_s = self._clock.monotonic()
            found = dict(self._found)
        if in_use is not None:
            found.setdefault(in_use, f"Webcam {in_use}")
        return dict(sorted(found.items()))

    def _search(self, in_use: int | None) -> dict[int, str]:
        if self._platform.startswith("linux"):
            # Of the devices of a camera, the first captures video; the others deliver metadata.
            indices = [index for index in webcam_indices() if self._read(index, "index") in ("0", "")]
            models = {index: self._read(index, "name") for index in indices}
            return {
                index: f"Webcam {index} ({model})" if model else f"Webcam {index}" for index, model in models.items()
            }
        return {index: f"Webcam {index}" for index in PROBED_WEBCAMS if index == in_use or self._opens(index)}

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


class WebcamSource(CaptureSource):
    """A webcam, opened in MJPG: many reach only 10 frames per second at 1280x720 in their default format.

    What the webcam grants is logged.

    Args:
        index: 0, 1, 2, ...
        device: The lasting name of a device, such as /dev/v4l/by-id/usb-..., by which it is opened again; None for the
            index.
        size: Width and height requested, in pixels.
        fps: Frames per second requested.
        clock: The computer's clock by default.
        open_capture: For tests.

    Raises:
        SourceError: The webcam cannot be opened or gives no picture.

    Example:
        with WebcamSource(0) as source:
            frame = source.read()
    """

    state: SourceState = "live"

    def __init__(
        self,
        index: int,
        *,
        device: str | None = None,
        size: tuple[int, int] = (1280, 720),
        fps: float = 30,
        clock: Clock | None = None,
        open_capture: Callable[[int, int], Any] = cv2.VideoCapture,
    ) -> None:
        name = f"Webcam {index}" if device is None else f"Webcam {printable(Path(device).name)}"
        super().__init__(device or str(index), name, open_webcam(index, open_capture), clock)
        try:
            self._request(size, fps)
            self._first = self._read_first()
            if self._first is None:
                raise SourceError(f"{self.name} opened but gives no picture; is another program using it?")
        except BaseException:
            self.close()
            raise

    def read(self) -> Frame:
        """The next picture. Raises SourceError if there is none."""
        pixels = self._grab() if self._first is None else self._first
        self._first = None
        if pixels is None:
            raise SourceError(f"{self.name} gives no picture any more; was it unplugged?")
        return self._frame(pixels)

    def _read_first(self) -> np.ndarray | None:
        deadline_s = self._clock.monotonic() + FIRST_FRAME_WITHIN_S
        for _ in range(FIRST_FRAME_TRIES):
            pixels = self._grab()
            if pixels is not None or self._clock.monotonic() >= deadline_s:
                return pixels
        return None

    def _request(self, size: tuple[int, int], fps: float) -> None:
        # The format first: with the default format a driver may refuse the size and rate that follow.
        self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
        self._capture.set(cv2.CAP_PROP_FPS, fps)
        code = int(self._capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(8, "little", signed=True)[:4]
        log.info(
            "%s: requested %dx%d at %g frames per second in MJPG, granted %dx%d at %g in %s",
            self.name,
            *(*size, fps),
            self._capture.get(cv2.CAP_PROP_FRAME_WIDTH),
            self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT),
            self._capture.get(cv2.CAP_PROP_FPS),
            code.decode("ascii") if code.isalnum() else "an unnamed format",
        )


def webcam_indices() -> list[int]:
    """Indices of webcams to try, in order: on Linux those that exist, elsewhere the first few."""
    if not sys.platform.startswith("linux"):
        return list(PROBED_WEBCAMS)
    names = (re.fullmatch(r"video(\d+)", path.name) for path in DEVICES.glob("video*"))
    return sorted(int(match[1]) for match in names if match)


def is_device(spec: str) -> bool:
    """Whether a --source value is the path of a video device other than /dev/videoN, such as /dev/v4l/by-id/usb-...

    Args:
        spec: The value.
    """
    return spec.startswith(f"{DEVICES}/v4l/") or (spec.startswith(f"{DEVICES}/") and device_index(spec) is not None)


def device_index(spec: str) -> int | None:
    """The index of a video device to which a path leads now; None if it leads to none.

    Args:
        spec: A path.
    """
    try:
        path = Path(spec).resolve()
    except (OSError, RuntimeError, ValueError):  # circular links, a null byte
        return None
    match = re.fullmatch(r"video([0-9]{1,3})", path.name, re.ASCII)
    return int(match[1]) if match and path.parent == DEVICES.resolve() and path.exists() else None


def request_camera_access(open_capture: Callable[[int, int], Any] = cv2.VideoCapture) -> None:
    """Let macOS ask for permission to use the camera; with OpenCV it asks only in the main thread."""
    if sys.platform == "darwin":
        quiet_opencv()
        open_capture(0, cv2.CAP_ANY).release()


def open_webcam(index: int, open_capture: Callable[[int, int], Any] = cv2.VideoCapture) -> Any:
    """Open a webcam with the backend of this system.

    Args:
        index: 0, 1, 2, ...
        open_capture: Called with index and backend; for tests.

    Returns:
        An open `cv2.VideoCapture`.

    Raises:
        SourceError: It cannot be opened.
    """
    quiet_opencv()
    if sys.platform.startswith("linux"):
        _check_device(Path(f"/dev/video{index}"))
        backends = [cv2.CAP_V4L2]
    elif sys.platform == "win32":
        # DirectShow opens in a tenth of the time; some newer webcams support only Media Foundation.
        backends = [cv2.CAP_DSHOW, cv2.CAP_MSMF]
    else:
        backends = [cv2.CAP_ANY]
    for backend in backends:
        capture = open_capture(index, backend)
        if capture.isOpened():
            return capture
        capture.release()
    hint = " or not allowed (System Settings > Privacy > Camera)" if sys.platform == "darwin" else ""
    raise SourceError(f"webcam {index} cannot be opened: it is busy, missing{hint}")


def _check_device(device: Path) -> None:
    if not device.exists():
        found = ", ".join(str(index) for index in webcam_indices()) or "none"
        raise SourceError(f"expected a webcam at {device}, found no such device (webcams here: {found})")
    if not os.access(device, os.R_OK | os.W_OK):
        raise SourceError(f"{device} may not be opened by this user: join the group `video`, then log in again")

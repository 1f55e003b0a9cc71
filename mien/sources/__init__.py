"""Sources of frames: webcam, video or image file, network camera, demo.

`open_source(spec)` returns a Source; its `read()` returns a Frame or raises a SourceError.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from mien.addresses import is_address, looks_like_address
from mien.clock import Clock
from mien.errors import SourceError, SourceMissingError
from mien.names import printable
from mien.sources.base import Source
from mien.sources.demo import DemoSource
from mien.sources.files import open_file
from mien.sources.network import masked_url, open_url
from mien.sources.webcam import WebcamSource, device_index, is_device, webcam_indices

__all__ = ["Source", "open_source", "source_kind", "source_name"]

SourceKind = Literal["auto", "demo", "webcam", "url", "file"]

_WEBCAM = re.compile(r"(?:/dev/video)?([0-9]{1,3})", re.ASCII)
"""A device with a number is opened again by it; one with another name by that, which may then mean another number."""

log = logging.getLogger(__name__)


def source_kind(spec: str) -> SourceKind:
    """Kind of a --source value.

    Args:
        spec: The value: `auto`, `demo`, a webcam index or a device such as /dev/video0, a URL, otherwise a file. What
            names no file and looks like a URL without its scheme counts as one, so that the message says so.
    """
    if spec in ("auto", "demo"):
        return spec  # type: ignore[return-value]
    if _WEBCAM.fullmatch(spec) or is_device(spec):
        return "webcam"
    if is_address(spec):
        return "url"
    return "url" if looks_like_address(spec) and not _exists(spec) else "file"


def source_name(spec: str) -> str:
    """Name to show before the source is open, without passwords.

    Args:
        spec: A --source value.

    Raises:
        SourceMissingError: It is an invalid URL.
    """
    kind = source_kind(spec)
    if kind == "webcam":
        return f"Webcam {printable(Path(spec).name)}" if is_device(spec) else f"Webcam {webcam_index(spec)}"
    if kind == "url":
        return masked_url(spec)
    return printable(Path(spec).name) if kind == "file" else kind.capitalize()


def open_source(  # noqa: PLR0913  a keyword for each setting that concerns sources
    spec: str,
    *,
    size: tuple[int, int] = (1280, 720),
    fps: float = 30,
    loop: bool = True,
    paced: bool = True,
    insecure: bool = False,
    clock: Clock | None = None,
    wanted: Callable[[], bool] = lambda: True,
) -> Source:
    """Open the source of a --source value.

    Args:
        spec: `auto` (the first webcam that gives a picture, otherwise the demo; the name says which), `demo`, a webcam
            index or device, the path of a video or image file, or an http, https, rtsp or rtsps URL.
        size: Width and height requested from a webcam, in pixels.
        fps: Frames per second requested from a webcam.
        loop: Whether files are played again and again.
        paced: False gives the frames of files and demo as fast as possible, and drops none.
        insecure: Whether https and rtsps certificates are accepted that cannot be verified.
        clock: The computer's clock by default.
        wanted: Called before each webcam that `auto` tries; False ends the search, as when another source was chosen
            while a webcam hung.

    Returns:
        The open source, to be read and closed by one thread.

    Raises:
        SourceMissingError: Trying again will not help.
        SourceError: Trying again may help.
    """
    kind = source_kind(spec)
    if not spec.strip():
        raise SourceMissingError("expected auto, demo, a webcam index, a video or image file, or a URL; found nothing")
    if kind == "auto":
        webcam = _first_webcam(lambda index: WebcamSource(index, size=size, fps=fps, clock=clock), wanted)
        return webcam or DemoSource(name="Demo (no webcam found)", paced=paced, clock=clock)
    if kind == "demo":
        return DemoSource(paced=paced, clock=clock)
    if kind == "webcam":
        index = webcam_index(spec)
        if index is None:
            found = ", ".join(map(str, webcam_indices())) or "none"
            raise SourceError(f"expected a webcam at {spec}, found no such device (webcams here: {found})")
        return WebcamSource(index, device=spec if is_device(spec) else None, size=size, fps=fps, clock=clock)
    if kind == "url":
        return open_url(spec, loop=loop, paced=paced, insecure=insecure, clock=clock)
    return open_file(Path(spec), loop=loop, paced=paced, clock=clock)


def _first_webcam(open_webcam: Callable[[int], Source], wanted: Callable[[], bool]) -> Source | None:
    for index in webcam_indices():
        if not wanted():
            raise SourceError("no webcam is wanted any more")
        try:
            return open_webcam(index)
        except SourceError as error:
            log.info("not used: %s", error)
    return None


def webcam_index(spec: str) -> int | None:
    """The index of a webcam; None for a device that is not there.

    Args:
        spec: A --source value such as `0`, `/dev/video0` or `/dev/v4l/by-id/usb-...`.

    Raises:
        ValueError: It is not that of a webcam.
    """
    match = _WEBCAM.fullmatch(spec)
    if match is not None:
        return int(match[1])
    if not is_device(spec):
        raise ValueError(f"expected a webcam index, found {spec!r}")
    return device_index(spec)


def is_same_file(path: Path, spec: str) -> bool:
    """Whether a --source value is a file.

    Args:
        path: The file.
        spec: The --source value.
    """
    return source_kind(spec) == "file" and path.exists() and Path(spec).exists() and path.samefile(spec)


def _exists(spec: str) -> bool:
    try:
        return Path(spec).exists()
    except (OSError, ValueError):  # too long, a null byte
        return False

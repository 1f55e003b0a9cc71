"""A browser with a camera, the video the camera plays, and a program that answers it."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import cv2
import numpy as np

from mien.images.codecs import decode_image, encode_jpeg
from mien.images.privacy import Privacy
from mien.sources.demo import DemoSource
from mien.types import Analysis, Box
from tests.page import click
from tests.web_fakes import face_showing

FACE = replace(face_showing("happy", 1), box=Box(270, 190, 100, 100))
"""Where the demo's moving face is on average."""

CHOOSE = {
    "/api/sources": lambda: {"sources": [{"source": "0", "name": "Fake camera"}], "files": None, "current": "0"},
    "/api/source": lambda: {"source": {"name": "Fake camera", "state": "live"}},
}
"""Responses of a program with one source."""


def film(path: Path, pictures: Iterable[np.ndarray]) -> None:
    """Write the video that Chromium's camera plays in a loop from now on: a sequence of JPEGs."""
    path.write_bytes(b"".join(encode_jpeg(picture, quality=95) for picture in pictures))


def demo_pictures(seconds: float = 2) -> list[np.ndarray]:
    """One of the demo's faces, 640x480, brighter to the right, so that no two pixelated blocks are equal."""
    demo = DemoSource(count=1)
    light = np.broadcast_to(np.linspace(0, 60, 640, dtype=np.uint8)[None, :, None], (480, 640, 3))
    pictures = [cv2.add(demo.render(index / 30)[0], light) for index in range(round(30 * seconds))]
    demo.close()
    return pictures


def set_permission(browser, server, setting: str = "granted") -> None:
    """Grant or deny the page the camera, as a user would when the browser asks."""
    permission = {"permission": {"name": "camera"}, "setting": setting, "origin": server.url}
    browser.execute_cdp_cmd("Browser.setPermission", permission)


def choose_camera(browser) -> None:
    click(browser, "#source")
    click(browser, "#own-camera")


class Program:
    """Fake of the program: records the images it receives and returns the configured answers."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []
        self.at_once = self.most_at_once = 0
        self.faces = (FACE,)
        self.keys: set[str] = set()
        self.privacy = Privacy()
        self._lock = threading.Lock()

    @property
    def parts(self) -> dict[str, object]:
        """Options for the app."""
        return {"analyze": Mock(), "follow": self.follow, "privacy": self.privacy}

    def follow(self, key: str, data: bytes) -> Analysis:
        assert len(key) >= 8
        self.keys.add(key)
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        pixels = decode_image(data)
        assert np.ptp(pixels) > 50  # a picture, not a blank
        height, width = pixels.shape[:2]
        self.sizes.append((width, height))
        with self._lock:
            self.at_once -= 1
        return Analysis(width, height, self.faces)

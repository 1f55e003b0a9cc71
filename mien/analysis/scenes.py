"""Whether a frame continues the scene of the previous frame: the one place where cuts are detected."""

from __future__ import annotations

from enum import Enum

import cv2
import numpy as np

THUMBNAIL_PX = (32, 18)
MIN_DIFFERENCE = 12.0
"""Mean absolute difference of two thumbnails, 0..255; below it the scene is the same, whatever moved in it."""
MIN_CORRELATION = 0.5
"""Of two thumbnails of the same scene: switching on a lamp changes the brightness, but hardly the structure."""
DOUBTFUL_DIFFERENCE = 20.0
"""From this difference on, a high correlation proves nothing: two portraits before a bright wall correlate, too."""


class Scene(Enum):
    """How a frame relates to the previous frame.

    Example:
        scenes = SceneDetector()
        [scenes.step(gray) for _ in range(2)]  # [Scene.NEW, Scene.SAME]
    """

    SAME = "same"
    DOUBTFUL = "doubtful"
    """Probably the same scene under another light: tracking continues, privacy mode does not rely on it."""
    NEW = "new"


class SceneDetector:
    """Compares thumbnails of consecutive frames of one stream by brightness and by structure.

    Example:
        scenes = SceneDetector()
        if scenes.step(gray) is Scene.NEW:
            tracks.clear()
    """

    def __init__(self) -> None:
        self._thumbnail: np.ndarray | None = None
        self._shape: tuple[int, ...] = ()

    def step(self, gray: np.ndarray) -> Scene:
        """Compare the next frame with the one before.

        Args:
            gray: uint8 (height, width).

        Returns:
            How the two relate; the first frame, or one of another size, is a new scene.
        """
        thumbnail = cv2.resize(gray, THUMBNAIL_PX, interpolation=cv2.INTER_AREA).astype(np.float32)
        before, shape = self._thumbnail, self._shape
        self._thumbnail, self._shape = thumbnail, gray.shape
        return Scene.NEW if before is None or shape != gray.shape else _compare(before, thumbnail)


def _compare(before: np.ndarray, now: np.ndarray) -> Scene:
    difference = np.abs(now - before).mean()
    if difference < MIN_DIFFERENCE:
        return Scene.SAME
    a, b = (picture - picture.mean() for picture in (before, now))
    if float((a * b).mean()) < MIN_CORRELATION * float(a.std() * b.std() + 1):
        return Scene.NEW
    return Scene.SAME if difference < DOUBTFUL_DIFFERENCE else Scene.DOUBTFUL

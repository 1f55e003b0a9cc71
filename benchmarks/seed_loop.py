"""The loop of most programs of this kind, in a separate module so that `benchmarks.peers` can run it without Mien's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mien.types import EXPRESSIONS


class SeedLoop:
    """What most programs of this kind do with a frame: full-resolution Haar cascade, `model.predict`, drawing, JPEG.

    Args:
        network: A Keras network whose outputs have the order of EXPRESSIONS.
    """

    def __init__(self, network: Any) -> None:
        self.network = network
        file = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml"
        self.cascade = cv2.CascadeClassifier(str(file))

    def faces(self, pixels_bgr: np.ndarray) -> list[tuple[int, int, int, int, str]]:
        """Return left, top, width, height in pixels, and label of each face of one frame."""
        gray = cv2.cvtColor(pixels_bgr, cv2.COLOR_BGR2GRAY)
        found = []
        for x, y, w, h in self.cascade.detectMultiScale(gray, 1.3, 5):
            face = cv2.resize(gray[y : y + h, x : x + w], (48, 48))
            probabilities = self.network.predict(face[np.newaxis, :, :, np.newaxis], verbose=0)
            found.append((int(x), int(y), int(w), int(h), EXPRESSIONS[int(np.argmax(probabilities))]))
        return found

    def frame(self, pixels_bgr: np.ndarray) -> bytes:
        """Return the annotated JPEG of one frame; draw on the frame itself, as those programs do."""
        for x, y, w, h, label in self.faces(pixels_bgr):
            cv2.putText(pixels_bgr, label, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 1, (255, 255, 0), 2)
            cv2.rectangle(pixels_bgr, (x, y), (x + w, y + h), (255, 0, 0), 2)
        return cv2.imencode(".jpg", pixels_bgr)[1].tobytes()

"""What the programs Mien replaces do with every frame, written anew as the yardstick."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mien.types import EXPRESSIONS


class SeedLoop:
    """Haar cascade at full resolution with (1.3, 5), `model.predict` for each face, drawing, JPEG."""

    def __init__(self, network: Any) -> None:
        self.network = network
        self.cascade = cv2.CascadeClassifier(
            str(Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml")
        )

    def frame(self, pixels_bgr: np.ndarray) -> bytes:
        """The annotated JPEG of one frame; draws on the frame itself, as those programs do."""
        gray = cv2.cvtColor(pixels_bgr, cv2.COLOR_BGR2GRAY)
        for x, y, w, h in self.cascade.detectMultiScale(gray, 1.3, 5):
            face = cv2.resize(gray[y : y + h, x : x + w], (48, 48))
            probabilities = self.network.predict(face[np.newaxis, :, :, np.newaxis], verbose=0)
            label = EXPRESSIONS[int(np.argmax(probabilities))]
            cv2.putText(pixels_bgr, label, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 1, (255, 255, 0), 2)
            cv2.rectangle(pixels_bgr, (x, y), (x + w, y + h), (255, 0, 0), 2)
        return cv2.imencode(".jpg", pixels_bgr)[1].tobytes()

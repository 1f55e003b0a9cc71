"""How well a network reads the demo's faces with each range of pixels: whether it is fed as it was trained."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from mien.cnn.feeding import DEFAULT, PIXELS, Pixels, feed
from mien.json_text import read_json
from mien.labels import OutputLabels
from mien.types import EXPRESSIONS

log = logging.getLogger(__name__)

_ENOUGH_S = 1.0
"""After this time, the faces of one person are enough."""

_MUCH_BETTER, _WELL = 0.25, 0.45
"""Shares of the faces: another range reads so many more right, and so many at all. Chance is 0.14."""

_NOISE = 0.15
"""Smaller differences prove nothing: three faces of 21."""


def demo_faces(size_px: tuple[int, int]) -> np.ndarray:
    """The demo's faces as a detector would crop them: uint8 (people, 7, height, width), in the order of EXPRESSIONS."""
    from mien.sources.demo_faces import FACE_WIDTH, DemoFaces  # the shipped network needs none of the sources

    textures = DemoFaces.load().textures
    margin_px = round(textures.shape[-1] * (1 - FACE_WIDTH) / 2)
    inner = textures[..., margin_px:-margin_px, margin_px:-margin_px]
    shrinks = size_px[0] < inner.shape[-1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    small = [cv2.resize(face, size_px[::-1], interpolation=how) for person in inner for face in person]
    return np.stack(small).reshape(len(inner), len(EXPRESSIONS), *size_px)


@dataclass(frozen=True, slots=True)
class Readings:
    """What a network says about the demo's faces, whatever its outputs mean.

        readings = read_demo_faces(runtime, runtime.input_shape)
        readings.better(OutputLabels(), "0..255")  # "0..1": reads them much better

    Attributes:
        outputs: For each of PIXELS, the index of the highest output for each face, by person and then expression;
            -1 where it is not a number.
        guess: The range of pixels that the network's layers tell; None for none.
        teller: Which layer tells it.
        asked: Whether the layers were looked at.
    """

    outputs: Mapping[str, tuple[int, ...]]
    guess: Pixels | None = None
    teller: str = ""
    asked: bool = False

    def right(self, labels: OutputLabels, pixels: str) -> float:
        """Share of the faces that are read as the expression that they show, of those that the network knows."""
        pairs = list(zip(self.outputs.get(pixels, ()), EXPRESSIONS * len(self.outputs), strict=False))
        known = [(output, shown) for output, shown in pairs if shown in labels.expressions]
        right = sum(0 <= output < len(labels.expressions) and labels.expressions[output] == s for output, s in known)
        return right / max(1, len(known))

    def better(self, labels: OutputLabels, chosen: Pixels) -> Pixels | None:
        """The range of pixels that reads the faces much better than the chosen one; None if there is none."""
        share = {pixels: self.right(labels, pixels) for pixels in PIXELS}
        best = max(PIXELS, key=lambda pixels: share[pixels])
        return best if share[best] >= _WELL and share[best] - share[chosen] >= _MUCH_BETTER else None

    def save(self, file: Path) -> None:
        """Write them for the next start, where that is possible."""
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, file: Path) -> Readings | None:
        """Read what `save` has written; None if there is none."""
        try:
            stored = read_json(file.read_text(encoding="utf-8"))
            outputs = {str(name): tuple(map(int, found)) for name, found in stored["outputs"].items()}
            guess = next((each for each in PIXELS if each == stored["guess"]), None)
            if outputs.keys() != set(PIXELS):
                return None
            return cls(outputs, guess, str(stored["teller"]), bool(stored["asked"]))
        except (OSError, ValueError, OverflowError, KeyError, TypeError, AttributeError):
            return None


def read_demo_faces(
    forward: Callable[[np.ndarray], np.ndarray],
    input_shape: tuple[int, int, int],
    guess: Callable[[np.ndarray], tuple[Pixels, str] | None] | None = None,
) -> Readings:
    """Let a network read the demo's faces with each range of pixels.

    Args:
        forward: From float32 (n, height, width, channels) to its outputs.
        input_shape: (height, width, channels).
        guess: From such faces, 0..255, to the range that its layers tell, and what tells it.

    Returns:
        Readings of all people, or of the first one alone where the network is slow.
    """
    faces = demo_faces(input_shape[:2])[..., np.newaxis].astype(np.float32)
    faces = np.repeat(faces, input_shape[2], axis=-1)
    outputs: dict[str, tuple[int, ...]] = dict.fromkeys(PIXELS, ())
    begun_s = time.monotonic()
    for person in faces:
        for pixels in PIXELS:
            found = forward(feed(person, pixels))
            best = np.where(np.isfinite(found).all(axis=1), found.argmax(axis=1), -1)
            outputs[pixels] += tuple(map(int, best))
        if time.monotonic() - begun_s > _ENOUGH_S:
            break
    told = None if guess is None else guess(faces.reshape(-1, *faces.shape[2:]))
    found_pixels, teller = told or (None, "")
    return Readings(outputs, found_pixels, teller, asked=guess is not None)


def choose_pixels(readings: Readings, labels: OutputLabels, wanted: Pixels | None) -> Pixels:
    """Choose the range of pixels: the wanted one, or what the network's layers tell, unless that reads the faces worse.

    A line in the log says what was guessed, or whether another range reads the faces much better.

    Args:
        readings: Of the network.
        labels: What its outputs mean.
        wanted: By the user, or stored with the network.
    """
    told, chosen = readings.guess, wanted or DEFAULT
    share = {pixels: readings.right(labels, pixels) for pixels in PIXELS}
    if told is not None and told != chosen and share[told] > share[chosen] - _NOISE:
        if wanted is None:
            log.info("the network is fed with pixels %s, as %s tells; --pixels chooses others", told, readings.teller)
            return told
        log.warning("the network is fed with pixels %s, but %s tells --pixels %s", wanted, readings.teller, told)
    elif (better := readings.better(labels, chosen)) is not None:
        text = "fed with pixels %s, the network names %.0f %% of the demo's faces right; with --pixels %s, %.0f %%"
        log.warning(text, chosen, 100 * share[chosen], better, 100 * share[better])
    return chosen

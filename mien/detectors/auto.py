"""The default detector: Haar cascades at their small cost, and a neural network that finds what they miss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from mien.detectors.base import ScaledDetector
from mien.detectors.haar import HaarDetector
from mien.detectors.same_face import union
from mien.types import Detection

NAME = "auto"

SINGLE_SIDE_PX, STREAM_SIDE_PX = 640, 320
"""Longer side of the picture that the network searches: in a stream, where there are more frames to find a face in,
a quarter of the pixels."""


class AutoDetector:
    """Two detectors: one that proposes at small cost, and one that finds faces which the first one misses.

    A single picture is searched by both. In a stream, `mien.analysis.face_stream.FaceStream` decides when the second
    one runs; `mien.analysis.thorough_schedule` says how often. Keeps nothing from one picture to the next.

    Args:
        proposing: Runs each time.
        make_thorough: Makes the other one, whose faces are added: once for streams, and again when the first single
            picture is searched, so that a live stream does not wait for uploads.

    Example:
        detector = AutoDetector(HaarDetector(), CenterFaceDetector)
        for face in detector.detect(pixels_bgr):
            print(face.found_by)
    """

    name = NAME

    def __init__(self, proposing: HaarDetector, make_thorough: Callable[[], ScaledDetector]) -> None:
        self.proposing = proposing
        self.thorough = make_thorough()
        self._make_thorough = make_thorough

    @cached_property
    def _of_singles(self) -> ScaledDetector:
        return self._make_thorough()

    def detect(self, pixels_bgr: np.ndarray) -> list[Detection]:
        """Find faces with both in a single picture, see `mien.detectors.base.Detector.detect`."""
        return union(self.propose(pixels_bgr), self._of_singles.detect(pixels_bgr, SINGLE_SIDE_PX))

    def propose(self, pixels_bgr: np.ndarray) -> list[Detection]:
        """Find faces with the first one, see `mien.detectors.base.StagedDetector.propose`."""
        return self.proposing.detect(pixels_bgr)

    def complete(self, pixels_bgr: np.ndarray, proposed: Sequence[Detection]) -> list[Detection]:
        """Add the faces of the second one, see `mien.detectors.base.StagedDetector.complete`."""
        return union(proposed, self.thorough.detect(pixels_bgr, STREAM_SIDE_PX))

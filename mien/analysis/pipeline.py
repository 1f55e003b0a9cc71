"""From pixels to faces and expressions: detect, crop, classify. Keeps nothing from one frame to the next.

The detector and the classifier have separate locks, so a live frame can be tracked and classified while faces are
detected in an upload. Drawing and encoding run in the threads of the viewers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

import numpy as np

from mien.analysis.quality import QualityModel
from mien.detectors import Detector
from mien.detectors.base import StagedDetector
from mien.images.resize import crop_faces
from mien.landmarks.follow import LandmarkTrack
from mien.landmarks.network import LandmarkNetwork, shared_network
from mien.types import EXPRESSIONS, Adjustment, Analysis, Box, Detection, Face, Frame

UNSURE_BELOW = 0.5
MIN_QUALITY = 0.55
"""Of faces with a little lower quality, about as many are labeled wrongly as rightly: `python -m training quality`."""


class Classifier(Protocol):
    """Anything that classifies the expressions of gray faces; thread-safe.

    Example:
        classifier: Classifier = FacialExpressionModel()
        probabilities = classifier.predict(np.zeros((1, *classifier.input_size_px), np.uint8))
    """

    input_size_px: tuple[int, int]

    @property
    def adjustment(self) -> Adjustment | None:
        """How often it expects rare expressions; None where that cannot be adjusted."""
        ...

    def predict(self, faces: np.ndarray) -> np.ndarray:
        """Classify gray faces.

        Args:
            faces: uint8 (n, height, width), of `input_size_px`.

        Returns:
            Softmax probabilities, float32 (n, 7), in the order of EXPRESSIONS.
        """
        ...


class Pipeline:
    """A detector and a classifier, shared by all streams and uploads; thread-safe.

    What has to be remembered about a stream (face numbers, smoothing) is in `mien.analysis.face_stream.FaceStream`.

        pipeline = Pipeline(create_detector("haar"), FacialExpressionModel())
        analysis = pipeline.analyze(Frame(cv2.imread("photo.jpg")))
        print([face.label for face in analysis.faces])

    Args:
        detector: Finds the faces.
        classifier: Classifies them.
        unsure_below: A face with a lower confidence, 0..1, counts as unsure.
        min_quality: So does a face with a lower quality, 0..1.
        landmarks: Returns the networks that find landmarks; called only when landmarks are asked for.
    """

    def __init__(
        self,
        detector: Detector,
        classifier: Classifier,
        *,
        unsure_below: float = UNSURE_BELOW,
        min_quality: float = MIN_QUALITY,
        landmarks: Callable[[], LandmarkNetwork] = shared_network,
    ) -> None:
        self.detector = detector
        self.classifier = classifier
        self.unsure_below = unsure_below
        self.min_quality = min_quality
        self._landmarks = landmarks

    @property
    def rare(self) -> float | None:
        """How often the classifier expects rare expressions, 0..1; None where that cannot be adjusted."""
        return None if self.classifier.adjustment is None else self.classifier.adjustment.rare

    def detect(self, pixels_bgr: np.ndarray) -> Sequence[Box]:
        """Detect the faces of a picture.

        Args:
            pixels_bgr: uint8 (height, width, 3), blue-green-red.

        Returns:
            Bounding boxes in pixels of the picture, clipped to it, from left to right.
        """
        return self.detector.detect(pixels_bgr)

    def propose(self, pixels_bgr: np.ndarray) -> tuple[Sequence[Box], bool]:
        """Detect the faces of a picture, only with the first stage of a detector that has two.

        Args:
            pixels_bgr: uint8 (height, width, 3), blue-green-red.

        Returns:
            As `detect`, and whether `complete` may find more.
        """
        detector = self.detector
        if isinstance(detector, StagedDetector):
            return detector.propose(pixels_bgr), True
        return detector.detect(pixels_bgr), False

    def complete(self, pixels_bgr: np.ndarray, proposed: Sequence[Box]) -> Sequence[Box]:
        """Detect the faces that `propose` has not found.

        Args:
            pixels_bgr: The picture, uint8 (height, width, 3).
            proposed: What `propose` found in it.

        Returns:
            As `detect`.
        """
        detector = self.detector  # it may have been replaced since
        return detector.complete(pixels_bgr, proposed) if isinstance(detector, StagedDetector) else proposed

    def classify(self, pixels_bgr: np.ndarray, boxes: Sequence[Box]) -> np.ndarray:
        """Classify the faces in the boxes.

        Args:
            pixels_bgr: The picture, uint8 (height, width, 3).
            boxes: Where its n faces are, in its pixels.

        Returns:
            Softmax probabilities, float32 (n, 7), in the order of EXPRESSIONS.
        """
        return self.classifier.predict(crop_faces(pixels_bgr, boxes, self.classifier.input_size_px))

    def analyze(self, frame: Frame, *, landmarks: bool = False) -> Analysis:
        """Detect and classify the faces of a single frame.

        Args:
            frame: The frame; earlier frames have no influence.
            landmarks: Whether to find their landmarks too.

        Returns:
            Its faces from left to right, without numbers and with `probabilities` equal to `raw`.

        Raises:
            LandmarkError: Landmarks are asked for, and cannot be found on this computer.
        """
        timing_ms: dict[str, float] = {}
        with timed(timing_ms, "detect"):
            boxes = self.detect(frame.pixels_bgr)
        with timed(timing_ms, "classify"):
            raw = self.classify(frame.pixels_bgr, boxes)
        with timed(timing_ms, "assess"):
            qualities = [QualityModel.stored().assess(frame.pixels_bgr, box) for box in boxes]
            found = zip(boxes, raw, qualities, strict=True)
            faces = tuple(
                self.assess(Face(box, p, p, quality=quality, found_by=found_by(box))) for box, p, quality in found
            )
        if landmarks:
            with timed(timing_ms, "landmarks"):
                faces = tuple(self.with_landmarks(face, frame, LandmarkTrack(), 0.0) for face in faces)
        return Analysis(frame.width, frame.height, faces, timing_ms, True, self.rare)

    def assess(self, face: Face) -> Face:
        """The same face with `people_share`, and marked as unsure where its confidence or quality is too low."""
        adjustment = self.classifier.adjustment
        shares = None if adjustment is None else adjustment.people_shares(face.probabilities[np.newaxis])
        people_share = None if shares is None else float(shares[0, EXPRESSIONS.index(face.label)])
        readable = face.quality is None or face.quality.value >= self.min_quality
        unsure = face.confidence < self.unsure_below or not readable
        return replace(face, unsure=unsure, people_share=people_share)

    def with_landmarks(self, face: Face, frame: Frame, track: LandmarkTrack, time_s: float) -> Face:
        """The same face with its landmarks and head; unchanged where they are not found.

        Args:
            face: A face of the frame.
            frame: The frame.
            track: What is known of this face's landmarks from earlier frames.
            time_s: Time of the frame in seconds.

        Raises:
            LandmarkError: They cannot be found on this computer.
        """
        found = track.update(self._landmarks(), frame.pixels_bgr, face.box, time_s)
        return face if found is None else replace(face, landmarks=found.points, head=found.head)


def found_by(box: Box) -> str | None:
    """Name of the detector that found a face; None for a plain box."""
    return box.found_by if isinstance(box, Detection) else None


@contextmanager
def timed(timing_ms: dict[str, float], stage: str) -> Iterator[None]:
    """A context that adds the milliseconds its body takes to a stage.

    Args:
        timing_ms: Milliseconds by stage, changed in place.
        stage: Name of the stage, such as "detect".
    """
    start_s = time.perf_counter()
    yield
    timing_ms[stage] = timing_ms.get(stage, 0.0) + (time.perf_counter() - start_s) * 1e3

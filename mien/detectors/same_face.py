"""The one rule for two boxes on one face, for all detectors and the tracker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mien.detectors.framing import BoxPx
from mien.types import Box, Detection, intersection

SAME_FACE_IOU, SAME_FACE_SHARE = 0.4, 0.65
"""IoU, and part of the smaller box inside the other: boxes of two people cheek to cheek stay just below."""
SAME_FRAMING_IOU = 0.6
"""Above this IoU, two boxes frame a face alike."""


def is_same_face(one: Box | BoxPx, other: Box | BoxPx) -> bool:
    """Whether two boxes show one face: they nearly coincide, or one is a part or the surroundings of the other.

    Args:
        one: A box, or (x, y, w, h) in pixels.
        other: Another one, in the same picture.
    """
    a, b = _sides(one), _sides(other)
    shared, areas = intersection(a, b), (a[2] * a[3], b[2] * b[3])
    return shared >= SAME_FACE_IOU * (sum(areas) - shared) or shared >= SAME_FACE_SHARE * min(areas)


def union(found: Sequence[Detection], more: Sequence[Detection]) -> list[Detection]:
    """The faces of two detectors, each once, from left to right.

    Args:
        found: Faces of a detector. They keep their boxes, so that these are steady from frame to frame, unless `more`
            frames the same face very differently.
        more: Faces of a more accurate detector, with landmarks.
    """
    kept: list[Detection] = []
    for face in sorted(found, key=lambda face: -max((face.iou(other) for other in more), default=0.0)):
        best = _better(face, more)
        if not any(is_same_face(best, known) for known in kept):
            kept.append(best)
    kept += [face for face in more if not any(is_same_face(face, known) for known in kept)]
    return sorted(kept, key=lambda face: (face.x, face.y, face.w))


def _better(face: Detection, others: Sequence[Detection]) -> Detection:
    """The face with the landmarks that another detector found; the other's where the two boxes differ much."""
    same = max((other for other in others if is_same_face(face, other)), key=face.iou, default=None)
    if same is None:
        return face
    return same if face.iou(same) < SAME_FRAMING_IOU else replace(face, landmarks=same.landmarks)


def _sides(box: Box | BoxPx) -> BoxPx:
    return (box.x, box.y, box.w, box.h) if isinstance(box, Box) else box

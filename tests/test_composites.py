import cv2
import numpy as np
import pytest

from mien.sources.demo import load_faces
from mien.types import EXPRESSIONS
from training.assets.composites import SIDE_PX, composite_sheet, write_sheet
from training.data.dataset import DataError, Split


def drawn_face(mouth_px, rng):
    """A face of ellipses at a slightly different place each time: uint8 (48, 48)."""
    face = np.full((48, 48), 60, np.uint8)
    x, y = 24 + int(rng.integers(-2, 3)), 24 + int(rng.integers(-2, 3))
    cv2.ellipse(face, (x, y), (15, 20), 0, 0, 360, 180, cv2.FILLED)
    for side in (-6, 6):
        cv2.circle(face, (x + side, y - 5), 2, 30, cv2.FILLED)
    cv2.ellipse(face, (x, y + 9), (6, mouth_px), 0, 0, 360, 20, cv2.FILLED)
    shadows = cv2.resize(rng.normal(0, 60, (10, 10)).astype(np.float32), face.shape, interpolation=cv2.INTER_CUBIC)
    return np.clip(face + shadows, 0, 255).astype(np.uint8)


def people(count):
    """So many drawn faces of each expression, each with shadows of its own."""
    rng = np.random.default_rng(0)
    labels = np.arange(len(EXPRESSIONS)).repeat(count)
    images = np.stack([drawn_face(1 + label, rng) for label in labels])[..., np.newaxis]
    return Split(images, labels, tuple(map(str, range(len(labels)))))


def test_composites_are_symmetric_faces_that_differ_and_the_demo_can_load_them(tmp_path):
    rng = np.random.default_rng(0)
    sheet = composite_sheet(people(60), lambda faces: rng.random((len(faces), 7)))
    write_sheet(sheet, tmp_path / "faces.png")
    faces = load_faces(tmp_path / "faces.png")
    assert faces.shape == (7, SIDE_PX, SIDE_PX)
    assert np.abs(faces.astype(int) - faces[:, :, ::-1]).max() <= 1, "a face and its mirror image are averaged"
    dark_mouth = [(face[SIDE_PX // 2 :] < 90).sum() for face in faces[:, :, SIDE_PX // 3 : -SIDE_PX // 3]]
    assert dark_mouth[-1] > dark_mouth[0], "the widest mouth stays the widest"


def test_too_few_people_for_a_face_that_is_nobodys_are_reported():
    with pytest.raises(DataError, match=r"expected 36 different images of each expression .*, found \d+$"):
        composite_sheet(people(20), lambda faces: np.ones((len(faces), 7)))

import cv2
import numpy as np
import pytest

from mien.landmarks.points import FOREHEAD, LEFT_EYE, OVAL, POINTS, RIGHT_EYE
from mien.sources.demo_faces import PEOPLE, SIDE_PX, DemoFaces
from mien.types import EXPRESSIONS
from training.__main__ import main
from training.assets.composites import composite_faces
from training.assets.landmarks import Landmarks
from training.assets.mesh import Mesh, common_shape, similarity
from training.data.files import DataError
from training.data.splits import Split
from training.data.votes import VOTED


def face_points():
    """468 points of a symmetric face: an outline, eyes, and a grid in between; float64 (468, 2), -1 to 1."""
    rng = np.random.default_rng(0)
    half = rng.uniform(-0.6, 0.6, (POINTS, 2))
    points = np.empty((POINTS, 2))
    others = [i for i in range(POINTS) if i not in OVAL and i not in (RIGHT_EYE, LEFT_EYE)]
    for a, b in zip(others[::2], others[1::2], strict=True):
        points[a], points[b] = half[a], half[a] * (-1, 1)
    for i, angle in zip(OVAL, np.linspace(0, 2 * np.pi, len(OVAL), endpoint=False), strict=True):
        points[i] = 0.8 * np.sin(angle), -np.cos(angle)
    points[RIGHT_EYE], points[LEFT_EYE] = (-0.35, -0.2), (0.35, -0.2)
    return points


POINTS_OF_A_FACE = face_points()


def drawn_face(label, rng):
    """A face of ellipses, whose mouth opens with the label, and its landmarks: uint8 (48, 48), (468, 2)."""
    face = np.full((48, 48), 60, np.uint8)
    x, y = 24 + int(rng.integers(-2, 3)), 24 + int(rng.integers(-2, 3))
    cv2.ellipse(face, (x, y), (15, 19), 0, 0, 360, 180, cv2.FILLED)
    for side in (-6, 6):
        cv2.circle(face, (x + side, y - 4), 2, 30, cv2.FILLED)
    cv2.ellipse(face, (x, y + 9), (6, 1 + label), 0, 0, 360, 20, cv2.FILLED)
    shadows = cv2.resize(rng.normal(0, 60, (10, 10)).astype(np.float32), face.shape, interpolation=cv2.INTER_CUBIC)
    return np.clip(face + shadows, 0, 255).astype(np.uint8), POINTS_OF_A_FACE * 19 + (x, y)


def people(count):
    """This number of drawn faces per expression, with ten unanimous votes each, and a landmark detector for them."""
    rng = np.random.default_rng(0)
    labels = np.arange(len(EXPRESSIONS)).repeat(count)
    drawn = [drawn_face(label, rng) for label in labels]
    known = {image.tobytes(): Landmarks(points, 0.0, 0.0, 0.0) for image, points in drawn}
    images = np.stack([image for image, _ in drawn])[..., np.newaxis]
    votes = 10 * np.eye(len(VOTED), dtype=np.int64)[labels]
    names = tuple(map(str, range(len(labels))))
    return Split(images, labels, names, votes), lambda image: known[image.tobytes()]


def test_composites_are_faces_that_differ_and_the_demo_can_load_them(tmp_path):
    split, find = people(90)
    composite_faces(split, find).save(tmp_path / "faces.npz")
    faces = DemoFaces.load(tmp_path / "faces.npz")
    assert faces.textures.shape == (PEOPLE, 7, SIDE_PX, SIDE_PX)
    for person in faces.textures:
        dark_mouth = [(face[SIDE_PX // 2 :, SIDE_PX // 3 : -SIDE_PX // 3] < 90).sum() for face in person]
        assert dark_mouth[-1] > dark_mouth[0], "the widest mouth stays the widest"
    again = composite_faces(split, find)
    assert np.array_equal(again.textures, faces.textures), "the same for the same seed"


@pytest.mark.parametrize("spoilt", ["too few", "without agreement", "turned away", "without landmarks"])
def test_too_few_suitable_images_are_reported(spoilt):
    split, find = people(20 if spoilt == "too few" else 40)
    if spoilt == "without agreement":
        split.votes[:] = 1
    if spoilt == "turned away":
        seen, find = find, lambda image: Landmarks(seen(image).points, 40.0, 0.0, 0.0)
    if spoilt == "without landmarks":
        find = lambda image: None  # noqa: E731
    with pytest.raises(
        DataError, match=r"^expected (36 images of different faces|frontal images) .*, found (\d+|none)$"
    ):
        composite_faces(split, find)


def test_warping_a_texture_to_its_own_shape_restores_the_face():
    common, mirror = common_shape(np.stack([POINTS_OF_A_FACE, POINTS_OF_A_FACE]))
    assert np.array_equal(mirror[mirror], np.arange(POINTS))
    assert mirror[RIGHT_EYE] == LEFT_EYE
    assert mirror[FOREHEAD] == FOREHEAD
    mesh = Mesh(common, 96)
    face, points = drawn_face(3, np.random.default_rng(1))
    narrow = (points - points.mean(axis=0)) * (0.9, 1) + points.mean(axis=0)
    texture, weight = mesh.texture(face, narrow)
    assert weight[48, 48] == 1
    shape, transform = mesh.placed(narrow)
    back = cv2.remap(texture, mesh.lookup(shape), None, cv2.INTER_LINEAR)
    expected = cv2.warpAffine(face, transform, (96, 96), flags=cv2.INTER_CUBIC)
    assert np.abs(back - expected)[20:-20, 30:-30].mean() < 4


def test_a_similarity_transform_is_recovered():
    turn = np.array([[0.6, -0.8], [0.8, 0.6]]) * 3
    found = similarity(POINTS_OF_A_FACE, POINTS_OF_A_FACE @ turn.T + (5, 7))
    assert found == pytest.approx(np.hstack([turn, [[5], [7]]]))


def test_missing_votes_are_reported_in_one_line(tmp_path, capsys):
    assert main(["composites", "--data", str(tmp_path)]) == 2
    assert (
        capsys.readouterr()
        .err.strip()
        .endswith("--votes: expected people's votes, by which the images are chosen; found none")
    )

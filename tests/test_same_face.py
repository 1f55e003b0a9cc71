"""The rule for two boxes on one face, and the union of what two detectors find."""

import pytest

from mien.detectors.same_face import is_same_face, union
from mien.types import Box, Detection

POINTS = ((20.0, 20.0), (40.0, 20.0), (30.0, 30.0), (22.0, 42.0), (38.0, 42.0))


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ((0, 0, 100, 100), True),
        ((20, 10, 100, 100), True),
        ((30, 20, 60, 60), True),
        ((-25, -25, 150, 150), True),
        ((70, 10, 60, 60), False),
        ((45, 10, 90, 90), False),
        ((50, 0, 100, 100), False),
        ((100, 0, 100, 100), False),
        ((200, 0, 100, 100), False),
    ],
    ids=[
        "the same",
        "beside",
        "a part",
        "the surroundings",
        "a smaller face half behind",
        "cheek to cheek",
        "half covered",
        "touching",
        "apart",
    ],
)
@pytest.mark.parametrize("as_boxes", [False, True])
def test_two_boxes_are_one_face_or_two(other, same, as_boxes):
    one = (0, 0, 100, 100)
    a, b = (Box(*one), Box(*other)) if as_boxes else (one, other)
    assert is_same_face(a, b) == is_same_face(b, a) == same


def haar(x, side=60):
    return Detection(x, 10, side, side, "haar")


def network(x, side=60, landmarks=POINTS):
    return Detection(x, 10, side, side, "network", landmarks)


@pytest.mark.parametrize(
    ("found", "more", "expected"),
    [
        ([], [], []),
        ([haar(10)], [], [(10, "haar", None)]),
        ([], [network(10)], [(10, "network", POINTS)]),
        ([haar(10)], [network(14)], [(10, "haar", POINTS)]),
        ([haar(300)], [network(10)], [(10, "network", POINTS), (300, "haar", None)]),
        ([haar(10, 120)], [network(20)], [(20, "network", POINTS)]),
        ([haar(10, 120), haar(16)], [network(20)], [(16, "haar", POINTS)]),
    ],
    ids=["none", "only one", "only the other", "both", "one each", "framed differently", "two boxes on one face"],
)
def test_each_face_of_two_detectors_is_reported_once(found, more, expected):
    assert [(face.x, face.found_by, face.landmarks) for face in union(found, more)] == expected

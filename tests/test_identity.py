"""The measurement of how well a face that comes back could be recognized."""

import sys

import numpy as np
import pytest

from benchmarks import identity
from mien.types import Box


def test_descriptors_are_compared_without_what_all_have_in_common():
    middle = np.array([5.0, 5.0, 5.0])
    step = np.array([1.0, 0.0, 0.0])
    one = middle + step
    assert identity.similarity(one, one, middle) == pytest.approx(1)
    assert identity.similarity(one, middle - step, middle) == pytest.approx(-1)
    assert identity.similarity(one, middle, middle) == 0


def test_clothing_of_another_color_differs():
    picture = np.zeros((200, 200, 3), np.uint8)
    picture[:, :100] = (0, 0, 200)
    picture[:, 100:] = (200, 60, 0)
    red, other_red, blue = (identity.clothing(picture, Box(x, 20, 40, 40)) for x in (20, 30, 140))
    assert red @ other_red == pytest.approx(1)
    assert red @ blue < 0.1


def test_a_descriptor_that_tells_people_apart_recognizes_all_and_one_of_noise_hardly_any(capsys):
    rng = np.random.default_rng(0)
    people = [rng.normal(size=64) for _ in range(60)]
    identity.print_row("telling", [(one + 0.01, one) for one in people], [people[:1] * 2], [{"telling": people[0]}] * 2)
    assert "degraded views 100%, another expression 100%, the woman of the clip later 100%" in capsys.readouterr().out
    noise = [(rng.normal(size=64), rng.normal(size=64)) for _ in range(60)]
    identity.print_row("noise", noise, [], [])
    out = capsys.readouterr().out
    assert int(out.split("degraded views ")[1].split("%")[0]) < 10
    assert "another expression not measured" in out


def test_missing_images_are_reported_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["identity", "--data", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"expected images named train/\*/\*"):
        identity.main()

"""How detectors frame faces, measured on a detector whose boxes are wrong in a known way."""

from dataclasses import replace

import numpy as np
import pytest

from mien.detectors.framing import CropRule
from mien.errors import ModelError
from mien.types import Box, Detection
from tests.synthetic import write_folders
from tests.test_end_to_end_accuracy import BarReader, Finder, bars
from tests.test_pipeline import ScriptedDetector
from tests.votes_table import votes_for_folders
from training.__main__ import main
from training.data.votes import VOTED
from training.evaluate.frames import Shown
from training.evaluate.framing import UPRIGHT, Loss, chosen, crops, fit, measure


def agreed(split):
    """The same images, with all votes for the expression of the folder."""
    return replace(split, votes=np.eye(len(VOTED), dtype=int)[split.labels] * 10)


class Wrong(Finder):
    """Finds faces on plain gray, with a box that is too small and too far up and left."""

    def detect(self, pixels_bgr):
        small = CropRule(0.8, -0.05, -0.1)
        for box in super().detect(pixels_bgr):
            return [Box(*map(round, small.square(box.x, box.y, box.w, box.h)))]
        return []


def test_the_fit_undoes_what_is_wrong_with_the_boxes():
    found = fit(Wrong(), bars(), faces=45)
    assert (found.found, found.faces) == (15, 45), "a third of the backgrounds is plain"
    assert found.rule.margin == pytest.approx(1.25, abs=0.02)
    assert (found.rule.shift_x, found.rule.shift_y) == pytest.approx((0.0625, 0.125), abs=0.01)
    assert max(found.spread) < 0.02


def test_a_detector_that_finds_nothing_cannot_be_fitted():
    with pytest.raises(ModelError, match="to find some faces"):
        fit(ScriptedDetector([]), bars(), faces=3)


def test_a_crop_that_cuts_too_much_loses_and_the_fitted_one_does_not():
    detector, split = Wrong(), agreed(bars())
    compared = crops(fit(detector, split, 45).rule) | {"half": lambda box: Box(box.x, box.y, box.w // 2, box.h // 2)}
    losses = measure(detector, BarReader(), split, 21, Shown(144), compared)
    assert losses["fitted"] == Loss(0, 0)
    assert losses["half"].points < -20
    assert losses["half"].error > 0
    assert UPRIGHT not in losses, "the detector gives no landmarks"
    assert measure(ScriptedDetector([]), BarReader(), split, 3, Shown(144), compared) == {}


class WithLandmarks(Finder):
    """Finds faces on plain gray, also turned ones, and says by how much they are turned."""

    def __init__(self, turned_deg):
        super().__init__()
        self.turned_deg = turned_deg
        self.frames = 0

    def detect(self, pixels_bgr):
        found = super().detect(pixels_bgr)
        angle = np.deg2rad(self.turned_deg * (-1) ** self.frames)  # the sides take turns, counterclockwise first
        self.frames += 1
        if not found:
            return []
        side = 144
        center = np.array([found[0].x + found[0].w / 2, found[0].y + found[0].h / 2])
        across, down = np.array([np.cos(angle), -np.sin(angle)]), np.array([np.sin(angle), np.cos(angle)])
        points = [center + side / 4 * (x * across + y * down) for x, y in ((-1, -1), (1, -1), (0, 0), (-1, 1), (1, 1))]
        corner = center - side / 2
        return [Detection(round(corner[0]), round(corner[1]), side, side, "eyes", tuple(map(tuple, points)))]


def test_turned_faces_gain_from_their_landmarks():
    losses = measure(WithLandmarks(40), BarReader(), agreed(bars()), 21, Shown(144, turned_deg=40), crops(CropRule()))
    assert losses[UPRIGHT].points > losses["box"].points


@pytest.mark.parametrize(
    ("fitted", "error", "expected"), [(-1.0, 0.5, "fitted"), (-1.9, 0.5, "box"), (-1.0, 3.0, "box"), (-3.0, 0.5, "box")]
)
def test_another_crop_is_chosen_only_if_it_gains_more_than_noise(fitted, error, expected):
    one = {"box": Loss(-2.0, error), "fitted": Loss(fitted, error), UPRIGHT: Loss(5.0, error)}
    turned = {"box": Loss(9.0, error), "fitted": Loss(-9.0, error), UPRIGHT: Loss(5.0, error)}
    found = {"80 px": one, "160 px": one, "240 px": {}, "160 px, turned by 10°": turned}
    assert chosen(found) == expected


def test_the_command_prints_a_fit_and_the_losses(tmp_path, capsys):
    words = ["framing", "--data", str(write_folders(tmp_path)), "--faces", "3"]
    assert main(words) == 2
    assert "expected --votes FILE" in capsys.readouterr().err
    words += ["--votes", str(votes_for_folders(tmp_path / "votes.csv"))]
    assert main([*words, "--faces", "0"]) == 2
    assert "--faces: expected 1 or more, found 0" in capsys.readouterr().err
    assert main(words) == 2, "nothing in these pictures looks like a face"
    assert "framing: expected haar to find some faces, found none" in capsys.readouterr().err

import cv2
import numpy as np
import pytest

from mien.detectors.face_filter import SCALES, SIDE_PX, FaceFilter, crop_square
from mien.types import EXPRESSIONS, Box
from tests.media import composite_frame
from training.__main__ import main
from training.assets.face_filter import fit_network, logistic_regression, scenes_without_faces
from training.evaluate.frames import shuffled


@pytest.fixture(scope="module")
def check():
    return FaceFilter()


@pytest.mark.parametrize("expression", ["happy", "sad", "surprise"])
def test_a_face_is_framed_and_distinguished_from_its_shuffled_parts(check, expression):
    pixels, truth = composite_frame(expression)
    gray = pixels.mean(axis=2).astype(np.uint8)
    square, logit = check.refine(gray, (truth.x, truth.y, truth.w, truth.h))
    assert truth.iou(Box(*map(round, square))) >= 0.5
    face = gray[truth.y : truth.y + truth.h, truth.x : truth.x + truth.w]
    parts = shuffled(face[:96, :96], 3, np.random.default_rng(1))
    assert logit > 0 > check.refine(parts, (0, 0, 96, 96))[1]


@pytest.mark.parametrize(
    ("square", "expected"),
    [((0, 0, 10), 7), ((-10, -10, 30), 7), ((5, 5, 30), 7), ((40, 0, 10), 0), ((-30, 0, 10), 0)],
    ids=["inside", "over two edges", "over the others", "right of it", "left of it"],
)
def test_a_square_may_extend_beyond_the_edge(check, square, expected):
    part = crop_square(np.full((20, 20), 7, np.uint8), *square)
    assert part.shape == (SIDE_PX, SIDE_PX)
    assert (part == expected).all()
    assert np.isfinite(check.logits(check.features(part, [square]))).all()


def test_the_framing_keeps_the_center_and_stays_within_its_scales(check):
    gray = np.random.default_rng(0).integers(0, 256, (60, 80), dtype=np.uint8)
    (x, y, w, h), _ = check.refine(gray, (20, 10, 30, 30))
    assert (x + w / 2, y + h / 2) == pytest.approx((35, 25))
    assert w == h
    assert 30 * SCALES[0] <= w <= 30 * SCALES[-1]


def test_more_windows_and_a_surer_network_score_higher(check):
    assert check.score(1.0, (9, 9)) > check.score(1.0, (1, 0))
    assert check.score(2.0, (1, 0)) > check.score(1.0, (1, 0))


# ---- fitting


def test_the_fit_learns_classes_that_are_not_linearly_separable():
    rng = np.random.default_rng(3)
    inputs = FaceFilter().features(np.zeros((40, 40), np.uint8), [(0, 0, 40)]).shape[1]
    x = np.zeros((2048, inputs), np.float32)
    x[:, :2] = rng.uniform(-1, 1, (2048, 2))
    y = (x[:, 0] * x[:, 1] > 0).astype(np.float32)
    weights = fit_network(x, y, 8, epochs=20, batch_size=64, learning_rate=0.02)
    hidden = np.maximum(x @ weights["hidden"] + weights["hidden_bias"], 0)
    assert ((hidden @ weights["out"] + weights["out_bias"] > 0) == y).mean() > 0.9


def test_the_command_fits_a_filter_that_distinguishes_faces_from_their_parts(tmp_path, capsys):
    for expression in EXPRESSIONS:
        folder = tmp_path / "data" / "train" / expression
        folder.mkdir(parents=True)
        pixels, box = composite_frame(expression)
        face = pixels[box.y : box.y + box.h, box.x : box.x + box.w].mean(axis=2).astype(np.uint8)
        for i in range(4):
            shift_px = 3 * i
            cv2.imwrite(str(folder / f"{i}.png"), cv2.resize(face[shift_px:, shift_px:], (48, 48)))
    out = tmp_path / "new" / "filter.npz"
    words = ["--data", str(tmp_path / "data"), "--faces", "25", "--frames", "24", "--hidden", "8", "--out", str(out)]
    assert main(["face-filter", *words]) == 0
    assert f"wrote {out}" in capsys.readouterr().out
    fitted = FaceFilter(np.load(out))
    pixels, truth = composite_frame("neutral")
    gray = pixels.mean(axis=2).astype(np.uint8)
    face = gray[truth.y : truth.y + truth.h, truth.x : truth.x + truth.w]
    _, logit = fitted.refine(gray, (truth.x, truth.y, truth.w, truth.h))
    assert logit > fitted.refine(shuffled(face, 3, np.random.default_rng(1)), (0, 0, len(face), len(face)))[1]
    assert fitted.score(logit, (9, 9)) > fitted.score(logit, (1, 0))


def test_logistic_regression_finds_the_odds():
    rng = np.random.default_rng(4)
    x = np.stack([rng.normal(0, 1, 20000), np.ones(20000)], axis=1)
    y = rng.random(20000) < 1 / (1 + np.exp(1 - 2 * x[:, 0]))
    assert logistic_regression(x, y) == pytest.approx([2, -1], abs=0.1)


def test_shuffling_keeps_the_same_squares():
    image = np.arange(36, dtype=np.uint8).reshape(6, 6)
    mixed = shuffled(image, 3, np.random.default_rng(0))
    assert sorted(mixed.ravel()) == sorted(image.ravel())
    assert (mixed != image).any()


def test_scenes_without_faces_all_differ(tmp_path):
    path = tmp_path / "face.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8))
    scenes = list(scenes_without_faces([path], 20, np.random.default_rng(0)))
    assert all(scene.shape == (240, 320) and scene.dtype == np.uint8 for scene in scenes)
    assert len({scene.tobytes() for scene in scenes}) == 20

import numpy as np
import pytest

from mien.cnn.layers import PATTERNS, LocalBinaryPatterns, MeanImage, Standardize, pattern_of_code
from mien.cnn.loader import import_keras

keras = import_keras()


def plain_histogram(image, grid):
    """The definition, pixel by pixel."""
    size = len(image)
    padded = np.pad(image.astype(float), 1, mode="edge")
    table = pattern_of_code()
    edges = [round(i * size / grid) for i in range(grid + 1)]
    histogram = np.zeros((grid, grid, PATTERNS))
    for y in range(size):
        for x in range(size):
            ring = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))
            code = sum((padded[y + dy, x + dx] >= image[y, x]) << bit for bit, (dy, dx) in enumerate(ring))
            cell = np.searchsorted(edges, (y, x), side="right") - 1
            histogram[cell[0], cell[1], table[code]] += 1
    return (histogram / histogram.sum(axis=2, keepdims=True)).ravel()


def faces(side_px, n=2):
    return np.random.default_rng(side_px).integers(0, 256, (n, side_px, side_px, 1)).astype(np.float32)


def test_there_are_58_uniform_patterns_and_one_for_the_rest():
    table = pattern_of_code()
    assert sorted(set(table)) == list(range(PATTERNS))
    assert (table == PATTERNS - 1).sum() == 256 - 58
    assert table[0b00001111] != PATTERNS - 1, "two changes"
    assert table[0b00010101] == PATTERNS - 1, "six changes"


@pytest.mark.parametrize(("side_px", "grid"), [(12, 3), (13, 4), (9, 1)])
def test_histograms_match_the_definition(side_px, grid):
    images = faces(side_px)
    found = np.asarray(LocalBinaryPatterns(grid)(images))
    expected = np.stack([plain_histogram(image[:, :, 0], grid) for image in images])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(found.reshape(2, grid * grid, PATTERNS).sum(axis=2), 1, atol=1e-5)


def test_brightness_and_contrast_do_not_matter():
    layer = LocalBinaryPatterns()
    images = faces(32)
    np.testing.assert_array_equal(np.asarray(layer(images)), np.asarray(layer(images * 0.5 + 30)))
    assert np.abs(np.asarray(layer(images)) - np.asarray(layer(255 - images))).max() > 0.01


@pytest.mark.parametrize("shape", [(1, 4, 4, 1), (1, 32, 32, 3), (1, 32, 32)])
def test_images_that_are_not_gray_or_too_small_are_refused(shape):
    with pytest.raises(ValueError, match="expected gray images"):
        LocalBinaryPatterns(6)(np.zeros(shape, np.float32))


def test_standardize_brings_each_image_to_mean_0_and_deviation_1():
    images = np.concatenate([faces(12), faces(12) * 0.2 + 100, np.full((1, 12, 12, 1), 200, np.float32)])
    result = np.asarray(Standardize()(images))
    np.testing.assert_allclose(result.mean(axis=(1, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(result.std(axis=(1, 2, 3)), [1, 1, 1, 1, 0], atol=1e-3)


def test_mean_image_is_subtracted_and_not_trained():
    layer = MeanImage()
    images = faces(12)
    np.testing.assert_allclose(np.asarray(layer(images)), images / 64)
    layer.mean.assign(images.mean(axis=0))
    np.testing.assert_allclose(np.asarray(layer(images)).mean(axis=0), 0, atol=1e-5)
    assert not layer.trainable_weights

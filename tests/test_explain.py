import numpy as np
import pytest

from mien import explain
from mien.explain import GradCam, overlay
from mien.expressions import ModelError
from mien.keras_files import import_keras
from model import FacialExpressionModel
from training.export import export
from training.networks import NETWORKS

keras = import_keras()


def bright_spot(at, side_px=12):
    image = np.zeros((side_px, side_px, 1), np.float32)
    image[at[0] - 1 : at[0] + 2, at[1] - 1 : at[1] + 2] = 255
    return image


@pytest.fixture(scope="module")
def network():
    """Where it is bright speaks for output 3 and against output 4; all else is nothing to it."""
    layers = keras.layers
    network = keras.Sequential(
        [
            layers.Input((12, 12, 1)),
            layers.Conv2D(1, 1, kernel_initializer="ones"),
            layers.Activation("relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(7, activation="softmax"),
        ]
    )
    kernel = np.zeros((36, 7), np.float32)
    kernel[:, 3], kernel[:, 4] = 0.01, -0.01
    network.layers[-1].set_weights([kernel, np.zeros(7, np.float32)])
    return network


def test_heat_is_where_the_evidence_is(network):
    faces = np.stack([bright_spot((3, 3)), bright_spot((8, 6)), bright_spot((3, 3))])
    heat = GradCam(network)(faces, np.array([3, 3, 4]))
    assert heat.shape == (3, 12, 12)
    assert heat.dtype == np.float32
    np.testing.assert_allclose(heat[:2], faces[:2, :, :, 0] / 255, atol=1e-6)
    assert not heat[2].any(), "brightness speaks against this one"


def test_no_faces_give_no_maps(network):
    assert GradCam(network)(np.zeros((0, 12, 12, 1)), np.zeros(0, int)).shape == (0, 12, 12)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_can_be_explained_also_when_loaded_from_its_files(name, tmp_path):
    network = NETWORKS[name](32)
    loaded = FacialExpressionModel(*export(network, tmp_path)).network
    faces = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 1))
    cam = GradCam(network)
    heat = cam(faces, np.array([0, 6]))
    assert np.isfinite(heat).all()
    assert heat.min() >= 0
    assert heat.max() <= 1
    np.testing.assert_allclose(GradCam(loaded)(faces, np.array([0, 6])), heat, atol=1e-3)
    expected = "batch_normalization" if name == "elu" else "activation"
    assert cam.layer_name.startswith(expected)


def test_what_can_not_be_explained_is_told(network, monkeypatch):
    layers = keras.layers
    with pytest.raises(ModelError, match="expected a network with a convolution"):
        GradCam(keras.Sequential([layers.Input((4, 4, 1)), layers.Flatten(), layers.Dense(7)]))
    with pytest.raises(ModelError, match="expected a dense layer at the end, found GlobalAveragePooling2D"):
        pooled = [layers.Conv2D(7, 1), layers.GlobalAveragePooling2D(), layers.Softmax()]
        GradCam(keras.Sequential([layers.Input((4, 4, 1)), *pooled]))
    monkeypatch.setattr(explain.import_keras().backend, "backend", lambda: "jax")
    with pytest.raises(ModelError, match="expected Keras on tensorflow, found it on jax"):
        GradCam(network)


def test_overlay_leaves_cold_pixels_as_they_are():
    face = np.full((4, 4), 90, np.uint8)
    heat = np.zeros((4, 4), np.float32)
    heat[1, 2] = 1
    shown = overlay(face, heat)
    assert shown.shape == (4, 4, 3)
    assert (shown[heat == 0] == 90).all()
    assert (shown[1, 2] != 90).any()

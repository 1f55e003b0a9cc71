import json

import numpy as np
import pytest
import tiny_networks

from mien.cnn.loader import import_keras
from model import FacialExpressionModel
from training import recipe
from training.export import export
from training.networks import NETWORKS, TEACHERS

keras = import_keras()


def convolutions(network):
    return [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]


def test_the_recipe_knows_the_same_networks():
    assert tuple(NETWORKS) == recipe.NETWORKS
    assert tuple(TEACHERS) == recipe.TEACHERS


def test_six_layer_has_the_documented_architecture():
    network = NETWORKS["six_layer"]()
    dense = [layer for layer in network.layers if isinstance(layer, keras.layers.Dense)]
    assert [(c.filters, c.kernel_size) for c in convolutions(network)] == [
        (64, (3, 3)),
        (128, (5, 5)),
        (512, (3, 3)),
        (512, (3, 3)),
    ]
    assert [d.units for d in dense] == [256, 512, 7]
    assert isinstance(network.layers[0], keras.layers.Rescaling), "scaling is part of the network"
    assert network.count_params() == pytest.approx(4.48e6, rel=0.01)
    assert network(np.zeros((2, 48, 48, 1), np.uint8)).shape == (2, 7)


def test_elu_has_the_documented_architecture():
    network = NETWORKS["elu"](32)
    assert [c.filters for c in convolutions(network)] == [32, 64, 128, 256]
    assert {c.kernel_size for c in convolutions(network)} == {(3, 3)}
    assert [layer.units for layer in network.layers if isinstance(layer, keras.layers.Dense)] == [64, 64, 7]
    activations = [layer.activation for layer in network.layers if isinstance(layer, keras.layers.Activation)]
    assert set(activations) == {keras.activations.elu}


def test_shallow_has_one_convolution():
    assert len(convolutions(NETWORKS["shallow"](32))) == 1


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_loads_in_the_program_from_its_two_files(name, tmp_path):
    network = NETWORKS[name](32, l2=1e-4)
    tiny_networks.scatter_weights(network)
    model_file, weights_file = export(network, tmp_path)
    faces = tiny_networks.faces(size_px=32)
    expected = keras.ops.convert_to_numpy(network(faces[..., np.newaxis].astype(np.float32), training=False))
    assert NETWORKS[name].__doc__.count("20"), "its docstring cites a source"
    loaded = FacialExpressionModel(model_file, weights_file)
    np.testing.assert_allclose(loaded.predict(faces), expected, atol=1e-5)
    assert loaded.input_size_px == (32, 32)


@pytest.mark.parametrize("pixels", ["mean_image", "standardize"])
def test_preprocessing_is_stored_with_the_network(pixels, tmp_path):
    network = tiny_networks.scatter_weights(NETWORKS["shallow"](32, pixels=pixels))
    faces = tiny_networks.faces(size_px=32)
    expected = keras.ops.convert_to_numpy(network(faces[..., np.newaxis].astype(np.float32), training=False))
    np.testing.assert_allclose(FacialExpressionModel(*export(network, tmp_path)).predict(faces), expected, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_accepts_the_style_options(name):
    network = NETWORKS[name](32, conv_dropout=0.11, dense_dropout=0.22, l2=1e-3, batch_norm=False)
    text = json.dumps([layer.get_config() for layer in network.layers])
    assert '"rate": 0.11' in text
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in network.layers)
    kernels = [layer for layer in network.layers if hasattr(layer, "kernel")]
    assert all(layer.kernel_regularizer for layer in kernels)
    assert all(layer.use_bias for layer in kernels), "nothing else can shift the activations"


def test_an_unknown_layer_with_this_projects_prefix_is_refused(tmp_path):
    from mien.errors import ModelError

    model_file, weights_file = export(NETWORKS["hybrid_lbp"](32), tmp_path)
    model_file.write_text(model_file.read_text().replace("LocalBinaryPatterns", "LocalTernaryPatterns"))
    with pytest.raises(ModelError, match="LocalTernaryPatterns"):
        FacialExpressionModel(model_file, weights_file)


@pytest.mark.parametrize("name", NETWORKS)
def test_an_untrained_network_gives_equal_probabilities(name):
    faces = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 1)).astype(np.float32)
    keras.utils.set_random_seed(0)
    probabilities = keras.ops.convert_to_numpy(NETWORKS[name](32)(faces, training=False))
    assert -np.log(probabilities).mean() == pytest.approx(np.log(7), abs=0.1)

"""A network with the same weights, computing in another precision."""

from __future__ import annotations

import keras


def computing_in(precision: str, network: keras.Model) -> keras.Model:
    """A copy all of whose layers but the last compute in `precision`, one of `training.recipe.PRECISIONS`.

    Weights stay float32. The last layer computes in float32, as `training.blocks.exit_layer` says.
    """

    def again(layer: keras.layers.Layer) -> keras.layers.Layer:
        dtype = "float32" if layer is network.layers[-1] else precision
        return type(layer).from_config({**layer.get_config(), "dtype": dtype})

    copy = keras.models.clone_model(network, clone_function=again)
    copy.set_weights(network.get_weights())
    return copy

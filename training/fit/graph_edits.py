"""Copies of networks, with the same weights and the same answers, in the same precision or in another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras


def copied(network: keras.Model, again: Callable[[Any], Any] | None = None) -> keras.Model:
    """A copy; each of its layers, those of networks inside it too, is what `again` makes of the old one."""
    copy = keras.models.clone_model(network, clone_function=again, recursive=True)
    set_same_weights(copy, network)
    return copy


def set_same_weights(copy: keras.layers.Layer, layer: keras.layers.Layer) -> None:
    """Let the copy have the weights of the layer, or network."""
    copy.set_weights(layer.get_weights())
    for one in copy._flatten_layers():
        if isinstance(one, keras.layers.Normalization):
            one.finalize_state()  # it computes with something derived from its weights


def computing_in(precision: str, network: keras.Model) -> keras.Model:
    """A copy whose layers compute in `precision`, one of `training.recipe.PRECISIONS`, while its weights stay float32.

    The last layer with weights and what follows computes in float32, as `training.blocks.exit_layer` says.
    """
    with_weights = [i for i, layer in enumerate(network.layers) if layer.weights]
    exit_layers = {id(layer) for layer in network.layers[with_weights[-1] :]} if with_weights else set()

    def again(layer: keras.layers.Layer) -> keras.layers.Layer:
        dtype = "float32" if id(layer) in exit_layers else precision
        return type(layer).from_config({**layer.get_config(), "dtype": dtype})

    return copied(network, again)

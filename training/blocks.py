"""What the networks are built of: the style they share, their entrance, blocks and exit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from mien.expressions import EXPRESSIONS
from mien.layers import MeanImage, Standardize

PIXELS = ("scale", "mean_image", "standardize")
"""How a network brings 0..255 near -1..1: the same for all pixels, less the mean image, or each image by itself."""


@dataclass(frozen=True, slots=True)
class Style:
    """What all networks let one choose.

    conv_dropout, dense_dropout: share of values dropped behind each convolution and dense block (Srivastava et al.,
    "Dropout", 2014). l2: weight of the squared weights in the loss. batch_norm: normalise each block's batches
    (Ioffe and Szegedy, "Batch normalization", 2015). pixels: one of PIXELS, as the network's first layer.
    """

    conv_dropout: float = 0.2
    dense_dropout: float = 0.3
    l2: float = 0.0
    batch_norm: bool = True
    pixels: str = "scale"


def entrance(side_px: int, style: Style) -> list[Any]:
    """The input, and the layer that brings 0..255 to about -1..1."""
    scaled = {
        "scale": lambda: layers.Rescaling(1 / 127.5, offset=-1),
        "mean_image": MeanImage,
        "standardize": Standardize,
    }
    return [layers.Input((side_px, side_px, 1)), scaled[style.pixels]()]


def chain(tensor: Any, following: Iterable[Any]) -> Any:
    """What comes out of the layers, one behind the other."""
    for layer in following:
        tensor = layer(tensor)
    return tensor


def _penalty(style: Style) -> Any:
    return keras.regularizers.L2(style.l2) if style.l2 else None


def _normalised(style: Style, activation: str, norm_last: bool) -> list[Any]:
    """The activation with batch normalisation before it, or behind it, or without."""
    norm = [layers.BatchNormalization()] if style.batch_norm else []
    active = [layers.Activation(activation)]
    return active + norm if norm_last else norm + active


def convolution(
    style: Style, filters: int, kernel: int, activation: str, *, norm_last: bool = False, stride: int = 1
) -> list[Any]:
    """A convolution that keeps the size (but for its stride), its activation and its normalisation, in either order."""
    needs_bias = norm_last or not style.batch_norm
    convolution = layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="same",
        use_bias=needs_bias,
        kernel_initializer="he_normal",
        kernel_regularizer=_penalty(style),
    )
    return [convolution, *_normalised(style, activation, norm_last)]


def pool(style: Style) -> list[Any]:
    """Half the size, and dropout."""
    return [layers.MaxPooling2D(), layers.Dropout(style.conv_dropout)]


def dense(style: Style, units: int, activation: str, *, norm_last: bool = False) -> list[Any]:
    """A dense layer, its activation and its normalisation in either order, and dropout."""
    needs_bias = norm_last or not style.batch_norm
    dense = layers.Dense(units, use_bias=needs_bias, kernel_initializer="he_normal", kernel_regularizer=_penalty(style))
    return [dense, *_normalised(style, activation, norm_last), layers.Dropout(style.dense_dropout)]


def exit_layer(style: Style) -> Any:
    """The softmax, from weights near zero: an untrained network takes all expressions for equally probable.

    In float32 whatever the precision of the other layers: bfloat16 tells no probabilities above 0.996 apart.
    """
    return layers.Dense(
        len(EXPRESSIONS),
        activation="softmax",
        dtype="float32",
        kernel_initializer=keras.initializers.VarianceScaling(scale=0.01, mode="fan_in"),
        kernel_regularizer=_penalty(style),
        name="expressions",
    )

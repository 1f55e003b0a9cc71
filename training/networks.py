"""The networks, by name. Each takes raw gray pixels 0..255 and gives seven probabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from mien.expressions import EXPRESSIONS
from mien.layers import LocalBinaryPatterns, MeanImage, Standardize

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


def six_layer(side_px: int = 48, **style: Any) -> keras.Model:
    """Four convolution blocks and two dense blocks, 4.48 M parameters: the network of the classic FER-2013 notebooks.

    Convolutions 64 3x3, 128 5x5, 512 3x3, 512 3x3, each with batch normalisation, ReLU, 2x2 max pooling and
    dropout; then dense 256 and 512 and a softmax over the seven expressions. Input (n, side_px, side_px, 1),
    gray 0..255, scaled by the first layer. Convolutions start from He et al., "Delving deep into
    rectifiers" (2015); batch normalisation after Ioffe and Szegedy (2015). style: the fields of Style.
    """
    wanted = Style(**style)
    network = _entrance(side_px, wanted)
    for filters, kernel in ((64, 3), (128, 5), (512, 3), (512, 3)):
        network += [*_convolution(wanted, filters, kernel, "relu"), *_pool(wanted)]
    network.append(layers.Flatten())
    for units in (256, 512):
        network += _dense(wanted, units, "relu")
    return keras.Sequential([*network, _exit(wanted)], name="six_layer")


def elu(side_px: int = 48, **style: Any) -> keras.Model:
    """Four blocks of two 3x3 convolutions, 32, 64, 128, 256 wide, with ELU; then dense 64 and 64.

    ELU after Clevert, Unterthiner and Hochreiter, "Fast and accurate deep network learning by exponential linear
    units" (2016), and before batch normalisation, as in the "little VGG" notebooks for FER-2013; pairs of 3x3 after
    Simonyan and Zisserman, "Very deep convolutional networks" (2015); starts from He et al. (2015).
    Input, output and style as in `six_layer`.
    """
    wanted = Style(**style)
    network = _entrance(side_px, wanted)
    for filters in (32, 64, 128, 256):
        network += [layer for _ in (1, 2) for layer in _convolution(wanted, filters, 3, "elu", norm_last=True)]
        network += _pool(wanted)
    network.append(layers.Flatten())
    for units in (64, 64):
        network += _dense(wanted, units, "elu", norm_last=True)
    return keras.Sequential([*network, _exit(wanted)], name="elu")


def shallow(side_px: int = 48, **style: Any) -> keras.Model:
    """One convolution block and the softmax: the baseline that tells what depth is worth.

    Convolution 32 3x3, batch normalisation, ReLU, 2x2 max pooling, dropout: the first block of the shallow model
    in Alizadeh and Fazel, "Convolutional neural networks for facial expression recognition" (2017).
    Input, output and style as in `six_layer`.
    """
    wanted = Style(**style)
    network = [*_entrance(side_px, wanted), *_convolution(wanted, 32, 3, "relu"), *_pool(wanted), layers.Flatten()]
    return keras.Sequential([*network, _exit(wanted)], name="shallow")


def hybrid_lbp(side_px: int = 48, **style: Any) -> keras.Model:
    """Raw pixels through convolutions, joined with histograms of local binary patterns, then dense 256.

    One branch: convolutions 64, 128, 256 3x3, each with batch normalisation, ReLU, pooling and dropout, then dense
    256. The other: uniform patterns over 6x6 cells (`mien.layers.LocalBinaryPatterns`; Ojala et al., 2002; Ahonen
    et al., 2006), then dense 128. Hand-made features beside learned ones after Alizadeh and Fazel (2017), who joined
    gradient histograms; binary patterns for expressions after Shan, Gong and McOwan (2009).
    Input, output and style as in `six_layer`.
    """
    wanted = Style(**style)
    pixels, *scaled = _entrance(side_px, wanted)
    learned: list[Any] = list(scaled)
    for filters in (64, 128, 256):
        learned += [*_convolution(wanted, filters, 3, "relu"), *_pool(wanted)]
    learned += [layers.Flatten(), *_dense(wanted, 256, "relu")]
    texture = [LocalBinaryPatterns(name="lbp"), *_dense(wanted, 128, "relu")]
    joined = layers.Concatenate()([_chain(pixels, learned), _chain(pixels, texture)])
    outputs = _chain(joined, [*_dense(wanted, 256, "relu"), _exit(wanted)])
    return keras.Model(pixels, outputs, name="hybrid_lbp")


def _entrance(side_px: int, style: Style) -> list[Any]:
    """The input, and the layer that brings 0..255 to about -1..1."""
    scaled = {
        "scale": lambda: layers.Rescaling(1 / 127.5, offset=-1),
        "mean_image": MeanImage,
        "standardize": Standardize,
    }
    return [layers.Input((side_px, side_px, 1)), scaled[style.pixels]()]


def _chain(tensor: Any, following: Iterable[Any]) -> Any:
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


def _convolution(style: Style, filters: int, kernel: int, activation: str, *, norm_last: bool = False) -> list[Any]:
    needs_bias = norm_last or not style.batch_norm
    convolution = layers.Conv2D(
        filters,
        kernel,
        padding="same",
        use_bias=needs_bias,
        kernel_initializer="he_normal",
        kernel_regularizer=_penalty(style),
    )
    return [convolution, *_normalised(style, activation, norm_last)]


def _pool(style: Style) -> list[Any]:
    return [layers.MaxPooling2D(), layers.Dropout(style.conv_dropout)]


def _dense(style: Style, units: int, activation: str, *, norm_last: bool = False) -> list[Any]:
    needs_bias = norm_last or not style.batch_norm
    dense = layers.Dense(units, use_bias=needs_bias, kernel_initializer="he_normal", kernel_regularizer=_penalty(style))
    return [dense, *_normalised(style, activation, norm_last), layers.Dropout(style.dense_dropout)]


def _exit(style: Style) -> Any:
    return layers.Dense(len(EXPRESSIONS), activation="softmax", kernel_regularizer=_penalty(style), name="expressions")


NETWORKS: dict[str, Callable[..., keras.Model]] = {
    "six_layer": six_layer,
    "elu": elu,
    "shallow": shallow,
    "hybrid_lbp": hybrid_lbp,
}
"""Every network by the name used on the command line."""

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
    """Four 3x3 convolutions, 32, 64, 128, 256 wide, with ELU; then dense 64 and 64: small and quick to train.

    Each convolution with ELU before batch normalisation, 2x2 max pooling and dropout. ELU after Clevert, Unterthiner
    and Hochreiter, "Fast and accurate deep network learning by exponential linear units" (2016); starts from
    He et al. (2015). Input, output and style as in `six_layer`.
    """
    wanted = Style(**style)
    network = [*_entrance(side_px, wanted), *_elu_convolutions(wanted), layers.Flatten(), *_elu_dense(wanted)]
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
    """The network `elu` with histograms of local binary patterns beside its convolutions: what do they add?

    Raw pixels go through the convolutions of `elu`; uniform patterns are counted over 6x6 cells
    (`mien.layers.LocalBinaryPatterns`; Ojala et al., 2002; Ahonen et al., 2006) and go through dense 128; both are
    joined before the dense 64 and 64. Hand-made features beside learned ones after Alizadeh and Fazel (2017), who
    joined gradient histograms; binary patterns for expressions after Shan, Gong and McOwan (2009).
    Input, output and style as in `six_layer`.
    """
    wanted = Style(**style)
    pixels, *scaled = _entrance(side_px, wanted)
    learned = _chain(pixels, [*scaled, *_elu_convolutions(wanted), layers.Flatten()])
    texture = _chain(pixels, [LocalBinaryPatterns(name="lbp"), *_dense(wanted, 128, "elu", norm_last=True)])
    outputs = _chain(layers.Concatenate()([learned, texture]), [*_elu_dense(wanted), _exit(wanted)])
    return keras.Model(pixels, outputs, name="hybrid_lbp")


def _elu_convolutions(style: Style) -> list[Any]:
    blocks = (
        (*_convolution(style, filters, 3, "elu", norm_last=True), *_pool(style)) for filters in (32, 64, 128, 256)
    )
    return [layer for block in blocks for layer in block]


def _elu_dense(style: Style) -> list[Any]:
    return [layer for units in (64, 64) for layer in _dense(style, units, "elu", norm_last=True)]


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
    """The softmax, from weights near zero: an untrained network takes all expressions for equally probable."""
    return layers.Dense(
        len(EXPRESSIONS),
        activation="softmax",
        kernel_initializer=keras.initializers.VarianceScaling(scale=0.01, mode="fan_in"),
        kernel_regularizer=_penalty(style),
        name="expressions",
    )


NETWORKS: dict[str, Callable[..., keras.Model]] = {
    "six_layer": six_layer,
    "elu": elu,
    "shallow": shallow,
    "hybrid_lbp": hybrid_lbp,
}
"""Every network by the name used on the command line."""

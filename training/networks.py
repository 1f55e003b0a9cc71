"""The networks, by name. Each takes raw gray pixels 0..255 and gives seven probabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from mien.layers import LocalBinaryPatterns
from training.blocks import Style, chain, convolution, dense, entrance, exit_layer, pool


def six_layer(side_px: int = 48, **style: Any) -> keras.Model:
    """Four convolution blocks and two dense blocks, 4.48 M parameters: the network of the classic FER-2013 notebooks.

    Convolutions 64 3x3, 128 5x5, 512 3x3, 512 3x3, each with batch normalisation, ReLU, 2x2 max pooling and
    dropout; then dense 256 and 512 and a softmax over the seven expressions. Input (n, side_px, side_px, 1),
    gray 0..255, scaled by the first layer. Convolutions start from He et al., "Delving deep into
    rectifiers" (2015); batch normalisation after Ioffe and Szegedy (2015). style: the fields of Style.
    """
    wanted = Style(**style)
    network = entrance(side_px, wanted)
    for filters, kernel in ((64, 3), (128, 5), (512, 3), (512, 3)):
        network += [*convolution(wanted, filters, kernel, "relu"), *pool(wanted)]
    network.append(layers.Flatten())
    for units in (256, 512):
        network += dense(wanted, units, "relu")
    return keras.Sequential([*network, exit_layer(wanted)], name="six_layer")


def elu(side_px: int = 48, **style: Any) -> keras.Model:
    """Four 3x3 convolutions, 32, 64, 128, 256 wide, with ELU; then dense 64 and 64: small and quick to train.

    Each convolution with ELU before batch normalisation, 2x2 max pooling and dropout. ELU after Clevert, Unterthiner
    and Hochreiter, "Fast and accurate deep network learning by exponential linear units" (2016); starts from
    He et al. (2015). Input, output and style as in `six_layer`.
    """
    wanted = Style(**style)
    network = [*entrance(side_px, wanted), *_elu_convolutions(wanted), layers.Flatten(), *_elu_dense(wanted)]
    return keras.Sequential([*network, exit_layer(wanted)], name="elu")


def shallow(side_px: int = 48, **style: Any) -> keras.Model:
    """One convolution block and the softmax: the baseline that tells what depth is worth.

    Convolution 32 3x3, batch normalisation, ReLU, 2x2 max pooling, dropout, in the manner of the shallow model in
    Alizadeh and Fazel, "Convolutional neural networks for facial expression recognition" (2017), which has more.
    Input, output and style as in `six_layer`.
    """
    wanted = Style(**style)
    network = [*entrance(side_px, wanted), *convolution(wanted, 32, 3, "relu"), *pool(wanted), layers.Flatten()]
    return keras.Sequential([*network, exit_layer(wanted)], name="shallow")


def hybrid_lbp(side_px: int = 48, **style: Any) -> keras.Model:
    """The network `elu` with histograms of local binary patterns beside its convolutions: what do they add?

    Raw pixels go through the convolutions of `elu`; uniform patterns are counted over 6x6 cells
    (`mien.layers.LocalBinaryPatterns`; Ojala et al., 2002; Ahonen et al., 2006) and go through dense 128; both are
    joined before the dense 64 and 64. Hand-made features beside learned ones after Alizadeh and Fazel (2017), who
    joined gradient histograms; binary patterns for expressions after Shan, Gong and McOwan (2009).
    Input, output and style as in `six_layer`.
    """
    wanted = Style(**style)
    pixels, *scaled = entrance(side_px, wanted)
    learned = chain(pixels, [*scaled, *_elu_convolutions(wanted), layers.Flatten()])
    texture = chain(pixels, [LocalBinaryPatterns(name="lbp"), *dense(wanted, 128, "elu", norm_last=True)])
    outputs = chain(layers.Concatenate()([learned, texture]), [*_elu_dense(wanted), exit_layer(wanted)])
    return keras.Model(pixels, outputs, name="hybrid_lbp")


def _elu_convolutions(style: Style) -> list[Any]:
    blocks = ((*convolution(style, filters, 3, "elu", norm_last=True), *pool(style)) for filters in (32, 64, 128, 256))
    return [layer for block in blocks for layer in block]


def _elu_dense(style: Style) -> list[Any]:
    return [layer for units in (64, 64) for layer in dense(style, units, "elu", norm_last=True)]


NETWORKS: dict[str, Callable[..., keras.Model]] = {
    "six_layer": six_layer,
    "elu": elu,
    "shallow": shallow,
    "hybrid_lbp": hybrid_lbp,
}
"""Every network by the name used on the command line."""

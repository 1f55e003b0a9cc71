"""The networks, by name. Each takes raw gray pixels 0..255 and gives seven probabilities.

What the networks are built of: the style they share, their entrance, blocks and exit.

Networks too large for the program, whose ensemble teaches a smaller one: see `training.fit.distillation`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from mien.cnn.layers import LocalBinaryPatterns, MeanImage, Standardize
from mien.types import EXPRESSIONS


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
    (`mien.cnn.layers.LocalBinaryPatterns`; Ojala et al., 2002; Ahonen et al., 2006) and go through dense 128; both are
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


def resnet18(side_px: int = 48, **style: Any) -> keras.Model:
    """Eight residual blocks of two 3x3 convolutions behind a 3x3 stem, 11.2 M parameters.

    64, 128, 256 and 512 wide, two blocks each; all but the first pair begin with stride 2. He et al., "Deep residual
    learning for image recognition" (2016), whose 7x7 stem with stride 2 and pooling gives way to one 3x3
    convolution, as there for images of 32 pixels. Mean over all places, dense dropout, softmax; conv_dropout behind
    each pair of blocks. Input, output and style as in `six_layer`.
    """
    wanted = Style(**style)
    pixels, *scaled = entrance(side_px, wanted)
    tensor = chain(pixels, [*scaled, *convolution(wanted, 64, 3, "relu")])
    for filters, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        tensor = _residual(_residual(tensor, wanted, filters, stride), wanted, filters)
        tensor = layers.Dropout(wanted.conv_dropout)(tensor)
    last = [layers.GlobalAveragePooling2D(), layers.Dropout(wanted.dense_dropout), exit_layer(wanted)]
    return keras.Model(pixels, chain(tensor, last), name="resnet18")


def vgg10(side_px: int = 48, **style: Any) -> keras.Model:
    """Four pairs of 3x3 convolutions, 64, 128, 256 and 512 wide, then dense 512 and the softmax: ten layers.

    Each convolution with batch normalisation and ReLU, each pair with 2x2 max pooling and dropout behind it. The
    order of the layers after Pramerdorfer and Kampel, "Facial expression recognition using convolutional neural
    networks: state of the art" (2016), wider than theirs; itself after Simonyan and Zisserman (2015). Input, output
    and style as in `six_layer`.
    """
    wanted = Style(**style)
    network = entrance(side_px, wanted)
    for filters in (64, 128, 256, 512):
        network += [layer for _ in range(2) for layer in convolution(wanted, filters, 3, "relu")] + pool(wanted)
    return keras.Sequential([*network, layers.Flatten(), *dense(wanted, 512, "relu"), exit_layer(wanted)], name="vgg10")


def _residual(tensor: Any, style: Style, filters: int, stride: int = 1) -> Any:
    """Two convolutions beside a shortcut, which is a 1x1 convolution where the shape changes."""
    inner = chain(tensor, convolution(style, filters, 3, "relu", stride=stride))
    inner = chain(inner, convolution(style, filters, 3, "linear"))
    if stride > 1 or tensor.shape[-1] != filters:
        tensor = chain(tensor, convolution(style, filters, 1, "linear", stride=stride))
    return layers.Activation("relu")(layers.Add()([inner, tensor]))


TEACHERS: dict[str, Callable[..., keras.Model]] = {"resnet18": resnet18, "vgg10": vgg10}
"""Every teacher by the name used on the command line."""

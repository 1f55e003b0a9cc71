"""The networks by name, and the building blocks they share.

Each takes raw gray pixels, float32 (n, side_px, side_px, 1) from 0 to 255, and returns the softmax probabilities of the
seven expressions, float32 (n, 7).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
from keras import layers

from mien.cnn.layers import LocalBinaryPatterns, MeanImage, Standardize
from mien.types import EXPRESSIONS


@dataclass(frozen=True, slots=True)
class Style:
    """The choices that all networks share.

    Attributes:
        conv_dropout: Share of values dropped after each convolution block (Srivastava et al., "Dropout", 2014).
        dense_dropout: The same after each dense block.
        l2: Weight of the squared weights in the loss.
        batch_norm: Normalize each block's batches (Ioffe and Szegedy, "Batch normalization", 2015).
        pixels: One of `training.recipe.PIXELS`.

    Example:
        network = elu(48, conv_dropout=0.1, batch_norm=False)  # fields of Style
        network.summary()
    """

    conv_dropout: float = 0.2
    dense_dropout: float = 0.3
    l2: float = 0.0
    batch_norm: bool = True
    pixels: str = "scale"


def six_layer(side_px: int = 48, **style: Any) -> keras.Model:
    """Build four convolution and two dense blocks, 4.48 M parameters: the network of the classic FER-2013 notebooks.

    Convolutions 64 3x3, 128 5x5, 512 3x3 and 512 3x3, each with batch normalization, ReLU, 2x2 max pooling and
    dropout; then dense 256 and 512. Convolutions are initialized after He et al., "Delving deep into rectifiers"
    (2015); batch normalization after Ioffe and Szegedy (2015).

    Args:
        side_px: Side of the square input.
        **style: Fields of Style.
    """
    chosen = Style(**style)
    body: list[Any] = []
    for filters, kernel in ((64, 3), (128, 5), (512, 3), (512, 3)):
        body += [*_convolution(chosen, filters, kernel, "relu"), *_pooling(chosen)]
    body += [layers.Flatten(), *_dense(chosen, 256, "relu"), *_dense(chosen, 512, "relu")]
    return _sequential("six_layer", side_px, chosen, body)


def elu(side_px: int = 48, **style: Any) -> keras.Model:
    """Build four 3x3 convolutions of 32, 64, 128 and 256 filters, then dense 64 and 64: small and quick to train.

    ELU before batch normalization, then 2x2 max pooling and dropout. ELU after Clevert, Unterthiner and Hochreiter,
    "Fast and accurate deep network learning by exponential linear units" (2016). Args as in `six_layer`.
    """
    chosen = Style(**style)
    return _sequential("elu", side_px, chosen, [*_elu_convolutions(chosen), layers.Flatten(), *_elu_dense(chosen)])


def shallow(side_px: int = 48, **style: Any) -> keras.Model:
    """Build one convolution block, 32 3x3, and the softmax: the baseline that shows what depth is worth.

    Similar to the shallow model in Alizadeh and Fazel, "Convolutional neural networks for facial expression
    recognition" (2017), which has more layers. Args as in `six_layer`.
    """
    chosen = Style(**style)
    body = [*_convolution(chosen, 32, 3, "relu"), *_pooling(chosen), layers.Flatten()]
    return _sequential("shallow", side_px, chosen, body)


def hybrid_lbp(side_px: int = 48, **style: Any) -> keras.Model:
    """Build the network `elu` with histograms of local binary patterns as a second branch.

    Uniform patterns are counted over 6x6 cells (Ojala et al., 2002; Ahonen et al., 2006), see
    `mien.cnn.layers.LocalBinaryPatterns`, and go through dense 128; both branches are joined before the dense 64 and
    64. Hand-made features beside learned ones after Alizadeh and Fazel (2017), who joined gradient histograms; binary
    patterns for expressions after Shan, Gong and McOwan (2009). Args as in `six_layer`.
    """
    chosen = Style(**style)
    pixels, *scaled = _input_layers(side_px, chosen)
    learned = _chain(pixels, [*scaled, *_elu_convolutions(chosen), layers.Flatten()])
    texture = _chain(pixels, [LocalBinaryPatterns(name="lbp"), *_dense(chosen, 128, "elu", norm_last=True)])
    outputs = _chain(layers.Concatenate()([learned, texture]), [*_elu_dense(chosen), output_layer(chosen)])
    return keras.Model(pixels, outputs, name="hybrid_lbp")


def _elu_convolutions(style: Style) -> list[Any]:
    body: list[Any] = []
    for filters in (32, 64, 128, 256):
        body += [*_convolution(style, filters, 3, "elu", norm_last=True), *_pooling(style)]
    return body


def _elu_dense(style: Style) -> list[Any]:
    return [layer for _ in range(2) for layer in _dense(style, 64, "elu", norm_last=True)]


def resnet18(side_px: int = 48, **style: Any) -> keras.Model:
    """Build eight residual blocks of two 3x3 convolutions after a 3x3 stem, 11.2 M parameters: a teacher.

    Two blocks each of 64, 128, 256 and 512 filters, with stride 2 where the number rises. He et al., "Deep residual
    learning for image recognition" (2016); one 3x3 convolution replaces the 7x7 stem with stride 2 and pooling, as
    there for images of 32 pixels. conv_dropout follows each pair of blocks, dense_dropout the global average pooling.
    Args as in `six_layer`.
    """
    chosen = Style(**style)
    pixels, *scaled = _input_layers(side_px, chosen)
    tensor = _chain(pixels, [*scaled, *_convolution(chosen, 64, 3, "relu")])
    for filters, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        tensor = _residual_block(_residual_block(tensor, chosen, filters, stride), chosen, filters)
        tensor = layers.Dropout(chosen.conv_dropout)(tensor)
    last = [layers.GlobalAveragePooling2D(), layers.Dropout(chosen.dense_dropout), output_layer(chosen)]
    return keras.Model(pixels, _chain(tensor, last), name="resnet18")


def vgg10(side_px: int = 48, **style: Any) -> keras.Model:
    """Build four pairs of 3x3 convolutions of 64, 128, 256 and 512 filters, then dense 512: a teacher.

    Each convolution with batch normalization and ReLU, each pair with 2x2 max pooling and dropout. The order of the
    layers after Pramerdorfer and Kampel, "Facial expression recognition using convolutional neural networks: state of
    the art" (2016), but wider; itself after Simonyan and Zisserman (2015). Args as in `six_layer`.
    """
    chosen = Style(**style)
    body: list[Any] = []
    for filters in (64, 128, 256, 512):
        body += [layer for _ in range(2) for layer in _convolution(chosen, filters, 3, "relu")] + _pooling(chosen)
    return _sequential("vgg10", side_px, chosen, [*body, layers.Flatten(), *_dense(chosen, 512, "relu")])


def _residual_block(tensor: Any, style: Style, filters: int, stride: int = 1) -> Any:
    """Apply two convolutions with a shortcut, a 1x1 convolution where the shape changes."""
    inner = _chain(tensor, _convolution(style, filters, 3, "relu", stride=stride))
    inner = _chain(inner, _convolution(style, filters, 3, "linear"))
    if stride > 1 or tensor.shape[-1] != filters:
        tensor = _chain(tensor, _convolution(style, filters, 1, "linear", stride=stride))
    return layers.Activation("relu")(layers.Add()([inner, tensor]))


NETWORKS: dict[str, Callable[..., keras.Model]] = {
    "six_layer": six_layer,
    "elu": elu,
    "shallow": shallow,
    "hybrid_lbp": hybrid_lbp,
}
"""The networks that the program can use, by their names in a recipe."""

TEACHERS: dict[str, Callable[..., keras.Model]] = {"resnet18": resnet18, "vgg10": vgg10}
"""Networks too large for the program; an ensemble of them teaches a smaller one (`training.fit.distillation`)."""


# ---- building blocks


def _sequential(name: str, side_px: int, style: Style, body: Iterable[Any]) -> keras.Model:
    return keras.Sequential([*_input_layers(side_px, style), *body, output_layer(style)], name=name)


def _input_layers(side_px: int, style: Style) -> list[Any]:
    """Return the input and the layer that brings pixels of 0 to 255 near -1 to 1."""
    scale = partial(layers.Rescaling, 1 / 127.5, offset=-1)
    first: dict[str, Callable[[], Any]] = {"scale": scale, "mean_image": MeanImage, "standardize": Standardize}
    return [layers.Input((side_px, side_px, 1)), first[style.pixels]()]


def _chain(tensor: Any, following: Iterable[Any]) -> Any:
    """Apply layers one after the other."""
    for layer in following:
        tensor = layer(tensor)
    return tensor


def _convolution(
    style: Style, filters: int, kernel: int, activation: str, *, norm_last: bool = False, stride: int = 1
) -> list[Any]:
    """Return a convolution with "same" padding, its activation and its normalization; norm_last: in that order."""
    layer = layers.Conv2D(filters, kernel, strides=stride, padding="same", **_weights(style, norm_last))
    return [layer, *_activation(style, activation, norm_last)]


def _dense(style: Style, units: int, activation: str, *, norm_last: bool = False) -> list[Any]:
    """Return a dense layer, its activation and its normalization as in `_convolution`, and dropout."""
    layer = layers.Dense(units, **_weights(style, norm_last))
    return [layer, *_activation(style, activation, norm_last), layers.Dropout(style.dense_dropout)]


def _pooling(style: Style) -> list[Any]:
    """Return 2x2 max pooling and dropout."""
    return [layers.MaxPooling2D(), layers.Dropout(style.conv_dropout)]


def output_layer(style: Style) -> Any:
    """Return the softmax layer, initialized near zero: an untrained network rates all expressions alike.

    It computes in float32 whatever the precision of the other layers: bfloat16 cannot represent probabilities between
    0.996 and 1.
    """
    return layers.Dense(
        len(EXPRESSIONS),
        activation="softmax",
        dtype="float32",
        kernel_initializer=keras.initializers.VarianceScaling(scale=0.01, mode="fan_in"),
        kernel_regularizer=_penalty(style),
        name="expressions",
    )


def _weights(style: Style, norm_last: bool) -> dict[str, Any]:
    """Return the arguments that convolutions and dense layers share; normalization right after needs no bias."""
    bias = norm_last or not style.batch_norm
    return {"use_bias": bias, "kernel_initializer": "he_normal", "kernel_regularizer": _penalty(style)}


def _activation(style: Style, activation: str, norm_last: bool) -> list[Any]:
    norm = [layers.BatchNormalization()] if style.batch_norm else []
    active = [layers.Activation(activation)]
    return active + norm if norm_last else norm + active


def _penalty(style: Style) -> Any:
    return keras.regularizers.L2(style.l2) if style.l2 else None

"""Networks too large for the program, whose ensemble teaches a smaller one: see `training.fit.distillation`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from training.blocks import Style, chain, convolution, dense, entrance, exit_layer, pool


def resnet18(side_px: int = 48, **style: Any) -> keras.Model:
    """Eight residual blocks of two 3x3 convolutions behind a 3x3 stem, 11.2 M parameters.

    64, 128, 256 and 512 wide, two blocks each; all but the first pair begin with stride 2. He et al., "Deep residual
    learning for image recognition" (2016), whose 7x7 stem with stride 2 and pooling gives way to one 3x3
    convolution, as there for images of 32 pixels. Mean over all places, dense dropout, softmax; conv_dropout behind
    each pair of blocks. Input, output and style as in `training.networks.six_layer`.
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
    and style as in `training.networks.six_layer`.
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

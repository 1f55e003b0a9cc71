"""The networks, by name. Each takes raw gray pixels 0..255 and gives seven probabilities."""

from __future__ import annotations

import keras
from keras import layers

from mien.expressions import EXPRESSIONS


def six_layer(
    side_px: int = 48,
    *,
    conv_dropout: float = 0.2,
    dense_dropout: float = 0.3,
) -> keras.Model:
    """Four convolution blocks and two dense blocks, 4.48 M parameters: the network of the classic FER-2013 notebooks.

    Convolutions 64 3x3, 128 5x5, 512 3x3, 512 3x3, each with batch normalisation, ReLU, 2x2 max pooling and
    dropout; then dense 256 and 512 and a softmax over the seven expressions. Input (n, side_px, side_px, 1),
    gray 0..255, scaled to -1..1 by the first layer. Convolutions start from He et al., "Delving deep into
    rectifiers" (2015); batch normalisation after Ioffe and Szegedy (2015).
    """
    network = [layers.Input((side_px, side_px, 1)), layers.Rescaling(1 / 127.5, offset=-1)]
    for filters, kernel in ((64, 3), (128, 5), (512, 3), (512, 3)):
        network += [
            layers.Conv2D(filters, kernel, padding="same", use_bias=False, kernel_initializer="he_normal"),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.MaxPooling2D(),
            layers.Dropout(conv_dropout),
        ]
    network.append(layers.Flatten())
    for units in (256, 512):
        network += [
            layers.Dense(units, use_bias=False, kernel_initializer="he_normal"),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.Dropout(dense_dropout),
        ]
    network.append(layers.Dense(len(EXPRESSIONS), activation="softmax", name="expressions"))
    return keras.Sequential(network, name="six_layer")


NETWORKS = {"six_layer": six_layer}
"""Every network by the name used on the command line."""

"""Which parts of a face speak for an expression: Grad-CAM.

Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization" (2017).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from mien.expressions import ModelError
from mien.keras_files import import_keras


class GradCam:
    """Heat maps of one network; make it once, as making it compiles. May not be shared by threads.

    network: a built Keras network that ends in a dense layer over the expressions, with or without softmax, and has
    a convolution, such as `FacialExpressionModel.network`. layer_name: where it looked.
    Raises ModelError for a network without a convolution or with another end, and on a Keras backend other than
    TensorFlow, as the gradient is TensorFlow's.
    """

    def __init__(self, network: Any) -> None:
        keras = import_keras()
        if keras.backend.backend() != "tensorflow":
            raise ModelError(f"Grad-CAM: expected Keras on tensorflow, found it on {keras.backend.backend()}")
        import tensorflow as tf

        before_last, dense = _end_of(network, keras)
        last = _last_maps(network, keras)
        self.layer_name: str = last.name
        inside = keras.Model(network.inputs[0], [last.output, before_last])

        def explain(pixels: Any, labels: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(pixels)
                maps, features = inside(pixels, training=False)
                logits = tf.matmul(features, dense.kernel)
                logits = logits if dense.bias is None else logits + dense.bias
                scores = tf.gather(logits, labels, axis=1, batch_dims=1)
            weights = tf.reduce_mean(tape.gradient(scores, maps), axis=(1, 2), keepdims=True)
            return tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1))

        signature = [tf.TensorSpec(network.input_shape, tf.float32), tf.TensorSpec((None,), tf.int32)]
        self._explain = tf.function(explain, input_signature=signature, autograph=False)

    def __call__(self, faces: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """How much each pixel speaks for the label: float32 (n, h, w), 0 to 1 (the most in this face; 0 if nothing).

        faces: (n, h, w, channels) as the network itself takes them, 0..255 for Mien's own. labels: int (n,), which of
        the network's outputs to explain.
        """
        height, width = faces.shape[1:3]
        result = np.zeros((len(faces), height, width), np.float32)
        if not len(faces):  # TensorFlow's gradient of no image at all ends the program
            return result
        heat = self._explain(np.asarray(faces, np.float32), np.asarray(labels, np.int32)).numpy()
        for one, coarse in zip(result, heat, strict=True):
            if coarse.max() > 0:
                one[:] = cv2.resize(coarse / coarse.max(), (width, height), interpolation=cv2.INTER_LINEAR)
        return result


def overlay(face: np.ndarray, heat: np.ndarray, opacity: float = 0.5) -> np.ndarray:
    """A gray face, uint8 (h, w), under its heat map, float (h, w) 0 to 1: uint8 (h, w, 3), BGR."""
    colors = cv2.applyColorMap(np.round(heat * 255).astype(np.uint8), cv2.COLORMAP_CIVIDIS)
    share = (opacity * heat)[..., np.newaxis]
    return np.round(face[..., np.newaxis] * (1 - share) + colors * share).astype(np.uint8)


def _end_of(network: Any, keras: Any) -> tuple[Any, Any]:
    """(what the last dense layer sees, that layer)."""
    dense = network.layers[-1]
    if not isinstance(dense, keras.layers.Dense):  # a softmax of its own
        dense = network.layers[-2]
    if not isinstance(dense, keras.layers.Dense):
        raise ModelError(f"Grad-CAM: expected a dense layer at the end, found {type(dense).__name__}")
    return dense.input, dense


def _last_maps(network: Any, keras: Any) -> Any:
    """The last convolution, or what normalises and activates it."""
    convolutions = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    if not convolutions:
        raise ModelError(f"Grad-CAM: expected a network with a convolution, found none in {network.name}")
    last = convolutions[-1]
    same = (keras.layers.BatchNormalization, keras.layers.Activation, keras.layers.ReLU, keras.layers.LeakyReLU)
    while followers := [x for x in network.layers if isinstance(x, same) and x.input is last.output]:
        last = followers[0]
    return last

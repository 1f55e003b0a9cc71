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
        last_maps, layer_name = _last_maps(network, keras)
        self.layer_name: str = layer_name
        inside = keras.Model(network.inputs[0], [last_maps, before_last])

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
    """(the tensor that the last dense layer sees, that layer)."""
    layer, before = _made_by(network.outputs[0])
    if not isinstance(layer, keras.layers.Dense) and before:  # a softmax of its own
        layer, before = _made_by(before[0])
    if not isinstance(layer, keras.layers.Dense):
        raise ModelError(f"Grad-CAM: expected a dense layer at the end, found {type(layer).__name__}")
    return before[0], layer


def _last_maps(network: Any, keras: Any) -> tuple[Any, str]:
    """(the last feature maps, who made them): of the last convolution, or of what normalises and activates it."""
    kinds = keras.layers
    makers = (kinds.Conv2D, kinds.BatchNormalization, kinds.Activation, kinds.ReLU, kinds.LeakyReLU, kinds.ELU)
    if not any(isinstance(layer, kinds.Conv2D) for layer in network.layers):
        raise ModelError(f"Grad-CAM: expected a network with a convolution, found none in {network.name}")
    waiting = list(network.outputs)
    while waiting:  # from the end, as near to it as can be
        tensor = waiting.pop(0)
        layer, before = _made_by(tensor)
        if isinstance(layer, makers) and len(tensor.shape) == 4:
            return tensor, layer.name
        waiting += before
    raise ModelError(f"Grad-CAM: expected feature maps in {network.name}, found none")


def _made_by(tensor: Any) -> tuple[Any, list[Any]]:
    """(the layer that made a tensor of a network, the tensors it made it of).

    By the tensor's history, as `layer.input` is that of the layer's first call, and Keras calls the layers of a
    Sequential anew for each that it adds.
    """
    layer, call, _ = tensor._keras_history
    return layer, list(layer._inbound_nodes[call].input_tensors)

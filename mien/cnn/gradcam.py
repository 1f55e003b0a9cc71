"""Heat maps of the parts of a face that support an expression: Grad-CAM and Layer-CAM.

Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization" (2017); Jiang et
al., "LayerCAM: exploring hierarchical class activation maps for localization" (2021).
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import cv2
import numpy as np

from mien.cnn.graph import find_feature_maps, find_logits, flatten
from mien.cnn.loader import import_keras
from mien.errors import LoadingError, ModelError
from mien.images.codecs import encode_png
from mien.images.resize import crop_faces, roll_deg
from mien.loading import Loading
from mien.types import EXPRESSIONS, Face

MIN_SIDE_SHARE = 1 / 4
"""Smallest side of the feature maps used, as a share of the input's side: 12x12 for 48 pixels.

Chosen on 200 Training images by how far the probability of the label falls when the highest fifth of the pixels is
hidden (`python -m training masking`): 0.41 for maps of 24x24, 0.49 for 12x12, 0.39 for the last ones, 6x6; averages of
several maps were no better.
"""

_FACES_PER_CALL = 32  # as many as model.py takes at once, to limit memory
_HEAT_PX = 48
_OPACITY = 0.8


class GradCam:
    """Heat maps of one network. Creating it compiles, so create it once; not thread-safe.

    The heat of a position is the sum over all feature maps of activation times positive gradient of the label's score
    (Layer-CAM). Grad-CAM as first published, `plain`, takes the mean gradient of each map, and only the last maps, 6x6
    positions for a face of 48x48; the pixels that it rates highest matter no more than random ones (`python -m training
    masking` measures both).

    Args:
        network: A built Keras network with one image as input and a convolution, perhaps in nested networks, such as
            `FacialExpressionModel.network`; it is not changed.
        plain: Grad-CAM as first published instead of Layer-CAM.

    Raises:
        ModelError: The network has no convolution, or the Keras backend is not TensorFlow, JAX or PyTorch.

    Example:
        cam = GradCam(model.network)
        heat = cam(model.as_input(faces), labels)
        cam.layer_name  # the layer whose maps it uses
    """

    def __init__(self, network: Any, *, plain: bool = False) -> None:
        keras = import_keras()
        ops = keras.ops
        graph = flatten(network)
        maps, self.layer_name = find_feature_maps(graph, 0 if plain else MIN_SIDE_SHARE)
        features, dense = find_logits(graph)
        # The layers after the maps may also use the image itself.
        self._to_maps = keras.Model(graph.inputs[0], maps)
        from_maps = keras.Model([maps, graph.inputs[0]], features)

        def score(maps: Any, pixels: Any, chosen: Any) -> Any:
            values = ops.cast(from_maps([maps, pixels], training=False), "float32")
            if dense is not None:
                values = ops.matmul(values, ops.cast(dense.kernel, "float32"))
                values = values if dense.bias is None else values + ops.cast(dense.bias, "float32")
            return ops.sum(values * chosen)

        def weigh(maps: Any, gradient: Any) -> Any:
            maps, gradient = ops.cast(maps, "float32"), ops.cast(gradient, "float32")
            weights = ops.mean(gradient, axis=(1, 2), keepdims=True) if plain else ops.relu(gradient)
            return ops.relu(ops.sum(weights * maps, axis=-1))

        self._explain = _compile(keras, self._to_maps, score, weigh, network)
        self._outputs = network.output_shape[-1]

    def __call__(self, faces: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """How much each pixel supports the label.

        Args:
            faces: (n, h, w, channels) as the network takes them, 0 to 255 for Mien's own.
            labels: int (n,), the output of the network to explain for each face.

        Returns:
            float32 (n, h, w), 0 to 1, relative to the maximum of each face; all 0 if nothing supports the label.
        """
        height, width = faces.shape[1:3]
        result = np.zeros((len(faces), height, width), np.float32)
        chosen = np.eye(self._outputs, dtype=np.float32)[np.asarray(labels, int)]
        for start in range(0, len(faces), _FACES_PER_CALL):
            part = slice(start, start + _FACES_PER_CALL)
            heat = self._explain(np.asarray(faces[part], np.float32), chosen[part])
            for one, coarse in zip(result[part], heat, strict=True):
                if coarse.max() > 0:
                    one[:] = cv2.resize(coarse / coarse.max(), (width, height), interpolation=cv2.INTER_LINEAR)
        return result


def _compile(
    keras: Any, to_maps: Any, score: Callable[..., Any], weigh: Callable[..., Any], network: Any
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Compile a function from pixels and one-hot outputs to heat, with the gradient of this Keras backend."""
    backend = keras.backend.backend()
    to_tensor, to_numpy = keras.ops.convert_to_tensor, keras.ops.convert_to_numpy

    if backend == "tensorflow":
        import tensorflow as tf

        def by_tape(pixels: Any, chosen: Any) -> Any:
            maps = to_maps(pixels, training=False)
            with tf.GradientTape() as tape:
                tape.watch(maps)
                total = score(maps, pixels, chosen)
            return weigh(maps, tape.gradient(total, maps))

        signature = [tf.TensorSpec(network.input_shape, tf.float32), tf.TensorSpec(network.output_shape, tf.float32)]
        compiled = tf.function(by_tape, input_signature=signature, autograph=False)
        return lambda pixels, chosen: np.asarray(compiled(pixels, chosen))
    if backend == "jax":
        import jax

        def by_jax(pixels: np.ndarray, chosen: np.ndarray) -> np.ndarray:
            image = to_tensor(pixels)
            maps = to_maps(image, training=False)
            return np.asarray(to_numpy(weigh(maps, jax.grad(score)(maps, image, to_tensor(chosen)))))

        return by_jax
    if backend == "torch":
        import torch

        def by_torch(pixels: np.ndarray, chosen: np.ndarray) -> np.ndarray:
            image = to_tensor(pixels)
            maps = to_maps(image, training=False).detach().requires_grad_(True)
            (gradient,) = torch.autograd.grad(score(maps, image, to_tensor(chosen)), maps)
            return np.asarray(to_numpy(weigh(maps, gradient).detach()))

        return by_torch
    raise ModelError(f"Grad-CAM: expected Keras on tensorflow, jax or torch, found it on {backend}")


class HasClassifier(Protocol):
    """What an Explainer needs of a pipeline: a classifier with the attributes of `FacialExpressionModel`."""

    classifier: Any


class Explainer:
    """Heat maps for the labels of the faces of a frame; thread-safe. The network is prepared on first use.

    That loads Keras, in the background because it takes seconds, unless Keras is loaded already.

    Args:
        pipeline: Has the classifier.

    Example:
        explain = Explainer(pipeline)
        png, *_ = explain(frame.pixels_bgr, analysis.faces)
    """

    def __init__(self, pipeline: HasClassifier) -> None:
        self._pipeline = pipeline
        self._lock = threading.Lock()
        self._cam = Loading(self._prepare)
        self._waits = "keras" in sys.modules

    def __call__(self, pixels_bgr: np.ndarray, faces: Sequence[Face]) -> list[bytes]:
        """Compute heat maps for the crops that the classifier sees.

        Args:
            pixels_bgr: The frame, uint8 (height, width, 3).
            faces: Its faces.

        Returns:
            A PNG file for each face, as `heat_png` makes it.

        Raises:
            LoadingError: Keras is still being loaded.
            ModelError: This network cannot be explained, or Keras is not installed.
        """
        self._cam.start()
        if not self._waits and not self._cam.done:
            raise LoadingError("the network that explains is being loaded, which takes some seconds")
        cam = self._cam.result()
        classifier = self._pipeline.classifier
        crops = crop_faces(pixels_bgr, [face.box for face in faces], classifier.input_size_px)
        labels = [classifier.output_order[EXPRESSIONS.index(face.label)] for face in faces]
        with self._lock:
            heat = cam(classifier.as_input(crops), np.array(labels, int))
        return [heat_png(turned(one, roll_deg(face.box))) for one, face in zip(heat, faces, strict=True)]

    def _prepare(self) -> GradCam:
        """Load the Keras network, and compile."""
        classifier = self._pipeline.classifier
        cam = GradCam(classifier.network)
        cam(classifier.as_input(np.zeros((1, *classifier.input_size_px), np.uint8)), np.zeros(1, int))
        return cam


def turned(heat: np.ndarray, angle_deg: float) -> np.ndarray:
    """Turn a heat map as its face is turned in the picture.

    Args:
        heat: float (h, w), of an upright crop.
        angle_deg: Of the face, clockwise, see `mien.images.resize.roll_deg`.
    """
    if not angle_deg:
        return heat
    height, width = heat.shape
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -angle_deg, 1.0)
    return np.asarray(cv2.warpAffine(heat, turn, (width, height)))


def heat_png(heat: np.ndarray) -> bytes:
    """Encode a heat map as a picture to draw over its face.

    Args:
        heat: float (h, w), 0 to 1.

    Returns:
        A PNG file, RGBA, 48x48, more transparent the lower the heat.
    """
    heat = np.clip(cv2.resize(heat.astype(np.float32), (_HEAT_PX, _HEAT_PX), interpolation=cv2.INTER_LINEAR), 0, 1)
    alpha = np.round(255 * _OPACITY * heat).astype(np.uint8)
    return encode_png(np.dstack([_colors(heat), alpha]))


def overlay(face: np.ndarray, heat: np.ndarray, opacity: float = _OPACITY) -> np.ndarray:
    """Draw a heat map over a face.

    Args:
        face: Gray, uint8 (h, w).
        heat: float (h, w), 0 to 1.
        opacity: Of the highest heat, 0 to 1.

    Returns:
        uint8 (h, w, 3), BGR.
    """
    share = (opacity * heat)[..., np.newaxis]
    return np.round(face[..., np.newaxis] * (1 - share) + _colors(heat) * share).astype(np.uint8)


def _colors(heat: np.ndarray) -> np.ndarray:
    """Colors of a perceptually uniform map: uint8 (h, w, 3), BGR."""
    return cv2.applyColorMap(np.round(heat * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)

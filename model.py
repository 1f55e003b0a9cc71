"""The expression network: model.json + model_weights.h5 -> seven probabilities for each face."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mien.cnn.loader import import_keras, load_network, stored_labels
from mien.cnn.logit_adjustment import read_adjustment
from mien.errors import ModelError
from mien.types import EXPRESSIONS

_HERE = Path(__file__).resolve().parent

# With more than 16 faces per call, the time per face no longer falls while memory keeps growing.
_FACES_PER_CALL = 32

_ALIASES = {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "happiness": "happy",
    "neutrality": "neutral",
    "sadness": "sad",
    "surprised": "surprise",
}

log = logging.getLogger(__name__)

# After these layers, probabilities are still probabilities and logits still logits.
_KEEP_PROBABILITIES = ("Flatten", "Reshape", "Dropout", "AveragePooling2D", "GlobalAveragePooling2D", "Average")


class FacialExpressionModel:
    """A trained network that classifies the expression of gray faces; thread-safe.

        model = FacialExpressionModel("model.json", "model_weights.h5")
        model.predict_emotion(face)  # "Happy"; face: gray, 48x48, values 0..255
        model.predict(faces)         # probabilities, (n, 7), for faces (n, 48, 48)

    Attributes:
        adjustment: How often rare expressions are expected; None where model.json stores no base rates.
        input_size_px: (height, width) of the faces, as stored in model.json.
        network: The Keras network; its input is what `as_input` returns.
        output_order: For each of EXPRESSIONS, the index of its output in the network.
    """

    EMOTIONS_LIST = [name.capitalize() for name in EXPRESSIONS]  # noqa: RUF012

    def __init__(
        self,
        model_json_file: str | Path = _HERE / "model.json",
        model_weights_file: str | Path = _HERE / "model_weights.h5",
        *,
        labels: Sequence[str] | None = None,
        input_scale: int | None = None,
    ) -> None:
        """Load both files, written by Keras 2 or Keras 3.

        Args:
            model_json_file: Architecture, as JSON (`model.to_json()`).
            model_weights_file: Weights, as HDF5.
            labels: Names of the network's outputs in their order: a permutation of EXPRESSIONS in upper or lower case;
                "anger", "happiness", ... are accepted. Default: the order stored in model.json, else that of
                EXPRESSIONS.
            input_scale: Divisor of the pixels 0..255 before the network: 1 (default), or 255 for a network trained on
                0..1.

        Raises:
            ModelError: One line naming the file and the cause.
        """
        self.output_order = _output_order(stored_labels(model_json_file) if labels is None else labels)
        self.adjustment = read_adjustment(model_json_file)
        if input_scale not in (None, 1, 255):
            raise ModelError(f"input scale: expected 1 or 255, found {input_scale!r}")
        self.network = load_network(model_json_file, model_weights_file)
        height_px, width_px, channels = _input_shape(self.network, model_json_file)
        _check_outputs(self.network, model_json_file)
        needs_softmax = not _gives_probabilities(self.network, model_json_file)
        self.input_size_px = (height_px, width_px)
        self._channels = channels
        self._input_scale = input_scale or 1
        self._forward = _compile(
            self.network,
            channels=channels,
            input_scale=self._input_scale,
            needs_softmax=needs_softmax,
            order=self.output_order,
        )
        self._lock = threading.Lock()

    def predict(self, faces: np.ndarray) -> np.ndarray:
        """Compute the probabilities of the seven expressions for a batch of faces.

        Args:
            faces: Gray, uint8 or float 0..255, shape (n, height, width) or (n, height, width, 1), of `input_size_px`.

        Returns:
            float32 (n, 7) in the order of EXPRESSIONS; each row sums to 1.

        Raises:
            ValueError: For another shape or type.
        """
        pixels = np.asarray(faces)
        if pixels.shape == (0,):  # an empty list
            pixels = pixels.reshape(0, *self.input_size_px)
        if pixels.ndim == 4 and pixels.shape[3] == 1:
            pixels = pixels[..., 0]
        height_px, width_px = self.input_size_px
        if pixels.ndim != 3 or pixels.shape[1:] != self.input_size_px:
            raise ValueError(
                f"expected gray faces of shape (n, {height_px}, {width_px}) or (n, {height_px}, {width_px}, 1), "
                f"found {np.shape(faces)}"
            )
        if pixels.dtype.kind not in "uif":
            raise ValueError(f"expected faces of uint8 or float 0..255, found {pixels.dtype}")
        probabilities = np.empty((len(pixels), len(EXPRESSIONS)), np.float32)
        with self._lock:  # live frames and uploads share the cores: one call at a time is as fast and bounds memory
            for start in range(0, len(pixels), _FACES_PER_CALL):
                batch = pixels[start : start + _FACES_PER_CALL, ..., np.newaxis].astype(np.float32)
                probabilities[start : start + len(batch)] = self._forward(batch)
        return probabilities if self.adjustment is None else self.adjustment(probabilities)

    def predict_emotion(self, img: np.ndarray) -> str:
        """Name the most probable expression of one face, as in EMOTIONS_LIST: "Happy".

        Args:
            img: Gray, uint8 or float 0..255, shape (height, width), (height, width, 1) or (1, height, width, 1), of
                `input_size_px`.

        Raises:
            ValueError: For another shape or type.
        """
        size = self.input_size_px
        if np.shape(img) not in (size, (*size, 1), (1, *size), (1, *size, 1)):
            raise ValueError(
                f"expected one gray face of shape {size}, {(*size, 1)} or {(1, *size, 1)}, found {np.shape(img)}"
            )
        pixels = np.asarray(img)
        if pixels.dtype.kind == "f" and 0 < pixels.max() <= 1:
            warnings.warn(
                f"predict_emotion: expected gray values 0..255, found none above {pixels.max():g}; do not divide them "
                "by 255, the network scales them itself",
                stacklevel=2,
            )
        probabilities = self.predict(np.reshape(pixels, (1, *size)))
        return self.EMOTIONS_LIST[int(np.argmax(probabilities))]

    def as_input(self, faces: np.ndarray) -> np.ndarray:
        """Convert gray faces to the network's input.

        Args:
            faces: uint8 or float 0..255, (n, height, width).

        Returns:
            float32 (n, height, width, channels), divided by `input_scale`.
        """
        pixels = np.asarray(faces, np.float32)[..., np.newaxis] / self._input_scale
        return np.repeat(pixels, self._channels, axis=-1)

    def warm_up(self) -> None:
        """Run the network once, so that no frame waits for its tracing and optimization (about 0.2 s)."""
        self.predict(np.zeros((1, *self.input_size_px), np.uint8))


def _output_order(labels: Sequence[str] | None) -> list[int]:
    """For each of EXPRESSIONS, the index of its output; ModelError unless the labels name each of them once."""
    if labels is None:
        return list(range(len(EXPRESSIONS)))
    names = [str(label).strip().lower() for label in labels]
    names = [_ALIASES.get(name, name) for name in names]
    if sorted(names) != sorted(EXPRESSIONS):
        raise ModelError(f"labels: expected {', '.join(EXPRESSIONS)} in any order, found {', '.join(names)!r}")
    return [names.index(expression) for expression in EXPRESSIONS]


def _input_shape(network: Any, file: str | Path) -> tuple[int, int, int]:
    """(height, width, channels) of the network's input; ModelError unless it takes one gray or color image."""
    shape = network.input_shape
    is_image = isinstance(shape, tuple) and len(shape) == 4 and None not in shape[1:] and shape[3] in (1, 3)
    if not is_image:
        raise ModelError(f"{file}: expected an input of (None, height, width, 1 or 3), found {shape}")
    return int(shape[1]), int(shape[2]), int(shape[3])


def _check_outputs(network: Any, file: str | Path) -> None:
    """ModelError unless the network has seven outputs."""
    if network.output_shape != (None, len(EXPRESSIONS)):
        raise ModelError(
            f"{file}: expected an output of (None, {len(EXPRESSIONS)}), one for each of {', '.join(EXPRESSIONS)}, "
            f"found {network.output_shape}"
        )


def _gives_probabilities(network: Any, file: str | Path) -> bool:
    """Whether the network ends in a softmax, judged by its last layers; False for logits."""
    for layer in reversed(network.layers):
        if hasattr(layer, "layers"):
            return _gives_probabilities(layer, file)
        kind = type(layer).__name__
        if kind == "Softmax":
            return True
        if kind in _KEEP_PROBABILITIES:
            continue
        activation = layer.get_config().get("activation", "linear")
        if activation in ("softmax", "linear", "log_softmax"):  # a softmax undoes the logarithm of log_softmax
            return bool(activation == "softmax")
        raise ModelError(f"{file}: expected softmax, or no activation, in the last layer, found {activation!r}")
    return False


def _compile(
    network: Any, *, channels: int, input_scale: int, needs_softmax: bool, order: list[int]
) -> Callable[[np.ndarray], np.ndarray]:
    """Build a function from float32 (n, height, width, 1) 0..255 to float32 (n, 7) in the order of EXPRESSIONS.

    With TensorFlow it is compiled once for any n: `network.predict` would cost 37 ms more per call. The weights become
    constants: only then does TensorFlow fold batch normalization into convolutions and keep the weights in the
    processor's layout instead of converting them in each call, which halves the time.
    """
    keras = import_keras()

    def forward(pixels: Any) -> Any:
        pixels = pixels / input_scale if input_scale != 1 else pixels
        pixels = keras.ops.repeat(pixels, channels, axis=-1) if channels != 1 else pixels
        outputs = keras.ops.cast(network(pixels, training=False), "float32")
        outputs = keras.ops.softmax(outputs) if needs_softmax else outputs
        return keras.ops.take(outputs, order, axis=-1)

    if keras.backend.backend() != "tensorflow":
        return lambda pixels: np.asarray(keras.ops.convert_to_numpy(forward(keras.ops.convert_to_tensor(pixels))))
    import tensorflow as tf

    signature = [tf.TensorSpec((*network.input_shape[:3], 1), tf.float32)]
    compiled = tf.function(forward, input_signature=signature, autograph=False).get_concrete_function()
    try:
        frozen = _freeze(compiled)
    except Exception as error:  # a custom layer may hold what cannot become a constant: slower, equally correct
        log.info("the weights could not be frozen, so inference is slower: %s", error)
        return lambda pixels: np.asarray(compiled(tf.constant(pixels)))
    return lambda pixels: np.asarray(frozen(tf.constant(pixels))[0])


def _freeze(function: Any) -> Any:
    """Turn the variables of a TensorFlow function into constants; the result returns a list of outputs."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    return convert_variables_to_constants_v2(function)

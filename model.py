"""The expression network: model.json + model_weights.h5 -> seven probabilities for each face."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from mien.cnn.cache import CompiledCache, find_compiled
from mien.cnn.facts import stored_outputs, stored_pixels
from mien.cnn.feeding import DEFAULT, Pixels, feed, wanted_pixels
from mien.cnn.files import short_cause
from mien.cnn.guess import guess_pixels
from mien.cnn.litert import LiteRtRuntime, MissingError, UnusableError, compiled_file, source_digest
from mien.cnn.loader import load_network
from mien.cnn.logit_adjustment import read_adjustment
from mien.cnn.whole import SHIPPED_MODEL, SHIPPED_WEIGHTS, weights_of
from mien.errors import ModelError
from mien.labels import OutputLabels
from mien.reading_check import Readings, choose_pixels, read_demo_faces
from mien.types import EXPRESSIONS

# With more than 16 faces per call, the time per face no longer falls while memory keeps growing.
_FACES_PER_CALL = 32

log = logging.getLogger(__name__)


class Runtime(Protocol):
    """What runs the network: Keras or LiteRT.

    Attributes:
        name: For messages.
        input_shape: (height, width, channels) of the network's input.
        outputs: Number of its outputs.
    """

    name: str
    input_shape: tuple[int, int, int]
    outputs: int

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """From float32 (n, height, width, channels) to probabilities, float32 (n, outputs), in their order."""
        ...


class FacialExpressionModel:
    """A trained network that classifies the expression of gray faces; thread-safe.

        model = FacialExpressionModel("model.json", "model_weights.h5")
        model.predict_emotion(face)  # "Happy"; face: gray, 48x48, values 0..255
        model.predict(faces)         # probabilities, (n, 7), for faces (n, 48, 48)

    Attributes:
        adjustment: How often rare expressions are expected; None where model.json stores no base rates.
        files: Architecture and weights, which may be one file.
        input_size_px: (height, width) of the faces, as stored in model.json.
        labels: What the outputs of the network mean.
        output_order: For each of EXPRESSIONS, the index of its (first) output in the network; -1 for none.
        pixels: The range of pixels that the network is fed with: "0..255", "0..1", "-1..1" or "standardize".
        runtime: Name of what runs the network: "Keras" or "LiteRT (model.tflite, float16)".
    """

    EMOTIONS_LIST = [name.capitalize() for name in EXPRESSIONS]  # noqa: RUF012

    def __init__(
        self,
        model_json_file: str | Path = SHIPPED_MODEL,
        model_weights_file: str | Path | None = None,
        *,
        labels: str | Sequence[str] | None = None,
        input_scale: int | None = None,
        pixels: str | None = None,
        runtime: Literal["auto", "keras", "litert"] = "auto",
        cache: Path | None = None,
    ) -> None:
        """Load a network written by Keras 2 or Keras 3.

        LiteRT starts and computes in a fraction of the time and memory of Keras and TensorFlow, which take seconds to
        start (`make bench`, `python -m benchmarks.runtimes`). It needs the package ai-edge-litert, and model.tflite
        beside model.json, compiled from the same two files (`python -m training export`).

        Args:
            model_json_file: Architecture, as JSON (`model.to_json()`), or a whole network: .h5, .hdf5, .keras, or a
                SavedModel folder of Keras 2.
            model_weights_file: Weights, as HDF5. Default: those of the whole network, or the shipped ones.
            labels: Names of the network's outputs in their order, as a list or separated by commas: expressions in
                upper or lower case or other names of them ("anger", "scared", ...). An output that is none of the seven
                is added to one, as "contempt=neutral", or left out, as "contempt=none". An expression without an
                output gets the probability 0. Default: the order stored in model.json, else that of EXPRESSIONS.
            input_scale: Divisor of the pixels 0..255 before the network: 1 means `pixels` "0..255", 255 means "0..1".
            pixels: The range of pixels that the network was trained on: "0..255", "0..1", "-1..1", or "standardize" for
                images of mean 0 and standard deviation 1 each. Default: as stored in model.json, else as the first
                layers tell, else "0..255".
            runtime: What runs the network: "litert", "keras", or "auto": LiteRT if it can be used, else Keras; a
                line in the log says which.
            cache: Folder of compiled networks, such as `mien.cnn.cache.cache_folder()`. If there is no
                compiled file beside model.json, it is loaded from this folder, or another process compiles it into this
                folder for the next start.

        Raises:
            ModelError: One line naming the file and the cause.
        """
        if runtime not in ("auto", "keras", "litert"):
            raise ModelError(f"runtime: expected auto, keras or litert, found {runtime!r}")
        try:
            wanted = wanted_pixels(pixels, input_scale)
            given = None if labels is None else OutputLabels.of(labels)
        except ValueError as error:
            raise ModelError(str(error)) from error
        self.files = Path(model_json_file), weights_of(model_json_file, model_weights_file)
        self.labels = stored_outputs(self.files[0]) if given is None else given
        self.output_order = self.labels.order
        self.adjustment = read_adjustment(self.files[0])
        self._network: Any = None
        self._network_lock = threading.Lock()
        self._forward = self._choose(runtime, cache)
        self.runtime = self._forward.name
        self._check_outputs(asked=given is not None)
        height_px, width_px, self._channels = self._forward.input_shape
        self.input_size_px = (height_px, width_px)
        self._lock = threading.Lock()
        self.pixels = self._choose_pixels(wanted or stored_pixels(self.files[0]), cache)

    @property
    def network(self) -> Any:
        """The Keras network, whose input is what `as_input` returns.

        With LiteRT, the Keras network is loaded on first access, in the calling thread, which takes seconds.

        Raises:
            ModelError: Keras is not installed, or a file is missing or broken.
        """
        with self._network_lock:
            if self._network is None:
                try:
                    self._network = load_network(*self.files)
                except ModuleNotFoundError as error:
                    needed = "expected the packages of requirements.txt to load it with Keras"
                    raise ModelError(f"{self.files[0]}: {needed}, found no {error.name}") from error
            return self._network

    def _choose(self, runtime: str, cache: Path | None) -> Runtime:
        """The runtime to use; ModelError if it is not available."""
        if runtime == "keras":
            return self._keras_runtime()
        try:
            compiled = _compiled(self.files, cache)
        except UnusableError as error:
            if runtime == "litert":
                made = "python -m training export writes it"
                raise ModelError(
                    f"{self.files[0]}: expected a network compiled for LiteRT ({made}); {error}"
                ) from error
            keras = self._keras_runtime()
            level = logging.INFO if isinstance(error, MissingError) else logging.WARNING
            log.log(level, "the network runs on Keras: %s", error)
            return keras
        log.info("the network runs on %s", compiled.name)
        return compiled

    def _keras_runtime(self) -> Runtime:
        network = self.network  # first: where Keras is missing, this says so
        from mien.cnn.frozen import KerasRuntime

        return KerasRuntime(network, self.files[0])

    def _check_outputs(self, *, asked: bool) -> None:
        """ModelError unless the network has as many outputs as labels."""
        found, count = self._forward.outputs, len(self.labels.expressions)
        if found == count:
            return
        from mien.cnn.frozen import expected_outputs

        if asked:
            raise ModelError(f"{self.files[0]}: labels: expected {found}, one for each output, found {count}")
        raise ModelError(f"{self.files[0]}: {expected_outputs(count)}, found (None, {found}); --labels names others")

    def _choose_pixels(self, wanted: Pixels | None, cache: Path | None) -> Pixels:
        """The range of pixels to use. The shipped network is known; another one reads the demo's faces first."""
        if tuple(file.resolve() for file in self.files) == (SHIPPED_MODEL, SHIPPED_WEIGHTS):
            return wanted or DEFAULT
        readings = self._readings(cache)
        chosen = choose_pixels(readings, self.labels, wanted)
        if -1 in readings.outputs[chosen]:
            raise ModelError(f"{self.files[1]}: expected probabilities, found NaN or infinity")
        return chosen

    def _readings(self, cache: Path | None) -> Readings:
        """How the network reads the demo's faces; from the cache, if they were read at an earlier start."""
        file = None if cache is None else CompiledCache(cache).readings_file(source_digest(*self.files))
        stored = None if file is None else Readings.load(file)
        if stored is not None and (stored.asked or self._network is None):
            return stored
        guess = None if self._network is None else self._guess
        readings = read_demo_faces(self._forward, self._forward.input_shape, guess)
        if file is not None:
            readings.save(file)
        return readings

    def _guess(self, faces: np.ndarray) -> tuple[Pixels, str] | None:
        """As `guess_pixels`; a network whose layers cannot be judged is loaded all the same."""
        try:
            return guess_pixels(self._network, faces)
        except Exception as error:  # of any kind: it is only a hint
            log.info("which pixels the network expects, its layers do not tell: %s", short_cause(error))
            return None

    def predict(self, faces: np.ndarray) -> np.ndarray:
        """Compute the probabilities of the seven expressions for a batch of faces.

        Args:
            faces: Gray, uint8 or float 0..255, shape (n, height, width) or (n, height, width, 1), of `input_size_px`.

        Returns:
            float32 (n, 7) in the order of EXPRESSIONS; each row sums to 1.

        Raises:
            ValueError: For another shape or type.
            ModelError: The network computes something else than numbers.
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
                batch = self.as_input(pixels[start : start + _FACES_PER_CALL])
                outputs = self._forward(batch)
                if not np.isfinite(outputs).all():
                    raise ModelError(f"{self.files[1]}: expected probabilities, found NaN or infinity")
                probabilities[start : start + len(batch)] = self.labels.apply(outputs)
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
            float32 (n, height, width, channels), in the range of `pixels`.
        """
        return np.repeat(feed(np.asarray(faces, np.float32)[..., np.newaxis], self.pixels), self._channels, axis=-1)

    def warm_up(self) -> None:
        """Run the network once, so that no frame waits for its tracing and optimization (about 0.2 s)."""
        self.predict(np.zeros((1, *self.input_size_px), np.uint8))


def _compiled(files: tuple[str | Path, str | Path], cache: Path | None) -> LiteRtRuntime:
    """The network compiled for LiteRT; UnusableError if there is none of these files."""
    beside = compiled_file(files[0])
    if cache is None and not beside.exists():
        raise MissingError(f"there is no {beside}")
    try:
        source = source_digest(*files)
    except OSError as error:  # Keras will say what is wrong with it
        raise MissingError(f"{error.filename} cannot be read") from error
    return find_compiled(beside, source, files, None if cache is None else CompiledCache(cache))

"""Run a network compiled for LiteRT, from model.tflite, without Keras and TensorFlow.

model.tflite is a LiteRT model with a ZIP archive appended, as TensorFlow Lite's associated files are: LiteRT ignores
what follows the model, and `unzip -p model.tflite mien.json` prints what Mien keeps there (`Facts`).
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import zipfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mien.cnn.files import MAX_JSON_BYTES, ZIP_ERRORS, read_bytes
from mien.cnn.whole import digest_of, is_whole
from mien.json_text import read_json
from mien.process import without_notes

SUFFIX = ".tflite"

THREADS = 1
"""With a second thread, a call takes a third less time on an idle computer and more on a busy one (`python -m
benchmarks.runtimes`): it needs the core that detects and encodes meanwhile."""

_FACTS = "mien.json"


class UnusableError(Exception):
    """A compiled network is missing or cannot be used; Keras can compute instead."""


class MissingError(UnusableError):
    """There is no compiled network."""


class NoLiteRtError(UnusableError):
    """LiteRT is not installed, or not for this system."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a compiled file says about itself.

    Attributes:
        source: Digest of the model.json and the weights that it was compiled from, see `source_digest`.
        content: SHA-256 of the LiteRT model without the appended archive.
        precision: Of its weights, such as "float16".
        labels: Of its outputs, in their order; None if model.json stores none.
        tau: Of the logit adjustment in its weights.
        version: Of Mien.
    """

    source: str
    content: str
    precision: str
    labels: tuple[str, ...] | None
    tau: float
    version: str


class LiteRtRuntime:
    """A network compiled for LiteRT, ready to compute; not thread-safe.

        runtime = open_compiled(Path("model.tflite"), source_digest("model.json", "model_weights.h5"))
        runtime(pixels)  # probabilities, (n, 7)

    Args:
        content: A LiteRT model of one image.
        name: For messages.
        threads: Number of threads that compute.

    Attributes:
        name: For messages.
        input_shape: (height, width, channels) of the network's input.
        outputs: Number of its outputs.

    Raises:
        UnusableError: The content is not such a model, or LiteRT is not installed.
    """

    def __init__(self, content: bytes, name: str, threads: int = THREADS) -> None:
        self.name = name
        self._interpreter = load_interpreter(content, threads)
        (given,), (answer,) = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self._input, self._output = given["index"], answer["index"]
        shape, outputs = (tuple(int(size) for size in one["shape"]) for one in (given, answer))
        if len(shape) != 4 or shape[0] != 1 or len(outputs) != 2 or outputs[0] != 1:
            raise UnusableError(f"expected a model of one image and one row of outputs, found {shape} and {outputs}")
        self.input_shape = (shape[1], shape[2], shape[3])
        self.outputs = outputs[1]

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Compute probabilities, one face after the other: several in one call take only 5 % less time.

        Args:
            pixels: The network's input, float32 (n, height, width, channels).

        Returns:
            float32 (n, outputs), in the order of the network's outputs.
        """
        probabilities = np.empty((len(pixels), self.outputs), np.float32)
        for i, one in enumerate(pixels):
            self._interpreter.set_tensor(self._input, one[np.newaxis])
            self._interpreter.invoke()
            probabilities[i] = self._interpreter.get_tensor(self._output)[0]
        return probabilities


def load_interpreter(content: bytes, threads: int = THREADS) -> Any:
    """Load a LiteRT model.

    Args:
        content: The model.
        threads: Number of threads that compute.

    Returns:
        An interpreter with allocated tensors; not thread-safe.

    Raises:
        UnusableError: The content is not a model, or LiteRT is not installed.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise NoLiteRtError(f"LiteRT (ai-edge-litert) cannot be imported: {error}") from error
    try:
        with without_notes(b"INFO: Created TensorFlow Lite"):
            interpreter = Interpreter(model_content=content, num_threads=threads)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise UnusableError(f"LiteRT cannot load the model: {' '.join(str(error).split())}") from error
    return interpreter


def open_compiled(file: Path, source: str) -> LiteRtRuntime:
    """Load a compiled network.

    Args:
        file: The compiled network.
        source: Digest of the files that it must have been compiled from.

    Raises:
        UnusableError: The file is missing, broken, from other files, or not Mien's; or LiteRT is not installed.
    """
    content, facts = read_compiled(file)
    if facts.source != source:
        raise UnusableError(f"{file} was compiled from other files")
    try:
        return LiteRtRuntime(content, f"LiteRT ({file.name}, {facts.precision})")
    except NoLiteRtError:
        raise
    except UnusableError as error:
        raise UnusableError(f"{file}: {error}") from error


def read_compiled(file: Path) -> tuple[bytes, Facts]:
    """Read a compiled network and check that it is complete.

    Args:
        file: The file.

    Returns:
        The LiteRT model, and what the file says about itself.

    Raises:
        UnusableError: The file is missing, broken, or not written by Mien.
    """
    try:
        data = file.read_bytes()
    except FileNotFoundError as error:
        raise MissingError(f"there is no {file}") from error
    except OSError as error:
        found = "is a folder" if file.is_dir() else f"cannot be read: {error.strerror or error}"
        raise UnusableError(f"{file} {found}") from error
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entry = archive.getinfo(_FACTS)
            stored = read_json(archive.read(entry))
            stored["labels"] = None if stored["labels"] is None else tuple(stored["labels"])
            facts = Facts(**stored)
    except (*ZIP_ERRORS, KeyError, TypeError) as error:
        raise UnusableError(f"{file} is truncated or was not written by Mien") from error
    content = data[: entry.header_offset]
    if hashlib.sha256(content).hexdigest() != facts.content:
        raise UnusableError(f"{file} is broken: its content does not match its checksum")
    return content, facts


def write_compiled(file: Path, content: bytes, **facts: Any) -> None:
    """Write a compiled network, replacing an older one in one step.

    Args:
        file: Is created, with its folder.
        content: The LiteRT model.
        **facts: Of `Facts`, without `content`.
    """
    described = Facts(content=hashlib.sha256(content).hexdigest(), **facts)
    data = io.BytesIO(content)
    with zipfile.ZipFile(data, "a") as archive:
        entry = zipfile.ZipInfo(_FACTS)  # of a fixed date: the same network gives the same bytes
        archive.writestr(entry, json.dumps(asdict(described), indent=1) + "\n")
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=file.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as part:
            part.write(data.getvalue())
        Path(name).chmod(0o644)  # mkstemp gives it to this user alone
        Path(name).replace(file)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def source_digest(model_json_file: str | Path, model_weights_file: str | Path) -> str:
    """Identify a network by its files, whatever line endings a checkout gives model.json.

    Args:
        model_json_file: Architecture, or the whole network.
        model_weights_file: Weights; the same file again for a whole network.

    Returns:
        A SHA-256, in hexadecimal digits.

    Raises:
        OSError: A file cannot be read.
        ModelError: A file is missing, is too large, or is not a file.
    """
    architecture, weights = Path(model_json_file), Path(model_weights_file)
    if is_whole(architecture):
        digest = hashlib.sha256(digest_of(architecture))
    else:
        digest = hashlib.sha256(read_bytes(architecture, MAX_JSON_BYTES).replace(b"\r\n", b"\n"))
    if weights != architecture:
        digest.update(digest_of(weights))
    return digest.hexdigest()


def compiled_file(model_json_file: str | Path) -> Path:
    """Where the compiled network of a model.json is: beside it, as model.tflite."""
    return Path(model_json_file).with_suffix(SUFFIX)

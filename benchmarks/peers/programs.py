"""The programs that `python -m benchmarks.peers` measures, and the packages that each needs."""

from __future__ import annotations

import os
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.peers.environments import MEGABYTE, ROOT, Environment, PeerError, size_bytes

LOOK_S = 10


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights that a program downloads when it first runs.

    Args:
        path: Where it expects them.
        url: Where they come from.
    """

    path: Path
    url: str

    def check(self) -> None:
        """Find out, before anything is installed, whether they are there or can be downloaded.

        Raises:
            PeerError: Neither.
        """
        if self.path.is_file():
            return
        try:
            urllib.request.urlopen(urllib.request.Request(self.url, method="HEAD"), timeout=LOOK_S).close()
        except OSError as error:
            cause = getattr(error, "reason", error)
            host = urlsplit(self.url).hostname
            raise PeerError(f"its weights are not in {self.path}, and {host} cannot be reached ({cause})") from error


@dataclass(frozen=True, slots=True)
class Peer:
    """A program to measure.

    Args:
        title: Its name in the table.
        loop: Its function in `benchmarks/peers/loop.py`.
        requirements: Pinned packages, or a requirements file of this project.
        files: What it needs of this project besides, for its size on disk.
        weights: What it downloads itself.
    """

    title: str
    loop: str
    requirements: tuple[str, ...]
    files: tuple[str, ...] = ()
    weights: Weights | None = None

    @property
    def environment_name(self) -> str:
        """What its environment is called; programs with the same requirements share one."""
        return self.requirements[0].removesuffix(".txt").partition("==")[0]

    def size_mb(self, built: Environment) -> float:
        """What it takes on disk in MiB: packages, own files, weights."""
        own = [ROOT / name for name in self.files]
        return built.size_mb + size_bytes(*own, *([self.weights.path] if self.weights else [])) / MEGABYTE


_DEEPFACE_HOME = Path(os.environ.get("DEEPFACE_HOME", Path.home()))
_MODEL = ("model.json", "model_weights.h5")
_PROGRAM = (*_MODEL, "model.tflite", "main.py", "camera.py", "model.py", "mien", "web", "static", "templates")

PEERS = {
    "mien": Peer("Mien", "mien", ("requirements.txt",), _PROGRAM),
    "lite": Peer("Mien without TensorFlow", "mien", ("requirements-lite.txt",), _PROGRAM),
    "seed": Peer("seed loop", "seed", ("requirements.txt",), _MODEL),
    "fer": Peer(
        "fer 25.10.3",
        "fer",
        (
            "fer==25.10.3",
            "tensorflow==2.21.0",  # runs its network, by TensorFlow Lite
            "opencv-contrib-python==4.11.0.86",  # the newest for NumPy 1, which its dependency facenet-pytorch needs
            "setuptools==80.9.0",  # it imports pkg_resources, which later versions no longer have
        ),
    ),
    "deepface": Peer(
        "deepface 0.0.103",
        "deepface",
        (
            "deepface==0.0.103",
            "onnxruntime==1.32.0",  # runs its networks unless TensorFlow or PyTorch is installed
            "werkzeug==3.1.9",  # it imports it without declaring it
            "opencv-contrib-python-headless==4.14.0.94",  # below 5, which dropped the cascades of its default detector
        ),
        weights=Weights(
            _DEEPFACE_HOME / ".deepface" / "weights" / "facial_expression_model_weights.onnx",
            "https://github.com/serengil/deepface_models/releases/download/v1.0/facial_expression_model_weights.onnx",
        ),
    ),
}
"""By the name that `--peers` takes."""

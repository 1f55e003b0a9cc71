"""A user's own networks, compiled for LiteRT once and kept in the user's cache folder.

The first start with a network computes with Keras, while another process compiles it at low priority; later starts
load the compiled file. A network that cannot be compiled leaves a file with the reason, so that it is not tried again.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import mien
from mien.cnn.litert import SUFFIX, LiteRtRuntime, NoLiteRtError, UnusableError, open_compiled

LIMIT_MB = 200
"""Beyond this, the files that were not used for the longest time are deleted."""

FAILED = ".failed"


def cache_folder() -> Path | None:
    """The folder of this user for compiled networks, which may not exist yet.

    Returns:
        None for a user without a home folder, as in some containers.

    Raises:
        ImportError: platformdirs is not installed.
    """
    from platformdirs import user_cache_path

    try:
        folder = user_cache_path("mien", appauthor=False)
    except RuntimeError:  # older versions of platformdirs return a path that begins with "~"
        return None
    return folder / f"networks-{mien.__version__}" if folder.is_absolute() else None


_compiling: list[subprocess.Popen[bytes]] = []
"""Kept, because Python warns of processes that it can no longer wait for."""


class FailedError(UnusableError):
    """A network was tried before and cannot be compiled."""


class CompiledCache:
    """Compiled networks in one folder, named by the digest of the files that they were compiled from.

        cache = CompiledCache(Path("compiled"))
        runtime = cache.open(source)

    Args:
        folder: Is created when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def file(self, source: str) -> Path:
        """Where the network of this digest is, or will be."""
        return self.folder / f"{source}{SUFFIX}"

    def readings_file(self, source: str) -> Path:
        """Where it is kept how the network of this digest reads the demo's faces."""
        return self.folder / f"{source}.readings.json"

    def open(self, source: str) -> LiteRtRuntime:
        """Load the network of this digest.

        Raises:
            FailedError: It cannot be compiled.
            UnusableError: It has not been compiled, or the file is broken.
        """
        with suppress(OSError):
            raise FailedError(self.file(source).with_suffix(FAILED).read_text(encoding="utf-8").strip())
        runtime = open_compiled(self.file(source), source)
        runtime.name = f"LiteRT (cache, {runtime.name.partition(', ')[2]}"
        with suppress(OSError):
            self.file(source).touch()  # the age of a file is the time since its last use
        return runtime

    def compile_later(self, model_json_file: str | Path, model_weights_file: str | Path, source: str) -> None:
        """Start a process of low priority that compiles a network for the next start.

        It is independent of this program and may outlive it.

        Args:
            model_json_file: Architecture.
            model_weights_file: Weights.
            source: Digest of both.

        Raises:
            UnusableError: The folder cannot be written, or TensorFlow is not installed.
        """
        if importlib.util.find_spec("tensorflow") is None:
            raise UnusableError("without TensorFlow it cannot be compiled")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UnusableError(f"{self.folder} cannot be created: {error.strerror or error}") from error
        if not os.access(self.folder, os.W_OK):
            raise UnusableError(f"{self.folder} cannot be written")
        files = [str(Path(file).resolve()) for file in (model_json_file, model_weights_file)]
        root = str(Path(mien.__file__).parent.parent)
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        process = subprocess.Popen(
            [sys.executable, "-m", "mien.cnn.convert", *files, str(self.file(source))],
            env={**os.environ, "KERAS_BACKEND": "tensorflow", "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C must not stop it
            creationflags=getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0),  # on Windows
        )
        _compiling.append(process)

    def clean(self, limit_mb: float = LIMIT_MB) -> None:
        """Delete the files that were not used for the longest time, until all take `limit_mb` at most."""
        files = []
        for file in self.folder.iterdir():
            with suppress(OSError):  # another process may delete it
                facts = file.stat()
                files.append((facts.st_mtime, facts.st_size, file))
        left = limit_mb * 1e6
        for _, size, file in sorted(files, reverse=True):
            left -= size
            if left < 0:
                with suppress(OSError):
                    file.unlink()


def find_compiled(
    beside: Path, source: str, files: tuple[str | Path, str | Path], cache: CompiledCache | None
) -> LiteRtRuntime:
    """Find a network compiled for LiteRT: beside its model.json, else in the cache.

    What is in neither place is compiled for the next start.

    Args:
        beside: The file beside model.json.
        source: Digest of `files`.
        files: Architecture and weights.
        cache: None for none.

    Raises:
        UnusableError: There is none that can be used; the message says why.
    """
    try:
        return open_compiled(beside, source)
    except UnusableError as error:
        if cache is None or isinstance(error, NoLiteRtError):
            raise
        first = error
    try:
        return cache.open(source)
    except FailedError as error:
        raise UnusableError(f"{first}; {error}") from error
    except UnusableError:  # missing, or broken
        pass
    try:
        cache.compile_later(*files, source)
    except UnusableError as error:
        raise UnusableError(f"{first}; {error}") from error
    raise type(first)(f"{first}; it is being compiled for the next start") from first

"""Read the model file of a detector, and check that it is the one expected."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mien.errors import DetectorError


def read_model(file: str | Path, sha256: str, expected: str) -> bytes:
    """Read a model file. OpenCV takes the bytes: those that were checked, and on Windows it opens only ASCII paths.

    Args:
        file: Its path.
        sha256: Its SHA-256, hexadecimal.
        expected: Begins the message of an error: what names the file, and what was expected.

    Raises:
        DetectorError: The file is missing, or is not the expected one.
    """
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise DetectorError(f"{expected}; {error.strerror or error}") from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise DetectorError(f"{expected} with SHA-256 {sha256}, found a file with {digest}")
    return content

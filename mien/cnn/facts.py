"""What model.json stores beside the architecture: meaning of the outputs, range of pixels, base rates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mien.cnn.feeding import PIXELS, Pixels
from mien.cnn.whole import read_document
from mien.errors import ModelError
from mien.labels import OutputLabels


def stored_facts(model_json_file: str | Path) -> dict[str, Any]:
    """What model.json stores beside the architecture, such as "expressions" and "tau"; Keras ignores these keys.

    Args:
        model_json_file: The file.

    Raises:
        ModelError: The file does not describe a network.
    """
    document = read_document(Path(model_json_file))
    return {key: value for key, value in document.items() if key not in ("class_name", "config", "module")}


def stored_labels(model_json_file: str | Path) -> list[str] | None:
    """Order of the outputs, which `training` stores in model.json as "expressions".

    Args:
        model_json_file: The file.

    Returns:
        Names of the outputs; None if they are missing.

    Raises:
        ModelError: The file does not describe a network.
    """
    labels = stored_facts(model_json_file).get("expressions")
    return [str(label) for label in labels] if isinstance(labels, list) else None


def stored_outputs(model_json_file: str | Path) -> OutputLabels:
    """The meaning of the outputs, as "expressions" says it; without it, the order of EXPRESSIONS.

    Raises:
        ModelError: The file does not describe a network, or names no expressions there.
    """
    labels = stored_labels(model_json_file)
    if labels is None:
        return OutputLabels()
    try:
        return OutputLabels.of(labels)
    except ValueError as error:
        raise ModelError(f"{model_json_file}: {error}") from error


def stored_pixels(model_json_file: str | Path) -> Pixels | None:
    """The range of pixels that the network was trained on, which `training calibrate` stores as "pixels".

    Raises:
        ModelError: The file does not describe a network, or stores another range.
    """
    stored = stored_facts(model_json_file).get("pixels")
    found = next((each for each in PIXELS if each == stored), None)
    if stored is not None and found is None:
        raise ModelError(f"{model_json_file}: pixels: expected one of {', '.join(PIXELS)}, found {str(stored)[:80]!r}")
    return found

"""From a trained network to the two files the program loads, and from those back to how it was trained."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from mien.types import EXPRESSIONS
from training.recipe import Recipe, recipe_from
from training.run_folder import read_history, read_recipe


def export(
    network: keras.Model, folder: Path, *, recipe: Recipe | None = None, epochs: int | None = None
) -> tuple[Path, Path]:
    """Write model.json and model_weights.h5 into `folder` and return their paths.

    The weights are a whole-model HDF5 file without optimizer, which `load_weights` reads back exactly.
    model.json also holds the order of the outputs, under "expressions", and how the network was trained, recipe and
    finished epochs, under "training"; Keras ignores these keys.
    """
    description = json.loads(network.to_json())
    description["expressions"] = list(EXPRESSIONS)
    if recipe is not None:
        description["training"] = {"recipe": dataclasses.asdict(recipe), "epochs": epochs}
    return _write(network, description, folder)


def export_calibrated(network: keras.Model, model_file: Path, temperature: float, folder: Path) -> tuple[Path, Path]:
    """`export` of a network that was loaded from model_file, its weights divided by `temperature` since.

    model.json stays as it was, but for the product of all such temperatures under "temperature".
    """
    description = json.loads(model_file.read_text(encoding="utf-8"))
    description["temperature"] = temperature * float(description.get("temperature", 1.0))
    return _write(network, description, folder)


def _write(network: keras.Model, description: dict[str, Any], folder: Path) -> tuple[Path, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    model_file, weights_file = folder / "model.json", folder / "model_weights.h5"
    with _without_advice():
        network.save(weights_file, include_optimizer=False)
    model_file.write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
    return model_file, weights_file


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keras advises against HDF5 each time it writes one; here it is wanted."""
    log = logging.getLogger("absl")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def read_origin(model_file: Path) -> tuple[Recipe | None, int | None]:
    """(recipe, finished epochs) that `export` wrote into model.json, else those of the run in the same folder.

    None where neither tells it.
    """
    try:
        origin = json.loads(model_file.read_text(encoding="utf-8"))["training"]
        return recipe_from(origin["recipe"]), origin["epochs"]
    except (ValueError, KeyError, TypeError):
        pass
    run_folder = model_file.parent
    recipe = read_recipe(run_folder / "recipe.json") if (run_folder / "recipe.json").is_file() else None
    return recipe, len(read_history(run_folder)) or None
